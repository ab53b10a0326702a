"""tui.client.trust: a person's profile follows the hub's CA, also through one short command."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.api import verbs
from common.api.arguments import NoArgs
from common.errors import WorkFailed
from common.identity.certificates import Authority
from common.identity.trust import fingerprint, trust_digest
from common.link.messages import TRUSTS_FACT, Answer, Call, Renew, Renewed, Trust, Trusted
from tests.common.fake_hub import FakeHub
from tests.tui.profiles import create_profile
from tui.client.client import connect
from tui.client.profile import Profile
from tui.client.trust import answer, take_bundle, trusted_digest

ME = {"person": "alice", "roles": ["viewer"], "hub": "h1", "version": "1"}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[FakeHub]:
    """A hub that serves."""
    async with FakeHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
def profile(hub: FakeHub, tmp_path: Path) -> Profile:
    return create_profile(hub, tmp_path / "profile")


def word(hub: FakeHub, new: Authority, renew: float = 0.0) -> Trust:
    both = hub.authority.certificate + new.certificate
    return Trust(both + hub.authority.cross_sign(new, time.time()), trust_digest(both), renew)


async def test_a_short_command_takes_it_and_renews(hub: FakeHub, profile: Profile) -> None:
    """The command is not over before what the hub has said is done: both are trusted, the certificate is of the new CA,
    and the hub is told that it is held.
    """
    new = Authority.create(hub.hub_id, time.time())
    async with connect(profile) as client:
        link = await hub.next_link()
        assert link.hello.facts == {TRUSTS_FACT: trust_digest(hub.authority.certificate)}
        await link.send(word(hub, new, renew=0.5))
        assert await link.expect(Trusted) == answer(profile)
        asked = await link.expect(Renew)
        pem = new.issue(asked.request, kind="operator", name="alice", now=time.time())
        await link.send(Renewed(pem, 2))
        told = await link.expect(Trusted)
        assert told == Trusted(trust_digest(hub.authority.certificate + new.certificate), fingerprint(pem))
        await link.send(word(hub, new, renew=0.5))  # as to each of several programs of one profile: once is enough
        assert await link.expect(Trusted) == told
        assert client.warning == ""
    assert profile.credential.certificate.read_bytes() == pem


async def test_a_bundle_that_does_not_hold_is_a_warning(hub: FakeHub, profile: Profile) -> None:
    """The link and what is trusted stay."""
    new, both = Authority.create(hub.hub_id, time.time()), hub.authority.certificate
    before = trusted_digest(profile)
    async with connect(profile) as client:
        link = await hub.next_link()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client.call(verbs.WHOAMI, NoArgs()))
            asked = await link.expect(Call)
            await link.send(Trust(both + new.certificate, trust_digest(both + new.certificate)))
            await link.send(Answer(asked.id, ME))
        await client.finish_trust()
        await link.send(Trust(both, trust_digest(both)))
        assert (await link.expect(Trusted)).digest == before
    assert "cannot follow" in client.warning
    with pytest.raises(WorkFailed, match="no trusted one has signed"):
        take_bundle(profile, Trust(both + new.certificate, "0" * 64), time.time())
    assert trusted_digest(profile) == before
