"""An edited plan: what its steps say, and how the audit shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.plan import DEFAULT_TIME_LIMIT, MAX_STEPS, BadPlan, Plan, Step
from hub.core.plan_edit import MAX_PLAN_TEXT, edited_plan, plan_text
from tests.each import each_of

PLAN = Plan((Step(("a", "b"), ("web-1",), cwd="/tmp", env=(("K", "v"),), time_limit=7),), source="chat", tainted=True)


def known(said: str) -> tuple[str, ...]:
    return tuple(sorted(said.split(",")))


def test_what_a_step_does_not_say_is_as_it_was() -> None:
    """In one more step the words have to be said, and directory, environment and time are a new step's."""
    plan = edited_plan(PLAN, [{"argv": ["c"]}, {"argv": ["d"], "targets": "y,x"}], known)
    first = PLAN.steps[0]
    assert plan.steps[0] == replace(first, argv=("c",))
    more = plan.steps[1]
    assert (more.argv, more.targets, more.cwd, more.env) == (("d",), ("x", "y"), "", ())
    assert more.time_limit == DEFAULT_TIME_LIMIT
    assert (plan.source, plan.ttl, plan.tainted) == (PLAN.source, PLAN.ttl, True)


@each_of(
    ("steps", "problem"),
    [
        ([{}] * (MAX_STEPS + 1), "steps: "),
        ([{}, {}], "argv: "),
        ([{"argv": "a b"}], "argv: "),
        ([{"argv": ["a", 1]}], "argv: "),
        ([{"targets": 7}], "targets: "),
        ([{"env": {"A": 1}}], "env: "),
        ([{"cwd": 1}], "cwd: "),
        ([{"time_limit": True}], "time_limit: "),
        ([{"output_cap": "9"}], "output_cap: "),
        (["uptime"], "steps: "),
    ],
)
def test_a_step_of_the_wrong_form_names_its_part(steps: list[Any], problem: str) -> None:
    """Whatever a console sends, it is a bad plan and not a fault."""
    with pytest.raises(BadPlan, match=problem):
        edited_plan(PLAN, steps, known)


def test_a_plan_in_words_is_bounded() -> None:
    """Every fact of a step on a line of its own; a plan that is very long is cut, and none is nothing."""
    assert plan_text(PLAN).split("\n") == ["run: a b", "on: web-1", "in: /tmp", "env: K=v", "limit: 7s"]
    assert plan_text(None) == ""
    many = replace(PLAN, steps=(replace(PLAN.steps[0], targets=tuple(f"machine-{n:04}" for n in range(2_000))),))
    assert len(plan_text(many)) == MAX_PLAN_TEXT
