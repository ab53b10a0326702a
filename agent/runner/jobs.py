"""What the runner holds of one job, and how far it has told the hub about it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Final

from agent.runner.spool import Output
from common.messages import Ended
from common.plan import Order

MAX_REASON: Final = 1_000


class State(StrEnum):
    """The names are those of `common.messages.Report`, but for the first."""

    WRITING = "writing"  # the journal's next word on it is not on disk yet, so nothing is said about it
    ACCEPTED = "accepted"
    STARTED = "started"
    ENDED = "ended"
    REFUSED = "refused"
    UNSURE = "unsure"


OVER: Final = frozenset({State.ENDED, State.REFUSED, State.UNSURE})


@dataclass(slots=True, eq=False)
class Tale:
    """What has been told over this connection; a new one begins where the hub says."""

    muted: bool = False  # the hub does not know the job
    accepted: bool = False
    started: bool = False
    over: bool = False
    next: int = 1  # the chunk to send
    offset: int = 0  # where its record begins
    in_flight: int = 0  # bytes sent and not credited
    uncredited: deque[int] = field(default_factory=deque)  # their sizes, chunk by chunk

    def sent(self, data: int, record: int) -> None:
        """One chunk of `data` bytes, `record` bytes in the spool, went out."""
        self.next += 1
        self.offset += record
        self.in_flight += data
        self.uncredited.append(data)

    def credit(self, seq: int) -> None:
        """Chunks up to and including `seq` are committed by the hub."""
        while self.uncredited and self.next - len(self.uncredited) <= seq:
            self.in_flight -= self.uncredited.popleft()


@dataclass(slots=True, eq=False)
class Job:
    """One order and what became of it."""

    id: str
    plan_hash: str
    not_after: float  # wall clock
    state: State
    order: Order | None = None  # until it has ended
    not_after_boot: float = inf  # the same moment on CLOCK_BOOTTIME, as reckoned at receipt
    cancel_asked: bool = False
    pid: int = 0
    started_at: float = 0.0
    output: Output | None = None  # while it runs
    ended: Ended | None = None
    code: str = ""
    reason: str = ""
    tale: Tale = field(default_factory=Tale)

    @property
    def word(self) -> str:
        """How a report calls its state."""
        return State.ACCEPTED.value if self.state is State.WRITING else self.state.value

    @property
    def chunks(self) -> int:
        """How many chunks there are by now."""
        if self.output is not None:
            return self.output.chunks
        return self.ended.chunks if self.ended is not None else 0


def tidy(reason: str) -> str:
    """A reason as it may travel: bounded, and text whatever file name is in it."""
    return reason[:MAX_REASON].encode("utf-8", "replace").decode()
