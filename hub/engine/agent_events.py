"""What an agent says, committed inside one unit of work: facts about its jobs, their output, and the report that puts
its journal beside the hub's rows.

Who speaks is who the certificate names: an event about a job that is not that machine's changes nothing and becomes an
audit row, a few a minute at most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from common.lifecycle import JobState
from common.link.messages import (
    MIN_PROTOCOL,
    Accepted,
    Ended,
    Heartbeat,
    KnownKeys,
    Output,
    Refused,
    Report,
    Resync,
    Started,
    Unsure,
)
from common.machine.vitals import plausible_vitals
from hub.core.fair_queue import NEVER, DrainRate, Key, Turn, Turns
from hub.core.holder import knows_of, may_start
from hub.core.job import ComeBack, Release
from hub.core.job_output import MarkTruncated, StoreChunk, decide_output
from hub.core.machine_rows import MachineRows
from hub.core.rate_limits import RefusalLimiter
from hub.core.reconcile import MAX_ID, Reconciliation, reconcile
from hub.core.records import Job, StoredChunk
from hub.core.redelivery import comes_back
from hub.engine.effects import split_for_agent
from hub.engine.fair_line import FairLine
from hub.engine.holders import note_life
from hub.engine.key_changes import due_for, note_known
from hub.engine.recovery import take_jobs
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.identity.agents import AgentRegistry
from hub.store.lanes import OUTPUT_TURN, Lane

AgentEvent = Accepted | Refused | Started | Output | Ended | Unsure | Report | KnownKeys

OTHER_HOLDER: Final = "not started, says a holder of the name that did not have it"
MAX_UNKNOWN_NAMED: Final = 20  # jobs that nobody knows, named in one audit row
MAX_FOREIGN_ROWS: Final = 5  # audit rows a minute for one machine's events about jobs that are not its own
OUTPUT_AT_A_TIME: Final = 2
"""Turns of output in the store, of all machines: one is written while the other one's machine is answered. What waits
is not acknowledged, so that its machine stops sending; the others take turns."""
MAX_LINKS: Final = 1_000_000
SOME_OUTPUT: Final = 32 * 1024
"""Bytes of output in a batch of events up to which it is a unit like any other."""
MAX_VITALS: Final = 32  # of a machine, and characters of a name
MAX_VITAL: Final = 40


@dataclass(slots=True)
class AgentReplies:
    """What the hub answers an agent once its events are committed."""

    resync: Resync | None = None
    open: tuple[str, ...] = ()  # the machine's jobs that are under way, where a report was answered
    credits: dict[str, int] = field(default_factory=dict)
    forgets: list[str] = field(default_factory=list)
    cancels: list[tuple[str, bool]] = field(default_factory=list)
    confirms: dict[str, float] = field(default_factory=dict)  # accepted, and may start within so many seconds
    settled: list[str] = field(default_factory=list)
    key_changes: list[bytes] = field(default_factory=list)  # that the machine has not carried out, after its report
    returned: list[str] = field(default_factory=list)  # back in the queue: they take up no room any more
    queued: bool = False  # there is something to hand out, after its report


@dataclass(frozen=True, slots=True)
class RunnerBehind:
    """The runner that an agent's events are of."""

    life: str  # "" of a version that does not wait for confirmations
    protocol: int  # the one whose orders it takes
    ran: Mapping[str, float]  # job -> seconds, of those whose end it tells in one piece with their start
    sent: Collection[str] = ()  # jobs that left over the connection over which its report came


