"""The links of a state folder, on disk."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from agent.place import Moved, Place, leave_word
from agent.state import StateFolder, moved_here_file
from agent.uplink import link_chain
from agent.uplink.link_chain import LinkChain, read_links
from common.errors import UserError
from common.link.lineage import SeenStep, advance_seen, compare, parse_lineage


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    (tmp_path / "uplink").mkdir()
    return StateFolder(tmp_path)


class Hub:
    """Keeps what it sees, and says what it thinks of it."""

    def __init__(self) -> None:
        self.seen: SeenStep | None = None

    def hear(self, told: str) -> str:
        lineage = parse_lineage(told)
        assert lineage is not None
        relation = compare(self.seen, lineage)
        if relation not in ("diverged", "stale"):
            self.seen = advance_seen(self.seen, lineage)
        return relation


def test_a_step_is_on_disk_before_it_is_told_and_told_until_it_is_welcomed(state: StateFolder) -> None:
    """Trust: one holder of a name. Killed at any point, the next process goes on from what the hub saw."""
    hub = Hub()
    assert hub.hear(LinkChain(state).next_link()) == "first"
    assert hub.hear(LinkChain(state).next_link()) == "same"  # killed before it was welcomed: the same step
    chain = LinkChain(state)
    assert [hub.hear(chain.next_link()) for _ in range(30)] == ["same"] * 30
    for _ in range(20):
        chain.note_welcome()
        assert hub.hear(chain.next_link()) == "follows"
        assert hub.hear(chain.next_link()) == "same"
        chain.note_welcome()
        chain = LinkChain(state)  # killed while linked
        assert hub.hear(chain.next_link()) == "follows"


def test_a_copy_is_found_with_the_first_link_of_the_second(state: StateFolder) -> None:
    """Copied while it was linked, with the place and all, as a clone of the machine is; in either order."""
    for first in (0, 1):
        hub = Hub()
        chain = LinkChain(state)
        hub.hear(chain.next_link())
        chain.note_welcome()
        pair = [chain, LinkChain(state)]  # two processes, each with its own memory of one file
        assert hub.hear(pair[first].next_link()) == "follows"
        assert hub.hear(pair[1 - first].next_link()) == "diverged"


def test_a_folder_that_was_moved_is_not_served_without_a_word(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust: one holder of a name. With it another chain begins, and the one of before is one that was replaced."""
    hub = Hub()
    chain = LinkChain(state)
    hub.hear(chain.next_link())
    chain.note_welcome()
    monkeypatch.setattr(link_chain, "place_of", lambda folder: Place("other", 1, 1, "boot"))
    with pytest.raises(Moved, match="is a copy, or was moved"):
        LinkChain(state)
    monkeypatch.undo()
    LinkChain(state)  # the refusal has changed nothing
    leave_word(state.uplink, moved_here_file(state.uplink), "moved")
    assert hub.hear(LinkChain(state).next_link()) == "follows"  # it was not moved: the word is used up
    leave_word(state.uplink, moved_here_file(state.uplink), "anew")
    assert hub.hear(LinkChain(state).next_link()) == "another"
    assert not moved_here_file(state.uplink).exists()
    assert hub.hear(chain.next_link()) == "diverged"


def test_a_disk_that_takes_nothing_stops_no_link(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last step is told again, which is never taken for another's; it is logged once."""
    hub = Hub()
    chain = LinkChain(state)
    hub.hear(chain.next_link())
    chain.note_welcome()

    def full(path: Path, data: bytes) -> None:
        raise UserError("no room")

    monkeypatch.setattr(link_chain, "write_file", full)
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        assert [hub.hear(chain.next_link()) for _ in range(3)] == ["same"] * 3
        assert LinkChain(StateFolder(state.path)).next_link() != ""
    assert len([record for record in caplog.records if record.msg == "links.unwritten"]) == 2
    state.links.unlink()
    assert LinkChain(state).next_link() == ""
    monkeypatch.undo()
    assert hub.hear(chain.next_link()) == "follows"


def test_a_file_that_does_not_read_begins_another_chain(state: StateFolder) -> None:
    """Torn, foreign, too large, or no file."""
    for data in (b"", b"{", b"[]", b'{"links": 1}', b"\xff", b"x" * 10_000):
        state.links.write_bytes(data)
        assert read_links(state.links) == (None, None, False)
        assert LinkChain(state).next_link()
    state.links.unlink()
    os.mkfifo(state.links)
    assert read_links(state.links) == (None, None, False)
