"""The order of the planners and the last resort."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Sentence
from hub.machines import Inventory
from hub.plan.chain import Chain, plan
from hub.plan.match import Runbooks
from hub.plan.outcome import Act, Cannot, Context, Outcome, Planned, Said
from hub.plan.runbook_file import default_text, parse
from tests.hub.plan.world import FLEET, context

CHAIN = Chain(parse(tomllib.loads(default_text()), Path("runbooks.toml")))


class Fixed:
    """A planner that always says the same."""

    def __init__(self, outcome: Outcome | None) -> None:
        self._outcome = outcome

    def plan(self, context: Context) -> Outcome | None:
        return self._outcome


def test_the_first_answer_wins() -> None:
    """Those with nothing to say are passed over; where nobody has, that is said."""
    assert plan(context("x"), [Fixed(None), Fixed(Said("a")), Fixed(Said("b"))]) == Said("a")
    assert plan(context("x"), []) == Cannot(Sentence("not_understood"), "not_understood")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("@web-1 df -h", Planned),
        ("disk on web-1", Planned),
        ("web-1 的磁盘", Planned),
        ("approve r42", Act),
        ("help", Act),
        ("@nobody df", Cannot),
        ("what is the meaning of life", Cannot),
    ],
)
def test_each_planner_has_its_turn(text: str, kind: type[Outcome]) -> None:
    """Commands, runbooks, acts, and what is none of them."""
    assert isinstance(CHAIN.plan(context(text)), kind)


def test_another_planner_is_asked_before_the_last_resort() -> None:
    """A model answers what no runbook knows, and only that."""
    chain = Chain(CHAIN.runbooks, [Fixed(Said("42"))])
    assert chain.plan(context("what is the meaning of life")) == Said("42")
    assert isinstance(chain.plan(context("disk on web-1")), Planned)


@pytest.mark.parametrize(
    "text", ["what is the meaning of life", "今天天气怎么样", "why is the disk full", "磁盘坏了怎么办"]
)
def test_what_is_offered_is_understood(text: str) -> None:
    """Every phrase that the last resort quotes gives a plan when it is sent."""
    outcome = CHAIN.plan(context(text))
    assert isinstance(outcome, Cannot)
    assert outcome.code == "not_understood"
    phrases = re.findall(r"[`“]([^`”]+)[`”]", outcome.sentence.values["phrases"])
    assert phrases
    for phrase in phrases:
        assert isinstance(CHAIN.plan(context(phrase)), Planned), phrase
    assert "web-1" in outcome.sentence.say("en")


def test_the_offer_fits_the_language() -> None:
    """Chinese phrases for a Chinese message, English ones for an English."""
    chinese = CHAIN.plan(context("今天天气怎么样"))
    english = CHAIN.plan(context("how is the weather"))
    assert isinstance(chinese, Cannot)
    assert isinstance(english, Cannot)
    assert "web-1 的磁盘" in chinese.sentence.values["phrases"]
    assert "disk on web-1" in english.sentence.values["phrases"]


def test_no_machine_is_made_up() -> None:
    """Where none has joined, none is named."""
    outcome = CHAIN.plan(context("how is the weather", Inventory()))
    assert isinstance(outcome, Cannot)
    assert outcome.sentence.key == "not_understood_no_machines"


def test_an_empty_message_and_no_runbooks_are_answered_too() -> None:
    """Honestly, and with nothing offered that is not there."""
    empty = CHAIN.plan(context("  "))
    assert isinstance(empty, Cannot)
    assert empty.sentence.key == "not_understood_empty"
    bare = Chain(Runbooks([])).plan(context("disk on web-1"))
    assert isinstance(bare, Cannot)
    assert bare.sentence.key == "not_understood"


@given(st.text(max_size=80))
def test_whatever_is_said_is_answered(text: str) -> None:
    """No message raises, none is left without an outcome, and every refusal can be said in both languages."""
    outcome = CHAIN.plan(context(text))
    assert isinstance(outcome, get_args(Outcome))
    if isinstance(outcome, Cannot):
        assert outcome.sentence.say("en")
        assert outcome.sentence.say("zh")


@given(st.text(max_size=40))
def test_plain_words_never_name_a_program(text: str) -> None:
    """Without @ only a runbook's own programs can be planned, whatever is said."""
    outcome = CHAIN.plan(Context(text.replace("@", "").replace("＠", ""), "en", "", (), FLEET, 0.0))
    if isinstance(outcome, Planned):
        programs = {runbook.steps[0][0].texts[0] for runbook in CHAIN.runbooks.all}
        assert outcome.plan.steps[0].argv[0] in programs
