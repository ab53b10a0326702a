"""make bench: messages a second and latency through a real hub and one real agent, beside the floor, in one run.

Every message is a signed webhook that is committed with fsync, planned, judged, handed to the agent as a signed order,
run as a real process, reported, and answered by a signed reply; the time is from the start of the POST to the reply's
arrival. Counted on the machine: each command makes one folder of its own name, which can be made only once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.floor import floor  # after the path is set: the bench is run as a file
from tests.bench.percentile import percentile
from tests.end_to_end.system import SystemHarness, free_port

SENDERS: Final = 8
RULE: Final = """
[[rule]]
id = "bench"
about = "make one folder of the bench"
program = "/usr/bin/mkdir"
verdict = "allow"
[[rule.arguments]]
name = "PATH"
type = "path"
beneath = ["{folder}"]
"""


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p95, p99 in milliseconds."""
    return {f"p{p}": 1000 * percentile(seconds, p) for p in (50, 95, 99)}


def line(name: str, rate: float, seconds: list[float]) -> str:
    at = percentiles(seconds)
    return f"{name:<34} {rate:8.0f}/s   p50 {at['p50']:8.2f} ms   p95 {at['p95']:8.2f} ms   p99 {at['p99']:8.2f} ms"


class Load:
    """Sends messages and keeps when each began."""

    def __init__(self, rig: SystemHarness, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.began: dict[str, float] = {}

    async def send(self, event: str, user: str) -> None:
        self.began[event] = time.perf_counter()
        _, status, answer = await self.rig.post(user, f"@box mkdir {self.folder / event}", event=event)
        assert status == 200, (status, answer)

    async def answered(self, within: float = 120.0) -> list[float]:
        """Waits for every reply; seconds from POST to reply."""
        await self.rig.receiver.wait_for(lambda: all(event in self.rig.receiver.finals for event in self.began), within)
        return [self.rig.receiver.final_at[event] - began for event, began in self.began.items()]

    def check(self) -> None:
        """No message lost, none answered twice, none run twice, each with exit status 0."""
        for event in self.began:
            finals = self.rig.receiver.finals[event]
            assert len(finals) == 1, f"{event} has {len(finals)} final replies"
            assert [job["exit_code"] for job in finals[0]["jobs"]] == [0], finals[0]
        made = sum(1 for _ in self.folder.iterdir())
        assert made == len(self.began), f"{made} processes for {len(self.began)} messages"


async def light(rig: SystemHarness, folder: Path, count: int, rate: float = 8.0) -> list[float]:
    """`count` messages, evenly spaced."""
    folder.mkdir()
    load = Load(rig, folder)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for index in range(count):
            await asyncio.sleep(max(0.0, began + index / rate - time.perf_counter()))
            tasks.create_task(load.send(f"l-{index}", "carol"))
    seconds = await load.answered()
    load.check()
    return seconds


async def full(rig: SystemHarness, folder: Path, count: int) -> tuple[float, list[float]]:
    """`count` messages by eight senders, each as fast as its webhooks are answered; messages a second, and
    latencies.
    """
    folder.mkdir()
    load = Load(rig, folder)

    async def sender(number: int) -> None:
        for index in range(number, count, SENDERS):
            await load.send(f"{folder.name}-{index}", f"s{number}")

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(SENDERS):
            tasks.create_task(sender(number))
    seconds = await load.answered()
    rate = count / (time.perf_counter() - began)
    load.check()
    return rate, seconds


async def prepared(rig: SystemHarness) -> None:
    rig.people |= {f"s{number}": "operator" for number in range(SENDERS)}
    await rig.init()
    policy = rig.hub_dir / "policy.toml"
    policy.write_text(policy.read_text() + RULE.format(folder=rig.folder))
    await rig.start_hub()
    await rig.add_agent("box")


def memory(pid: int) -> float:
    """MiB of proportional set size: shared pages are counted once among those who share them."""
    return float(psutil.Process(pid).memory_full_info().pss) / 2**20


async def bench(count: int = 1000, light_count: int = 80) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="answerback-bench-") as name:
        folder = Path(name)
        async with SystemHarness(folder, forks=False) as rig:
            await prepared(rig)
            agent = rig.programs["box"].pid
            runner = rig.runner_pid("box")
            idle = {"hub": memory(rig.programs["hub"].pid), "uplink": memory(agent), "runner": memory(runner or agent)}
            single, floor_rate = await floor(free_port(), 400)
            slow = await light(rig, folder / "light", light_count)
            rate, busy = await full(rig, folder / "full", count)
    floor_p50 = percentiles(single)["p50"]
    print(line("floor: round trip + process, alone", 1 / (sum(single) / len(single)), single))
    print(f"{'floor: eight at once':<34} {floor_rate:8.0f}/s")
    print(line(f"answerback, 8 messages a second, {light_count}", 8, slow))
    print(line(f"answerback, full load, {count}", rate, busy))
    times = percentiles(slow)["p50"] / floor_p50
    print(f"light p50 is {times:.1f} times the floor; full load is {rate / floor_rate:.2f} of it")
    print("idle, PSS: " + ", ".join(f"{who} {mib:.1f} MiB" for who, mib in idle.items()))
    return {
        "floor_ms": percentiles(single),
        "floor_rate": floor_rate,
        "light_ms": percentiles(slow),
        "full_rate": rate,
        "full_ms": percentiles(busy),
        "idle_mib": idle,
    }


if __name__ == "__main__":
    found = asyncio.run(bench())
    print(json.dumps(found))
