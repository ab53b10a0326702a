"""The links while the CA is replaced, over real TLS: who is told what, who gets which certificate, who is shut out."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from common.errors import WorkFailed
from common.identity.certificates import Authority, Identity, identity_from_pem, make_request, new_key
from common.identity.csr import create_key_request
from common.identity.tls import client_context, compute_pin
from common.identity.trust import trust_digest
from common.identity.trust_check import check_bundle
from common.link.dial import ask_successor, open_link
from common.link.enrolment import fetch_pinned_authority, redeem_token
from common.link.handshake import make_hello
from common.link.messages import TRUSTS_FACT, Beat, Heartbeat, Message, Renew, Renewed, Report, Resync, Trust, Trusted
from hub.authorities import AuthorityTasks
from hub.core.ca_rotation import TOO_OLD
from hub.identity import certificates
from hub.identity.authorities import Authorities, settle
from hub.identity.ca_steps import step_back, step_forward
from hub.links.trust import PeerTrust, TrustUpdates
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import LinkHarness, LinkPeer, serve_links

M = TypeVar("M", bound=Message)
GRACES = {"agent": 0.0, "operator": 0.0}


@pytest.fixture
def fake_clock() -> FakeClock:
    """The peers' TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


class Rotation:
    """A hub's port with what takes the steps up."""

    def __init__(self, port: LinkHarness) -> None:
        self.port = port
        self.harness = port.harness
        self.folder = self.harness.config.folder
        self.tasks = AuthorityTasks(
            store=self.harness.store,
            folder=self.folder,
            live=self.harness.authorities,
            tls=port.tls,
            tell=port.links.tell_trust,
            clock=self.harness.clock,
        )
        self.old = self.harness.authorities.now.current

    @property
    def now(self) -> Authorities:
        return self.harness.authorities.now

    async def step(self, *, back: bool = False, force: bool = False) -> Authorities:
        """As a command makes it, and the hub takes it up."""
        step = step_back if back else step_forward
        self.harness.write(lambda txn: step(txn, self.folder, GRACES, self.harness.clock.now, force=force))
        settle(self.folder)
        await self.tasks.watch()
        return self.now

    def context(self, trusted: bytes, issuer: Authority | None = None) -> ssl.SSLContext:
        """A machine's that trusts these; its certificate is one that the store knows, or of another issuer."""
        context = self.port.tls_context("agent", "web-1")
        if issuer is not None:
            key = new_key()
            pem = issuer.issue(make_request(key, "agent", "web-1"), kind="agent", name="web-1", now=time.time())
            file = self.harness.folder / f"forged-{time.monotonic_ns()}.pem"
            file.write_bytes(pem + key)
        else:
            file = self.harness.folder / "agent-web-1.pem"
        assert context is not None
        return client_context(trusted, file, file)

    async def dial(self, trusted: bytes, issuer: Authority | None = None, **facts: str) -> LinkPeer:
        hello = make_hello("agent", "web-1", None, facts={TRUSTS_FACT: trust_digest(trusted), **facts})
        end = await self.port._open(hello, None, self.context(trusted, issuer))
        await end.send(Report("journal", "boot", {}))
        return end

    def row(self, identity: Identity | None = None) -> Any:
        identity = identity or self.port.identities["web-1"]
        return self.harness.read(lambda txn: txn.credential(identity.fingerprint))


@asynccontextmanager
async def rotating(harness: HubHarness) -> AsyncIterator[Rotation]:
    async with serve_links(harness) as port:
        made = Rotation(port)
        port.tls_context("agent", "web-1")
        await made.tasks.watch()
        yield made


async def expect(end: LinkPeer, kind: type[M]) -> M:
    """The next message, but for the answer to the report, which comes when it does."""
    message = await end.receive()
    if isinstance(message, Resync):
        message = await end.receive()
    assert isinstance(message, kind), message
    return message


async def next_trust(end: LinkPeer) -> Trust:
    return await expect(end, Trust)


async def round_trip(end: LinkPeer) -> None:
    await end.send(Heartbeat())
    await expect(end, Beat)


