"""agent.uplink.runner_socket: attaching to a runner, and frames that come in pieces."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.state import life_file, protocol_file, refusing_file, version_file
from agent.uplink.runner_socket import ANSWERS_WITHIN, RunnerConnection, RunnerUnavailable
from common.link.codec import BadFrame, encode
from common.link.messages import Accepted, Ack, Beat, Bye, Cancel, Dispatch, Report
from tests.agent.fake_peers import FakeRunner

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


@pytest.mark.parametrize("told", ["5", "", "nonsense", "9" * 400])
async def test_a_runner_that_would_not_answer_is_not_asked(runner: FakeRunner, told: str) -> None:
    """One of before protocol 6, or that does not say."""
    protocol_file(runner.socket).write_text(told)
    link = await RunnerConnection.attach(runner.socket)
    link.ask(100.0, reading=True)
    assert link.figures(1_000.0) == {}
    link.close()
