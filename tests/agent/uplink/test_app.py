"""agent.uplink.app: sessions, reports and reconnecting, between a scripted hub and a scripted runner."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from agent.state import State
from agent.uplink.app import Uplink
from common.messages import Accepted, Bye, Cancel, Credit, Dispatch, Output, Refuse, Report, Started, Welcome
from common.session import SessionFull
from tests.agent.scripted import ScriptedHub, ScriptedRunner
from tests.agent.uplink.conftest import Running

JOB = "01J00000000000000000000000"
OTHER = "01J00000000000000000000001"


def output(seq: int, data: bytes = b"x") -> Output:
    return Output(JOB, seq, 1, data, 1.0)


async def test_a_new_session_begins_with_the_report(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """The hello names the machine and its facts; the runner's report is fact number one; vitals follow."""
    runner.report = Report("journal", "boot", {JOB: "started"})
    async with running(state):
        link = await hub.arrival()
        assert (link.hello.role, link.hello.name, link.hello.session) == ("agent", "web-1", "")
        assert link.hello.facts is not None
        assert link.hello.facts["kernel"]
        assert await link.expect(Report) == runner.report
        assert link.seqs == [1]
        await (await runner.attachment()).send(Accepted(JOB, "hash"))
        await link.expect(Accepted)
        assert link.heartbeats[0].vitals is not None
        assert link.heartbeats[0].vitals["uptime"] > 0


