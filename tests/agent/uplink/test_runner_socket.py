"""agent.uplink.runner_socket: attaching to a runner, and frames that come in pieces."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.state import life_file, protocol_file, refusing_file, version_file
from agent.uplink.runner_socket import ANSWERS_WITHIN, RunnerConnection, RunnerUnavailable
from common.confirmation import NO_STAMP
from common.link.codec import BadFrame, encode
from common.link.compatibility import STAMP_PROTOCOL
from common.link.lineage import Lineage, begin
from common.link.messages import Accepted, Ack, Beat, Bye, Cancel, Dispatch, Message, Report, Stamp
from tests.agent.fake_peers import FakeRunner, RunnerPeer

JOB = "01J00000000000000000000000"
ACCEPTED = encode(Accepted(JOB, "hash"))
FRAMED = struct.pack(">I", len(ACCEPTED)) + ACCEPTED


async def test_attaching_hears_the_report(runner: FakeRunner) -> None:
    """The first message is kept, with the epoch that its frame carries."""
    runner.report = Report("journal", "boot", {JOB: "ended"})
    link = await RunnerConnection.attach(runner.socket)
    assert link.report == runner.report
    assert not link.report_used
    link.close()


async def test_the_life_beside_the_socket_goes_into_the_report(runner: FakeRunner) -> None:
    """Trust: one holder of a name. Of this runner only: what another version or another journal's left is not taken."""
    journal = "a" * 32
    life = f"{journal}:3:{'b' * 16}"
    runner.report = Report(journal, "boot", {})
    version_file(runner.socket).write_text("1.2")
    for text, told in [
        (f"1.2 {life}", life),
        (f"1.1 {life}", ""),
        (f"1.2 {'c' * 32}:3:{'b' * 16}", ""),
        ("1.2 nonsense", ""),
        ("x" * 400, ""),
        ("", ""),
    ]:
        life_file(runner.socket).write_text(text)
        link = await RunnerConnection.attach(runner.socket)
        link.close()
        assert link.report == Report(journal, "boot", {}, told)


async def test_nobody_there(tmp_path: Path) -> None:
    """A missing socket and one that is left over are both no runner."""
    with pytest.raises(RunnerUnavailable, match="no runner serves"):
        await RunnerConnection.attach(tmp_path / "r.sock")
    async with FakeRunner(tmp_path / "r.sock").serving():
        (tmp_path / "old.sock").hardlink_to(tmp_path / "r.sock")
    with pytest.raises(RunnerUnavailable, match="no runner serves"):
        await RunnerConnection.attach(tmp_path / "old.sock")


async def test_a_runner_that_says_nothing(runner: FakeRunner) -> None:
    """The report has a time limit."""
    runner.report = None
    with pytest.raises(RunnerUnavailable, match="does not answer"):
        await RunnerConnection.attach(runner.socket, timeout=0.1)


async def test_a_runner_that_says_goodbye_first(runner: FakeRunner) -> None:
    """Anything but a report is a closed door."""
    runner.report = Bye("stopping")
    with pytest.raises(RunnerUnavailable, match="closed the door"):
        await RunnerConnection.attach(runner.socket)


async def test_something_else_behind_the_socket(tmp_path: Path) -> None:
    """Bytes that are no frame are no runner."""

    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        try:
            await reader.read()
        except ConnectionError:
            pass
        writer.transport.abort()
        left.set()

    async with await asyncio.start_unix_server(talk, tmp_path / "r.sock"):
        with pytest.raises(RunnerUnavailable, match="is no runner"):
            await RunnerConnection.attach(tmp_path / "r.sock")
        async with asyncio.timeout(45):
            await left.wait()


async def test_a_cancelled_receive_loses_nothing(runner: FakeRunner) -> None:
    """Cancelled after any byte of a frame, the next call gives the whole frame."""
    link = await RunnerConnection.attach(runner.socket)
    end = await runner.next_attachment()
    for cut in range(len(FRAMED)):
        end.send_raw(FRAMED[:cut])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.receive(), 0.005)
        end.send_raw(FRAMED[cut:])
        async with asyncio.timeout(45):
            assert await link.receive() == Accepted(JOB, "hash")
    link.close()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=4, max_size=200))
