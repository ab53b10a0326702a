"""python -m tests.faults.soak: hours of ordinary work, and what grows meanwhile that should not.

    python -m tests.faults.soak --minutes 60 --rate 20

A hub, a machine and a chat are real processes. Each second `--rate` signed messages arrive, evenly spaced: of twenty,
eighteen are commands that write one line to a file, one prints 20 KiB, one asks for the hub's status. Each minute a
line tells memory, descriptors and threads of hub, uplink and runner, the write-ahead log, bytes of the store, and the
minute's latencies. At the end a table for docs/faults.md, and the verdict: nothing lost, nothing run twice, nothing
grown beyond the bounds below, no exception logged, the audit verifies. Exits with 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from tests.bench.percentile import percentile
from tests.end_to_end.system import SystemHarness

MIB: Final = 2**20
MINUTE: Final = 60.0
MIX: Final = 20  # of so many messages one prints a page and one asks for the status
PAGE: Final = 20 * 1024  # bytes
PROGRAMS: Final = ("hub", "uplink", "runner")
WARM: Final = 0.25
"""The share of a run in which caches fill; slopes are of what follows."""
MAX_SLOPE: Final = 1.0  # MiB an hour of each program
MAX_SLOPE_RUN: Final = 3_600.0  # seconds from which on a run is long enough to hold a slope to its bound
MAX_DESCRIPTORS: Final = 16  # more than at the start of the slope
MAX_WAL: Final = 64 * MIB
SENDERS: Final = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """What is there at one moment."""

    at: float  # seconds since the first message
    pss: Mapping[str, float]  # MiB of each program
    descriptors: Mapping[str, int]
    threads: Mapping[str, int]
    wal: int  # bytes
    store: int  # bytes, the write-ahead log not counted
    log: int  # bytes
    sent: int
    answered: int
    latencies: Sequence[float] = ()  # seconds, of what was answered since the sample before


@dataclass(slots=True)
class Result:
    samples: list[Sample] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much a value grows an hour: least squares over (seconds, value); 0 of less than two points."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 3_600.0 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def settled(samples: Sequence[Sample]) -> list[Sample]:
    """Those after the warm part."""
    end = samples[-1].at if samples else 0.0
    return [sample for sample in samples if sample.at >= WARM * end]


def grown(samples: Sequence[Sample]) -> list[str]:
    """What has grown beyond its bound, in words."""
    found = []
    kept = settled(samples)
    for name in PROGRAMS:
        by = slope([(sample.at, sample.pss[name]) for sample in kept])
        if samples[-1].at >= MAX_SLOPE_RUN and by > MAX_SLOPE:
            found.append(f"{name} grows by {by:.2f} MiB an hour")
        more = kept[-1].descriptors[name] - kept[0].descriptors[name]
        if more > MAX_DESCRIPTORS:
            found.append(f"{name} has {more} descriptors more")
    largest = max(sample.wal for sample in samples)
    if largest > MAX_WAL:
        found.append(f"the write-ahead log had {largest / MIB:.0f} MiB")
    return found


class Soak:
    def __init__(self, rig: SystemHarness) -> None:
        self.rig = rig
        self.file = rig.folder / "ran.log"
        self.began: dict[str, float] = {}
        self.commands: set[str] = set()
        self.refused: Counter[int] = Counter()
        self._latencies: list[float] = []
        self._processes: dict[str, psutil.Process] = {}
        self._start = 0.0
        self._answered = 0
        rig.receiver.on_reply = self._note

    def prepare(self) -> None:
        """Adds the programs that people run here."""
        self.rig.add_program("line", f'echo "$ANSWERBACK_JOB" >> {self.file}\n')
        page = f'echo "$ANSWERBACK_JOB" >> {self.file}\nhead -c {PAGE} /dev/zero | tr "\\0" x\n'
        self.rig.add_program("page", page)

    def look(self) -> None:
        """Takes the programs as they run now."""
        agent = self.rig.programs["box"].pid
        pids = {"hub": self.rig.programs["hub"].pid, "uplink": agent, "runner": self.rig.runner_pid("box") or agent}
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}

    def _note(self, reply: dict[str, object]) -> None:
        event = str(reply.get("in_reply_to"))
        if reply.get("kind") == "final" and event in self.began:
            self._answered += 1
            self._latencies.append(time.perf_counter() - self.began[event])

    def sample(self) -> Sample:
        data = self.rig.hub_dir / "data"
        taken, self._latencies = self._latencies, []
        return Sample(
            at=time.perf_counter() - self._start,
            pss={name: one.memory_full_info().pss / MIB for name, one in self._processes.items()},
            descriptors={name: one.num_fds() for name, one in self._processes.items()},
            threads={name: one.num_threads() for name, one in self._processes.items()},
            wal=_size(data / "answerback.sqlite-wal"),
            store=_size(data / "answerback.sqlite"),
            log=_size(self.rig.programs["hub"].log),
            sent=len(self.began),
            answered=self._answered,
            latencies=taken,
        )

    async def run(self, seconds: float, rate: float, every: float, result: Result) -> None:
        self.look()
        self._start = time.perf_counter()
        result.samples.append(self.sample())
        _tell(result.samples[-1])
        async with asyncio.TaskGroup() as tasks:
            for number in range(SENDERS):
                tasks.create_task(self._send(number, seconds, rate), name=f"sender {number}")
            due = every
            while due <= seconds:
                await asyncio.sleep(max(0.0, self._start + due - time.perf_counter()))
                result.samples.append(self.sample())
                _tell(result.samples[-1])
                due += every
        await self.rig.receiver.wait_for(lambda: len(self.rig.receiver.finals) >= len(self.began), 300.0)
        result.samples.append(self.sample())
        _tell(result.samples[-1])

    async def _send(self, number: int, seconds: float, rate: float) -> None:
        for index in range(number, int(seconds * rate), SENDERS):
            await asyncio.sleep(max(0.0, self._start + index / rate - time.perf_counter()))
            event, kind = f"k-{index}", index % MIX
            text = "status" if kind == 0 else "@box page" if kind == 1 else "@box line"
            self.began[event] = time.perf_counter()
            _, status, _ = await self.rig.post("alice", text, event=event)
            if status != 200:
                self.refused[status] += 1
                del self.began[event]
            elif kind:
                self.commands.add(event)

    def check(self) -> list[str]:
        """What must not have been: lost, twice, not the truth."""
        found = [f"{count} messages were answered with {status}" for status, count in self.refused.items()]
        finals = self.rig.receiver.finals
        found += [f"{event} has no answer" for event in self.began if event not in finals]
        found += [f"{event} was answered {len(finals[event])} times" for event in finals if len(finals[event]) != 1]
        ran = Counter(self.file.read_text().split())
        found += [f"{job} ran {count} times" for job, count in ran.items() if count > 1]
        if len(ran) != len(self.commands):
            found.append(f"{len(ran)} jobs ran for {len(self.commands)} commands")
        for name, program in self.rig.programs.items():
            traced = program.log.read_text(errors="replace").count("Traceback")
            if traced:
                found.append(f"{traced} tracebacks in the log of {name}")
        return found


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _tell(sample: Sample) -> None:
    pss = " ".join(f"{name} {sample.pss[name]:.1f} MiB/{sample.descriptors[name]} fds" for name in PROGRAMS)
    print(
        f"{sample.at / MINUTE:6.1f} min  {sample.answered}/{sample.sent} answered  {pss}"
        f"  wal {sample.wal / MIB:.1f} MiB  store {sample.store / MIB:.1f} MiB"
        f"  p50 {1000 * percentile(sample.latencies, 50):.0f}  p99 {1000 * percentile(sample.latencies, 99):.0f} ms",
        file=sys.stderr,
        flush=True,
    )


def table(samples: Sequence[Sample], rows: int = 7) -> str:
    """Markdown: a few moments of the run, and what each value has done since it was warm."""
    step = max(1, (len(samples) - 1) // max(1, rows - 1))
    chosen = [*samples[:-1:step], samples[-1]]
    lines = [
        "| min | messages | hub MiB | uplink MiB | runner MiB | descriptors | threads | WAL MiB | store MiB "
        "| p50 ms | p99 ms |",
        "|---" * 11 + "|",
    ]
    for one in chosen:
        files = "/".join(str(one.descriptors[name]) for name in PROGRAMS)
        threads = "/".join(str(one.threads[name]) for name in PROGRAMS)
        pss = " | ".join(f"{one.pss[name]:.1f}" for name in PROGRAMS)
        lines.append(
            f"| {one.at / MINUTE:.0f} | {one.answered} | {pss} | {files} | {threads} | {one.wal / MIB:.1f} "
            f"| {one.store / MIB:.1f} | {1000 * percentile(one.latencies, 50):.0f} "
            f"| {1000 * percentile(one.latencies, 99):.0f} |"
        )
    kept = settled(samples)
    slopes = ", ".join(
        f"{name} {slope([(one.at, one.pss[name]) for one in kept]):+.2f} MiB an hour" for name in PROGRAMS
    )
    sent = max(1, samples[-1].answered - samples[0].answered)
    return "\n".join(
        [
            *lines,
            "",
            f"After the first quarter: {slopes}. Bytes a message: store "
            f"{(samples[-1].store - samples[0].store) / sent:,.0f}, "
            f"log {(samples[-1].log - samples[0].log) / sent:,.0f}.",
        ]
    )


async def soak(folder: Path, seconds: float, rate: float, every: float = MINUTE) -> Result:
    """One run; its samples and what did not hold."""
    result = Result()
    async with SystemHarness(folder, forks=False) as rig:
        await rig.init()
        work = Soak(rig)
        work.prepare()
        await rig.start_hub()
        await rig.add_agent("box")
        await work.run(seconds, rate, every, result)
        result.violations += [*work.check(), *grown(result.samples)]
        status, _, said = await rig.hub("audit", "verify", check=False)
        if status:
            result.violations.append(f"the audit does not verify: {said.strip()}")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--rate", type=float, default=20.0, help="messages a second (default: 20)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="answerback-soak-") as name:
        result = asyncio.run(soak(Path(name), given.minutes * MINUTE, given.rate))
    print(table(result.samples))
    for found in result.violations[:50]:
        print(f"does not hold: {found}")
    print(f"violations: {len(result.violations)}")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
