"""An uplink whose state folder is a copy: it tells the hub and ends."""

from __future__ import annotations

import json
import logging

import pytest

from agent.place import Moved
from agent.state import StateFolder
from agent.uplink.app import run_uplink
from agent.uplink.link_chain import LinkChain
from agent.uplink.moved import tell_moved
from tests.agent.fake_peers import AgentFakeHub


def move(state: StateFolder) -> None:
    """As if the folder had been served at another place before."""
    LinkChain(state).next_link()
    body = json.loads(state.links.read_bytes())
    body["place"][1] += 1
    state.links.write_text(json.dumps(body))


async def test_a_copy_tells_and_ends(hub: AgentFakeHub, state: StateFolder, caplog: pytest.LogCaptureFixture) -> None:
    """Trust: one holder of a name. With problem and cure; a hub that does not know the entrance changes nothing."""
    move(state)
    with caplog.at_level(logging.INFO, "answerback.agent"), pytest.raises(Moved, match="take-over"):
        await run_uplink(state, state.path / "r.sock")
    assert [record.msg for record in caplog.records if str(record.msg).startswith("moved.")] == ["moved.not_told"]
    (hello,) = hub.hellos
    assert hello.facts is not None
    assert hello.facts["moved"] == "it is another folder than the one that was last used here"
    assert hello.facts["hostname"]


async def test_without_a_hub_it_ends_all_the_same(state: StateFolder, caplog: pytest.LogCaptureFixture) -> None:
    """Best effort: nothing is raised where a file is missing."""
    state.credential.authority.unlink()
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        await tell_moved(state, state.settings(), Moved("x: because", "cure"))
    assert caplog.records[-1].msg == "moved.not_told"
