"""Pictures are read: the port that the rest of the hub sees. Bounded in every way, and it never raises for a picture.

    read -> [bounded queue] -> child (decodes, recognises) -> lines, text, key lines

A child takes seconds to load its models, so it is kept while pictures come, and ended when none has come for a while,
when it has read its share, or when it misbehaves. What one picture does to it, the next one does not notice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from common.catalogue import Sentence
from hub.log import logger
from hub.ocr import formats
from hub.ocr.keeper import Child, Ended, started
from hub.ocr.keylines import key_lines_of
from hub.ocr.layout import Line, lines_of
from hub.ocr.refusal import Code, Refused
from hub.ocr.settings import Settings
from hub.ocr.wire import Answer

NEEDED: Final = ("rapidocr", "onnxruntime", "PIL")
STARTING: Final = 60.0  # seconds for a child to load its models
UNWELL: Final = 30.0  # seconds in which no child is started after one that did not come up

log = logger("ocr")


@dataclass(frozen=True, slots=True)
class Bounds:
    """`[ocr]` of hub.toml."""

    children: int = 1
    queue: int = 16  # pictures that wait
    patience: float = 60.0  # seconds a picture waits for its turn
    idle: float = 300.0  # seconds after which an idle child is ended
    renew: int = 200  # pictures after which a child makes way for another
    child: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture says. Hostile text, made safe to show; only ever data."""

    lines: tuple[Line, ...]
    text: str
    key_lines: tuple[str, ...]
    whole: bool = True  # False: time ran out, and what stands further up was not read


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a picture was not read."""

    code: Code

    @property
    def sentence(self) -> Sentence:
        return Sentence(f"ocr_{self.code}")


Outcome = Reading | Unread


@dataclass(slots=True)
class _Turn:
    data: bytes
    until: float
    outcome: asyncio.Future[Outcome]


def installed() -> bool:
    """Whether the extra `ocr` is there. Looks, and loads nothing."""
    return all(find_spec(name) is not None for name in NEEDED)


def understood(answer: Answer | Code) -> Outcome:
    """What a child's answer means for people."""
    if not isinstance(answer, Answer):
        return Unread(answer)
    lines = lines_of(answer.pieces)
    if not lines:
        return Unread("nothing_found" if answer.whole else "slow")
    texts = [line.text for line in lines]
    return Reading(lines, "\n".join(texts), key_lines_of(texts), answer.whole)


class Reader:
    """`run` for as long as pictures may come."""

    def __init__(
        self,
        bounds: Bounds,
        *,
        argv: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        present: Callable[[], bool] = installed,
    ) -> None:
        """`argv` starts another child than ours."""
        self._bounds = bounds
        self._argv = argv
        self._clock = clock
        self._present = present()
        self._queue: asyncio.Queue[_Turn] = asyncio.Queue(bounds.queue)
        self._running = False
        self._unwell_until = 0.0
        self._children: set[Child] = set()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    @property
    def children(self) -> tuple[int, ...]:
        """The process ids of the children that are up."""
        return tuple(child.pid for child in self._children)

    async def run(self) -> None:
        if not self._present:
            log.info("ocr.not_installed")
            return
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                for index in range(self._bounds.children):
                    tasks.create_task(self._worker(), name=f"ocr {index}")
        finally:
            self._running = False
            while not self._queue.empty():
                _settle(self._queue.get_nowait(), Unread("busy"))

    async def read(self, images: Sequence[bytes]) -> list[Outcome]:
        """One outcome for each picture, in order."""
        turns = [self._turn(image) for image in images]
        return [turn if isinstance(turn, Unread) else await turn.outcome for turn in turns]

    def _turn(self, data: bytes) -> _Turn | Unread:
        """A place in the queue, or why there is none. What shows from outside is refused before a child is asked."""
        if not self._present:
            return Unread("not_installed")
        try:
            formats.look(data, self._bounds.child.limits)
        except Refused as refused:
            return Unread(refused.code)
        turn = _Turn(data, self._clock() + self._bounds.patience, asyncio.get_running_loop().create_future())
        if not self._running:
            return Unread("busy")
        try:
            self._queue.put_nowait(turn)
        except asyncio.QueueFull:
            return Unread("busy")
        return turn

    async def _worker(self) -> None:
        child: Child | None = None
        try:
            while True:
                turn = await self._next(child)
                if turn is None:
                    await self._end(child)
                    child = None
                    continue
                try:
                    child = await self._serve(turn, child)
                except BaseException:
                    _settle(turn, Unread("crashed"))
                    raise
        finally:
            await self._end(child)

    async def _next(self, child: Child | None) -> _Turn | None:
        """The next turn; None where an idle child has waited long enough."""
        if child is None:
            return await self._queue.get()
        try:
            async with asyncio.timeout(self._bounds.idle):
                return await self._queue.get()
        except TimeoutError:
            return None

    async def _serve(self, turn: _Turn, child: Child | None) -> Child | None:
        """Settles the turn; the child for the next one."""
        if turn.outcome.done():
            return child  # whoever asked has gone
        if self._clock() > turn.until:
            _settle(turn, Unread("busy"))
            return child
        try:
            if child is None:
                child = await self._started()
            answer = await child.ask(turn.data)
        except Ended as ended:
            log.warning("ocr.child_ended", why=str(ended), code=ended.code)
            _settle(turn, Unread(ended.code))
            await self._end(child)
            return None
        _settle(turn, understood(answer))
        if child.asked >= self._bounds.renew or answer == "too_big":
            await self._end(child)
            return None
        return child

    async def _started(self) -> Child:
        """Raises Ended."""
        if self._clock() < self._unwell_until:
            raise Ended("crashed", "the last one did not come up")
        try:
            child = await started(self._bounds.child, STARTING, self._argv)
        except Ended:
            self._unwell_until = self._clock() + UNWELL
            raise
        self._children.add(child)
        log.info("ocr.child_started", pid=child.pid)
        return child

    async def _end(self, child: Child | None) -> None:
        if child is not None:
            await child.end()
            self._children.discard(child)


def _settle(turn: _Turn, outcome: Outcome) -> None:
    if not turn.outcome.done():
        turn.outcome.set_result(outcome)
