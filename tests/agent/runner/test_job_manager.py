"""agent.runner.job_manager, through a real socket with real programs"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.runner.limits import RunnerLimits
from common.confirmation import NO_STAMP
from common.link.messages import (
    Accepted,
    Cancel,
    Confirm,
    Ended,
    Forget,
    Refused,
    Report,
    Resync,
    Stamp,
    Started,
    Unsure,
)
from common.policy.rules import REPOSITORY


def script(folder: Path, text: str) -> str:
    path = folder / f"script{len(list(folder.iterdir()))}"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def test_an_order_runs(home: Any, kit: Any) -> None:
    """Accepted, started, output, end: in this order, with the truth in each."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        order = home.order("/bin/sh", "-c", "echo hello; exit 4")
        uplink.send(home.dispatch(order))
        end = await uplink.next(Ended, order.job)
        assert uplink.kinds(order.job) == ["Accepted", "Started", "Output", "Ended"]
        assert (await uplink.next(Accepted)).plan_hash == order.plan_hash
        assert uplink.output(order.job) == b"hello\n"
        assert (end.outcome, end.exit_code, end.signal, end.reason) == ("failed", 4, None, "")
        assert (end.chunks, end.output_bytes, end.truncated) == (1, 6, False)
        started = await uplink.next(Started)
        assert started.pid > 0
        assert started.at == end.started_at <= end.ended_at


async def test_an_order_that_asks_for_it_waits_for_the_hubs_confirmation(home: Any, kit: Any) -> None:
    """Trust: one holder of a name. Accepted and journalled, it starts when the hub knows that; others go past it. The
    word for another job, or a second one, starts nothing more.
    """
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        waits = uplink.order("/bin/echo", "late", confirm=True)
        await uplink.next(Accepted, waits)
        passes = uplink.order("/bin/true")
        await uplink.next(Ended, passes)
        uplink.send(Confirm(kit.job_id()), Confirm(passes))
        again = uplink.order("/bin/true")
        await uplink.next(Ended, again)
        assert home.files(waits) == set()
        uplink.send(Confirm(waits), Confirm(waits))
        await uplink.next(Ended, waits)
        assert uplink.kinds(waits) == ["Accepted", "Started", "Output", "Ended"]
        assert uplink.output(waits) == b"late\n"
        uplink.send(Confirm(waits))
        await uplink.next(Ended, uplink.order("/bin/true"))
        assert uplink.kinds(waits) == ["Accepted", "Started", "Output", "Ended"]


def word_terms(**more: Any) -> dict[str, Any]:
    """Of an order as a hub of today makes it."""
    now = time.time()
    return {"confirm": True, "issued_at": now, "not_after": now + 60, **more}


async def test_an_order_with_the_hubs_word_starts_at_once(home: Any, kit: Any) -> None:
    """No confirmation is waited for; one that comes all the same changes nothing."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        stamp = await uplink.stamp()
        order = home.order("/bin/echo", "now", **word_terms())
        uplink.send(home.dispatch_with_word(order, stamp))
        await uplink.next(Ended, order.job)
        uplink.send(home.confirm(order.job))
        await uplink.next(Ended, uplink.order("/bin/true"))
        assert uplink.kinds(order.job) == ["Accepted", "Started", "Output", "Ended"]


async def test_a_word_for_another_stamp_or_another_start_starts_nothing(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: one holder of a name. A stamp that this runner never gave, or gave before its last report; a word for the
    start of another runner: each waits for its confirmation. What a report ends is told with the next stamp.
    """
    count = tmp_path / "count"
    argv = ("/bin/sh", "-c", f"echo x >> {count}")
    async with kit.serving(home):
        first = await kit.Uplink.known(home)
        old = await first.stamp()
        uplink = await kit.Uplink.known(home)
        stamp = await uplink.stamp()
        assert (await uplink.next(Stamp)).ended == (old,)
        orders = [home.order(*argv, **word_terms()) for _ in range(4)]
        uplink.send(
            home.dispatch_with_word(orders[0], "0" * 16),
            home.dispatch_with_word(orders[1], old),
            home.dispatch_with_word(orders[2], stamp, life="0" * 16),
            home.dispatch(orders[3]),
        )
        for order in orders:
            await uplink.next(Accepted, order.job)
        await uplink.next(Ended, uplink.order("/bin/true"))
        assert lines(count) == []
        for order in orders:
            uplink.send(home.confirm(order.job))
            await uplink.next(Ended, order.job)
    assert lines(count) == ["x"] * 4


