"""make bench-console: the console in a real pty on a real hub with a full store, beside a plain DataTable, in one run.

    python tests/bench/console.py [--agents N] [--jobs N] [--changes N] [--soak S] [--folder DIR]

Everything is measured from outside (`pty_probe`, `lagged`): first paint, key to paint, CPU, memory over time, bytes to
the terminal on every screen, under `--changes` and under ten changes a second; and at a terminal that takes 8 KiB a
second, where a key must still be answered and the console's loop must not stand still. Ends with a table of what was
wanted and what was found, and says how busy the machine was.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.lagged import lateness
from tests.bench.pty_probe import Probe, python

DOWN: Final = b"j"
UP: Final = b"k"
CURSOR: Final = b">"
"""The sign before the cursor's row: it is written where the cursor has come to, and by nothing else in a table."""
SCREENS: Final = {b"1": "overview", b"2": "jobs", b"3": "approve", b"4": "agents", b"5": "audit"}
SLOW_LINK: Final = 8192
STARTS: Final = 5
KEYS: Final = 40
PAINTED: Final = b"approval"
"""A word of the overview that the hub's answer brings."""


@dataclass(frozen=True, slots=True)
class Figure:
    what: str
    found: float
    wanted: float | None  # less than this; None is for comparison only
    unit: str

    def __str__(self) -> str:
        wanted = "" if self.wanted is None else f"< {self.wanted:g} {self.unit}"
        met = "" if self.wanted is None else "met" if self.found < self.wanted else "MISSED"
        return f"{self.what:<58} {self.found:8.2f} {self.unit:<7} {wanted:<14} {met}"


