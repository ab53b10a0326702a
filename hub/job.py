"""What a job does when something is heard of it. Pure: facts in, the new job and intentions out.

An agent repeats what it says until the hub has committed it, so every fact may come twice and in the order of a
reconnect. The rules:

    the same again           nothing changes; where it is the end, the agent is told again that it may forget the job
    a step that is behind    (accepted, after started was heard) nothing changes
    a contradiction          the first end stands; the other is kept as an anomaly and shown
    the end                  is believed from every state in which the machine had the job, `unknown` too: late truth
                             is truth
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from common.lifecycle import JOB_ENDS, JobEvent, JobState, next_job
from common.messages import Accepted, Ended, Refused, Started, Unsure
from hub.records import Job

MAX_REASON: Final = 1_000
"""Characters that are kept of a reason; a machine may send more."""
DIGEST_CHARS: Final = 64
ENDED_AS = {
    "succeeded": JobEvent.SUCCEED,
    "failed": JobEvent.FAIL,
    "timed_out": JobEvent.TIME_OUT,
    "cancelled": JobEvent.CANCEL,
}


@dataclass(frozen=True, slots=True)
class Lapse:
    """`not_after` passed while the job was in the queue."""


@dataclass(frozen=True, slots=True)
class Release:
    """The agent, asked, has no record of a leased job."""


@dataclass(frozen=True, slots=True)
class Lose:
    """No evidence can come by itself any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Withhold:
    """Leased and checked once more before it was sent: it may not run any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskCancel:
    by: str
    kill: bool = False
    why: str = ""  # where it is not simply that person's wish


@dataclass(frozen=True, slots=True)
class Settle:
    """A person's word on an unknown outcome."""

    by: str
    done: bool


AgentFact = Accepted | Refused | Started | Ended | Unsure
Event = AgentFact | Lapse | Release | Lose | Withhold | AskCancel | Settle


@dataclass(frozen=True, slots=True)
class Audit:
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SendCancel:
    kill: bool


@dataclass(frozen=True, slots=True)
class SendForget:
    """The end is committed: the agent may drop the job's files."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The request no longer waits for this job; `late` where it was told already (as unknown)."""

    late: bool


Action = Audit | SendCancel | SendForget | Settled


def decide(job: Job, event: Event, now: float) -> tuple[Job, list[Action]]:
    """The job after `event` and what is to be done. Raises NotInTable for a move that only a bug could ask for."""
    match event:
        case Accepted():
            if job.state is not JobState.LEASED:
                return job, []
            return replace(_move(job, JobEvent.ACCEPT), accepted_at=now), [Audit("job.accepted", {})]
        case Started():
            return _started(job, event, now)
        case Refused():
            return _refused(job, event, now)
        case Ended():
            return _ended(job, event, now)
        case Unsure(reason=reason) | Lose(reason=reason):
            return _lost(job, reason, now)
        case Withhold(reason=reason):
            after = replace(_move(job, JobEvent.REFUSE), ended_at=now, reason=reason)
            return after, [Audit("job.withheld", {"reason": reason}), Settled(late=False)]
        case Lapse():
            after = replace(
                _move(job, JobEvent.LAPSE), ended_at=now, reason="its time ran out before the machine took it"
            )
            return after, [Audit("job.expired", {"not_after": job.not_after}), Settled(late=False)]
        case Release():
            return _released(job, now)
        case AskCancel():
            return _cancel(job, event, now)
        case Settle():
            move = JobEvent.SETTLE_DONE if event.done else JobEvent.SETTLE_FAILED
            after = replace(_move(job, move), ended_at=now, reason=f"settled by {event.by}: {job.reason}")
            return after, [
                Audit("job.settled", {"by": event.by, "as": after.state.value}),
                SendForget(),
                Settled(late=True),
            ]


def _move(job: Job, event: JobEvent) -> Job:
    return replace(job, state=next_job(job.state, event))


def _released(job: Job, now: float) -> tuple[Job, list[Action]]:
    """Back into the queue; where it was to be cancelled, it never was anywhere else and is."""
    after = replace(_move(job, JobEvent.RELEASE), leased_at=None)
    audit = Audit("job.released", {"epoch": job.epoch})
    if job.cancel_asked_at is None:
        return after, [audit]
    cancelled, actions = _taken_back(after, job.cancel_asked_by, "", now)
    return cancelled, [audit, *actions]


