"""Which holder of its name a state folder is, as `status` and `doctor` tell it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.holder import Holder, read_holder
from agent.place import place_of
from agent.runner.journal import Journal
from agent.runner.limits import RunnerLimits
from agent.state import StateFolder
from agent.uplink.link_chain import LinkChain


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    found = StateFolder(tmp_path)
    found.uplink.mkdir()
    found.runner.mkdir()
    return found


def serve(state: StateFolder) -> Journal:
    """As one start of both processes leaves the folder."""
    LinkChain(state).next_link()
    journal = Journal(
        state.runner / "journal", RunnerLimits(), 0.0, lambda call: call(), place=place_of(state.runner, "b")
    )
    journal.close()
    return journal


def test_journal_life_and_link_are_told(state: StateFolder) -> None:
    """Trust: one holder of a name. Nothing before the first start; then which life it is; a folder that was last used
    elsewhere says so, whichever half of it knows.
    """
    assert read_holder(state) == Holder()
    assert str(Holder()) == "none yet"
    serve(state)
    lineage = serve(state).lineage
    assert lineage is not None
    holder = read_holder(state)
    assert holder == Holder(lineage.chain, 2, lineage.id, 1)
    assert str(holder) == f"journal {lineage.chain[:8]}, life 2 ({lineage.id}), link 1"
    body = json.loads(state.links.read_bytes())
    body["place"][1] += 1
    state.links.write_text(json.dumps(body))
    moved = read_holder(state)
    assert moved is not None
    assert str(moved) == "COPIED OR MOVED: it is another folder than the one that was last used here"
    state.links.unlink()
    state.runner.rename(state.path / "old")
    state.runner.mkdir()
    (state.path / "old" / "journal").rename(state.runner / "journal")
    moved = read_holder(state)
    assert moved is not None
    assert moved.moved


def test_a_journal_that_does_not_read_tells_nothing(state: StateFolder) -> None:
    serve(state)
    (state.runner / "journal").write_bytes(b"nonsense")
    assert read_holder(state) is None