class AgentEventHandler:
    def __init__(self, units: UnitOfWorkRunner, fleet: AgentRegistry, clock: Callable[[], float]) -> None:
        self._output = FairLine(Turns((NEVER,), total=MAX_LINKS, per_key=1), OUTPUT_AT_A_TIME, clock, DrainRate())
        self._units = units
        self._fleet = fleet
        self.rows = MachineRows()
        self._foreign_limiter = RefusalLimiter(MAX_FOREIGN_ROWS)  # touched by units only: one thread

    async def handle(
        self,
        agent: str,
        events: Sequence[AgentEvent],
        estranged: bool = False,
        life: str = "",
        protocol: int = MIN_PROTOCOL,
        sent: Collection[str] = (),
    ) -> AgentReplies:
        """Commits a batch of one agent's events; the replies may be sent once this returns. `estranged`: the machine
        has heard a hub whose work this store does not know, so what it reports is taken. `life` is that of the runner
        behind the link, and `protocol` the one whose orders it takes. `sent`: see `hub.core.reconcile`.
        """
        ran = {event.job: event.ended_at - event.started_at for event in events if isinstance(event, Ended)}
        runner = RunnerBehind(life, MIN_PROTOCOL if estranged else protocol, ran, () if estranged else sent)
        replies = AgentReplies()
        for some, output in in_turns(events):
            commit = partial(self._apply, agent=agent, events=some, estranged=estranged, runner=runner, replies=replies)
            if output:
                turn = Turn(0, Key("", agent))
                await self._output.enter(turn)
                try:
                    _, effects = await self._units.commit(commit, Lane.OUTPUT, turn.key, output)
                finally:
                    self._output.leave(turn)
            else:
                _, effects = await self._units.commit(commit, Lane.JOBS)
            own, others = split_for_agent(effects, agent)
            self._units.publish(others)
            replies.forgets += own.forgets
            replies.cancels += own.cancels
            replies.settled += own.settled
        return replies

    async def flush(self, *, everything: bool = False) -> None:
        """Writes the sums of what machines have said beyond their share; at shutdown all of them."""

        def unit(uow: UnitOfWork) -> None:
            for machine, row in self.rows.due(uow.now, everything=everything):
                uow.audit(row.kind, machine, machine, row.data)

        if self.rows.holding:
            await self._units.write(unit, Lane.BACKGROUND)

    def heartbeat(self, agent: str, beat: Heartbeat, now: float, round_trip: float | None = None) -> None:
        """`round_trip` is the link's, in seconds, as the hub's own kernel measures it."""
        if beat.vitals:
            few = list(plausible_vitals(beat.vitals).items())[:MAX_VITALS]  # an older agent sends what it reads
            own = {"at": now} if round_trip is None else {"at": now, "rtt": round_trip}
            self._fleet.record_vitals(agent, {**{name[:MAX_VITAL]: value for name, value in few}, **own}, now)

    def _apply(
        self,
        uow: UnitOfWork,
        *,
        agent: str,
        events: Sequence[AgentEvent],
        estranged: bool,
        runner: RunnerBehind,
        replies: AgentReplies,
    ) -> None:
        uow.count_rows_of(agent, self.rows)
        for event in events:
            if isinstance(event, Report):
                if not note_life(uow, agent, event, estranged):
                    return  # there are two: this one's word is not taken, and its link ends
                if estranged:
                    take_jobs(uow, agent, event)
                _reconcile(uow, agent, event, replies, runner.sent)
                replies.key_changes = due_for(uow, agent)
            elif isinstance(event, KnownKeys):
                note_known(uow, agent, event)
            else:
                self._apply_event(uow, agent, event, replies, runner)

    def _apply_event(
        self,
        uow: UnitOfWork,
        agent: str,
        event: Accepted | Refused | Started | Output | Ended | Unsure,
        replies: AgentReplies,
        runner: RunnerBehind,
    ) -> None:
        job = uow.txn.job(event.job)
        if job is None and uow.txn.jobs_gone(agent, [event.job]):
            if isinstance(event, Ended):  # repeated by a machine that was away for as long as its row was kept
                uow.effects.forgets.setdefault(agent, []).append(event.job)
            return
        if job is None or job.agent != agent:
            for row in self._foreign_limiter.record(agent, "foreign", event.job[:MAX_ID], uow.now):
                uow.audit("job.foreign", row.remote, row.inlet, {"said": type(event).__name__, "count": row.count})
            return
        if isinstance(event, Output):
            _store_output(uow, job, event)
            replies.credits[job.id] = max(replies.credits.get(job.id, 0), event.seq)
            return
        if isinstance(event, Started) and job.leased_at is not None:
            waited = uow.now - job.leased_at - runner.ran.get(job.id, 0.0)
            uow.effects.stages.append(("start", max(0.0, waited)))
        if isinstance(event, Refused) and _comes_back(uow, job, event, runner):
            uow.apply_job_event(job, ComeBack(event.code, event.reason or event.code), agent)
            uow.effects.wake.add(agent)
            replies.returned.append(job.id)
            return
        if isinstance(event, Refused) and job.state is JobState.UNKNOWN and not _is_of_its_holder(uow, job):
            uow.audit("job.anomaly", job.id, agent, {"state": job.state.value, "what": OTHER_HOLDER})
            uow.effects.forgets.setdefault(agent, []).append(job.id)
            return
        after = uow.apply_job_event(job, event, agent)
        if isinstance(event, Accepted) and may_start(after, runner.life):
            replies.confirms[after.id] = after.not_after - uow.now
        if isinstance(event, Started | Ended):
            replies.confirms.pop(job.id, None)  # it had our word with its order
        if isinstance(event, Ended):
            replies.credits.pop(job.id, None)