async def test_no_bytes_from_the_runner_raise_anything_else(data: bytes, runner: FakeRunner) -> None:
    """Whatever the runner sends is a message, the end, or a BadFrame."""
    link = await RunnerConnection.attach(runner.socket)
    end = await runner.next_attachment()
    end.send_raw(data)
    await asyncio.sleep(0)
    end._writer.close()
    async with asyncio.timeout(45):
        try:
            while await link.receive() is not None:
                pass
        except BadFrame:
            pass
    link.close()


async def test_frames_carry_the_hub_s_epoch(runner: FakeRunner) -> None:
    """What is put arrives with epoch, and without numbers of the link."""
    link = await RunnerConnection.attach(runner.socket)
    end = await runner.next_attachment()
    link.write(Cancel(JOB), 7)
    await link.drain()
    frame = await end.receive_frame()
    assert (frame.message, frame.seq, frame.ack, frame.epoch) == (Cancel(JOB), 0, 0, 7)
    link.close()


async def test_a_runner_that_does_not_read_is_stuck(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that stays full ends the wait with TimeoutError."""
    monkeypatch.setattr("agent.uplink.runner_socket.DRAIN_TIMEOUT", 0.2)
    link = await RunnerConnection.attach(runner.socket)
    with pytest.raises(TimeoutError):
        for _ in range(100):
            link.write(Dispatch(b"x" * 60_000, b"s", "k"), 1)
            await link.drain()
    link.close()


async def test_a_runner_that_refuses_every_order_is_a_figure(runner: FakeRunner) -> None:
    """As long as it says so beside its socket."""
    link = await RunnerConnection.attach(runner.socket)
    assert link.figures(0.0) == {}
    refusing_file(runner.socket).write_text("policy.toml on this machine cannot be used")
    assert link.figures(0.0) == {"refusing": 1.0}
    link.close()


async def test_a_runner_that_does_not_answer_is_a_figure(runner: FakeRunner) -> None:
    """It is asked once, and until it answers it is told for how long; it is not asked while nothing is read from it."""
    protocol_file(runner.socket).write_text("6")
    link = await RunnerConnection.attach(runner.socket)
    end = await runner.next_attachment()
    link.ask(100.0, reading=True)
    link.ask(101.0, reading=True)
    assert isinstance(await end.receive(), Beat)
    assert link.figures(100.0 + ANSWERS_WITHIN - 1) == {}
    assert link.figures(100.0 + ANSWERS_WITHIN) == {"runner_silent": ANSWERS_WITHIN}
    link.ask(120.0, reading=False)
    assert link.figures(130.0) == {}
    link.ask(140.0, reading=True)
    await end.send(Ack(), Accepted(JOB, "hash"))
    assert await link.receive() == Accepted(JOB, "hash")
    assert link.figures(200.0) == {}
    link.close()


async def answered(end: RunnerPeer, *answer: Message) -> None:
    """What the uplink asked as it attached is answered."""
    asked = await end.receive()
    assert isinstance(asked, Beat)
    assert asked.stamp
    await end.send(*answer)


async def test_a_runner_that_knows_stamps_says_which_have_ended(runner: FakeRunner) -> None:
    """Trust: one holder of a name. With its report; its newest stamp comes with each answer, and is passed on once."""
    protocol_file(runner.socket).write_text(str(STAMP_PROTOCOL))
    async with asyncio.TaskGroup() as tasks:
        attaching = tasks.create_task(RunnerConnection.attach(runner.socket))
        end = await runner.next_attachment()
        await answered(end, Stamp("s1", ("old",)))
    link = await attaching
    assert link.report.ended == ("old",)
    assert link.take_stamp() == ""  # the moment of the link is another one
    link.ask(1.0, reading=True)
    assert await end.receive() == Beat(0.0, stamp=True)
    await end.send(Stamp("s2"), Accepted(JOB, "hash"))
    assert await link.receive() == Accepted(JOB, "hash")
    await link.wait_for_stamp()
    assert (link.take_stamp(), link.take_stamp()) == ("s2", "")
    link.close()


async def test_a_stamp_that_comes_late_is_not_passed_on(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: the hub counts from its arrival; a heartbeat waits a moment for it, and no longer. That the runner is to end
    is passed on whenever it comes, and makes the heartbeat come sooner.
    """
    monkeypatch.setattr("agent.uplink.runner_socket.STAMP_WAIT", 0.01)
    protocol_file(runner.socket).write_text(str(STAMP_PROTOCOL))
    async with asyncio.TaskGroup() as tasks:
        attaching = tasks.create_task(RunnerConnection.attach(runner.socket))
        end = await runner.next_attachment()
        await answered(end, Stamp("s1"))
    link, sooner = await attaching, list[bool]()
    link.on_withdrawn = lambda: sooner.append(True)
    link.ask(1.0, reading=True)
    await link.wait_for_stamp()
    assert link.take_stamp() == ""
    await end.send(Stamp("s2"), Accepted(JOB, "hash"))
    await link.receive()
    link.ask(2.0, reading=True)
    assert link.take_stamp() == ""
    assert (link.has_withdrawn, sooner) == (False, [])
    await end.send(Stamp(NO_STAMP), Accepted(JOB, "hash"))
    await link.receive()
    link.ask(3.0, reading=True)
    assert (link.has_withdrawn, sooner, link.take_stamp()) == (True, [True], NO_STAMP)
    link.close()


async def test_a_runner_that_ends_while_it_is_asked_is_unavailable(runner: FakeRunner) -> None:
    """So is one that answers something else."""
    protocol_file(runner.socket).write_text(str(STAMP_PROTOCOL))
    for answer in (Bye(), Accepted(JOB, "hash")):
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(RunnerConnection.attach(runner.socket))
                await answered(await runner.next_attachment(), answer)
        assert caught.group_contains(RunnerUnavailable, match="closed the door")


@pytest.mark.parametrize("told", ["5", "", "nonsense", "9" * 400])
async def test_a_runner_that_would_not_answer_is_not_asked(runner: FakeRunner, told: str) -> None:
    """One of before protocol 6, or that does not say."""
    protocol_file(runner.socket).write_text(told)
    link = await RunnerConnection.attach(runner.socket)
    link.ask(100.0, reading=True)
    assert link.figures(1_000.0) == {}
    link.close()


async def test_a_runner_that_has_ended_is_told_at_once(runner: FakeRunner) -> None:
    """It counts as silent from that moment, gives no stamp, and is asked nothing."""
    link = await RunnerConnection.attach(runner.socket)
    told: list[str] = []
    link.on_withdrawn = lambda: told.append("withdrawn")
    assert not link.is_gone
    link.note_gone(100.0)
    assert (link.is_gone, told, link.has_withdrawn) == (True, ["withdrawn"], True)
    link.ask(100.0, reading=True)
    assert link.figures(100.0) == {"runner_silent": 0.1}
    assert link.figures(107.0) == {"runner_silent": 7.0}
    assert (link.take_stamp(), link.has_withdrawn) == (NO_STAMP, False)


async def test_which_runner_follows_another(runner: FakeRunner) -> None:
    """Trust: one holder of a name. One that was started on the same journal later; not the same one, nor a copy's."""
    first = begin("a" * 32, b"1")
    second = first.advance(b"2")

    async def of(life: Lineage | None) -> RunnerConnection:
        link = await RunnerConnection.attach(runner.socket)
        link.report = replace(link.report, life="" if life is None else str(life))
        link.close()
        return link

    before = await of(first)
    for life, follows in (
        (second, True),
        (second.advance(b"3"), True),
        (first, False),
        (begin("a" * 32, b"other").advance(b"2"), False),
        (begin("b" * 32, b"1").advance(b"2"), False),
        (None, False),
    ):
        assert (await of(life)).follows(before) is follows
    assert not (await of(first)).follows(await of(second))
    assert not (await of(second)).follows(await of(None))
