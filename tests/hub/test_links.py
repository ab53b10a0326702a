"""The port that machines and consoles dial, as they meet it: real certificates, real TLS, real frames."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from common import codec
from common.certificate import Client, new_request
from common.codec import encode
from common.dial import dial
from common.errors import UserError, WorkFailed
from common.handshake import make_hello
from common.identity import Authority, identity_in
from common.joining import believe, exchange
from common.lifecycle import JobState
from common.messages import (
    Accepted,
    Answer,
    Bye,
    Call,
    Cancel,
    Dispatch,
    Heartbeat,
    Join,
    Joined,
    Refuse,
    Report,
    Started,
    Welcome,
)
from common.plan import Order
from common.tls import client_context, unverified_context
from hub import ca, links
from hub.limits import Refusals
from hub.timers import Timers
from tests.hub.house import JOURNAL, Clock, House
from tests.hub.linked import TIMEOUT, End, Port, serving


@pytest.fixture
def still() -> Clock:
    """TLS looks at the real clock: this one starts there."""
    return Clock(time.time())


def invited(inside: House, kind: Client, name: str, ttl: float = 600.0) -> str:
    return inside.write(lambda txn: ca.make_token(txn, kind, name, {}, ttl, "alice", inside.clock.now))


def anybody(inside: House) -> ssl.SSLContext:
    """Trusts the hub and shows no certificate."""
    return client_context(inside.keys.authority.certificate)


async def get(port: Port, path: str, context: ssl.SSLContext) -> tuple[int, dict[str, str], bytes]:
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


async def code_of(connection: ClientConnection) -> int:
    """Reads to the end; the code that the hub closed with."""
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await connection.recv()
    return 1006 if caught.value.rcvd is None else caught.value.rcvd.code


# ---- before anybody is known


async def test_the_authority_is_shown_to_anyone(inside: House) -> None:
    """With the hub's clock, so that a machine whose own is off can say so before its token is used."""
    async with serving(inside) as port:
        status, headers, body = await get(port, "/ca", unverified_context())
        assert (status, body) == (200, inside.keys.authority.certificate)
        assert "date" in headers
        assert await believe(port.url, inside.keys.authority.pin, "agent", inside.clock.now) == body.decode()
        with pytest.raises(UserError, match="clock"):
            await believe(port.url, inside.keys.authority.pin, "agent", inside.clock.now + 3600)


async def test_without_a_certificate_there_is_no_link(inside: House) -> None:
    """403, before any frame is read."""
    async with serving(inside) as port:
        for path in ("/agent", "/console", "/agent?name=web-1"):
            status, headers, body = await get(port, path, anybody(inside))
            assert status == 403
            assert b"certificate" in body
            assert "server" not in headers


async def test_another_path_is_nothing(inside: House) -> None:
    """404, with a certificate as without."""
    async with serving(inside) as port:
        for path in ("/", "/agents", "/Agent", "/agent/", "/../agent", "/metrics", "/%61gent"):
            for context in (anybody(inside), port.context("agent", "web-1")):
                assert (await get(port, path, context))[0] == 404


async def test_another_authoritys_certificate_ends_the_handshake(inside: House) -> None:
    """Whatever name is in it: TLS itself refuses."""
    async with serving(inside) as port:
        foreign = port.context("agent", "web-1", authority=Authority.create("hub-other", time.time()))
        with pytest.raises(WorkFailed):
            await dial(port.url, "agent", foreign)


async def test_a_certificate_of_our_authority_that_the_store_does_not_know_is_refused(inside: House) -> None:
    """As after a restore from a backup; and it is written down."""
    async with serving(inside) as port:
        refused = await port.refused("web-1", authority=inside.keys.authority)
        assert refused.code == "unknown"
        (row,) = inside.events("link.refused")
        assert (row.subject, row.data) == ("web-1", {"path": "agent", "code": "unknown", "count": 1})


async def test_a_certificate_is_good_on_its_own_path_only(inside: House) -> None:
    """A machine's opens no console, a person's no machine's link."""
    await inside.machine("alice", online=False)
    async with serving(inside) as port:
        await port.console("alice")
        await port.agent("web-1")
        for kind, name, path in (("agent", "web-1", "console"), ("operator", "alice", "agent")):
            connection = await dial(port.url, path, port.context(kind, name))  # type: ignore[arg-type]
            await connection.send(encode(make_hello(path, name, None)))  # type: ignore[arg-type]
            answer = codec.decode(await connection.recv(), "hub").message
            assert isinstance(answer, Refuse)
            assert answer.code == "identity"
            assert await code_of(connection) == 1008


