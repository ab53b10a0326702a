"""Examples as patterns, and messages that fit them word for word."""

from __future__ import annotations

import pytest

from hub.planning.runbooks import phrases
from hub.planning.runbooks.pattern import (
    BadExample,
    PatternSlot,
    bare_patterns,
    compile_example,
    is_name_of_machine,
    match_pattern,
    render_example,
)
from hub.planning.runbooks.runbook import Runbook, Template
from hub.planning.runbooks.slots import RunbookSlot

LOGS = Runbook(
    "logs",
    {"en": "logs"},
    ((Template.parse("tail"), Template.parse("{unit}")),),
    {"en": ("logs of {unit} on {machine}",)},
    slots={"unit": RunbookSlot("unit", "unit", sample="nginx")},
)
PATTERN = compile_example(LOGS, "show me the logs of {unit} on {machine}")


def test_courtesy_is_no_part_of_a_pattern() -> None:
    """Only what tells is left, in its order."""
    assert PATTERN.elements == ("logs", "of", PatternSlot("unit"), "on", PatternSlot("machine"))
    assert PATTERN.literals == {"logs", "of", "on"}


@pytest.mark.parametrize(
    "example", ["", '"logs" on {machine}', "please {unit} {machine}", "logs of {unit}s on {machine}"]
)
def test_an_example_that_is_none_is_refused(example: str) -> None:
    """Nothing in it, quotations, nothing but courtesy, a place within a word."""
    with pytest.raises(BadExample):
        compile_example(LOGS, example)


def test_a_message_fits_with_every_word_or_not_at_all() -> None:
    """The places are filled; one word more and it does not fit."""
    message = phrases.parse_message("logs of cron on web-1 and web-2")
    assert message is not None
    (hit,) = match_pattern(PATTERN, message.loose)
    assert hit.words == {"unit": "cron", "machine": "web-1,web-2"}
    assert hit.linked
    assert render_example(hit) == "show me the logs of cron on web-1,web-2"
    assert render_example(hit, sample_for="unit") == "show me the logs of nginx on web-1,web-2"
    longer = phrases.parse_message("old logs of cron on web-1")
    assert longer is not None
    assert not list(match_pattern(PATTERN, longer.loose))


def test_the_machine_can_be_left_out() -> None:
    """With the word that ties it; not where nothing telling would be left."""
    (bare,) = bare_patterns(PATTERN)
    assert bare.elements == ("logs", "of", PatternSlot("unit"))
    assert bare.without_machine
    assert bare_patterns(compile_example(LOGS, "{unit} on {machine}")) == []


@pytest.mark.parametrize(("word", "name"), [("web-1", True), ("db*", True), ("role=web", True), ("mars", False)])
def test_what_looks_like_a_machine(word: str, name: bool) -> None:
    """Digits, dashes and signs."""
    assert is_name_of_machine(word) is name
