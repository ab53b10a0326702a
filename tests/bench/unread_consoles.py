"""What consoles that nobody reads cost everybody else: a message's way to its reply without any, and with ones that
have subscribed and read no more.

    python tests/bench/unread_consoles.py [--consoles N] [--rounds N] [--seconds S] [--rate R] [--folder FOLDER]

Real processes: a hub, a machine, signed webhooks at a steady rate, each a command on the machine. The consoles are in a
process of their own; each follows the overview, the audit, and windows of its own on the lists of jobs, requests and
machines. The two cases take turns in one run, so that what else the machine does falls on both. Prints one JSON object:
milliseconds from posting to the final reply, and the hub's share of a core.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil

from common.api import verbs
from common.api.subscriptions import OverviewArgs, ViewArgs, WatchArgs
from tests.end_to_end.system import SystemHarness
from tui.client.client import Client, connect
from tui.client.profile import Profile, read_profile

CASES: Final = ("none", "unread")
SETTLE: Final = 1.0  # seconds


async def follow(client: Client, verb: Any, args: Any, begun: asyncio.Semaphore) -> None:
    async for _ in client.subscribe(verb, args):
        begun.release()


async def console(profile: Profile, number: int, ready: asyncio.Semaphore) -> None:
    """One console with its subscriptions, which takes nothing any more from the first pushes on."""
    begun = asyncio.Semaphore(0)
    async with connect(profile) as client, asyncio.TaskGroup() as tasks:
        wanted: list[tuple[Any, Any]] = [(verbs.OVERVIEW, OverviewArgs()), (verbs.WATCH, WatchArgs())]
        wanted += [(verbs.VIEW, ViewArgs(view=view, lo=number, n=200)) for view in ("jobs", "requests", "agents")]
        for verb, args in wanted:
            tasks.create_task(follow(client, verb, args, begun))
        for _ in range(len(wanted) - 1):  # of the audit there may be nothing to tell yet
            await begun.acquire()
        client._connection.transport.pause_reading()
        ready.release()
        await asyncio.Event().wait()


async def be_consoles(folder: Path, count: int) -> None:
    """Until it is killed; a line on standard output when all of them are there."""
    profile, ready = read_profile(folder), asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(console(profile, number, ready))
            await ready.acquire()
        print("ready", flush=True)


@contextlib.asynccontextmanager
async def consoles(rig: SystemHarness, count: int) -> AsyncIterator[None]:
    words = ["--be-consoles", str(rig.hub_dir / "profile"), "--consoles", str(count)]
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, *words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        if not await process.stdout.readline():
            raise RuntimeError("the consoles did not come up")
        yield
    finally:
        process.kill()
        await process.wait()


async def load(rig: SystemHarness, rate: float, seconds: float) -> list[float]:
    """Milliseconds of each message, from posting it to its final reply."""
    took: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        event, _, _ = await rig.post("alice", "@web-1 uptime")
        await rig.receiver.wait_final(event)
        took.append(1000 * (rig.receiver.final_at[event] - began))

    async with asyncio.TaskGroup() as tasks:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            tasks.create_task(one())
            await asyncio.sleep(1 / rate)
    return took


async def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    took: dict[str, list[float]] = {case: [] for case in CASES}
    cores: dict[str, list[float]] = {case: [] for case in CASES}
    async with SystemHarness(folder, forks=False) as rig:
        await rig.init()
        await rig.start_hub()
        await rig.add_agent("web-1")
        hub = psutil.Process(rig.programs["hub"].pid)
        await load(rig, chosen.rate, chosen.seconds)  # fills the lists, and warms everything up
        for number in range(chosen.rounds):
            for case in CASES:
                async with consoles(rig, chosen.consoles) if case == "unread" else contextlib.nullcontext():
                    await asyncio.sleep(SETTLE)
                    before, began = hub.cpu_times(), time.monotonic()
                    took[case] += await load(rig, chosen.rate, chosen.seconds)
                    spent, passed = hub.cpu_times(), time.monotonic() - began
                    cores[case].append((spent.user + spent.system - before.user - before.system) / passed)
                print(f"round {number + 1}, {case}: {figures(took[case])}", file=sys.stderr, flush=True)
    return {case: {**figures(took[case]), "hub_core": round(statistics.mean(cores[case]), 2)} for case in CASES}


def figures(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"messages": len(took), "p50": round(cuts[49]), "p99": round(cuts[98]), "max": round(max(took))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consoles", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--be-consoles", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.be_consoles:
        asyncio.run(be_consoles(chosen.be_consoles, chosen.consoles))
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="unread") as made:
        print(json.dumps(asyncio.run(measure(chosen, Path(made))), indent=1))


if __name__ == "__main__":
    main()