async def test_a_lost_link_goes_on_where_it_was(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """Facts that the hub had not committed come again in order and once; the report does not."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        end = await runner.attachment()
        await end.send(Accepted(JOB, "hash"), Started(JOB, 7, 1.0))
        await link.expect(Accepted)
        await link.acknowledge()
        link.cut()
        await end.send(output(1), output(2))
        again = await hub.arrival()
        assert again.resumed
        assert (link.hello.session, again.hello.session) == ("", "s1")
        told = [await again.receive() for _ in range(3)]
    assert told == [Started(JOB, 7, 1.0), output(1), output(2)]
    assert again.seqs == [3, 4, 5]


async def test_orders_under_way_when_the_link_is_lost_reach_the_runner_once(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """What the hub sent and heard no ack for is sent again after the resume and passed on once."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        end = await runner.attachment()
        await link.send(Cancel(JOB))
        assert await end.receive() == Cancel(JOB)
        link.cut()
        assert hub.kept is not None
        hub.kept.send(Credit(JOB, 3))  # numbered while there is no connection
        again = await hub.arrival()
        assert again.resumed
        await again.send(Cancel(OTHER))
        assert [await end.receive(), await end.receive()] == [Credit(JOB, 3), Cancel(OTHER)]


async def test_a_hub_that_has_forgotten_gets_a_fresh_report(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """Without its session the hub gets a new one, begun by a report made after a new attachment."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        first = await runner.attachment()
        hub.kept = None
        runner.report = Report("journal", "boot", {JOB: "ended"})
        link.cut()
        again = await hub.arrival()
        assert not again.resumed
        assert await again.expect(Report) == runner.report
        assert again.seqs == [1]
        await first.closed()


async def test_without_a_runner_the_hub_is_not_dialled(
    hub: ScriptedHub, state: State, running: Running, tmp_path: Path
) -> None:
    """The uplink waits for a runner; once there is one, it dials."""
    async with running(state):
        await asyncio.sleep(0.2)  # the time in which it would have dialled
        assert hub.hellos == []
        async with ScriptedRunner(tmp_path / "runner.sock").serving():
            await (await hub.arrival()).expect(Report)


async def test_a_runner_that_ends_ends_the_session(
    hub: ScriptedHub, state: State, running: Running, tmp_path: Path
) -> None:
    """The hub hears goodbye, and a new session with the next runner's report."""
    async with running(state):
        async with ScriptedRunner(tmp_path / "runner.sock").serving() as runner:
            link = await hub.arrival()
            await link.expect(Report)
            (await runner.attachment()).close()
            bye = await link.expect(Bye)
            assert "runner" in bye.reason
        next_runner = ScriptedRunner(tmp_path / "runner.sock")
        next_runner.report = Report("journal", "boot", {JOB: "unsure"})
        async with next_runner.serving():
            again = await hub.arrival()
            assert again.hello.session == ""
            assert await again.expect(Report) == next_runner.report


async def test_a_runner_that_sends_nonsense_is_left(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """A frame of an impossible length ends the attachment; the hub gets nothing of it."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        end = await runner.attachment()
        end.send_raw(b"\xff\xff\xff\xff")
        assert "nonsense" in (await link.expect(Bye)).reason
        await end.closed()
        await (await hub.arrival()).expect(Report)


async def test_a_full_session_stops_reading_from_the_runner(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """Unacknowledged facts stop at the session's bound; with acknowledgements the rest comes, in order."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report, commit=False)
        end = await runner.attachment()
        async with asyncio.TaskGroup() as group:
            group.create_task(end.send(*(output(n) for n in range(1, 3_001))))
            for n in range(1, 2_048):
                assert await link.receive(commit=False) == output(n)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await link.connection.recv()
            link.session.done(2_048)
            await link.acknowledge()
            for n in range(2_048, 3_001):
                assert await link.receive() == output(n)
                if n % 100 == 0:
                    await link.acknowledge()


async def test_a_refusal_is_waited_out(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """A hub that says when to come again is dialled again then, not earlier."""
    hub.refusals = [Refuse("busy", "come again", 0.3)]
    started = time.monotonic()
    async with running(state):
        await (await hub.arrival()).expect(Report)
    assert time.monotonic() - started >= 0.3
    assert len(hub.hellos) == 2


async def test_a_refusal_without_an_end_is_tried_slowly(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """A revoked machine keeps running and waits minutes."""
    hub.refusals = [Refuse("revoked", "the certificate of web-1 has been revoked")]
    async with running(state) as uplink:
        while not hub.hellos:
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hub.arrivals.get(), 0.3)
        assert isinstance(uplink, Uplink)
    assert len(hub.hellos) == 1


async def test_a_goodbye_is_followed_by_a_resumed_session(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """After the hub's goodbye the uplink comes back and goes on."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        await link.send(Bye("restart", 5.0))
        assert (await hub.arrival()).resumed


async def test_a_silent_hub_is_left(hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running) -> None:
    """Three intervals without a word, and the link is dialled anew."""
    hub.heartbeat = 0.1
    async with running(state):
        link = await hub.arrival()  # nobody reads it or answers its heartbeats
        started = time.monotonic()
        again = await hub.arrival()
        assert again.connection is not link.connection
        assert 0.2 < time.monotonic() - started < 5


async def test_a_hub_of_an_earlier_epoch_is_not_obeyed(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """A restored backup is left at once: its order does not reach the runner."""
    hub.epoch = 5
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        end = await runner.attachment()
        link.session.epoch = 4
        await link.send(Dispatch(b"order", b"signature", "key"))
        await link.connection.wait_closed()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(end.receive_frame(), 0.3)


@pytest.mark.parametrize("data", ["text", b"\xc1", b"\x00"])
async def test_a_frame_that_is_none_ends_the_link_not_the_uplink(
    data: str | bytes, hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """Nonsense from the hub closes the connection with a code for it; the next link is a new session."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        await link.connection.send(data)
        await link.connection.wait_closed()
        assert link.connection.close_code in (1007, 1008)
        again = await hub.arrival()
        assert again.hello.session == ""
        await again.expect(Report)


async def test_a_message_that_is_not_for_an_agent_ends_the_link(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """A second welcome in the middle of a link is refused."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        await link.connection.send(link.session.send(Welcome(1, "s2", False, 0, 10.0, 0.0, "0")))
        await link.connection.wait_closed()
        assert link.connection.close_code == 1008


async def test_the_goodbye_of_an_uplink_that_is_stopped(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """A cancelled uplink says so before it closes the connection."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
    assert await link.expect(Bye) == Bye("stopping")


async def test_the_epoch_that_was_heard_is_in_the_hello(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """What the hub last told is remembered over links, so that an older hub can be refused."""
    hub.epoch = 9
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        hub.kept = None
        link.cut()
        assert (await hub.arrival()).hello.epoch == 9


async def test_our_own_expired_certificate_is_named(
    hub: ScriptedHub, runner: ScriptedRunner, tmp_path: Path, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """The hub only breaks off, so the uplink itself says that its certificate has expired, and the cure; it stays."""
    state = hub.joined_state(tmp_path / "old", now=time.time() - 3_600, lifetime=60)
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        async with running(state), asyncio.timeout(5):
            while "link.unreachable" not in [record.msg for record in caplog.records]:
                await asyncio.sleep(0.01)
    expired = next(record for record in caplog.records if record.msg == "certificate.expired")
    assert "join again" in expired.__dict__["fields"]["cure"]
    assert hub.hellos == []


async def test_a_frame_past_the_bound_ends_the_link(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running
) -> None:
    """More than 1 MiB is refused while it arrives, with the code for it; the uplink comes back."""
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        await link.connection.send(b"x" * (1024 * 1024 + 1))
        await link.connection.wait_closed()
        assert link.connection.close_code == 1009
        await hub.arrival()


async def test_a_runner_that_does_not_read_is_attached_again(
    hub: ScriptedHub, runner: ScriptedRunner, state: State, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stuck runner ends the link and the session; the next begins with a fresh attachment and report."""
    monkeypatch.setattr("agent.uplink.local.DRAIN_TIMEOUT", 0.2)
    async with running(state):
        link = await hub.arrival()
        await link.expect(Report)
        with pytest.raises((ConnectionClosed, SessionFull)):
            for _ in range(1_000):
                await link.send(Dispatch(b"x" * 60_000, b"s", "k"))
        again = await hub.arrival()
        assert again.hello.session == ""
        await again.expect(Report)
