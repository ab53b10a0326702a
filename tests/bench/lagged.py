"""Runs a module as `python -m` would, and records how late its event loop is, for those who measure from outside.

    python tests/bench/lagged.py REPORT MODULE [ARGUMENT…]

A task in the program's own loop sleeps ten milliseconds again and again; what it oversleeps is time in which no key
would have been heard. How much processor time the loop's thread took meanwhile tells what of it was the program's own
work, and what the machine gave to others. A line a tenth of a second: the time (time.monotonic, the same for all
processes), the worst lateness in it, the most own work within one sleep; in seconds.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

TICK: Final = 0.01
LINE: Final = 0.1


async def watch(report: Path) -> None:
    loop = asyncio.get_running_loop()
    with report.open("w", buffering=1) as lines:
        worst, most, line_at = 0.0, 0.0, loop.time() + LINE
        while True:
            due, spent = loop.time() + TICK, time.thread_time()
            await asyncio.sleep(TICK)
            worst, most = max(worst, loop.time() - due), max(most, time.thread_time() - spent)
            if loop.time() >= line_at:
                lines.write(f"{time.monotonic():.3f} {worst:.4f} {most:.4f}\n")
                worst, most, line_at = 0.0, 0.0, loop.time() + LINE


def lateness(report: Path, since: float = 0.0) -> tuple[float, float]:
    """The worst lateness since a time (time.monotonic), and the most own work within one sleep."""
    found = [line.split() for line in report.read_text().splitlines() if line.count(" ") == 2]
    after = [(float(late), float(work)) for at, late, work in found if float(at) >= since]
    return max(late for late, _ in after), max(work for _, work in after)


def main() -> None:
    report, module = Path(sys.argv[1]), sys.argv[2]
    run = asyncio.run

    def watched(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
        async def both() -> Any:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(watch(report))
                try:
                    return await main
                finally:
                    watching.cancel()

        return run(both(), **options)

    asyncio.run = watched
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