def in_turns(events: Sequence[AgentEvent]) -> Iterator[tuple[Sequence[AgentEvent], int]]:
    """A batch of one machine's events in its order, as units: much output is written a turn at a time, behind what
    other machines and people have, and what is no more than an answer's worth together with what else was said. The
    bytes of its output, 0 of a unit that waits for no turn.
    """
    total = sum(len(event.data) for event in events if isinstance(event, Output))
    if total <= SOME_OUTPUT:
        yield events, 0
        return
    some: list[AgentEvent] = []
    size = 0
    for event in events:
        more = len(event.data) if isinstance(event, Output) else 0
        if some and size + more > OUTPUT_TURN:
            yield some, size
            some, size = [], 0
        some.append(event)
        size += more
    yield some, size


def _is_of_its_holder(uow: UnitOfWork, job: Job) -> bool:
    row = uow.txn.agent(job.agent)
    return row is not None and knows_of(job, row.lives)


def _comes_back(uow: UnitOfWork, job: Job, event: Refused, runner: RunnerBehind) -> bool:
    """Whether the refused job goes back into the queue. The journal is the one that the machine has reported last."""
    row = uow.txn.agent(job.agent)
    journal = "" if row is None else row.journal
    return comes_back(job, event.code, journal=journal, protocol=runner.protocol, now=uow.now)


def _store_output(uow: UnitOfWork, job: Job, chunk: Output) -> None:
    match decide_output(job, len(chunk.data)):
        case StoreChunk(after):
            if uow.txn.add_chunk(StoredChunk(job.id, chunk.seq, chunk.stream, chunk.data, chunk.at)):
                uow.txn.save_job(job, after)
                uow.effects.changed.add(job.id)
        case MarkTruncated(after, audit):
            uow.txn.save_job(job, after)
            uow.audit(audit.kind, job.id, job.agent, audit.data)


def _reconcile(uow: UnitOfWork, agent: str, report: Report, replies: AgentReplies, sent: Collection[str]) -> None:
    """Applies what `hub.core.reconcile` makes of a report."""
    open_jobs = uow.txn.open_jobs(agent)
    missing = report.open.keys() - {job.id for job in open_jobs}
    others = {job.id: job for job in map(uow.txn.job, missing) if job is not None}
    deleted = uow.txn.jobs_gone(agent, missing - others.keys())
    found = reconcile(agent, report, open_jobs, others, deleted, sent)
    wanted = {job: uow.txn.output_seq(job) + 1 for job in found.wanted}
    for job, move in found.moves:
        uow.apply_job_event(job, move, "hub")
        if isinstance(move, Release):
            uow.effects.wake.add(agent)
    _save_report(uow, agent, report, found)
    replies.resync = Resync(jobs=wanted, forget=found.forget, cancel=found.cancel)
    replies.open = found.under_way
    replies.queued = uow.txn.count_queued(agent=agent) > 0


def _save_report(uow: UnitOfWork, agent: str, report: Report, found: Reconciliation) -> None:
    if found.unknown:
        named = list(found.unknown[:MAX_UNKNOWN_NAMED])
        uow.audit("job.unheard_of", agent, agent, {"count": len(found.unknown), "jobs": named})
    row = uow.txn.agent(agent)
    if row is not None:
        journal, boot = report.journal[:MAX_ID], report.boot[:MAX_ID]
        uow.txn.save_agent(row, replace(row, journal=journal, boot=boot, last_seen=uow.now))
    uow.audit("agent.reported", agent, agent, {"open": len(report.open), "wanted": len(found.wanted)})
