"""The port that machines and consoles dial, as they meet it: real certificates, real TLS, real frames."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from common.errors import UserError, WorkFailed
from common.identity.certificates import Authority
from common.identity.tls import client_context, unverified_context
from common.lifecycle import JobState
from common.link import codec, handshake
from common.link.codec import encode
from common.link.compatibility import PACE_PROTOCOL
from common.link.dial import HubRefused, dial
from common.link.enrolment import fetch_pinned_authority
from common.link.handshake import make_hello
from common.link.marks import Mark
from common.link.messages import (
    LOGIN_ENDED,
    PROTOCOL,
    Accepted,
    Answer,
    Beat,
    Bye,
    Call,
    Cancel,
    Dispatch,
    Heartbeat,
    Hello,
    Refuse,
    Report,
    Resync,
    Started,
    Welcome,
)
from common.plan import Order
from hub.cleanup import Cleanup
from hub.cli import recover
from hub.engine.effects import Effects
from hub.identity import certificates
from hub.links import admission, connected, server
from hub.maintenance import MaintenanceTasks
from hub.store.errors import StoreBusy
from tests.hub.hub_harness import JOURNAL, FakeClock, HubHarness
from tests.hub.link_harness import TIMEOUT, LinkHarness, LinkPeer, blocked_writer, serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


def anybody(harness: HubHarness) -> ssl.SSLContext:
    """Trusts the hub and shows no certificate."""
    return client_context(harness.keys.authority.certificate)


async def get(port: LinkHarness, path: str, context: ssl.SSLContext) -> tuple[int, dict[str, str], bytes]:
    """A plain GET: status, headers, body."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port.links.ports[0], ssl=context)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: hub\r\n{UPGRADE}\r\n".encode())
        answer = await reader.read()
        writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


async def settled(holds: Callable[[], bool]) -> None:
    """Waits for what the other end of a socket does, of which nothing else tells."""
    async with asyncio.timeout(TIMEOUT):
        while not holds():
            await asyncio.sleep(0.005)


async def code_of(connection: ClientConnection) -> int:
    """Reads to the end; the code that the hub closed with."""
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await connection.recv()
    return 1006 if caught.value.rcvd is None else caught.value.rcvd.code


# ---- before anybody is known


async def test_the_authority_is_shown_to_anyone(harness: HubHarness) -> None:
    """With the hub's clock, so that a machine whose own is off can say so before its token is used."""
    async with serve_links(harness) as port:
        status, headers, body = await get(port, "/ca", unverified_context())
        assert (status, body) == (200, harness.keys.authority.certificate)
        assert "date" in headers
        assert (
            await fetch_pinned_authority(port.url, harness.keys.authority.pin, "agent", harness.clock.now)
            == body.decode()
        )
        with pytest.raises(UserError, match="clock"):
            await fetch_pinned_authority(port.url, harness.keys.authority.pin, "agent", harness.clock.now + 3600)


async def test_without_a_certificate_there_is_no_link(harness: HubHarness) -> None:
    """403, before any frame is read."""
    async with serve_links(harness) as port:
        for path in ("/agent", "/console", "/agent?name=web-1"):
            status, headers, body = await get(port, path, anybody(harness))
            assert status == 403
            assert b"certificate" in body
            assert "server" not in headers


async def test_another_path_is_nothing(harness: HubHarness) -> None:
    """404, with a certificate as without."""
    async with serve_links(harness) as port:
        for path in ("/", "/agents", "/Agent", "/agent/", "/../agent", "/metrics", "/%61gent"):
            for context in (anybody(harness), port.tls_context("agent", "web-1")):
                assert (await get(port, path, context))[0] == 404


async def test_another_authoritys_certificate_ends_the_handshake(harness: HubHarness) -> None:
    """Whatever name is in it: TLS itself refuses."""
    async with serve_links(harness) as port:
        foreign = port.tls_context("agent", "web-1", authority=Authority.create("hub-other", time.time()))
        with pytest.raises(WorkFailed):
            await dial(port.url, "agent", foreign)


