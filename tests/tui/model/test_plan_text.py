"""A plan as text to edit, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.actions import StepEdit
from common.api.plans import PlanView, StepView
from common.command.line import quote_argv
from common.plan import BadPlan, Plan, Step
from tests.each import each_of
from tests.tui.fake_source import HOSTILE
from tui.model.plan_text import InvalidPlanText, parse_plan, render_plan
from tui.terminal.sanitize import is_safe

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12) | st.sampled_from(
    HOSTILE[:6]
)
NAMES = st.from_regex(re.compile(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", re.ASCII), fullmatch=True)


@st.composite
def steps(draw: st.DrawFn) -> tuple[StepView, ...]:
    """Steps as the hub gives them."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        argv = (draw(WORDS.filter(bool)), *draw(st.lists(WORDS, max_size=3)))
        env = draw(
            st.dictionaries(st.from_regex(re.compile("[A-Z_]{1,6}", re.ASCII), fullmatch=True), WORDS, max_size=2)
        )
        cwd = draw(st.just("") | WORDS.map(lambda word: "/" + word))
        try:
            made.append(
                Step(
                    argv,
                    tuple(sorted(draw(st.sets(NAMES, min_size=1, max_size=3)))),
                    cwd,
                    tuple(sorted(env.items())),
                    draw(st.integers(1, 3600)),
                )
            )
        except BadPlan:
            made.append(Step(("id",), ("web-1",)))
    return PlanView.of(Plan(tuple(made), "explicit")).steps


@settings(max_examples=80, deadline=None)
@given(steps())
def test_what_was_not_touched_comes_back_the_same(plan: tuple[StepView, ...]) -> None:
    """Word for word, whatever bytes the words have; and the text itself has no character that a terminal would obey."""
    text = render_plan(plan)
    back = parse_plan(text, plan)
    keys = ("argv", "targets", "cwd", "env", "time_limit", "output_cap")
    assert [[getattr(step, key) for key in keys] for step in back] == [
        [getattr(step, key) for key in keys] for step in plan
    ]
    assert all(is_safe(line) for line in text.split("\n")), text


@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_says_where_it_is_none(text: str) -> None:
    """The only error is InvalidPlanText, with a line that is there and a sentence for people."""
    found = None
    try:
        assert parse_plan(text, [])
    except InvalidPlanText as error:
        found = error
    if found is not None:
        assert 1 <= found.line <= text.count("\n") + 1
        assert found.sentence.render("zh")


@each_of(
    ("text", "line"),
    [
        ("", 1),
        ("# only a note\n", 1),
        ("on: a\nfoo: b\n", 2),
        ("on: a\non: b\nrun: id", 2),
        ("on: a\nrun: 'id", 2),
        ("on: a\ntimeout: ３\nrun: id", 2),
        ("on: a\ntimeout: 0\nrun: id", 1),
        ("on: a\nrun: [1]", 2),
        ("on: a\nrun: " + "[" * 5000, 2),
        ("on: a\nenv: X\nrun: id", 2),
        ('on: a\nin: "x\nrun: id', 2),
        ("\n\non: a\n", 3),
        ("on: A B\nrun: id", 1),
        ("on: a\nrun: id\n\nrun: id", 4),
    ],
)
def test_what_is_wrong_and_where(text: str, line: int) -> None:
    """Each mistake with the line to look at."""
    with pytest.raises(InvalidPlanText) as caught:
        parse_plan(text, [])
    assert caught.value.line == line
    assert str(line) in str(caught.value)


def test_notes_and_empty_lines() -> None:
    """A note heads the text and is not part of the plan; blocks are set apart by empty lines, however many."""
    base = PlanView.of(Plan((Step(("id",), ("a",)),), "explicit")).steps
    text = render_plan(base, "a note")
    assert text.startswith("# a note\n\n")
    assert parse_plan(text, base) == parse_plan("\n\n\n" + text + "\n\n# end\n", base)
    limit = parse_plan(text, base)[0].time_limit
    assert parse_plan("on: b, a,b\nrun: id", []) == (
        StepEdit(argv=("id",), targets=("a", "b"), cwd="", env={}, time_limit=limit),
    )


def test_a_word_that_cannot_be_typed_is_written_exactly() -> None:
    """A line where there is one, else the array of words."""
    assert quote_argv(["systemctl", "reload", "nginx"]) == "systemctl reload nginx"
    assert quote_argv(["echo", "a\nb"]).startswith("[")
    assert quote_argv(["echo", "a\u202eb"]).isascii()
    assert quote_argv(["[", "-f", "x", "]"]).startswith('["[",') or quote_argv(["[", "-f", "x", "]"]).startswith("'['")
