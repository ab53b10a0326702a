"""How soon a hub that was killed hands out work again: from `kill -9` to the first dispatch and to the replies.

    python tests/bench/first_words.py [--kills N] [--folder FOLDER]

Real processes: a hub, two machines, a sender that posts five signed webhooks a second and repeats what nobody took, as
chats do. The hub is killed at a moment by chance, also soon after the last time, and started again at once (the unit of
systemd waits a second). For each kill, in seconds from the kill:

    ready        /readyz says so
    dispatched   the first job left for a machine
    replied      the first final reply to a message that was posted after the kill
    due          the last final reply to a message that was taken before it

Prints a line a kill to standard error, and one JSON object with the distributions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import aiohttp

from tests.end_to_end.system import SystemHarness

EVERY: Final = 0.2
AGAIN: Final = 0.1
MACHINES: Final = ("web-1", "web-2")


@dataclass
class Sender:
    rig: SystemHarness
    posted: dict[str, float] = field(default_factory=dict)  # event -> when it was first posted
    taken: dict[str, float] = field(default_factory=dict)  # event -> when it was taken

    async def run(self) -> None:
        number = 0
        async with asyncio.TaskGroup() as posts:
            while True:
                posts.create_task(self._post(f"e-{number}", f"@{MACHINES[number % len(MACHINES)]} uptime"))
                number += 1
                await asyncio.sleep(EVERY)

    async def _post(self, event: str, text: str) -> None:
        self.posted[event] = time.time()
        while event not in self.taken:
            try:
                _, status, _ = await self.rig.post("alice", text, event=event)
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                status = 0
            if status == 200:
                self.taken[event] = time.time()
            else:
                await asyncio.sleep(AGAIN)


async def one_kill(rig: SystemHarness, sender: Sender, replied: dict[str, float]) -> dict[str, float]:
    await asyncio.sleep(random.uniform(0.5, 8.0))
    killed = time.time()
    await rig.programs["hub"].stop(signal.SIGKILL)
    await rig.start_hub()
    found = {"killed": killed, "ready": time.time() - killed}

    async def all_told() -> bool:
        before = all(event in replied for event, at in sender.taken.items() if at < killed)
        return before and any(sender.posted[event] > killed for event in replied)

    await rig.wait_until(all_told, within=120)
    found["replied"] = min(replied[event] for event in replied if sender.posted[event] > killed) - killed
    late = [replied[event] for event, at in sender.taken.items() if at < killed and replied[event] > killed]
    found["due"] = max(late, default=killed) - killed
    return found


async def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    async with SystemHarness(folder, forks=False) as rig:
        await rig.init()
        await rig.start_hub()
        for name in MACHINES:
            await rig.add_agent(name)
        replied: dict[str, float] = {}

        def note(reply: dict[str, Any]) -> None:
            if reply.get("kind") == "final":
                replied.setdefault(reply["in_reply_to"], time.time())

        rig.receiver.on_reply = note
        sender, kills = Sender(rig), []
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(sender.run())
            await rig.wait_until(lambda: _true(bool(replied)))
            for _ in range(chosen.kills):
                kills.append(await one_kill(rig, sender, replied))
                told = {name: round(value, 2) for name, value in kills[-1].items() if name != "killed"}
                print(json.dumps(told), file=sys.stderr, flush=True)
            sending.cancel()
        events = rig.read(lambda txn: txn.events(limit=1_000_000))
        dispatched = sorted(event.at for event in events if event.kind == "job.dispatched")
    for kill in kills:
        kill["dispatched"] = next(at for at in dispatched if at > kill["killed"]) - kill["killed"]
    names = ("ready", "dispatched", "replied", "due")
    return {"kills": len(kills), **{name: distribution([kill[name] for kill in kills]) for name in names}}


async def _true(value: bool) -> bool:
    return value


def distribution(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    found = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the hub starts as an installed one does
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="words") as made:
        print(json.dumps(asyncio.run(measure(chosen, Path(made))), indent=1))


if __name__ == "__main__":
    main()
