"""What a job does on an event. Pure: facts in, the new job and intentions out.

An agent repeats each event until the hub has committed it, so every one may come twice and in the order of a
reconnect. The rules:

    the same again           nothing changes; after the end, the agent is sent "forget" again
    a step that is behind    (accepted, after started) nothing changes
    a step that was skipped  is written down from the one that proves it: every start has its whole chain in the audit
    a contradiction          the first end stands; the other is audited as an anomaly
    the end                  is believed from every state in which the machine had the job, `unknown` too: late truth
                             is truth
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from common.lifecycle import JOB_TERMINAL, InvalidTransition, JobEvent, JobState, next_job_state
from common.link.messages import Accepted, Ended, Refused, Started, Unsure
from common.machine.end_notes import clean_notes
from hub.core.attempts import keep_note
from hub.core.audit import WriteAudit
from hub.core.records import Job
from hub.core.redelivery import LOST, wait_before

MAX_REASON: Final = 1_000
"""Characters that are stored of a reason; a machine may send more."""
DIGEST_CHARS: Final = 64
EVENT_OF_OUTCOME = {
    "succeeded": JobEvent.SUCCEED,
    "failed": JobEvent.FAIL,
    "timed_out": JobEvent.TIME_OUT,
    "cancelled": JobEvent.CANCEL,
}


@dataclass(frozen=True, slots=True)
class Expire:
    """`not_after` passed while the job was in the queue."""


@dataclass(frozen=True, slots=True)
class Release:
    """The agent, asked, has no record of a leased job."""


@dataclass(frozen=True, slots=True)
class ComeBack:
    """The machine has proven that it did not start the job, and may be handed it again (`hub.core.redelivery`)."""

    code: str  # of RETRY_CODES
    reason: str


@dataclass(frozen=True, slots=True)
class MarkUnknown:
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
class ResolveUnknown:
    """A person's word on an unknown outcome."""

    by: str
    done: bool


JobReport = Accepted | Refused | Started | Ended | Unsure
JobInput = JobReport | Expire | Release | ComeBack | MarkUnknown | Withhold | AskCancel | ResolveUnknown


@dataclass(frozen=True, slots=True)
class SendCancel:
    kill: bool


@dataclass(frozen=True, slots=True)
class SendForget:
    """The end is committed: the agent may drop the job's files."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The request no longer waits for this job; `late` where it was answered before (as unknown)."""

    late: bool


JobAction = WriteAudit | SendCancel | SendForget | Settled


def decide(job: Job, event: JobInput, now: float) -> tuple[Job, list[JobAction]]:
    """The job after `event` and what is to be done. Raises NotInTable for a move that only a bug could ask for."""
    match event:
        case Accepted():
            if job.state is not JobState.LEASED:
                return job, []
            return replace(_transition(job, JobEvent.ACCEPT), accepted_at=now), [WriteAudit("job.accepted", {})]
        case Started():
            return _started(job, event, now)
        case Refused():
            return _refused(job, event, now)
        case Ended():
            return _ended(job, event, now)
        case Unsure(reason=reason) | MarkUnknown(reason=reason):
            return _mark_unknown(job, reason, now)
        case Withhold(reason=reason):
            after = replace(_transition(job, JobEvent.REFUSE), ended_at=now, reason=reason)
            return after, [WriteAudit("job.withheld", {"reason": reason}), *_forget_again(job), Settled(late=False)]
        case Expire():
            reason = "its time ran out before the machine took it"
            if job.redeliveries:
                reason += f"; it came back {job.redeliveries} times, not started ({job.redelivery_code})"
            after = replace(_transition(job, JobEvent.LAPSE), ended_at=now, reason=reason)
            return after, [
                WriteAudit("job.expired", {"not_after": job.not_after}),
                *_forget_again(job),
                Settled(late=False),
            ]
        case Release():
            if job.state is not JobState.LEASED:  # what was accepted has a record, or is unknown
                raise InvalidTransition(job.state, JobEvent.RELEASE)
            return _back_in_queue(job, LOST, "", now)
        case ComeBack(code=code, reason=reason):
            return _back_in_queue(job, code, reason, now)
        case AskCancel():
            return _cancel(job, event, now)
        case ResolveUnknown():
            move = JobEvent.SETTLE_DONE if event.done else JobEvent.SETTLE_FAILED
            after = replace(_transition(job, move), ended_at=now, reason=f"settled by {event.by}: {job.reason}")
            return after, [
                WriteAudit("job.settled", {"by": event.by, "as": after.state.value}),
                SendForget(),
                Settled(late=True),
            ]


def _transition(job: Job, event: JobEvent) -> Job:
    return replace(job, state=next_job_state(job.state, event))


def _back_in_queue(job: Job, code: str, reason: str, now: float) -> tuple[Job, list[JobAction]]:
    """Back into the queue; where it was to be cancelled, it never was anywhere else and is. A machine that has no
    record of it had nothing to keep: then any holder of the name may have it, for nobody was told to start it.
    """
    count = job.redeliveries + 1
    wait = wait_before(code, count)
    after = replace(
        _transition(job, JobEvent.RELEASE),
        leased_at=None,
        accepted_at=None,
        life="",
        stamp="",
        journal="" if code == LOST else job.journal,
        redeliveries=count,
        redelivery_code=code,
        not_before=now + wait if wait else job.not_before,
    )
    data = {"epoch": job.epoch, "code": code, "count": count}
    audit = WriteAudit("job.released", {**data, "reason": reason[:MAX_REASON]} if reason else data)
    if job.cancel_asked_at is None:
        return after, [audit]
    cancelled, actions = _cancel_queued(after, job.cancel_asked_by, "", now)
    return cancelled, [audit, *actions]


