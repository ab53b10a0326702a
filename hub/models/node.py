"""One model server: its wire, its slots, its breaker, its figures.

`lease` takes a slot, `call` makes one attempt in it, `watch` looks after the server: is it there, has it the model,
which one is it; and warms it up when it comes. A server whose connection failed is down until a health check has found
it again; one that answers badly is the breaker's.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hub.log import logger
from hub.models.ask import (
    PROMPT_SPEED,
    Ask,
    Attempt,
    Done,
    Event,
    Failed,
    First,
    Healthy,
    Piece,
    Tokens,
    estimate_tokens,
)
from hub.models.breaker import Breaker, State
from hub.models.router import Standing
from hub.models.stats import Stats

log = logger("models")

UP_EVERY: Final = 15.0  # seconds between health checks
DOWN_FIRST: Final = 0.5
DOWN_LONGEST: Final = 15.0
PROBE_SECONDS: Final = 5.0
PREFIXES: Final = 8  # affinity keys remembered a slot
PACE_HALVES: Final = 60.0  # seconds without a request in which a node's pace is thought to be half: it is tried again


class Wire(Protocol):
    """How a server is spoken to."""

    def stream(self, ask: Ask) -> AsyncGenerator[Event, None]: ...

    async def probe(self) -> Healthy | Failed: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Spec:
    """What the configuration says of a node."""

    name: str
    model: str
    kind: str = "ollama"
    priority: int = 1
    parallel: int = 2
    timeout: float = 60.0  # seconds that one attempt may take
    context: int = 8_192  # tokens that fit, prompt and answer


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; times in seconds since the attempt began."""

    text: str
    first: float
    total: float
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class View:
    """A node as people and `/metrics` see it."""

    spec: Spec
    up: bool
    problem: str  # "" where there is none
    breaker: State
    digest: str
    running: int
    work: float
    stats: Stats


class Lease:
    """A slot of a node for one attempt; `release` gives it back, once."""

    __slots__ = ("_held", "_left", "node", "overtaken")

    def __init__(self, node: Node, work: float) -> None:
        self.node = node
        self.overtaken = False  # another node was faster: why the attempt is cancelled
        self._left = work
        self._held = True

    @property
    def left(self) -> float:
        """The work that is still to be done in it."""
        return self._left if self._held else 0.0

    def progress(self, work: float) -> None:
        self._left = max(0.0, self._left - work)

    def release(self) -> None:
        if self._held:
            self._held = False
            self.node.released(self)


