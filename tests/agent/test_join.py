"""agent.join: a machine's folders around the first contact. The contact itself: tests/common/link/test_enrolment.py."""

from __future__ import annotations

import json
import os
import ssl
import stat
import time
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.join import join
from agent.machine_policy import load_machine_policy
from agent.state import AgentSettings, StateFolder
from agent.status import read_status
from common.errors import UserError, WorkFailed
from common.identity.certificates import identity_from_pem
from common.link.messages import Join, Joined, Message, Refuse
from tests.agent.fake_peers import AgentFakeHub

TOKEN = "web-1.canary-of-the-token"
KEYS = {"00112233445566aa": bytes(range(32))}


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """A folder that does not exist yet."""
    return StateFolder(tmp_path / "state")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[AgentFakeHub]:
    """A hub that lets web-1 join."""
    async with AgentFakeHub(tmp_path / "hub").serving() as hub:
        hub.join = lambda message: letting_in(hub, message)
        yield hub


async def letting_in(hub: AgentFakeHub, message: Join, /, **changes: object) -> Message:
    values = {
        "name": message.name,
        "certificate": hub.issue(message.request, message.name),
        "authority": hub.authority.certificate,
        "job_keys": KEYS,
        "hub": hub.hub_id,
    }
    return Joined(**(values | changes))  # type: ignore[arg-type]


def files(state: StateFolder) -> set[str]:
    return {str(path.relative_to(state.path)) for path in state.path.rglob("*") if path.is_file()}


async def test_a_profile_is_chosen_at_the_join(hub: AgentFakeHub, state: StateFolder) -> None:
    """Trust: what the hub may do beyond reading is said on the machine; an unknown profile costs no token."""
    hub.join = lambda message: letting_in(hub, message)
    with pytest.raises(UserError, match="there is no profile 'lax'"):
        await join(hub.url, TOKEN, hub.authority.pin, state, profile="lax")
    assert not state.path.exists()
    await join(hub.url, TOKEN, hub.authority.pin, state, profile="trust-hub")
    assert load_machine_policy(state.policy).profile == "trust-hub"


async def test_a_machine_joins(hub: AgentFakeHub, state: StateFolder) -> None:
    """All files are there, private, and hold what the hub said; the key is the certificate's and was never sent."""
    asked: list[Join] = []

    async def answer(message: Join) -> Message:
        asked.append(message)
        return await letting_in(hub, message)

    hub.join = answer
    joined = await join(hub.url, TOKEN, hub.authority.pin, state)
    assert (joined.name, joined.hub) == ("web-1", "h1")
    assert (asked[0].token, asked[0].name) == (TOKEN, "web-1")
    assert state.settings() == AgentSettings(hub.url, "web-1", "h1")
    assert tomllib.loads(state.settings_file.read_text()).keys() == {"url", "name", "hub"}
    assert state.credential.authority.read_bytes() == hub.authority.certificate
    assert identity_from_pem(state.credential.certificate.read_bytes(), time.time(), "agent").name == "web-1"
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(state.credential.certificate, state.credential.key)
    assert b"PRIVATE" not in asked[0].request
    assert state.credential.validity().generation == 1
    assert json.loads(state.trust.read_text()) == {
        "name": "web-1",
        "hub": "h1",
        "job_keys": {"00112233445566aa": bytes(range(32)).hex()},
    }
    assert load_machine_policy(state.policy).profile == "read-only"
    assert read_status(state, time.time()).policy_profile == "read-only"
    assert TOKEN not in "".join(path.read_text() for path in state.path.rglob("*") if path.is_file())
    for path in state.path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert not {name for name in files(state) if name.endswith((".joining", ".next"))}


async def test_the_uplink_takes_what_join_wrote(hub: AgentFakeHub, state: StateFolder) -> None:
    """The key's mode, the settings and the validity pass the uplink's own checks."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    state.credential.check_key()
    os.close(state.acquire_lock())
    assert state.credential.validity().not_after > time.time() + 3_600


async def test_another_authority_is_refused_before_anything_is_sent(hub: AgentFakeHub, state: StateFolder) -> None:
    """Both pins are told, no token leaves, and nothing is written."""
    asked: list[Join] = []

    async def answer(message: Join) -> Message:
        asked.append(message)
        return await letting_in(hub, message)

    hub.join = answer
    expected = "sha256:" + "ab" * 32
    with pytest.raises(WorkFailed, match="shows another authority") as raised:
        await join(hub.url, TOKEN, expected, state)
    assert expected in str(raised.value)
    assert hub.authority.pin in str(raised.value)
    assert asked == []
    assert not state.path.exists()


async def test_a_refusal_leaves_nothing_behind(hub: AgentFakeHub, state: StateFolder) -> None:
    """The hub's words are told; no key, and not half a join."""

    async def refuse(message: Join) -> Message:
        return Refuse("token_used", "the token has been used already; ask for a new one")

    hub.join = refuse
    with pytest.raises(WorkFailed, match=r"the hub refused: the token has been used already.*answerback-hub token"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert files(state) == {"uplink/lock"}
    assert not state.is_joined()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "web-2"}, "not for web-1"),
        ({"job_keys": {}}, "no keys"),
        ({"job_keys": {"a": b"short"}}, "no keys"),
        ({"certificate": b"nonsense"}, "the hub sent"),
    ],
)
async def test_an_answer_that_is_off_is_not_kept(
    changes: dict[str, object], words: str, hub: AgentFakeHub, state: StateFolder
) -> None:
    """For another machine, without keys or with a broken certificate: nothing is written."""
    hub.join = lambda message: letting_in(hub, message, **changes)
    with pytest.raises(UserError, match=words):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert files(state) == {"uplink/lock"}


