"""Examples as patterns, and messages that fit them word for word."""

from __future__ import annotations

import pytest

from hub.plan import phrases
from hub.plan.match_pattern import Place, Unreadable, compile_example, fit, is_name_of_machine, said, without_machine
from hub.plan.runbook import Runbook, Template
from hub.plan.slots import Slot

LOGS = Runbook(
    "logs",
    {"en": "logs"},
    ((Template.parse("tail"), Template.parse("{unit}")),),
    {"en": ("logs of {unit} on {machine}",)},
    slots={"unit": Slot("unit", "unit", sample="nginx")},
)
PATTERN = compile_example(LOGS, "show me the logs of {unit} on {machine}")


def test_courtesy_is_no_part_of_a_pattern() -> None:
    """Only what tells is left, in its order."""
    assert PATTERN.elements == ("logs", "of", Place("unit"), "on", Place("machine"))
    assert PATTERN.literals == {"logs", "of", "on"}


@pytest.mark.parametrize(
    "example", ["", '"logs" on {machine}', "please {unit} {machine}", "logs of {unit}s on {machine}"]
)
def test_an_example_that_is_none_is_refused(example: str) -> None:
    """Nothing in it, quotations, nothing but courtesy, a place within a word."""
    with pytest.raises(Unreadable):
        compile_example(LOGS, example)


def test_a_message_fits_with_every_word_or_not_at_all() -> None:
    """The places are filled; one word more and it does not fit."""
    message = phrases.read("logs of cron on web-1 and web-2")
    assert message is not None
    (hit,) = fit(PATTERN, message.loose)
    assert hit.words == {"unit": "cron", "machine": "web-1,web-2"}
    assert hit.linked
    assert said(hit) == "show me the logs of cron on web-1,web-2"
    assert said(hit, leave="unit") == "show me the logs of nginx on web-1,web-2"
    longer = phrases.read("old logs of cron on web-1")
    assert longer is not None
    assert not list(fit(PATTERN, longer.loose))


def test_the_machine_can_be_left_out() -> None:
    """With the word that ties it; not where nothing telling would be left."""
    (bare,) = without_machine(PATTERN)
    assert bare.elements == ("logs", "of", Place("unit"))
    assert bare.bare
    assert without_machine(compile_example(LOGS, "{unit} on {machine}")) == []


@pytest.mark.parametrize(("word", "name"), [("web-1", True), ("db*", True), ("role=web", True), ("mars", False)])
def test_what_looks_like_a_machine(word: str, name: bool) -> None:
    """Digits, dashes and signs."""
    assert is_name_of_machine(word) is name
