"""agent.uplink.app: sessions, reports and reconnecting, between a scripted hub and a scripted runner."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from agent.state import StateFolder, protocol_file, version_file
from agent.uplink.app import Uplink
from agent.uplink.hub_position import HubPosition
from common.identity.certificates import Identity
from common.link.messages import (
    ORDERS_FACT,
    Accepted,
    Beat,
    Bye,
    Cancel,
    Credit,
    Dispatch,
    Forget,
    Message,
    Output,
    Refuse,
    Renew,
    Renewed,
    Report,
    Resync,
    Started,
    Welcome,
)
from common.link.session import SessionFull
from tests.agent.fake_peers import AgentFakeHub, FakeRunner
from tests.agent.uplink.conftest import Running
from tests.common.fake_hub import TIMEOUT

JOB = "01J00000000000000000000000"
OTHER = "01J00000000000000000000001"


def output(seq: int, data: bytes = b"x") -> Output:
    return Output(JOB, seq, 1, data, 1.0)


async def test_a_new_session_begins_with_the_report(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """The hello names the machine and its facts; the runner's report is fact number one; vitals follow."""
    runner.report = Report("journal", "boot", {JOB: "started"})
    async with running(state):
        link = await hub.next_link()
        assert (link.hello.role, link.hello.name, link.hello.session) == ("agent", "web-1", "")
        assert link.hello.facts is not None
        assert link.hello.facts["kernel"]
        assert link.hello.facts["runner"] == ""  # this one does not say its version
        assert len(link.hello.facts["process"]) == 16  # by which the hub notices a copy of this machine
        assert await link.expect(Report) == runner.report
        assert link.seqs == [1]
        await (await runner.next_attachment()).send(Accepted(JOB, "hash"))
        await link.expect(Accepted)
        assert link.heartbeats[0].vitals is not None
        assert link.heartbeats[0].vitals["uptime"] > 0


