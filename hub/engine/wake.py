"""Waking machines that sleep: what `hub.core.wake` decides is begun in a unit of work, asked of neighbours over their
links, and its end written and told.

A job for a machine that sleeps wakes it where its rule says `wake = true`, once in AGAIN_AFTER seconds.

What is under way is in memory, not in the store: a hub that is restarted meanwhile tells no result. That somebody asked
stands in the audit. What waits in the queue for machines that are away is looked at again every AGAIN_AFTER seconds,
the first time once machines have had the time to come back after the hub's start: jobs that such a rule is about wake
their machines then.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from common.catalogue import Sentence
from common.link.messages import Wake, Woken
from hub.chat.compose import ReplyComposer
from hub.core import wake as moves
from hub.core.wake import AGAIN_AFTER, DEADLINE, MAX_AT_ONCE, Peer, WakeEnd, Waking
from hub.engine.actor import ActionResult, Actor
from hub.engine.effects import Effects
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.identity.agents import ABSENT_STATES, AgentRegistry, MachinesSnapshot

MAX_ENDED: Final = 256
"""Results that are kept for those who ask later."""
FIRST_LOOK: Final = 90.0
"""Seconds after the start in which machines come back by themselves."""
BY_RULE: Final = Actor("hub", "rule")


def _say_nothing(name: str, message: Wake) -> None:
    """Until there are links."""


@dataclass(frozen=True, slots=True)
class WakeState:
    """`code` is "waking", that of a WakeEnd, or "none"."""

    code: str
    sentence: Sentence
    seconds: float = 0.0


class Wakes:
    """`tell` sends a message to a machine's link. All but `begin` belongs to the event loop."""

    def __init__(
        self, units: UnitOfWorkRunner, fleet: AgentRegistry, composer: ReplyComposer, clock: Callable[[], float]
    ) -> None:
        self.tell: Callable[[str, Wake], None] = _say_nothing
        self._units = units
        self._fleet = fleet
        self._composer = composer
        self._clock = clock
        self._waking: Mapping[str, Waking] = {}  # replaced, never changed: units of work read it in their thread
        self._ids: dict[str, tuple[str, str]] = {}  # of a message -> machine, neighbour
        self._ended: dict[str, WakeEnd] = {}
        self._wanted: dict[str, str] = {}  # machine -> request whose rule wants it woken
        self._look_at = clock() + FIRST_LOOK
        self._for_jobs: dict[str, float] = {}  # when a machine was woken for a job last

    def begin(self, uow: UnitOfWork, actor: Actor, machine: str, request: str = "") -> ActionResult:
        """Has a machine woken once this is committed. Ok where it is online already or being woken."""
        world = uow.world.machines
        agent = world.agents.get(machine)
        if agent is None or agent.state in ABSENT_STATES:
            return ActionResult(Sentence("no_machine_named", {"agent": machine}), "unknown")
        begun = moves.begin(
            Peer(machine, agent.facts or {}),
            online=machine in world.online,
            peers=_peers(world),
            others=self._waking.keys() | {one.machine for one in uow.effects.wakings},
            person=actor.person,
            request=request,
            now=uow.now,
        )
        if isinstance(begun, WakeEnd):
            is_fine = begun.code in ("online", "waking")
            data = {"waking": begun.code == "waking"}
            return ActionResult(begun.sentence, "" if is_fine else begun.code, data, machine)
        uow.effects.wakings.append(begun)
        networks = list(dict.fromkeys(network for _, network in begun.segments))
        told = {"networks": networks, "via": actor.via, "from": actor.remote}
        uow.audit("wake.asked", machine, actor.person, told)
        values = {"machine": machine, "networks": ", ".join(networks), "seconds": round(DEADLINE)}
        return ActionResult(Sentence("wake_begun", values), "", {"waking": True}, machine)

    def on_commit(self, effects: Effects) -> None:
        for waking in effects.wakings:
            if waking.machine not in self._waking:
                self._ended.pop(waking.machine, None)
                self._waking = {**self._waking, waking.machine: waking}
                self._step(waking)
        for machine, request in effects.to_wake:
            if len(self._wanted) < MAX_AT_ONCE:
                self._wanted.setdefault(machine, request)

    def note(self, neighbour: str, message: Woken) -> None:
        """What a neighbour says of a packet that it was asked for; of any other it changes nothing."""
        machine, asked = self._ids.get(message.id, ("", ""))
        waking = self._waking.get(machine)
        if waking is not None and asked == neighbour:
            del self._ids[message.id]
            self._waking = {**self._waking, machine: waking.answered(neighbour, message.reason)}

    def state(self, machine: str) -> WakeState:
        waking, ended = self._waking.get(machine), self._ended.get(machine)
        if waking is not None:
            return WakeState("waking", Sentence("wake_under_way", {"machine": machine}))
        if ended is not None:
            return WakeState(ended.code, ended.sentence, ended.seconds)
        return WakeState("none", Sentence("wake_none", {"machine": machine}))

    async def run_due(self) -> None:
        """Called twice a second."""
        await self._look_at_queue()
        await self._wake_for_jobs()
        for waking in self._waking.values():
            end = self._step(waking)
            if end is not None:
                await self._end(waking, end)

    async def _look_at_queue(self) -> None:
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + AGAIN_AFTER
            if any(rule.wake for rule in self._units.world().policy.rules):
                await self._units.write(_find_waiting)

    async def _wake_for_jobs(self) -> None:
        """What rules want: begun like what a person wants, and where it cannot be, said where the job was asked for."""
        now, world = self._clock(), self._fleet.snapshot
        self._for_jobs = {name: at for name, at in self._for_jobs.items() if now - at < AGAIN_AFTER}
        wanted, self._wanted = self._wanted, {}
        for machine, request in wanted.items():
            agent = world.agents.get(machine)
            if agent is None or agent.paused_by or machine in world.online or machine in self._for_jobs:
                continue
            self._for_jobs[machine] = now
            await self._units.write(partial(self._begin_for_job, machine=machine, request=request))

    def _begin_for_job(self, uow: UnitOfWork, machine: str, request: str) -> None:
        result = self.begin(uow, BY_RULE, machine, request)
        asked = uow.txn.request(request)
        if result.code and asked is not None:
            text = result.sentence.render(asked.language)
            uow.effects.replies |= self._composer.enqueue_notice(uow.txn, asked, text, uow.now)

    def _step(self, waking: Waking) -> WakeEnd | None:
        online, peers = self._fleet.online(waking.machine), _peers(self._fleet.snapshot)
        moved = moves.step(waking, online=online, peers=peers, now=self._clock())
        if isinstance(moved, WakeEnd):
            return moved
        after, asks = moved
        self._waking = {**self._waking, waking.machine: after}
        for ask in asks:
            known = secrets.token_hex(8)
            self._ids[known] = (waking.machine, ask.neighbour)
            self.tell(ask.neighbour, Wake(known, ask.mac, ask.network))
        return None

    async def _end(self, waking: Waking, end: WakeEnd) -> None:
        self._waking = {name: one for name, one in self._waking.items() if name != waking.machine}
        self._ids = {known: about for known, about in self._ids.items() if about[0] != waking.machine}
        self._ended[waking.machine] = end
        while len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]

        def unit(uow: UnitOfWork) -> None:
            why = "" if end.is_awake else str(end.sentence)
            told = {"what": end.code, "count": round(end.seconds), "why": why, "asked": list(waking.asked)}
            uow.audit("wake.ended", waking.machine, waking.person, told)
            request = uow.txn.request(waking.request) if waking.request else None
            if request is not None:
                text = end.sentence.render(request.language)
                uow.effects.replies |= self._composer.enqueue_notice(uow.txn, request, text, uow.now)

        await self._units.write(unit)


def _find_waiting(uow: UnitOfWork) -> None:
    """Machines that are away and have a job at the head of their queue whose rule wakes them."""
    if uow.world.recovering:
        return
    for name in uow.txn.agents_with_queue():
        if len(uow.effects.to_wake) >= MAX_AT_ONCE:
            return
        head = () if name in uow.world.machines.online else uow.txn.queue_of(name, 1)
        job = uow.txn.job(head[0][0]) if head else None
        request = uow.txn.request(job.request_id) if job is not None and job.not_before <= uow.now else None
        if job is None or request is None or request.plan is None or not uow.is_authentic(request):
            continue
        if uow.world.to_wake(request, request.plan.steps[job.step], [name], uow.now):
            uow.effects.to_wake.append((name, request.id))


def _peers(machines: MachinesSnapshot) -> Iterator[Peer]:
    """The machines online."""
    for name, agent in machines.agents.items():
        if name in machines.online:
            yield Peer(name, agent.facts or {})
