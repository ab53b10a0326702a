"""Which steps of critical requests were started here: what people signed is good for one start on a machine.

A signature names request, plan and expiry, and no job, whose id the hub makes later. Without this a hub in somebody's
hands could start the same step again, under another job, until the signatures expire. One line a start, on disk before
the program runs: request, step, and until when it matters.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from common.ids import is_ulid
from common.plan import Order

MAX_LINES: Final = 10_000
"""Starts that are remembered; where so many are unexpired, no further one is made."""
_KEPT_BEYOND: Final = 86_400.0
"""Seconds that a line outlives its signatures, for a clock that is set back."""


class UsedApprovals:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._until: dict[tuple[str, int], float] | None = None  # None: not read yet

    def is_used(self, order: Order) -> bool:
        """Raises OSError where that cannot be told."""
        return (order.request, order.step) in self._read()

    def use(self, order: Order, now: float) -> None:
        """On disk when it returns; raises OSError where it cannot be, or there are too many."""
        until = max((proof.expires for proof in order.proofs), default=now) + _KEPT_BEYOND
        known = {key: end for key, end in self._read().items() if end > now}
        if len(known) >= MAX_LINES:
            raise OSError(f"{MAX_LINES} critical starts are remembered already")
        if len(known) < len(self._read()):
            self._rewrite(known)
        self._append(order.request, order.step, until)
        known[order.request, order.step] = until
        self._until = known

    def _read(self) -> dict[tuple[str, int], float]:
        if self._until is None:
            try:
                text = self._path.read_text(encoding="ascii", errors="replace")
            except FileNotFoundError:
                text = ""
            self._until = dict(filter(None, map(_parse, text.splitlines())))
        return self._until

    def _append(self, request: str, step: int, until: float) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            # A line that a power cut left half written ends here.
            os.write(descriptor, f"\n{request} {step} {until!r}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _rewrite(self, known: dict[tuple[str, int], float]) -> None:
        fresh = self._path.with_name(f".{self._path.name}.new")
        fresh.write_text("".join(f"{request} {step} {until!r}\n" for (request, step), until in known.items()))
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _parse(line: str) -> tuple[tuple[str, int], float] | None:
    match line.split():
        case [request, step, until] if is_ulid(request) and step.isdigit():
            try:
                return (request, int(step)), float(until)
            except ValueError:
                return None
    return None
