"""A yes to our own "did you mean ...?": what was meant, or to write it out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.core.judgement import bind_policy
from hub.core.outcome import CannotPlan, ChatCommand, Exchange, Planned, PlanningOutcome
from hub.planning.confirmation import WITHIN
from tests.hub.planning.defaults import default_chain, default_policy
from tests.hub.planning.runbooks.world import context

CHECK = bind_policy(default_policy(), ("operator",), lambda name: {}, False)


def asked(text: str, *, own: bool = True, ago: float = 1.0, is_newest: bool = True, reason: str = "") -> Exchange:
    """What was said a while ago and refused, as the store has it."""
    refusal = default_chain().plan(replace(context(text), check=CHECK))
    assert isinstance(refusal, CannotPlan), (text, refusal)
    said = reason or str(refusal.sentence)
    told_at = context(text).now - ago
    return Exchange(text, own, told_at, refused=refusal.code, reason=said, told_at=told_at, is_newest=is_newest)


def say(text: str, *thread: Exchange) -> PlanningOutcome:
    return default_chain().plan(replace(context(text), history=thread, check=CHECK))


@pytest.mark.parametrize(
    ("before", "yes", "meant"),
    [
        ("aprove r31", "yes", ChatCommand("approve", 31)),
        ("ok r31", "Yes!", ChatCommand("approve", 31)),
        ("no r31", "yes please", ChatCommand("reject", 31)),
        ("cancle r31", "y", ChatCommand("cancel", 31)),
        ("approve r31\u200b", "yes", ChatCommand("approve", 31)),
        ("好 r31", "好", ChatCommand("approve", 31)),
        ("不 r31", "好的", ChatCommand("reject", 31)),
    ],
)
def test_a_yes_is_the_words_that_were_suggested(before: str, yes: str, meant: ChatCommand) -> None:
    """Verb and number; what it takes beside them is asked for as with the typed words."""
    assert say(yes, asked(before)) == meant


def test_a_yes_to_a_command_is_that_command() -> None:
    """Policy judges it like any other."""
    before = asked("“restart nginx on web-1”")
    outcome, typed = say("yes", before), say("restart nginx on web-1")
    assert isinstance(outcome, Planned)
    assert outcome == typed


@pytest.mark.parametrize("changed", [{"is_newest": False}, {"ago": WITHIN + 1}])
def test_a_yes_to_what_lies_back_is_written_out(changed: dict[str, float]) -> None:
    """Something came between, or time passed. Only a yes that waits for a yes anyway goes on, to that request alone."""
    late = say("yes", asked("no r31", **changed))  # type: ignore[arg-type]
    assert isinstance(late, CannotPlan)
    assert str(late.sentence).endswith("reject r31")
    assert say("yes", asked("aprove r31", **changed)) == ChatCommand("yes", 31)  # type: ignore[arg-type]
    assert say("yes", asked("no r31", ago=WITHIN)) == ChatCommand("reject", 31)


@pytest.mark.parametrize(
    "before",
    ["reject r31?", "approve all", "should I approve r31?", "restart nginx on web-1?"],
)
def test_a_yes_to_what_named_no_one_thing_decides_nothing(before: str) -> None:
    """It is no yes to the plan that happens to wait."""
    outcome = say("yes", asked(before))
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == "yes_outright"


def test_a_question_that_would_be_asked_otherwise_now_is_not_answered() -> None:
    """What was shown is what counts."""
    outcome = say("yes", asked("no r31", reason="Did you mean “reject r13”?"))
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == "yes_outright"


@pytest.mark.parametrize(
    "thread",
    [
        (),
        (Exchange("no r31", False, 999.0, refused="act", reason="?", told_at=999.0, is_newest=True),),
        (Exchange("disk on web-1", True, 999.0, told_at=999.0, is_newest=True),),
        (asked("sing a song"),),
    ],
)
def test_else_a_yes_is_to_the_plan_that_waits(thread: tuple[Exchange, ...]) -> None:
    """Nothing was suggested to this person."""
    assert say("yes", *thread) == ChatCommand("yes")


def test_what_is_no_yes_is_not_read_as_one() -> None:
    """A question mark, a no, more words."""
    for text in ("yes?", "no", "yes, on web-2 too"):
        assert say(text, asked("no r31")) != ChatCommand("reject", 31)
