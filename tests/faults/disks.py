"""Disks that are full: a small file system of its own for a hub, and what a whole system does while nothing fits on it.

A case fills the disk of a hub to the last byte, while it serves, or while it is down, stopped or killed; looks at what
is told and that nothing new is taken or started; makes room, and waits until everything that was taken has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from common.lifecycle import REQUEST_TERMINAL, JobState
from hub.core.records import Job, Request
from tests.end_to_end.system import SystemHarness
from tests.faults.checker import History, violations
from tests.faults.databases import tracebacks
from tests.faults.oracle import NAME, Oracle

MACHINE: Final = "web-1"
SIZE: Final = 24 * 1024 * 1024


class SmallDisk:
    """A file system in memory; `fill` leaves nothing of it, `make_room` takes the filling away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """To the last byte, and without an i-node's worth of mercy for files that are to be made."""
        with self._ballast.open("ab") as file:
            for piece in (1024 * 1024, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(file.fileno(), b"x" * piece)

    def eat(self, reserve: Path) -> None:
        """Fills the place of the reserve too: somebody else has taken it."""
        reserve.unlink(missing_ok=True)
        self.fill()

    def make_room(self) -> None:
        self._ballast.unlink()

    @property
    def free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@contextlib.contextmanager
def small_disk(folder: Path, size: int = SIZE) -> Iterator[SmallDisk]:
    """Mounted on `folder`; skips the test where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "answerback-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk, and where mounting is allowed")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table."""

    case: str
    states: Mapping[JobState, int]
    refused: int  # messages that were answered 503
    back: float  # seconds from when there was room until the hub was ready
    violations: Sequence[str]

    def row(self) -> str:
        states = ", ".join(f"{count} {state.value}" for state, count in sorted(self.states.items()))
        return f"| {self.case} | {states} | {self.refused} | {self.back:.1f} s | {len(self.violations)} |"


class DiskSystem:
    """A hub on a small disk, and a machine on a large one."""

    def __init__(self, rig: SystemHarness, disk: SmallDisk) -> None:
        self.rig = rig
        self.disk = disk
        self.oracle = Oracle(rig)
        self.taken: list[str] = []
        self.refused = 0

    async def post(self, *words: object) -> int:
        """The oracle with these words; the status of the answer."""
        event, status, answer = await self.rig.post("carol", " ".join(map(str, (f"@{MACHINE}", NAME, *words))))
        if status == 200:
            self.taken.append(event)
        else:
            assert (status, answer["error"]) == (503, "disk_full"), answer
            self.refused += 1
        return status

    async def page(self, name: str) -> tuple[int, dict[str, Any]]:
        assert self.rig.session is not None
        async with self.rig.session.get(f"http://127.0.0.1:{self.rig.http}/{name}") as answer:
            return answer.status, await answer.json()

    async def wait_mode(self, mode: str) -> None:
        async def condition() -> bool:
            with contextlib.suppress(OSError):
                return (await self.page("healthz"))[1]["storage"] == mode
            return False

        await self.rig.wait_until(condition, self.rig.programs["hub"])

    async def wait_started(self, count: int) -> None:
        async def condition() -> bool:
            return len(self.oracle.starts()) >= count

        await self.rig.wait_until(condition, self.rig.programs["hub"])

    async def start_full(self) -> None:
        """The hub, on a disk without room; until it has been found to be there."""
        await self.rig.start("hub", "hub", "serve", "--config", str(self.rig.config))
        await self.wait_mode("read-only")
        await self.rig.wait_until(lambda: self.rig.online(MACHINE), self.rig.programs["hub"])

    async def look_full(self) -> int:
        """What is told of it at every place, and that nothing new is taken; how many jobs wait."""

        async def told() -> bool:
            status, page = await self.page("readyz")
            assert (status, page["storage"]) == (503, "read-only")
            return any(reason.startswith("storage: ") and "others" in reason for reason in page["reasons"])

        await self.rig.wait_until(told, self.rig.programs["hub"])
        _, out, _ = await self.rig.operator("queue", "--json")
        queue = json.loads(out)
        assert "database" in queue["storage"], out
        assert await self.post() == 503
        return int(queue["depth"])

    async def make_room(self) -> float:
        """Room, and how long it took until the hub was ready by itself."""
        begun = time.monotonic()
        self.disk.make_room()
        await self.rig.wait_until(self.rig.ready, self.rig.programs["hub"])
        await self.wait_mode("normal")
        return time.monotonic() - begun

    @property
    def reserve(self) -> Path:
        return self.rig.hub_dir / "data" / "answerback.sqlite.reserve"

    async def wait_for(self, found: Callable[[list[Job]], bool]) -> None:
        async def condition() -> bool:
            return found(self.rows()[0])

        await self.rig.wait_until(condition, self.rig.programs["hub"])

    def rows(self) -> tuple[list[Job], list[Request]]:
        return self.rig.read(lambda txn: (txn.jobs(limit=10_000), txn.requests(limit=10_000)))

    async def wait_rest(self) -> None:
        async def condition() -> bool:
            _, requests = self.rows()
            return len(requests) == len(self.taken) and all(one.state in REQUEST_TERMINAL for one in requests)

        await self.rig.wait_until(condition, self.rig.programs["hub"])

    def outcome(self, case: str, back: float) -> Outcome:
        jobs, requests = self.rows()
        history = History(self.oracle.starts(), requests, jobs, self.rig.events(), self.taken)
        found = [*violations(history), *tracebacks(self.rig.programs["hub"].log)]
        return Outcome(case, Counter(job.state for job in jobs), self.refused, back, found)


@contextlib.asynccontextmanager
async def disk_system(folder: Path) -> Any:
    with small_disk(folder / "hub") as disk:
        async with SystemHarness(folder) as rig:
            await rig.init()
            system = DiskSystem(rig, disk)
            await rig.start_hub()
            await rig.add_agent(MACHINE)
            yield system


async def serving_case(folder: Path) -> Outcome:
    """Full while it serves: a job that runs then ends, and its end is written with the reserve's room or waits."""
    async with disk_system(folder) as system:
        await system.post(2)
        await system.wait_started(1)
        system.disk.fill()
        while await system.post() != 503:
            system.disk.fill()
        await system.wait_mode("read-only")
        system.disk.fill()  # also what the reserve has given
        await system.look_full()
        back = await system.make_room()
        await system.post()
        await system.wait_rest()
        return system.outcome("filled while it serves", back)


async def restart_case(folder: Path, number: signal.Signals, *, reserve: bool) -> Outcome:
    """Full while it is down: one job has run meanwhile, one is queued at the hub for a machine that runs it after.
    Without the `reserve` not even the start can be written.
    """
    async with disk_system(folder) as system:
        await system.post(2)
        await system.wait_started(1)
        agent = system.rig.programs[MACHINE]
        await agent.stop()
        await system.post()
        await system.wait_for(lambda jobs: len(jobs) == 2)
        await system.rig.programs["hub"].stop(number)
        system.disk.fill()
        if not reserve:
            system.disk.eat(system.reserve)
        assert system.disk.free == 0
        await system.rig.start(MACHINE, "agent", "run", "--state", str(system.rig.state_folder(MACHINE)))
        await system.start_full()
        assert await system.look_full() == 1
        if reserve:  # of what runs the end is written
            await system.wait_for(lambda jobs: any(job.state is JobState.SUCCEEDED for job in jobs))
        assert len(system.oracle.starts()) == 1
        back = await system.make_room()
        await system.wait_rest()
        how = "with its reserve" if reserve else "its reserve taken by others"
        return system.outcome(f"filled while it is down after {number.name}, {how}", back)


CASES: Final[Mapping[str, Callable[[Path], Awaitable[Outcome]]]] = {
    "serving": serving_case,
    "SIGTERM": partial(restart_case, number=signal.SIGTERM, reserve=True),
    "SIGTERM, no reserve": partial(restart_case, number=signal.SIGTERM, reserve=False),
    "SIGKILL": partial(restart_case, number=signal.SIGKILL, reserve=True),
    "SIGKILL, no reserve": partial(restart_case, number=signal.SIGKILL, reserve=False),
}
HEAD: Final = "| the hub's disk | jobs | refused | back | violations |\n|---|---|---|---|---|"
