"""Answerback as it is measured: a hub and a machine in processes of their own, messages through the front door, and an
operator's link that stays open."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import psutil

from common.api.arguments import RequestArgs
from common.api.work import FOLLOW, RUN, FollowPush, RunArgs
from tests.bench.peers.openssh import timed
from tests.bench.throughput import prepared
from tests.end_to_end.system import SystemHarness
from tui.client.client import Client, connect
from tui.client.profile import read_profile

COMMAND: Final = "uptime"
SENDERS: Final = 8
"""People that write at once; more in flight are shared among them."""


class System:
    def __init__(self, rig: SystemHarness, operator: Client) -> None:
        self.rig = rig
        self._operator = operator
        self._number = 0

    @property
    def pids(self) -> list[int]:
        """Hub, uplink, runner."""
        runner = self.rig.runner_pid("box")
        return [self.rig.programs["hub"].pid, self.rig.programs["box"].pid, *([runner] if runner else [])]

    async def message(self, text: str, person: str = "carol") -> float:
        """Seconds from the POST of a message to the arrival of its final reply."""
        self._number += 1
        event = f"p-{self._number}"
        began = time.perf_counter()
        _, status, answer = await self.rig.post(person, text, event=event)
        assert status == 200, (status, answer)
        reply = await self.rig.receiver.wait_final(event)
        assert [job["exit_code"] for job in reply["jobs"]] in ([0], []), reply
        return self.rig.receiver.final_at[event] - began

    async def messages(self, count: int) -> list[float]:
        return [await self.message(f"@box {COMMAND}") for _ in range(count)]

    async def operator(self, count: int) -> list[float]:
        """Seconds from the call to the last push, which has the output and the exit status."""
        return [await self.run_command() for _ in range(count)]

    async def run_command(self) -> float:
        began = time.perf_counter()
        result = await self._operator.call(RUN, RunArgs(target="box", argv=(COMMAND,)))
        assert result.request is not None, result
        output = b""
        async for push in self._operator.subscribe(FOLLOW, RequestArgs(id=result.request.id)):
            assert isinstance(push, FollowPush)
            output += b"".join(chunk.data for chunk in push.output)
            if push.ended:
                assert [job.exit_code for job in push.request.jobs] == [0]
                break
        assert output
        return time.perf_counter() - began

    def cold_argv(self, *command: str) -> list[str]:
        """`answerback run` as from a shell."""
        profile = str(self.rig.hub_dir / "profile")
        return [sys.executable, "-m", "tui", "--profile", profile, "run", "box", "--", *(command or (COMMAND,))]

    async def cold(self, count: int) -> list[float]:
        return [await timed(self.cold_argv()) for _ in range(count)]

    async def as_many_as_go(self, count: int, in_flight: int, text: str) -> tuple[float, list[float]]:
        """Messages a second and the seconds of each, with so many waiting for their reply at a time."""
        seconds: list[float] = []
        left = iter(range(count))

        async def sender(number: int) -> None:
            seconds.extend([await self.message(text, f"s{number % SENDERS}") for _ in left])

        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(in_flight):
                tasks.create_task(sender(number))
        return count / (time.perf_counter() - began), seconds

    def memory(self) -> dict[str, float]:
        """MiB of proportional set size of every process of the hub and of the machine."""
        runner = self.rig.runner_pid("box")
        assert runner is not None
        return {
            "hub": _family(self.rig.programs["hub"].pid),
            "uplink": _pss(psutil.Process(self.rig.programs["box"].pid)),
            "runner": _family(runner),
        }


def _family(pid: int) -> float:
    process = psutil.Process(pid)
    return round(sum(_pss(one) for one in (process, *process.children(recursive=True))), 1)


def _pss(process: psutil.Process) -> float:
    return round(float(process.memory_full_info().pss) / 2**20, 1)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[System]:
    folder.mkdir()
    async with SystemHarness(folder, forks=False) as rig:
        await prepared(rig)
        async with connect(read_profile(rig.hub_dir / "profile")) as operator:
            yield System(rig, operator)
