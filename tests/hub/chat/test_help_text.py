"""hello and help: short, for this person."""

from __future__ import annotations

from typing import get_args

import pytest

from common.catalogue import LANGUAGES
from hub.chat.help_text import (
    MAX_HELP,
    TOPICS,
    HelpFacts,
    Topic,
    examples_text,
    hello_text,
    help_text,
    topic_of,
    topic_text,
)

FACTS = HelpFacts(
    examples=["disk on web-1", "memory on web-1", "@web-1 uptime", "load on web-1", "time on web-1"],
    machine="web-1", machines=3, online=2, may_run=True, may_approve=True, approvers=["bob"], waiting=1,
)  # fmt: skip
VIEWER = HelpFacts(examples=[], machine="web-1", machines=3, online=2, may_run=False, may_approve=False)
EMPTY = HelpFacts(examples=[], machine="", machines=0, online=0, may_run=True, may_approve=True)


@pytest.mark.parametrize("facts", [FACTS, VIEWER, EMPTY])
def test_every_page_fits_a_telephone(facts: HelpFacts) -> None:
    """A dozen lines at most, in both languages, whoever asks and whatever is there."""
    for language in LANGUAGES:
        pages = [
            help_text(facts, language),
            hello_text(facts, language),
            examples_text("", facts.examples * 20, language),
        ]
        pages += [topic_text(topic, facts, language) for topic in get_args(Topic)]
        for page in pages:
            assert 0 < len(page.splitlines()) <= MAX_HELP
            assert len(page) < 900


def test_help_is_for_this_person() -> None:
    """A viewer is not shown how to approve, an approver is, with what waits."""
    assert "approve r12" in help_text(FACTS, "en")
    assert "waiting now: 1" in help_text(FACTS, "en")
    assert "approve" not in help_text(VIEWER, "en").replace("approvals", "")
    assert "role operator" in help_text(VIEWER, "en")
    assert "bob" in topic_text("approvals", HelpFacts((), "web-1", 1, 1, True, False, ["bob"]), "en")


def test_hello_has_three_examples() -> None:
    """Or, where this person may run nothing, what they may look at."""
    assert hello_text(FACTS, "en").count("•") == 3
    assert hello_text(VIEWER, "zh").count("•") == 3
    assert "web-7" in hello_text(FACTS, "en", about="web-7")
    assert "welcome" in hello_text(FACTS, "en", thanks=True)
    assert "token --agent" in hello_text(EMPTY, "en")


def test_topics_are_found_by_their_words() -> None:
    """In both languages; a word that is none is left to the runbooks."""
    for topic, words in TOPICS.items():
        for word in words:
            assert topic_of(f" {word.upper()} ") == topic
    assert topic_of("disk") is None
    assert "no help about" in examples_text("x" * 99, [], "en")
