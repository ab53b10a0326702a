"""One model server: its client, slots, circuit breaker and statistics.

`lease` takes a slot, `call` makes one attempt in it, `watch` runs health checks (is it up, does it have the model,
which version) and warms the server up. A server whose connection failed is down until a health check succeeds; one that
answers wrongly is handled by the breaker.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hub.core.lru import Lru
from hub.log import logger
from hub.planning.llm_servers.circuit_breaker import BreakerState, CircuitBreaker
from hub.planning.llm_servers.router import NodeState
from hub.planning.llm_servers.stats import NodeStats
from hub.planning.llm_servers.types import (
    PROMPT_TOKENS_PER_OUTPUT_TOKEN,
    Attempt,
    AttemptFailed,
    FirstToken,
    Healthy,
    ModelRequest,
    StreamEnd,
    StreamEvent,
    TextDelta,
    TokenUsage,
    estimate_tokens,
)

log = logger("models")

UP_CHECK_INTERVAL: Final = 15.0  # seconds between health checks
MIN_DOWN_CHECK_INTERVAL: Final = 0.5
MAX_DOWN_CHECK_INTERVAL: Final = 15.0
PROBE_TIMEOUT: Final = 5.0
PREFIXES_PER_SLOT: Final = 8  # affinity keys remembered a slot
PACE_HALF_LIFE: Final = (
    60.0  # seconds without a request after which half its pace is assumed, so that it is tried again
)


class ModelClient(Protocol):
    """The client of one server's protocol."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]: ...

    async def probe(self) -> Healthy | AttemptFailed: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """The configuration of a node."""

    name: str
    model: str
    kind: str = "ollama"
    priority: int = 1
    parallel: int = 2
    timeout: float = 60.0  # seconds that one attempt may take
    context: int = 8_192  # tokens that fit, prompt and answer


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """A complete answer; times in seconds since the attempt began."""

    text: str
    first_token: float
    total: float
    tokens: TokenUsage


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node's state for people and metrics."""

    spec: NodeSpec
    up: bool
    problem: str  # "" where there is none
    breaker: BreakerState
    digest: str
    running: int
    load: float
    stats: NodeStats


class SlotLease:
    """A slot of a node for one attempt; `release` frees it and may be called twice."""

    __slots__ = ("_active", "_remaining", "node", "overtaken")

    def __init__(self, node: Node, work: float) -> None:
        self.node = node
        self.overtaken = False  # another node was faster: why the attempt is cancelled
        self._remaining = work
        self._active = True

    @property
    def remaining_work(self) -> float:
        """The estimated work left in this attempt, in generated tokens."""
        return self._remaining if self._active else 0.0

    def progress(self, work: float) -> None:
        self._remaining = max(0.0, self._remaining - work)

    def release(self) -> None:
        if self._active:
            self._active = False
            self.node.on_released(self)


