"""What became of the last request to go on as the program that is installed now: upgrade.json in runner/ and uplink/.

Written by the process that was asked, read by `answerback-agent upgrade`, `status` and `doctor`. It is never worth more
than the work: where it cannot be written the process goes on, and says so in its log.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from agent import log
from common.errors import UserError
from common.files import write_file
from common.read_file import read_bytes

UpgradeState = Literal["checking", "handing_over", "done", "refused"]
"""`handing_over` of a process that is gone: the new program did not come up."""
FILE: Final = "upgrade.json"
MAX_FILE: Final = 16 * 1024
MAX_REASON: Final = 1_000


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    state: UpgradeState
    begun: float  # seconds since the epoch
    pid: int
    before: str  # version of the program that was asked
    after: str = ""  # of the one that is installed; "" where it did not say
    reason: str = ""  # why it was refused, and what to do
    jobs: int = 0  # running, and handed over
    took: float = 0.0  # seconds from the request to the end of it


def write_upgrade(folder: Path, report: UpgradeReport) -> None:
    try:
        write_file(folder / FILE, json.dumps(asdict(report)).encode())
    except (UserError, OSError) as error:
        log.warning("upgrade.not_told", why=str(error))


def read_upgrade(folder: Path) -> UpgradeReport | None:
    """The last report; None where there is none that can be read."""
    try:
        body = json.loads(read_bytes(folder / FILE, MAX_FILE))
        found = UpgradeReport(**{name: body[name] for name in UpgradeReport.__slots__ if name in body})
    except (UserError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (found.before, found.after, found.reason)
    numbers = (found.begun, found.pid, found.jobs, found.took)
    if found.state not in get_args(UpgradeState) or not all(isinstance(text, str) for text in texts):
        return None
    return found if all(isinstance(number, (int, float)) for number in numbers) else None
