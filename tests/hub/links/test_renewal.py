"""The renewal entrance, as whoever was away meets it: real certificates, real TLS, real frames."""

from __future__ import annotations

import ssl
import time

import pytest

from common.errors import WorkFailed
from common.identity.certificates import DAY, Authority, identity_from_pem
from common.identity.csr import CredentialKind, create_key_request
from common.link import codec
from common.link.dial import HubRefused, ask_successor, dial, measure_clock
from common.link.messages import Refuse, Renew, Renewed
from common.machine.absence import Absence
from hub.core.absence import why_away
from hub.core.records import Agent
from hub.links import renewal
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import LinkHarness, serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """The peers' TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


async def ask(
    port: LinkHarness, context: ssl.SSLContext, kind: CredentialKind = "agent", name: str = "web-1", generation: int = 1
) -> Renewed:
    """As the agent's uplink and the console's client do it."""
    request = Renew(create_key_request(kind, name).request, generation)
    return (await ask_successor(port.url, port.harness.keys.hub_id, context, request)).renewed


async def test_a_link_renews_a_few_times_at_once_and_no_more(harness: HubHarness) -> None:
    """A machine does so once in its certificate's life: one that asks without end fills no audit."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        answers = []
        for generation in range(1, 12):
            await end.send(Renew(create_key_request("agent", "web-1").request, generation))
            answers.append(await end.receive())
        assert [type(answer) for answer in answers] == [Renewed] * 5 + [Refuse] * 6
        last = answers[-1]
        assert isinstance(last, Refuse)
        assert (last.code, last.retry_after) == ("busy", 60.0)
        assert len(harness.events("credential.renewed")) == 5


async def refused(port: LinkHarness, context: ssl.SSLContext, **other: str) -> Refuse:
    with pytest.raises(HubRefused) as caught:
        await ask(port, context, **other)  # type: ignore[arg-type]
    return caught.value.refusal


@pytest.mark.parametrize("days", [0.4, 3, 89])
async def test_a_machine_that_was_away_gets_its_successor(harness: HubHarness, days: float) -> None:
    """It is refused a link as "expired", by name, in log and audit; then the entrance gives the next certificate, and
    the audit tells since when the one before had run out."""
    async with serve_links(harness) as port:
        context = port.tls_context("agent", "web-1")
        harness.clock.advance((1 + days) * DAY)
        assert (await port.expect_refusal("web-1")).code == "expired"
        (row,) = harness.events("link.refused")
        assert (row.subject, row.data["code"]) == ("web-1", "expired")
        renewed = await ask(port, context)
        identity = identity_from_pem(renewed.certificate, harness.clock.now, "agent")
        assert (renewed.generation, identity.name) == (2, "web-1")
        (row,) = harness.events("credential.renewed_late")
        assert (row.subject, row.data["fingerprint"]) == ("web-1", identity.fingerprint)
        assert harness.clock.now - row.data["expired_at"] == pytest.approx(days * DAY, abs=2)


async def test_a_person_who_was_away_gets_a_successor(harness: HubHarness) -> None:
    """The same, within the person's own grace."""
    async with serve_links(harness) as port:
        await port.connect_console("alice")
        context = port.tls_context("operator", "alice")
        harness.clock.advance((7 + 13) * DAY)
        assert (await ask(port, context, "operator", "alice")).generation == 2
        harness.clock.advance(2 * DAY)
        refusal = await refused(port, context, kind="operator", name="alice")
        assert refusal.code == "expired"
        assert "answerback-hub operator add alice" in refusal.reason


@pytest.mark.parametrize(("grace", "days"), [(90 * DAY, 91), (0.0, 1)])
async def test_the_grace_is_the_hubs_to_set(harness: HubHarness, grace: float, days: float) -> None:
    """After it, and where it is 0, the answer is the command that cures it; the audit has the refusal."""
    async with serve_links(harness, agent_grace=grace) as port:
        context = port.tls_context("agent", "web-1")
        harness.clock.advance((1 + days) * DAY)
        refusal = await refused(port, context)
        assert refusal.code == "expired"
        assert "answerback-hub token --agent web-1" in refusal.reason
        assert [row.data["path"] for row in harness.events("link.refused")] == ["renew"]
        assert harness.events("credential.renewed_late") == []


@pytest.mark.parametrize("state", ["revoked", "locked"])
async def test_who_was_shut_out_stays_out(harness: HubHarness, state: str) -> None:
    """A certificate that ran out is no way around a revocation or a lock."""
    async with serve_links(harness) as port:
        context = port.tls_context("agent", "web-1")
        await harness.change_machine("web-1", state=state)
        harness.clock.advance(2 * DAY)
        assert (await refused(port, context)).code == state


async def test_another_authority_and_no_certificate_get_nowhere(harness: HubHarness) -> None:
    """TLS ends the first, a 403 the second; a certificate of ours that the store does not know is refused."""
    async with serve_links(harness) as port:
        foreign = port.tls_context("agent", "web-1", authority=Authority.create("hub-other", time.time()))
        with pytest.raises(WorkFailed):
            await ask(port, foreign)
        unknown = port.tls_context("agent", "web-1", authority=harness.keys.authority)
        assert (await refused(port, unknown)).code == "unknown"
        with pytest.raises(WorkFailed, match="does not know this certificate"):
            await ask(port, ssl_without_certificate(harness))


