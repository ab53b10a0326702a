"""The step x fault matrix: a message is held at each of its steps, one thing goes wrong there, and it goes on.

Every cell is one message of its own on a world that serves all of them: it is posted, its program is stopped at the
step's crash point, the fault is made, what stands is let go or started again, and when all has come to rest the checker
reads the cell's history. A fault that is not played has its reason in `SKIPPED`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.lifecycle import JobState
from tests.end_to_end.system import HarnessError
from tests.faults.checker import violations
from tests.faults.faults import FAULTS, Fault
from tests.faults.steps import STEPS, Step
from tests.faults.world import World, running_world


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one."""

    step: str
    fault: str
    states: Mapping[str, int]
    seconds: float
    violations: Sequence[str]

    @property
    def id(self) -> str:
        return f"{self.step}x{self.fault}"

    @property
    def told(self) -> str:
        """How the command ended, or what must not have been."""
        return "; ".join(self.violations) or ", ".join(self.states)


async def play_cell(world: World, step: Step, fault: Fault) -> Cell:
    """One cell to its end. What was to happen and did not is a violation too."""
    began = time.monotonic()
    world.relay.heal()
    world.relay.protocol = 0
    broken: list[str] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            await fault.before(world)
            await world.until_linked()
            world.begin()
            world.agent_log.mark()
            world.arm(step)
            said = tasks.create_task(world.play(step))
            pid = await world.until_held(step)
            try:
                await fault.make(world, step, pid)
            finally:
                world.release(pid)
            await said
            await world.until_rest()
    except* HarnessError as errors:
        broken += map(str, errors.exceptions)
    if broken:
        world.relay.reset()
        return Cell(step.id, fault.id, {}, time.monotonic() - began, broken)
    unknown = fault.unknown(step)
    found = violations(world.history(unknown_allowed=unknown))
    states = Counter(job.state.value for job in world.jobs())
    found += unexpected(step, states, unknown=unknown)
    return Cell(step.id, fault.id, states, time.monotonic() - began, found)


def unexpected(step: Step, states: Mapping[str, int], *, unknown: bool) -> list[str]:
    """Whatever went wrong, there is time left: what had not started runs, and what was cancelled is."""
    end = JobState.CANCELLED if step.said == "cancel" else JobState.SUCCEEDED
    allowed = {end.value} | ({JobState.UNKNOWN.value} if unknown else set())
    others = {state: count for state, count in states.items() if state not in allowed}
    if others or not states:
        return [f"ended as {dict(states)}, and {end.value} was to come"]
    return []


def cells(only: Sequence[str] = ()) -> list[tuple[Step, Fault]]:
    """All of them, or those of a step, a fault, or with such a name (`S7xF1`)."""
    wanted = set(only)
    every = [(step, fault) for fault in FAULTS for step in STEPS]
    return [(step, fault) for step, fault in every if not wanted or {step.id, fault.id, name_of(step, fault)} & wanted]


def name_of(step: Step, fault: Fault) -> str:
    return f"{step.id}x{fault.id}"


SAMPLE: Final = (
    "S1xF1",
    "S2xF4",
    "S3xF11",
    "S5xF14",
    "S6xF5u",
    "S7xF9r",
    "S8xF16",
    "S9xF5m",
    "S10xF7",
    "S11xF5r",
    "S12xF9l",
    "S13xF9o",
    "S14xF1",
    "S15xF9d",
)
"""Cells of every test run: nearly every step and fault once, those without the faults that take longest."""


async def play_matrix(
    folder: Path, only: Sequence[str] = (), count: int = 1, told: Callable[[str], None] = lambda line: None
) -> list[Cell]:
    """The cells that are asked for, `count` times each, on a world for those that set clocks and one for the others."""
    played: list[Cell] = []
    for clocked in (False, True):
        wanted = [(step, fault) for step, fault in cells(only) if fault.clocked is clocked]
        if not wanted:
            continue
        async with running_world(folder / f"w{clocked:d}", clocked=clocked) as world:
            for step, fault in wanted * count:
                cell = await play_cell(world, step, fault)
                told(f"{cell.id}: {cell.seconds:.1f} s, {cell.told}")
                played.append(cell)
    return played


def markdown(played: Sequence[Cell]) -> str:
    """A row a step, a column a fault."""
    faults = [fault for fault in FAULTS if any(cell.fault == fault.id for cell in played)]
    lines = ["| step | " + " | ".join(fault.id for fault in faults) + " |", "|---" * (len(faults) + 1) + "|"]
    for step in STEPS:
        row = [[cell.told for cell in played if (cell.step, cell.fault) == (step.id, fault.id)] for fault in faults]
        if any(row):
            lines.append(f"| {step.id} {step.says} | " + " | ".join(map(_summed, row)) + " |")
    lines += ["", *(f"- {fault.id}: {fault.says}" for fault in faults)]
    return "\n".join(lines)


def _summed(told: Sequence[str]) -> str:
    counts = Counter(told)
    return ", ".join(f"{count} {one}" if len(told) > 1 else one for one, count in counts.items())
