"""A job, a request, a machine or an event in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.agents import AgentView
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.plans import PlanView
from common.api.requests import RequestDetails, RequestRow
from common.plan import Plan, Step
from common.script import ScriptWord
from tests.common.api.values import objects
from tests.each import each_of
from tests.tui.fake_source import HOSTILE, NOW, agent_row, event_row, job_row, request_row
from tests.tui.rows import agent, event, job, request
from tests.tui.view.test_columns import strange_rows
from tui.terminal.sanitize import is_safe
from tui.text.format import PaneLine, RenderContext
from tui.view import detail

LOOK = RenderContext("en", False, NOW)
MAKERS: dict[Any, list[Callable[[Any], list[PaneLine]]]] = {
    RequestDetails: [
        lambda row: detail.approval_lines(row, LOOK, "alice"),
        lambda row: detail.request_lines(row, LOOK),
        lambda row: detail.request_timeline(row, LOOK),
        detail.raw_lines,
    ],
    RequestRow: [lambda row: detail.request_lines(row, LOOK), detail.raw_lines],
    JobView: [
        lambda row: detail.job_lines(row, LOOK),
        lambda row: detail.job_timeline(row, LOOK),
        detail.raw_lines,
    ],
    AgentView: [lambda row: detail.agent_lines(row, LOOK), detail.raw_lines],
    EventView: [
        lambda row: detail.event_lines(row, LOOK),
        lambda row: [detail.event_line(row, LOOK)],
        detail.raw_lines,
    ],
}


def text(lines: list[PaneLine]) -> str:
    return "\n".join(f"{line.gutter} {line.text}" for line in lines)


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
    lines = detail.approval_lines(request(41, made=plan), LOOK, "alice")
    whole = text(lines)
    assert long in whole
    assert r"\u001b[2J" in whole
    assert all(name in whole for name in (*machines, "db-1"))
    assert "/srv/a b" in whole
    assert r"LANG=C\nX=1" in whole
    assert "99s" in whole
    assert all(is_safe(line.text) for line in lines)


def test_who_may_say_yes() -> None:
    """How many, whether with a code, and that the asker's own does not count; the asker is told in other words."""
    asked = request(41, approvers=2)
    others, own = (
        detail.describe_needed_approvals(asked, LOOK, "alice"),
        detail.describe_needed_approvals(asked, LOOK, "bob"),
    )
    assert "2" in others
    assert others != own
    assert (
        detail.describe_needed_approvals(replace(asked, own_approval=True, second_factor=False), LOOK, "bob") in others
    )


def test_how_many_machines_are_there() -> None:
    """By name where they are few, else by number."""
    plan = Plan((Step(("id",), tuple(f"m{index}" for index in range(5))),), "explicit")
    assert detail.describe_reach(request(1), LOOK) == "web-1"
    assert "5" in detail.describe_reach(request(1, made=plan), LOOK)


def ended_by(job: JobView) -> JobView:
    return replace(job, state="cancelled", signal=15, duration=3.0, reason="by carol")


def test_asked_to_cancel_is_not_cancelled() -> None:
    """While it runs it is told who asked and how long ago; once ended, how it ended."""
    asked = job(1, cancel_asked_by="carol", cancel_asked_at=NOW - 5)
    words = detail.describe_end(asked, LOOK)
    assert "carol" in words
    assert "5s" in words
    ended = detail.describe_end(ended_by(asked), LOOK)
    assert "15" in ended
    assert "5s" not in ended


def test_moments_in_order_with_how_long_each_took() -> None:
    """Those that came, not those that did not."""
    lines = detail.job_timeline(job(1, "failed", accepted_at=None, ended_at=NOW), LOOK)
    assert len(lines) == 4
    assert "+58s" in lines[-1].text
    assert [line.text.split()[-1][0] for line in lines[1:]] == ["+"] * 3


def test_what_an_edit_changes() -> None:
    """A sign before every line that is another one; the same text changes nothing; controls are not passed on."""
    lines = detail.diff_lines("a\nb\nc\n", "a\nB\x1b[2J\nc\n")
    assert [line.text[0] for line in lines if line.tone in ("ok", "bad")] == ["-", "+"]
    assert all(is_safe(line.text) for line in lines)
    assert detail.diff_lines("a\n", "a\n") == []


def test_a_long_record_is_bounded() -> None:
    """A raw record of any size is at most so many lines."""
    assert len(detail.raw_lines(event(1, data={"many": list(range(10_000))}))) == detail.MAX_RAW