async def test_a_certificate_of_our_authority_that_the_store_does_not_know_is_refused(harness: HubHarness) -> None:
    """As after a restore from a backup; and it is written down."""
    async with serve_links(harness) as port:
        refused = await port.expect_refusal("web-1", authority=harness.keys.authority)
        assert refused.code == "unknown"
        (row,) = harness.events("link.refused")
        assert (row.subject, row.data) == ("web-1", {"path": "agent", "code": "unknown", "count": 1})


async def test_a_certificate_is_good_on_its_own_path_only(harness: HubHarness) -> None:
    """A machine's opens no console, a person's no machine's link."""
    await harness.add_machine("alice", online=False)
    async with serve_links(harness) as port:
        await port.connect_console("alice")
        await port.connect_agent("web-1")
        for kind, name, path in (("agent", "web-1", "console"), ("operator", "alice", "agent")):
            connection = await dial(port.url, path, port.tls_context(kind, name))  # type: ignore[arg-type]
            await connection.send(encode(make_hello(path, name, None)))  # type: ignore[arg-type]
            answer = codec.decode(await connection.recv(), "hub").message
            assert isinstance(answer, Refuse)
            assert answer.code == "identity"
            assert await code_of(connection) == 1008


# ---- the first frame

BAD_FIRST: dict[str, tuple[str | bytes, int]] = {
    "text": ("hello", 1008),
    "garbage": (b"\xc1" * 40, 1007),
    "not a frame": (b"\x93\x01\x02\x03", 1007),
    "deep": (b"\x91" * 200 + b"\xc0", 1009),
    "large": (bytes(64 * 1024 + 1), 1009),
    "larger than any": (bytes(1024 * 1024 + 1), 1009),
    "a hub's message": (encode(Welcome(1, "s", False, 0, 10.0, 0.0, "1")), 1008),
}


@pytest.mark.parametrize("path", ["agent", "join"])
async def test_a_first_frame_that_is_none_ends_the_connection(harness: HubHarness, path: str) -> None:
    """With the code that says what was wrong; of all of them there is one row, and the next one is served."""
    async with serve_links(harness) as port:
        context = port.tls_context("agent", "web-1")
        for what, (data, code) in BAD_FIRST.items():
            connection = await dial(port.url, path, context)
            await connection.send(data)
            assert await code_of(connection) == code, what
        (row,) = harness.events()
        who = {"agent": ("web-1", "web-1"), "join": ("127.0.0.1", "unknown")}[path]
        assert (row.kind, row.subject, row.actor) == ("link.bad_frame", *who)
        assert port.links.count_links() == (0, 0)
        harness.clock.advance(3_600)
        await port.connect_reported_agent()


