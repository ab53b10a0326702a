"""A plan as text to edit, and back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.plan import BadPlan, Plan, Step, plan_to_json
from tests.tui.scripted_source import HOSTILE
from tui.plan_text import BadText, command_line, from_text, to_text
from tui.safety import is_safe

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12) | st.sampled_from(
    HOSTILE[:6]
)
NAMES = st.from_regex(re.compile(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", re.ASCII), fullmatch=True)


@st.composite
def steps(draw: st.DrawFn) -> list[dict[str, Any]]:
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
    found: list[dict[str, Any]] = plan_to_json(Plan(tuple(made), "explicit"))["steps"]
    return found


@settings(max_examples=80, deadline=None)
@given(steps())
def test_what_was_not_touched_comes_back_the_same(plan: list[dict[str, Any]]) -> None:
    """Word for word, whatever bytes the words have; and the text itself has no character that a terminal would obey."""
    text = to_text(plan)
    back = from_text(text, plan)
    wanted = [
        {key: step.get(key) for key in ("argv", "targets", "cwd", "env", "time_limit", "output_cap")} for step in plan
    ]
    assert [{key: step.get(key) for key in wanted[0]} for step in back] == wanted
    assert all(is_safe(line) for line in text.split("\n")), text


@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_says_where_it_is_none(text: str) -> None:
    """The only error is BadText, with a line that is there and a sentence for people."""
    found = None
    try:
        assert from_text(text, [])
    except BadText as error:
        found = error
    if found is not None:
        assert 1 <= found.line <= text.count("\n") + 1
        assert found.sentence.say("zh")


@pytest.mark.parametrize(
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
    with pytest.raises(BadText) as caught:
        from_text(text, [])
    assert caught.value.line == line
    assert str(line) in str(caught.value)


def test_notes_and_empty_lines() -> None:
    """A note heads the text and is not part of the plan; blocks are set apart by empty lines, however many."""
    base = plan_to_json(Plan((Step(("id",), ("a",)),), "explicit"))["steps"]
    text = to_text(base, "a note")
    assert text.startswith("# a note\n\n")
    assert from_text(text, base) == from_text("\n\n\n" + text + "\n\n# end\n", base)
    assert from_text("on: b, a,b\nrun: id", []) == [
        {
            "argv": ["id"],
            "targets": ["a", "b"],
            "cwd": "",
            "env": {},
            "time_limit": from_text(text, base)[0]["time_limit"],
        }
    ]


def test_a_word_that_cannot_be_typed_is_written_exactly() -> None:
    """A line where there is one, else the array of words."""
    assert command_line(["systemctl", "reload", "nginx"]) == "systemctl reload nginx"
    assert command_line(["echo", "a\nb"]).startswith("[")
    assert command_line(["echo", "a\u202eb"]).isascii()
    assert command_line(["[", "-f", "x", "]"]).startswith('["[",') or command_line(["[", "-f", "x", "]"]).startswith(
        "'['"
    )
