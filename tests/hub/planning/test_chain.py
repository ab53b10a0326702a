"""The order of the planners and the last resort."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.inventory import Inventory
from hub.core.outcome import CannotPlan, ChatCommand, PlainAnswer, Planned, PlanningContext, PlanningOutcome
from hub.planning.chain import PlannerChain, first_outcome
from hub.planning.runbooks.matcher import RunbookMatcher
from tests.hub.planning.defaults import default_chain
from tests.hub.planning.runbooks.world import FLEET, context

CHAIN = default_chain()


class Fixed:
    """A planner that always says the same."""

    def __init__(self, outcome: PlanningOutcome | None) -> None:
        self._outcome = outcome

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        return self._outcome


def test_the_first_answer_wins() -> None:
    """Those with nothing to say are passed over; where nobody has, that is said."""
    assert first_outcome(context("x"), [Fixed(None), Fixed(PlainAnswer("a")), Fixed(PlainAnswer("b"))]) == PlainAnswer(
        "a"
    )
    assert first_outcome(context("x"), [Fixed(None)]) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("@web-1 df -h", Planned),
        ("disk on web-1", Planned),
        ("web-1 的磁盘", Planned),
        ("approve r42", ChatCommand),
        ("help", ChatCommand),
        ("@nobody df", CannotPlan),
        ("what is the meaning of life", CannotPlan),
    ],
)
def test_each_planner_has_its_turn(text: str, kind: type[PlanningOutcome]) -> None:
    """Commands, runbooks, acts, and what is none of them."""
    assert isinstance(CHAIN.plan(context(text)), kind)


def test_another_planner_is_asked_before_the_last_resort() -> None:
    """A model answers what no runbook knows, and only that."""
    chain = PlannerChain(CHAIN.runbooks, [Fixed(PlainAnswer("42"))])
    assert chain.plan(context("what is the meaning of life")) == PlainAnswer("42")
    assert isinstance(chain.plan(context("disk on web-1")), Planned)


@pytest.mark.parametrize(
    "text", ["what is the meaning of life", "今天天气怎么样", "why is the disk full", "磁盘坏了怎么办"]
)
def test_what_is_offered_is_understood(text: str) -> None:
    """Every phrase that the last resort quotes gives a plan when it is sent."""
    outcome = CHAIN.plan(context(text))
    assert isinstance(outcome, CannotPlan)
    assert outcome.code == "not_understood"
    phrases = re.findall(r"[`“]([^`”]+)[`”]", outcome.sentence.values["phrases"])
    assert phrases
    for phrase in phrases:
        assert isinstance(CHAIN.plan(context(phrase)), Planned), phrase
    assert "web-1" in outcome.sentence.render("en")


def test_the_offer_fits_the_language() -> None:
    """Chinese phrases for a Chinese message, English ones for an English."""
    chinese = CHAIN.plan(context("今天天气怎么样"))
    english = CHAIN.plan(context("how is the weather"))
    assert isinstance(chinese, CannotPlan)
    assert isinstance(english, CannotPlan)
    assert "web-1 的磁盘" in chinese.sentence.values["phrases"]
    assert "disk on web-1" in english.sentence.values["phrases"]


def test_no_machine_is_made_up() -> None:
    """Where none has joined, none is named."""
    outcome = CHAIN.plan(context("how is the weather", Inventory()))
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == "not_understood_no_machines"


def test_an_empty_message_and_no_runbooks_are_answered_too() -> None:
    """Honestly, and with nothing offered that is not there."""
    empty = CHAIN.plan(context("  "))
    assert isinstance(empty, CannotPlan)
    assert empty.sentence.key == "not_understood_empty"
    bare = PlannerChain(RunbookMatcher([])).plan(context("disk on web-1"))
    assert isinstance(bare, CannotPlan)
    assert bare.sentence.key == "not_understood"


@given(st.text(max_size=80))
def test_whatever_is_said_is_answered(text: str) -> None:
    """No message raises, none is left without an outcome, and every refusal can be said in both languages."""
    outcome = CHAIN.plan(context(text))
    assert isinstance(outcome, get_args(PlanningOutcome))
    if isinstance(outcome, CannotPlan):
        assert outcome.sentence.render("en")
        assert outcome.sentence.render("zh")


@given(st.text(max_size=40))
def test_plain_words_never_name_a_program(text: str) -> None:
    """Without @ only a runbook's own programs can be planned, whatever is said."""
    outcome = CHAIN.plan(PlanningContext(text.replace("@", "").replace("＠", ""), "en", "", (), FLEET, 0.0))
    if isinstance(outcome, Planned):
        programs = {runbook.steps[0][0].texts[0] for runbook in CHAIN.runbooks.runbooks}
        assert outcome.plan.steps[0].argv[0] in programs