async def test_an_order_that_was_held_back_ends_by_itself(home: Any, kit: Any) -> None:
    """P5, trust: no late start. What is left counts from the stamp, whenever the order comes."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        stamp = await uplink.stamp()
        order = home.order("/bin/true", **word_terms())
        await asyncio.sleep(0.06)  # of the runner's boot clock: there is nothing to wait for
        uplink.send(home.dispatch_with_word(order, stamp, left=0.05))
        assert (await uplink.next(Refused, order.job)).code == "expired"


@pytest.mark.parametrize("limits", [RunnerLimits(max_accepted=1), RunnerLimits(max_open=1)])
async def test_a_refused_order_starts_by_no_word_from_before(home: Any, kit: Any, limits: RunnerLimits) -> None:
    """Trust: a job starts once. Refused as busy it is back in the hub's queue, where it may be cancelled; its order,
    played once more, waits for the hub. Also where the runner has no room to remember the refusal.
    """
    async with kit.serving(home, limits):
        uplink = await kit.Uplink.known(home)
        stamp = await uplink.stamp()
        fills = uplink.order("/bin/true", **word_terms())
        await uplink.next(Accepted, fills)
        order = home.order("/bin/true", **word_terms())
        played = home.dispatch_with_word(order, stamp)
        uplink.send(played)
        assert (await uplink.next(Refused, order.job)).code == "busy"
        uplink.send(home.confirm(fills))
        await uplink.next(Ended, fills)
        if limits.max_open == 1:
            uplink.send(Forget(fills))
        uplink.send(played)
        await uplink.next(Accepted, order.job)
        assert home.files(order.job) == set()
        uplink.send(home.confirm(order.job))
        await uplink.next(Ended, order.job)


async def test_a_runner_that_is_to_end_says_so_and_refuses_what_is_on_its_way(home: Any, kit: Any) -> None:
    """The hub gives no more words; an order that it had sent comes back to it, and is not lost with the runner."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        stamp = await uplink.stamp()
        heard = len(uplink.heard)
        runner.terminate()
        assert (await uplink.next(Stamp, start=heard)).id == NO_STAMP
        order = home.order("/bin/true", **word_terms())
        uplink.send(home.dispatch_with_word(order, stamp))
        assert (await uplink.next(Refused, order.job)).code == "stopping"
        assert await runner.ended() == 0