async def test_one_who_says_nothing_is_not_waited_for(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first frame has its time, on every path."""
    monkeypatch.setattr(server, "FIRST_FRAME_TIMEOUT", 0.01)
    async with serve_links(harness) as port:
        for path in ("join", "agent"):
            assert await code_of(await dial(port.url, path, port.tls_context("agent", "web-1"))) == 1008


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "db-1"}, "name"),
        ({"role": "console"}, "role"),
        ({"protocol": 0}, "protocol"),
        ({"epoch": 99}, "epoch"),
    ],
)
async def test_a_hello_that_disagrees_with_the_certificate_is_refused(
    harness: HubHarness, change: dict[str, object], code: str
) -> None:
    """Another name, the other role, an old protocol, a later hub's epoch; the audit has it under the certificate's."""
    await harness.add_machine("db-1", online=False)
    async with serve_links(harness) as port:
        connection = await dial(port.url, "agent", port.tls_context("agent", "web-1"))
        hello = make_hello("agent", "web-1", None)
        fields = {name: getattr(hello, name) for name in type(hello).__slots__} | change
        await connection.send(encode(type(hello)(**fields)))
        answer = codec.decode(await connection.recv(), "hub").message
        assert isinstance(answer, Refuse)
        assert answer.code == code
        assert await code_of(connection) == 1008
        (row,) = harness.events("link.refused")
        assert (row.subject, row.data["code"]) == ("web-1", code)
        assert not harness.fleet.online("db-1")


async def test_what_is_no_hello_is_refused(harness: HubHarness) -> None:
    """A good frame, but not the first of a link."""
    async with serve_links(harness) as port:
        connection = await dial(port.url, "agent", port.tls_context("agent", "web-1"))
        await connection.send(encode(Heartbeat()))
        answer = codec.decode(await connection.recv(), "hub").message
        assert isinstance(answer, Refuse)
        assert answer.code == "hello"


async def test_a_machines_facts_are_kept_at_a_bounded_size(harness: HubHarness) -> None:
    """So many, of so many characters; its version too."""
    async with serve_links(harness) as port:
        hello = make_hello("agent", "web-1", None, facts={f"k{n:03}" + "k" * 300: "v" * 300 for n in range(60)})
        await port.connect_agent(hello=hello)
        await port.wait_until(lambda: harness.fleet.online("web-1"))
        machine = harness.read(lambda txn: txn.agent("web-1"))
        assert machine is not None
        assert machine.facts is not None
        assert len(machine.facts) == connected.MAX_FACTS
        assert {(len(key), len(value)) for key, value in machine.facts.items()} == {(200, 200)}


async def test_a_bad_frame_on_a_link_ends_it(harness: HubHarness) -> None:
    """And takes nothing with it: the machine comes back to its session, time and again."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        gap = encode(Report(JOURNAL, "boot", {}), seq=end.session.sent + 2)
        for bad, code in (("hello", 1008), (b"\xc1", 1007), (gap, 1008), (bytes(1024 * 1024 + 1), 1009)):
            await end.connection.send(bad)
            assert await end.wait_closed() == code
            await port.wait_until(lambda: not harness.fleet.online("web-1"))
            harness.clock.advance(60)
            end = await port.connect_agent(session=end.session)
            assert end.resumed


async def test_a_machine_that_sends_broken_frames_has_to_stay_away(harness: HubHarness) -> None:
    """Trust (A6): after two that are forgiven, for longer each time, without a look at the store; the audit has a row
    and the machine's own row says why it is away; another machine is not concerned, and nobody is for ever.
    """
    await harness.add_machine("web-2")
    async with serve_links(harness) as port:
        for _ in range(3):
            end = await port.connect_agent()
            await end.connection.send(b"\xc1")
            assert await end.wait_closed() == 1007
            await port.wait_until(lambda: not harness.fleet.online("web-1"))
        refused = await port.expect_refusal("web-1")
        assert (refused.code, refused.retry_after) == ("penalty", 10.0)
        (row,) = harness.events("link.bad_frame")
        assert (row.subject, row.actor, row.data["count"]) == ("web-1", "web-1", 1)
        assert row.data["why"] == "an extension type or a byte that is never used"
        agent = harness.fleet.agent("web-1")
        assert agent is not None
        assert agent.refused_code == "penalty"
        with blocked_writer(harness):
            assert (await port.expect_refusal("web-1")).code == "penalty"
        await port.connect_reported_agent("web-2")
        harness.clock.advance(11)
        end = await port.connect_reported_agent()
        await end.connection.send(b"\xc1")
        await end.wait_closed()
        assert (await port.expect_refusal("web-1")).retry_after == 20.0
        assert len(harness.events("link.bad_frame")) == 1


async def test_what_comes_to_no_path_is_a_row_too(harness: HubHarness) -> None:
    """A certificate of another hub, and none; by address, and once."""
    async with serve_links(harness) as port:
        foreign = port.tls_context("agent", "web-1", authority=Authority.create("hub-other", time.time()))
        for _ in range(2):
            assert (await get(port, "/agent", anybody(harness)))[0] == 403
            with pytest.raises(WorkFailed):
                await dial(port.url, "agent", foreign)
        await settled(lambda: len(harness.events("link.")) == 2)
        kinds = {row.kind: (row.subject, row.data["code"]) for row in harness.events("link.")}
        assert kinds == {"link.no_tls": ("127.0.0.1", "tls"), "link.refused": ("127.0.0.1", "no_certificate")}


# ---- one link a machine, sessions


async def test_a_newer_link_closes_the_older(harness: HubHarness) -> None:
    """Which is told why; the machine stays online, and what is for it goes to the newer."""
    async with serve_links(harness) as port:
        older = await port.connect_reported_agent()
        newer = await port.connect_reported_agent()
        assert await older.wait_closed() == 1008
        assert harness.fleet.online("web-1")
        assert port.links.count_links() == (1, 0)
        await harness.queued_job()
        await newer.expect(Dispatch)


async def test_a_newer_link_takes_the_session_over(harness: HubHarness) -> None:
    """The older connection still stands, as after a cut that only one end has noticed."""
    async with serve_links(harness) as port:
        older = await port.connect_reported_agent()
        newer = await port.connect_agent(session=older.session)
        assert newer.resumed
        await older.connection.wait_closed()
        assert older.connection.close_code == 1008
        await harness.queued_job()
        await newer.expect(Dispatch)
        assert harness.fleet.online("web-1")


async def test_many_links_of_one_machine_at_once_leave_one(harness: HubHarness) -> None:
    """Whoever is the newest; the others are closed."""
    async with serve_links(harness) as port:
        port.tls_context("agent", "web-1")
        ends = await asyncio.gather(*(port.connect_agent() for _ in range(6)))

        async def answered(end: LinkPeer) -> bool:
            try:
                await end.round_trip()
            except ConnectionClosed:
                return False
            return True

        assert sum(await asyncio.gather(*map(answered, ends))) == 1
        assert port.links.count_links() == (1, 0)


async def test_a_session_that_goes_on_sends_again_what_was_missed(harness: HubHarness) -> None:
    """Both ways: an order that went out while the connection was dead, and a fact the hub never got; each once."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        job = await harness.queued_job()
        await port.wait_until(lambda: harness.job(job.id).state is JobState.LEASED)  # it is on its way
        end.abort()
        end.session.send(Accepted(job.id, job.plan_hash))  # kept there, and lost with the connection
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        again = await port.connect_agent(session=end.session)
        assert again.resumed
        await again.expect(Dispatch)
        await again.send(Started(job.id, 7, 1.0))
        await port.wait_until(lambda: harness.job(job.id).state is JobState.RUNNING)
        assert harness.kinds(job.id) == ["job.dispatched", "job.accepted", "job.started"]


async def test_a_session_is_kept_for_a_while_and_no_longer(harness: HubHarness) -> None:
    """Then the machine begins a new one, with a report."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        end.abort()
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        harness.clock.advance(server.SESSION_TTL)
        await port.links.close_lost(harness.clock.now)
        assert not (await port.connect_agent(session=end.session)).resumed


async def test_another_machines_session_is_nobodys(harness: HubHarness) -> None:
    """A session's id is worth nothing under another name."""
    await harness.add_machine("db-1", online=False)
    async with serve_links(harness) as port:
        web = await port.connect_reported_agent()
        stolen = make_hello("agent", "db-1", web.session)
        assert stolen.session == web.session.id
        db = await port.connect_agent("db-1", hello=stolen)
        assert not db.resumed
        await web.round_trip()


async def test_a_machine_that_is_lost_is_dropped(harness: HubHarness) -> None:
    """After three heartbeats without a word; one that speaks stays."""
    await harness.add_machine("db-1", online=False)
    async with serve_links(harness) as port:
        web, db = await port.connect_reported_agent(), await port.connect_reported_agent("db-1")
        interval = port.link().session.interval
        harness.clock.advance(3 * interval - 0.5)
        await port.links.close_lost(harness.clock.now)
        await db.round_trip()
        harness.clock.advance(0.5)
        await port.links.close_lost(harness.clock.now)
        assert await web.wait_closed() == 1006
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        await db.round_trip()
        assert (await port.connect_agent(session=web.session)).resumed


async def test_the_last_time_a_machine_was_here_is_written_down(harness: HubHarness) -> None:
    """When it comes and when it goes."""
    async with serve_links(harness) as port:
        end = await port.connect_agent()
        await port.wait_until(lambda: harness.fleet.online("web-1"))
        harness.clock.advance(30)
        end.abort()
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        port.stop.set()
    machine = harness.read(lambda txn: txn.agent("web-1"))
    assert machine is not None
    assert machine.last_seen == harness.clock.now


# ---- revocation, the end


async def test_the_revoked_are_closed_and_nobody_else(harness: HubHarness) -> None:
    """By the certificate's fingerprint, or by who its owner is; a console that waits for no answer is told that its
    login has ended, and why when it comes again.
    """
    for name in ("db-1", "db-2"):
        await harness.add_machine(name, online=False)
    async with serve_links(harness) as port:
        web, db1, db2 = [await port.connect_reported_agent(name) for name in ("web-1", "db-1", "db-2")]
        alice, bob = await port.connect_console("alice"), await port.connect_console("bob")
        await port.links.close_untrusted(
            {port.identities["web-1"].fingerprint}, {("agent", "db-1"), ("operator", "bob"), ("operator", "db-2")}
        )
        assert [await web.wait_closed(), await db1.wait_closed()] == [1008, 1008]
        assert (await bob.expect(Refuse)).code == LOGIN_ENDED
        assert await bob.wait_closed() == 1008
        await db2.round_trip()
        await alice.round_trip()


async def test_a_revocation_by_another_process_ends_the_live_link_within_a_look(harness: HubHarness) -> None:
    """The command line writes to the store and tells nobody; what it has queued is handed out within a look too."""
    await harness.add_machine("db-1", online=False)
    async with serve_links(harness) as port:
        web, db = await port.connect_reported_agent(), await port.connect_reported_agent("db-1")
        timers = MaintenanceTasks(
            store=harness.store,
            engine=harness.engine,
            fleet=harness.fleet,
            people=harness.people,
            links=port.links,
            composer=harness.composer,
            checkpoint=nothing_more,
            cleanup=Cleanup(harness.store, harness.config.store, harness.clock),
            reload_files=lambda: None,
            tell_of_files=nothing_more,
            renew_certificate=lambda: None,
            flush=nothing,
            clock=harness.clock,
        )
        await timers.refresh()
        for end in (web, db):
            await end.round_trip()
        harness.mute_effects()
        harness.engine.places.hold = lambda agent: None
        job = await harness.queued_job("@db-1 uptime")
        harness.write(lambda txn: certificates.revoke(txn, "agent", "web-1", "alice", harness.clock.now))
        await timers.refresh()
        assert await web.wait_closed() == 1008
        assert (await port.expect_refusal("web-1")).code == "revoked"
        assert Order.from_bytes((await db.expect(Dispatch)).order).job == job.id


async def nothing_more() -> None:
    """No file to tell of."""


async def nothing(now: float) -> None:
    """What has nothing to flush."""


@pytest.mark.parametrize("by", ["revocation", "lock"])
async def test_a_machine_revoked_between_hello_and_greeting_gets_no_link(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """The store had said yes a moment before, and there was no link to close yet."""
    async with serve_links(harness) as port:
        port.tls_context("agent", "web-1")
        let_in = harness.engine.let_in

        async def overtaken(*args: Any) -> Any:
            found = await let_in(*args)
            if by == "lock":
                port.links.on_commit(Effects(locked={"web-1"}))
            else:
                ended = harness.write(
                    lambda txn: certificates.revoke(txn, "agent", "web-1", "alice", harness.clock.now)
                )
                await port.links.close_untrusted(set(ended), ())
            return found

        monkeypatch.setattr(harness.engine, "let_in", overtaken)
        assert (await port.expect_refusal("web-1")).code == "revoked"
        assert port.links.count_links() == (0, 0)
        assert not harness.fleet.online("web-1")


async def test_a_hub_that_ends_says_over_what_time_to_come_back(harness: HubHarness) -> None:
    """A goodbye with the spread, and 1001: to machines and consoles."""
    async with serve_links(harness) as port:
        ends = [await port.connect_reported_agent(), await port.connect_console()]
        port.stop.set()
        for end in ends:
            bye = await end.expect(Bye)
            assert bye.spread >= 0.2
            assert await end.wait_closed() == 1001


async def test_a_machine_is_told_beforehand_over_what_time_to_come_back(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the size of the whole fleet, not by who is linked already; and one that does not know it is told nothing."""
    monkeypatch.setattr(handshake, "RETURNS_PER_SECOND", 0.1)
    await harness.add_machine("web-2")
    async with serve_links(harness) as port:
        context = port.tls_context("agent", "web-1")
        for protocol, spread in ((PROTOCOL, 20.0), (PACE_PROTOCOL - 1, 0.0)):
            connection = await dial(port.url, "agent", context)
            await connection.send(encode(replace(make_hello("agent", "web-1", None), protocol=protocol)))
            welcome = codec.decode(await connection.recv(), "hub").message
            assert isinstance(welcome, Welcome)
            assert welcome.spread == spread


async def test_heartbeats_go_by_how_many_links_there_are(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another interval is told with the next beat; until the machine is heard again the longer of the two counts."""
    async with serve_links(harness, heartbeat=1.0) as port:
        end = await port.connect_reported_agent()
        monkeypatch.setattr(handshake, "HEARTBEATS_PER_SECOND", 1 / 40)
        await end.send(Heartbeat())
        assert (await end.expect(Beat)).interval == 40.0
        assert port.link().session.interval == 40.0
        await end.send(Heartbeat())
        assert (await end.expect(Beat)).interval == 0.0
        monkeypatch.setattr(handshake, "HEARTBEATS_PER_SECOND", 200)
        await end.send(Heartbeat())
        assert (await end.expect(Beat)).interval == 10.0
        assert port.link().session.interval == 40.0
        await end.send(Heartbeat())
        await end.expect(Beat)
        assert port.link().session.interval == 10.0


async def test_a_hub_that_lets_many_in_tells_the_next_to_come_again(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look at the store, which is what they wait for; a person is let in."""
    monkeypatch.setattr(admission, "MAX_BUSY", 1)
    async with serve_links(harness) as port:
        await port.connect_console("alice")
        port.tls_context("agent", "web-1")  # its certificate is a row
        port.links._admission.greeting = 1
        with blocked_writer(harness):
            refused = await port.expect_refusal("web-1")
            assert refused.code == "busy"
            assert 5.0 <= refused.retry_after <= 10.0
        await port.connect_console("alice")
        port.links._admission.greeting = 0
        await port.connect_reported_agent()
        assert port.links._admission.greeting == 0
        assert harness.events("link.refused") == []


async def test_a_store_that_takes_no_more_is_no_fault(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is told to come again, or comes by itself; the log has no traceback of it."""
    async with serve_links(harness) as port:

        async def full(*args: object) -> None:
            raise StoreBusy("store: 1000 reads wait", "try again in a moment")

        with monkeypatch.context() as patched:
            patched.setattr(harness.engine, "let_in", full)
            assert (await port.expect_refusal("web-1")).code == "busy"
        assert port.links._admission.greeting == 0
        await port.connect_reported_agent()


async def test_while_many_are_let_in_the_others_stand_in_line(harness: HubHarness) -> None:
    """Before TLS, where they cost next to nothing."""
    async with serve_links(harness) as port:
        context = port.tls_context("agent", "web-1")
        port.links._admission.greeting = admission.MAX_GREETING
        async with asyncio.TaskGroup() as tasks:
            dialling = tasks.create_task(dial(port.url, "agent", context))
            listener = port.links._listener
            assert listener is not None
            await settled(lambda: listener.port.queue.waiting == 1)
            port.links._admission.greeting = 0
            async with asyncio.timeout(TIMEOUT):
                (await dialling).transport.abort()


async def test_one_who_does_not_listen_holds_up_no_goodbye(harness: HubHarness) -> None:
    """The hub ends at once, and the others hear theirs."""
    await harness.add_machine("db-1", online=False)
    async with asyncio.TaskGroup() as tasks, serve_links(harness) as port:
        await port.connect_reported_agent()
        wire = port.link()._send_queue
        assert wire is not None
        wire.enqueue(*[bytes(500_000)] * 64)  # more than every buffer on the way holds
        sending = tasks.create_task(wire.flush())
        await settled(wire._sending.locked)
        db = await port.connect_reported_agent("db-1")
        port.stop.set()
        await db.expect(Bye)
        assert await db.wait_closed() == 1001
        await sending  # which its dropped connection has ended


async def test_a_port_that_is_taken_is_said_in_words(harness: HubHarness) -> None:
    """With the cure."""
    async with serve_links(harness) as port:
        other = LinkHarness(harness)
        taken = harness.config.links.listen._replace(port=port.links.ports[0])
        object.__setattr__(harness.config.links, "listen", taken)
        with pytest.raises(UserError, match="cannot listen"):
            await other.links.serve(asyncio.Event(), asyncio.Event())


async def test_who_is_linked_is_counted(harness: HubHarness) -> None:
    """For the metrics; and the port says whether it is open."""
    async with serve_links(harness) as port:
        assert port.links.listening
        assert port.links.count_links() == (0, 0)
        await port.connect_reported_agent()
        await port.connect_console("alice")
        second = await port.connect_console("alice")
        assert port.links.count_links() == (1, 2)
        await second.send(Call(1, "nothing", {}))
        assert (await second.expect(Answer)).code == "usage"
    assert not port.links.listening


async def test_a_cancel_reaches_the_machine_that_has_the_job(harness: HubHarness) -> None:
    """And no other."""
    await harness.add_machine("db-1", online=False)
    async with serve_links(harness) as port:
        web, db = await port.connect_reported_agent(), await port.connect_reported_agent("db-1")
        request = await harness.submit("@web-1 uptime")
        await web.expect(Dispatch)
        await harness.reply_text(f"cancel {request.number}")
        assert isinstance(await web.expect(Cancel), Cancel)
        await db.round_trip()


# ---- positions and restored backups


def marked(harness: HubHarness, heard: str = "-", name: str = "web-1") -> Hello:
    return make_hello("agent", name, None, heard=heard)


async def test_a_machine_that_keeps_positions_is_told_them(harness: HubHarness) -> None:
    """With the welcome, with a beat where it has moved, and before an order; an older version is told none."""
    async with serve_links(harness) as port:
        end = await port.connect_agent("web-1", hello=marked(harness))
        await end.send(Report(JOURNAL, "boot", {}))
        await end.expect(Resync)
        await end.send(Heartbeat())
        beat = await end.expect(Beat)
        assert harness.engine.marks.open(beat.mark) is not None
        await end.send(Heartbeat())
        assert (await end.expect(Beat)).mark == ""
        job = await harness.queued_job()
        before = await end.expect(Beat)
        told = harness.engine.marks.open(before.mark)
        assert told is not None
        assert told.number == job.number
        assert Order.from_bytes((await end.expect(Dispatch)).order).job == job.id
        old = await port.connect_agent("web-1")
        await old.send(Heartbeat())
        assert (await old.expect(Beat)).mark == ""


async def test_a_machine_that_has_heard_a_lost_hub_begins_a_recovery(harness: HubHarness) -> None:
    """Before it is welcomed: the welcome goes beyond what it heard, and those that are here go on at the new epoch."""
    await harness.add_machine("db-1")
    lost = harness.engine.marks.seal(Mark(9, "e" * 16, 700, 45))
    async with serve_links(harness) as port:
        harness.engine.on_epoch = port.links.raise_epoch
        here = await port.connect_reported_agent("db-1")
        await port.connect_agent("web-1", hello=marked(harness, lost))
        assert harness.recovery.active
        assert harness.engine.epoch > 9
        assert port.link("db-1").session.epoch == port.link("web-1").session.epoch == harness.engine.epoch
        await here.round_trip()
        assert port.link("web-1").estranged
        assert not port.link("db-1").estranged


async def test_certificates_of_after_the_backup(harness: HubHarness) -> None:
    """A machine's is taken over in recovery, also of one that joined since; a person's waits until it is over; what is
    revoked stays out.
    """
    await harness.add_machine("web-3", state="revoked")
    async with serve_links(harness) as port:
        for name in ("web-1", "db-9", "web-3"):
            port.tls_context("agent", name)
        port.tls_context("operator", "alice")
        forget_certificates(harness)
        assert (await port.expect_refusal("web-1")).code == "unknown"
        await harness.engine.hear(marked(harness, harness.engine.marks.seal(Mark(9, "e" * 16, 7, 45))), "web-1")
        await port.connect_reported_agent("web-1")
        await port.connect_reported_agent("db-9")
        assert (await port.expect_refusal("web-3")).code == "revoked"
        assert harness.read(lambda txn: txn.agent("db-9")) is not None
        with pytest.raises(HubRefused) as caught:
            await port.connect_console("alice")
        assert caught.value.refusal.code == "recovery"
        assert "answerback-hub recover" in caught.value.refusal.reason
        recover.finish(harness.config, (), harness.clock.now)
        await harness.engine.recovery.refresh()
        await port.connect_console("alice")
        subjects = [event.subject for event in harness.events("recovery.certificate")]
        assert subjects == ["web-1", "db-9", "alice"]


def forget_certificates(harness: HubHarness) -> None:
    """As if the backup were older than all of them."""
    with contextlib.closing(sqlite3.connect(harness.database)) as db, db:
        db.execute("DELETE FROM credentials")


async def test_two_machines_with_one_identity_are_locked(harness: HubHarness) -> None:
    """A copied state folder: they take the link from each other; both are refused with the cure, once and for all, and
    nothing is handed to either. A restart, which brings a new process, locks nobody.
    """
    greetings = {one: make_hello("agent", "web-1", None, facts={"os": "x", "process": one}) for one in "abc"}
    async with serve_links(harness) as port:
        for process in "abca":
            await port.connect_agent(hello=greetings[process])
        refused = await port.expect_refusal(hello=greetings["b"])
        assert refused.code == "locked"
        assert "two machines come as web-1" in refused.reason
        assert "answerback-hub token --agent web-1" in refused.reason
        for process in "abd":
            hello = make_hello("agent", "web-1", None, facts={"process": process})
            assert (await port.expect_refusal(hello=hello)).code == "locked"
        await port.wait_until(lambda: port.links.count_links() == (0, 0))
        (row,) = harness.events("agent.locked")
        assert "copy" in row.data["reason"]
        agent = harness.fleet.agent("web-1")
        assert agent is not None
        assert (agent.state, agent.facts) == ("locked", {"os": "x"})