async def renewed(made: Rotation, end: LinkPeer) -> Identity:
    """Renews over the link; the identity in the answer."""
    request = create_key_request("agent", "web-1").request
    await end.send(Renew(request, 1))
    return identity_from_pem((await expect(end, Renewed)).certificate, time.time())


async def test_a_linked_machine_follows_each_step(harness: HubHarness) -> None:
    """Told both with a proof; asked to renew once it trusts both and the phase wants it; its certificate is then of the
    new CA. What it says is in the store.
    """
    async with rotating(harness) as made:
        end = await made.dial(made.old.certificate)
        now = await made.step()
        told = await next_trust(end)
        assert (told.digest, told.renew) == (now.digest, 0.0)
        assert check_bundle(told.bundle, made.old.certificate, now.hub, time.time()) == now.bundle
        assert made.row().trusts == trust_digest(made.old.certificate)
        mine = made.port.identities["web-1"]
        await end.send(Trusted(now.digest, mine.fingerprint))
        await round_trip(end)
        assert made.row().trusts == now.digest
        await made.step()
        told = await next_trust(end)
        assert 0 < told.renew < 1
        fresh = await renewed(made, end)
        assert made.now.next is not None
        assert fresh.issuer == made.now.next.key_id
        assert made.row().successor == fresh.fingerprint
        assert made.row(fresh).trusts == ""  # nobody has come with it yet
        await end.send(Trusted(now.digest, fresh.fingerprint))
        await round_trip(end)
        assert made.row(fresh).trusts == now.digest


