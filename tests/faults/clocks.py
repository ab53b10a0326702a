"""The table of clocks: what a whole system does when a wall clock is off, or is set while something waits.

An agent's case: more commands than a machine runs at a time, each longer than the life of what waits behind it, with
the agent's clock off by so much. What waits must be refused as expired by the agent itself, at its time and not later.

A hub's case: its clock is set while a job is queued for a machine that is away, accepted and waiting for a place,
running; and while the hub is down. Everything must run, on the links there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.lifecycle import REQUEST_TERMINAL, JobState
from hub.core.records import Job, Request
from tests.end_to_end.system import Program, SystemHarness
from tests.faults.checker import History, late_starts, violations
from tests.faults.oracle import NAME, Oracle, boot_now
from tests.faults.wall_clock import WallClock

MACHINE: Final = "web-1"
PLACES: Final = 32
"""Programs that a runner runs at a time."""
LIFE: Final = 8
MINUTE, HOUR, YEAR = 60.0, 3_600.0, 31_557_600.0
AGENT_CLOCKS: Final = (-4 * MINUTE, 4 * MINUTE, -HOUR, HOUR, -YEAR, YEAR)
HUB_STEPS: Final = (-70.0, 70.0, -HOUR, HOUR)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table."""

    case: str
    states: Mapping[JobState, int]
    late: int
    links: int  # times that the machine was linked
    violations: Sequence[str]

    def row(self) -> str:
        states = ", ".join(f"{count} {state.value}" for state, count in sorted(self.states.items()))
        return f"| {self.case} | {states or 'no job'} | {self.late} | {self.links} | {len(self.violations)} |"


class ClockSystem:
    """A hub and an agent, each with a clock of its own."""

    def __init__(self, rig: SystemHarness, life: int) -> None:
        self.rig = rig
        self.hub = WallClock(rig.folder / "clocks", "hub")
        self.agent = WallClock(rig.folder / "clocks", "agent")
        self.oracle = Oracle(rig)
        self._taken: dict[str, float] = {}
        rig.edit_config(r"^#? ?ttl = .*$", f'ttl = "{life}s"')

    async def start_hub(self) -> None:
        await self.rig.start_hub(env=self.hub.env)

    async def start_agent(self) -> Program:
        """Started, and not waited for: a clock may keep it away."""
        folder = str(self.rig.state_folder(MACHINE))
        return await self.rig.start(MACHINE, "agent", "run", "--state", folder, env=self.agent.env)

    async def post(self, count: int, seconds: int) -> None:
        """So many commands of so many seconds each; all are taken."""
        for _ in range(count):
            event, status, answer = await self.rig.post("carol", f"@{MACHINE} {NAME} {seconds}")
            assert status == 200, answer
            self._taken[event] = boot_now()

    async def wait_linked(self) -> None:
        await self.rig.wait_until(lambda: self.rig.online(MACHINE), self.rig.programs[MACHINE])

    async def wait_for(self, found: Callable[[list[Job], list[Request]], bool]) -> None:
        async def condition() -> bool:
            return found(*self.rows())

        await self.rig.wait_until(condition, self.rig.programs["hub"])

    async def wait_for_log(self, name: str, text: str, count: int = 1) -> None:
        async def condition() -> bool:
            return self.rig.programs[name].log.read_text(errors="replace").count(text) >= count

        await self.rig.wait_until(condition, self.rig.programs[name])

    async def wait_rest(self) -> None:
        """Until everything that was taken has ended."""
        wanted = len(self._taken)
        await self.wait_for(
            lambda jobs, requests: (
                len(requests) == wanted and all(request.state in REQUEST_TERMINAL for request in requests)
            )
        )

    def rows(self) -> tuple[list[Job], list[Request]]:
        return self.rig.read(lambda txn: (txn.jobs(limit=10_000), txn.requests(limit=10_000)))

    def outcome(self, case: str) -> Outcome:
        jobs, requests = self.rows()
        queued = {request.id: self._taken[request.event_id] for request in requests}
        history = History(self.oracle.starts(), requests, jobs, self.rig.events(), list(self._taken), queued)
        log = self.rig.programs["hub"].log.read_text(errors="replace")
        links = sum("agent.connected" in line for line in log.splitlines())
        return Outcome(case, Counter(job.state for job in jobs), len(late_starts(history)), links, violations(history))


async def agent_case(folder: Path, ahead: float, waiting: int = 8) -> Outcome:
    """More commands than places, on a machine whose clock is `ahead` of the hub's."""
    async with SystemHarness(folder) as rig:
        await rig.init()
        system = ClockSystem(rig, LIFE)
        await system.start_hub()
        await rig.join(MACHINE)
        system.agent.set(ahead)
        await system.start_agent()
        if ahead > 80 * 24 * HOUR:  # it takes the hub's certificate for expired: told, and nothing is started
            await system.wait_for_log(MACHINE, "clock.off")
        else:
            await system.wait_linked()
        await system.post(PLACES + waiting, LIFE + 4)
        await system.wait_rest()
        return system.outcome(f"agent {told(ahead)}")


async def hub_case(folder: Path, steps: Sequence[float]) -> Outcome:
    """Jobs at each of their stages while the hub's clock is set, once for each of `steps`."""
    async with SystemHarness(folder) as rig:
        await rig.init()
        system = ClockSystem(rig, 60)
        await system.start_hub()
        await rig.join(MACHINE)
        for number, step in enumerate(steps, 1):
            await system.post(2, 1)
            await system.wait_for(lambda jobs, _: sum(job.state is JobState.QUEUED for job in jobs) == 2)
            await set_hub(system, step, 2 * number - 1)  # queued
            agent = await system.start_agent()
            await system.wait_linked()
            await system.wait_rest()
            await system.post(PLACES + 2, 3)
            await system.wait_for(lambda jobs, _: sum(job.state is JobState.RUNNING for job in jobs) == PLACES)
            await set_hub(system, -step, 2 * number)  # running, and accepted behind them
            await system.wait_rest()
            await agent.stop()
        return system.outcome(f"hub set {', '.join(f'{told(step)} and back' for step in steps)}")


async def restart_case(folder: Path, step: float) -> Outcome:
    """The hub's clock is set while the hub is down and jobs are queued there."""
    async with SystemHarness(folder) as rig:
        await rig.init()
        system = ClockSystem(rig, 60)
        await system.start_hub()
        await rig.join(MACHINE)
        await system.post(3, 1)
        await system.wait_for(lambda jobs, _: sum(job.state is JobState.QUEUED for job in jobs) == 3)
        await rig.programs["hub"].stop()
        system.hub.step(step)
        await system.start_hub()
        await system.wait_for_log("hub", "clock.stepped")
        await system.start_agent()
        await system.wait_linked()
        await system.wait_rest()
        return system.outcome(f"hub set {told(step)} while it was down")


async def set_hub(system: ClockSystem, step: float, times: int) -> None:
    """Sets the hub's clock, and waits until it has noticed, which its timers have then."""
    system.hub.step(step)
    await system.wait_for_log("hub", "clock.stepped", times)


def told(ahead: float) -> str:
    for unit, size in (("y", YEAR), ("h", HOUR), ("min", MINUTE)):
        if abs(ahead) >= size and ahead % size == 0:
            return f"{ahead / size:+.0f} {unit}"
    return f"{ahead:+.0f} s"
