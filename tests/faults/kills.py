"""kill -9 of hub, uplink and runner, again and again and at any moment, under load."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from common.lifecycle import JobState
from tests.faults.checker import verdict
from tests.faults.oracle import NAME
from tests.faults.world import MACHINE, World, running_world

Victim = Literal["hub", "uplink", "runner"]
VICTIMS: Final[tuple[Victim, ...]] = ("hub", "uplink", "runner")
SENDERS: Final = 12
"""Messages that are under way at a time."""
LONGEST: Final = 0.4
"""Seconds of a command at most; every third ends at once."""
APART: Final = 0.5
"""Seconds between a link and the next kill, at most."""
REST_WITHIN: Final = 240.0


@dataclass(frozen=True, slots=True)
class KillRow:
    """One row of the table."""

    victim: str
    kills: int
    states: Mapping[JobState, int]
    unknown_ran: int  # of those whose end is unknown, how many have begun
    unheard: Sequence[str]  # of the others, those that no runner has said anything of
    found: Mapping[str, Sequence[str]]  # what must not have been, by rule
    back: Sequence[float]  # seconds from each kill to the link after it

    @property
    def violations(self) -> list[str]:
        found = [one for rule in self.found.values() for one in rule]
        found += [f"{job} is unknown, and no runner knows of it" for job in self.unheard]
        if count := self.states.get(JobState.NOT_STARTED, 0):
            found.append(f"{count} ended as not started, with time left")
        return found

    def row(self) -> str:
        jobs, unknown = sum(self.states.values()), self.states.get(JobState.UNKNOWN, 0)
        others = sum(len(found) for name, found in self.found.items() if name not in ("lost", "twice"))
        back = sorted(self.back)
        took = f"{back[len(back) // 2]:.1f} / {back[int(len(back) * 0.99)]:.1f} s" if back else "-"
        lost, twice = len(self.found["lost"]), len(self.found["twice"])
        late = self.states.get(JobState.NOT_STARTED, 0)
        return (
            f"| {self.victim} | {self.kills} | {jobs} | {lost} | {twice} | {others} | {late} | "
            f"{unknown} ({self.unknown_ran} ran) | {took} |"
        )


HEAD: Final = (
    "| killed | times | jobs | lost | twice | wrong | not_started | unknown | back, p50 / p99 |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


async def kill_again_and_again(
    folder: Path, victim: Victim, kills: int, seed: int = 0, told: Callable[[str], None] = lambda line: None
) -> KillRow:
    """Senders that wait for each answer, and in between the victim is killed `kills` times."""
    chance = random.Random(seed)
    async with running_world(folder, relayed=False) as world:
        world.begin()
        over = asyncio.Event()
        back: list[float] = []

        async def send() -> None:
            while not over.is_set():
                seconds = 0.0 if chance.random() < 1 / 3 else chance.uniform(0.0, LONGEST)
                event = await world.say("carol", f"@{MACHINE} {NAME} {seconds:.2f}")
                await world.rig.receiver.wait_final(event, REST_WITHIN)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(SENDERS):
                tasks.create_task(send())
            for turn in range(1, kills + 1):
                await asyncio.sleep(chance.uniform(0.0, APART))
                began = time.monotonic()
                await kill(world, victim)
                await world.until_linked()
                back.append(time.monotonic() - began)
                if turn % 20 == 0 or turn == kills:
                    told(f"{victim}: killed {turn} of {kills} times, {len(world.rig.receiver.finals)} answers")
            over.set()
        await world.until_rest(REST_WITHIN)
        history = world.history(unknown_allowed=victim == "runner")
        unknown = {job.id for job in history.jobs if job.state is JobState.UNKNOWN}
        ran = {start.job for start in history.starts}
        said = {event["subject"] for event in history.events if event["kind"] == "job.accepted"}
        states = Counter(job.state for job in history.jobs)
        unheard = sorted(unknown - ran - said)
        return KillRow(victim, kills, states, len(unknown & ran), unheard, verdict(history), back)


async def kill(world: World, victim: Victim) -> None:
    """And what a service manager does then."""
    match victim:
        case "hub":
            await world.kill_hub()
            await world.start_hub()
        case "uplink":
            await world.kill_uplink()
            await world.start_agent()
        case "runner":
            world.agent_log.mark()
            await world.kill_runner()
            await world.start_runner()
            await world.until(lambda: "runner.attached" in world.agent_log.text(), "the next runner")