# ---- joining


async def join(inside: House, port: Port, token: str, kind: Client = "agent", name: str = "web-9") -> Joined:
    """As the agent's and the console's command lines do it."""
    made = new_request(kind, name)
    authority = inside.keys.authority.certificate.decode()
    return (await exchange(port.url, authority, token, made, kind, inside.clock.now)).joined


async def test_a_token_becomes_a_certificate(inside: House) -> None:
    """Of the name the token was made for, with the hub's keys; the machine is one that may be meant at once."""
    async with serving(inside) as port:
        joined = await join(inside, port, invited(inside, "agent", "web-9"))
        assert (joined.name, joined.hub, joined.job_keys) == ("web-9", inside.keys.hub_id, inside.keys.job_keys)
        assert identity_in(joined.certificate, inside.clock.now, "agent").name == "web-9"
        assert "web-9" in inside.fleet.inventory.machines
        assert [row.subject for row in inside.events("agent.joined")] == ["web-9"]


async def test_a_person_logs_in_the_same_way(inside: House) -> None:
    """And is known at once."""
    async with serving(inside) as port:
        await port.console("ann")
        joined = await join(inside, port, invited(inside, "operator", "ann"), "operator", "ann")
        assert identity_in(joined.certificate, inside.clock.now, "operator").name == "ann"
        assert inside.people.row("ann") is not None


@pytest.mark.parametrize("case", ["used", "expired", "unknown", "name"])
async def test_a_token_that_is_not_good_is_refused_and_written_down(inside: House, case: str) -> None:
    """Used, expired, made up, or another name's: the reason is told, no machine comes of it, and it is in the audit."""
    async with serving(inside) as port:
        token = invited(inside, "agent", "web-9")
        if case == "used":
            await join(inside, port, token)
            await inside.change_machine("web-9", state="revoked")
        elif case == "expired":
            inside.clock.pass_(601)
        elif case == "unknown":
            token = "web-9.abt_" + "x" * 32
        before = inside.read(lambda txn: txn.agents())
        connection = await dial(port.url, "join", anybody(inside))
        name = "web-8" if case == "name" else "web-9"
        await connection.send(encode(Join(token, name, new_request("agent", name).request, "1")))
        answer = codec.decode(await connection.recv(), "hub").message
        assert isinstance(answer, Refuse)
        assert answer.code == f"token_{case}"
        assert await code_of(connection) == 1000
        assert inside.read(lambda txn: txn.agents()) == before
        (row,) = inside.events("join.refused")
        assert (row.subject, row.actor, row.data["code"]) == (name, "unknown", f"token_{case}")
        assert token not in str(inside.events())


