"""Pictures are read: the port that the rest of the hub sees. Bounded in every way, and it never raises for a picture.

    read -> [bounded queue] -> child (decodes, recognises, lays out) -> text, key lines

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
from hub.planning.ocr.protocol import OcrAnswer, OcrError, OcrErrorCode, WorkerSettings, image_format
from hub.planning.ocr.worker import running_worker

REQUIRED_MODULES: Final = ("rapidocr", "onnxruntime", "PIL")
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


@dataclass(slots=True)
class _OcrJob:
    data: bytes
    deadline: float
    answer: asyncio.Future[OcrAnswer | OcrErrorCode]

    def resolve(self, answer: OcrAnswer | OcrErrorCode) -> None:
        """The first answer counts."""
        if not self.answer.done():
            self.answer.set_result(answer)


def is_installed() -> bool:
    """Whether the extra `ocr` is there. Looks, and loads nothing."""
    return all(find_spec(name) is not None for name in REQUIRED_MODULES)


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

    async def run(self) -> None:
        if not self._installed:
            log.info("ocr.not_installed")
            return
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                for index in range(self._limits.workers):
                    tasks.create_task(self._read_queue(), name=f"ocr {index}")
        finally:
            self._running = False
            while not self._queue.empty():
                self._queue.get_nowait().resolve("busy")

    async def read(self, pictures: Sequence[bytes]) -> ImageText:
        """What the pictures of one message say."""
        begun = self._clock()
        jobs = [self._enqueue(picture) for picture in pictures]
        return combine_answers([await job.answer for job in jobs], self._clock() - begun)

    def _enqueue(self, data: bytes) -> _OcrJob:
        """A place in the queue, or why there is none. What is no picture by its first bytes, or too large a file, is
        refused before a child is asked.
        """
        job = _OcrJob(data, self._clock() + self._limits.queue_timeout, asyncio.get_running_loop().create_future())
        try:
            if not self._installed:
                raise OcrError("not_installed")
            image_format(data, self._limits.worker.size)
            if not self._running:
                raise OcrError("busy")
            self._queue.put_nowait(job)
        except OcrError as refused:
            job.resolve(refused.code)
        except asyncio.QueueFull:
            job.resolve("busy")
        return job

    async def _read_queue(self) -> None:
        """One child after the other, none while there is nothing to read."""
        while (job := await self._next_job(None)) is not None:
            await self._serve(job)

    async def _next_job(self, patience: float | None) -> _OcrJob | None:
        """The next picture that somebody waits for; None where none came in so many seconds."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    job = await self._queue.get()
                    if self._clock() > job.deadline:
                        job.resolve("busy")
                    if not job.answer.done():
                        return job
        except TimeoutError:
            return None

    async def _serve(self, job: _OcrJob) -> None:
        """This picture and those after it, by one child until it makes way."""
        if self._clock() < self._no_start_until:
            return job.resolve("crashed")
        is_up = False
        try:
            async with running_worker(self._limits.worker, self._argv) as child:
                is_up = True
                log.info("ocr.child_started", pid=child.pid)
                job.resolve(await child.recognise(job.data))
                for _ in range(1, self._limits.max_images_per_worker):
                    if (following := await self._next_job(self._limits.idle)) is None:
                        break
                    job = following
                    job.resolve(await child.recognise(job.data))
        except OcrError as ended:
            log.warning("ocr.child_ended", why=str(ended), code=ended.code)
            job.resolve(ended.code)
            if not is_up:
                self._no_start_until = self._clock() + RESTART_DELAY
        finally:
            job.resolve("crashed")  # the hub stops


def combine_answers(answers: Sequence[OcrAnswer | OcrErrorCode], seconds: float = 0.0) -> ImageText:
    """The text of all pictures; none where one of them was not read, and why. Hostile text, made safe to show."""
    texts: list[str] = []
    warning = None
    for number, answer in enumerate(answers, 1):
        if not isinstance(answer, OcrAnswer):
            problem = Sentence(f"ocr_{answer}")
            if len(answers) > 1:
                problem = Sentence("ocr_of_picture", {"number": number, "problem": problem})
            return ImageText(problem=problem, seconds=seconds)
        texts.append(answer.text)
        if not answer.complete:
            warning = Sentence("ocr_partly")
    text = "\n".join(texts)
    return ImageText(text, find_highlights(text.split("\n")), warning=warning, seconds=seconds)