class Node:
    """One server. `on_available` is called when a slot has become free or the node has come back."""

    def __init__(
        self, spec: NodeSpec, client: ModelClient, clock: Callable[[], float], on_available: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.stats = NodeStats()
        self.digest = ""  # of the model, from the last successful health check
        self._client = client
        self._clock = clock
        self._on_available = on_available
        self._breaker = CircuitBreaker()
        self._up = True  # assumed, so that the first requests need not wait for a health check
        self._problem = ""
        self._leases: set[SlotLease] = set()
        self._prefixes: Lru[str, None] = Lru(PREFIXES_PER_SLOT * spec.parallel)
        self._asked_at = clock()
        self._recheck = asyncio.Event()
        self._warm_up_request: ModelRequest | None = None
        self._warmed_up = False
        self.first_check = asyncio.Event()  # set once the first health check has ended

    # ---- for the router

    def routing_state(self) -> NodeState:
        now = self._clock()
        pace = self.stats.pace
        if pace is not None and not self._leases:
            pace *= 0.5 ** ((now - self._asked_at) / PACE_HALF_LIFE)
        return NodeState(
            name=self.spec.name,
            priority=self.spec.priority,
            up=self._up and self._breaker.allows(now),
            free=self.spec.parallel - len(self._leases),
            parallel=self.spec.parallel,
            load=self._load(),
            pace=pace,
            p95=self.stats.p95_pace(),
            context=self.spec.context,
            reliability=self.stats.reliability,
            prefixes=self._prefixes.keys(),
        )

    def status(self) -> NodeStatus:
        state = self._breaker.state(self._clock())
        return NodeStatus(
            self.spec, self._up, self._problem, state, self.digest, len(self._leases), self._load(), self.stats
        )

    def _load(self) -> float:
        return sum(lease.remaining_work for lease in self._leases)

    # ---- attempts

    def lease(self, request: ModelRequest) -> SlotLease:
        """Takes a slot; the caller must release it."""
        now = self._clock()
        lease = SlotLease(self, request.cost)
        self._leases.add(lease)
        self._breaker = self._breaker.started(now)
        self._asked_at = now
        if request.affinity:
            self._prefixes.put(request.affinity, None)
        return lease

    def on_released(self, lease: SlotLease) -> None:
        self._leases.discard(lease)
        self._breaker = self._breaker.cancelled()
        self._on_available()

    async def call(self, request: ModelRequest, lease: SlotLease) -> tuple[NodeAnswer | AttemptFailed, Attempt]:
        """Makes one attempt in a slot and releases it. Cancelling closes the connection, which ends the server's
        work.
        """
        started = self._clock()
        seconds = min(self.spec.timeout, request.deadline - started)
        outcome: NodeAnswer | AttemptFailed
        try:
            try:
                async with asyncio.timeout(max(0.0, seconds)):
                    outcome = await self._read_stream(request, lease, started)
            except TimeoutError:
                outcome = AttemptFailed("slow", f"no answer within {seconds:.1f} s")
            took = self._clock() - started
            self._record_outcome(request, outcome, took, in_a_hurry=seconds < self.spec.timeout / 2)
        except asyncio.CancelledError:
            self._record_cancelled(request, lease, self._clock() - started)
            raise
        finally:
            lease.release()  # after the outcome is recorded, since a free slot is assigned at once
        if isinstance(outcome, NodeAnswer):
            return outcome, Attempt(self.spec.name, "ok", took)
        return outcome, Attempt(self.spec.name, outcome.kind, took, outcome.detail)

    async def _read_stream(self, request: ModelRequest, lease: SlotLease, started: float) -> NodeAnswer | AttemptFailed:
        pieces: list[str] = []
        first: float | None = None
        async with aclosing(self._client.stream(request)) as events:
            async for event in events:
                match event:
                    case FirstToken():
                        first = self._clock() - started
                        lease.progress(request.prompt_tokens / PROMPT_TOKENS_PER_OUTPUT_TOKEN)
                    case TextDelta(text):
                        pieces.append(text)
                        lease.progress(estimate_tokens(text))
                    case StreamEnd():
                        total = self._clock() - started
                        return _build_answer(request, "".join(pieces), event, total if first is None else first, total)
                    case AttemptFailed():
                        return replace(event, started=first is not None)
        return AttemptFailed("gone", "the answer broke off", started=first is not None)

    def _record_outcome(
        self, request: ModelRequest, outcome: NodeAnswer | AttemptFailed, took: float, *, in_a_hurry: bool
    ) -> None:
        """Updates breaker and statistics with an outcome; `in_a_hurry`: the request had less than half the node's
        timeout.
        """
        if isinstance(outcome, NodeAnswer):
            tokens = outcome.tokens
            self._breaker = self._breaker.succeeded()
            self.stats.answered(
                cost=request.cost,
                first=outcome.first_token,
                total=outcome.total,
                prompt=tokens.prompt,
                output=tokens.output,
            )
            return
        self.stats.failed(outcome.kind)
        log.warning(
            "model.failed", node=self.spec.name, kind=outcome.kind, detail=outcome.detail, seconds=round(took, 3)
        )
        if outcome.kind == "slow" and in_a_hurry:
            return  # the request's deadline was shorter than the node's timeout: not the node's failure
        self._breaker = self._breaker.failed(outcome, self._clock())
        if outcome.kind in ("gone", "unauthorised"):
            self._recheck.set()

    def _record_cancelled(self, request: ModelRequest, lease: SlotLease, elapsed: float) -> None:
        if lease.overtaken:
            self.stats.overtaken(request.cost, elapsed)
        else:
            self.stats.failed("cancelled")

    # ---- health checks

    def warm(self, request: ModelRequest) -> None:
        """Has the node load its model and process this prompt, now and whenever it comes back."""
        self._warm_up_request, self._warmed_up = request, False
        self._recheck.set()

    async def watch(self) -> None:
        """Runs health checks until cancelled, then closes the client."""
        rest = MIN_DOWN_CHECK_INTERVAL
        try:
            while True:
                self._recheck.clear()
                await self._check()
                self.first_check.set()
                rest = MIN_DOWN_CHECK_INTERVAL if self._up else min(MAX_DOWN_CHECK_INTERVAL, 2 * rest)
                try:
                    async with asyncio.timeout(UP_CHECK_INTERVAL if self._up else rest):
                        await self._recheck.wait()
                except TimeoutError:
                    pass
        finally:
            await self._client.close()

    async def _check(self) -> None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                found = await self._client.probe()
        except TimeoutError:
            found = AttemptFailed("slow", f"no answer to a health check within {PROBE_TIMEOUT:g} s")
        if isinstance(found, AttemptFailed):
            if self._up:
                log.warning("model.down", node=self.spec.name, kind=found.kind, detail=found.detail)
            self._up, self._problem, self._warmed_up = False, f"{found.kind}: {found.detail}", False
            return
        came_back = not self._up
        if self.digest != found.digest:
            log.info("model.found", node=self.spec.name, model=self.spec.model, digest=found.digest)
            self.digest, self._warmed_up = found.digest, False
        self._up, self._problem = True, ""
        if came_back:
            log.info("model.up", node=self.spec.name)
            self._on_available()
        await self._warm_up()

    async def _warm_up(self) -> None:
        """Sends the warm-up request unless the node is busy, and so warm already."""
        if self._warm_up_request is None or self._warmed_up or self._leases:
            return
        self._warmed_up = True
        request = self._warm_up_request
        lease = self.lease(request)
        try:
            async with asyncio.timeout(self.spec.timeout):
                await self._read_stream(
                    request, lease, self._clock()
                )  # generates one token; its outcome does not matter
        except TimeoutError:
            pass
        finally:
            lease.release()


def _build_answer(
    request: ModelRequest, text: str, done: StreamEnd, first: float, total: float
) -> NodeAnswer | AttemptFailed:
    if done.truncated and request.schema is not None:
        return AttemptFailed("cut", f"the answer did not end within {request.max_tokens} tokens")
    if request.schema is not None:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return AttemptFailed("nonsense", "the answer is not JSON, which was asked for")
    prompt, output = done.prompt_tokens, done.output_tokens
    counted = prompt is not None and output is not None
    prompt = request.prompt_tokens if prompt is None else prompt
    output = estimate_tokens(text) if output is None else output
    return NodeAnswer(text, first, total, TokenUsage(prompt, output, counted))
