"""agent.runner.upgrade: a runner becomes another program while its jobs run, and no job notices."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.re_exec import REQUEST
from agent.runner.limits import RunnerLimits
from agent.runner.upgrade import RunnerUpgrade
from agent.upgrade_report import UpgradeReport, read_upgrade, write_upgrade
from common.link.messages import Accepted, Cancel, Confirm, Ended, Output, Refused, Report, Started
from common.version import VERSION

ROOT = Path(__file__).resolve().parents[3]
MANY = RunnerLimits(max_running=250)
PRINTING = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 0.25; done; exit 3"


def install(folder: Path, **changes: tuple[str, str]) -> None:
    """A copy of this program into `folder`, by one step; in `changes` a file's dotted name has what is replaced by
    what.
    """
    new = folder.with_name(f"{folder.name}.new")
    for package in ("agent", "common"):
        shutil.copytree(ROOT / package, new / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, instead) in changes.items():
        file = new / f"{name.replace('__', '/')}.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, instead))
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


class Gate:
    """Programs that run until a test lets them go on, however slow the machine is: `flock -s GATE COMMAND`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = os.open(path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def open(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


async def upgraded(runner: Any, kit: Any, home: Any, uplink: Any) -> Any:
    """The next program serves; the uplink that is attached to it."""
    report = await runner.upgrade()
    assert report.state == "done", report
    await uplink.closed()
    return await kit.Uplink.known(home)


async def test_jobs_run_on_with_output_limit_cancel_and_exit_status(home: Any, kit: Any, tmp_path: Path) -> None:
    """One prints all through, one is over its time limit right then, one is cancelled behind it, one has its output
    counted by a filter: each ends as if nothing had been, by the same process.
    """
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        printing = uplink.order("/bin/sh", "-c", PRINTING)
        limited = uplink.order("/bin/sleep", "100", time_limit=2)
        endless = uplink.order("/bin/sleep", "100")
        counted = uplink.order("/bin/sh", "-c", PRINTING, filters=(("wc", "-l"),))
        for job in (limited, endless, counted):
            await uplink.next(Started, job)
        await uplink.next(Output, printing)
        pids = {job: (await uplink.next(Started, job)).pid for job in (printing, endless)}
        for _ in range(2):
            uplink = await upgraded(runner, kit, home, uplink)
        assert {job: (await uplink.next(Started, job)).pid for job in (printing, endless)} == pids
        uplink.send(Cancel(endless, kill=False))
        ended = await uplink.end(endless)
        assert (ended.outcome, ended.signal) == ("cancelled", 15)
        ended = await uplink.end(limited)
        assert ended.outcome == "timed_out"
        assert 2.0 <= ended.ended_at - ended.started_at < kit.PATIENCE
        ended = await uplink.end(printing)
        lines = b"".join(b"line %d\n" % number for number in range(1, 13))
        assert (ended.outcome, ended.exit_code, ended.notes) == ("failed", 3, ())
        assert uplink.output(printing) == lines
        assert ended.output_digest == hashlib.sha256(lines).hexdigest()
        ended = await uplink.end(counted)
        assert uplink.output(counted) == b"12\n"


async def test_no_job_is_lost_and_none_runs_twice_under_load(home: Any, kit: Any, tmp_path: Path, gate: Gate) -> None:
    """More than two hundred run at a time, more are waiting, and more come, while the runner becomes another program
    again and again: every one runs once and succeeds; none is refused, none unknown.
    """
    counts = tmp_path / "counts"
    script = f'echo "$ANSWERBACK_JOB" >> {counts}; flock -s {gate.path} sleep 0.5; echo done'
    async with kit.process(home, MANY) as runner:
        uplink = await kit.Uplink.known(home)
        orders: list[Any] = []

        def more(count: int) -> None:
            fresh = [home.order("/bin/sh", "-c", script, not_after=time.time() + 300) for _ in range(count)]
            orders.extend(fresh)
            uplink.send(*map(home.dispatch, fresh))

        more(300)
        for order in orders[:220]:
            await uplink.next(Started, order.job)
        handed = 0
        for _ in range(4):
            handed = max(handed, read_running(await runner.upgrade()))
            await uplink.closed()
            uplink = await kit.Uplink.known(home)
            uplink.send(*map(home.dispatch, orders))  # as a hub that never heard of the acceptance
            more(20)
            gate.open()
        ends = [await uplink.end(order.job) for order in orders]
        assert {type(end) for end in ends} == {Ended}, [end for end in ends if not isinstance(end, Ended)][:3]
        assert {end.outcome for end in ends} == {"succeeded"}
        assert all(uplink.output(order.job) == b"done\n" for order in orders)
    started = counts.read_text().split()
    assert sorted(started) == sorted(order.job for order in orders)
    assert handed >= 200


def read_running(report: UpgradeReport) -> int:
    assert report.state == "done", report
    return report.jobs


async def test_what_waits_for_the_hub_s_word_waits_on(home: Any, kit: Any) -> None:
    """Trust: the runner's life goes on, so that word is good for the next program, and without it nothing starts."""
    async with kit.process(home, RunnerLimits(max_running=1)) as runner:
        uplink = await kit.Uplink.known(home)
        order = home.order("/bin/true", confirm=True, issued_at=time.time())
        uplink.send(home.dispatch(order))
        await uplink.next(Accepted, order.job)
        word = home.confirm(order.job)
        uplink = await upgraded(runner, kit, home, uplink)
        await uplink.next(Accepted, order.job)
        assert home.files(order.job) == set()
        uplink.send(word)
        assert (await uplink.next(Ended, order.job)).outcome == "succeeded"


async def test_confirmed_jobs_start_behind_it_in_their_order(home: Any, kit: Any, tmp_path: Path, gate: Gate) -> None:
    """Accepted, and no place was free: they start afterwards; not one of them is refused."""
    order_of = tmp_path / "order"
    async with kit.process(home, RunnerLimits(max_running=1)) as runner:
        uplink = await kit.Uplink.known(home)
        uplink.order("/usr/bin/flock", "-s", str(gate.path), "true")
        waiting = [uplink.order("/bin/sh", "-c", f"echo {number} >> {order_of}") for number in range(5)]
        await uplink.next(Accepted, waiting[-1])
        uplink = await upgraded(runner, kit, home, uplink)
        assert not order_of.exists()
        gate.open()
        for job in waiting:
            assert (await uplink.next(Ended, job)).outcome == "succeeded"
    assert order_of.read_text().split() == ["0", "1", "2", "3", "4"]


async def test_the_life_of_a_waiting_job_goes_on_being_counted(home: Any, kit: Any) -> None:
    """P5: a job whose time ends while the programs change places is refused, not started."""
    async with kit.process(home, RunnerLimits(max_running=1)) as runner:
        uplink = await kit.Uplink.known(home)
        uplink.order("/bin/sleep", "5")
        late = uplink.order("/bin/true", not_after=time.time() + 1.0)
        await uplink.next(Accepted, late)
        uplink = await upgraded(runner, kit, home, uplink)
        end = await uplink.next(Refused, late)
        assert end.code == "expired"
        assert home.files(late) == set()


async def test_output_past_its_cap_is_hashed_on_and_that_is_noted(home: Any, kit: Any, gate: Gate) -> None:
    """What is not stored cannot be hashed again: the digest is over the digest so far and what came after it."""
    script = f"head -c 4000 /dev/zero; flock -s {gate.path} echo more"
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", script, output_cap=1_000)
        await uplink.next(Output, job)  # with one read, in which what the cap keeps out was as well
        uplink = await upgraded(runner, kit, home, uplink)
        gate.open()
        end = await uplink.next(Ended, job)
    assert (end.output_bytes, end.truncated, end.notes) == (4_005, True, ("digest",))
    before = hashlib.sha256(bytes(4_000)).digest()
    assert end.output_digest == hashlib.sha256(before + b"more\n").hexdigest()


async def test_a_process_that_a_job_left_behind_is_told_once(home: Any, kit: Any) -> None:
    """And reaped by the next program, whose child it is as well."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "setsid sleep 4 > /dev/null 2>&1 & echo $!; sleep 0.2")
        first = await uplink.next(Ended, job)
        assert first.notes[0].startswith("left ")
        pid = int(uplink.output(job))
        uplink = await upgraded(runner, kit, home, uplink)
        second = await uplink.next(Ended, uplink.order("/bin/true"))
        assert second.notes == ()
        async with asyncio.timeout(kit.PATIENCE):
            while os.path.exists(f"/proc/{pid}"):
                await asyncio.sleep(0.05)


async def test_another_version_takes_over_and_says_so(home: Any, kit: Any, tmp_path: Path, gate: Gate) -> None:
    """What is installed by then: beside its socket and in the report of the upgrade it tells its own version."""
    installed = tmp_path / "installed"
    installed.mkdir()
    async with kit.process(home, installed=installed) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/usr/bin/flock", "-s", str(gate.path), "true")
        await uplink.next(Started, job)
        install(installed, common__version=(VERSION, "9.8.7"))
        report = await runner.upgrade()
        assert (report.state, report.before, report.after, report.jobs) == ("done", VERSION, "9.8.7", 1)
        assert home.socket.with_name("r.sock.version").read_text() == "9.8.7"
        uplink = await kit.Uplink.known(home)
        gate.open()
        assert (await uplink.next(Ended, job)).outcome == "succeeded"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"agent__runner__app": ("import asyncio\n", "import asyncio, no_such_library\n")}, "no_such_library"),
        ({"agent__runner__hand_over": ("frozenset({1})", "frozenset({2, 3})")}, "of version 1, and this program reads"),
        ({"agent__cli": ('"check-hand-over": _check', '"another-command": _check')}, "check-hand-over"),
    ],
    ids=["cannot-start", "other-version", "older"],
)
async def test_a_program_that_cannot_take_over_does_not(
    home: Any, kit: Any, tmp_path: Path, broken: Any, why: str
) -> None:
    """The old one goes on with its jobs and its uplink, takes new ones, and says why."""
    installed = tmp_path / "installed"
    installed.mkdir()
    async with kit.process(home, installed=installed) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sleep", "2")
        await uplink.next(Started, job)
        install(installed, **broken)
        report = await runner.upgrade()
        assert report.state == "refused"
        assert why in report.reason
        assert (await uplink.next(Ended, uplink.order("/bin/true"))).outcome == "succeeded"
        assert (await uplink.next(Ended, job)).outcome == "succeeded"


async def test_a_runner_that_is_being_stopped_does_not_hand_over(home: Any, kit: Any) -> None:
    """It ends once its jobs have, and the new program is started anyway."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sleep", "1")
        await uplink.next(Started, job)
        runner.terminate()
        async with asyncio.timeout(kit.PATIENCE):
            while "runner.stopping" not in (home.state / "log").read_text():
                await asyncio.sleep(0.02)
        report = await runner.upgrade()
        assert (report.state, "is being stopped" in report.reason) == ("refused", True)
        assert (await uplink.next(Ended, job)).outcome == "succeeded"
        await uplink.closed()
        assert await runner.ended() == 0


async def test_within_a_process_that_is_more_than_a_runner_nothing_is_handed_over(home: Any, kit: Any) -> None:
    """As in these tests: there is no program to become."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        os.kill(os.getpid(), REQUEST)
        async with asyncio.timeout(kit.PATIENCE):
            while (report := read_upgrade(home.runner)) is None or report.state != "refused":
                await asyncio.sleep(0.01)
        assert "not started as a program of its own" in report.reason
        assert (await uplink.next(Ended, uplink.order("/bin/true"))).outcome == "succeeded"


def test_a_hand_over_that_came_to_nothing_is_told_by_the_next_runner(tmp_path: Path) -> None:
    """A runner that finds that the one before it was on its way says that this was the end of it."""
    write_upgrade(tmp_path, UpgradeReport("handing_over", 5.0, 77, "1.0", after="1.1"))
    RunnerUpgrade(tmp_path, None, None, 3).note_start(None)  # type: ignore[arg-type]
    found = read_upgrade(tmp_path)
    assert found is not None
    assert (found.state, "what ran then is unknown" in found.reason) == ("refused", True)
    write_upgrade(tmp_path, UpgradeReport("done", 5.0, 77, "1.0"))
    RunnerUpgrade(tmp_path, None, None, 3).note_start(None)  # type: ignore[arg-type]
    assert read_upgrade(tmp_path) == UpgradeReport("done", 5.0, 77, "1.0")


async def test_the_next_program_has_the_same_lock(home: Any, kit: Any) -> None:
    """A second runner is kept away at every moment, and may come once the first has ended."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        await upgraded(runner, kit, home, uplink)
        async with kit.process(home) as second:
            assert "another runner" in second.said
        runner.kill()
        async with kit.process(home) as third:
            assert third.said == "ready"
            assert (await (await kit.Uplink.attach(home)).next(Report)).open == {}


async def test_a_confirmation_of_another_life_is_not_taken(home: Any, kit: Any) -> None:
    """Trust: the life that goes on is that of the journal, and no other."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        order = home.order("/bin/true", confirm=True, issued_at=time.time())
        uplink.send(home.dispatch(order))
        await uplink.next(Accepted, order.job)
        uplink = await upgraded(runner, kit, home, uplink)
        await uplink.next(Accepted, order.job)
        uplink.send(Confirm(order.job), home.confirm(order.job, life="0" * 16))
        await uplink.next(Ended, uplink.order("/bin/true"))
        assert home.files(order.job) == set()