async def test_an_operators_certificate_makes_no_machine(hub: AgentFakeHub, state: StateFolder) -> None:
    """A token that was made for a person does not join a machine."""
    hub.join = lambda message: letting_in(
        hub, message, certificate=hub.issue(message.request, "web-1", kind="operator")
    )
    with pytest.raises(WorkFailed, match="operator"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert not state.is_joined()


async def test_a_machine_joins_again_with_the_printed_command(hub: AgentFakeHub, state: StateFolder) -> None:
    """Under its name and at its hub, with an uplink at work: no option, no stop; key and certificate are new, the
    machine's policy stays, and a renewal under way is dropped with what it was for."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    before, stamp = state.credential.key.read_bytes(), state.identity_stamp()
    state.policy.write_text("# mine\n")
    state.credential.next_key.write_text("left over")
    lock = state.acquire_lock()
    try:
        await join(hub.url, "web-1.another-token", hub.authority.pin, state)
    finally:
        os.close(lock)
    assert state.credential.key.read_bytes() != before
    assert state.identity_stamp() not in ((), stamp)
    assert state.policy.read_text() == "# mine\n"
    assert not state.credential.next_key.exists()


async def test_a_machine_joins_again_after_its_hubs_ca_was_replaced(hub: AgentFakeHub, state: StateFolder) -> None:
    """It was away meanwhile: the hub is the same, whatever its CA, and the printed command is all that is needed."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    hub.replace_authority()
    lock = state.acquire_lock()
    try:
        await join(hub.url, "web-1.another-token", hub.authority.pin, state)
        with pytest.raises(UserError, match="has joined already: it is web-1"):
            await join(hub.url, "web-2.another-token", hub.authority.pin, state)
    finally:
        os.close(lock)
    assert state.credential.authority.read_bytes() == hub.authority.certificate


async def test_another_name_or_hub_needs_force(hub: AgentFakeHub, state: StateFolder, tmp_path: Path) -> None:
    """A joined folder is kept; with force the identity is replaced and the edited policy stays."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    with pytest.raises(UserError, match="has joined already: it is web-1 of hub h1; give --force"):
        await join(hub.url, "web-2.another-token", hub.authority.pin, state)
    async with AgentFakeHub(tmp_path / "other", "h2").serving() as other:
        with pytest.raises(UserError, match="has joined already"):
            await join(other.url, TOKEN, other.authority.pin, state)
    before = state.credential.key.read_bytes()
    state.policy.write_text("# mine\n")
    state.credential.next_key.write_text("left over")
    await join(hub.url, "web-2.another-token", hub.authority.pin, state, force=True)
    assert state.settings().name == "web-2"
    assert state.credential.key.read_bytes() != before
    assert state.policy.read_text() == "# mine\n"
    assert not state.credential.next_key.exists()


@pytest.mark.parametrize(("hub_before", "kept"), [("h1", True), ("h2", False)])
async def test_what_another_hub_told_is_forgotten(
    hub: AgentFakeHub, state: StateFolder, hub_before: str, kept: bool
) -> None:
    """Its position would keep this machine from obeying the new one; that of the same hub stays: it may be restored."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    state.settings_file.write_text(state.settings_file.read_text().replace('"h1"', f'"{hub_before}"'))
    state.hub_position.write_text("5.aaaaaaaaaaaaaaaa.100.45")
    await join(hub.url, TOKEN, hub.authority.pin, state, force=True)
    assert state.hub_position.exists() is kept


async def test_a_folder_at_work_is_not_joined(hub: AgentFakeHub, state: StateFolder) -> None:
    """Under another name, not even with force while an uplink holds it."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    lock = state.acquire_lock()
    try:
        with pytest.raises(UserError, match="another uplink"):
            await join(hub.url, "web-2.another-token", hub.authority.pin, state, force=True)
    finally:
        os.close(lock)
    assert state.is_joined()


async def test_a_folder_that_cannot_be_written_does_not_cost_the_token(hub: AgentFakeHub, state: StateFolder) -> None:
    """A file in the place of the runner's folder is found before the hub hears of the token."""
    asked: list[Join] = []

    async def answer(message: Join) -> None:
        asked.append(message)

    hub.join = answer
    state.path.mkdir()
    state.runner.write_text("in the way")
    with pytest.raises(UserError, match="is not a folder"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert asked == []
