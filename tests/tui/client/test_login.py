"""tui.client.login: a person's first contact, and the folder it makes. The contact itself:
tests/common/link/test_enrolment.py.
"""

from __future__ import annotations

import ssl
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import UserError, WorkFailed
from common.identity.certificates import DAY, identity_from_pem
from common.link.messages import Join, Joined, Message, Refuse
from tests.common.fake_hub import FakeHub
from tui.client.client import connect
from tui.client.login import login
from tui.client.profile import Profile, file_in, read_profile

TOKEN = "alice.canary-of-the-token"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[FakeHub]:
    """A hub that lets alice in."""
    async with FakeHub(tmp_path / "hub").serving() as hub:

        async def answer(message: Join) -> Message:
            certificate = hub.issue(message.request, message.name, kind="operator")
            return Joined(message.name, certificate, hub.authority.certificate, {}, hub.hub_id)

        hub.join = answer
        yield hub


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} if folder.exists() else {}


async def test_a_person_logs_in(hub: FakeHub, tmp_path: Path) -> None:
    """The profile is whole and private, says who and where, holds no token, and connects."""
    folder = tmp_path / "config" / "profile"
    made = await login(hub.url, TOKEN, hub.authority.pin, folder)
    assert made == read_profile(folder) == Profile(folder, "alice", hub.url, "h1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert set(files(folder)) == {"profile.toml", "key.pem", "cert.pem", "certificate.json", "ca.pem", "lock"}
    assert b"canary" not in b"".join(files(folder).values())
    assert identity_from_pem(made.credential.certificate.read_bytes(), time.time(), "operator").name == "alice"
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(made.credential.certificate, made.credential.key)
    validity = made.credential.validity()
    assert (validity.generation, validity.not_after) == (1, pytest.approx(time.time() + 7 * DAY, abs=60))
    async with connect(made) as client:
        assert client.warning == ""


async def test_a_profile_that_is_there_is_kept(hub: FakeHub, tmp_path: Path) -> None:
    """Whose it is is told, and that --force replaces it; no byte is changed and no token is used."""
    await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    before = files(tmp_path / "p")
    hub.join = None
    with pytest.raises(UserError, match=r"profile in .*p already: it is alice's of hub h1; give --force"):
        await login(hub.url, "bob.other-token", hub.authority.pin, tmp_path / "p")
    assert files(tmp_path / "p") == before


async def test_the_same_person_logs_in_again(hub: FakeHub, tmp_path: Path) -> None:
    """With the printed command and no option: key and certificate are new, in the same folder."""
    before = await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    old_key, there = before.credential.key.read_bytes(), []
    answer = hub.join
    assert answer is not None

    async def look(message: Join) -> Message:
        there.append(read_profile(before.path) == before)  # whoever runs a command meanwhile still finds it
        return await answer(message)

    hub.join = look
    after = await login(hub.url, "alice.other-token", hub.authority.pin, tmp_path / "p")
    assert there == [True]
    assert (after.name, after.path) == ("alice", before.path)
    assert after.credential.key.read_bytes() != old_key


async def test_the_same_person_logs_in_after_the_hubs_ca_was_replaced(hub: FakeHub, tmp_path: Path) -> None:
    """The hub is the same, whatever its CA; another hub's CA is not, nor is it another person's to take."""
    await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    hub.replace_authority()
    after = await login(hub.url, "alice.other-token", hub.authority.pin, tmp_path / "p")
    assert after.credential.authority.read_bytes() == hub.authority.certificate
    with pytest.raises(UserError, match="already: it is alice's of hub h1"):
        await login(hub.url, "bob.other-token", hub.authority.pin, tmp_path / "p")
    async with FakeHub(tmp_path / "other", "h2").serving() as other:
        with pytest.raises(UserError, match="already: it is alice's of hub h1"):
            await login(other.url, TOKEN, other.authority.pin, tmp_path / "p")


async def test_a_broken_profile_is_kept_too(hub: FakeHub, tmp_path: Path) -> None:
    """Whatever is in the way is not ours to judge."""
    (tmp_path / "p").mkdir()
    file_in(tmp_path / "p").write_text("what is this?")
    with pytest.raises(UserError, match="already: give --force"):
        await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")


async def test_force_replaces_it(hub: FakeHub, tmp_path: Path) -> None:
    """Another person, key and certificate; a renewal that was under way is gone."""
    before = await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    old_key = before.credential.key.read_bytes()
    before.credential.next_key.write_bytes(b"of the old one")
    after = await login(hub.url, "bob.other-token", hub.authority.pin, tmp_path / "p", force=True)
    assert after.name == "bob"
    assert after.credential.key.read_bytes() != old_key
    assert not list(after.path.glob("*.next"))


async def test_a_refusal_with_force_keeps_the_old_profile(hub: FakeHub, tmp_path: Path) -> None:
    """Until the hub has said yes, nothing is replaced."""
    await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    before = files(tmp_path / "p")

    async def refuse(message: Join) -> Message:
        return Refuse("token_used", "the token has been used already; ask for a new one")

    hub.join = refuse
    with pytest.raises(WorkFailed, match="used already"):
        await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p", force=True)
    assert files(tmp_path / "p") == before


async def test_a_failed_login_leaves_nothing_behind(hub: FakeHub, tmp_path: Path) -> None:
    """Another authority: not even a folder. No answer: no key."""
    with pytest.raises(WorkFailed, match="another authority"):
        await login(hub.url, TOKEN, "sha256:" + "ab" * 32, tmp_path / "p")
    assert not (tmp_path / "p").exists()
    hub.join = None
    with pytest.raises(WorkFailed, match="did not answer"):
        await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    assert files(tmp_path / "p") == {}


async def test_a_folder_that_cannot_be_written_does_not_cost_the_token(hub: FakeHub, tmp_path: Path) -> None:
    """A file in its place is found before the hub hears of the token."""
    asked: list[Join] = []

    async def answer(message: Join) -> None:
        asked.append(message)

    hub.join = answer
    (tmp_path / "p").write_text("in the way")
    with pytest.raises(UserError, match="is not a folder"):
        await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    assert asked == []


async def test_a_machines_token_makes_no_profile(hub: FakeHub, tmp_path: Path) -> None:
    """What the hub gives for it is not an operator's certificate."""

    async def answer(message: Join) -> Message:
        certificate = hub.issue(message.request, message.name)
        return Joined(message.name, certificate, hub.authority.certificate, {}, hub.hub_id)

    hub.join = answer
    with pytest.raises(WorkFailed, match="certificate for agent"):
        await login(hub.url, TOKEN, hub.authority.pin, tmp_path / "p")
    assert files(tmp_path / "p") == {}
