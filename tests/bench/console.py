"""make bench-console: the console in a real pty on a real hub with a full store, beside a plain DataTable, in one run.

    python tests/bench/console.py [--agents N] [--jobs N] [--changes N] [--soak S] [--folder DIR]

Measured from outside (`pty_probe`): first paint, key to paint, CPU, memory over time, bytes to the terminal; and on a
link of 8 KiB a second, where a key must still be answered.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.pty_probe import Probe, python  # noqa: E402 - after the path is set: the bench is run as a file

DOWN: Final = b"j"


@contextmanager
def world(folder: Path, agents: int, jobs: int, changes: int, seconds: int) -> Iterator[Path]:
    """A serving hub under load; the folder of a profile for it."""
    words = ["serve", str(folder), "--agents", str(agents), "--jobs", str(jobs), "--changes", str(changes)]
    command = [sys.executable, str(ROOT / "tests/bench/console_load.py"), *words, "--seconds", str(seconds)]
    log = (folder / "load.log").open("wb")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  load: {line.rstrip()}", flush=True)
            if "profile" in line:
                break
        yield folder / "hub" / "profile"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def look(name: str, probe: Probe, painted: bytes, soak: float) -> None:
    """Prints a program's figures; it is left on the screen that shows jobs."""
    first = probe.until(painted)
    probe.read(2)
    os.write(probe.fd, b"2")
    probe.read(3)
    keys = [probe.key(DOWN) for _ in range(60)]
    if not probe.alive():
        raise RuntimeError(f"{name} has ended: {probe.text[-2000:].decode(errors='replace')}")
    before, began = probe.total, time.perf_counter()
    cpu = probe.cpu(10)
    rate = (probe.total - before) / (time.perf_counter() - began) / 1024
    start = probe.memory()
    probe.read(soak)
    print(
        f"{name:<28} first paint {first:5.2f} s   key to paint p50 {percentile(keys, 0.5) * 1000:5.1f} ms "
        f"p95 {percentile(keys, 0.95) * 1000:5.1f} ms   cpu {cpu * 100:4.1f} %   {rate:6.1f} KiB/s   "
        f"memory {start:5.1f} -> {probe.memory():5.1f} MiB in {soak:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The console's figures on a full hub.")
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--soak", type=float, default=30.0, help="seconds of watching the memory")
    parser.add_argument("--folder", type=Path, help="keep the filled store here between runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="answerback-console-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(ROOT)
        with world(folder, given.agents, given.jobs, given.changes, int(180 + 2 * given.soak)) as profile:
            console = python("-m", "tui", "--profile", str(profile), "console")
            with Probe(console) as probe:
                look("console", probe, b"approval", given.soak)
            with Probe([*console, "--slow"]) as probe:
                look("console --slow", probe, b"approval", 0)
            with Probe(console, rate=8192) as probe:
                probe.until(b"approval", within=60)
                probe.read(10)
                os.write(probe.fd, b"2")
                probe.read(5)
                keys = [timed(probe) for _ in range(20)]
                half, worst = percentile(keys, 0.5), max(keys)
                print(f"{'console at 8 KiB/s':<28} a key is answered p50 {half:.2f} s, worst {worst:.2f} s")
    for rows in (1_000, 10_000):
        with Probe(python(str(ROOT / "tests/bench/plain_table.py"), str(rows))) as probe:
            look(f"plain DataTable, {rows} rows", probe, b"uptime", 0)


def timed(probe: Probe) -> float:
    """Seconds from a key to bytes on a terminal that reads slowly."""
    mark = probe.total
    began = time.perf_counter()
    os.write(probe.fd, DOWN)
    while probe.total == mark and time.perf_counter() - began < 5:
        probe.read(0.01)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
