"""agent.uplink.local: attaching to a runner, and frames that come in pieces."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.uplink.local import NoRunner, RunnerLink
from common.codec import BadFrame, encode
from common.messages import Accepted, Bye, Cancel, Dispatch, Report
from tests.agent.scripted import ScriptedRunner

JOB = "01J00000000000000000000000"
ACCEPTED = encode(Accepted(JOB, "hash"))
FRAMED = struct.pack(">I", len(ACCEPTED)) + ACCEPTED


async def test_attaching_hears_the_report(runner: ScriptedRunner) -> None:
    """The first message is kept, with the epoch that its frame carries."""
    runner.report = Report("journal", "boot", {JOB: "ended"})
    link = await RunnerLink.attach(runner.socket)
    assert link.report == runner.report
    assert not link.report_used
    link.close()


async def test_nobody_there(tmp_path: Path) -> None:
    """A missing socket and one that is left over are both no runner."""
    with pytest.raises(NoRunner, match="no runner serves"):
        await RunnerLink.attach(tmp_path / "r.sock")
    async with ScriptedRunner(tmp_path / "r.sock").serving():
        (tmp_path / "old.sock").hardlink_to(tmp_path / "r.sock")
    with pytest.raises(NoRunner, match="no runner serves"):
        await RunnerLink.attach(tmp_path / "old.sock")


async def test_a_runner_that_says_nothing(runner: ScriptedRunner) -> None:
    """The report has a time limit."""
    runner.report = None
    with pytest.raises(NoRunner, match="does not answer"):
        await RunnerLink.attach(runner.socket, timeout=0.1)


async def test_a_runner_that_says_goodbye_first(runner: ScriptedRunner) -> None:
    """Anything but a report is a closed door."""
    runner.report = Bye("stopping")
    with pytest.raises(NoRunner, match="closed the door"):
        await RunnerLink.attach(runner.socket)


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
        with pytest.raises(NoRunner, match="is no runner"):
            await RunnerLink.attach(tmp_path / "r.sock")
        async with asyncio.timeout(5):
            await left.wait()


async def test_a_cancelled_receive_loses_nothing(runner: ScriptedRunner) -> None:
    """Cancelled after any byte of a frame, the next call gives the whole frame."""
    link = await RunnerLink.attach(runner.socket)
    end = await runner.attachment()
    for cut in range(len(FRAMED)):
        end.send_raw(FRAMED[:cut])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.receive(), 0.005)
        end.send_raw(FRAMED[cut:])
        async with asyncio.timeout(5):
            assert await link.receive() == Accepted(JOB, "hash")
    link.close()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=4, max_size=200))
async def test_no_bytes_from_the_runner_raise_anything_else(data: bytes, runner: ScriptedRunner) -> None:
    """Whatever the runner sends is a message, the end, or a BadFrame."""
    link = await RunnerLink.attach(runner.socket)
    end = await runner.attachment()
    end.send_raw(data)
    await asyncio.sleep(0)
    end._writer.close()
    async with asyncio.timeout(5):
        try:
            while await link.receive() is not None:
                pass
        except BadFrame:
            pass
    link.close()


async def test_frames_carry_the_hub_s_epoch(runner: ScriptedRunner) -> None:
    """What is put arrives with epoch, and without numbers of the link."""
    link = await RunnerLink.attach(runner.socket)
    end = await runner.attachment()
    link.put(Cancel(JOB), 7)
    await link.drain()
    frame = await end.receive_frame()
    assert (frame.message, frame.seq, frame.ack, frame.epoch) == (Cancel(JOB), 0, 0, 7)
    link.close()


async def test_a_runner_that_does_not_read_is_stuck(runner: ScriptedRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that stays full ends the wait with TimeoutError."""
    monkeypatch.setattr("agent.uplink.local.DRAIN_TIMEOUT", 0.2)
    link = await RunnerLink.attach(runner.socket)
    with pytest.raises(TimeoutError):
        for _ in range(100):
            link.put(Dispatch(b"x" * 60_000, b"s", "k"), 1)
            await link.drain()
    link.close()