async def test_what_is_not_confirmed_never_starts(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: one holder of a name. Cancelled, past its time, or after a restart: refused, and provably never run. A new
    uplink hears that it was accepted once more, so that the hub's word comes again where it was lost.
    """
    count = tmp_path / "count"
    argv = ("/bin/sh", "-c", f"echo x >> {count}")
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        cancelled = uplink.order(*argv, confirm=True)
        await uplink.next(Accepted, cancelled)
        uplink.send(Cancel(cancelled))
        assert (await uplink.next(Refused, cancelled)).code == "cancelled"
        uplink.send(Confirm(cancelled))
        late = uplink.order(*argv, confirm=True, not_after=time.time() + 1)
        assert (await uplink.next(Refused, late)).code == "expired"
        waits, told = uplink.order(*argv, confirm=True), uplink.order(*argv, confirm=True)
        await uplink.next(Accepted, told)
        again = await kit.Uplink.known(home)
        await again.next(Accepted, waits)
        await again.next(Accepted, told)
        again.send(Confirm(told))
        await again.next(Ended, told)
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        assert (await uplink.next(Refused, waits)).code == "restarted"
        uplink.send(Confirm(waits))
        await uplink.next(Ended, uplink.order("/bin/true"))
    assert lines(count) == ["x"]


@pytest.mark.parametrize("ahead", [0.0, -240.0, -3_600.0, 3_600.0, -31_557_600.0])
async def test_no_order_starts_late_by_any_clock(home: Any, kit: Any, tmp_path: Path, ahead: float) -> None:
    """P5, trust: no late start. The hub's clock is `ahead` of this machine's. What it says is left of a life counts
    from the acceptance; a word that is recorded, for another start, or not signed, starts nothing.
    """
    count, hub_now = tmp_path / "count", time.time() + ahead
    argv = ("/bin/sh", "-c", f"echo x >> {count}")
    terms: dict[str, Any] = {"confirm": True, "issued_at": hub_now, "not_after": hub_now + 60}
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        runs, over, waits = uplink.order(*argv, **terms), uplink.order(*argv, **terms), uplink.order(*argv, **terms)
        await uplink.next(Accepted, waits)
        uplink.send(
            Confirm(waits, 60.0),
            home.confirm(waits, life="0" * 16),
            home.confirm(waits, key=kit.SigningKey.generate()),
            replace(home.confirm(waits), left=59.0),
            replace(home.confirm(runs), job=waits),
            home.confirm(over, left=-0.1),
            home.confirm(runs),
        )
        assert (await uplink.next(Refused, over)).code == "expired"
        await uplink.next(Ended, runs)
        short = uplink.order(*argv, **terms | {"not_after": hub_now + 0.3})
        assert (await uplink.next(Refused, short)).code == "expired"
        assert home.files(waits) == set()
    assert lines(count) == ["x"]


async def test_a_duplicate_order_is_answered_and_not_run_again(home: Any, kit: Any, tmp_path: Path) -> None:
    """While it runs, after it has ended, and after a restart of the runner: one program, the same story."""
    count, go = tmp_path / "count", tmp_path / "go"
    os.mkfifo(go)
    order = home.order("/bin/sh", "-c", f"echo x >> {count}; read line < {go}")
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        uplink.send(home.dispatch(order))
        await uplink.next(Started)
        before = len(uplink.heard)
        uplink.send(home.dispatch(order))
        await uplink.next(Started, order.job, before)
        await asyncio.to_thread(go.write_text, "\n")
        await uplink.next(Ended, order.job)
        before = len(uplink.heard)
        uplink.send(home.dispatch(order))
        assert (await uplink.next(Ended, order.job, before)).outcome == "succeeded"
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        await uplink.next(Ended, order.job)
        before = len(uplink.heard)
        uplink.send(home.dispatch(order))
        assert (await uplink.next(Ended, order.job, before)).outcome == "succeeded"
    assert lines(count) == ["x"]


async def test_a_forgotten_order_is_not_run_again(home: Any, kit: Any, tmp_path: Path) -> None:
    """Its files are gone, its id is remembered, also by the next runner; a replay gets an honest unsure."""
    count = tmp_path / "count"
    order = home.order("/bin/sh", "-c", f"echo x >> {count}")
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        uplink.send(home.dispatch(order))
        await uplink.next(Ended, order.job)
        assert home.files(order.job) == {".started", ".result"}
        uplink.send(Forget(order.job), home.dispatch(order))
        await uplink.next(Unsure, order.job)
        other = uplink.order("/bin/true")
        await uplink.next(Ended, other)
        assert home.files(order.job) == set()
    async with kit.serving(home):
        uplink = await kit.Uplink.attach(home)
        assert order.job not in (await uplink.next(Report)).open
        uplink.send(Resync({}), home.dispatch(order))
        await uplink.next(Unsure, order.job)
    assert lines(count) == ["x"]


async def test_what_runs_cannot_be_forgotten(home: Any, kit: Any) -> None:
    """A forget for a job without an end is not obeyed: its evidence is still to come."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "sleep 0.2; echo done")
        await uplink.next(Started, job)
        uplink.send(Forget(job))
        assert (await uplink.next(Ended, job)).outcome == "succeeded"
        assert uplink.output(job) == b"done\n"
        again = await kit.Uplink.attach(home)
        assert (await again.next(Report)).open == {job: "ended"}


async def refusal(home: Any, kit: Any, *orders: Any, key: Any = None) -> Refused:
    """What is said to the last of the orders, which must be a refusal and leave no marker."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        for order in orders:
            uplink.send(home.dispatch(order, key))
        refused = await uplink.next(Refused, orders[-1].job)
        assert uplink.kinds(orders[-1].job) == ["Refused"]
        assert home.files(orders[-1].job) == set()
        return refused


async def test_a_bad_signature_is_refused(home: Any, kit: Any) -> None:
    """A stranger's order starts nothing."""
    assert (await refusal(home, kit, home.order("/bin/true"), key=kit.SigningKey.generate())).code == "signature"


async def test_a_bad_signature_says_nothing_about_a_job_we_have(home: Any, kit: Any) -> None:
    """A forged copy of an order that ran gets no "refused", which would be a lie, and changes nothing."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        order = home.order("/bin/true")
        uplink.send(home.dispatch(order))
        await uplink.next(Ended, order.job)
        uplink.send(home.dispatch(order, kit.SigningKey.generate()))
        await uplink.next(Ended, uplink.order("/bin/true"))
        assert uplink.kinds(order.job) == ["Accepted", "Started", "Ended"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"argv": ("/bin/sh", "-c", "reboot")}, "order"),
        ({"agent": "web-2"}, "not_mine"),
        ({"not_after": 1_000.0}, "expired"),
        ({"not_after": 9e9}, "order"),
        ({"ttl": 601}, "order"),
    ],
)
async def test_an_order_that_does_not_hold_is_refused(home: Any, kit: Any, changes: dict[str, Any], code: str) -> None:
    """A broken chain of hashes, another machine, a time that is over or absurd: each with its code."""
    assert (await refusal(home, kit, replace(home.order("/bin/true"), **changes))).code == code


async def test_a_lower_epoch_is_refused_also_after_a_restart(home: Any, kit: Any) -> None:
    """The highest epoch is on disk before the order that brought it is accepted."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        await uplink.next(Ended, uplink.order("/bin/true", epoch=5))
    assert (await refusal(home, kit, home.order("/bin/true", epoch=4))).code == "epoch"
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        assert (await uplink.end(uplink.order("/bin/true", epoch=5))).outcome == "succeeded"


async def test_a_refused_order_raises_the_epoch_too(home: Any, kit: Any) -> None:
    """It was authentic, so the hub behind it is the one that counts now."""
    home.policy('default = "deny"')
    old, new = home.order("/bin/true", epoch=1), home.order("/bin/true", epoch=2)
    assert (await refusal(home, kit, new, old)).code == "epoch"


async def test_the_local_policy_has_the_last_word(home: Any, kit: Any) -> None:
    """What the machine does not allow is refused, although the hub has signed it; a refusal stays one."""
    home.policy('default = "deny"')
    order = home.order("/bin/true")
    assert (await refusal(home, kit, order)).code == "policy"
    home.policy('default = "allow"')
    assert (await refusal(home, kit, order)).code == "policy"


async def test_a_policy_that_is_gone_refuses_everything(home: Any, kit: Any) -> None:
    """And the reason names the file."""
    (home.runner / "policy.toml").unlink()
    refused = await refusal(home, kit, home.order("/bin/true"))
    assert refused.code == "policy"
    assert "policy.toml" in refused.reason


async def test_programs_and_folders_that_do_not_hold_are_refused(home: Any, kit: Any, tmp_path: Path) -> None:
    """A missing program, one that anyone can write, a folder behind a link: before anything has started."""
    loose = tmp_path / "loose"
    loose.write_text("#!/bin/sh\n")
    loose.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to("/tmp")
    for order in (
        home.order("/no/such/program"),
        home.order(str(loose)),
        home.order("/bin/true", cwd=str(link)),
        home.order("/bin/true", cwd="/no/such/folder"),
    ):
        assert (await refusal(home, kit, order)).code == "program"


async def test_git_is_not_started_outside_of_a_trusted_checkout(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: an order that asks for a verified repository starts nothing where there is none; others are not asked."""
    for cwd in (str(tmp_path), "/", ""):
        refused = await refusal(home, kit, home.order("/bin/true", cwd=cwd, env=(REPOSITORY,)))
        assert refused.code == "program"
        assert "checkout" in refused.reason
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        order = home.order("/bin/true", cwd=str(tmp_path))
        uplink.send(home.dispatch(order))
        assert (await uplink.next(Ended, order.job)).exit_code == 0


async def test_a_program_that_cannot_be_executed_ends_as_failed(home: Any, kit: Any, tmp_path: Path) -> None:
    """The marker was made, so the end says what happened; and the next in line is started all the same."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        jobs = [uplink.order(str(broken)) for _ in range(50)]
        last = uplink.order("/bin/true")
        end = await uplink.next(Ended, jobs[0])
        assert (end.outcome, end.exit_code, end.signal, end.chunks) == ("failed", None, None, 0)
        assert "could not be started: it is a program for another kind of processor" in end.reason
        assert (await uplink.next(Ended, last)).outcome == "succeeded"


async def test_only_so_many_run_and_the_rest_wait_in_order(home: Any, kit: Any, tmp_path: Path) -> None:
    """With one place, each starts when the one before it has ended."""
    log = tmp_path / "log"
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        jobs = [uplink.order("/bin/sh", "-c", f"echo +{n} >> {log}; sleep 0.02; echo -{n} >> {log}") for n in range(5)]
        for job in jobs:
            await uplink.next(Ended, job)
    assert lines(log) == [f"{sign}{n}" for n in range(5) for sign in "+-"]


async def test_too_many_orders_are_refused_as_busy(home: Any, kit: Any) -> None:
    """The bound is on what has not ended; when there is room again, orders are taken."""
    async with kit.serving(home, RunnerLimits(max_running=1, max_accepted=3)):
        uplink = await kit.Uplink.known(home)
        jobs = [uplink.order("/bin/sleep", "60") for _ in range(4)]
        assert (await uplink.next(Refused)).code == "busy"
        assert uplink.kinds(jobs[3]) == ["Refused"]
        for job in jobs[:3]:
            uplink.send(Cancel(job))
            await uplink.end(job)
        assert (await uplink.end(uplink.order("/bin/true"))).outcome == "succeeded"


async def test_a_machine_that_remembers_too_much_is_busy(home: Any, kit: Any) -> None:
    """Ended jobs that the hub never forgets are bounded too: they all stand in one report."""
    async with kit.serving(home, RunnerLimits(max_open=2)):
        uplink = await kit.Uplink.known(home)
        jobs = [uplink.order("/bin/true") for _ in range(2)]
        for job in jobs:
            await uplink.next(Ended, job)
        assert (await uplink.end(uplink.order("/bin/true"))).code == "busy"
        uplink.send(Forget(jobs[0]))
        assert (await uplink.end(uplink.order("/bin/true"))).outcome == "succeeded"


async def test_what_waits_too_long_is_not_started_late(home: Any, kit: Any) -> None:
    """Its time ends while another program has the place: refused as expired, then and not when the place is free."""
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        long = uplink.order("/bin/sleep", "60")
        await uplink.next(Started, long)
        late = uplink.order("/bin/true", not_after=time.time() + 0.3)
        refused = await uplink.next(Refused, late)
        assert refused.code == "expired"
        assert home.files(late) == set()
        uplink.send(Cancel(long, kill=True))
        await uplink.next(Ended, long)


async def test_a_clock_turned_back_gives_no_order_more_time(
    home: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts at the start is also the time since the order came."""
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        long = uplink.order("/bin/sleep", "60")
        await uplink.next(Started, long)
        late = uplink.order("/bin/true", not_after=time.time() + 0.3)
        await uplink.next(Accepted, late)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 3_600)
        assert (await uplink.next(Refused, late)).code == "expired"
        uplink.send(Cancel(long, kill=True))
        await uplink.next(Ended, long)


async def test_a_rule_that_changed_holds_for_what_waits(home: Any, kit: Any) -> None:
    """The local policy is asked again at the start."""
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        long = uplink.order("/bin/sleep", "60")
        waiting = uplink.order("/bin/true")
        await uplink.next(Accepted, waiting)
        home.policy('default = "deny"')
        uplink.send(Cancel(long, kill=True))
        assert (await uplink.next(Refused, waiting)).code == "policy"


async def test_what_is_cancelled_before_its_start_never_runs(home: Any, kit: Any, tmp_path: Path) -> None:
    """Refused as cancelled, no marker, no trace; and the next runner says the same."""
    trace = tmp_path / "trace"
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        long = uplink.order("/bin/sleep", "60")
        waiting = home.order("/bin/sh", "-c", f"echo x >> {trace}")
        uplink.send(home.dispatch(waiting))
        await uplink.next(Accepted, waiting.job)
        uplink.send(Cancel(waiting.job))
        assert (await uplink.next(Refused, waiting.job)).code == "cancelled"
        uplink.send(home.dispatch(waiting), Cancel(long, kill=True))
        await uplink.next(Ended, long)
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        assert (await uplink.next(Refused, waiting.job)).code == "cancelled"
    assert not trace.exists()


async def test_a_cancel_right_behind_its_order_wins_or_stops_it(home: Any, kit: Any, tmp_path: Path) -> None:
    """Whichever is first, what is said is what happened: refused and never run, or cancelled and stopped."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        for number in range(20):
            trace = tmp_path / f"trace{number}"
            job = uplink.order("/bin/sh", "-c", f"echo x >> {trace}; exec sleep 60")
            uplink.send(Cancel(job))
            end = await uplink.end(job)
            if isinstance(end, Refused):
                assert end.code == "cancelled"
                assert not trace.exists()
            else:
                assert (end.outcome, end.signal) == ("cancelled", 15)


async def test_cancel_of_what_is_over_or_unknown_does_nothing(home: Any, kit: Any) -> None:
    """The end that was told stays the end."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/true")
        await uplink.next(Ended, job)
        uplink.send(Cancel(job), Cancel(kit.job_id()), Cancel("../../x"))
        await uplink.next(Ended, uplink.order("/bin/true"))
        assert uplink.kinds(job) == ["Accepted", "Started", "Ended"]


async def test_a_full_disk_refuses_before_anything_starts(home: Any, kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that cannot be journalled is refused with the reason, and once there is room the next is taken."""
    from agent.runner import journal

    def full(file: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        monkeypatch.setattr(journal, "_write", full)
        refused = await uplink.next(Refused, uplink.order("/bin/true"))
        assert refused.code == "disk"
        assert "No space left" in refused.reason
        monkeypatch.undo()
        assert (await uplink.end(uplink.order("/bin/true"))).outcome == "succeeded"
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        assert (await uplink.next(Refused, refused.job)).code == "disk"


async def test_a_marker_from_an_unknown_life_keeps_the_job_from_running(home: Any, kit: Any, tmp_path: Path) -> None:
    """With the journal lost the marker alone still fences: unsure, and nothing runs."""
    trace = tmp_path / "trace"
    order = home.order("/bin/sh", "-c", f"echo x >> {trace}")
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        uplink.send(home.dispatch(order))
        await uplink.next(Ended, order.job)
        journal = (await uplink.next(Report)).journal
    (home.runner / "journal").unlink()
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        assert (await uplink.next(Report)).journal != journal
        uplink.send(home.dispatch(order))
        assert "marker" in (await uplink.next(Unsure, order.job)).reason
    assert lines(trace) == ["x"]


async def test_old_output_makes_room_for_a_result(home: Any, kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk a terminal record is worth more than output that has been there for long."""
    from agent.runner import evidence

    real = evidence.write_with_crc

    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        first = uplink.order("/bin/echo", "hello")
        await uplink.next(Ended, first)
        assert ".out" in home.files(first)

        def full(file: int, body: Any) -> None:
            if ".out" in home.files(first) and "outcome" in body:
                raise OSError(28, "No space left on device")
            real(file, body)

        monkeypatch.setattr(evidence, "write_with_crc", full)
        second = uplink.order("/bin/true")
        await uplink.next(Ended, second)
        assert home.files(first) == {".started", ".result"}
        assert ".result" in home.files(second)


async def test_a_restart_tells_the_same_ends(home: Any, kit: Any) -> None:
    """Output, status and times come back from the disk as they were told."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "echo out; echo err >&2; exit 2")
        end = await uplink.next(Ended, job)
        heard = [message for message in uplink.heard if getattr(message, "job", "") == job]
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        assert await uplink.next(Ended, job) == end
        assert [message for message in uplink.heard if getattr(message, "job", "") == job] == heard


async def test_a_script_runs_where_it_lies(home: Any, kit: Any, tmp_path: Path) -> None:
    """A program may be a script with an interpreter; it starts in the order's folder."""
    where = tmp_path.resolve() / "where"
    where.mkdir()
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order(script(tmp_path, 'pwd; echo "$1"'), "a b", cwd=str(where))
        await uplink.next(Ended, job)
        assert uplink.output(job).decode().splitlines() == [str(where), "a b"]
        plain = uplink.order("/bin/pwd")
        await uplink.next(Ended, plain)
        assert uplink.output(plain).decode().strip() == str((home.runner / "empty").resolve())


async def test_an_order_for_another_machine_leaves_no_trace(home: Any, kit: Any) -> None:
    """Our name does not change, so nothing needs to be remembered, and a flood of them fills nothing."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        for _ in range(3):
            order = home.order("/bin/true", agent="web-2")
            uplink.send(home.dispatch(order))
            assert (await uplink.next(Refused, order.job)).code == "not_mine"
        again = await kit.Uplink.attach(home)
        assert (await again.next(Report)).open == {}


async def test_forgotten_jobs_are_bounded_too(home: Any, kit: Any) -> None:
    """More ids than it may remember, none of them expired: no order is taken that could not be remembered after."""
    async with kit.serving(home, RunnerLimits(max_remembered=1)):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/true")
        await uplink.next(Ended, job)
        uplink.send(Forget(job))
        assert (await uplink.end(uplink.order("/bin/true"))).code == "busy"


@pytest.mark.slow
async def test_hundreds_of_jobs_a_second(home: Any, kit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand orders, at most two hundred under way; the rate is printed, and is far above what one machine gets."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        orders = [home.dispatch(home.order("/bin/true")) for _ in range(1_000)]
        sent = ended = 0
        begun, used = time.perf_counter(), _processor_time(runner.pid)
        while ended < len(orders):
            while sent < len(orders) and sent - ended < 200:
                uplink.send(orders[sent])
                sent += 1
            message = await uplink.read()
            if isinstance(message, Ended):
                uplink.send(Forget(message.job))
                ended += 1
        took, used = time.perf_counter() - begun, _processor_time(runner.pid) - used
        with capsys.disabled():
            print(f"\nrunner: {ended / took:.0f} jobs/s, {used / ended * 1e3:.2f} ms of processor a job")
        assert ended / took > 50


def _processor_time(pid: int) -> float:
    """Seconds that the process itself has used, its children not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
