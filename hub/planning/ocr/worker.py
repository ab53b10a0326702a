"""One child that reads pictures, from its parent's side: started, asked, and ended whatever it does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import site
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from hub.planning.ocr import protocol
from hub.planning.ocr.protocol import OcrAnswer, OcrError, OcrErrorCode, WorkerSettings

START_TIMEOUT: Final = 60.0  # seconds for a child to load its models
ANSWER_GRACE: Final = 2.0  # seconds beyond a picture's time, in which the child may say what it has
_SOURCE_ROOT: Final = Path(__file__).resolve().parents[3]  # the folder that holds `hub`


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


@asynccontextmanager
async def running_worker(
    settings: WorkerSettings, argv: Sequence[str] | None = None, start_timeout: float = START_TIMEOUT
) -> AsyncIterator[OcrWorker]:
    """A child that is ready within so many seconds, and ended afterwards with all it may have started; raises
    OcrError. `argv` starts another than ours.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(worker_argv(settings) if argv is None else argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=worker_environment(settings),
            cwd="/",
            limit=protocol.MAX_ANSWER,
            start_new_session=True,  # a process group of its own, out of reach of the terminal
        )
    except OSError as error:
        raise OcrError("crashed", f"cannot start: {error.strerror}") from None
    child = OcrWorker(settings.seconds, process)
    try:
        if (said := await child.receive(start_timeout)) != protocol.READY:
            raise OcrError("crashed", f"not ready: {len(said)} other bytes")
        yield child
    finally:
        await child.kill()


class OcrWorker:
    """A child that is asked for one picture after the other; once it raised OcrError it is to be ended."""

    def __init__(self, seconds: float, process: asyncio.subprocess.Process) -> None:
        """`seconds` are for one picture."""
        if process.stdin is None or process.stdout is None:
            raise ValueError("a child without pipes")
        self._seconds = seconds
        self._process = process
        self._source = process.stdout
        self._target = process.stdin

    @property
    def pid(self) -> int:
        return self._process.pid

    async def recognise(self, data: bytes) -> OcrAnswer | OcrErrorCode:
        """What it makes of one picture."""
        self._target.write(len(data).to_bytes(protocol.LENGTH_BYTES, "big") + data)
        return protocol.decode_answer(await self.receive(self._seconds + ANSWER_GRACE))

    async def receive(self, seconds: float) -> bytes:
        """The next line that it says."""
        try:
            async with asyncio.timeout(seconds):
                await self._target.drain()
                line = await self._source.readline()
        except TimeoutError:
            raise OcrError("slow", f"no answer after {seconds:.0f} s") from None
        except ValueError:  # a line beyond MAX_ANSWER
            raise OcrError("crashed", "answered wrongly: too much") from None
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise await self._exited()
        return line

    async def kill(self) -> None:
        """Kills it and all it may have started, and waits for that."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._target.close()
        await self._process.wait()

    async def _exited(self) -> OcrError:
        """How it ended, now that its pipe is closed."""
        try:
            async with asyncio.timeout(1.0):
                status = await self._process.wait()
        except TimeoutError:
            return OcrError("crashed", "closed its pipe")
        if status == protocol.EXIT_MEMORY:
            return OcrError("too_big", "ran out of memory")
        return OcrError("crashed", f"ended by signal {-status}" if status < 0 else f"ended with {status}")
