"""The shell over the models: one question in, one answer out, whatever the nodes do meanwhile.

    complete: budget -> single flight -> line -> node -> answer
                                          ^        |
                                          +--------+ failed: the next one

Whoever asks waits in one bounded line; `router.assign` says who goes where when a slot is free or a node has come back.
A node that is slower than it ought to be gets company: a second one is asked as well, and the first whole answer wins.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hub.log import logger
from hub.models import batch, router
from hub.models.ask import PROMPT_SPEED, Ask, Attempt, Completion, Failed, NoAnswer, Reason, Timings, Turn
from hub.models.budget import Budget
from hub.models.node import Answer, Lease, Node, Spec, View, Wire
from hub.models.router import Standing, Wanted
from hub.models.single_flight import Ended, SingleFlight

log = logger("models")

MAX_ATTEMPTS: Final = 5  # of one request, second requests not counted
MAX_UNFIT: Final = 2  # answers that were nonsense or cut, or refusals: the request itself may be the cause
PATIENCE: Final = 2.0  # seconds to wait for a node to come back
TEND_EVERY: Final = 0.1
GRACE: Final = 0.1  # seconds that a flight may end after its deadline, with the reason


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the configuration says of all nodes together."""

    queue: int = 256
    max_tokens: int = 1_024  # of one answer
    person_minute: int = 0  # tokens; 0 is no bound
    person_day: int = 0
    hedge: bool = True
    merge: int = 1  # messages that may share one call; 1: none do


@dataclass(slots=True)
class _Trail:
    """What one request has been through."""

    attempts: list[Attempt] = field(default_factory=list)
    excluded: set[str] = field(default_factory=set)
    broke_off: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    unfit: int = 0
    rounds: int = 1

    def failed(self, node: str, failure: Failed) -> None:
        """A node whose answer broke off may be asked again, twice; what failed otherwise would fail again."""
        self.broke_off[node] += failure.begun
        if failure.kind != "gone" or not failure.begun or self.broke_off[node] > 2:
            self.excluded.add(node)
        self.unfit += failure.kind in ("nonsense", "cut", "refused")

    def no_answer(self, reason: Reason, retry_after: float | None = None) -> NoAnswer:
        return NoAnswer(reason, tuple(self.attempts), retry_after)


@dataclass(eq=False, slots=True)
class _Waiting:
    """One place in the line. The future gets a lease; or, for a rider, its share of another's answer (None where
    there is none after all).
    """

    ask: Ask
    wanted: Wanted
    group: str | None
    future: asyncio.Future[Lease | Completion | None]
    riders: list[_Waiting] = field(default_factory=list)
    unable_since: float | None = None  # since when no node could be asked for it