def ssl_without_certificate(harness: HubHarness) -> ssl.SSLContext:
    from common.identity.tls import client_context

    return client_context(harness.keys.authority.certificate)


async def test_a_recorded_request_is_worth_nothing(harness: HubHarness) -> None:
    """Played again on a connection of another identity it asks for a certificate of that one's name, not the first's;
    the request itself proves nothing, the handshake does."""
    await harness.add_machine("web-2", online=False)
    async with serve_links(harness) as port:
        port.tls_context("agent", "web-1")
        other = port.tls_context("agent", "web-2")
        harness.clock.advance(2 * DAY)
        recorded = Renew(create_key_request("agent", "web-1").request, 1)
        answer = await ask_successor(port.url, harness.keys.hub_id, other, recorded)
        assert identity_from_pem(answer.renewed.certificate, harness.clock.now).name == "web-2"
        assert [row.subject for row in harness.events("credential.renewed_late")] == ["web-2"]


async def test_a_name_that_asks_too_often_waits(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few times at once, then once a minute, each told how long; other names go on, until the address has had its
    share too."""
    monkeypatch.setattr(renewal, "ADDRESS_BURST", 8.0)
    monkeypatch.setattr(renewal, "ADDRESS_RATE", 0.001)
    await harness.add_machine("web-2", online=False)
    async with serve_links(harness) as port:
        one, two = port.tls_context("agent", "web-1"), port.tls_context("agent", "web-2")
        harness.clock.advance(200 * DAY)
        codes = [(await refused(port, one)).code for _ in range(6)]
        assert codes == ["expired"] * 5 + ["busy"]
        assert 0 < (await refused(port, one)).retry_after <= 60
        assert (await refused(port, two, name="web-2")).code == "expired"
        assert (await refused(port, two, name="web-2")).code == "busy"


@pytest.mark.parametrize("data", [b"\xc1" * 40, b"\x91" * 200 + b"\xc0", b"x" * 70_000, "renew"])
async def test_what_is_no_renewal_ends_the_connection(harness: HubHarness, data: bytes | str) -> None:
    """Garbage, too deep, too long, text: closed, with nothing changed."""
    async with serve_links(harness) as port:
        connection = await dial(port.url, "renew", port.tls_context("agent", "web-1"))
        await connection.send(data)
        await connection.wait_closed()
        assert connection.close_code in (1007, 1008, 1009)
        assert len(harness.read(lambda txn: txn.credentials("agent", "web-1"))) == 1


async def test_a_hello_is_none(harness: HubHarness) -> None:
    """The one message here is a renewal."""
    from common.link.handshake import make_hello

    async with serve_links(harness) as port:
        connection = await dial(port.url, "renew", port.tls_context("agent", "web-1"))
        await connection.send(codec.encode(make_hello("agent", "web-1", None)))
        await connection.wait_closed()
        assert connection.close_code == 1008


async def test_clocks_are_compared(harness: HubHarness) -> None:
    """Whoever's clock does not take the hub's certificate learns the hub's."""
    async with serve_links(harness) as port:
        assert abs(await measure_clock(port.url, harness.keys.hub_id, port.tls_context("agent", "web-1"))) < 30


async def test_the_hub_knows_whose_clock_is_off(harness: HubHarness) -> None:
    """A machine that came only to compare clocks is away because of its own: in its row, the audit, and the view."""
    async with serve_links(harness) as port:
        context = port.tls_context("agent", "web-1")
        harness.clock.advance(7_200)  # the machine's clock stays behind
        await measure_clock(port.url, harness.keys.hub_id, context)
        await port.wait_until(lambda: bool((harness.fleet.agent("web-1") or Agent("", {}, "", 0)).refused_code))
        assert [row.data["code"] for row in harness.events("link.refused")] == ["clock"]
        agent = harness.fleet.agent("web-1")
        assert agent is not None
        why = why_away(agent, online=False)
        assert why is not None
        assert (why.code, round((why.ahead or 0) / 60)) == ("clock", -120)


async def test_who_is_refused_is_told_why_until_the_link_is_there(harness: HubHarness) -> None:
    """Expired, since when; a link that comes about takes the reason away."""
    async with serve_links(harness) as port:
        port.tls_context("agent", "web-1")
        end = port.identities["web-1"].not_after
        harness.clock.advance(3 * DAY)
        await port.expect_refusal("web-1")
        await port.wait_until(lambda: bool((harness.fleet.agent("web-1") or Agent("", {}, "", 0)).refused_code))
        agent = harness.fleet.agent("web-1")
        assert agent is not None
        assert why_away(agent, online=False) == Absence("expired", end)
        harness.clock.advance(-3 * DAY)
        await (await port.connect_agent("web-1")).round_trip()
        assert (harness.fleet.agent("web-1") or agent).refused_code == ""