class Node:
    """One server. `changed` is called when a slot is free again, or the node has come back."""

    def __init__(self, spec: Spec, wire: Wire, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        self.spec = spec
        self.stats = Stats()
        self.digest = ""  # of the model, once a health check has told it; it stays while the node is down
        self._wire = wire
        self._clock = clock
        self._changed = changed
        self._breaker = Breaker()
        self._up = True  # until something says otherwise: the first requests need not wait for a health check
        self._problem = ""
        self._leases: set[Lease] = set()
        self._prefixes: OrderedDict[str, None] = OrderedDict()
        self._asked_at = clock()
        self._look = asyncio.Event()
        self._prime: Ask | None = None
        self._primed = False
        self.checked = asyncio.Event()  # the first health check is over

    # ---- what the router sees

    def standing(self) -> Standing:
        now = self._clock()
        pace = self.stats.pace
        if pace is not None and not self._leases:
            pace *= 0.5 ** ((now - self._asked_at) / PACE_HALVES)
        return Standing(
            name=self.spec.name,
            priority=self.spec.priority,
            up=self._up and self._breaker.lets(now),
            free=self.spec.parallel - len(self._leases),
            parallel=self.spec.parallel,
            work=self._work(),
            pace=pace,
            p95=self.stats.p95_pace(),
            context=self.spec.context,
            reliability=self.stats.reliability,
            prefixes=self._prefixes.keys(),
        )

    def view(self) -> View:
        state = self._breaker.state(self._clock())
        return View(self.spec, self._up, self._problem, state, self.digest, len(self._leases), self._work(), self.stats)

    def _work(self) -> float:
        return sum(lease.left for lease in self._leases)

    # ---- attempts

    def lease(self, ask: Ask) -> Lease:
        """Takes a slot. Whoever takes one sees to its `release`."""
        now = self._clock()
        lease = Lease(self, ask.cost)
        self._leases.add(lease)
        self._breaker = self._breaker.begun(now)
        self._asked_at = now
        if ask.affinity:
            self._prefixes[ask.affinity] = None
            self._prefixes.move_to_end(ask.affinity)
            if len(self._prefixes) > PREFIXES * self.spec.parallel:
                self._prefixes.popitem(last=False)
        return lease

    def released(self, lease: Lease) -> None:
        self._leases.discard(lease)
        self._breaker = self._breaker.given_up()
        self._changed()

    async def call(self, ask: Ask, lease: Lease) -> tuple[Answer | Failed, Attempt]:
        """One attempt in a slot, which is given back. Cancelled, it closes the connection: that ends the work there."""
        begun = self._clock()
        seconds = min(self.spec.timeout, ask.deadline - begun)
        outcome: Answer | Failed
        try:
            try:
                async with asyncio.timeout(max(0.0, seconds)):
                    outcome = await self._read(ask, lease, begun)
            except TimeoutError:
                outcome = Failed("slow", f"no answer within {seconds:.1f} s")
            took = self._clock() - begun
            self._note(ask, outcome, took, in_a_hurry=seconds < self.spec.timeout / 2)
        except asyncio.CancelledError:
            self._taken_back(ask, lease, self._clock() - begun)
            raise
        finally:
            lease.release()  # after the outcome is noted: a slot that is free again is given away at once
        if isinstance(outcome, Answer):
            return outcome, Attempt(self.spec.name, "ok", took)
        return outcome, Attempt(self.spec.name, outcome.kind, took, outcome.detail)

    async def _read(self, ask: Ask, lease: Lease, begun: float) -> Answer | Failed:
        pieces: list[str] = []
        first: float | None = None
        async with aclosing(self._wire.stream(ask)) as events:
            async for event in events:
                match event:
                    case First():
                        first = self._clock() - begun
                        lease.progress(ask.prompt_tokens / PROMPT_SPEED)
                    case Piece(text):
                        pieces.append(text)
                        lease.progress(estimate_tokens(text))
                    case Done():
                        total = self._clock() - begun
                        return _answer(ask, "".join(pieces), event, total if first is None else first, total)
                    case Failed():
                        return replace(event, begun=first is not None)
        return Failed("gone", "the answer broke off", begun=first is not None)

    def _note(self, ask: Ask, outcome: Answer | Failed, took: float, *, in_a_hurry: bool) -> None:
        """What the outcome says of the node."""
        if isinstance(outcome, Answer):
            tokens = outcome.tokens
            self._breaker = self._breaker.succeeded()
            self.stats.answered(
                cost=ask.cost, first=outcome.first, total=outcome.total, prompt=tokens.prompt, output=tokens.output
            )
            return
        self.stats.failed(outcome.kind)
        log.warning(
            "model.failed", node=self.spec.name, kind=outcome.kind, detail=outcome.detail, seconds=round(took, 3)
        )
        if outcome.kind == "slow" and in_a_hurry:
            return  # the request had less time than the node may take: no fault of the node's
        self._breaker = self._breaker.failed(outcome, self._clock())
        if outcome.kind in ("gone", "unauthorised"):
            self._look.set()

    def _taken_back(self, ask: Ask, lease: Lease, elapsed: float) -> None:
        if lease.overtaken:
            self.stats.overtaken(ask.cost, elapsed)
        else:
            self.stats.failed("cancelled")

    # ---- looking after it

    def warm(self, ask: Ask) -> None:
        """Has the node load its model and read this prompt, now and whenever it comes back."""
        self._prime, self._primed = ask, False
        self._look.set()

    async def watch(self) -> None:
        """Health checks until cancelled; closes the connections in the end."""
        rest = DOWN_FIRST
        try:
            while True:
                self._look.clear()
                await self._check()
                self.checked.set()
                rest = DOWN_FIRST if self._up else min(DOWN_LONGEST, 2 * rest)
                try:
                    async with asyncio.timeout(UP_EVERY if self._up else rest):
                        await self._look.wait()
                except TimeoutError:
                    pass
        finally:
            await self._wire.close()

    async def _check(self) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                found = await self._wire.probe()
        except TimeoutError:
            found = Failed("slow", f"no answer to a health check within {PROBE_SECONDS:g} s")
        if isinstance(found, Failed):
            if self._up:
                log.warning("model.down", node=self.spec.name, kind=found.kind, detail=found.detail)
            self._up, self._problem, self._primed = False, f"{found.kind}: {found.detail}", False
            return
        came_back = not self._up
        if self.digest != found.digest:
            log.info("model.found", node=self.spec.name, model=self.spec.model, digest=found.digest)
            self.digest, self._primed = found.digest, False
        self._up, self._problem = True, ""
        if came_back:
            log.info("model.up", node=self.spec.name)
            self._changed()
        await self._warm_up()

    async def _warm_up(self) -> None:
        """Only where a slot is free: a node that is busy is warm."""
        if self._prime is None or self._primed or self._leases:
            return
        self._primed = True
        ask = self._prime
        lease = self.lease(ask)
        try:
            async with asyncio.timeout(self.spec.timeout):
                await self._read(ask, lease, self._clock())  # one token; what comes of it, the next request will see
        except TimeoutError:
            pass
        finally:
            lease.release()


def _answer(ask: Ask, text: str, done: Done, first: float, total: float) -> Answer | Failed:
    if done.cut and ask.schema is not None:
        return Failed("cut", f"the answer did not end within {ask.max_tokens} tokens")
    if ask.schema is not None:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return Failed("nonsense", "the answer is not JSON, which was asked for")
    prompt, output = done.prompt_tokens, done.output_tokens
    counted = prompt is not None and output is not None
    prompt = ask.prompt_tokens if prompt is None else prompt
    output = estimate_tokens(text) if output is None else output
    return Answer(text, first, total, Tokens(prompt, output, counted))
