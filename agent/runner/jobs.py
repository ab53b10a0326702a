"""The runner's state of one job, and how much of it has been reported to the hub."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf
from typing import Final

from agent.runner.order_life import OrderLife
from agent.runner.spool import OutputWriter
from common.link.messages import MAX_REASON, RETRY_CODES, Ended
from common.machine.end_notes import MAX_NOTES, has_code, make_note
from common.plan import Order


class RunnerJobState(StrEnum):
    """The names are those of `common.link.messages.Report`, but for the first."""

    WRITING = "writing"  # its next journal record is not on disk yet, so nothing is reported
    ACCEPTED = "accepted"
    STARTED = "started"
    ENDED = "ended"
    REFUSED = "refused"
    UNSURE = "unsure"


TERMINAL_STATES: Final = frozenset({RunnerJobState.ENDED, RunnerJobState.REFUSED, RunnerJobState.UNSURE})


@dataclass(slots=True, eq=False)
class ReportCursor:
    """How much of a job has been sent over this connection; a new one begins where the hub's resync says."""

    muted: bool = False  # the hub does not know the job
    accepted: bool = False
    started: bool = False
    ended: bool = False
    next_chunk: int = 1  # the chunk to send
    offset: int = 0  # of its record in the spool file, in bytes
    in_flight: int = 0  # bytes sent and not credited
    uncredited: deque[int] = field(default_factory=deque)  # their sizes, chunk by chunk

    def record_sent(self, data: int, record: int) -> None:
        """One chunk of `data` bytes, `record` bytes in the spool, went out."""
        self.next_chunk += 1
        self.offset += record
        self.in_flight += data
        self.uncredited.append(data)

    def credit(self, seq: int) -> None:
        """Chunks up to and including `seq` are committed by the hub."""
        while self.uncredited and self.next_chunk - len(self.uncredited) <= seq:
            self.in_flight -= self.uncredited.popleft()


@dataclass(slots=True, eq=False)
class RunnerJob:
    """One order and its state."""

    id: str
    plan_hash: str
    not_after: float  # seconds since the epoch
    state: RunnerJobState
    order: Order | None = None  # until it has ended
    life: OrderLife = OrderLife(inf)  # noqa: RUF009 - frozen; until when it may start
    cancel_requested: bool = False
    came_again: bool = False  # this machine refused it for a while before
    refused_boot: float = 0.0  # when it did, on CLOCK_BOOTTIME
    on_disk: bool = False  # the journal's file has it, by which the next runner would say that it never started
    confirmed: bool = True  # the hub knows that it was accepted here, or its order does not ask for that
    pid: int = 0
    started_at: float = 0.0
    started_boot: float = 0.0  # the same moment on CLOCK_BOOTTIME, of a program that this runner started
    output: OutputWriter | None = None  # while it runs
    from_memory: bool = False  # it only reads, and no disk takes a record of it
    ended: Ended | None = None
    code: str = ""
    reason: str = ""
    cursor: ReportCursor = field(default_factory=ReportCursor)

    @property
    def reported_state(self) -> str:
        """The state as `Report` names it."""
        return RunnerJobState.ACCEPTED.value if self.state is RunnerJobState.WRITING else self.state.value

    @property
    def may_come_again(self) -> bool:
        """Whether it was refused for a while only, so that it is taken if the hub dispatches it once more."""
        return self.state is RunnerJobState.REFUSED and self.code in RETRY_CODES

    @property
    def chunks(self) -> int:
        """How many output chunks exist so far."""
        if self.output is not None:
            return self.output.chunks
        return self.ended.chunks if self.ended is not None else 0


def without_chunks(ended: Ended, chunks: int) -> Ended:
    """The end of a job of whose output only `chunks` are left; that the rest is missing is told with it."""
    notes = ended.notes if has_code(ended.notes, {"dropped"}) else (*ended.notes, make_note("dropped"))[:MAX_NOTES]
    return replace(ended, chunks=chunks, truncated=True, notes=notes)


def clean_reason(reason: str) -> str:
    """A reason fit for a message: at most MAX_REASON characters, without the lone surrogates of odd file names."""
    return reason[:MAX_REASON].encode("utf-8", "replace").decode()
