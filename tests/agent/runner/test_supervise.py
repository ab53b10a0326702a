"""agent.runner.supervise, with real programs: their output, their end, and ending them"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import select
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from agent.runner.evidence import Evidence
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.limits import RunnerLimits
from agent.runner.process import Spawner
from agent.runner.programs import open_program
from agent.runner.spool import OutputWriter, Spool
from agent.runner.supervise import Supervisor
from common.link.messages import CHUNK_BYTES, Cancel, Credit, Ended, Started
from common.link.messages import Output as Chunk


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


async def gone(pid: int, patience: float) -> None:
    """Waits for the end of a process that is not our child."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, ended.set)
    async with asyncio.timeout(patience):
        await ended.wait()
    loop.remove_reader(pidfd)
    os.close(pidfd)


async def test_filters_apply_to_standard_output_alone(home: Any, kit: Any) -> None:
    """What is stored, counted and hashed is what they leave; an error message is never filtered away."""
    script = "for i in 1 2 3 4 5 6; do echo line $i; done; echo line err >&2; printf 'line 7'"
    filters = (("grep", "-v", "3"), ("tail", "-n", "2"))
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", script, filters=filters)
        end = await uplink.next(Ended, job)
        assert uplink.output(job, 1) == b"line 6\nline 7"
        assert uplink.output(job, 2) == b"line err\n"
        assert end.output_bytes == len(b"line 6\nline 7line err\n")
        assert (end.outcome, end.truncated, end.reason) == ("succeeded", False, "")


async def test_lines_that_a_filter_had_no_room_for_are_told(home: Any, kit: Any) -> None:
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/usr/bin/head", "-c", "9000000", "/dev/zero", filters=(("sort",), ("wc", "-c")))
        end = await uplink.next(Ended, job)
        assert end.notes == (f"filtered {9_000_000 - 4 * 2**20 // 65_536 * 65_536}",)
        assert end.reason == ""


async def test_both_streams_are_told_apart(home: Any, kit: Any) -> None:
    """Each chunk says which stream it is of, and the order of lines is kept where they come one by one."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "for i in 1 2 3; do echo o$i; sleep 0.02; echo e$i >&2; sleep 0.02; done")
        end = await uplink.next(Ended, job)
        assert uplink.output(job, 1) == b"o1\no2\no3\n"
        assert uplink.output(job, 2) == b"e1\ne2\ne3\n"
        assert uplink.output(job) == b"o1\ne1\no2\ne2\no3\ne3\n"
        assert end.output_digest == hashlib.sha256(uplink.output(job)).hexdigest()


async def test_output_is_live(home: Any, kit: Any, tmp_path: Path) -> None:
    """What a program writes is told while it still runs."""
    go = tmp_path / "go"
    os.mkfifo(go)
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", f"echo first; read line < {go}; echo second")
        assert (await uplink.next(Chunk, job)).data == b"first\n"
        await asyncio.to_thread(go.write_text, "\n")
        await uplink.next(Ended, job)
        assert uplink.output(job) == b"first\nsecond\n"


async def test_a_hundred_thousand_lines_are_few_messages(home: Any, kit: Any) -> None:
    """Tiny writes travel together; none is lost."""
    script = "i=0; while [ $i -lt 100000 ]; do echo $i; i=$((i+1)); done"
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", script)
        end = await uplink.next(Ended, job)
        whole = b"".join(b"%d\n" % number for number in range(100_000))
        assert uplink.output(job) == whole
        assert end.output_digest == hashlib.sha256(whole).hexdigest()
        assert end.chunks < 200


async def test_output_over_the_cap_is_cut_counted_and_hashed(home: Any, kit: Any) -> None:
    """The kept part is the beginning, to the byte; digest and count are of all of it; the program ends by itself."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "head -c 3000000 /dev/zero; echo end", output_cap=100_000)
        end = await uplink.next(Ended, job)
        whole = bytes(3_000_000) + b"end\n"
        assert uplink.output(job) == whole[:100_000]
        assert (end.outcome, end.truncated, end.output_bytes) == ("succeeded", True, len(whole))
        assert end.output_digest == hashlib.sha256(whole).hexdigest()