async def test_a_lost_link_goes_on_where_it_was(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """Facts that the hub had not committed come again in order and once; the report does not."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        end = await runner.next_attachment()
        await end.send(Accepted(JOB, "hash"), Started(JOB, 7, 1.0))
        await link.expect(Accepted)
        await link.send_ack()
        link.abort()
        await end.send(output(1), output(2))
        again = await hub.next_link()
        assert again.resumed
        assert (link.hello.session, again.hello.session) == ("", "s1")
        told = [await again.receive() for _ in range(3)]
    assert told == [Started(JOB, 7, 1.0), output(1), output(2)]
    assert again.seqs == [3, 4, 5]


async def test_orders_under_way_when_the_link_is_lost_reach_the_runner_once(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """What the hub sent and heard no ack for is sent again after the resume and passed on once."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        end = await runner.next_attachment()
        await link.send(Cancel(JOB))
        assert await end.receive() == Cancel(JOB)
        link.abort()
        assert hub.session is not None
        hub.session.send(Credit(JOB, 3))  # numbered while there is no connection
        again = await hub.next_link()
        assert again.resumed
        await again.send(Cancel(OTHER))
        assert [await end.receive(), await end.receive()] == [Credit(JOB, 3), Cancel(OTHER)]


async def test_a_hub_that_has_forgotten_gets_a_fresh_report(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """Without its session the hub gets a new one, begun by a report made after a new attachment."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        first = await runner.next_attachment()
        hub.session = None
        runner.report = Report("journal", "boot", {JOB: "ended"})
        link.abort()
        again = await hub.next_link()
        assert not again.resumed
        assert await again.expect(Report) == runner.report
        assert again.seqs == [1]
        await first.wait_closed()


async def test_without_a_runner_the_hub_is_not_dialled(
    hub: AgentFakeHub, state: StateFolder, running: Running, tmp_path: Path
) -> None:
    """The uplink waits for a runner; once there is one, it dials."""
    async with running(state):
        await asyncio.sleep(0.2)  # the time in which it would have dialled
        assert hub.hellos == []
        async with FakeRunner(tmp_path / "runner.sock").serving():
            await (await hub.next_link()).expect(Report)


async def test_a_runner_that_ends_ends_the_session(
    hub: AgentFakeHub, state: StateFolder, running: Running, tmp_path: Path
) -> None:
    """The hub hears goodbye, and a new session with the next runner's report."""
    async with running(state):
        async with FakeRunner(tmp_path / "runner.sock").serving() as runner:
            link = await hub.next_link()
            await link.expect(Report)
            (await runner.next_attachment()).close()
            bye = await link.expect(Bye)
            assert "runner" in bye.reason
        next_runner = FakeRunner(tmp_path / "runner.sock")
        next_runner.report = Report("journal", "boot", {JOB: "unsure"})
        async with next_runner.serving():
            again = await hub.next_link()
            assert again.hello.session == ""
            assert await again.expect(Report) == next_runner.report


async def test_a_runner_that_sends_nonsense_is_left(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """A frame of an impossible length ends the attachment; the hub gets nothing of it."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        end = await runner.next_attachment()
        end.send_raw(b"\xff\xff\xff\xff")
        assert "nonsense" in (await link.expect(Bye)).reason
        await end.wait_closed()
        await (await hub.next_link()).expect(Report)


async def test_a_full_session_stops_reading_from_the_runner(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """Unacknowledged facts stop at the session's bound; with acknowledgements the rest comes, in order."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report, process=False)
        end = await runner.next_attachment()
        async with asyncio.TaskGroup() as group:
            group.create_task(end.send(*(output(n) for n in range(1, 3_001))))
            for n in range(1, 2_048):
                assert await link.receive(process=False) == output(n)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await link.connection.recv()
            link.session.mark_processed(2_048)
            await link.send_ack()
            for n in range(2_048, 3_001):
                assert await link.receive() == output(n)
                if n % 100 == 0:
                    await link.send_ack()


async def test_a_refusal_is_waited_out(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """A hub that says when to come again is dialled again then, not earlier."""
    hub.refusals = [Refuse("busy", "come again", 0.3)]
    started = time.monotonic()
    async with running(state):
        await (await hub.next_link()).expect(Report)
    assert time.monotonic() - started >= 0.3
    assert len(hub.hellos) == 2


async def test_a_refusal_without_an_end_is_tried_slowly(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """A revoked machine keeps running and waits minutes."""
    hub.refusals = [Refuse("revoked", "the certificate of web-1 has been revoked")]
    async with running(state) as uplink:
        while not hub.hellos:
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hub.links.get(), 0.3)
        assert isinstance(uplink, Uplink)
    assert len(hub.hellos) == 1


async def test_a_goodbye_is_followed_by_a_resumed_session(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """After the hub's goodbye the uplink comes back and goes on."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await link.send(Bye("restart", 5.0))
        assert (await hub.next_link()).resumed


async def test_a_silent_hub_is_left(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """Three intervals without a word, and the link is dialled anew."""
    hub.heartbeat = 0.1
    async with running(state):
        link = await hub.next_link()  # nobody reads it or answers its heartbeats
        started = time.monotonic()
        again = await hub.next_link()
        assert again.connection is not link.connection
        assert time.monotonic() - started > 0.2


async def test_a_hub_of_an_earlier_epoch_is_not_obeyed(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """A restored backup is left at once: its order does not reach the runner."""
    hub.epoch = 5
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        end = await runner.next_attachment()
        link.session.epoch = 4
        await link.send(Dispatch(b"order", b"signature", "key"))
        await link.connection.wait_closed()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(end.receive_frame(), 0.3)


@pytest.mark.parametrize("data", ["text", b"\xc1", b"\x00"])
async def test_a_frame_that_is_none_ends_the_link_not_the_uplink(
    data: str | bytes, hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """Nonsense from the hub closes the connection with a code for it; the next link is a new session."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await link.connection.send(data)
        await link.connection.wait_closed()
        assert link.connection.close_code in (1007, 1008)
        again = await hub.next_link()
        assert again.hello.session == ""
        await again.expect(Report)


async def test_a_message_that_is_not_for_an_agent_ends_the_link(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """A second welcome in the middle of a link is refused."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await link.connection.send(link.session.send(Welcome(1, "s2", False, 0, 10.0, 0.0, "0")))
        await link.connection.wait_closed()
        assert link.connection.close_code == 1008


async def test_the_goodbye_of_an_uplink_that_is_stopped(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """A cancelled uplink says so before it closes the connection."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
    assert await link.expect(Bye) == Bye("stopping")


async def test_the_epoch_that_was_heard_is_in_the_hello(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """What the hub last told is remembered over links, so that an older hub can be refused."""
    hub.epoch = 9
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        hub.session = None
        link.abort()
        assert (await hub.next_link()).hello.epoch == 9


async def test_a_certificate_that_ran_out_is_renewed_and_the_link_is_there(
    hub: AgentFakeHub, runner: FakeRunner, tmp_path: Path, running: Running
) -> None:
    """The hub says "expired": the uplink asks the renewal entrance for the successor, with a new key and the number of
    what it has, and dials again with that; nothing is done by hand."""
    state = hub.create_joined_state(tmp_path / "old", now=time.time() - 90_000, lifetime=3_600)
    asked: list[Renew] = []

    def successor(identity: Identity, request: Renew) -> Message:
        asked.append(request)
        return Renewed(hub.issue(request.request, identity.name), request.generation + 1)

    hub.renewal = successor
    async with running(state):
        link = await hub.next_link()
        assert link.identity.not_after > time.time() + 80_000
        await link.expect(Report)
    assert [request.generation for request in asked] == [1]
    assert state.credential.validity().generation == 2


async def test_a_renewal_that_the_hub_does_not_give_is_told_with_its_words(
    hub: AgentFakeHub, runner: FakeRunner, tmp_path: Path, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Revoked, or past the grace: the hub's reason, which names the cure, is in the log; the uplink stays."""
    state = hub.create_joined_state(tmp_path / "old", now=time.time() - 90_000, lifetime=3_600)
    hub.renewal = lambda identity, request: Refuse("revoked", "revoked; run `answerback-hub token --agent web-1`")
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        async with running(state), asyncio.timeout(TIMEOUT):
            while "link.refused" not in [record.msg for record in caplog.records]:
                await asyncio.sleep(0.01)
    refused = next(record for record in caplog.records if record.msg == "link.refused")
    assert "answerback-hub token --agent web-1" in refused.__dict__["fields"]["reason"]
    told = json.loads(state.link_report.read_text())
    assert (told["reason"], told["cure"]) == ("revoked", "run `answerback-hub token --agent web-1`")


async def test_a_clock_that_does_not_take_the_hubs_certificate_is_told_by_how_much(
    hub: AgentFakeHub, runner: FakeRunner, tmp_path: Path, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """A hub's certificate that is over, and a hub whose clock does not agree with that: this machine's is ahead."""
    state = hub.create_joined_state(tmp_path / "early")
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        async with running(state), asyncio.timeout(TIMEOUT):
            link = await hub.next_link()
            await link.expect(Report)
            hub.date = time.time() - 8_640_000
            hub.renew_certificate(now=time.time() - 8_640_000)
            link.abort()
            while "clock.off" not in [record.msg for record in caplog.records]:
                await asyncio.sleep(0.01)
    told = next(record for record in caplog.records if record.msg == "clock.off").__dict__["fields"]
    assert told["clock"] == "100 days ahead of the hub's"
    assert "timedatectl" in told["cure"]


async def test_a_machine_whose_clock_is_behind_is_linked_and_told(
    hub: AgentFakeHub, runner: FakeRunner, tmp_path: Path, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """By any amount: the hub's certificate is of its future, and it takes that clock for the wrong one."""
    state = hub.create_joined_state(tmp_path / "early")
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        async with running(state), asyncio.timeout(TIMEOUT):
            link = await hub.next_link()
            await link.expect(Report)
            year = 365 * 86_400
            hub.renew_certificate(now=time.time() + year)
            hub.now = lambda: time.time() + year
            link.abort()
            link = await hub.next_link()
            while "clock.off" not in [record.msg for record in caplog.records]:
                await asyncio.sleep(0.01)
    told = next(record for record in caplog.records if record.msg == "clock.off").__dict__["fields"]
    assert told["ahead_of_hub"] == pytest.approx(-year, abs=60)


async def test_a_machine_that_joins_anew_is_taken_up(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """While its uplink waits after a refusal, or is linked: the next link has the new certificate."""
    hub.refusals.append(Refuse("revoked", "the certificate of web-1 has been revoked"))  # five minutes of waiting
    async with running(state):
        async with asyncio.timeout(TIMEOUT):
            while not hub.hellos:
                await asyncio.sleep(0.01)
        hub.create_joined_state(state.path)
        link = await hub.next_link()
        await link.expect(Report)
        hub.session = None
        hub.create_joined_state(state.path)
        link.abort()
        again = await hub.next_link()
        assert again.identity.fingerprint != link.identity.fingerprint


async def test_a_frame_past_the_bound_ends_the_link(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """More than 1 MiB is refused while it arrives, with the code for it; the uplink comes back."""
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await link.connection.send(b"x" * (1024 * 1024 + 1))
        await link.connection.wait_closed()
        assert link.connection.close_code == 1009
        await hub.next_link()


async def test_a_runner_that_does_not_read_is_attached_again(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stuck runner ends the link and the session; the next begins with a fresh attachment and report."""
    monkeypatch.setattr("agent.uplink.runner_socket.DRAIN_TIMEOUT", 0.2)
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        with pytest.raises((ConnectionClosed, SessionFull)):
            for _ in range(1_000):
                await link.send(Dispatch(b"x" * 60_000, b"s", "k"))
        again = await hub.next_link()
        assert again.hello.session == ""
        await again.expect(Report)


# ---- the hub's position

HEARD = f"5.{'a' * 16}.100.45.{'0' * 32}"
FURTHER = f"5.{'a' * 16}.120.46.{'0' * 32}"
LATER = f"5.{'a' * 16}.140.47.{'0' * 32}"
RESTORED = f"2000.{'c' * 16}.140.46.{'0' * 32}"
FORK = f"5.{'b' * 16}.130.46.{'0' * 32}"


async def test_what_the_hub_told_is_said_at_the_next_link(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """It is on disk before an order behind it reaches the runner, and outlives the process."""
    hub.epoch, hub.mark = 5, HEARD
    async with running(state):
        link = await hub.next_link()
        assert link.hello.heard == "-"
        await link.expect(Report)
        end = await runner.next_attachment()
        for message in (Beat(time.time(), FURTHER), Cancel(JOB)):
            await link.send(message)
        assert await end.receive() == Cancel(JOB)
        assert HubPosition(state.hub_position).text == FURTHER
        link.abort()
        link = await hub.next_link()
        assert link.hello.heard == FURTHER
        for message in (Beat(time.time(), LATER), Credit(JOB, 1)):
            await link.send(message)
        assert await end.receive() == Credit(JOB, 1)
    async with running(state):
        again = await hub.next_link()
        assert (again.hello.heard, again.hello.epoch) == (LATER, 5)


async def test_a_position_is_kept_when_the_hub_has_taken_the_report(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """A link that breaks before is asked again with what was heard of the lost hub: its jobs are not forgotten."""
    HubPosition(state.hub_position).note(HEARD)
    hub.epoch, hub.mark = 2_000, RESTORED
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await link.send(Beat(time.time(), RESTORED))
        link.abort()
        link = await hub.next_link()
        assert link.hello.heard == HEARD
        end = await runner.next_attachment()
        await link.send(Resync({}))
        while await end.receive() != Resync({}):
            pass
        assert HubPosition(state.hub_position).text == RESTORED


async def test_a_hub_at_another_start_of_the_same_epoch_is_not_obeyed(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """It was put back from a backup and has not recovered: it may read reports, and nothing that it says is done."""
    HubPosition(state.hub_position).note(HEARD)
    hub.epoch, hub.mark = 5, FORK
    async with running(state):
        link = await hub.next_link()
        assert link.hello.heard == HEARD
        await link.expect(Report)
        end = await runner.next_attachment()
        for message in (Cancel(JOB), Dispatch(b"order", b"", "key"), Forget(JOB), Beat(time.time(), FORK)):
            await link.send(message)
        for message in (Resync({JOB: 3}, forget=(OTHER,), cancel=(OTHER,)), Credit(JOB, 2)):
            await link.send(message)
        assert await end.receive() == Resync({JOB: 3})
        assert await end.receive() == Credit(JOB, 2)
        assert HubPosition(state.hub_position).text == HEARD
        hub.epoch, hub.mark = 2_000, RESTORED
        link.abort()
        later = await hub.next_link()
        if not later.resumed:
            await later.expect(Report)
            end = await runner.next_attachment()
        await later.send(Cancel(JOB))
        assert await end.receive() == Cancel(JOB)
        assert HubPosition(state.hub_position).text == hub.mark
    assert "link.stale_hub" in [record.msg for record in caplog.records]


async def test_a_hub_of_an_older_version_is_spoken_to_without(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """It closes over a field that it does not know; the next hello has none, and the one after tries again."""
    hub.older = True
    async with running(state):
        link = await hub.next_link()
        assert [hello.heard for hello in hub.hellos] == ["-", ""]
        await link.expect(Report)
        link.abort()
        await hub.next_link()
        assert [hello.heard for hello in hub.hellos] == ["-", "", "-", ""]


async def test_a_hangup_reads_the_settings_for_the_next_link(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """The link that is up stays; a file that is broken, or of another machine, is told and changes nothing."""
    good = state.settings_file.read_text()
    async with running(state) as uplink:
        link = await hub.next_link()
        await link.expect(Report)
        with caplog.at_level(logging.ERROR, "answerback.agent"):
            for bad in ("nonsense", good.replace("web-1", "web-2")):
                state.settings_file.write_text(bad)
                uplink.reload("")
        assert [record.msg for record in caplog.records] == ["settings.broken", "settings.not_taken"]
        state.settings_file.write_text(good.replace("127.0.0.1", "localhost"))
        uplink.reload("")
        hub.session = None
        link.abort()
        await (await hub.next_link()).expect(Report)
    assert len(hub.hellos) == 2


@pytest.mark.parametrize(("content", "told"), [(b"0.9.1", "0.9.1"), (b"x" * 100, ""), (b"\xff", ""), (b"a\x1bb", "")])
async def test_the_runners_version_is_a_fact(
    content: bytes,
    told: str,
    hub: AgentFakeHub,
    runner: FakeRunner,
    state: StateFolder,
    running: Running,
    tmp_path: Path,
) -> None:
    """As the runner says it beside its socket, since it may outlive an upgrade of the uplink; nonsense is nothing."""
    version_file(tmp_path / "runner.sock").write_bytes(content)
    async with running(state):
        link = await hub.next_link()
        assert (link.hello.facts or {})["runner"] == told


async def test_which_orders_the_runner_takes_is_a_fact(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, tmp_path: Path
) -> None:
    """Trust: the hub sends proofs of approvals to a runner that knows them, which may be older than the uplink."""
    protocol_file(tmp_path / "runner.sock").write_text("3")
    async with running(state):
        link = await hub.next_link()
        assert (link.hello.facts or {})[ORDERS_FACT] == "3"