@each_of("hostile", HOSTILE)
def test_hostile_text_in_the_usual_fields(hostile: str) -> None:
    """Whatever machines and chats say, every line is one safe line."""
    approvals = [{"person": hostile, "granted": True, "via": hostile, "at": NOW}]
    rows = [
        job(
            1,
            agent=hostile,
            argv=[hostile],
            person=hostile,
            reason=hostile,
            cancel_asked_by=hostile,
            parent=hostile,
            state=hostile,
            notes=[f"left 1 {hostile}", f"lost {hostile}", hostile],
        ),
        request(
            1,
            person=hostile,
            text=hostile,
            reason=hostile,
            rule=hostile,
            inlet=hostile,
            approvals=approvals,
            jobs=[job_row(2, agent=hostile)],
        ),
        agent(
            hostile,
            facts={hostile: hostile},
            version=hostile,
            labels={hostile: hostile},
            paused_by=hostile,
            pause_reason=hostile,
        ),
        event(
            1,
            kind=hostile,
            actor=hostile,
            subject=hostile,
            data={"before": hostile, "after": hostile * 2, "argv": [hostile]},
        ),
    ]
    for row in rows:
        for make in MAKERS[type(row)]:
            for line in make(row):
                assert is_safe(line.text), line


def test_a_field_that_is_no_such_thing() -> None:
    """What a newer or a broken hub says in any field is refused as no row, or told in safe lines."""
    wholes = {
        RequestDetails: request_row(1),
        RequestRow: {"machines": 1, **request_row(1)},
        JobView: job_row(1),
        AgentView: agent_row("a"),
        EventView: event_row(1),
    }
    for kind, whole in wholes.items():
        for row in strange_rows(kind, whole):
            for make in MAKERS[kind]:
                assert all(is_safe(line.text) for line in make(row)), row


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_the_hub_says(kind: Any, data: st.DataObject) -> None:
    """Rows of any values are told in safe lines."""
    row = data.draw(objects(kind))
    for make in MAKERS[kind]:
        assert all(is_safe(line.text) for line in make(row))


def test_an_edit_says_why_before_what() -> None:
    """Who, of which request, why, then the lines that went and came; where one is wrapped it goes on under its text."""
    data = {"plan_hash": "ab", "before": "run: a\non: x", "after": "run: b\non: x", "was": 5, "why": "too much"}
    lines = detail.event_lines(event(1, kind="request.edited", actor="bob", number=6, data=data), LOOK)
    texts = [line.text for line in lines]
    assert any(text.endswith("bob") for text in texts)
    assert any("r6  " in text for text in texts)
    order = [texts.index(text) for text in ("was: 5", "why: too much", "-run: a", "+run: b", "plan_hash: ab")]
    assert order == sorted(order)
    assert next(line for line in lines if line.text == "+run: b").indent == 2
    assert not any(text.startswith(("before", "after")) for text in texts)


def test_what_is_lost_or_left_stands_in_the_pane_and_in_the_timeline() -> None:
    """As warnings, in the reader's language; a loss with a note is not also called output over its cap."""
    noted = job(1, notes=("left 4711 py\x1b[2Jthon", "lost 12345"), truncated=True)
    warned = [line.text for line in detail.job_lines(noted, LOOK) if line.tone == "warn"]
    assert len(warned) == 2
    assert "12.1 KiB" in warned[0]
    assert "4711" in warned[1]
    assert all(is_safe(text) for text in warned)
    (over,) = [line.text for line in detail.job_lines(job(1, truncated=True), LOOK) if line.tone == "warn"]
    assert "cap" in over


def test_the_digest_of_a_script_is_shown_with_its_plan() -> None:
    """Trust (B6, shown is what runs): what runs in a word's place is its content, so the whole digest is there."""
    step = Step(("/usr/bin/python3", "-I", "backup.py"), ("web-1",), script=ScriptWord(2, "ab" * 32))
    lines = detail.plan_lines(PlanView.of(Plan((step,))).steps, LOOK)
    assert any("ab" * 32 in line.text and "backup.py" in line.text for line in lines)


@pytest.mark.parametrize(
    ("ahead", "told"), [(0.26, "+0.3 s"), (-59.0, "-59.0 s"), (3_720.0, "+1 h 2 m"), (-31_536_000.0, "-365 d")]
)
def test_each_machines_clock_stands_in_its_detail(ahead: float, told: str) -> None:
    """Whether it is off or not, so that who looks for it need not wonder."""
    assert detail.format_offset(ahead) == told
