"""What the uplink last knew of its link, in a file that `status` and `doctor` read: uplink/link.json.

Written when it changes, a few times a day, and never at the cost of the link: where there is no room the old one stays,
and is known to be old by the process id in it. A report of a process that is gone tells only how it was left.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from agent import log
from agent.restarts import RunnerDown
from common.errors import UserError
from common.files import write_file
from common.read_file import read_bytes

LinkState = Literal["linked", "away", "refused"]
"""`refused`: the hub answered and would not have us. `away`: there is no link, for any other reason."""
MAX_FILE: Final = 16 * 1024
MAX_TEXT: Final = 1_000


@dataclass(frozen=True, slots=True)
class LinkReport:
    state: LinkState
    since: float  # seconds since the epoch
    reason: str = ""  # why there is no link
    cure: str = ""
    version: str = ""  # of the uplink that wrote it
    hub_version: str = ""
    pid: int = 0
    runner_down_since: float = 0.0  # seconds since the epoch; 0 where the uplink has a runner
    runner_next_start: float = 0.0  # when it is started again; 0 where that is not the uplink's to do
    runner_end: str = ""  # how the last one ended
    runner_version: str = ""  # "" where the runner did not say it, or the uplink is too old to ask
    spread: float = 0.0  # seconds over which the hub wants its machines back, as it said last


def read_report(file: Path) -> LinkReport | None:
    """The last report; None where there is none that can be read. Raises PermissionError where this user may not."""
    try:
        body = json.loads(read_bytes(file, MAX_FILE))
        report = LinkReport(**{name: body[name] for name in LinkReport.__slots__ if name in body})
    except UserError:
        if not os.access(file.parent, os.R_OK | os.X_OK):
            raise PermissionError(f"{file} is not this user's to read") from None
        return None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return report if _is_sound(report) else None


def _is_sound(report: LinkReport) -> bool:
    texts: tuple[Any, ...] = (
        report.reason,
        report.cure,
        report.version,
        report.hub_version,
        report.runner_version,
        report.runner_end,
    )
    return (
        report.state in get_args(LinkState)
        and all(isinstance(each, (int, float)) for each in (report.since, report.runner_down_since))
        and all(isinstance(each, (int, float)) for each in (report.runner_next_start, report.spread))
        and isinstance(report.pid, int)
        and all(isinstance(text, str) for text in texts)
    )


class LinkReporter:
    """The uplink's side: `tell` writes what has changed. Times are handed in."""

    def __init__(self, file: Path, version: str, runner_version: Callable[[], str] = lambda: "") -> None:
        """`runner_version` reads the version of the runner that runs."""
        self._file = file
        self._version = version
        self._runner_version = runner_version
        self._last: LinkReport | None = None
        self._failed = False
        self.spread = self._spread_before()

    def _spread_before(self) -> float:
        """What the hub said to the uplink before this one."""
        try:
            before = read_report(self._file)
        except OSError:
            return 0.0
        return before.spread if before is not None and math.isfinite(before.spread) else 0.0

    def tell(
        self,
        state: LinkState,
        now: float,
        *,
        reason: str = "",
        cure: str = "",
        hub_version: str = "",
        runner_down: RunnerDown | None = None,
        spread: float | None = None,
    ) -> None:
        """`since` is when the state began: another reason for the same state does not begin it again. `spread` is kept
        until it is told again.
        """
        self.spread = self.spread if spread is None else spread
        last = self._last
        since = last.since if last is not None and last.state == state and state != "linked" else now
        report = LinkReport(
            state,
            since,
            reason[:MAX_TEXT],
            cure[:MAX_TEXT],
            self._version,
            hub_version[:80],
            os.getpid(),
            runner_version=self._runner_version(),
            spread=self.spread,
        )
        if runner_down is not None:
            told = runner_down.why[:MAX_TEXT]
            report = replace(
                report,
                runner_down_since=runner_down.since,
                runner_next_start=runner_down.next_start,
                runner_end=told,
            )
        if last is not None and replace(report, since=last.since) == last and state != "linked":
            return
        self._last = report
        try:
            write_file(self._file, json.dumps(asdict(report)).encode())
            self._failed = False
        except (UserError, OSError) as error:
            if not self._failed:
                log.warning("link.report_not_written", reason=str(error))
            self._failed = True
