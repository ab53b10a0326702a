"""Power failures of a hub's machine and of a machine that runs jobs, under load.

Each round sends messages all the time, each again under its id until it is taken; the power fails at a moment by
chance, the disk has what was synced (`power`), and the program is started again, in another boot. What a webhook
answered with 2xx must be there, no job may run twice, and unknown may be only what was handed out and had not ended
when the power of its machine failed. It need not have been accepted: where the hub's word to start went with the order,
the machine may have begun it before anything that would tell so was on a disk, and a state folder that a power failure
has put back cannot be told from a copy of it. A job that waits for that word is unknown only once it was accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import aiohttp

from common.lifecycle import JOB_DISPATCHED, REQUEST_TERMINAL, JobState
from hub.core.records import Job, Request
from tests.end_to_end.system import SystemHarness
from tests.faults.checker import History, violations
from tests.faults.oracle import NAME, Oracle
from tests.faults.power import Disk

MACHINE: Final = "web-1"
EVERY: Final = 0.1
"""Seconds between two messages."""
LOAD: Final = (0.3, 1.2)
"""Seconds of load before the power fails, at least and at most."""
Where = Literal["hub", "machine"]
UNEXPLAINED: Final = "is unknown, and was not in the machine's hands with a word to start when its power failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table."""

    case: str
    rounds: int
    taken: int  # messages that were answered 2xx
    states: Mapping[JobState, int]
    violations: Sequence[str]

    def row(self) -> str:
        states = ", ".join(f"{count} {state.value}" for state, count in sorted(self.states.items()))
        return f"| {self.case} | {self.rounds} | {self.taken} | {states} | {len(self.violations)} |"


class OutageSystem:
    """A hub and a machine, each on a disk that forgets."""

    def __init__(self, rig: SystemHarness, hub_module: str) -> None:
        self.rig = rig
        self.oracle = Oracle(rig)
        self.taken: list[str] = []
        self.may_be_unknown: set[str] = set()  # handed out, and not ended, when the machine's power failed
        self._had_word: set[str] = set()  # those whose order had the hub's word to start with it
        self._hub_module = hub_module
        self._disks: dict[Where, Disk] = {}

    async def prepare(self) -> None:
        """The machine has joined, and everything that is on the disks is synced."""
        await self.rig.start_hub()
        await self.rig.join(MACHINE)
        await self.rig.programs["hub"].stop()
        self._disks["hub"] = Disk(self.rig.hub_dir, self.rig.folder / "hub-disk")
        self._disks["machine"] = Disk(self.rig.state_folder(MACHINE), self.rig.folder / "machine-disk")

    async def start_hub(self) -> None:
        argv = (self._hub_module, "serve", "--config", str(self.rig.config))
        program = await self.rig.start("hub", *argv, env=self._disks["hub"].env)
        await self.rig.wait_until(self.rig.ready, program)

    async def start_machine(self) -> None:
        argv = ("agent", "run", "--state", str(self.rig.state_folder(MACHINE)))
        program = await self.rig.start(MACHINE, *argv, env=self._disks["machine"].env)
        await self.rig.wait_until(lambda: self.rig.online(MACHINE), program)

    async def fail(self, where: Where) -> None:
        """Its power, and it is started again."""
        if where == "hub":
            await asyncio.to_thread(self._disks["hub"].fail, [self.rig.programs["hub"].pid])
            await self.rig.programs["hub"].process.wait()
            await self.start_hub()
            return
        runner = self.rig.runner_pid(MACHINE)
        pids = [self.rig.programs[MACHINE].pid, *([runner] if runner is not None else [])]
        await asyncio.to_thread(self._disks["machine"].fail, pids)
        await self.rig.programs[MACHINE].process.wait()
        # What is handed out until the hub knows goes the same way as what was handed out before.
        await self.rig.wait_until(self._is_offline, self.rig.programs["hub"])
        jobs, _ = self.rows()
        dispatched = {event["subject"] for event in self.rig.events() if event["kind"] == "job.dispatched"}
        under_way = [job for job in jobs if job.state in JOB_DISPATCHED and job.id in dispatched]
        self.may_be_unknown |= {job.id for job in under_way}
        self._had_word |= {job.id for job in under_way if job.stamp}
        await self.start_machine()

    async def _is_offline(self) -> bool:
        return not await self.rig.online(MACHINE)

    async def load(self, over: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not over.is_set():
                tasks.create_task(self._send())
                await asyncio.sleep(EVERY)

    async def _send(self) -> None:
        event, text = f"m-{secrets.token_hex(8)}", f"@{MACHINE} {NAME} {random.choice(['0', '0.2', '1'])}"
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with asyncio.timeout(30):
                    _, status, _ = await self.rig.post("carol", text, event=event)
                if status == 200:
                    self.taken.append(event)
                    return
            await asyncio.sleep(0.2)

    def rows(self) -> tuple[list[Job], list[Request]]:
        return self.rig.read(lambda txn: (txn.jobs(limit=100_000), txn.requests(limit=100_000)))

    async def wait_rest(self) -> None:
        async def condition() -> bool:
            jobs, requests = self.rows()
            known = {one.event_id for one in requests}
            if not known.issuperset(self.taken):
                return True  # lost: the checker says which
            rest = all(one.state in REQUEST_TERMINAL for one in requests)
            return rest and not any(job.state in (JobState.QUEUED, *JOB_DISPATCHED) for job in jobs)

        await self.rig.wait_until(condition, self.rig.programs["hub"])

    def outcome(self, case: str, rounds: int) -> Outcome:
        jobs, requests = self.rows()
        unknown = {job.id for job in jobs if job.state is JobState.UNKNOWN}
        history = History(
            self.oracle.starts(), requests, jobs, self.rig.events(), self.taken, unknown_allowed=bool(unknown)
        )
        accepted = {event["subject"] for event in history.events if event["kind"] == "job.accepted"}
        found = violations(history) + unexplained(unknown, self.may_be_unknown, accepted | self._had_word)
        return Outcome(case, rounds, len(self.taken), Counter(job.state for job in jobs), found)


def unexplained(unknown: Set[str], handed_out: Set[str], told: Set[str]) -> list[str]:
    """Jobs that must not be unknown. `handed_out` when the power of their machine failed; `told` to start, with their
    order or once they were accepted.
    """
    return [f"{job} {UNEXPLAINED}" for job in sorted(unknown - (handed_out & told))]


@contextlib.asynccontextmanager
async def outage_system(folder: Path, hub_module: str = "hub") -> AsyncIterator[OutageSystem]:
    async with SystemHarness(folder) as rig:
        await rig.init()
        system = OutageSystem(rig, hub_module)
        await system.prepare()
        await system.start_hub()
        await system.start_machine()
        yield system


async def run_case(folder: Path, case: str, places: Sequence[Where], hub_module: str = "hub") -> Outcome:
    """The power of these places fails, one after the other."""
    async with outage_system(folder, hub_module) as system:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(system.load(over))
            for where in places:
                await asyncio.sleep(random.uniform(*LOAD))
                await system.fail(where)
            over.set()
        await system.wait_rest()
        return system.outcome(case, len(places))


SHORT: Final[Mapping[str, Sequence[Where]]] = {"the hub": ["hub"] * 2, "the machine": ["machine"] * 2}
LONG: Final[Mapping[str, Sequence[Where]]] = {
    "the hub": ["hub"] * 15,
    "the machine": ["machine"] * 15,
    "hub and machine in turn": ["hub", "machine"] * 6,
}
HEAD: Final = "| the power fails at | times | taken | jobs | violations |\n|---|---|---|---|---|"