@dataclass
class Bench:
    """Figures as they are found."""

    console: list[str]
    report: Path  # where the console tells how late its loop is
    figures: list[Figure] = field(default_factory=list)

    def note(self, what: str, found: float, wanted: float | None = None, unit: str = "ms") -> None:
        figure = Figure(what, found, wanted, unit)
        self.figures.append(figure)
        print(f"  {figure}", flush=True)

    # ---- parts

    def first_paint(self, label: str, count: int) -> None:
        took, spent = [], []
        for _ in range(count):
            with Probe(self.console) as probe:
                took.append(probe.until(PAINTED))
                spent.append(probe.spent())
        more = f", median of {count}" if count > 1 else ""
        self.note(f"first paint, {label}{more}", median(took), 1.0, "s")
        self.note(f"processor time of it, {label}{more}", median(spent), None, "s")

    def screens(self, probe: Probe, label: str, seconds: float, wanted: float | None = 5.0) -> list[float]:
        """Bytes a second on every screen; their shares of a core are returned."""
        shares = []
        for key, name in SCREENS.items():
            os.write(probe.fd, key)
            probe.read(3)
            share, rate = probe.over(seconds)
            shares.append(share * 100)
            self.note(f"{name}, {label}", rate / 1024, wanted, "KiB/s")
        return shares

    def keys(self, probe: Probe, label: str, wanted: float | None) -> None:
        """How long a key takes on the tables of jobs and machines."""
        took = []
        for screen in (b"2", b"4"):
            os.write(probe.fd, screen)
            probe.read(3)
            took += [probe.key(key, CURSOR) for _ in range(KEYS // 4) for key in (DOWN, UP)]
        self.note(f"key to paint p50, {label}", percentile(took, 0.5) * 1000)
        self.note(f"key to paint p95, {label}", percentile(took, 0.95) * 1000, wanted)

    def soak(self, probe: Probe, seconds: float) -> None:
        """Memory at the start, in the middle and at the end of a time on all screens in turn."""
        found = [probe.memory()]
        for _ in range(2):
            until = monotonic() + seconds / 2
            while monotonic() < until:
                for key in SCREENS:
                    os.write(probe.fd, key)
                    probe.read(min(seconds / 20, 10.0))
            found.append(probe.memory())
        for when, size in zip(("start", "middle", "end"), found, strict=True):
            self.note(f"memory at the {when} of {seconds:.0f} s", size, 150.0, "MiB")

    def slow_link(self, *options: str) -> None:
        """A terminal that takes 8 KiB a second."""
        label = " ".join(["8 KiB/s link", *options])
        words = [*python(str(ROOT / "tests/bench/lagged.py"), str(self.report)), *self.console[2:], *options]
        with Probe(words, rate=SLOW_LINK) as probe:
            probe.until(PAINTED, within=60)
            since = monotonic()
            shares = self.screens(probe, label, 5, wanted=None)
            self.keys(probe, label, 300.0)
            for _ in range(60):  # a key held down
                os.write(probe.fd, DOWN)
                probe.read(0.03)
            late, work = lateness(self.report, since)
            self.note(f"worst stall of the loop, {label}", late * 1000, 100.0)
            self.note(f"most work of its own at a time, {label}", work * 1000)
            self.note(f"share of a core, {label}", max(shares), 25.0, "%")


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@contextmanager
def world(folder: Path, agents: int, jobs: int, changes: float, seconds: float) -> Iterator[None]:
    """A serving hub under load, whose profile is in FOLDER/hub/profile."""
    words = ["serve", str(folder), "--agents", str(agents), "--jobs", str(jobs), "--changes", str(changes)]
    command = [sys.executable, str(ROOT / "tests/bench/console_load.py"), *words, "--seconds", str(seconds)]
    log = (folder / "load.log").open("wb")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "profile" in line:
                break
        else:
            raise RuntimeError(f"the load has ended: {(folder / 'load.log').read_text()[-2000:]}")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def on_busy_hub(bench: Bench, label: str, soak: float) -> None:
    """The hub has just started, nobody has looked at anything yet."""
    bench.first_paint("right after the hub's start", 1)
    bench.first_paint("settled", STARTS)
    with Probe(bench.console) as probe:
        probe.until(PAINTED)
        shares = bench.screens(probe, label, 6)
        bench.note(f"share of a core on the busiest screen, {label}", max(shares), 25.0, "%")
        bench.keys(probe, label, 50.0)
        bench.soak(probe, soak)
        if not probe.alive():
            raise RuntimeError(f"the console has ended: {bytes(probe.text[-2000:]).decode(errors='replace')}")
    with Probe([*bench.console, "--slow"]) as probe:
        probe.until(PAINTED)
        bench.screens(probe, f"{label} --slow", 4, wanted=None)
    bench.slow_link()
    bench.slow_link("--slow")


def on_calm_hub(bench: Bench) -> None:
    with Probe(bench.console) as probe:
        probe.until(PAINTED)
        bench.screens(probe, "10 changes/s", 10)
    with Probe([*bench.console, "--slow"]) as probe:
        probe.until(PAINTED)
        bench.screens(probe, "10 changes/s --slow", 6, wanted=1.0)


def beside(bench: Bench) -> None:
    """The table a user would write instead."""
    for rows in (1_000, 10_000):
        name = f"plain DataTable of {rows:,} rows"
        with Probe(python(str(ROOT / "tests/bench/plain_table.py"), str(rows))) as probe:
            bench.note(f"first paint, {name}", probe.until(b"uptime"), None, "s")
            probe.read(2)
            took = [probe.key(DOWN) for _ in range(KEYS)]
            bench.note(f"key to paint p95, {name}", percentile(took, 0.95) * 1000)
            share, rate = probe.over(6)
            bench.note(f"10 cells changed 10 times/s, {name}", rate / 1024, None, "KiB/s")
            bench.note(f"share of a core, {name}", share * 100, None, "%")


def compiled(folder: Path) -> None:
    """Programs find their modules compiled, as those that are installed do."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    subprocess.run(python("-c", "import tui.app, tui.client.hub_source, hub.app"), cwd=ROOT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="The console's figures on a full hub.")
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--changes", type=float, default=500.0)
    parser.add_argument("--soak", type=float, default=30.0, help="seconds of watching the memory")
    parser.add_argument("--folder", type=Path, help="keep the filled store here between runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="answerback-console-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(ROOT)
        compiled(folder)
        profile = folder / "hub" / "profile"
        bench = Bench(python("-m", "tui", "--profile", str(profile), "console"), folder / "lateness")
        load = [f"{os.getloadavg()[0]:.1f}"]
        parts: list[tuple[float, float, Callable[[], None]]] = [
            (
                given.changes,
                300 + 2 * given.soak,
                lambda: on_busy_hub(bench, f"{given.changes:g} changes/s", given.soak),
            ),
            (10.0, 200, lambda: on_calm_hub(bench)),
        ]
        for changes, seconds, part in parts:
            with world(folder, given.agents, given.jobs, changes, seconds):
                part()
            load.append(f"{os.getloadavg()[0]:.1f}")
        beside(bench)
    load.append(f"{os.getloadavg()[0]:.1f}")
    print(
        f"\n{given.agents:,} machines, {given.jobs:,} jobs; {os.cpu_count()} cores, load {' '.join(load)} on the way\n"
    )
    for figure in bench.figures:
        print(figure)
    missed = [figure for figure in bench.figures if figure.wanted is not None and figure.found >= figure.wanted]
    print(f"\n{len(missed)} missed" if missed else "\nall met")


if __name__ == "__main__":
    main()
