"""agent.uplink.trust: what the hub says of its CAs over a live link, by a real child process."""

from __future__ import annotations

import asyncio
import time

import pytest

from agent.state import StateFolder
from agent.uplink.hub_position import HubPosition
from agent.uplink.trust import TrustedAuthorities
from common.identity.certificates import Authority
from common.identity.trust import trust_digest
from common.link.messages import TRUSTS_FACT, Credit, Renew, Renewed, Report, Trust, Trusted
from tests.agent.fake_peers import AgentFakeHub, FakeRunner, HubPeer
from tests.agent.uplink.conftest import Running
from tests.agent.uplink.test_app import FORK, HEARD


def word(hub: AgentFakeHub, new: Authority, renew: float = 0.0, proof: bytes | None = None) -> Trust:
    """The hub's bundle of its own CA and a new one, with the proof of it or another."""
    both = hub.authority.certificate + new.certificate
    cross = hub.authority.cross_sign(new, time.time()) if proof is None else proof
    return Trust(both + cross, trust_digest(both), renew)


@pytest.fixture
def new(hub: AgentFakeHub) -> Authority:
    return Authority.create(hub.hub_id, time.time())


async def reported(hub: AgentFakeHub) -> HubPeer:
    link = await hub.next_link()
    await link.expect(Report)
    return link


async def test_a_new_ca_is_trusted_and_told(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, new: Authority
) -> None:
    """The hello says what is trusted; the bundle is taken, answered with the certificate that is held, and the next
    certificate may be of the new CA; then the link comes again, by itself and early.
    """
    assert hub.context is not None
    hub.context.load_verify_locations(cadata=new.certificate.decode())
    async with running(state):
        link = await reported(hub)
        assert (link.hello.facts or {})[TRUSTS_FACT] == trust_digest(hub.authority.certificate)
        await link.send(word(hub, new))
        told = await link.expect(Trusted)
        assert told == Trusted(trust_digest(state.credential.authority.read_bytes()), link.identity.fingerprint)
        assert state.credential.authority.read_bytes() == hub.authority.certificate + new.certificate
        await link.send(word(hub, new, renew=0.05))
        assert await link.expect(Trusted) == told
        asked = await link.expect(Renew)
        certificate = new.issue(asked.request, kind="agent", name="web-1", now=time.time())
        await link.send(Renewed(certificate, 2))
        await link.send_ack()
        again = await hub.next_link()
        assert again.resumed
        assert again.identity.issuer == new.key_id
    assert state.credential.validity().generation == 2


async def test_a_ca_that_nobody_vouches_for_is_not_taken(
    hub: AgentFakeHub,
    runner: FakeRunner,
    state: StateFolder,
    running: Running,
    new: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lesson A7: the hub's machine without the CA's key. Nothing is answered, trusted or renewed; the link stays."""
    refused = asyncio.Event()
    monkeypatch.setattr("agent.uplink.relay.log.error", lambda event, **fields: refused.set() or told.append(fields))
    told: list[dict[str, str]] = []
    async with running(state):
        link = await reported(hub)
        await link.send(word(hub, new, renew=0.05, proof=new.cross_sign(hub.authority, time.time())))
        await refused.wait()
        await link.send(Trust(hub.authority.certificate, trust_digest(hub.authority.certificate)))
        assert (await link.expect(Trusted)).digest == trust_digest(hub.authority.certificate)
    assert state.credential.authority.read_bytes() == hub.authority.certificate
    assert "no trusted one has signed" in told[0]["cure"]


async def test_a_hub_that_is_not_obeyed_changes_no_trust(
    hub: AgentFakeHub,
    runner: FakeRunner,
    state: StateFolder,
    running: Running,
    new: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lesson A7: one that was put back from a backup of before a rotation would take the machine back to the old CA."""
    taken: list[Trust] = []

    async def take(self: TrustedAuthorities, message: Trust, now: float) -> Trusted:
        taken.append(message)
        return Trusted(message.digest, "0" * 64)

    monkeypatch.setattr(TrustedAuthorities, "take", take)
    HubPosition(state.hub_position).note(HEARD)
    hub.epoch, hub.mark = 5, FORK
    async with running(state):
        link = await reported(hub)
        end = await runner.next_attachment()
        await link.send(word(hub, new))
        await link.send(Credit("job", 1))
        assert await end.receive() == Credit("job", 1)
    assert taken == []
