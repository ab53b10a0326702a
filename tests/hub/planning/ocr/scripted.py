"""A child that needs no models and does as the picture says, and the end of a process as an event."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace

from hub.planning.ocr.reader import OcrLimits
from hub.planning.ocr.settings import WorkerSettings

_PROGRAM = """
import os, signal, sys
from hub.planning.ocr import protocol
from hub.planning.ocr.protocol import OcrAnswer, TextPiece

def send(frame):
    sys.stdout.buffer.write(frame)
    sys.stdout.buffer.flush()

if "never ready" in sys.argv:
    signal.pause()
if "not ready" in sys.argv:
    send(protocol.frame(b"[]"))
if "no start" in sys.argv:
    sys.exit(3)
send(protocol.encode_ready())
while head := sys.stdin.buffer.read(4):
    data = sys.stdin.buffer.read(int.from_bytes(head, "big"))
    if b"crash" in data:
        os._exit(9)
    if b"killed" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"hang" in data:
        signal.pause()
    if b"lie" in data:
        send(protocol.frame(b'{"seen": [[1]]}'))
    elif b"flood" in data:
        send(b"\\xff\\xff\\xff\\xff")
    elif b"empty" in data:
        send(protocol.encode_answer(OcrAnswer((), (9, 9))))
    elif b"late" in data:
        send(protocol.encode_answer(OcrAnswer((), (9, 9), complete=False)))
    elif b"grown" in data:
        send(protocol.frame(protocol.EXHAUSTED))
    elif b"environment" in data:
        quad = ((0.0, 0.0), (90.0, 0.0), (90.0, 9.0), (0.0, 9.0))
        send(protocol.encode_answer(OcrAnswer((TextPiece(" ".join(sorted(os.environ)), 1.0, quad),), (9, 9))))
    else:
        quad = ((0.0, 0.0), (90.0, 0.0), (90.0, 9.0), (0.0, 9.0))
        send(protocol.encode_answer(OcrAnswer((TextPiece(f"child {os.getpid()} error", 1.0, quad),), (9, 9))))
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
