"""agent.uplink.relay: what a link in service notices. Most of it shows between two ends, in test_app.py."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.connection import Connection

from agent.state import StateFolder, life_file, protocol_file, version_file
from agent.uplink import app, backoff
from agent.uplink.backoff import UplinkBackoff
from common.confirmation import NO_STAMP
from common.link.compatibility import STAMP_PROTOCOL
from common.link.joined import send_joined
from common.link.lineage import Lineage, begin
from common.link.messages import (
    PROTOCOL,
    Accepted,
    Beat,
    Bye,
    Cancel,
    Dispatch,
    Ended,
    Heartbeat,
    Message,
    Report,
    Resync,
    Stamp,
    Started,
    Unsure,
)
from tests.agent.fake_peers import AgentFakeHub, FakeRunner, HubPeer, RunnerPeer
from tests.agent.uplink.conftest import Running

JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


async def test_a_clock_that_is_off_is_logged_once(
    hub: AgentFakeHub,
    runner: FakeRunner,
    state: StateFolder,
    running: Running,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An hour's difference to the hub's clock is a warning with its size, not one with every beat."""
    hub.now = lambda: time.time() - 3_600
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        async with running(state):
            link = await hub.next_link()
            await link.expect(Report)
            for _ in range(3):
                await link.send(Beat(time.time() - 3_600))
            async with asyncio.timeout(45):
                while len([r for r in caplog.records if r.msg == "clock.off"]) < 1:
                    await asyncio.sleep(0.01)
    offs = [record for record in caplog.records if record.msg == "clock.off"]
    assert len(offs) == 1
    assert offs[0].__dict__["fields"]["ahead_of_hub"] == pytest.approx(3_600, abs=5)


@pytest.mark.parametrize("protocol", [1, PROTOCOL])
async def test_an_older_hub_is_sent_nothing_that_it_would_refuse(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, protocol: int
) -> None:
    """What a job left behind goes into the reason for a hub that has no field for it."""
    hub.protocol = protocol
    job = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    end = Ended(job, "succeeded", 0, None, "", 0, 0, "", False, 1.0, 2.0, 0.0, 0.0, 0, ("unrecorded",))
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await (await runner.next_attachment()).send(end)
        heard = await link.expect(Ended)
    assert isinstance(heard, Ended)
    if protocol == PROTOCOL:
        assert heard == end
    else:
        assert heard.notes == ()
        assert "not recorded" in heard.reason


@pytest.mark.parametrize("protocol", [STAMP_PROTOCOL - 1, PROTOCOL])
async def test_the_runners_stamps_go_to_a_hub_that_knows_them(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, protocol: int
) -> None:
    """With the first heartbeat of the link, and those that have ended with the report. That the runner is to end is
    told before the next heartbeat is due.
    """
    hub.protocol, hub.heartbeat = protocol, 600.0
    protocol_file(runner.socket).write_text(str(STAMP_PROTOCOL))
    async with running(state):
        end = await runner.next_attachment()
        assert await end.receive() == Beat(0.0, stamp=True)
        await end.send(Stamp("s1", ("old",)))
        link = await hub.next_link()
        knows = protocol >= STAMP_PROTOCOL
        report = await link.expect(Report)
        assert isinstance(report, Report)
        assert report.ended == (("old",) if knows else ())
        assert await end.receive() == Beat(0.0, stamp=True)
        await end.send(Stamp("s2"), Stamp(NO_STAMP))
        async with asyncio.timeout(45), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(link.receive())
            while len(link.heartbeats) < 1 or (knows and link.heartbeats[-1].stamp != NO_STAMP):
                await asyncio.sleep(0.01)
            reading.cancel()
        told = {beat.stamp for beat in link.heartbeats}
        assert told <= ({"s2", NO_STAMP} if knows else {""})


