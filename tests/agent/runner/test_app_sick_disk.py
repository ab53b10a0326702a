"""agent.runner.app on a disk that is really full, or really read-only"""

from __future__ import annotations

import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.reserve import PIECES
from agent.runner.limits import RunnerLimits
from common.link.messages import Accepted, Confirm, Ended, Forget, Refused, Report, Started

SMALL_DISK = """
cp -a "$STATE" "$STATE.old"
mount -t tmpfs -o size=1m none "$STATE"
cp -a "$STATE.old/." "$STATE/"
"""
READ_ONLY = """
mount --bind "$STATE" "$STATE"
mount -o remount,bind,ro "$STATE"
"""


def skip_without_mounts(runner: Any) -> None:
    if runner.said != "ready" and ("unshare" in runner.said or not runner.said):
        pytest.skip("this machine lets nobody make mounts")


async def test_a_full_disk_still_answers(home: Any, kit: Any) -> None:
    """Small outputs come, whole, with a word on the disk, for longer than the reserve would last if it were not taken
    back; a large one is told as lost; what makes room can be run, and then there is nothing to tell.
    """
    async with kit.process(home, RunnerLimits(reserve_share=8_192), mounts=SMALL_DISK) as runner:
        skip_without_mounts(runner)
        uplink = await kit.Uplink.known(home)
        fill = f"{home.state}/fill"
        filled = await uplink.next(Ended, uplink.order("/bin/dd", "if=/dev/zero", f"of={fill}", "bs=4k", "count=1000"))
        assert (filled.outcome, "No space left" in uplink.output(filled.job).decode()) == ("failed", True)
        for _ in range(PIECES):
            job = uplink.order("/bin/df", str(home.state))
            end = await uplink.next(Ended, job)
            assert b"100%" in uplink.output(job)
            assert (end.outcome, end.truncated, end.notes) == ("succeeded", False, ("disk",))
            uplink.send(Forget(job))
        job = uplink.order("/usr/bin/head", "-c", "400000", "/dev/zero")
        end = await uplink.next(Ended, job)
        kept = len(uplink.output(job))
        assert (end.outcome, end.truncated, end.output_bytes) == ("succeeded", True, 400_000)
        assert end.notes == (f"lost {400_000 - kept}", "memory")
        assert kept >= 65_536
        await uplink.next(Ended, uplink.order("/bin/rm", fill))
        job = uplink.order("/bin/df", str(home.state))
        assert (await uplink.next(Ended, job)).notes == ()


async def test_a_read_only_disk_answers_what_only_reads(home: Any, kit: Any, tmp_path: Path) -> None:
    """The runner starts on it and runs what changes nothing, from memory, and says so; all else it refuses, and says
    what can be done.
    """
    async with kit.process(home):
        pass  # the files of an earlier start
    (home.runner / "jobs" / "left.over").touch()
    async with kit.process(home, mounts=READ_ONLY) as runner:
        skip_without_mounts(runner)
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/df", str(home.state))
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.notes) == ("succeeded", ("memory",))
        assert b"Mounted on" in uplink.output(job)
        again = uplink.order("/bin/ls", "/")
        assert (await uplink.next(Ended, again)).notes == ("memory",)
        refused = await uplink.next(Refused, uplink.order("/bin/touch", str(tmp_path / "mark")))
        assert refused.code == "disk"
        assert "Read-only file system" in refused.reason
        assert "what only reads can be run" in refused.reason
        assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("writes", [True, False])
async def test_a_job_without_a_marker_never_looks_as_if_it_had_not_started(home: Any, kit: Any, writes: bool) -> None:
    """Trust: a job starts once. It was accepted on disk, only reads, and no marker can be made: it starts only once the
    journal has that nobody will know; where that cannot be written, it does not. The next runner says no other thing.
    """
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/ls", "/", confirm=True)
        await uplink.next(Accepted, job)
        shutil.rmtree(home.runner / "jobs")
        if not writes:
            resource.prlimit(runner.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        uplink.send(Confirm(job))
        if writes:
            await uplink.next(Started, job)
        else:
            assert (await uplink.next(Refused, job)).code == "disk"
        assert ("Started" in uplink.kinds(job)) is writes
        runner.kill()
    async with kit.process(home):
        report = await (await kit.Uplink.attach(home)).next(Report)
        assert report.open == {job: "unsure" if writes else "refused"}
