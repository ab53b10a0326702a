"""A child that needs no models and does as the picture says, and the end of a process as an event."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import replace

import psutil

from hub.planning.ocr.protocol import WorkerSettings
from hub.planning.ocr.reader import OcrLimits

_PROGRAM = """
import os, signal, sys
from hub.planning.ocr import protocol
from hub.planning.ocr.protocol import OcrAnswer

def send(line):
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()

if "never ready" in sys.argv:
    signal.pause()
if "not ready" in sys.argv:
    send(b"[]\\n")
if "no start" in sys.argv:
    sys.exit(3)
send(protocol.READY)
while head := sys.stdin.buffer.read(4):
    data = sys.stdin.buffer.read(int.from_bytes(head, "big"))
    if b"crash" in data:
        os._exit(9)
    if b"killed" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"hang" in data:
        signal.pause()
    if b"grown" in data:
        os._exit(protocol.EXIT_MEMORY)
    if b"lie" in data:
        send(b'{"text": 1, "whole": true}\\n')
    elif b"flood" in data:
        send(b"x" * (protocol.MAX_ANSWER + 1))
    elif b"environment" in data:
        send(protocol.encode_answer(OcrAnswer("\\n".join(sorted(os.environ)))))
    else:
        send(protocol.encode_answer(OcrAnswer(f"child {os.getpid()} error")))
"""


def argv(*modes: str) -> list[str]:
    return [sys.executable, "-P", "-B", "-c", _PROGRAM, *modes]


SETTINGS = WorkerSettings(seconds=60.0)


def bounds(seconds: float = SETTINGS.seconds, memory: int = SETTINGS.memory, **changes: float) -> OcrLimits:
    """Wide enough for a machine that is busy with other tests."""
    wide = OcrLimits(queue=40, queue_timeout=600.0, worker=replace(SETTINGS, seconds=seconds, memory=memory))
    return replace(wide, **changes)


async def gone(pid: int, seconds: float = 20.0) -> None:
    """Returns when the process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def child_pids() -> list[int]:
    """Children that read pictures, of this process; what has ended and waits to be reaped reads none."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # ended meanwhile, or a zombie
            if any("planning.ocr" in word for word in child.cmdline()):
                found.append(child.pid)
    return found
