"""A job as operators see it: one command on one machine."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated

from common.api.constraints import OMIT, Bytes, MaybeMoment, MaybeSeconds, Moment, PlanHash, Seconds, StateName
from common.lifecycle import BAD_JOBS, JOB_DISPATCHED, JOB_SETTLED, JOB_TERMINAL, STUCK_AFTER, JobState

RUNBOOK = "runbook:"
_OF_LISTS = frozenset({"agent_online", "agent_paused", "stuck"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job. Rows of the followed list have texts cut, and say besides how the job's machine is and whether the job is
    stuck; the other answers leave that out. `argv` is left out where the plan cannot be read.
    """

    id: Annotated[str, "ULID; a job is started at most once, ever"]
    request: Annotated[str, "the request's id"]
    agent: str
    person: str
    state: StateName
    step: Annotated[int, "of the plan, from 0"] = 0
    plan_hash: PlanHash = ""
    priority: Annotated[int, "0 to 9, 9 first"] = 5
    queued_at: Moment
    not_after: Annotated[MaybeMoment, "it is never handed out later"] = None
    leased_at: MaybeMoment = None
    accepted_at: MaybeMoment = None
    started_at: Annotated[MaybeMoment, "by the machine's clock, within what the hub's can have seen"] = None
    ended_at: MaybeMoment = None
    duration: Annotated[MaybeSeconds, "as the machine measured"] = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    output_bytes: Annotated[Bytes, "written by the command, beyond the cap too"] = 0
    output_digest: Annotated[str, "hex SHA-256 of all output"] = ""
    truncated: bool = False
    cpu_user: Seconds = 0.0
    cpu_system: Seconds = 0.0
    max_rss: Annotated[Bytes, "0 where the machine cannot tell"] = 0
    notes: Annotated[
        tuple[str, ...],
        "beside how it ended, each a code and its detail: left PID NAME…, unrecorded, lost BYTES, filtered BYTES, "
        "dropped, memory, disk; of another code nothing need be said",
    ] = ()
    cancel_asked_at: MaybeMoment = None
    cancel_asked_by: str = ""
    parent: Annotated[str, "the job that this one retries"] = ""
    number: Annotated[int, "the request's: r42 is 42"] = 0
    inlet: str = ""
    source: Annotated[str, "of the plan: explicit, runbook:NAME, model:NAME, operator"] = ""
    time_limit: Annotated[int, "seconds"] = 0
    not_before: Annotated[Moment, "held back until then; 0 where it never was"] = 0.0
    redeliveries: Annotated[int, "how often it came back, provably not started, and was queued again"] = 0
    redelivery_code: Annotated[str, "why it did last: restarted, stopping, busy, disk, lost"] = ""
    lost_contact: Annotated[MaybeMoment, "since when nothing was heard of the machine that has it"] = None
    agent_online: Annotated[bool | None, OMIT] = None
    agent_paused: Annotated[bool | None, OMIT, "paused or drained"] = None
    stuck: Annotated[bool | None, OMIT] = None
    argv: Annotated[tuple[str, ...] | None, OMIT] = None
    argv_cut: Annotated[bool, OMIT, "argv is not all of it"] = False
    filters: Annotated[tuple[tuple[str, ...], ...], OMIT, "what the agent does to standard output, in order"] = ()

    @property
    def is_ended(self) -> bool:
        return self.state in JOB_TERMINAL

    @property
    def is_open(self) -> bool:
        return self.state not in JOB_TERMINAL

    @property
    def is_settled(self) -> bool:
        """Ended, or with an outcome that nobody knows: its request waits for it no longer."""
        return self.state in JOB_SETTLED

    @property
    def is_queued(self) -> bool:
        return self.state == JobState.QUEUED

    @property
    def is_running(self) -> bool:
        return self.state == JobState.RUNNING

    @property
    def is_unknown(self) -> bool:
        return self.state == JobState.UNKNOWN

    @property
    def is_handed_out(self) -> bool:
        return self.state in JOB_DISPATCHED

    @property
    def is_bad(self) -> bool:
        """Ended otherwise than well, or unknown; what a person cancelled is not bad."""
        return self.state in BAD_JOBS

    @property
    def is_cancelling(self) -> bool:
        """Asked to cancel, which is not cancelled yet."""
        return self.cancel_asked_at is not None and self.is_open

    @property
    def is_machine_away(self) -> bool:
        """Whether its machine is known to be offline; False where the hub does not say."""
        return self.agent_online is False

    @property
    def runbook(self) -> str:
        """The runbook that planned it; empty where none did."""
        return self.source.removeprefix(RUNBOOK) if self.source.startswith(RUNBOOK) else ""

    def with_details(self, details: JobView) -> JobView:
        """This row of a list with the job in full: what only the list says of its machine stays."""
        later = {field.name: getattr(details, field.name) for field in fields(JobView) if field.name not in _OF_LISTS}
        return replace(self, **later)

    def with_command_of(self, known: JobView) -> JobView:
        """This row with the command of the same job in full, where `known` has that."""
        if known.argv is None or known.argv_cut:
            return self
        return replace(self, argv=known.argv, argv_cut=False, filters=known.filters)

    def is_held(self, now: float) -> bool:
        return self.is_queued and self.not_before > now

    def is_stuck(self, now: float) -> bool:
        """Running past its time limit, or handed out and not taken up, for longer than is in order; the hub's word for
        it where the row has that.
        """
        if self.stuck is not None:
            return self.stuck
        if self.is_running:
            since = self.started_at
            return since is not None and self.time_limit > 0 and since + self.time_limit + STUCK_AFTER < now
        since = self.leased_at
        return self.is_handed_out and since is not None and since + STUCK_AFTER < now


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChunk:
    """A piece of what a job wrote."""

    seq: Annotated[int, "from 1 within the job"]
    stream: Annotated[int, "1 standard output, 2 standard error"]
    data: bytes
    at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails(JobView):
    """A job with the next of its output, at most 12 chunks; ask again with `after` for what is behind them."""

    output: tuple[OutputChunk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputMatch:
    """A line of output that has the text in it, made safe to show."""

    seq: Annotated[int, "of the chunk in which the line begins"]
    stream: int
    line: Annotated[int, "within its stream, from 1"]
    text: Annotated[str, "at most 300 characters of the line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputMatches:
    """At most 200 lines; `more` says whether there are others."""

    job: str
    matches: tuple[OutputMatch, ...] = ()
    more: bool = False
