"""Runner and uplink upgraded again and again under load: a whole system, and the history that it leaves.

Each round posts more commands than the machine runs at a time, of lives from nothing to seconds, and asks the machine's
runner, or both programs, to go on as what is installed, while some run, some wait and some are on their way.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.lifecycle import JOB_TERMINAL, REQUEST_TERMINAL, JobState
from tests.end_to_end.system import SystemHarness
from tests.faults.checker import History, violations
from tests.faults.oracle import NAME, Oracle, boot_now

MACHINE: Final = "web-1"
LIFE: Final = 300
PRINTS: Final = "prints"
_PRINTS: Final = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo line $i; sleep 0.2; done"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    upgrades: int
    handed: int  # jobs that ran through one of them, over all
    states: Mapping[JobState, int]
    codes: Mapping[str, int]  # why jobs came back, not started
    violations: Sequence[str]
    printed: int  # jobs that printed all through, whole

    def row(self) -> str:
        states = ", ".join(f"{count} {state.value}" for state, count in sorted(self.states.items()))
        back = ", ".join(f"{count} {code}" for code, count in sorted(self.codes.items())) or "none"
        return f"| {self.upgrades} | {self.handed} | {states} | {back} | {len(self.violations)} |"


async def upgrade_case(folder: Path, rounds: int, burst: int = 45, *, both: bool = False, seed: int = 0) -> Outcome:
    chance = random.Random(seed)
    async with SystemHarness(folder) as rig:
        await rig.init()
        rig.edit_config(r"^#? ?ttl = .*$", f'ttl = "{LIFE}s"')
        oracle = Oracle(rig)
        rig.add_program(PRINTS, _PRINTS)
        await rig.start_hub()
        await rig.add_agent(MACHINE)
        taken: dict[str, float] = {}
        printing: list[str] = []

        async def post(words: str) -> str:
            event, status, answer = await rig.post("carol", f"@{MACHINE} {words}")
            assert status == 200, answer
            taken[event] = boot_now()
            return event

        handed = 0
        state = str(rig.state_folder(MACHINE))
        which = () if both else ("--only", "runner")
        for _ in range(rounds):
            printing.append(await post(PRINTS))
            for _ in range(burst):
                await post(f"{NAME} {chance.choice(('0', '0.5', '2', '4'))}")
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            said = await rig.run("agent", "upgrade", "--state", state, *which)
            handed += int(said[1].partition(", and ")[2].partition(" jobs")[0])

        async def at_rest() -> bool:
            requests = rig.read(lambda txn: txn.requests(limit=10_000))
            return len(requests) == len(taken) and all(request.state in REQUEST_TERMINAL for request in requests)

        await rig.wait_until(at_rest, rig.programs["hub"], within=LIFE)
        jobs, requests = rig.read(lambda txn: (txn.jobs(limit=10_000), txn.requests(limit=10_000)))
        events = rig.events()
        by_event = {request.event_id: request.id for request in requests}
        whole = "".join(f"line {number}\n" for number in range(1, 17)).encode()
        ids = {job.request_id: job.id for job in jobs}
        texts = [
            b"".join(chunk.data for chunk in rig.read(lambda txn, job=ids[by_event[event]]: txn.chunks(job)))
            for event in printing
        ]
        queued = {by_event[event]: at for event, at in taken.items()}
        counted = [job for job in jobs if job.id not in {ids[by_event[event]] for event in printing}]
        history = History(oracle.starts(), requests, counted, events, list(taken), queued)
        assert all(job.state in JOB_TERMINAL for job in jobs)
        return Outcome(
            upgrades=rounds,
            handed=handed,
            states=Counter(job.state for job in jobs),
            codes=Counter(event["data"]["code"] for event in events if event["kind"] == "job.released"),
            violations=violations(history),
            printed=texts.count(whole),
        )