async def test_who_says_it_without_end_is_not_listened_to(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word is a write; what is said of a certificate of somebody else changes nothing."""
    monkeypatch.setattr("hub.links.trust.MAX_WORDS", 2)
    async with rotating(harness) as made:
        end = await made.dial(made.old.certificate)
        mine = made.port.identities["web-1"]
        made.port.tls_context("agent", "web-2")
        other = made.port.identities["web-2"]
        for holds, digest in ((other, "a"), (mine, "b"), (mine, "c")):
            await end.send(Trusted(digest * 64, holds.fingerprint))
        for _ in range(2):
            await next_trust(end)
        await round_trip(end)
        assert (made.row().trusts, made.row(other).trusts) == ("b" * 64, "")


async def test_who_does_not_know_the_message_is_left_alone(harness: HubHarness) -> None:
    """An agent of the version before: it is sent nothing, keeps getting certificates of the CA that it knows, can link
    in every phase between, and the store says what it is.
    """
    async with rotating(harness) as made:
        end = await made.port.connect_reported_agent("web-1")
        for _ in range(3):
            await made.step()
        await round_trip(end)
        assert (await renewed(made, end)).issuer == made.old.key_id
        assert made.row().trusts == TOO_OLD
        again = await made.port.connect_reported_agent("web-1")  # the hub shows a certificate of the new CA by now
        await round_trip(again)


async def test_who_was_away_comes_in_any_phase_between(harness: HubHarness) -> None:
    """It trusts the old CA alone, and the hub shows the new one's: the cross-certificate leads there."""
    async with rotating(harness) as made:
        for _ in range(3):
            now = await made.step()
        end = await made.dial(made.old.certificate)
        assert (await next_trust(end)).digest == now.digest


async def test_the_old_key_is_good_for_nothing_after_the_last_step(harness: HubHarness) -> None:
    """Lesson A7: whoever has stolen it makes a machine's certificate or a hub's: neither the hub nor a machine takes
    one, at any entrance.
    """
    async with rotating(harness) as made:
        for _ in range(4):
            now = await made.step(force=True)
        assert now.phase == "standby"
        forged = made.context(now.bundle, made.old)
        hello = make_hello("agent", "web-1", None)
        with pytest.raises(WorkFailed):
            await open_link(made.port.url, now.hub, forged, hello, None)
        with pytest.raises(WorkFailed):
            request = Renew(create_key_request("agent", "web-1").request, 1)
            await ask_successor(made.port.url, now.hub, forged, request)
        with pytest.raises(WorkFailed):  # a certificate that the hub issued itself, before
            await open_link(made.port.url, now.hub, made.context(now.bundle), hello, None)
        with pytest.raises(WorkFailed, match="by another CA"):  # a machine that trusts the old one alone
            await open_link(made.port.url, now.hub, made.context(made.old.certificate), hello, None)


async def test_a_machine_joins_in_each_phase(harness: HubHarness) -> None:
    """With the pin that is printed in it; it trusts both from the first moment, and its certificate is of the CA whose
    pin it was given, as older programs check. After the last step the new CA's pin is good and the old one's is not.
    """
    async with rotating(harness) as made:
        for number in range(5):
            name, pin = f"m-{number}", made.now.current.pin
            token = harness.write(
                lambda txn, name=name: certificates.create_token(
                    txn, "agent", name, {}, 60, "terminal", harness.clock.now
                )
            )
            authority = await fetch_pinned_authority(made.port.url, pin, "agent", time.time())
            assert compute_pin(authority) == pin
            asked = create_key_request("agent", name)
            done = await redeem_token(made.port.url, authority, token, asked, "agent", time.time())
            assert trust_digest(done.authority) == made.now.digest
            assert identity_from_pem(done.joined.certificate, time.time()).issuer == made.now.current.key_id
            if number < 4:
                await made.step(force=True)
        with pytest.raises(WorkFailed, match="another authority"):
            await fetch_pinned_authority(made.port.url, made.old.pin, "agent", time.time())


async def test_a_join_between_a_step_and_its_taking_up_waits(harness: HubHarness) -> None:
    """Else it would get a certificate of a CA that is dropped a moment later; the token stays good."""
    async with rotating(harness) as made:
        harness.write(lambda txn: step_forward(txn, made.folder, GRACES, harness.clock.now))
        token = harness.write(
            lambda txn: certificates.create_token(txn, "agent", "m-1", {}, 60, "terminal", harness.clock.now)
        )
        asked = create_key_request("agent", "m-1")
        pem = made.old.certificate.decode()
        with pytest.raises(WorkFailed, match="try again"):
            await redeem_token(made.port.url, pem, token, asked, "agent", time.time())
        await made.tasks.watch()
        await redeem_token(made.port.url, pem, token, asked, "agent", time.time())


async def test_the_way_back(harness: HubHarness) -> None:
    """Who holds a certificate of the new CA is asked to renew, gets one of the old one, and loses nothing meanwhile."""
    async with rotating(harness) as made:
        for _ in range(3):
            now = await made.step()
        end = await made.dial(now.bundle)
        told = await next_trust(end)
        assert told.renew > 0
        fresh = await renewed(made, end)
        harness.authorities.now = back = await made.step(back=True)
        assert (back.phase, back.issuer_for(back.digest).key_id) == ("rollback", made.old.key_id)
        word = TrustUpdates(harness.store, harness.authorities, harness.clock, lambda: 1).word
        assert (asked := word(fresh, PeerTrust(back.digest))) is not None
        assert asked.renew > 0
        assert word(made.port.identities["web-1"], PeerTrust(back.digest)) is None


def test_renewals_are_spread_over_the_links(harness: HubHarness) -> None:
    """Twenty a second, by chance within that time; one request for each CA and link."""
    live = harness.authorities
    updates = TrustUpdates(harness.store, live, harness.clock, lambda: 2_000, uniform=lambda: 0.5)
    other = Identity("agent", "web-1", "f" * 64, 0.0, issuer="another")
    peer = PeerTrust(live.now.digest)
    word = updates.word(other, peer)
    assert word is not None
    assert word.renew == pytest.approx(50.2)
    assert updates.word(other, peer) is None
    assert updates.word(replace(other, issuer=live.now.current.key_id), PeerTrust(live.now.digest)) is None
    assert updates.word(other, PeerTrust(TOO_OLD)) is None
    assert (updates.word(other, PeerTrust("unknown")) or Trust(b"", "")).renew == 0.0