@pytest.mark.parametrize(
    ("text", "named", "plain"),
    [
        ("\ufeff@web-1 uptime", "U+FEFF ZERO WIDTH NO-BREAK SPACE", "@web-1 uptime"),
        ("@web-1 df\u200b -h", "U+200B ZERO WIDTH SPACE", "@web-1 df -h"),
        ("@web\u200b-1 df -h", "U+200B ZERO WIDTH SPACE", "@web-1 df -h"),
        ("@w\u0435b-1 df -h", "U+0435 CYRILLIC SMALL LETTER IE", "@web-1 df -h"),
        ("@web-1 df \u2013h", "U+2013 EN DASH", "@web-1 df -h"),
        ("@web-1 df\u00a0-h", "U+00A0 NO-BREAK SPACE", "@web-1 df -h"),
        ("approve r25\u200b", "U+200B ZERO WIDTH SPACE", "approve r25"),
        ("\u202eapprove r25", "U+202E RIGHT-TO-LEFT OVERRIDE", "approve r25"),
        ("\u0430pprove r25", "U+0430 CYRILLIC SMALL LETTER A", "approve r25"),
        ("approve r25 123456\u2060", "U+2060 WORD JOINER", "approve r25 ******"),
        ("approve r\u0662\u0665", "U+0662 ARABIC-INDIC DIGIT TWO", "approve r25"),
        ("disk on web\u20131", "U+2013 EN DASH", "disk on web-1"),
        ("disk\u200b on web-1", "U+200B ZERO WIDTH SPACE", "disk on web-1"),
        ("pause web\u20101", "U+2010 HYPHEN", "pause web-1"),
        ("批准 r25\u200b", "U+200B ZERO WIDTH SPACE", "批准 r25"),
    ],
)
def test_what_is_not_what_it_seems_is_named_and_not_done(text: str, named: str, plain: str) -> None:
    """Hidden and look-alike characters, wherever they stand; what was meant is offered, without a code in it."""
    outcome = CHAIN.plan(context(text))
    assert isinstance(outcome, CannotPlan)
    for language in ("en", "zh"):
        said = outcome.sentence.render(language)
        assert named in said
        assert plain in said
        assert "123456" not in said


def test_a_name_that_is_nowhere_is_named_with_its_odd_character() -> None:
    """Where the plain spelling is unknown too, the sentence about it says why it may be."""
    outcome = CHAIN.plan(context("@w\u0435b-77 df"))
    assert isinstance(outcome, CannotPlan)
    assert "U+0435" in str(outcome.sentence)


@pytest.mark.parametrize(
    "text", ["👍🏽", "thanks ❤️", "批准 ｒ２５", "what’s the disk on web-1", "disk on web-1 — please"]
)
def test_ordinary_typography_is_no_trouble(text: str) -> None:
    """Emoji, full width and curly apostrophes in plain words are what people type."""
    outcome = CHAIN.plan(context(text))
    assert not isinstance(outcome, CannotPlan) or outcome.code != "characters" or "—" in text


@pytest.mark.parametrize(
    "text",
    [
        "approve" + " " * 8_000 + "x", "r" + " " * 8_000 + "1", "reject r1" + " ," * 4_000 + "x", "ok " * 2_700,
        "reject r1 " + "?" * 7_000 + "x", "help " + " " * 8_000 + "x", "pause web-1" + " " * 8_000 + "x",
        "pause " + "web-1," * 1_300, "`" * 8_000, "> a\n" * 2_000, "@web-1 " + "\u200b" * 8_000,
        "批准 " + "第 " * 4_000,
        "yes" + "!" * 8_000 + "x", "web-1 " + "df " * 2_600, "run " + "`" * 4_000 + " on web-1", "df" + " on" * 2_600,
    ],
)  # fmt: skip
def test_no_message_takes_long(text: str) -> None:
    """Hostile repetition costs no more than its length: a fortieth of the time in which anybody would notice."""
    start = time.process_time()
    CHAIN.plan(context(text))
    assert time.process_time() - start < 1.0


def test_the_bots_own_name_is_left_out() -> None:
    """As it is called in the chat that the message came from."""
    outcome = CHAIN.plan(replace(context("@opsbot @web-1 df -h"), bot="opsbot"))
    assert isinstance(outcome, Planned)
    assert outcome.plan.targets == ("web-1",)
    assert isinstance(CHAIN.plan(context("@opsbot @web-1 df -h")), CannotPlan)