def _started(job: Job, event: Started, now: float) -> tuple[Job, list[Action]]:
    if job.state in JOB_ENDS or job.state is JobState.RUNNING:
        return job, []
    if job.state is JobState.QUEUED:
        return job, [_anomaly(job, "started, while the hub had not handed it out")]
    after = replace(_move(job, JobEvent.START), accepted_at=job.accepted_at or now, started_at=event.at)
    return after, [Audit("job.started", {"pid": event.pid, "at": event.at})]


def _refused(job: Job, event: Refused, now: float) -> tuple[Job, list[Action]]:
    if job.state in JOB_ENDS:
        return job, [SendForget()]
    if job.state in (JobState.RUNNING, JobState.QUEUED):
        return job, [_anomaly(job, f"refused ({event.code}), while it was {job.state}"), SendForget()]
    late = job.state is JobState.UNKNOWN
    reason = (event.reason or event.code)[:MAX_REASON]
    cancelled = event.code == "cancelled" and job.cancel_asked_at is not None
    after = replace(_move(job, JobEvent.CANCEL if cancelled else JobEvent.REFUSE), ended_at=now, reason=reason)
    data = {"code": event.code, "reason": after.reason}
    return after, [Audit("job.cancelled" if cancelled else "job.not_started", data), SendForget(), Settled(late=late)]


def _ended(job: Job, event: Ended, now: float) -> tuple[Job, list[Action]]:
    move = ENDED_AS.get(event.outcome)
    if move is None or job.state is JobState.QUEUED:
        return job, [_anomaly(job, f"ended as {event.outcome[:40]!r}, while it was {job.state}")]
    if job.state in JOB_ENDS:
        same = (job.exit_code, job.signal, job.output_digest) == (event.exit_code, event.signal, event.output_digest)
        contradiction = [] if same else [_anomaly(job, f"reported again as {event.outcome}, exit {event.exit_code}")]
        return job, [*contradiction, SendForget()]
    late = job.state is JobState.UNKNOWN
    after = replace(
        _move(job, move),
        accepted_at=job.accepted_at or now,
        started_at=event.started_at,
        ended_at=now,
        exit_code=event.exit_code,
        signal=event.signal,
        reason=event.reason[:MAX_REASON],
        duration=max(0.0, event.ended_at - event.started_at),
        output_bytes=event.output_bytes,
        output_digest=event.output_digest[:DIGEST_CHARS],
        truncated=event.truncated or job.truncated,
        chunks=event.chunks,
        cpu_user=event.cpu_user,
        cpu_system=event.cpu_system,
        max_rss=event.max_rss,
    )
    data = {
        "outcome": after.state.value,
        "exit_code": event.exit_code,
        "signal": event.signal,
        "output_bytes": event.output_bytes,
        "output_digest": after.output_digest,
        "late": late,
    }
    return after, [Audit("job.ended", data), SendForget(), Settled(late=late)]


def _lost(job: Job, reason: str, now: float) -> tuple[Job, list[Action]]:
    if job.state in JOB_ENDS or job.state in (JobState.UNKNOWN, JobState.QUEUED):
        return job, []
    after = replace(_move(job, JobEvent.LOSE), reason=reason[:MAX_REASON], ended_at=now)
    return after, [Audit("job.unknown", {"reason": after.reason}), Settled(late=False)]


def _cancel(job: Job, event: AskCancel, now: float) -> tuple[Job, list[Action]]:
    if job.state in JOB_ENDS or job.state is JobState.UNKNOWN:
        return job, []
    asked = replace(job, cancel_asked_at=job.cancel_asked_at or now, cancel_asked_by=job.cancel_asked_by or event.by)
    audit = Audit("job.cancel_asked", {"by": event.by, "kill": event.kill})
    if job.state is JobState.QUEUED:
        after, actions = _taken_back(asked, event.by, event.why, now)
        return after, [audit, *actions]
    return asked, [audit, SendCancel(event.kill)]


def _taken_back(job: Job, by: str, why: str, now: float) -> tuple[Job, list[Action]]:
    """A queued job is cancelled here and now: no machine has it."""
    reason = why or f"cancelled by {by} before it was handed out"
    after = replace(_move(job, JobEvent.CANCEL), ended_at=now, reason=reason)
    return after, [Audit("job.cancelled", {"by": by, "reason": reason}), Settled(late=False)]


def _anomaly(job: Job, what: str) -> Audit:
    return Audit("job.anomaly", {"state": job.state.value, "what": what})