def _forget_again(job: Job) -> list[JobAction]:
    """A queued job that has ended: its machine may still keep that it refused it once."""
    return [SendForget()] if job.redeliveries else []


def _started(job: Job, event: Started, now: float) -> tuple[Job, list[JobAction]]:
    if job.state in JOB_TERMINAL or job.state is JobState.RUNNING:
        return job, []
    if job.state is JobState.QUEUED:
        return job, [_anomaly(job, "started, while the hub had not handed it out")]
    if job.started_at is not None:  # unknown since it started: it is known again, and has not started twice
        return _transition(job, JobEvent.START), [_anomaly(job, "is running after all")]
    after = replace(
        _transition(job, JobEvent.START),
        accepted_at=job.accepted_at or now,
        started_at=_by_our_clock(job, event.at, now),
    )
    return after, [*_acceptance_not_told(job), WriteAudit("job.started", {"pid": event.pid, "at": event.at})]


def _acceptance_not_told(job: Job) -> list[JobAction]:
    return [WriteAudit("job.accepted", {})] if job.accepted_at is None else []


def _start_not_told(job: Job, event: Ended) -> list[JobAction]:
    """What the end proves and nobody has told: frames before it were lost, or others came under their numbers. An end
    with neither exit code nor signal is of a program that could not be started.
    """
    if job.started_at is not None:
        return []
    ran = event.exit_code is not None or event.signal is not None
    start = [WriteAudit("job.started", {"at": event.started_at, "told": "with its end"})] if ran else []
    return [*_acceptance_not_told(job), *start]


def _by_our_clock(job: Job, at: float, now: float) -> float:
    """A machine's moment within what our clock can have seen: not before we handed the job out, nor after now. A
    machine whose clock is off by hours is then not told as running for hours, nor past its time limit.
    """
    return min(max(at, job.leased_at or at), now)


def _refused(job: Job, event: Refused, now: float) -> tuple[Job, list[JobAction]]:
    if job.state in JOB_TERMINAL:
        return job, [SendForget()]
    if job.state in (JobState.RUNNING, JobState.QUEUED):
        return job, [_anomaly(job, f"refused ({event.code}), while it was {job.state}"), SendForget()]
    late = job.state is JobState.UNKNOWN
    reason = (event.reason or event.code)[:MAX_REASON]
    cancelled = event.code == "cancelled" and job.cancel_asked_at is not None
    after = replace(_transition(job, JobEvent.CANCEL if cancelled else JobEvent.REFUSE), ended_at=now, reason=reason)
    data = {"code": event.code, "reason": after.reason}
    return after, [
        WriteAudit("job.cancelled" if cancelled else "job.not_started", data),
        SendForget(),
        Settled(late=late),
    ]


def _ended(job: Job, event: Ended, now: float) -> tuple[Job, list[JobAction]]:
    move = EVENT_OF_OUTCOME.get(event.outcome)
    if move is None or job.state is JobState.QUEUED:
        return job, [_anomaly(job, f"ended as {event.outcome[:40]!r}, while it was {job.state}")]
    if job.state in JOB_TERMINAL:
        same = (job.exit_code, job.signal, job.output_digest) == (event.exit_code, event.signal, event.output_digest)
        contradiction = [] if same else [_anomaly(job, f"reported again as {event.outcome}, exit {event.exit_code}")]
        return job, [*contradiction, SendForget()]
    late = job.state is JobState.UNKNOWN
    after = replace(
        _transition(job, move),
        accepted_at=job.accepted_at or now,
        started_at=job.started_at or _by_our_clock(job, event.started_at, now),
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
        notes=clean_notes(event.notes),
    )
    after = keep_note(job, after)
    data = {
        "outcome": after.state.value,
        "exit_code": event.exit_code,
        "signal": event.signal,
        "output_bytes": event.output_bytes,
        "output_digest": after.output_digest,
        "late": late,
        **({"reason": after.reason} if after.reason else {}),
        **({"notes": list(after.notes)} if after.notes else {}),
    }
    return after, [*_start_not_told(job, event), WriteAudit("job.ended", data), SendForget(), Settled(late=late)]


def _mark_unknown(job: Job, reason: str, now: float) -> tuple[Job, list[JobAction]]:
    if job.state in JOB_TERMINAL or job.state in (JobState.UNKNOWN, JobState.QUEUED):
        return job, []
    after = replace(_transition(job, JobEvent.LOSE), reason=reason[:MAX_REASON], ended_at=now)
    return after, [WriteAudit("job.unknown", {"reason": after.reason}), Settled(late=False)]


def _cancel(job: Job, event: AskCancel, now: float) -> tuple[Job, list[JobAction]]:
    if job.state in JOB_TERMINAL or job.state is JobState.UNKNOWN:
        return job, []
    asked = replace(job, cancel_asked_at=job.cancel_asked_at or now, cancel_asked_by=job.cancel_asked_by or event.by)
    audit = WriteAudit("job.cancel_asked", {"by": event.by, "kill": event.kill})
    if job.state is JobState.QUEUED:
        after, actions = _cancel_queued(asked, event.by, event.why, now)
        return after, [audit, *actions]
    return asked, [audit, SendCancel(event.kill)]


def _cancel_queued(job: Job, by: str, why: str, now: float) -> tuple[Job, list[JobAction]]:
    """A queued job is cancelled here and now: no machine has it."""
    reason = why or f"cancelled by {by} before it was handed out"
    after = replace(_transition(job, JobEvent.CANCEL), ended_at=now, reason=reason)
    return after, [
        WriteAudit("job.cancelled", {"by": by, "reason": reason}),
        *_forget_again(job),
        Settled(late=False),
    ]


def _anomaly(job: Job, what: str) -> WriteAudit:
    return WriteAudit("job.anomaly", {"state": job.state.value, "what": what})
