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
from hub.core.outcome import ImageText
from hub.log import logger
from hub.planning.ocr.highlights import find_highlights
from hub.planning.ocr.layout import TextLine, build_lines
from hub.planning.ocr.protocol import OcrAnswer
from hub.planning.ocr.refusal import ImageRefused, OcrErrorCode
from hub.planning.ocr.settings import WorkerSettings, image_format
from hub.planning.ocr.worker import OcrWorker, WorkerExited, start_worker

REQUIRED_MODULES: Final = ("rapidocr", "onnxruntime", "PIL")
START_TIMEOUT: Final = 60.0  # seconds for a child to load its models
RESTART_DELAY: Final = 30.0  # seconds in which no child is started after one that did not come up

log = logger("ocr")


@dataclass(frozen=True, slots=True)
class OcrLimits:
    """`[ocr]` of hub.toml."""

    workers: int = 1
    queue: int = 16  # pictures that wait
    queue_timeout: float = 60.0  # seconds a picture waits for its turn
    idle: float = 300.0  # seconds after which an idle child is ended
    max_images_per_worker: int = 200  # pictures after which a child makes way for another
    worker: WorkerSettings = field(default_factory=WorkerSettings)


@dataclass(frozen=True, slots=True)
class OcrText:
    """What a picture says. Hostile text, made safe to show; only ever data."""

    lines: tuple[TextLine, ...]
    text: str
    key_lines: tuple[str, ...]
    complete: bool = True  # False: time ran out, and what stands further up was not read


@dataclass(frozen=True, slots=True)
class OcrFailure:
    """Why a picture was not read."""

    code: OcrErrorCode

    @property
    def sentence(self) -> Sentence:
        return Sentence(f"ocr_{self.code}")


OcrResult = OcrText | OcrFailure


@dataclass(slots=True)
class _OcrJob:
    data: bytes
    deadline: float
    outcome: asyncio.Future[OcrResult]


def is_installed() -> bool:
    """Whether the extra `ocr` is there. Looks, and loads nothing."""
    return all(find_spec(name) is not None for name in REQUIRED_MODULES)


def interpret_answer(answer: OcrAnswer | OcrErrorCode) -> OcrResult:
    """What a child's answer means for people."""
    if not isinstance(answer, OcrAnswer):
        return OcrFailure(answer)
    lines = build_lines(answer.pieces)
    if not lines:
        return OcrFailure("nothing_found" if answer.complete else "slow")
    texts = [line.text for line in lines]
    return OcrText(lines, "\n".join(texts), find_highlights(texts), answer.complete)


