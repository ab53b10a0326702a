"""The runner killed at each of its crash points, and what the next one says."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.runner.limits import RunnerLimits
from agent.upgrade_report import read_upgrade
from common.link.messages import Accepted, Confirm, Ended, Forget, Refused, Report, Resync, Started, Unsure
from tests.faults.points import points_in

# The point, what the next runner reports, and how often the program may have run.
AFTERWARDS = {
    "journal.before_sync": ("refused", {0}),
    "accept.durable": ("refused", {0}),
    "start.before_marker": ("refused", {0}),
    "start.after_marker": ("unsure", {0}),
    "start.after_spawn": ("unsure", {0, 1}),
    "end.before_result": ("unsure", {1}),
    "end.after_result": ("ended", {1}),
}
FORGETTING = {"forget.before_tombstone": "ended", "forget.after_tombstone": None}
HANDING_OVER = ("hand_over.after_exec", "hand_over.before_exec", "hand_over.taken_over")


def test_every_point_is_tried() -> None:
    """A new crash point without an expectation here fails."""
    assert set(AFTERWARDS) | set(FORGETTING) | set(HANDING_OVER) == points_in("agent/runner")


def starts(count: Path) -> int:
    return len(count.read_text().splitlines()) if count.exists() else 0


@pytest.mark.parametrize("point", sorted(AFTERWARDS))
async def test_killed_on_the_way_of_an_order(home: Any, kit: Any, tmp_path: Path, point: str) -> None:
    """The next runner tells the one state that the files prove; a replay of the order starts nothing, ever."""
    state, allowed = AFTERWARDS[point]
    count = tmp_path / "count"
    order = home.order("/bin/sh", "-c", f"echo x >> {count}")
    async with kit.process(home, crash=point) as runner:
        uplink = await kit.Uplink.known(home)
        uplink.send(home.dispatch(order))
        await uplink.closed()
        assert await runner.ended() == -9
        told = uplink.kinds(order.job)
    ran = starts(count)
    async with kit.process(home):
        uplink = await kit.Uplink.attach(home)
        report = await uplink.next(Report)
        assert report.open == {order.job: state}
        uplink.send(Resync({order.job: 1}))
        end = await uplink.end(order.job)
        assert isinstance(end, {"refused": Refused, "unsure": Unsure, "ended": Ended}[state])
        before = len(uplink.heard)
        uplink.send(home.dispatch(order))
        assert type(await uplink.next(type(end), order.job, before)) is type(end)
        await uplink.next(Ended, uplink.order("/bin/true"))
    # The program may have been on its way when its runner was killed; it is not on its way twice.
    assert starts(count) in allowed
    assert starts(count) - ran in ({0, 1} if point == "start.after_spawn" else {0})
    if state == "refused":
        assert "Started" not in told


@pytest.mark.parametrize("second", sorted(set(AFTERWARDS) - {"journal.before_sync"}))  # which is before it listens
@pytest.mark.parametrize("first", sorted(AFTERWARDS))
async def test_handed_out_again_after_a_kill_at_any_point(
    home: Any, kit: Any, tmp_path: Path, first: str, second: str
) -> None:
    """Trust: a job starts once. Killed at one point, handed out again, killed at another, handed out again: where no
    marker was made it runs at the last, once; where one was, never again. And not before the hub's word.
    """
    count = tmp_path / "count"
    order = home.order("/bin/sh", "-c", f"echo x >> {count}", confirm=True)
    states = []
    for point in (first, second):
        async with kit.process(home, crash=point) as runner:
            uplink = await kit.Uplink.known(home)
            uplink.send(home.dispatch(order), Confirm(order.job))
            if states and states[-1] != "refused":
                await uplink.end(order.job)
                runner.kill()
            else:
                # The word may be there before the order is accepted; once more, as a hub that has committed it says it.
                with contextlib.suppress(AssertionError):
                    await uplink.next(Accepted, order.job)
                uplink.send(Confirm(order.job))
                await uplink.closed()
                assert await runner.ended() == -9
        states.append(AFTERWARDS[point][0] if not states or states[-1] == "refused" else states[-1])
    ran = starts(count)
    async with kit.process(home):
        uplink = await kit.Uplink.attach(home)
        assert (await uplink.next(Report)).open == {order.job: states[-1]}
        uplink.send(Resync({order.job: 1}))
        await uplink.end(order.job)
        before = len(uplink.heard)
        uplink.send(home.dispatch(order))
        if states[-1] != "refused":
            uplink.send(Confirm(order.job))
        else:
            await uplink.next(Accepted, order.job, before)
            await uplink.next(Ended, uplink.order("/bin/true"))
            assert home.files(order.job) == set()  # not before the hub's word
            uplink.send(Confirm(order.job))
            assert (await uplink.next(Ended, order.job)).outcome == "succeeded"
            assert starts(count) == 1
        await uplink.next(Ended, uplink.order("/bin/true"))
    assert starts(count) <= 1
    assert ran <= 1


@pytest.mark.parametrize("point", sorted(FORGETTING))
async def test_killed_while_forgetting(home: Any, kit: Any, tmp_path: Path, point: str) -> None:
    """Before the tombstone the job is told again, after it only its files are left to sweep; it never runs again."""
    count = tmp_path / "count"
    order = home.order("/bin/sh", "-c", f"echo x >> {count}")
    async with kit.process(home, crash=point) as runner:
        uplink = await kit.Uplink.known(home)
        uplink.send(home.dispatch(order))
        await uplink.next(Ended, order.job)
        uplink.send(Forget(order.job))
        await uplink.closed()
        assert await runner.ended() == -9
    async with kit.process(home):
        uplink = await kit.Uplink.attach(home)
        assert (await uplink.next(Report)).open.get(order.job) == FORGETTING[point]
        assert bool(home.files(order.job)) == (FORGETTING[point] is not None)
        uplink.send(Resync({order.job: 1}), home.dispatch(order))
        await uplink.end(order.job)
        await uplink.next(Ended, uplink.order("/bin/true"))
    assert starts(count) == 1


@pytest.mark.parametrize("point", HANDING_OVER)
async def test_killed_while_it_hands_over(home: Any, kit: Any, tmp_path: Path, point: str) -> None:
    """P4: the table dies with the process. What ran is unknown, what waited is handed out again and runs once, what had
    ended has ended; and the command that asked is told that it came to nothing.
    """
    count = tmp_path / "count"
    limits = RunnerLimits(max_running=2)
    async with kit.process(home, limits, crash=point) as runner:
        uplink = await kit.Uplink.known(home)
        done = uplink.order("/bin/true")
        await uplink.next(Ended, done)
        running = [uplink.order("/bin/sh", "-c", f"echo x >> {count}; exec sleep 30") for _ in range(2)]
        for job in running:
            await uplink.next(Started, job)
        waiting = home.order("/bin/sh", "-c", f"echo y >> {count}", confirm=True)
        uplink.send(home.dispatch(waiting), Confirm(waiting.job))
        await uplink.next(Accepted, waiting.job)
        with pytest.raises(AssertionError, match="ended with -9"):
            await runner.upgrade()
    async with kit.process(home, limits):
        uplink = await kit.Uplink.attach(home)
        report = await uplink.next(Report)
        assert report.open == {done: "ended", waiting.job: "refused", **dict.fromkeys(running, "unsure")}
        told = read_upgrade(home.runner)
        assert told is not None
        assert (told.state, "what ran then is unknown" in told.reason) == ("refused", True)
        uplink.send(Resync(dict.fromkeys(report.open, 1)))
        refused = await uplink.next(Refused, waiting.job)
        assert refused.code == "restarted"
        uplink.send(home.dispatch(waiting), Confirm(waiting.job))
        assert (await uplink.next(Ended, waiting.job)).outcome == "succeeded"
    assert sorted(count.read_text().split()) == ["x", "x", "y"]


@pytest.mark.parametrize("seed", range(6))
async def test_killed_at_any_time_no_job_runs_twice_and_every_word_is_true(
    home: Any, kit: Any, tmp_path: Path, seed: int
) -> None:
    """Three lives of a runner, forty orders sent again in each: what ended ran once, what was refused never."""
    random, counts = Random(seed), tmp_path / "counts"
    counts.mkdir()
    orders = []
    for number in range(40):
        order = home.order("/bin/sh", "-c", f"echo x >> {counts}/{number}", not_after=time.time() + 300)
        orders.append(order)
    for most in (120, 40):  # messages there are at least: three a job that runs, one a job that has
        async with kit.process(home) as runner:
            uplink = await kit.Uplink.known(home)
            for order in orders:
                uplink.send(home.dispatch(order))
            for _ in range(random.randint(1, most)):
                await uplink.read()
            runner.kill()
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        for order in orders:
            uplink.send(home.dispatch(order))
        ends = [await uplink.end(order.job) for order in orders]
        await uplink.next(Ended, uplink.order("/bin/sleep", "0.1"))  # for what a killed runner has left running
    for number, end in enumerate(ends):
        ran = starts(counts / str(number))
        assert ran in {Ended: {1}, Refused: {0}, Unsure: {0, 1}}[type(end)], end
        assert not isinstance(end, Ended) or end.outcome == "succeeded"
