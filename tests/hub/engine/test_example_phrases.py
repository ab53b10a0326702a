"""What is offered as an example works, for this person, at once."""

from __future__ import annotations

from common.lifecycle import RequestState
from hub.engine.example_phrases import example_phrases
from tests.hub.hub_harness import HubHarness


async def test_every_example_runs_at_once(harness: HubHarness) -> None:
    """Sent as they stand they are queued; none asks for approval, none is refused."""
    for language in ("en", "zh"):
        machine, phrases = example_phrases(harness.world(), "carol", language, most=60)  # type: ignore[arg-type]
        assert machine == "web-1"
        assert len(phrases) > 20
        for phrase in phrases:
            assert (await harness.submit(phrase)).state is RequestState.WORKING, phrase


async def test_examples_are_for_this_person_and_machine(harness: HubHarness) -> None:
    """Who may run nothing gets none; a machine that is named is kept; one that is online is taken before another."""
    await harness.add_machine("asleep", online=False)
    assert example_phrases(harness.world(), "vera", "en")[1] == []
    assert example_phrases(harness.world(), "carol", "en")[0] == "web-1"
    assert all("asleep" in one for one in example_phrases(harness.world(), "carol", "en", machine="asleep")[1])
    about = example_phrases(harness.world(), "carol", "en", word="disk", most=9)[1]
    assert about[0] == "disk on web-1"
    assert example_phrases(harness.world(), "carol", "en", word="no such word")[1] == []


async def test_help_and_hello_in_chat(harness: HubHarness) -> None:
    """Through the hub: topics, a word, a machine, and the hint for admins, once."""
    assert "disk on web-1" in await harness.reply_text("help disk")
    assert "no help about" in await harness.reply_text("help blargh")
    assert "Those who may give it: alice" in await harness.reply_text("help approvals")
    assert "of web-1" in await harness.reply_text("web-1")
    assert "of web-1" in await harness.reply_text("help web-1")
    for person, told in (("carol", False), ("alice", True), ("alice", False)):
        assert ("no language model" in await harness.reply_text("sing a song", person)) is told
