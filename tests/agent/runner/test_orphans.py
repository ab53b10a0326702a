"""agent.runner.orphans, with real programs: what jobs leave behind is told, lives on, and is reaped when it ends"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.runner.limits import RunnerLimits
from agent.runner.orphans import Leftover, Orphans, describe_leftovers
from common.link.messages import Ended
from tests.agent.runner.test_supervise import alive, gone

SOON = RunnerLimits(drain_timeout=0.2)


@pytest.fixture
def leftovers() -> Iterator[list[int]]:
    """Processes to end with the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def daemon(fifo: Path, command: str, streams: str = "") -> str:
    """A script that leaves `command` running in a session of its own, and prints its process id once it runs."""
    os.mkfifo(fifo)
    name = command.split()[0]
    runs = f'until read name < /proc/$pid/comm && [ "$name" = {name} ]; do sleep 0.01; done'
    return f"setsid sh -c 'echo $$ > {fifo}; exec {command}' {streams} & read pid < {fifo}; {runs}; echo $pid"


async def test_a_service_lives_on_and_is_told(home: Any, kit: Any, tmp_path: Path, leftovers: list[int]) -> None:
    """It kept the output: it can write for as long as it likes, also once the runner is gone, and both are told."""
    said = tmp_path / "said"
    os.mkfifo(said)
    loud = f"sh -c 'read go < {said}; i=0; while [ $i -lt 3000 ]; do echo {'x' * 60}; i=$((i+1)); done; echo > {said}'"
    async with kit.process(home, SOON) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", daemon(tmp_path / "fifo", loud.replace("'", '"')))
        end = await uplink.next(Ended, job)
        pid = int(uplink.output(job))
        leftovers.append(pid)
        assert end.outcome == "succeeded"
        assert end.notes == (f"left {pid} sh", "unrecorded")
        runner.kill()
        await asyncio.to_thread(said.write_text, "go\n")
        async with asyncio.timeout(kit.PATIENCE):
            assert await asyncio.to_thread(said.read_text) == "\n"  # after more than any pipe holds
        await gone(pid, kit.PATIENCE)


async def test_what_closed_its_output_is_told_as_well(
    home: Any, kit: Any, tmp_path: Path, leftovers: list[int]
) -> None:
    """A daemon as it should be: the job ends at once, and its reader knows that something goes on. It is told once."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", daemon(tmp_path / "fifo", "sleep 600", "> /dev/null 2>&1"))
        end = await uplink.next(Ended, job)
        pid = int(uplink.output(job))
        leftovers.append(pid)
        assert end.notes == (f"left {pid} sleep",)
        other = uplink.order("/bin/echo", "hello")
        assert (await uplink.next(Ended, other)).notes == ()
        os.kill(pid, signal.SIGKILL)
        await gone(pid, kit.PATIENCE)
        await wait_reaped(runner.pid, kit.PATIENCE)


async def test_of_two_jobs_the_right_one_is_told(home: Any, kit: Any, tmp_path: Path, leftovers: list[int]) -> None:
    """Whose a process is stands in its environment, also where another job ends in between."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        script = daemon(tmp_path / "fifo", "sleep 600", "> /dev/null 2>&1")
        job = uplink.order("/bin/sh", "-c", f"{script}; read go < {gate}")
        await uplink.next(kit.Output, job)
        other = uplink.order("/bin/echo", "hello")
        assert (await uplink.next(Ended, other)).notes == ()
        await asyncio.to_thread(gate.write_text, "go\n")
        end = await uplink.next(Ended, job)
        leftovers.append(int(uplink.output(job)))
        assert end.notes == (f"left {leftovers[0]} sleep",)


async def test_what_outlives_the_time_limit_is_told(home: Any, kit: Any, tmp_path: Path, leftovers: list[int]) -> None:
    """The program is ended and its group with it; what had left the group goes on, and is named."""
    async with kit.process(home, RunnerLimits(kill_grace=0.2, drain_timeout=0.2)):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", daemon(tmp_path / "fifo", "sleep 600") + "; sleep 600", time_limit=1)
        end = await uplink.next(Ended, job)
        leftovers.append(int(uplink.output(job)))
        assert end.outcome == "timed_out"
        assert end.notes == (f"left {leftovers[0]} sleep", "unrecorded")


async def test_orphans_are_reaped(home: Any, kit: Any, tmp_path: Path) -> None:
    """A grandchild whose parents are gone leaves no zombie, whether it ends before the job or after it."""
    twice = "setsid sh -c '(sleep 0.05; :) > /dev/null 2>&1 &' & wait; "
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        for tail in ("", "sleep 0.1"):
            end = await uplink.next(Ended, uplink.order("/bin/sh", "-c", twice + tail))
            assert end.outcome == "succeeded"
        await wait_reaped(runner.pid, kit.PATIENCE)


async def wait_reaped(pid: int, patience: float) -> None:
    """Waits until the process has no child, dead or alive."""
    until = time.monotonic() + patience
    while Path(f"/proc/{pid}/task/{pid}/children").read_text().strip():
        assert time.monotonic() < until, "children are left"
        await asyncio.sleep(0.01)


async def test_a_job_knows_its_own_id(home: Any, kit: Any) -> None:
    """The variable by which its processes are known holds its id, and is the runner's to set."""
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/usr/bin/printenv", "ANSWERBACK_JOB")
        await uplink.next(Ended, job)
        assert uplink.output(job) == job.encode() + b"\n"
        forged = uplink.order("/bin/true", env=(("ANSWERBACK_JOB", job),))
        assert (await uplink.end(forged)).code == "order"


def test_many_are_counted() -> None:
    """Three by name, and how many more."""
    left = [Leftover(pid, "sh") for pid in range(1, 6)]
    assert describe_leftovers(left[:2]) == "1 sh, 2 sh"
    assert describe_leftovers(left) == "1 sh, 2 sh, 3 sh +2"


def test_a_reader_ends_with_its_pipe_and_is_collected() -> None:
    """One process a pipe, as long as something can write to it."""
    orphans = Orphans(watching=False)
    reader, writer = os.pipe()
    assert orphans.drain(reader)
    os.close(reader)
    (pid,) = orphans._drains
    pidfd = os.pidfd_open(pid)
    for _ in range(20):
        os.write(writer, b"x" * 65_536)  # more than a pipe holds: somebody reads
    assert orphans.reap(()) == 0
    os.close(writer)
    assert os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT) is not None
    os.close(pidfd)
    assert orphans.reap(()) == 1
    assert not orphans._drains


async def test_what_was_killed_with_its_group_is_not_called_running(home: Any, kit: Any) -> None:
    """A background child that is ended with its job may still be about to go; nobody is told that it stays."""
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        for _ in range(20):
            job = uplink.order("/bin/sh", "-c", "for i in 1 2 3 4; do sleep 60 > /dev/null 2>&1 & done")
            assert (await uplink.next(Ended, job)).notes == ()


def test_what_was_told_and_read_on_is_known_to_the_next_program() -> None:
    """So it tells nothing twice, and reaps the readers."""
    first, second = Orphans(watching=True), Orphans(watching=True)
    first.resume([7, 5], [9])
    second.resume(*first.hand_over())
    assert second.hand_over() == ((5, 7), (9,))
