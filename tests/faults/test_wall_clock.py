"""tests.faults.wall_clock"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.wall_clock import WallClock

ASK = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic(), flush=True)
"""


@pytest.mark.parametrize("ahead", [-31_557_600.0, -3_600.0, 0.0, 240.0])
def test_a_process_has_another_wall_clock_and_no_other_boot_clock(tmp_path: Path, ahead: float) -> None:
    """Set before it starts, and while it runs."""
    clock = WallClock(tmp_path, "hub")
    clock.set(ahead)
    process = subprocess.Popen(
        [sys.executable, "-c", ASK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | clock.env,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for by in (0.0, 70.0, -3_600.0):
            clock.step(by)
            process.stdin.write("?\n")
            process.stdin.flush()
            wall, boot, monotonic = map(float, process.stdout.readline().split())
            assert wall == pytest.approx(time.time() + clock.ahead, abs=2)
            assert boot == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=2)
            assert monotonic == pytest.approx(time.monotonic(), abs=2)
    finally:
        process.kill()
        process.communicate()