async def test_two_who_use_one_token_at_once_are_one_machine(inside: House) -> None:
    """Check and use are in one transaction."""
    async with serving(inside) as port:
        token = invited(inside, "agent", "web-9")
        answers = await asyncio.gather(*(join(inside, port, token) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(answer, Joined) for answer in answers) == 1
        assert sum(isinstance(answer, WorkFailed) for answer in answers) == 3


async def test_a_flood_of_bad_tokens_does_not_fill_the_audit(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows a minute, and then one with how many there were; at the end of the hub too."""
    monkeypatch.setattr(links, "Refusals", lambda: Refusals(rows=2))
    async with serving(inside) as port:

        async def attempts(count: int) -> None:
            for _ in range(count):
                with pytest.raises(WorkFailed):
                    await join(inside, port, "web-9.abt_guess")

        await attempts(5)
        assert len(inside.events("join.refused")) == 2
        inside.clock.pass_(61)
        await port.links.close_lost(inside.clock.now)
        assert [row.data["count"] for row in inside.events("join.refused")] == [1, 1, 3]
        await attempts(4)
    assert [row.data["count"] for row in inside.events("join.refused")] == [1, 1, 3, 1, 1, 2]


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
async def test_a_first_frame_that_is_none_ends_the_connection(inside: House, path: str) -> None:
    """With the code that says what was wrong; nothing is written to the store, and the next one is served."""
    async with serving(inside) as port:
        context = port.context("agent", "web-1")
        events = len(inside.events())
        for what, (data, code) in BAD_FIRST.items():
            connection = await dial(port.url, path, context)
            await connection.send(data)
            assert await code_of(connection) == code, what
        assert len(inside.events()) == events
        assert port.links.count() == (0, 0)
        await port.reported()


async def test_one_who_says_nothing_is_not_waited_for(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first frame has its time, on every path."""
    monkeypatch.setattr(links, "FIRST_FRAME", 0.01)
    async with serving(inside) as port:
        for path in ("join", "agent"):
            assert await code_of(await dial(port.url, path, port.context("agent", "web-1"))) == 1008


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
    inside: House, change: dict[str, object], code: str
) -> None:
    """Another name, the other role, an old protocol, a later hub's epoch; the audit has it under the certificate's."""
    await inside.machine("db-1", online=False)
    async with serving(inside) as port:
        connection = await dial(port.url, "agent", port.context("agent", "web-1"))
        hello = make_hello("agent", "web-1", None)
        fields = {name: getattr(hello, name) for name in type(hello).__slots__} | change
        await connection.send(encode(type(hello)(**fields)))
        answer = codec.decode(await connection.recv(), "hub").message
        assert isinstance(answer, Refuse)
        assert answer.code == code
        assert await code_of(connection) == 1008
        (row,) = inside.events("link.refused")
        assert (row.subject, row.data["code"]) == ("web-1", code)
        assert not inside.fleet.online("db-1")


async def test_what_is_no_hello_is_refused(inside: House) -> None:
    """A good frame, but not the first of a link."""
    async with serving(inside) as port:
        connection = await dial(port.url, "agent", port.context("agent", "web-1"))
        await connection.send(encode(Heartbeat()))
        answer = codec.decode(await connection.recv(), "hub").message
        assert isinstance(answer, Refuse)
        assert answer.code == "hello"


async def test_a_machines_facts_are_kept_at_a_bounded_size(inside: House) -> None:
    """So many, of so many characters; its version too."""
    async with serving(inside) as port:
        hello = make_hello("agent", "web-1", None, facts={f"k{n:03}" + "k" * 300: "v" * 300 for n in range(60)})
        await port.agent(hello=hello)
        await port.until(lambda: inside.fleet.online("web-1"))
        machine = inside.read(lambda txn: txn.agent("web-1"))
        assert machine is not None
        assert machine.facts is not None
        assert len(machine.facts) == links.MAX_FACTS
        assert {(len(key), len(value)) for key, value in machine.facts.items()} == {(200, 200)}


async def test_a_bad_frame_on_a_link_ends_it(inside: House) -> None:
    """And takes nothing with it: the machine comes back to its session, time and again."""
    async with serving(inside) as port:
        end = await port.reported()
        gap = encode(Report(JOURNAL, "boot", {}), seq=end.session.sent + 2)
        for bad, code in (("hello", 1008), (b"\xc1", 1007), (gap, 1008), (bytes(1024 * 1024 + 1), 1009)):
            await end.connection.send(bad)
            assert await end.closed() == code
            await port.until(lambda: not inside.fleet.online("web-1"))
            end = await port.agent(kept=end.session)
            assert end.resumed


# ---- one link a machine, sessions


async def test_a_newer_link_closes_the_older(inside: House) -> None:
    """Which is told why; the machine stays online, and what is for it goes to the newer."""
    async with serving(inside) as port:
        older = await port.reported()
        newer = await port.reported()
        assert await older.closed() == 1008
        assert inside.fleet.online("web-1")
        assert port.links.count() == (1, 0)
        await inside.working()
        await newer.expect(Dispatch)


async def test_a_newer_link_takes_the_session_over(inside: House) -> None:
    """The older connection still stands, as after a cut that only one end has noticed."""
    async with serving(inside) as port:
        older = await port.reported()
        newer = await port.agent(kept=older.session)
        assert newer.resumed
        await older.connection.wait_closed()
        assert older.connection.close_code == 1008
        await inside.working()
        await newer.expect(Dispatch)
        assert inside.fleet.online("web-1")


async def test_many_links_of_one_machine_at_once_leave_one(inside: House) -> None:
    """Whoever is the newest; the others are closed."""
    async with serving(inside) as port:
        port.context("agent", "web-1")
        ends = await asyncio.gather(*(port.agent() for _ in range(6)))

        async def answered(end: End) -> bool:
            try:
                await end.turn()
            except ConnectionClosed:
                return False
            return True

        assert sum(await asyncio.gather(*map(answered, ends))) == 1
        assert port.links.count() == (1, 0)


async def test_a_session_that_goes_on_sends_again_what_was_missed(inside: House) -> None:
    """Both ways: an order that went out while the connection was dead, and a fact the hub never got; each once."""
    async with serving(inside) as port:
        end = await port.reported()
        job = await inside.working()
        await port.until(lambda: inside.job(job.id).state is JobState.LEASED)  # it is on its way
        end.cut()
        end.session.send(Accepted(job.id, job.plan_hash))  # kept there, and lost with the connection
        await port.until(lambda: not inside.fleet.online("web-1"))
        again = await port.agent(kept=end.session)
        assert again.resumed
        await again.expect(Dispatch)
        await again.send(Started(job.id, 7, 1.0))
        await port.until(lambda: inside.job(job.id).state is JobState.RUNNING)
        assert inside.kinds(job.id) == ["job.dispatched", "job.accepted", "job.started"]


async def test_a_session_is_kept_for_a_while_and_no_longer(inside: House) -> None:
    """Then the machine begins a new one, with a report."""
    async with serving(inside) as port:
        end = await port.reported()
        end.cut()
        await port.until(lambda: not inside.fleet.online("web-1"))
        inside.clock.pass_(links.SESSION_KEPT)
        await port.links.close_lost(inside.clock.now)
        assert not (await port.agent(kept=end.session)).resumed


async def test_another_machines_session_is_nobodys(inside: House) -> None:
    """A session's id is worth nothing under another name."""
    await inside.machine("db-1", online=False)
    async with serving(inside) as port:
        web = await port.reported()
        stolen = make_hello("agent", "db-1", web.session)
        assert stolen.session == web.session.id
        db = await port.agent("db-1", hello=stolen)
        assert not db.resumed
        await web.turn()


async def test_a_machine_that_is_lost_is_dropped(inside: House) -> None:
    """After three heartbeats without a word; one that speaks stays."""
    await inside.machine("db-1", online=False)
    async with serving(inside) as port:
        web, db = await port.reported(), await port.reported("db-1")
        interval = port.link().session.interval
        inside.clock.pass_(3 * interval - 0.5)
        await port.links.close_lost(inside.clock.now)
        await db.turn()
        inside.clock.pass_(0.5)
        await port.links.close_lost(inside.clock.now)
        assert await web.closed() == 1006
        await port.until(lambda: not inside.fleet.online("web-1"))
        await db.turn()
        assert (await port.agent(kept=web.session)).resumed


async def test_the_last_time_a_machine_was_here_is_written_down(inside: House) -> None:
    """When it comes and when it goes."""
    async with serving(inside) as port:
        end = await port.agent()
        await port.until(lambda: inside.fleet.online("web-1"))
        inside.clock.pass_(30)
        end.cut()
        await port.until(lambda: not inside.fleet.online("web-1"))
        port.stop.set()
    machine = inside.read(lambda txn: txn.agent("web-1"))
    assert machine is not None
    assert machine.last_seen == inside.clock.now


# ---- revocation, the end


async def test_the_revoked_are_closed_and_nobody_else(inside: House) -> None:
    """By the certificate's fingerprint, or by who its owner is; a console is told in words."""
    for name in ("db-1", "db-2"):
        await inside.machine(name, online=False)
    async with serving(inside) as port:
        web, db1, db2 = [await port.reported(name) for name in ("web-1", "db-1", "db-2")]
        alice, bob = await port.console("alice"), await port.console("bob")
        await port.links.close_untrusted(
            {port.identities["web-1"].fingerprint}, {("agent", "db-1"), ("operator", "bob"), ("operator", "db-2")}
        )
        assert [await web.closed(), await db1.closed()] == [1008, 1008]
        assert (await bob.expect(Refuse)).code == "revoked"
        assert await bob.closed() == 1008
        await db2.turn()
        await alice.turn()


async def test_a_revocation_by_another_process_ends_the_live_link_within_a_look(inside: House) -> None:
    """The command line writes to the store and tells nobody; what it has queued is handed out within a look too."""
    await inside.machine("db-1", online=False)
    async with serving(inside) as port:
        web, db = await port.reported(), await port.reported("db-1")
        timers = Timers(
            store=inside.store,
            engine=inside.engine,
            fleet=inside.fleet,
            people=inside.people,
            links=port.links,
            speech=inside.speech,
            key=inside.keys.job_key,
            hub_id=inside.keys.hub_id,
            retention=3600.0,
            reload_files=lambda: None,
            renew_certificate=lambda: None,
            flush=nothing,
            clock=inside.clock,
        )
        await timers.look()
        for end in (web, db):
            await end.turn()
        inside.engine.after = lambda effects: None
        job = await inside.working("@db-1 uptime")
        inside.write(lambda txn: ca.revoke(txn, "agent", "web-1", "alice", inside.clock.now))
        await timers.look()
        assert await web.closed() == 1008
        assert (await port.refused("web-1")).code == "revoked"
        assert Order.from_bytes((await db.expect(Dispatch)).order).job == job.id


async def nothing(now: float) -> None:
    """What has nothing to flush."""


async def test_a_machine_revoked_between_hello_and_greeting_gets_no_link(
    inside: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hello was answered; what is written at the greeting looks again."""
    async with serving(inside) as port:
        port.context("agent", "web-1")
        greet = port.links._greet

        async def late(identity: object, hello: object) -> None:
            inside.write(lambda txn: ca.revoke(txn, "agent", "web-1", "alice", inside.clock.now))
            await greet(identity, hello)  # type: ignore[arg-type]

        monkeypatch.setattr(port.links, "_greet", late)
        end = await port.agent()
        assert await end.closed() == 1008
        await port.until(lambda: port.links.count() == (0, 0))
        assert not inside.fleet.online("web-1")


async def test_a_hub_that_ends_says_over_what_time_to_come_back(inside: House) -> None:
    """A goodbye with the spread, and 1001: to machines and consoles."""
    async with serving(inside) as port:
        ends = [await port.reported(), await port.console()]
        port.stop.set()
        for end in ends:
            bye = await end.expect(Bye)
            assert bye.spread >= 0.2
            assert await end.closed() == 1001


async def test_a_goodbye_to_one_who_does_not_listen_is_cut_short(
    inside: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub ends all the same, and the others hear theirs."""
    monkeypatch.setattr(links, "GOODBYE_WITHIN", 0.2)
    await inside.machine("db-1", online=False)
    async with serving(inside) as port:
        await port.reported()
        wire = port.link()._wire
        assert wire is not None
        wire.put(*[bytes(500_000)] * 64)  # more than every buffer on the way holds
        db = await port.reported("db-1")
        port.stop.set()
        await db.expect(Bye)
        assert await db.closed() == 1001


async def test_a_port_that_is_taken_is_said_in_words(inside: House) -> None:
    """With the cure."""
    async with serving(inside) as port:
        other = Port(inside)
        taken = inside.config.links.listen._replace(port=port.links.ports[0])
        object.__setattr__(inside.config.links, "listen", taken)
        with pytest.raises(UserError, match="cannot listen"):
            await other.links.serve(asyncio.Event(), asyncio.Event())


async def test_who_is_linked_is_counted(inside: House) -> None:
    """For the metrics; and the port says whether it is open."""
    async with serving(inside) as port:
        assert port.links.listening
        assert port.links.count() == (0, 0)
        await port.reported()
        await port.console("alice")
        second = await port.console("alice")
        assert port.links.count() == (1, 2)
        await second.send(Call(1, "nothing", {}))
        assert (await second.expect(Answer)).code == "usage"
    assert not port.links.listening


async def test_a_cancel_reaches_the_machine_that_has_the_job(inside: House) -> None:
    """And no other."""
    await inside.machine("db-1", online=False)
    async with serving(inside) as port:
        web, db = await port.reported(), await port.reported("db-1")
        request = await inside.ask("@web-1 uptime")
        await web.expect(Dispatch)
        await inside.said(f"cancel {request.number}")
        assert isinstance(await web.expect(Cancel), Cancel)
        await db.turn()
