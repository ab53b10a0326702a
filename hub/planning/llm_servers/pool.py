"""The pool of model servers: one request in, one completion out, whatever happens at the nodes.

    complete: budget -> single flight -> queue -> node -> answer
                                          ^         |
                                          +---------+ failed: the next one

Requests wait in one bounded queue; `router.assign` gives them slots when one is free or a node has come back. Where a
node is slower than expected a second one is asked too (hedging), and the first complete answer wins.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hub.log import logger
from hub.planning.llm_servers import batch, router
from hub.planning.llm_servers.node import ModelClient, Node, NodeAnswer, NodeSpec, NodeStatus, SlotLease
from hub.planning.llm_servers.router import NodeState, RequestNeeds
from hub.planning.llm_servers.single_flight import FlightCancelled, SingleFlight
from hub.planning.llm_servers.token_budget import TokenBudget
from hub.planning.llm_servers.types import (
    PROMPT_TOKENS_PER_OUTPUT_TOKEN,
    Attempt,
    AttemptFailed,
    ChatMessage,
    ModelCompletion,
    ModelRequest,
    NoAnswer,
    NoAnswerReason,
    Timings,
)

log = logger("models")

MAX_ATTEMPTS: Final = 5  # of one request, second requests not counted
MAX_INVALID_ANSWERS: Final = 2  # malformed or truncated answers, or refusals: the request itself may be the cause
RECOVERY_WAIT: Final = 2.0  # seconds to wait for a node to come back
TICK_INTERVAL: Final = 0.1
GRACE: Final = 0.1  # seconds after its deadline in which a flight may still report the reason


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The limits for all nodes together, from the configuration."""

    queue: int = 256
    max_tokens: int = 1_024  # of one answer
    person_minute: int = 0  # tokens; 0: unlimited
    person_day: int = 0
    hedge: bool = True
    merge: int = 1  # messages that may share one call; 1: none do


@dataclass(slots=True)
class _AttemptLog:
    """The attempts of one request so far."""

    attempts: list[Attempt] = field(default_factory=list)
    excluded: set[str] = field(default_factory=set)
    interruptions: Counter[str] = field(default_factory=Counter)
    attempt_count: int = 0
    invalid_answers: int = 0
    rounds: int = 1

    def failed(self, node: str, failure: AttemptFailed) -> None:
        """Records a failure. A node whose answer broke off may be asked twice more; after other failures it is
        excluded.
        """
        self.interruptions[node] += failure.started
        if failure.kind != "gone" or not failure.started or self.interruptions[node] > 2:
            self.excluded.add(node)
        self.invalid_answers += failure.kind in ("nonsense", "cut", "refused")

    def no_answer(self, reason: NoAnswerReason, retry_after: float | None = None) -> NoAnswer:
        return NoAnswer(reason, tuple(self.attempts), retry_after)


@dataclass(eq=False, slots=True)
class _QueuedRequest:
    """A queued request. The future's result is a lease; or, if it was merged into another call, its share of that
    answer (None where that call failed).
    """

    request: ModelRequest
    needs: RequestNeeds
    batch_key: str | None
    future: asyncio.Future[SlotLease | ModelCompletion | None]
    batched: list[_QueuedRequest] = field(default_factory=list)
    unable_since: float | None = None  # since when no node could take it


