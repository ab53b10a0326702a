"""A job, a request, a machine or an event in full."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.plan import Plan, Step, plan_to_json
from tests.tui.scripted_source import HOSTILE, NOW, agent_row, event_row, job_row, request_row
from tests.tui.test_rows import ANY, FIELDS, STRANGE
from tui import detail_text as told
from tui.format import Line, Look
from tui.safety import is_safe

LOOK = Look("en", False, NOW)
MORE = [
    "approvals",
    "differs",
    "jobs",
    "facts",
    "data",
    "max_rss",
    "output_digest",
    "truncated",
    "parent",
    "online",
    "tainted",
]
MAKERS: Any = [
    lambda row: told.approve_lines(row, LOOK, "alice"),
    lambda row: told.request_lines(row, LOOK),
    lambda row: told.request_timeline(row, LOOK),
    lambda row: told.job_head(row, LOOK),
    lambda row: told.job_lines(row, LOOK),
    lambda row: told.job_timeline(row, LOOK),
    lambda row: told.agent_lines(row, LOOK),
    lambda row: told.event_lines(row, LOOK),
    lambda row: [told.event_line(row, LOOK)],
    lambda row: told.raw_lines(row),
]


def text(lines: list[Line]) -> str:
    return "\n".join(f"{line.mark} {line.text}" for line in lines)


def test_an_approval_shows_all_of_what_will_run() -> None:
    """Every word of every step, however long, every machine, variable and folder; nothing is cut."""
    long = "x" * 8_000
    machines = tuple(f"web-{index:04}" for index in range(300))
    plan = Plan(
        (
            Step(("echo", long, "a b\n\x1b[2J"), machines, "/srv/a b", (("LANG", "C\nX=1"),), 99),
            Step(("id",), ("db-1",)),
        ),
        "explicit",
    )
    lines = told.approve_lines(request_row(41, made=plan), LOOK, "alice")
    whole = text(lines)
    assert long in whole
    assert r"\u001b[2J" in whole
    assert all(name in whole for name in (*machines, "db-1"))
    assert "/srv/a b" in whole
    assert r"LANG=C\nX=1" in whole
    assert "99 s" in whole
    assert all(is_safe(line.text) for line in lines)


def test_who_may_say_yes() -> None:
    """How many, whether with a code, and that the asker's own does not count; the asker is told in other words."""
    asked = request_row(41, approvers=2)
    others, own = told.needs_words(asked, LOOK, "alice"), told.needs_words(asked, LOOK, "bob")
    assert "2" in others
    assert others != own
    assert told.needs_words(asked | {"own_approval": True, "second_factor": False}, LOOK, "bob") in others


def test_how_many_machines_are_there() -> None:
    """By name where they are few, else by number; those that are away are counted."""
    plan = plan_to_json(Plan((Step(("id",), tuple(f"m{index}" for index in range(5))),), "explicit"))
    assert told.reach(request_row(1), LOOK) == "web-1"
    assert "2" in told.reach(request_row(1, plan=plan, online=3), LOOK)
    assert "5" in told.reach(request_row(1, plan=plan), LOOK)


def test_asked_to_cancel_is_not_cancelled() -> None:
    """While it runs it is told who asked and how long ago; once ended, how it ended."""
    asked = job_row(1, cancel_asked_by="carol", cancel_asked_at=NOW - 5)
    words = told.end_words(asked, LOOK)
    assert "carol" in words
    assert "5s" in words
    ended = told.end_words(asked | {"state": "cancelled", "signal": 15, "duration": 3.0, "reason": "by carol"}, LOOK)
    assert "15" in ended
    assert "5s" not in ended


def test_moments_in_order_with_how_long_each_took() -> None:
    """Those that came, not those that did not."""
    lines = told.job_timeline(job_row(1, "failed", accepted_at=None, ended_at=NOW), LOOK)
    assert len(lines) == 4
    assert "+58s" in lines[-1].text
    assert [line.text.split()[-1][0] for line in lines[1:]] == ["+"] * 3


def test_what_an_edit_changes() -> None:
    """A sign before every line that is another one; the same text changes nothing; controls are not passed on."""
    lines = told.diff_lines("a\nb\nc\n", "a\nB\x1b[2J\nc\n")
    assert [line.text[0] for line in lines if line.tone in ("ok", "bad")] == ["-", "+"]
    assert all(is_safe(line.text) for line in lines)
    assert told.diff_lines("a\n", "a\n") == []


def test_a_long_record_is_bounded() -> None:
    """A raw record of any size is at most so many lines."""
    assert len(told.raw_lines({"id": "x", "many": list(range(10_000))})) == told.MAX_RAW


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_in_the_usual_fields(hostile: str) -> None:
    """Whatever machines and chats say, every line is one safe line."""
    rows = [
        job_row(
            1,
            agent=hostile,
            argv=[hostile],
            person=hostile,
            reason=hostile,
            cancel_asked_by=hostile,
            parent=hostile,
            state=hostile,
        ),
        request_row(1, person=hostile, text=hostile, reason=hostile, rule=hostile, differs=[hostile], inlet=hostile)
        | {"approvals": [{"person": hostile, "via": hostile, "at": NOW}], "jobs": [job_row(2, agent=hostile)]},
        agent_row(
            hostile,
            facts={hostile: hostile},
            version=hostile,
            labels={hostile: hostile},
            paused_by=hostile,
            pause_reason=hostile,
        ),
        event_row(
            1,
            kind=hostile,
            actor=hostile,
            subject=hostile,
            data={"before": hostile, "after": hostile * 2, "argv": [hostile]},
        ),
    ]
    for row in rows:
        for make in MAKERS:
            for line in make(row):
                assert is_safe(line.text), line


def test_a_field_that_is_no_such_thing() -> None:
    """What a newer or a broken hub says in any field raises nothing."""
    whole = {**event_row(1), **agent_row("a"), **request_row(1), **job_row(1)}
    for field in [*FIELDS, *MORE]:
        for value in STRANGE:
            for index, make in enumerate(MAKERS):
                try:
                    assert all(is_safe(line.text) for line in make({**whole, field: value, "id": "x"}))
                except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
                    raise AssertionError(f"maker {index}, {field}={value!r}: {error!r}") from error


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, *MORE]), ANY, max_size=20))
def test_whatever_the_hub_says(row: dict[str, Any]) -> None:
    """Rows of any fields of any type are told in safe lines."""
    for make in MAKERS:
        assert all(is_safe(line.text) for line in make({**row, "id": "x"}))


def test_an_edit_says_why_before_what() -> None:
    """Who, of which request, why, then the lines that went and came; where one is wrapped it goes on under its text."""
    data = {"plan_hash": "ab", "before": "run: a\non: x", "after": "run: b\non: x", "was": 5, "why": "too much"}
    lines = told.event_lines(event_row(1, kind="request.edited", actor="bob", number=6, data=data), LOOK)
    texts = [line.text for line in lines]
    assert any(text.endswith("bob") for text in texts)
    assert any("r6  " in text for text in texts)
    order = [texts.index(text) for text in ("was: 5", "why: too much", "-run: a", "+run: b", "plan_hash: ab")]
    assert order == sorted(order)
    assert next(line for line in lines if line.text == "+run: b").indent == 2
    assert not any(text.startswith(("before", "after")) for text in texts)
