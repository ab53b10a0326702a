"""`inlet record`: has the serving hub keep the next deliveries of an inlet, redacted, and waits for them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.errors import UserError
from common.files import write_file
from hub.chat.inlets import build_inlets
from hub.chat.platforms.outbound import outbound_mode
from hub.chat.recorder import MAX_SECONDS, RecordingOrder, end_order, orders, put_order, recordings_folder
from hub.cli.admin import open_store
from hub.config import HubConfig

LOOK_SECONDS: Final = 0.5
GRACE: Final = 5.0
"""Seconds within which a serving hub ends what is over."""


@dataclass(frozen=True, slots=True)
class RecordingRun:
    """A recording as the terminal that asked for it sees it."""

    config: HubConfig
    inlet: str
    order: RecordingOrder
    out: Path | None  # where the files go; None: they stay where the hub wrote them

    def files(self, wait: Callable[[float], None] = time.sleep) -> Iterator[Path]:
        """Each file as it comes, until the recording is over; one that is left early is ended."""
        seen: set[str] = set()
        try:
            while True:
                over = self._is_over()
                yield from self._take_new(seen)
                if over:
                    return
                wait(LOOK_SECONDS)
        finally:
            self._end()

    def _is_over(self) -> bool:
        with open_store(self.config, time.time()) as store:
            found = store.read_now(orders).get(self.inlet)
        return found is None or found.id != self.order.id or time.time() > self.order.until + GRACE

    def _take_new(self, seen: set[str]) -> Iterator[Path]:
        folder = recordings_folder(self.config.folder.path, self.inlet)
        for path in sorted(folder.glob(f"{self.order.id}-*.json")) if folder.is_dir() else ():
            if path.name in seen:
                continue
            seen.add(path.name)
            if self.out is None:
                yield path
                continue
            kept = self.out / path.name
            write_file(kept, path.read_bytes())
            path.unlink()
            yield kept

    def _end(self) -> None:
        now = time.time()
        with open_store(self.config, now) as store:
            store.write_now(lambda txn: end_order(txn, self.inlet, self.order.id, "terminal", "stopped", now))


def begin_recording(config: HubConfig, inlet: str, count: int, out: Path | None) -> RecordingRun:
    """Asks for it; raises UserError where it cannot be."""
    if inlet not in config.inlets:
        known = ", ".join(sorted(config.inlets)) or "none"
        raise UserError(f"there is no inlet {inlet[:64]}", f"there are: {known} (answerback-hub inlet list)")
    if outbound_mode(build_inlets(config)[inlet].platform) is not None:
        raise UserError(f"{inlet} has no webhook: the hub asks its platform", "deliveries of webhooks are recorded")
    if out is not None:
        try:
            out.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{out}: {error.strerror}", "name a folder that can be written to") from None
    now = time.time()
    order = RecordingOrder(f"{int(now)}-{os.urandom(3).hex()}", count, now + MAX_SECONDS)
    with open_store(config, now) as store:
        store.write_now(lambda txn: put_order(txn, inlet, order, now))
    return RecordingRun(config, inlet, order, out)