async def test_a_cap_of_nothing_keeps_nothing(home: Any, kit: Any) -> None:
    """Only the digest is wanted, and only that is kept."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/echo", "hello", output_cap=0)
        end = await uplink.next(Ended, job)
        assert (end.chunks, end.truncated, end.output_bytes) == (0, True, 6)
        assert end.output_digest == hashlib.sha256(b"hello\n").hexdigest()


async def test_a_flood_costs_no_memory(home: Any, kit: Any) -> None:
    """Half a gigabyte and an uplink that does not read: the program is never blocked, the runner stays small."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        uplink.crediting = False
        await uplink.next(Ended, uplink.order("/bin/true"))
        before = _resident(runner.pid)
        job = uplink.order("/usr/bin/head", "-c", "500000000", "/dev/zero", output_cap=10 * 1024 * 1024)
        while ".result" not in home.files(job):
            await asyncio.sleep(0.02)  # nothing is read meanwhile: that is the point
        assert _resident(runner.pid) - before < 8 * 1024 * 1024
        uplink.crediting = True
        uplink.send(Credit(job, 0))
        await uplink.next(Chunk, job)
        uplink.send(Credit(job, max(m.seq for m in uplink.heard if isinstance(m, Chunk))))
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.output_bytes, end.truncated) == ("succeeded", 500_000_000, True)
        assert len(uplink.output(job)) == 10 * 1024 * 1024


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def test_without_credit_no_more_than_the_window_is_sent(home: Any, kit: Any) -> None:
    """The rest waits on disk while other jobs are served; the end waits for the last chunk."""
    limits = RunnerLimits(output_window=4 * CHUNK_BYTES)
    async with kit.serving(home, limits):
        uplink = await kit.Uplink.known(home)
        uplink.crediting = False
        job = uplink.order("/usr/bin/head", "-c", "1000000", "/dev/zero")
        while ".result" not in home.files(job):
            await uplink.next(Ended, uplink.order("/bin/true"), len(uplink.heard))
        await uplink.next(Ended, uplink.order("/bin/echo", "x"), len(uplink.heard))
        assert 2 * CHUNK_BYTES < len(uplink.output(job)) <= limits.output_window
        assert "Ended" not in uplink.kinds(job)
        uplink.crediting = True
        uplink.send(Credit(job, max(m.seq for m in uplink.heard if isinstance(m, Chunk) and m.job == job)))
        await uplink.next(Ended, job)
        assert uplink.output(job) == bytes(1_000_000)


async def test_a_program_over_its_time_is_ended(home: Any, kit: Any) -> None:
    """TERM at the limit; the outcome is the runner's doing and not the program's."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        begun = time.monotonic()
        end = await uplink.next(Ended, uplink.order("/bin/sleep", "60", time_limit=1))
        assert (end.outcome, end.signal) == ("timed_out", signal.SIGTERM)
        assert time.monotonic() - begun > 0.9


async def test_a_program_that_ignores_term_is_killed_after_the_grace(home: Any, kit: Any) -> None:
    """So is all its group."""
    async with kit.serving(home, RunnerLimits(kill_grace=0.2)):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "trap '' TERM; sleep 60 & echo $!; while :; do wait; done")
        child = int((await uplink.next(Chunk, job)).data)
        uplink.send(Cancel(job))
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.exit_code, end.signal) == ("cancelled", None, signal.SIGKILL)
        await gone(child, kit.PATIENCE)


async def test_kill_skips_the_grace(home: Any, kit: Any) -> None:
    """Also when the grace has begun."""
    async with kit.serving(home, RunnerLimits(kill_grace=3_600.0)):
        uplink = await kit.Uplink.known(home)
        for first in ((), (False,)):
            job = uplink.order("/bin/sh", "-c", "trap 'echo term' TERM; echo ready; while :; do sleep 0.01; done")
            await uplink.next(Chunk, job)
            for kill in (*first, True):
                uplink.send(Cancel(job, kill))
            assert (await uplink.next(Ended, job)).signal == signal.SIGKILL


async def test_a_program_may_clean_up_and_is_still_cancelled(home: Any, kit: Any) -> None:
    """It was stopped, so its own zero does not make it a success; what it said last is kept."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
        await uplink.next(Chunk, job)
        uplink.send(Cancel(job))
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.exit_code, end.signal) == ("cancelled", 0, None)
        assert uplink.output(job, 1) == b"ready\nbye\n"


