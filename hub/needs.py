"""What needs a person, from one read of the store. Pure but for that read.

    approve   a plan that waits for a yes; `expires` is when the time to decide is over
    stuck     a job past its time limit, or handed out and not taken up
    unknown   a job whose outcome nobody knows: the machine's late word or a person's ends that
    anomaly   something that contradicts what was recorded before
    drain     a machine that takes nothing new, and how far it is
    offline   a machine that is away while jobs wait for it or run there

Moments are seconds since the epoch; `age` is the seconds since `since`.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from common.catalogue import Language, Sentence
from hub.records import Agent, Event, Job, Request
from hub.rows import short
from hub.store.boards import Waiting
from hub.store.verbs import Txn
from hub.views import draining

MANY: Final = 20
FEW: Final = 5
ODD_FOR: Final = 3_600.0
"""Seconds that a contradiction stays among what needs a person."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one read of the store gives."""

    queued: list[Waiting]
    opened: list[Waiting]
    requests: dict[str, tuple[int, float]]
    asking: list[Request]
    given: dict[str, int]
    stuck: list[Job]
    unknown: list[Job]
    odd: list[Event]
    paused: tuple[str, float, str] | None
    paused_until: float | None
    outbox: int


def read_facts(txn: Txn, now: float) -> Facts:
    asking = txn.asking_requests(MANY)
    return Facts(
        queued=txn.queued_by_agent(),
        opened=txn.open_by_agent(),
        requests=txn.requests_waiting(),
        asking=asking,
        given={request.id: txn.count_given(request.id) for request in asking if request.approvers > 1},
        stuck=txn.stuck_jobs(now, MANY),
        unknown=txn.unknown_jobs(MANY // 2),
        odd=txn.odd_events(now - ODD_FOR, FEW),
        paused=txn.queue_paused(),
        paused_until=txn.queue_paused_until(),
        outbox=txn.pending_replies(),
    )


def needs_you(
    facts: Facts, agents: Iterable[Agent], online: Callable[[str], bool], now: float, language: Language
) -> list[dict[str, Any]]:
    """The most pressing first: approvals by expiry, then what is stuck or not known, then the machines."""
    left = Counter({entry.agent: 0 for entry in facts.opened})
    for entry in facts.opened:
        left[entry.agent] += entry.jobs if entry.state != "unknown" else 0
    return [
        *(_approve(request, facts.given.get(request.id, 0), now) for request in facts.asking),
        *(_job("stuck", job, job.started_at or job.leased_at, now) for job in facts.stuck),
        *(_job("unknown", job, job.ended_at, now) for job in facts.unknown),
        *(_anomaly(event, now) for event in facts.odd),
        *(_drain(agent, left[agent.name], now, language) for agent in agents if agent.drain_at is not None),
        *_offline(facts, online, now, language),
    ][: 3 * MANY]


def _offline(facts: Facts, online: Callable[[str], bool], now: float, language: Language) -> list[dict[str, Any]]:
    """The few machines that most jobs wait for, or were running on."""
    jobs: Counter[str] = Counter()
    since: dict[str, float] = {}
    for entry in [*facts.queued, *facts.opened]:
        if entry.state != "unknown" and not online(entry.agent):
            jobs[entry.agent] += entry.jobs
            since[entry.agent] = min(entry.oldest, since.get(entry.agent, entry.oldest))
    return [
        {
            "kind": "offline",
            "agent": name,
            "since": since[name],
            "age": max(0.0, now - since[name]),
            "who": name,
            "count": count,
            "text": Sentence("need_offline", {"agent": name, "count": count}).say(language),
        }
        for name, count in jobs.most_common(FEW)
    ]


def _anomaly(event: Event, now: float) -> dict[str, Any]:
    return {
        "kind": "anomaly",
        "job": event.subject,
        "agent": event.actor,
        "since": event.at,
        "age": max(0.0, now - event.at),
        "who": event.actor,
        "text": short(str(event.data.get("what") or event.kind)),
    }


def _approve(request: Request, given: int, now: float) -> dict[str, Any]:
    steps = request.plan.steps if request.plan is not None else ()
    targets = request.plan.targets if request.plan is not None else ()
    since = request.planned_at or request.received_at
    return {
        "kind": "approve",
        "number": request.number,
        "since": since,
        "age": max(0.0, now - since),
        "who": request.person,
        "inlet": request.inlet,
        "text": short(shlex.join(steps[0].argv)) if steps else short(request.text),
        "agent": targets[0] if len(targets) == 1 else "",
        "count": len(targets),
        "given": given,
        "approvers": request.approvers,
        "second_factor": request.second_factor,
        "expires": request.decide_by,
    }


def _job(kind: str, job: Job, since: float | None, now: float) -> dict[str, Any]:
    since = job.queued_at if since is None else since
    return {
        "kind": kind,
        "number": job.number,
        "job": job.id,
        "agent": job.agent,
        "since": since,
        "age": max(0.0, now - since),
        "who": job.person,
        "inlet": job.inlet,
        "text": short(job.command or job.reason),
    }


def _drain(agent: Agent, left: int, now: float, language: Language) -> dict[str, Any]:
    since = agent.drain_at or now
    key = "need_drained" if not left else "need_draining"
    return {
        "kind": "drain",
        "agent": agent.name,
        "since": since,
        "age": max(0.0, now - since),
        "who": agent.drain_by,
        "draining": draining(agent, left),
        "text": Sentence(key, {"agent": agent.name, "left": left, "of": max(left, agent.drain_jobs)}).say(language),
    }