class Pool:
    """`run` until cancelled; `complete` meanwhile."""

    def __init__(self, servers: Sequence[tuple[Spec, Wire]], bounds: Bounds, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds, the one that deadlines are on."""
        self._bounds = bounds
        self._clock = clock
        self._nodes = {spec.name: Node(spec, wire, clock, self._changed) for spec, wire in servers}
        self._budget = Budget(bounds.person_minute, bounds.person_day)
        self._hedges = router.Hedges()
        self._line: list[_Waiting] = []
        self._flights: SingleFlight[Completion] | None = None
        self._lined_up = asyncio.Event()

    # ---- life

    async def run(self) -> None:
        """Looks after the nodes; requests live in here too, and end with it."""
        try:
            async with asyncio.TaskGroup() as group:
                self._flights = SingleFlight(group)
                for node in self._nodes.values():
                    group.create_task(node.watch(), name=f"model {node.spec.name}")
                group.create_task(self._tend(), name="models")
        finally:
            self._flights = None

    async def checked(self) -> None:
        """Returns once every node has had its first health check."""
        for node in self._nodes.values():
            await node.checked.wait()

    def warm(self, system: str, affinity: str = "") -> None:
        """Has every node load its model and read this prompt, now and whenever one comes back."""
        ask = Ask(system, (Turn("user", "-"),), None, 1, float("inf"), affinity)
        for node in self._nodes.values():
            node.warm(ask)

    # ---- what is told

    def views(self) -> list[View]:
        return [node.view() for node in self._nodes.values()]

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def digest(self) -> str:
        """Stands for the models that may answer, for the cache: it changes when a node's model does, and not when a
        node goes down. Complete once `checked`.
        """
        models = sorted({node.digest or node.spec.model for node in self._nodes.values()})
        return hashlib.sha256("\n".join(models).encode()).hexdigest()[:32]

    # ---- asking

    async def complete(self, ask: Ask) -> Completion:
        """An answer by the deadline; raises NoAnswer."""
        mergeable = ask.mergeable and self._bounds.merge > 1
        ask = replace(ask, max_tokens=min(ask.max_tokens, self._bounds.max_tokens), mergeable=mergeable)
        key = ask.identity()
        while True:
            if self._flights is None or not self._nodes:
                raise NoAnswer("off")
            left = ask.deadline - self._clock()
            if left <= 0:
                raise NoAnswer("late")
            try:
                completion, shared = await self._take_part(self._flights, key, ask, left)
            except NoAnswer as none:
                # The flight was another's, with less time than there is here.
                if none.reason == "late" and self._clock() < ask.deadline:
                    continue
                raise
            return completion.as_shared() if shared else completion

    async def _take_part(
        self, flights: SingleFlight[Completion], key: str, ask: Ask, left: float
    ) -> tuple[Completion, bool]:
        """In the flight that is under way, or in one that is begun and paid for here."""
        pays = bool(ask.person) and not flights.under_way(key)
        tokens = ask.prompt_tokens + ask.max_tokens
        if pays:
            wait = self._budget.reserve(ask.person, tokens, self._clock())
            if wait:
                raise NoAnswer("budget", retry_after=None if wait == float("inf") else wait)
        used = 0
        try:
            async with asyncio.timeout(left + GRACE):
                completion, shared = await flights.do(key, lambda: self._fly(ask))
            used = completion.tokens.prompt + completion.tokens.output
            return completion, shared
        except TimeoutError:
            raise NoAnswer("late") from None
        except Ended:
            raise NoAnswer("off") from None
        except NoAnswer as none:
            used = ask.prompt_tokens * len(none.attempts)
            raise
        finally:
            if pays:
                self._budget.settle(ask.person, tokens, used, self._clock())

    async def _fly(self, ask: Ask) -> Completion:
        """One request through the line and to one node after the other, until there is an answer."""
        began = self._clock()
        self._hedges.request()
        trail = _Trail()
        while True:
            place = await self._place(ask, trail)
            got = place.future.result()
            if isinstance(got, Completion):
                return got
            if got is None:  # the call that it shared came to nothing
                ask = replace(ask, mergeable=False)
                continue
            try:
                queued = self._clock() - began
                asks = [ask, *(rider.ask for rider in place.riders)]
                asked = batch.combine(asks) if place.riders else ask
                won = await self._race(asked, got, place.wanted, trail)
                if won is None:
                    self._after_failure(ask, trail)
                    ask = replace(ask, mergeable=False)
                    continue
                answer, node = won
                began_there = self._clock() - began - answer.total
                timings = Timings(queued, began_there + answer.first, self._clock() - began)
                completion = Completion(
                    answer.text,
                    node.spec.name,
                    node.spec.model,
                    node.digest,
                    answer.tokens,
                    timings,
                    tuple(trail.attempts),
                )
                if not place.riders:
                    return completion
                share = self._share_out(completion, place.riders)
                if share is not None:
                    return share
                ask = replace(ask, mergeable=False)
            finally:
                got.release()
                for rider in place.riders:
                    if not rider.future.done():
                        rider.future.set_result(None)

    def _share_out(self, completion: Completion, riders: list[_Waiting]) -> Completion | None:
        """Hands the riders their part and returns the first one's; None where the answer is not one for each."""
        count = len(riders) + 1
        texts = batch.split(completion.text, count)
        if texts is None:
            return None
        tokens = completion.tokens
        each = replace(tokens, prompt=tokens.prompt // count, output=tokens.output // count, counted=False)
        for rider, text in zip(riders, texts[1:], strict=True):
            if not rider.future.done():
                rider.future.set_result(replace(completion, text=text, tokens=each))
        return replace(completion, text=texts[0], tokens=each)

    def _after_failure(self, ask: Ask, trail: _Trail) -> None:
        """Leaves the trail ready for the next attempt, or raises NoAnswer."""
        if self._clock() >= ask.deadline:
            raise trail.no_answer("late")
        if trail.asked >= MAX_ATTEMPTS or trail.unfit >= MAX_UNFIT:
            raise trail.no_answer("failed")
        if trail.excluded >= self._nodes.keys():
            if trail.rounds > 1 or trail.unfit:
                raise trail.no_answer("failed")
            trail.rounds += 1
            trail.excluded.clear()

    # ---- one attempt, with company where it is slow

    async def _race(self, ask: Ask, lease: Lease, wanted: Wanted, trail: _Trail) -> tuple[Answer, Node] | None:
        """The first whole answer and whose it is; None after all that were asked have failed."""
        began, may_hedge = self._clock(), self._bounds.hedge
        leases = [lease]
        trail.asked += 1
        try:
            async with asyncio.TaskGroup() as group:
                running = {group.create_task(lease.node.call(ask, lease)): lease}
                while running:
                    after = router.hedge_after(wanted, self._standings(), lease.node.spec.name) if may_hedge else None
                    if may_hedge and after is None:
                        after = router.FIRST_HEDGE  # there may be another by then
                    done, _ = await asyncio.wait(running, timeout=after, return_when=asyncio.FIRST_COMPLETED)
                    if not done:
                        extra = self._second(ask, lease, wanted)
                        if extra is not None:
                            may_hedge = False
                            leases.append(extra)
                            running[group.create_task(extra.node.call(ask, extra))] = extra
                    for task in done:
                        node = running.pop(task).node
                        outcome, attempt = task.result()
                        trail.attempts.append(attempt)
                        if isinstance(outcome, Answer):
                            for other, slower in running.items():
                                slower.overtaken = True
                                other.cancel()
                                elapsed = self._clock() - began
                                trail.attempts.append(Attempt(slower.node.spec.name, "hedged", elapsed))
                            return outcome, node
                        trail.failed(node.spec.name, outcome)
        finally:
            for one in leases:
                one.release()  # a task that was cancelled before it began has not
        return None

    def _second(self, ask: Ask, lease: Lease, wanted: Wanted) -> Lease | None:
        """A slot for a second request, where there is one that nobody waits for."""
        if self._line:
            return None
        name = router.second(wanted, self._standings(), lease.node.spec.name)
        if name is None or not self._hedges.take():
            return None
        log.info("model.hedged", node=lease.node.spec.name, second=name)
        return self._nodes[name].lease(ask)

    # ---- the line

    async def _place(self, ask: Ask, trail: _Trail) -> _Waiting:
        """Waits in the line. The future of what is returned has a result."""
        wanted = Wanted(
            cost=ask.cost,
            prompt_cost=ask.prompt_tokens / PROMPT_SPEED,
            tokens=ask.prompt_tokens + ask.max_tokens,
            affinity=ask.affinity,
            excluded=frozenset(trail.excluded),
            broke_off=Counter(trail.broke_off),
        )
        if not router.fits(wanted, self._standings()):
            raise trail.no_answer("too_long")
        if len(self._line) >= self._bounds.queue:
            raise trail.no_answer("busy", retry_after=1.0)
        group = batch.group_of(ask)
        place = _Waiting(ask, wanted, group, asyncio.get_running_loop().create_future())
        self._line.append(place)
        self._changed()
        self._lined_up.set()
        try:
            self._give_up_on(place)
            async with asyncio.timeout(max(0.0, ask.deadline - self._clock())):
                await place.future
        except TimeoutError:
            self._leave(place)
            raise trail.no_answer("late") from None
        except NoAnswer as none:
            raise trail.no_answer(none.reason, none.retry_after) from None
        except asyncio.CancelledError:
            self._leave(place)
            raise
        return place

    def _leave(self, place: _Waiting) -> None:
        """Takes it out of the line, and gives back what it was given too late."""
        if place in self._line:
            self._line.remove(place)
        if place.future.cancel() or place.future.cancelled() or place.future.exception() is not None:
            return
        got = place.future.result()
        if isinstance(got, Lease):
            for rider in place.riders:
                if not rider.future.done():
                    rider.future.set_result(None)
            got.release()

    def _standings(self) -> list[Standing]:
        return [node.standing() for node in self._nodes.values()]

    def _changed(self) -> None:
        """Gives away the slots that are free."""
        if not self._line:
            return
        assigned = router.assign([one.wanted for one in self._line], self._standings())
        if not assigned:
            return
        going = [(self._line[index], self._nodes[name]) for index, name in assigned]
        self._line = [one for one in self._line if all(one is not gone for gone, _ in going)]
        for place, node in going:
            self._pick_up_riders(place)
            if place.future.done():
                continue
            place.future.set_result(node.lease(place.ask))

    def _pick_up_riders(self, place: _Waiting) -> None:
        """Those who would still wait, and may share its call."""
        if place.group is None:
            return
        room = min(node.spec.context for node in self._nodes.values()) - place.wanted.tokens
        for other in list(self._line):
            if len(place.riders) + 1 >= self._bounds.merge:
                return
            # The prompt is there once; counting it again for each keeps well within the room.
            if other.group == place.group and other.wanted.tokens <= room:
                room -= other.wanted.tokens
                self._line.remove(other)
                place.riders.append(other)

    async def _tend(self) -> None:
        """While anybody waits: breakers whose time is over, and those for whom no node comes back."""
        while True:
            await self._lined_up.wait()
            self._changed()
            for place in list(self._line):
                self._give_up_on(place)
            if not self._line:
                self._lined_up.clear()
            await asyncio.sleep(TEND_EVERY)

    def _give_up_on(self, place: _Waiting) -> None:
        """Ends the wait of one that no node can be asked for: at once where all are known to be down."""
        if place.future.done():
            return
        if router.eligible(place.wanted, self._standings()):
            place.unable_since = None
            return
        now = self._clock()
        if place.unable_since is None:
            place.unable_since = now
        views = [node.view() for node in self._nodes.values()]
        if now - place.unable_since < PATIENCE and any(view.up for view in views):
            return
        self._line.remove(place)
        place.future.set_exception(NoAnswer("failed" if place.wanted.excluded or place.wanted.broke_off else "down"))