async def test_a_program_that_was_first_has_succeeded(home: Any, kit: Any) -> None:
    """Cancels that race with the end: either it was stopped by a signal, or it succeeded by itself; never a mix."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        outcomes = set()
        for _ in range(30):
            job = uplink.order("/bin/sleep", "0.003")
            await uplink.next(Started, job)
            await asyncio.sleep(0.003)
            uplink.send(Cancel(job))
            end = await uplink.next(Ended, job)
            outcomes.add((end.outcome, end.exit_code, end.signal))
        assert outcomes <= {("succeeded", 0, None), ("cancelled", None, signal.SIGTERM), ("cancelled", 0, None)}


async def test_a_program_that_ended_before_we_noticed_was_first(home: Any) -> None:
    """A cancel that comes when the program has ended, but is not reaped yet, changes nothing about its success."""
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    supervisor = Supervisor(
        asyncio.get_running_loop(), RunnerLimits(), lambda job: None, lambda job, end: ended.set_result(end)
    )
    folder, spawner = os.open(home.state, os.O_RDONLY), Spawner()
    spool = Spool(Evidence(folder), 1 << 20)
    job = RunnerJob("01ARZ3NDEKTSV4RRFFQ69G5FAV", "hash", 0.0, RunnerJobState.STARTED)
    program = open_program("/bin/true", os.geteuid())
    child = spawner.spawn(program, ("/bin/true",), (), folder)
    program.close()
    supervisor.watch(job, child, OutputWriter(spool, job.id, 100), 60)
    assert select.select([child.pidfd], [], [], 20)[0]  # the loop does not get to see it meanwhile
    supervisor.stop(job.id, "cancelled", kill=True)
    end = await ended
    assert (end.outcome, end.exit_code, end.signal) == ("succeeded", 0, None)
    supervisor.close()
    spawner.close()
    os.close(folder)


async def test_a_background_child_does_not_hold_the_job_open(home: Any, kit: Any) -> None:
    """What stays in the group is ended with the leader, and nothing has to be waited for."""
    async with kit.serving(home, RunnerLimits(drain_timeout=3_600.0)):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "sleep 60 & echo $!")
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.reason) == ("succeeded", "")
        await gone(int(uplink.output(job)), kit.PATIENCE)


def escaping(fifo: Path, command: str) -> str:
    """A script whose child runs the command in a session of its own, and has got there when the script ends."""
    os.mkfifo(fifo)
    return f"setsid sh -c 'echo $$ > {fifo}; exec {command}' & read pid < {fifo}; echo $pid"


async def test_an_escaped_child_that_holds_the_output_is_left_with_a_word(home: Any, kit: Any, tmp_path: Path) -> None:
    """A daemon in a session of its own lives on; the job ends without it, and the reason says what is missing."""
    async with kit.serving(home, RunnerLimits(drain_timeout=0.2)):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", escaping(tmp_path / "fifo", "sleep 60"))
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.reason, end.notes) == ("succeeded", "", ("unrecorded",))
        pid = int(uplink.output(job))
        assert alive(pid)
        os.kill(pid, signal.SIGKILL)


async def test_an_escaped_child_that_keeps_writing_does_not_keep_the_job(home: Any, kit: Any, tmp_path: Path) -> None:
    """Endless output of someone else's is taken until the wait is over, and no longer."""
    async with kit.serving(home, RunnerLimits(drain_timeout=0.2)):
        uplink = await kit.Uplink.known(home)
        script = escaping(tmp_path / "fifo", "yes") + " >&2"
        job = uplink.order("/bin/sh", "-c", script, output_cap=1_000_000)
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.notes) == ("succeeded", ("unrecorded",))
        assert end.output_bytes > 1_000
        pid = int(uplink.output(job, 2))
        assert alive(pid)  # somebody reads on, so that it does not die of a closed pipe
        os.kill(pid, signal.SIGKILL)


async def test_a_program_that_closes_its_output_early_is_waited_for(home: Any, kit: Any) -> None:
    """The end of the output is not the end of the program."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        end = await uplink.next(Ended, uplink.order("/bin/sh", "-c", "exec >&- 2>&-; sleep 0.1; exit 5"))
        assert end.exit_code == 5


async def test_what_it_used_is_told(home: Any, kit: Any) -> None:
    """Processor time is the program's and its children's."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        end = await uplink.next(
            Ended, uplink.order("/bin/sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
        )
        assert 0.01 < end.cpu_user + end.cpu_system < 30
        assert end.cpu_user + end.cpu_system < end.ended_at - end.started_at + 0.1


@pytest.mark.slow
async def test_a_thousand_jobs_leave_nothing_behind(home: Any, kit: Any) -> None:
    """No descriptor, no file and no memory grows with the number of jobs that have been."""
    from common.link.messages import Forget

    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)

        async def batch(count: int) -> tuple[int, int]:
            for _ in range(count // 100):
                jobs = [uplink.order("/bin/echo", "x") for _ in range(100)]
                for job in jobs:
                    await uplink.next(Ended, job)
                    uplink.send(Forget(job))
                uplink.heard.clear()
            await uplink.next(Ended, uplink.order("/bin/true"))
            return len(os.listdir(f"/proc/{runner.pid}/fd")), _resident(runner.pid)

        descriptors, memory = await batch(300)
        after = await batch(1_000)
        assert after[0] <= descriptors
        assert after[1] - memory < 2 * 1024 * 1024
        assert len(list((home.runner / "jobs").iterdir())) < 10


@pytest.mark.parametrize("step", [-3600.0, 7200.0])
async def test_a_clock_that_is_set_while_a_job_runs_is_no_time(
    home: Any, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """How long it took is measured on a clock that nobody sets: not less than nothing, and not two hours."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    real = time.time
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/cat", str(fifo))
        started = await uplink.next(Started, job)
        monkeypatch.setattr(time, "time", lambda: real() + step)
        await asyncio.to_thread(fifo.write_bytes, b"")
        end = await uplink.next(Ended, job)
    assert end.started_at == started.at
    assert 0 < end.ended_at - end.started_at < kit.PATIENCE
