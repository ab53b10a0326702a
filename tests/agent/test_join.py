"""agent.join: a machine's folders around the first contact. The contact itself: tests/common/test_joining.py."""

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
from agent.state import Settings, State
from common.errors import UserError, WorkFailed
from common.identity import identity_in
from common.messages import Join, Joined, Message, Refuse
from tests.agent.scripted import ScriptedHub

TOKEN = "web-1.canary-of-the-token"
KEYS = {"00112233445566aa": bytes(range(32))}


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A folder that does not exist yet."""
    return State(tmp_path / "state")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[ScriptedHub]:
    """A hub that lets web-1 join."""
    async with ScriptedHub(tmp_path / "hub").serving() as hub:
        hub.join = lambda message: letting_in(hub, message)
        yield hub


async def letting_in(hub: ScriptedHub, message: Join, /, **changes: object) -> Message:
    values = {
        "name": message.name,
        "certificate": hub.issue(message.request, message.name),
        "authority": hub.authority.certificate,
        "job_keys": KEYS,
        "hub": hub.hub_id,
    }
    return Joined(**(values | changes))  # type: ignore[arg-type]


def files(state: State) -> set[str]:
    return {str(path.relative_to(state.path)) for path in state.path.rglob("*") if path.is_file()}


async def test_a_machine_joins(hub: ScriptedHub, state: State) -> None:
    """All files are there, private, and hold what the hub said; the key is the certificate's and was never sent."""
    asked: list[Join] = []

    async def answer(message: Join) -> Message:
        asked.append(message)
        return await letting_in(hub, message)

    hub.join = answer
    joined = await join(hub.url, TOKEN, hub.authority.pin, state)
    assert (joined.name, joined.hub) == ("web-1", "h1")
    assert (asked[0].token, asked[0].name) == (TOKEN, "web-1")
    assert state.settings() == Settings(hub.url, "web-1", "h1")
    assert tomllib.loads(state.settings_file.read_text()).keys() == {"url", "name", "hub"}
    assert state.credential.authority.read_bytes() == hub.authority.certificate
    assert identity_in(state.credential.certificate.read_bytes(), time.time(), "agent").name == "web-1"
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(state.credential.certificate, state.credential.key)
    assert b"PRIVATE" not in asked[0].request
    assert state.credential.validity().generation == 1
    assert json.loads(state.trust.read_text()) == {
        "name": "web-1",
        "hub": "h1",
        "job_keys": {"00112233445566aa": bytes(range(32)).hex()},
    }
    assert state.policy.stat().st_size > 0
    assert TOKEN not in "".join(path.read_text() for path in state.path.rglob("*") if path.is_file())
    for path in state.path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert not {name for name in files(state) if name.endswith((".joining", ".next"))}


async def test_the_uplink_takes_what_join_wrote(hub: ScriptedHub, state: State) -> None:
    """The key's mode, the settings and the validity pass the uplink's own checks."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    state.credential.check_key()
    os.close(state.hold_lock())
    assert state.credential.validity().not_after > time.time() + 3_600


async def test_another_authority_is_refused_before_anything_is_sent(hub: ScriptedHub, state: State) -> None:
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


async def test_a_refusal_leaves_nothing_behind(hub: ScriptedHub, state: State) -> None:
    """The hub's words are told; no key, and not half a join."""

    async def refuse(message: Join) -> Message:
        return Refuse("token_used", "the token has been used already; ask for a new one")

    hub.join = refuse
    with pytest.raises(WorkFailed, match=r"the hub refused: the token has been used already.*answerback-hub token"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert files(state) == {"uplink/lock"}
    assert not state.joined()


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
    changes: dict[str, object], words: str, hub: ScriptedHub, state: State
) -> None:
    """For another machine, without keys or with a broken certificate: nothing is written."""
    hub.join = lambda message: letting_in(hub, message, **changes)
    with pytest.raises(UserError, match=words):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert files(state) == {"uplink/lock"}


async def test_an_operators_certificate_makes_no_machine(hub: ScriptedHub, state: State) -> None:
    """A token that was made for a person does not join a machine."""
    hub.join = lambda message: letting_in(
        hub, message, certificate=hub.issue(message.request, "web-1", kind="operator")
    )
    with pytest.raises(WorkFailed, match="operator"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert not state.joined()


async def test_joining_twice_needs_force(hub: ScriptedHub, state: State) -> None:
    """A joined folder is kept; with force the identity is replaced and the edited policy stays."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    with pytest.raises(UserError, match="has joined already: it is web-1 of hub h1; give --force"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    before = state.credential.key.read_bytes()
    state.policy.write_text("# mine\n")
    state.credential.next_key.write_text("left over")
    await join(hub.url, "web-2.another-token", hub.authority.pin, state, force=True)
    assert state.settings().name == "web-2"
    assert state.credential.key.read_bytes() != before
    assert state.policy.read_text() == "# mine\n"
    assert not state.credential.next_key.exists()


async def test_a_folder_at_work_is_not_joined(hub: ScriptedHub, state: State) -> None:
    """Not even with force while an uplink holds it."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    lock = state.hold_lock()
    try:
        with pytest.raises(UserError, match="another uplink"):
            await join(hub.url, TOKEN, hub.authority.pin, state, force=True)
    finally:
        os.close(lock)
    assert state.joined()


async def test_a_folder_that_cannot_be_written_does_not_cost_the_token(hub: ScriptedHub, state: State) -> None:
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
