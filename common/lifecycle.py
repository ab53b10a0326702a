"""The two lifecycles, request and job, as tables of transitions. A transition that is not in a table is refused.

A state is a place where something waits for the outside. Parsing, planning and policy are calls, not states.
Cancelling is a request recorded on the job (`cancel_asked_at`), not a state: "cancel asked" and "cancelled" are two
facts, and only the machine (or a job that was never handed out) makes the second true.

A request waits
    received   for a planner; committed, its webhook answered
    asking     for approvals, until they are enough, one is a no, or they come too late
    working    for its jobs
and ends as done (every job ended, or a plain answer was given), refused (by policy, grammar or rights), rejected (a
person said no), expired (nobody decided in time) or cancelled (taken back before anything started).

A job waits
    queued     for its machine: offline, paused, busy, or a turn
    leased     for the agent to report that the job is in its journal; the frame may be lost, so this is no acceptance
    accepted   for the start: the agent's journal is durable, nothing has been started
    running    for the end: the start marker exists
    unknown    for evidence: a crash fell between "may have started" and proof. The agent's late report ends it, or a
               person settles it; nothing else does, and it is never run again
and ends as succeeded (exit status 0), failed (another status, a signal, or it could not be started), timed_out,
cancelled, not_started (the agent proved that it never ran and never will: its own policy, an expiry, a cancel in time)
or expired (never handed to a machine before its time ran out).

`leased -> queued` and `accepted -> queued` are the ways back. The agent, asked on reconnect, has no record of a leased
job; or it says that it never started it and will not for now: its runner was restarted or is being stopped, it is busy,
its disk is full. Either way the job provably never ran, and is handed to the same machine again until its time is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

StateT = TypeVar("StateT", bound=StrEnum)
EventT = TypeVar("EventT", bound=StrEnum)


class RequestState(StrEnum):
    RECEIVED = "received"
    ASKING = "asking"
    WORKING = "working"
    DONE = "done"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class RequestEvent(StrEnum):
    ANSWERED = "answered"  # a plain answer, no machine needed
    REFUSED = "refused"
    ASKED = "asked"  # policy wants approvals
    ALLOWED = "allowed"  # policy allows: jobs are queued
    APPROVED = "approved"  # one more approval, not enough yet
    APPROVED_ENOUGH = "approved_enough"
    REJECTED = "rejected"
    LAPSED = "lapsed"  # the time to decide is over
    CANCELLED = "cancelled"  # taken back while nothing had started
    STEP_ENDED = "step_ended"  # the jobs of one step ended well, the next step's are queued
    ENDED = "ended"  # every job has ended


class JobState(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    ACCEPTED = "accepted"
    RUNNING = "running"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"


class JobEvent(StrEnum):
    LEASE = "lease"  # handed to a link
    ACCEPT = "accept"  # the agent has journalled it
    START = "start"  # the start marker exists
    SUCCEED = "succeed"
    FAIL = "fail"
    TIME_OUT = "time_out"
    CANCEL = "cancel"  # it has been stopped, or will never be handed out
    REFUSE = "refuse"  # the agent: never ran and never will
    LAPSE = "lapse"  # not_after passed in the queue
    RELEASE = "release"  # the agent has no start marker of it and will make none by itself: back to the queue
    LOSE = "lose"  # no evidence can come by itself any more
    SETTLE_DONE = "settle_done"  # a person decides how an unknown job counts
    SETTLE_FAILED = "settle_failed"


R, RE, J, JE = RequestState, RequestEvent, JobState, JobEvent

REQUEST_TRANSITIONS: Final[Mapping[tuple[RequestState, RequestEvent], RequestState]] = {
    (R.RECEIVED, RE.ANSWERED): R.DONE,
    (R.RECEIVED, RE.REFUSED): R.REFUSED,
    (R.RECEIVED, RE.ASKED): R.ASKING,
    (R.RECEIVED, RE.ALLOWED): R.WORKING,
    (R.ASKING, RE.APPROVED): R.ASKING,
    (R.ASKING, RE.APPROVED_ENOUGH): R.WORKING,
    (R.ASKING, RE.REJECTED): R.REJECTED,
    (R.ASKING, RE.LAPSED): R.EXPIRED,
    (R.ASKING, RE.CANCELLED): R.CANCELLED,
    (R.ASKING, RE.REFUSED): R.REFUSED,
    (R.WORKING, RE.STEP_ENDED): R.WORKING,
    (R.WORKING, RE.ENDED): R.DONE,
}

JOB_TRANSITIONS: Final[Mapping[tuple[JobState, JobEvent], JobState]] = {
    (J.QUEUED, JE.LEASE): J.LEASED,
    (J.QUEUED, JE.CANCEL): J.CANCELLED,
    (J.QUEUED, JE.LAPSE): J.EXPIRED,
    (J.LEASED, JE.ACCEPT): J.ACCEPTED,
    (J.LEASED, JE.START): J.RUNNING,
    (J.LEASED, JE.RELEASE): J.QUEUED,
    (J.LEASED, JE.REFUSE): J.NOT_STARTED,
    (J.LEASED, JE.LOSE): J.UNKNOWN,
    (J.ACCEPTED, JE.START): J.RUNNING,
    (J.ACCEPTED, JE.RELEASE): J.QUEUED,
    (J.ACCEPTED, JE.REFUSE): J.NOT_STARTED,
    (J.ACCEPTED, JE.LOSE): J.UNKNOWN,
    (J.RUNNING, JE.LOSE): J.UNKNOWN,
    # The end may be the first report after a lost link, so every dispatched state accepts it.
    **{
        (state, event): end
        for state in (J.LEASED, J.ACCEPTED, J.RUNNING, J.UNKNOWN)
        for event, end in (
            (JE.SUCCEED, J.SUCCEEDED),
            (JE.FAIL, J.FAILED),
            (JE.TIME_OUT, J.TIMED_OUT),
            (JE.CANCEL, J.CANCELLED),
        )
    },
    (J.UNKNOWN, JE.REFUSE): J.NOT_STARTED,
    (J.UNKNOWN, JE.START): J.RUNNING,
    (J.UNKNOWN, JE.SETTLE_DONE): J.SUCCEEDED,
    (J.UNKNOWN, JE.SETTLE_FAILED): J.FAILED,
}

REQUEST_TERMINAL: Final = frozenset({R.DONE, R.REFUSED, R.REJECTED, R.EXPIRED, R.CANCELLED})
JOB_TERMINAL: Final = frozenset({J.SUCCEEDED, J.FAILED, J.TIMED_OUT, J.CANCELLED, J.NOT_STARTED, J.EXPIRED})
JOB_SETTLED: Final = JOB_TERMINAL | {J.UNKNOWN}
"""States in which a request no longer waits for the job. `unknown` is one: it is reported, and corrected later."""
JOB_DISPATCHED: Final = frozenset({J.LEASED, J.ACCEPTED, J.RUNNING})
BAD_JOBS: Final = frozenset({"failed", "timed_out", "unknown", "expired", "not_started"})
"""What people look for as `is:bad`; what a person cancelled is not bad."""
STUCK_AFTER: Final = 30.0
"""Seconds past its time limit (or past being handed out) after which a job is stuck: more than the grace of a kill."""


class InvalidTransition(Exception):
    """A transition that the lifecycle's table does not have."""

    def __init__(self, state: RequestState | JobState, event: RequestEvent | JobEvent) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        return f"no move from {self.state} on {self.event}"


def next_request_state(state: RequestState, event: RequestEvent) -> RequestState:
    """The state after `event`; raises InvalidTransition."""
    try:
        return REQUEST_TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransition(state, event) from None


def next_job_state(state: JobState, event: JobEvent) -> JobState:
    """The state after `event`; raises InvalidTransition."""
    try:
        return JOB_TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransition(state, event) from None


def diagram(table: Mapping[tuple[StateT, EventT], StateT]) -> str:
    """The table as a Mermaid state diagram, one edge a pair of states, in the table's own order."""
    edges: dict[tuple[str, str], list[str]] = {}
    for (state, event), target in table.items():
        edges.setdefault((state.value, target.value), []).append(event.value)
    first = next(iter(table))[0].value
    sources = {source for source, _ in edges}
    ends = dict.fromkeys(target for _, target in edges if target not in sources)
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in edges.items()]
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join(lines)