class Pool:
    """The pool. `run` must be running for `complete` to return."""

    def __init__(
        self, servers: Sequence[tuple[NodeSpec, ModelClient]], limits: PoolLimits, clock: Callable[[], float]
    ) -> None:
        """`clock`: monotonic seconds, the clock of deadlines."""
        self._limits = limits
        self._clock = clock
        self._nodes = {spec.name: Node(spec, wire, clock, self._assign_slots) for spec, wire in servers}
        self._budget = TokenBudget(limits.person_minute, limits.person_day)
        self._hedges = router.HedgeBudget()
        self._queue: list[_QueuedRequest] = []
        self._flights: SingleFlight[ModelCompletion] | None = None
        self._queue_filled = asyncio.Event()

    # ---- life

    async def run(self) -> None:
        """Runs the nodes' health checks and the requests themselves, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._flights = SingleFlight(group)
                for node in self._nodes.values():
                    group.create_task(node.watch(), name=f"model {node.spec.name}")
                group.create_task(self._tick(), name="models")
        finally:
            self._flights = None

    async def wait_checked(self) -> None:
        """Returns once every node has had its first health check."""
        for node in self._nodes.values():
            await node.first_check.wait()

    def warm(self, system: str, affinity: str = "") -> None:
        """Has every node load its model and process this prompt, now and whenever one comes back."""
        request = ModelRequest(system, (ChatMessage("user", "-"),), None, 1, float("inf"), affinity)
        for node in self._nodes.values():
            node.warm(request)

    # ---- state

    def node_statuses(self) -> list[NodeStatus]:
        return [node.status() for node in self._nodes.values()]

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def digest(self) -> str:
        """A digest of the models that may answer, for cache keys: it changes with a node's model, not when a node goes
        down. Complete after `wait_checked`.
        """
        models = sorted({node.digest or node.spec.model for node in self._nodes.values()})
        return hashlib.sha256("\n".join(models).encode()).hexdigest()[:32]

    # ---- requests

    async def complete(self, request: ModelRequest) -> ModelCompletion:
        """A completion by the request's deadline; raises NoAnswer."""
        mergeable = request.batchable and self._limits.merge > 1
        request = replace(request, max_tokens=min(request.max_tokens, self._limits.max_tokens), batchable=mergeable)
        key = request.identity_key()
        while True:
            if self._flights is None or not self._nodes:
                raise NoAnswer("off")
            left = request.deadline - self._clock()
            if left <= 0:
                raise NoAnswer("late")
            try:
                completion, shared = await self._join_flight(self._flights, key, request, left)
            except NoAnswer as none:
                # The shared flight was another request's, with an earlier deadline.
                if none.reason == "late" and self._clock() < request.deadline:
                    continue
                raise
            return completion.as_shared() if shared else completion

    async def _join_flight(
        self, flights: SingleFlight[ModelCompletion], key: str, request: ModelRequest, left: float
    ) -> tuple[ModelCompletion, bool]:
        """Joins an identical request under way, or starts one, which the person's budget pays for."""
        pays = bool(request.person) and not flights.in_flight(key)
        tokens = request.prompt_tokens + request.max_tokens
        if pays:
            wait = self._budget.reserve(request.person, tokens, self._clock())
            if wait:
                raise NoAnswer("budget", retry_after=None if wait == float("inf") else wait)
        used = 0
        try:
            async with asyncio.timeout(left + GRACE):
                completion, shared = await flights.do(key, lambda: self._run_request(request))
            used = completion.tokens.prompt + completion.tokens.output
            return completion, shared
        except TimeoutError:
            raise NoAnswer("late") from None
        except FlightCancelled:
            raise NoAnswer("off") from None
        except NoAnswer as none:
            used = request.prompt_tokens * len(none.attempts)
            raise
        finally:
            if pays:
                self._budget.adjust(request.person, tokens, used, self._clock())

    async def _run_request(self, request: ModelRequest) -> ModelCompletion:
        """Runs one request through the queue and nodes until there is an answer."""
        began = self._clock()
        self._hedges.on_request()
        history = _AttemptLog()
        while True:
            place = await self._wait_for_slot(request, history)
            granted = place.future.result()
            if isinstance(granted, ModelCompletion):
                return granted
            if granted is None:  # the call that it was merged into failed
                request = replace(request, batchable=False)
                continue
            try:
                queued = self._clock() - began
                requests = [request, *(other.request for other in place.batched)]
                merged = batch.merge_requests(requests) if place.batched else request
                result = await self._race(merged, granted, place.needs, history)
                if result is None:
                    self._prepare_retry(request, history)
                    request = replace(request, batchable=False)
                    continue
                answer, node = result
                began_there = self._clock() - began - answer.total
                timings = Timings(queued, began_there + answer.first_token, self._clock() - began)
                completion = ModelCompletion(
                    answer.text,
                    node.spec.name,
                    node.spec.model,
                    node.digest,
                    answer.tokens,
                    timings,
                    tuple(history.attempts),
                )
                if not place.batched:
                    return completion
                share = self._split_batch(completion, place.batched)
                if share is not None:
                    return share
                request = replace(request, batchable=False)
            finally:
                granted.release()
                for other in place.batched:
                    if not other.future.done():
                        other.future.set_result(None)

    def _split_batch(self, completion: ModelCompletion, others: list[_QueuedRequest]) -> ModelCompletion | None:
        """Distributes a merged answer and returns the first request's part; None where there is not one part for
        each.
        """
        count = len(others) + 1
        texts = batch.split_answers(completion.text, count)
        if texts is None:
            return None
        tokens = completion.tokens
        each = replace(tokens, prompt=tokens.prompt // count, output=tokens.output // count, counted=False)
        for other, text in zip(others, texts[1:], strict=True):
            if not other.future.done():
                other.future.set_result(replace(completion, text=text, tokens=each))
        return replace(completion, text=texts[0], tokens=each)

    def _prepare_retry(self, request: ModelRequest, history: _AttemptLog) -> None:
        """Prepares the next attempt, or raises NoAnswer."""
        if self._clock() >= request.deadline:
            raise history.no_answer("late")
        if history.attempt_count >= MAX_ATTEMPTS or history.invalid_answers >= MAX_INVALID_ANSWERS:
            raise history.no_answer("failed")
        if history.excluded >= self._nodes.keys():
            if history.rounds > 1 or history.invalid_answers:
                raise history.no_answer("failed")
            history.rounds += 1
            history.excluded.clear()

    # ---- one attempt, hedged where it is slow

    async def _race(
        self, request: ModelRequest, lease: SlotLease, needs: RequestNeeds, history: _AttemptLog
    ) -> tuple[NodeAnswer, Node] | None:
        """The first complete answer and its node; None where all that were asked have failed."""
        began, may_hedge = self._clock(), self._limits.hedge
        leases = [lease]
        history.attempt_count += 1
        try:
            async with asyncio.TaskGroup() as group:
                running = {group.create_task(lease.node.call(request, lease)): lease}
                while running:
                    after = (
                        router.hedge_after(needs, self._routing_states(), lease.node.spec.name) if may_hedge else None
                    )
                    if may_hedge and after is None:
                        after = router.DEFAULT_HEDGE_DELAY  # another node may be up by then
                    done, _ = await asyncio.wait(running, timeout=after, return_when=asyncio.FIRST_COMPLETED)
                    if not done:
                        extra = self._lease_hedge(request, lease, needs)
                        if extra is not None:
                            may_hedge = False
                            leases.append(extra)
                            running[group.create_task(extra.node.call(request, extra))] = extra
                    for task in done:
                        node = running.pop(task).node
                        outcome, attempt = task.result()
                        history.attempts.append(attempt)
                        if isinstance(outcome, NodeAnswer):
                            for other, slower in running.items():
                                slower.overtaken = True
                                other.cancel()
                                elapsed = self._clock() - began
                                history.attempts.append(Attempt(slower.node.spec.name, "hedged", elapsed))
                            return outcome, node
                        history.failed(node.spec.name, outcome)
        finally:
            for one in leases:
                one.release()  # a task that was cancelled before it started has not done so
        return None

    def _lease_hedge(self, request: ModelRequest, lease: SlotLease, needs: RequestNeeds) -> SlotLease | None:
        """A slot for a second attempt, if one is free that no queued request needs."""
        if self._queue:
            return None
        name = router.hedge_node(needs, self._routing_states(), lease.node.spec.name)
        if name is None or not self._hedges.try_take():
            return None
        log.info("model.hedged", node=lease.node.spec.name, second=name)
        return self._nodes[name].lease(request)

    # ---- the queue

    async def _wait_for_slot(self, request: ModelRequest, history: _AttemptLog) -> _QueuedRequest:
        """Queues the request until it has a slot or an answer: the returned one's future has a result."""
        needs = RequestNeeds(
            cost=request.cost,
            prompt_cost=request.prompt_tokens / PROMPT_TOKENS_PER_OUTPUT_TOKEN,
            tokens=request.prompt_tokens + request.max_tokens,
            affinity=request.affinity,
            excluded=frozenset(history.excluded),
            interruptions=Counter(history.interruptions),
        )
        if not router.fits(needs, self._routing_states()):
            raise history.no_answer("too_long")
        if len(self._queue) >= self._limits.queue:
            raise history.no_answer("busy", retry_after=1.0)
        group = batch.batch_key(request)
        place = _QueuedRequest(request, needs, group, asyncio.get_running_loop().create_future())
        self._queue.append(place)
        self._assign_slots()
        self._queue_filled.set()
        try:
            self._fail_if_unroutable(place)
            async with asyncio.timeout(max(0.0, request.deadline - self._clock())):
                await place.future
        except TimeoutError:
            self._leave_queue(place)
            raise history.no_answer("late") from None
        except NoAnswer as none:
            raise history.no_answer(none.reason, none.retry_after) from None
        except asyncio.CancelledError:
            self._leave_queue(place)
            raise
        return place

    def _leave_queue(self, place: _QueuedRequest) -> None:
        """Removes it from the queue, and releases a slot that it was given too late."""
        if place in self._queue:
            self._queue.remove(place)
        if place.future.cancel() or place.future.cancelled() or place.future.exception() is not None:
            return
        granted = place.future.result()
        if isinstance(granted, SlotLease):
            for other in place.batched:
                if not other.future.done():
                    other.future.set_result(None)
            granted.release()

    def _routing_states(self) -> list[NodeState]:
        return [node.routing_state() for node in self._nodes.values()]

    def _assign_slots(self) -> None:
        """Assigns free slots to queued requests."""
        if not self._queue:
            return
        assigned = router.assign([one.needs for one in self._queue], self._routing_states())
        if not assigned:
            return
        going = [(self._queue[index], self._nodes[name]) for index, name in assigned]
        self._queue = [one for one in self._queue if all(one is not gone for gone, _ in going)]
        for place, node in going:
            self._collect_batch(place)
            if place.future.done():
                continue
            place.future.set_result(node.lease(place.request))

    def _collect_batch(self, place: _QueuedRequest) -> None:
        """Merges queued requests that may share the call."""
        if place.batch_key is None:
            return
        room = min(node.spec.context for node in self._nodes.values()) - place.needs.tokens
        for other in list(self._queue):
            if len(place.batched) + 1 >= self._limits.merge:
                return
            # The shared prompt is sent once; counting it for each request is a safe estimate.
            if other.batch_key == place.batch_key and other.needs.tokens <= room:
                room -= other.needs.tokens
                self._queue.remove(other)
                place.batched.append(other)

    async def _tick(self) -> None:
        """While requests are queued: assigns slots of breakers that have closed, and fails requests that no node
        can take.
        """
        while True:
            await self._queue_filled.wait()
            self._assign_slots()
            for place in list(self._queue):
                self._fail_if_unroutable(place)
            if not self._queue:
                self._queue_filled.clear()
            await asyncio.sleep(TICK_INTERVAL)

    def _fail_if_unroutable(self, place: _QueuedRequest) -> None:
        """Fails a request that no node can take, after RECOVERY_WAIT; at once where all nodes are known to be down."""
        if place.future.done():
            return
        if router.eligible(place.needs, self._routing_states()):
            place.unable_since = None
            return
        now = self._clock()
        if place.unable_since is None:
            place.unable_since = now
        views = [node.status() for node in self._nodes.values()]
        if now - place.unable_since < RECOVERY_WAIT and any(view.up for view in views):
            return
        self._queue.remove(place)
        place.future.set_exception(NoAnswer("failed" if place.needs.excluded or place.needs.interruptions else "down"))
