"""Reads the histories of a run and says what must not have been. Pure: nothing here looks at a system.

never twice     a job id starts once at most, and so does a step on a machine
never lost      what a webhook answered with 2xx has a request, which has ended, and so have its jobs
the truth       what is said to have run has run, and what is said not to have run has not
one end         a job has one terminal event; nothing contradicts it
the chain       every start has message, queue, dispatch, acceptance, start and end in the audit, in that order,
                under one plan hash
chat and store  what was taken has its final reply, and what chat was told last of a request and its jobs is what the
                store says
nothing late    no start after the life of its job, counted on the boot clock from when it was queued at the latest
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from common.lifecycle import JOB_TERMINAL, REQUEST_TERMINAL, JobState
from hub.core.attempts import attempt
from hub.core.records import Job, Request
from tests.faults.oracle import Start

RAN: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.TIMED_OUT})
DID_NOT_RUN: Final = frozenset({JobState.NOT_STARTED, JobState.EXPIRED})
ENDS: Final = frozenset({"job.ended", "job.not_started", "job.withheld", "job.expired", "job.cancelled", "job.settled"})
ANOMALIES: Final = frozenset({"job.anomaly", "job.foreign", "row.forged"})
CHAIN: Final = ("job.dispatched", "job.accepted", "job.started", "job.ended")
SAID_LAST: Final = frozenset({"final", "late"})
SLACK: Final = 1.0
"""Seconds that a start may seem late: from the commit of a queued job until the test sees it."""


@dataclass(frozen=True, slots=True)
class History:
    """What a run has left behind."""

    starts: Sequence[Start]  # the oracle's
    requests: Sequence[Request]
    jobs: Sequence[Job]
    events: Sequence[Mapping[str, Any]]  # seq, kind, subject, actor, data; in their order
    taken: Sequence[str] = ()  # events that a webhook answered with 2xx
    queued_boot: Mapping[str, float] = field(default_factory=dict)  # request -> boot clock when it was seen queued
    unknown_allowed: bool = False  # a fault of this run makes outcomes that nobody can know
    replies: Sequence[Mapping[str, Any]] | None = None  # what chat was told, in its order; None: nobody has listened


def violations(history: History) -> list[str]:
    """What must not have been, in words; empty where everything holds."""
    return [found for rule in verdict(history).values() for found in rule]


def verdict(history: History) -> dict[str, list[str]]:
    """The same by rule."""
    rules = {"twice": _twice, "lost": _lost, "untrue": _untrue, "ends": _ends, "chain": _chain, "chat": _chat}
    found = {name: list(rule(history)) for name, rule in rules.items()}
    return {**found, "late": [f"{job} started {late:.1f} s late" for job, late in late_starts(history)]}


def late_starts(history: History) -> list[tuple[str, float]]:
    """Jobs that started after their life, and by how many seconds."""
    requests = {request.id: request for request in history.requests}
    jobs = {job.id: job for job in history.jobs}
    found = []
    for start in history.starts:
        job = jobs.get(start.job)
        request = None if job is None else requests.get(job.request_id)
        if job is None or request is None or request.plan is None or request.id not in history.queued_boot:
            continue
        late = start.boot - history.queued_boot[request.id] - request.plan.ttl
        if late > SLACK:
            found.append((job.id, late))
    return found


def _twice(history: History) -> Iterable[str]:
    for job, count in Counter(start.job for start in history.starts).items():
        if count > 1:
            yield f"{job} started {count} times"
    jobs = {job.id: job for job in history.jobs}
    steps = Counter(
        (jobs[start.job].request_id, jobs[start.job].step, jobs[start.job].agent)
        for start in history.starts
        if start.job in jobs and attempt(jobs[start.job]) == 1  # of an idempotent step each later attempt is told
    )
    for (request, step, agent), count in steps.items():
        if count > 1:
            yield f"step {step} of {request} started {count} times on {agent}"


def _lost(history: History) -> Iterable[str]:
    by_event = {request.event_id: request for request in history.requests}
    for event in history.taken:
        request = by_event.get(event)
        if request is None:
            yield f"message {event} was answered with 2xx and is not there"
        elif request.state not in REQUEST_TERMINAL:
            yield f"r{request.number} has not ended: it is {request.state}"
    for job in history.jobs:
        if job.state not in JOB_TERMINAL and job.state is not JobState.UNKNOWN:
            yield f"{job.id} has not ended: it is {job.state}"
    known = {job.id for job in history.jobs}
    for start in history.starts:
        if start.job not in known:
            yield f"{start.job} started, and the hub does not know it"


def _untrue(history: History) -> Iterable[str]:
    started = {start.job for start in history.starts}
    for job in history.jobs:
        if job.state in RAN and job.id not in started:
            yield f"{job.id} is {job.state} and never started"
        if job.state in DID_NOT_RUN and job.id in started:
            yield f"{job.id} is {job.state} and has started"
        if job.state is JobState.UNKNOWN and not history.unknown_allowed:
            yield f"{job.id} is unknown, and nothing here makes an outcome unknown"


def _ends(history: History) -> Iterable[str]:
    ends = Counter(event["subject"] for event in history.events if event["kind"] in ENDS)
    for job in history.jobs:
        if job.state in JOB_TERMINAL and ends[job.id] != 1:
            yield f"{job.id} is {job.state} and has {ends[job.id]} ends in the audit"
    for event in history.events:
        if event["kind"] in ANOMALIES:
            yield f"{event['kind']} of {event['subject']}: {dict(event['data'])}"


def _chain(history: History) -> Iterable[str]:
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for event in history.events:
        first.setdefault((event["kind"], event["subject"]), event)
    jobs = {job.id: job for job in history.jobs}
    for start in history.starts:
        job = jobs.get(start.job)
        if job is None or (history.unknown_allowed and job.state is JobState.UNKNOWN):
            continue
        wanted = [("message.accepted", job.request_id), ("jobs.queued", job.request_id)]
        wanted += [(kind, job.id) for kind in CHAIN]
        missing = [kind for kind, subject in wanted if (kind, subject) not in first]
        if missing:
            yield f"{job.id} started, and the audit has no {', '.join(missing)}"
            continue
        order = [first[one]["seq"] for one in wanted]
        if order != sorted(order):
            yield f"the chain of {job.id} is out of order: {order}"
        hashes = {first[one]["data"].get("plan_hash") for one in (wanted[1], wanted[2])}
        if hashes != {job.plan_hash}:
            yield f"the chain of {job.id} has plan hashes {hashes}, its row {job.plan_hash}"


def _chat(history: History) -> Iterable[str]:
    if history.replies is None:
        return
    told: dict[str, str] = {}  # event -> the state of its request
    jobs: dict[str, str] = {}
    for reply in history.replies:
        if reply["kind"] in SAID_LAST:
            told[reply["in_reply_to"]] = reply["request"]["state"]
            jobs.update((job["id"], job["state"]) for job in reply["jobs"])
    for request in history.requests:
        if request.event_id not in history.taken or request.state not in REQUEST_TERMINAL:
            continue
        said = told.get(request.event_id)
        if said is None:
            yield f"chat was never told how r{request.number} ended"
        elif said != request.state:
            yield f"chat was told that r{request.number} is {said}, and it is {request.state}"
    for job in history.jobs:
        if jobs.get(job.id, job.state) != job.state:
            yield f"chat was told that {job.id} is {jobs[job.id]}, and it is {job.state}"