class OcrService:
    """`run` for as long as pictures may come."""

    def __init__(
        self,
        limits: OcrLimits,
        *,
        argv: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        is_installed: Callable[[], bool] = is_installed,
    ) -> None:
        """`argv` starts another child than ours."""
        self._limits = limits
        self._argv = argv
        self._clock = clock
        self._installed = is_installed()
        self._queue: asyncio.Queue[_OcrJob] = asyncio.Queue(limits.queue)
        self._running = False
        self._no_start_until = 0.0
        self._workers: set[OcrWorker] = set()

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The process ids of the children that are up."""
        return tuple(child.pid for child in self._workers)

    async def run(self) -> None:
        if not self._installed:
            log.info("ocr.not_installed")
            return
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                for index in range(self._limits.workers):
                    tasks.create_task(self._run_worker(), name=f"ocr {index}")
        finally:
            self._running = False
            while not self._queue.empty():
                _resolve(self._queue.get_nowait(), OcrFailure("busy"))

    async def read(self, images: Sequence[bytes]) -> list[OcrResult]:
        """One outcome for each picture, in order."""
        turns = [self._enqueue(image) for image in images]
        return [turn if isinstance(turn, OcrFailure) else await turn.outcome for turn in turns]

    def _enqueue(self, data: bytes) -> _OcrJob | OcrFailure:
        """A place in the queue, or why there is none. What is no picture by its first bytes, or too
        large a file, is refused before a child is asked.
        """
        if not self._installed:
            return OcrFailure("not_installed")
        try:
            image_format(data, self._limits.worker.size)
        except ImageRefused as refused:
            return OcrFailure(refused.code)
        turn = _OcrJob(data, self._clock() + self._limits.queue_timeout, asyncio.get_running_loop().create_future())
        if not self._running:
            return OcrFailure("busy")
        try:
            self._queue.put_nowait(turn)
        except asyncio.QueueFull:
            return OcrFailure("busy")
        return turn

    async def _run_worker(self) -> None:
        child: OcrWorker | None = None
        try:
            while True:
                turn = await self._next_job(child)
                if turn is None:
                    await self._stop_worker(child)
                    child = None
                    continue
                try:
                    child = await self._process(turn, child)
                except BaseException:
                    _resolve(turn, OcrFailure("crashed"))
                    raise
        finally:
            await self._stop_worker(child)

    async def _next_job(self, child: OcrWorker | None) -> _OcrJob | None:
        """The next turn; None where an idle child has waited long enough."""
        if child is None:
            return await self._queue.get()
        try:
            async with asyncio.timeout(self._limits.idle):
                return await self._queue.get()
        except TimeoutError:
            return None

    async def _process(self, turn: _OcrJob, child: OcrWorker | None) -> OcrWorker | None:
        """Settles the turn; the child for the next one."""
        if turn.outcome.done():
            return child  # whoever asked has gone
        if self._clock() > turn.deadline:
            _resolve(turn, OcrFailure("busy"))
            return child
        try:
            if child is None:
                child = await self._start_worker()
            answer = await child.recognise(turn.data)
        except WorkerExited as ended:
            log.warning("ocr.child_ended", why=str(ended), code=ended.code)
            _resolve(turn, OcrFailure(ended.code))
            await self._stop_worker(child)
            return None
        except BaseException:  # the hub ends: a child that was started here is known to nobody else
            await self._stop_worker(child)
            raise
        _resolve(turn, interpret_answer(answer))
        if child.image_count >= self._limits.max_images_per_worker or child.exhausted:
            await self._stop_worker(child)
            return None
        return child

    async def _start_worker(self) -> OcrWorker:
        """Raises WorkerExited."""
        if self._clock() < self._no_start_until:
            raise WorkerExited("crashed", "the last one did not come up")
        try:
            child = await start_worker(self._limits.worker, START_TIMEOUT, self._argv)
        except WorkerExited:
            self._no_start_until = self._clock() + RESTART_DELAY
            raise
        self._workers.add(child)
        log.info("ocr.child_started", pid=child.pid)
        return child

    async def _stop_worker(self, child: OcrWorker | None) -> None:
        if child is not None:
            await child.kill()
            self._workers.discard(child)


def _resolve(turn: _OcrJob, outcome: OcrResult) -> None:
    if not turn.outcome.done():
        turn.outcome.set_result(outcome)


class OcrImageReader:
    """The engine's eyes."""

    def __init__(self, reader: OcrService, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock

    async def read(self, pictures: Sequence[bytes]) -> ImageText:
        begun = self._clock()
        return combine_results(await self._reader.read(pictures), self._clock() - begun)


def combine_results(outcomes: Sequence[OcrResult], seconds: float = 0.0) -> ImageText:
    readings: list[OcrText] = []
    for number, outcome in enumerate(outcomes, 1):
        if isinstance(outcome, OcrText):
            readings.append(outcome)
            continue
        problem = outcome.sentence
        if len(outcomes) > 1:
            problem = Sentence("ocr_of_picture", {"number": number, "problem": problem})
        return ImageText(problem=problem, seconds=seconds)
    lines = [line.text for reading in readings for line in reading.lines]
    note = None if all(reading.complete for reading in readings) else Sentence("ocr_partly")
    return ImageText(
        "\n".join(reading.text for reading in readings), find_highlights(lines), warning=note, seconds=seconds
    )
