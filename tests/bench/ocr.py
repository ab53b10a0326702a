"""make bench-ocr: twenty drawn pictures read through the child, beside a bare call of rapidocr, in one run.

For each picture: characters right (spaces counted; runs of them as one) and seconds from request to answer. Bare is
what one would write instead: `RapidOCR()` with its defaults, in a process of its own so that its memory can be told.
Both take turns, picture by picture, so that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hub.log import configure  # after the path is set: the bench is run as a file
from hub.planning.ocr.protocol import WorkerSettings
from hub.planning.ocr.reader import OcrLimits, OcrService, is_installed
from tests.hub.planning.ocr import bombs
from tests.hub.planning.ocr.score import Score, score
from tests.hub.planning.ocr.scripted import child_pids

ROOT: Final = Path(__file__).resolve().parents[2]
MEBIBYTE: Final = 1024 * 1024


def bare() -> None:
    """The other side: a length and a picture come in, the text goes out as a line of JSON."""
    import numpy as np
    from PIL import Image, ImageOps
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "critical"})
    print(json.dumps("ready"), flush=True)
    while head := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        print(json.dumps("\n".join(engine(np.asarray(image)[:, :, ::-1].copy()).txts or ())), flush=True)


class Bare:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "bare"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        self.pid = self._process.pid
        self._line()

    def read(self, data: bytes) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(len(data).to_bytes(4, "big") + data)
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        text: Any = json.loads(self._process.stdout.readline())
        return str(text)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def memory(pid: int) -> tuple[float, float]:
    """Resident now and at its highest, in MiB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def processor(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def timed(act: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    value = act()
    if asyncio.iscoroutine(value):
        value = await value
    return value, time.perf_counter() - begun


async def compare(reader: OcrService) -> None:
    from tests.hub.planning.ocr.drawn import drawn

    pictures = drawn()
    own = psutil.Process(os.getpid())
    plain, seconds = await timed(Bare)
    print(f"bare: ready after {seconds:.1f} s")
    try:
        _, seconds = await timed(lambda: reader.read([pictures[0].data]))
        print(f"ours: a first picture after {seconds:.1f} s, the start of the child counted\n")
        (child,) = child_pids()
        before = own.memory_info().rss
        spent = processor(child), processor(plain.pid)
        print(f"{'':18}{'right':>9}{'bare':>9}{'seconds':>10}{'bare':>8}")
        totals, times = (Score(), Score()), ([], [])
        for picture in pictures:
            outcome, ours = await timed(lambda data=picture.data: reader.read([data]))
            text, theirs = await timed(lambda data=picture.data: plain.read(data))
            scores = (
                score(picture.lines, outcome.text),
                score(picture.lines, text),
            )
            totals = totals[0] + scores[0], totals[1] + scores[1]
            times[0].append(ours)
            times[1].append(theirs)
            print(f"{picture.name:18}{scores[0].right:9.2%}{scores[1].right:9.2%}{ours:10.2f}{theirs:8.2f}")
        right = f"{totals[0].right:9.2%}{totals[1].right:9.2%}"
        print(f"{'all, median':18}{right}{median(times[0]):10.2f}{median(times[1]):8.2f}")
        bare_right = totals[0].right_without_spaces, totals[1].right_without_spaces
        print(f"{'without spaces':18}{bare_right[0]:9.2%}{bare_right[1]:9.2%}")
        print(f"{'processor seconds':36}{processor(child) - spent[0]:10.1f}{processor(plain.pid) - spent[1]:8.1f}")
        for name, place in (("MiB resident", 0), ("MiB at the highest", 1)):
            print(f"{name:36}{memory(child)[place]:10.0f}{memory(plain.pid)[place]:8.0f}")
        print(f"\nthe hub's own memory moved by {(own.memory_info().rss - before) / MEBIBYTE:.1f} MiB")
    finally:
        plain.end()


async def refuse(reader: OcrService) -> None:
    """How fast what is no picture is turned away."""
    inflating = bombs.zeros(256 * MEBIBYTE)
    kinds = {
        "declares 60,000 x 60,000": bombs.png(60_000, 60_000, body=b"x"),
        "600 frames": bombs.gif(frames=600),
        "256 MiB in its pixels": bombs.png(64, 64, body=inflating),
        "256 MiB in its profile": bombs.png(extra=[(b"iCCP", b"sRGB\0\0" + inflating)]),
        "20 million blank pixels": bombs.png(5_000, 4_000),
    }
    print("\nrefused")
    for name, data in kinds.items():
        outcome, seconds = await timed(lambda data=data: reader.read([data]))
        said = outcome.problem.key if outcome.problem else "read"
        print(f"  {name:28}{said:20}{1000 * seconds:8.1f} ms  {len(data):>9,} bytes")


async def main() -> None:
    configure("warning", "console")
    if not is_installed():
        sys.exit("rapidocr is not installed: pip install -e '.[ocr,test]', then try again")
    reader = OcrService(OcrLimits(queue_timeout=600.0, worker=WorkerSettings(seconds=60.0)))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        await asyncio.sleep(0)
        await compare(reader)
        await refuse(reader)
        running.cancel()


if __name__ == "__main__":
    if sys.argv[1:] == ["bare"]:
        bare()
    else:
        asyncio.run(main())
