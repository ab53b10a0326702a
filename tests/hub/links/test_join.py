"""The entrance for who has no certificate yet: a token becomes one; what is not good is refused and written down."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from common.errors import WorkFailed
from common.identity.certificates import identity_from_pem
from common.identity.csr import CredentialKind, create_key_request
from common.identity.tls import client_context
from common.link import codec
from common.link.codec import encode
from common.link.dial import dial
from common.link.enrolment import redeem_token
from common.link.messages import Join, Joined, Refuse
from hub.core.rate_limits import RefusalLimiter
from hub.identity import certificates
from hub.links import refusals
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import TIMEOUT, LinkHarness, serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


def invited(harness: HubHarness, kind: CredentialKind, name: str, ttl: float = 600.0) -> str:
    return harness.write(lambda txn: certificates.create_token(txn, kind, name, {}, ttl, "alice", harness.clock.now))


def anybody(harness: HubHarness) -> ssl.SSLContext:
    """Trusts the hub and shows no certificate."""
    return client_context(harness.keys.authority.certificate)


async def code_of(connection: ClientConnection) -> int:
    """Reads to the end; the code that the hub closed with."""
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await connection.recv()
    return 1006 if caught.value.rcvd is None else caught.value.rcvd.code


async def join(
    harness: HubHarness, port: LinkHarness, token: str, kind: CredentialKind = "agent", name: str = "web-9"
) -> Joined:
    """As the agent's and the console's command lines do it."""
    made = create_key_request(kind, name)
    authority = harness.keys.authority.certificate.decode()
    return (await redeem_token(port.url, authority, token, made, kind, harness.clock.now)).joined


async def test_a_token_becomes_a_certificate(harness: HubHarness) -> None:
    """Of the name the token was made for, with the hub's keys; the machine is one that may be meant at once."""
    async with serve_links(harness) as port:
        joined = await join(harness, port, invited(harness, "agent", "web-9"))
        assert (joined.name, joined.hub, joined.job_keys) == ("web-9", harness.keys.hub_id, harness.keys.job_keys)
        assert identity_from_pem(joined.certificate, harness.clock.now, "agent").name == "web-9"
        assert "web-9" in harness.fleet.inventory.machines
        assert [row.subject for row in harness.events("agent.joined")] == ["web-9"]


async def test_a_person_logs_in_the_same_way(harness: HubHarness) -> None:
    """And is known at once."""
    async with serve_links(harness) as port:
        await port.connect_console("ann")
        joined = await join(harness, port, invited(harness, "operator", "ann"), "operator", "ann")
        assert identity_from_pem(joined.certificate, harness.clock.now, "operator").name == "ann"
        assert harness.people.row("ann") is not None


@pytest.mark.parametrize("case", ["used", "expired", "unknown", "name"])
async def test_a_token_that_is_not_good_is_refused_and_written_down(harness: HubHarness, case: str) -> None:
    """Used, expired, made up, or another name's: the reason is told, no machine comes of it, and it is in the audit."""
    async with serve_links(harness) as port:
        token = invited(harness, "agent", "web-9")
        if case == "used":
            await join(harness, port, token)
            await harness.change_machine("web-9", state="revoked")
        elif case == "expired":
            harness.clock.advance(601)
        elif case == "unknown":
            token = "web-9.abt_" + "x" * 32
        before = harness.read(lambda txn: txn.agents())
        connection = await dial(port.url, "join", anybody(harness))
        name = "web-8" if case == "name" else "web-9"
        await connection.send(encode(Join(token, name, create_key_request("agent", name).request, "1")))
        answer = codec.decode(await connection.recv(), "hub").message
        assert isinstance(answer, Refuse)
        assert answer.code == f"token_{case}"
        assert await code_of(connection) == 1000
        assert harness.read(lambda txn: txn.agents()) == before
        (row,) = harness.events("join.refused")
        assert (row.subject, row.actor, row.data["code"]) == (name, "unknown", f"token_{case}")
        assert token not in str(harness.events())


async def test_two_who_use_one_token_at_once_are_one_machine(harness: HubHarness) -> None:
    """Check and use are in one transaction."""
    async with serve_links(harness) as port:
        token = invited(harness, "agent", "web-9")
        answers = await asyncio.gather(*(join(harness, port, token) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(answer, Joined) for answer in answers) == 1
        assert sum(isinstance(answer, WorkFailed) for answer in answers) == 3


async def test_a_flood_of_bad_tokens_does_not_fill_the_audit(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few rows in ten minutes, and then one with how many there were; at the end of the hub too."""
    monkeypatch.setattr(refusals, "RefusalLimiter", lambda window: RefusalLimiter(rows=2, window=window))
    async with serve_links(harness) as port:

        async def attempts(count: int) -> None:
            for number in range(count):
                with pytest.raises(WorkFailed):
                    await join(harness, port, f"web-{number}.abt_guess", name=f"web-{number}")

        await attempts(5)
        assert len(harness.events("join.refused")) == 2
        harness.clock.advance(601)
        await port.links.close_lost(harness.clock.now)
        assert [row.data["count"] for row in harness.events("join.refused")] == [1, 1, 3]
        await attempts(4)
    assert [row.data["count"] for row in harness.events("join.refused")] == [1, 1, 3, 1, 1, 2]
