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

from hub.ocr import wire
from hub.ocr.refusal import Code
from hub.ocr.settings import Settings
from hub.ocr.wire import Answer, BadAnswer

GRACE: Final = 2.0  # seconds beyond a picture's time, in which the child may say what it has
_ROOT: Final = Path(__file__).resolve().parent.parent.parent


class Ended(Exception):
    """The child is no more; `code` says why."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code: Code = code


def command(settings: Settings) -> list[str]:
    """The child, never from what happens to lie in the working folder; it leaves no compiled files behind."""
    return [sys.executable, "-P", "-s", "-B", "-m", "hub.ocr.child", json.dumps(asdict(settings))]


def environment(settings: Settings) -> dict[str, str]:
    """Built, not inherited: nothing that the hub knows by its environment reaches the child."""
    built = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/dev/null",  # a library that wants to keep something there finds no folder, and makes none
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(settings.threads or 1),
        "OPENBLAS_NUM_THREADS": "1",  # one a core would be reserved memory for each
        "MALLOC_ARENA_MAX": "2",
    }
    if str(_ROOT) not in site.getsitepackages():  # a checkout
        built["PYTHONPATH"] = str(_ROOT)
    return built


class Child:
    """`ask` it one picture at a time; `end` it always."""

    def __init__(self, seconds: float, process: asyncio.subprocess.Process) -> None:
        """`seconds` are for one picture."""
        if process.stdin is None or process.stdout is None:
            raise ValueError("a child without pipes")
        self._seconds = seconds
        self._process = process
        self._source = process.stdout
        self._target = process.stdin
        self.asked = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self, seconds: float) -> None:
        """Returns when the models are loaded; raises Ended."""
        try:
            async with asyncio.timeout(seconds):
                wire.read_ready(await self._heard())
        except TimeoutError:
            raise Ended("slow", f"not ready after {seconds:.0f} s") from None
        except BadAnswer as error:
            raise Ended("crashed", f"not ready: {error}") from None

    async def ask(self, data: bytes) -> Answer | Code:
        """What it makes of one picture; raises Ended, after which it is to be ended."""
        self.asked += 1
        try:
            async with asyncio.timeout(self._seconds + GRACE):
                self._target.write(wire.framed(data))
                await self._target.drain()
                return wire.read_answer(await self._heard())
        except TimeoutError:
            raise Ended("slow", f"no answer after {self._seconds:.0f} s") from None
        except BadAnswer as error:
            raise Ended("crashed", f"answered wrongly: {error}") from None
        except OSError:
            raise Ended("crashed", await self._how()) from None

    async def end(self) -> None:
        """Kills it and all it may have started, and waits for that."""
        if self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._target.close()
        await self._process.wait()

    async def _heard(self) -> bytes:
        try:
            head = await self._source.readexactly(wire.LENGTH)
            return await self._source.readexactly(wire.length_of(head, wire.MAX_ANSWER))
        except asyncio.IncompleteReadError:
            raise Ended("crashed", await self._how()) from None

    async def _how(self) -> str:
        """How it ended, now that its pipe is closed."""
        try:
            async with asyncio.timeout(1.0):
                status = await self._process.wait()
        except TimeoutError:
            return "closed its pipe"
        return f"ended by signal {-status}" if status < 0 else f"ended with {status}"


async def started(settings: Settings, seconds: float, argv: Sequence[str] | None = None) -> Child:
    """A child that is ready within `seconds`; raises Ended. `argv` starts another than ours."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(command(settings) if argv is None else argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(settings),
            cwd="/",
            start_new_session=True,  # a process group of its own, out of reach of the terminal
        )
    except OSError as error:
        raise Ended("crashed", f"cannot start: {error.strerror}") from None
    child = Child(settings.seconds, process)
    try:
        await child.ready(seconds)
    except BaseException:
        await child.end()
        raise
    return child
