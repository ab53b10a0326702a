"""One child that reads pictures, from its parent's side: started, asked, and ended whatever it does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import site
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from hub.planning.ocr import protocol
from hub.planning.ocr.protocol import BadWorkerAnswer, OcrAnswer
from hub.planning.ocr.refusal import OcrErrorCode
from hub.planning.ocr.settings import WorkerSettings

ANSWER_GRACE: Final = 2.0  # seconds beyond a picture's time, in which the child may say what it has
_SOURCE_ROOT: Final = Path(__file__).resolve().parent.parent.parent


class WorkerExited(Exception):
    """The child is no more; `code` says why."""

    def __init__(self, code: OcrErrorCode, why: str) -> None:
        super().__init__(why)
        self.code: OcrErrorCode = code


def worker_argv(settings: WorkerSettings) -> list[str]:
    """The child, never from what happens to lie in the working folder; it leaves no compiled files behind."""
    return [sys.executable, "-P", "-s", "-B", "-m", "hub.planning.ocr.sandbox", json.dumps(asdict(settings))]


def worker_environment(settings: WorkerSettings) -> dict[str, str]:
    """Built, not inherited: nothing that the hub knows by its environment reaches the child."""
    built = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/dev/null",  # a library that wants to keep something there finds no folder, and makes none
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(settings.threads or 1),
        "OPENBLAS_NUM_THREADS": "1",  # one a core would be reserved memory for each
        "MALLOC_ARENA_MAX": "2",
    }
    if str(_SOURCE_ROOT) not in site.getsitepackages():  # a checkout
        built["PYTHONPATH"] = str(_SOURCE_ROOT)
    return built


class OcrWorker:
    """`recognise` it one picture at a time; `kill` it always."""

    def __init__(self, seconds: float, process: asyncio.subprocess.Process) -> None:
        """`seconds` are for one picture."""
        if process.stdin is None or process.stdout is None:
            raise ValueError("a child without pipes")
        self._seconds = seconds
        self._process = process
        self._source = process.stdout
        self._target = process.stdin
        self.image_count = 0
        self.exhausted = False  # it ran out of memory, and makes way for another

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait_ready(self, seconds: float) -> None:
        """Returns when the models are loaded; raises WorkerExited."""
        try:
            async with asyncio.timeout(seconds):
                protocol.decode_ready(await self._receive())
        except TimeoutError:
            raise WorkerExited("slow", f"not ready after {seconds:.0f} s") from None
        except BadWorkerAnswer as error:
            raise WorkerExited("crashed", f"not ready: {error}") from None

    async def recognise(self, data: bytes) -> OcrAnswer | OcrErrorCode:
        """What it makes of one picture; raises WorkerExited, after which it is to be ended."""
        self.image_count += 1
        try:
            async with asyncio.timeout(self._seconds + ANSWER_GRACE):
                self._target.write(protocol.frame(data))
                await self._target.drain()
                answer = await self._receive()
                self.exhausted = answer == protocol.EXHAUSTED
                return "too_big" if self.exhausted else protocol.decode_answer(answer)
        except TimeoutError:
            raise WorkerExited("slow", f"no answer after {self._seconds:.0f} s") from None
        except BadWorkerAnswer as error:
            raise WorkerExited("crashed", f"answered wrongly: {error}") from None
        except OSError:
            raise WorkerExited("crashed", await self._exit_text()) from None

    async def kill(self) -> None:
        """Kills it and all it may have started, and waits for that."""
        if self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._target.close()
        await self._process.wait()

    async def _receive(self) -> bytes:
        try:
            head = await self._source.readexactly(protocol.LENGTH_BYTES)
            return await self._source.readexactly(protocol.decode_length(head, protocol.MAX_ANSWER))
        except asyncio.IncompleteReadError:
            raise WorkerExited("crashed", await self._exit_text()) from None

    async def _exit_text(self) -> str:
        """How it ended, now that its pipe is closed."""
        try:
            async with asyncio.timeout(1.0):
                status = await self._process.wait()
        except TimeoutError:
            return "closed its pipe"
        return f"ended by signal {-status}" if status < 0 else f"ended with {status}"


async def start_worker(settings: WorkerSettings, seconds: float, argv: Sequence[str] | None = None) -> OcrWorker:
    """A child that is ready within `seconds`; raises WorkerExited. `argv` starts another than ours."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(worker_argv(settings) if argv is None else argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=worker_environment(settings),
            cwd="/",
            start_new_session=True,  # a process group of its own, out of reach of the terminal
        )
    except OSError as error:
        raise WorkerExited("crashed", f"cannot start: {error.strerror}") from None
    child = OcrWorker(settings.seconds, process)
    try:
        await child.wait_ready(seconds)
    except BaseException:
        await child.kill()
        raise
    return child
