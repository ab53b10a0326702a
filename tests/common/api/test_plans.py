"""Plans as operators see them: the same JSON as in the store."""

from __future__ import annotations

import pytest

from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.plans import PlanRow, PlanView, StepRow
from common.plan import Plan, Step, plan_from_json, plan_to_json

STEP = Step(("df", "-h"), ("a", "b"), cwd="/srv", env=(("A", "b"),), time_limit=5, output_cap=9)


@pytest.mark.parametrize("plan", [Plan((STEP,)), Plan((STEP, STEP), "model:x", 5, True, True, "why")])
def test_a_plan_in_full(plan: Plan) -> None:
    """The form of `plan_to_json`, which gives the same plan back."""
    view = PlanView.of(plan)
    assert encode(view) == plan_to_json(plan)
    assert decode(PlanView, plan_to_json(plan)) == view
    assert plan_from_json(encode(view)) == plan
    assert (view.targets, view.is_cut, view.steps[0].is_cut, view.steps[0].machine_count) == (
        ("a", "b"),
        False,
        False,
        2,
    )


def test_a_cut_plan_is_not_taken_for_a_whole_one() -> None:
    """An approval is about all of it."""
    row = PlanRow(steps=(StepRow(argv=("df",), targets=("a",), target_count=1),), step_count=1, ttl=5)
    assert (row.is_cut, row.targets) == (False, ("a",))
    with pytest.raises(BadValue, match=r"^steps\.0\.env: missing$"):
        decode(PlanView, encode(row))


def test_a_row_says_whether_it_is_all() -> None:
    """Fewer steps, fewer machines, or words that are cut."""
    step = StepRow(argv=("df",), targets=("a",), target_count=1)
    more = StepRow(argv=("df",), argv_cut=True, targets=("a",), target_count=1)
    assert PlanRow(steps=(step,), step_count=2).is_cut
    assert PlanRow(steps=(more,), step_count=1).is_cut
    assert StepRow(argv=("df",), targets=("a",), target_count=9).is_cut
    assert StepRow(argv=("df",), targets=("a",), target_count=9).machine_count == 9
