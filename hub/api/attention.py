"""What needs a person, from one read of the store. Pure but for that read.

    recovery  the hub was restored from a backup: an admin has to look before anything goes on
    storage   the store's disk is full: nothing new is taken or handed out, and what fills it
    approve   a plan that waits for a yes; `expires` is when the time to decide is over
    stuck     a job past its time limit, or handed out and not taken up
    unknown   a job whose outcome nobody knows; a late report of the machine, or a person, ends that
    anomaly   something that contradicts what was recorded before
    drain     a machine that takes nothing new, and how far it is
    clock     the clock of the hub's machine was set: what waits keeps its life, and the hub's time catches up
    file      a file that is not in force as it stands: a policy of the hub that does not read, or one of a machine that
              refuses every order for that
    budget    the store fills more than `[store] budget`, and no more output may be deleted for it
    witness   nothing signs the audit, or a place outside that keeps its checkpoints gets none for long, and why
    inlet     an inlet that gets no messages, or whose replies do not arrive, and why
    quiet     one that has delivered nothing for longer than its `quiet_after`
    allowed   an approval that holds for a while, so that nobody forgets it: last of all
    offline   a machine that is offline while jobs wait for it or were running on it, or that only a person brings
              back; one that is here and whose clock is off. Its text says why

Times are seconds since the epoch; `age` is the seconds since `since`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from common.api.overview import NeedView
from common.catalogue import Language, Sentence
from common.command.line import quote_command
from common.machine.absence import CLOCK_OFF, NEEDS_PERSON, Absence, absence_text, clock_text
from common.times import format_moment, utc
from hub.api.inlets import inlet_need
from hub.api.rows import truncate
from hub.api.views import drain_view
from hub.chat.inlet_status import InletStatus
from hub.cleanup import OverBudget
from hub.core.absence import why_away
from hub.core.chat_text import inline_text
from hub.core.hub_time import TOLD
from hub.core.records import Agent, AuditEvent, Job, Request, StandingApproval
from hub.core.recovery import Recovery
from hub.engine.standing_approvals import line_of
from hub.planning.watched_files import FileProblem
from hub.store.outbox import WaitingReplies
from hub.store.overview import JobBacklog
from hub.store.transaction import Txn
from hub.witness.service import SIGNING, PlaceState

MAX_ITEMS: Final = 20
MAX_MINOR_ITEMS: Final = 5
ANOMALY_WINDOW: Final = 3_600.0
"""Seconds for which a contradiction needs a person."""


@dataclass(frozen=True, slots=True)
class AttentionFacts:
    """What one read of the store gives."""

    queued: list[JobBacklog]
    handed_out: list[JobBacklog]
    requests: dict[str, tuple[int, float]]
    asking: list[Request]
    approvals_given: dict[str, int]
    stuck: list[Job]
    unknown: list[Job]
    anomalies: list[AuditEvent]
    paused: tuple[str, float, str] | None
    paused_until: float | None
    outbox: int
    replies: Mapping[str, WaitingReplies] = field(default_factory=dict)  # that wait, by inlet
    standing: Sequence[StandingApproval] = ()


def read_facts(txn: Txn, now: float) -> AttentionFacts:
    asking = txn.asking_requests(MAX_ITEMS)
    return AttentionFacts(
        queued=txn.queued_by_agent(),
        handed_out=txn.open_by_agent(),
        requests=txn.requests_waiting(),
        asking=asking,
        approvals_given={request.id: txn.count_granted(request.id) for request in asking if request.approvers > 1},
        stuck=txn.stuck_jobs(now, MAX_ITEMS),
        unknown=txn.unknown_jobs(MAX_ITEMS // 2),
        anomalies=txn.anomalies(now - ANOMALY_WINDOW, MAX_MINOR_ITEMS),
        paused=txn.queue_paused(),
        paused_until=txn.queue_paused_until(),
        outbox=txn.count_pending_replies(),
        replies=txn.waiting_replies(),
        standing=txn.live_standing(now, MAX_MINOR_ITEMS),
    )


def attention_list(
    facts: AttentionFacts,
    agents: Sequence[Agent],
    online: Callable[[str], bool],
    now: float,
    language: Language,
    files: Iterable[FileProblem] = (),
    refusing: Iterable[tuple[str, float]] = (),
    recovery: Recovery | None = None,
    clocks: Mapping[str, float] | None = None,
    inlets: Iterable[InletStatus] = (),
    witnesses: Iterable[PlaceState] = (),
    hub_ahead: float = 0.0,
    over_budget: OverBudget | None = None,
    full_disk: tuple[float, str] | None = None,
) -> tuple[NeedView, ...]:
    """The most pressing first: what holds everything back, files that are not in force, what has gone wrong, then
    approvals by expiry, then the machines. A console may have room for the first few alone.

    `refusing` are machines that refuse every order, and when they said so last; `clocks` is how far ahead of the
    hub's those of linked machines are, in seconds; `hub_ahead` is the hub's time of its own wall clock; `full_disk` is
    since when the store's disk is full, and what is said of it.
    """
    left = Counter({entry.agent: 0 for entry in facts.handed_out})
    for entry in facts.handed_out:
        left[entry.agent] += entry.jobs if entry.state != "unknown" else 0
    needs = [
        *([] if recovery is None or not recovery.active else [_recovery(recovery, now, language)]),
        *([] if full_disk is None else [_full_disk(*full_disk, now)]),
        *([_hub_clock(hub_ahead, now, language)] if abs(hub_ahead) >= TOLD else []),
        *(_file(problem, now, language) for problem in files),
        *([] if over_budget is None else [_budget(over_budget, now, language)]),
        *(_witness(state, now, language) for state in witnesses if state.needs_person(now)),
        *_inlets(inlets, now, language),
        *islice((_refusing(agent, since, now, language) for agent, since in refusing), MAX_MINOR_ITEMS),
        *(_job("stuck", job, job.started_at or job.leased_at, now) for job in facts.stuck),
        *(_job("unknown", job, job.ended_at, now) for job in facts.unknown),
        *(_anomaly(event, now) for event in facts.anomalies),
        *(_approve(request, facts.approvals_given.get(request.id, 0), now) for request in facts.asking),
        *(_drain(agent, left[agent.name], now, language) for agent in agents if agent.drain_at is not None),
        *_offline(facts, agents, online, clocks, now, language),
        *(_allowed(one, now, language) for one in facts.standing),
    ]
    return tuple(needs[: 3 * MAX_ITEMS])


def _recovery(recovery: Recovery, now: float, language: Language) -> NeedView:
    text = Sentence("recovery_now").render(language)
    return NeedView(kind="recovery", since=recovery.since, age=max(0.0, now - recovery.since), text=text)


def _hub_clock(ahead: float, now: float, language: Language) -> NeedView:
    """The machine's clock was set: `ahead` is what the hub's time has left of that."""
    text = Sentence("need_hub_clock", {"why": clock_text(-ahead, language)}).render(language)
    return NeedView(kind="clock", since=now, text=text)


def _offline(
    facts: AttentionFacts,
    agents: Sequence[Agent],
    online: Callable[[str], bool],
    clocks: Mapping[str, float] | None,
    now: float,
    language: Language,
) -> list[NeedView]:
    """The few machines that most jobs wait for, or were running on; then those that only a person brings back; then
    those that are here and whose clock is off.
    """
    jobs: Counter[str] = Counter()
    since: dict[str, float] = {}
    for entry in [*facts.queued, *facts.handed_out]:
        if entry.state != "unknown" and not online(entry.agent):
            jobs[entry.agent] += entry.jobs
            since[entry.agent] = min(entry.oldest, since.get(entry.agent, entry.oldest))
    known = {agent.name: agent for agent in agents}

    def need(name: str, count: int, at: float, text: str) -> NeedView:
        return NeedView(kind="offline", agent=name, since=at, age=max(0.0, now - at), who=name, count=count, text=text)

    def why(absence: Absence) -> str:
        return absence_text(absence, lambda at: format_moment(at, now, utc, seconds=False), language)

    needs = []
    for name, count in jobs.most_common(MAX_MINOR_ITEMS):
        away = why_away(known[name], online=False) if name in known else None
        key = "need_offline" if away is None else "need_locked" if away.code == "locked" else "need_away_jobs"
        values = {"agent": name, "count": count} | ({} if away is None else {"why": why(away)})
        needs.append(need(name, count, since[name], Sentence(key, values).render(language)))
    gone = [
        (away.since or now, agent.name, away)
        for agent in agents
        if agent.name not in jobs
        and (away := why_away(agent, online(agent.name))) is not None
        and away.code in NEEDS_PERSON
    ]
    for at, name, away in sorted(gone, key=lambda one: -one[0])[:MAX_MINOR_ITEMS]:
        key = "need_locked" if away.code == "locked" else "need_away"
        needs.append(need(name, 0, at, Sentence(key, {"agent": name, "why": why(away)}).render(language)))
    off = [(name, ahead) for name, ahead in (clocks or {}).items() if abs(ahead) >= CLOCK_OFF and online(name)]
    for name, ahead in sorted(off, key=lambda one: -abs(one[1]))[:MAX_MINOR_ITEMS]:
        values = {"agent": name, "why": clock_text(ahead, language)}
        needs.append(need(name, 0, now, Sentence("need_clock", values).render(language)))
    return needs


def _file(problem: FileProblem, now: float, language: Language) -> NeedView:
    return NeedView(
        kind="file",
        file=problem.path.name,
        since=problem.since,
        age=max(0.0, now - problem.since),
        text=truncate(problem.sentence.render(language)),
    )


def _budget(over: OverBudget, now: float, language: Language) -> NeedView:
    text = Sentence("need_budget", over.sizes()).render(language)
    return NeedView(kind="budget", since=over.since, age=max(0.0, now - over.since), text=text)


def _full_disk(since: float, text: str, now: float) -> NeedView:
    return NeedView(kind="storage", since=since, age=max(0.0, now - since), text=text)


def _witness(state: PlaceState, now: float, language: Language) -> NeedView:
    key = "need_audit_unsigned" if state.name == SIGNING else "need_audit_witness"
    text = Sentence(key, {"witness": state.name, "why": inline_text(state.problem)}).render(language)
    since = state.failing_since
    return NeedView(
        kind="witness", file=f"audit:{state.name}", since=since, age=max(0.0, now - since), text=truncate(text)
    )


def _inlets(inlets: Iterable[InletStatus], now: float, language: Language) -> list[NeedView]:
    """The quiet ones last: they may only have nothing to say."""
    found = [need for status in inlets if (need := inlet_need(status, now, language)) is not None]
    return sorted(found, key=lambda need: need.kind == "quiet")[:MAX_MINOR_ITEMS]


def _refusing(agent: str, since: float, now: float, language: Language) -> NeedView:
    return NeedView(
        kind="file",
        agent=agent,
        file=f"{agent}:policy.toml",
        since=since,
        age=max(0.0, now - since),
        text=Sentence("need_refusing", {"agent": agent}).render(language),
    )


def _anomaly(event: AuditEvent, now: float) -> NeedView:
    return NeedView(
        kind="anomaly",
        job=event.subject,
        agent=event.actor,
        since=event.at,
        age=max(0.0, now - event.at),
        who=event.actor,
        text=truncate(str(event.data.get("what") or event.kind)),
    )


def _allowed(one: StandingApproval, now: float, language: Language) -> NeedView:
    return NeedView(
        kind="allowed",
        file=f"a{one.number}",
        since=one.granted_at,
        age=max(0.0, now - one.granted_at),
        who=one.granted_by,
        text=truncate(line_of(one, now).render(language)),
        expires=one.expires_at,
    )


def _approve(request: Request, given: int, now: float) -> NeedView:
    steps = request.plan.steps if request.plan is not None else ()
    targets = request.plan.targets if request.plan is not None else ()
    since = request.planned_at or request.received_at
    return NeedView(
        kind="approve",
        number=request.number,
        since=since,
        age=max(0.0, now - since),
        who=request.person,
        inlet=request.inlet,
        text=truncate(quote_command(steps[0].argv, steps[0].filters)) if steps else truncate(request.text),
        agent=targets[0] if len(targets) == 1 else "",
        count=len(targets),
        given=given,
        approvers=request.approvers,
        second_factor=request.second_factor,
        expires=request.decide_by,
    )


def _job(kind: str, job: Job, since: float | None, now: float) -> NeedView:
    since = job.queued_at if since is None else since
    return NeedView(
        kind=kind,
        number=job.number,
        job=job.id,
        agent=job.agent,
        since=since,
        age=max(0.0, now - since),
        who=job.person,
        inlet=job.inlet,
        text=truncate(job.command or job.reason),
    )


def _drain(agent: Agent, left: int, now: float, language: Language) -> NeedView:
    since = agent.drain_at or now
    key = "need_drained" if not left else "need_draining"
    return NeedView(
        kind="drain",
        agent=agent.name,
        since=since,
        age=max(0.0, now - since),
        who=agent.drain_by,
        draining=drain_view(agent, left),
        text=Sentence(key, {"agent": agent.name, "left": left, "of": max(left, agent.drain_jobs)}).render(language),
    )