async def test_what_the_runner_tells_at_once_leaves_at_once(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub reads it together, and takes it in one unit of work; in the order in which it was told."""
    pieces: list[int] = []

    async def keep(connection: Connection, frames: Sequence[bytes]) -> None:
        pieces.append(len(frames))
        await send_joined(connection, frames)

    monkeypatch.setattr("agent.uplink.relay.send_joined", keep)
    job = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    facts = [Accepted(job, "hash"), Started(job, 1, 1.0), Unsure(job, "gone")]
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await (await runner.next_attachment()).send(*facts)
        assert [await link.receive() for _ in facts] == facts
    assert pieces == [3]


async def test_a_beat_changes_the_interval(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """The next heartbeat comes by it, not by that of the welcome."""
    hub.heartbeat = 600.0
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await link.send(Beat(time.time(), interval=0.05))
        async with asyncio.timeout(45), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(link.receive())
            while len(link.heartbeats) < 4:
                await asyncio.sleep(0.01)
            reading.cancel()


async def test_a_hub_that_is_gone_without_a_word_is_dialled_by_what_it_said_of_returns(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says goodbye, or closes a link by itself, is not."""
    monkeypatch.setattr(backoff, "STABLE_AFTER", 0.0)
    async with running(state) as uplink:
        link = await hub.next_link()
        await link.expect(Report)
        await link.connection.close(1011, "come again")
        link = await hub.next_link()
        assert not uplink._backoff.returning
        gone = asyncio.Event()
        monkeypatch.setattr(UplinkBackoff, "delay_dropped", lambda *args: gone.set() or 0.0)
        link.abort()
        async with asyncio.timeout(45):
            await gone.wait()


def lives(count: int) -> list[Lineage]:
    """Runners of one journal, one after the other."""
    found = [begin("a" * 32, b"0")]
    while len(found) < count:
        found.append(found[-1].advance(b"x"))
    return found


@asynccontextmanager
async def serving(socket: Path, life: Lineage, version: str = "1") -> AsyncIterator[FakeRunner]:
    """A runner that knows stamps, of this life."""
    for file, text in (
        (protocol_file(socket), str(STAMP_PROTOCOL)),
        (version_file(socket), version),
        (life_file(socket), f"{version} {life}"),
    ):
        file.write_text(text)
    runner = FakeRunner(socket)
    runner.report = Report(life.chain, "boot", {})
    async with runner.serving():
        yield runner


async def attached(runner: FakeRunner, stamp: str) -> RunnerPeer:
    end = await runner.next_attachment()
    assert await end.receive() == Beat(0.0, stamp=True)
    await end.send(Stamp(stamp))
    return end


async def until(link: HubPeer, found: Callable[[], bool]) -> None:
    """Reads heartbeats and acks until it holds; nothing else may come meanwhile."""
    async with asyncio.timeout(45), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(link.receive())
        while not found():
            await asyncio.sleep(0.01)
        reading.cancel()


async def beats_until(link: HubPeer, found: Callable[[Heartbeat], bool]) -> None:
    await until(link, lambda: any(map(found, link.heartbeats)))


def is_silent(beat: Heartbeat) -> bool:
    return bool((beat.vitals or {}).get("runner_silent"))


async def test_the_report_of_the_next_runner_goes_over_the_same_connection(
    hub: AgentFakeHub, state: StateFolder, running: Running, tmp_path: Path
) -> None:
    """That none is there is told at once, before a heartbeat is due. What comes for it is dropped and counts as
    processed, and so are orders, and answers to reports before, until the hub has answered the report of the next one.
    """
    hub.heartbeat = 600.0
    socket, (first, second) = tmp_path / "runner.sock", lives(2)
    async with running(state):
        async with serving(socket, first) as runner:
            end = await attached(runner, "s0")
            link = await hub.next_link()
            await link.expect(Report)
            assert await end.receive() == Beat(0.0, stamp=True)
            await end.send(Stamp("s1"), Accepted(JOB, "hash"))
            assert isinstance(await link.receive(), Accepted)
        await beats_until(link, is_silent)
        assert link.heartbeats[-1].stamp == NO_STAMP
        nobodys = Dispatch(b"order 1", b"signature", "key")
        for message in (nobodys, Cancel(JOB, False)):
            await link.send(message)
        await until(link, lambda: not link.session.unacked)
        async with serving(socket, second) as runner:
            end = await attached(runner, "s2")
            report = await link.expect(Report)
            assert isinstance(report, Report)
            assert report.life == str(second)
            for message in (
                Resync({JOB: 1}),
                Dispatch(b"order 2", b"signature", "key"),
                Cancel(JOB, True),
                Resync({}),
                Dispatch(b"order 3", b"signature", "key"),
            ):
                await link.send(message)
            heard = [message async for message in heard_by(end, 3)]
            assert heard == [Cancel(JOB, True), Resync({}), Dispatch(b"order 3", b"signature", "key")]
            await beats_until(link, lambda beat: not is_silent(beat) and beat.stamp == "s3")
    assert len(hub.hellos) == 1


async def heard_by(end: RunnerPeer, count: int) -> AsyncIterator[Message]:
    """So many messages but questions whether it answers, which are answered."""
    while count:
        message = await end.receive()
        if isinstance(message, Beat):
            await end.send(Stamp("s3"))
        else:
            count -= 1
            yield message


@pytest.mark.parametrize("why", ["same", "other", "version", "hub"])
async def test_a_runner_that_does_not_follow_gets_a_link_of_its_own(
    hub: AgentFakeHub, state: StateFolder, running: Running, tmp_path: Path, why: str
) -> None:
    """Trust: one holder of a name. The same runner once more, one that does not go on from it, one of another version,
    and towards a hub that does not know stamps: a new session, with its report.
    """
    socket, (first, second) = tmp_path / "runner.sock", lives(2)
    if why == "hub":
        hub.protocol = STAMP_PROTOCOL - 1
    life = {"same": first, "other": begin("a" * 32, b"other")}.get(why, second)
    async with running(state):
        async with serving(socket, first) as runner:
            await attached(runner, "s0")
            link = await hub.next_link()
            await link.expect(Report)
        async with serving(socket, life, "2" if why == "version" else "1") as runner:
            async with asyncio.TaskGroup() as tasks:
                answering = tasks.create_task(attached_always(runner))
                await link.expect(Bye)
                again = await hub.next_link()
                report = await again.expect(Report)
                answering.cancel()
            assert isinstance(report, Report)
            assert report.life == str(life)
            assert again.hello.session == ""


async def attached_always(runner: FakeRunner) -> None:
    while True:
        await attached(runner, "s")


async def test_a_link_ends_where_no_runner_follows(
    hub: AgentFakeHub, state: StateFolder, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while; and the connection that is lost before that is not followed by the same session."""
    socket, runners = tmp_path / "runner.sock", lives(3)
    async with running(state):
        async with serving(socket, runners[0]) as runner:
            await attached(runner, "s0")
            link = await hub.next_link()
            await link.expect(Report)
        await beats_until(link, is_silent)
        link.abort()
        async with serving(socket, runners[1]) as runner:
            await attached(runner, "s0")
            link = await hub.next_link()
            assert link.hello.session == ""
            await link.expect(Report)
            monkeypatch.setattr(app, "NEXT_RUNNER_WITHIN", 0.05)
        assert "runner" in (await link.expect(Bye)).reason
