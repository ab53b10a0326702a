"""A request's forms: what several readers ask of them."""

from __future__ import annotations

import dataclasses

import pytest

from common.api.codec import decode, encode
from common.api.plans import PlanRow, PlanView, StepRow
from common.api.requests import ApprovalView, RequestDetails, RequestRow, RequestView
from common.filter.match import FLAG_PREDICATES
from common.lifecycle import RequestState
from common.plan import Plan, Step

PLAN = Plan((Step(("df",), ("a", "b")), Step(("uptime",), ("b", "c"))), source="runbook:disk")
REQUEST = RequestView(
    id="r",
    number=42,
    state="asking",
    person="p",
    plan=PlanView.of(PLAN),
    plan_hash="h",
    second_factor=False,
    received_at=1.0,
)


@pytest.mark.parametrize("state", [*RequestState, "asleep"])
@pytest.mark.parametrize("behalf", [(), ("carol",)])
def test_conditions_are_those_of_the_filter_language(state: str, behalf: tuple[str, ...]) -> None:
    """What `is:` names there."""
    request = dataclasses.replace(REQUEST, state=str(state), behalf=behalf)
    flags = {name: flag(encode(request), 0.0) for name, flag in FLAG_PREDICATES["requests"].items()}
    assert flags == {"open": request.is_open, "ended": request.is_ended, "edited": request.is_edited}
    assert (request.is_asking, request.is_working) == (state == "asking", state == "working")


def test_machines_and_steps() -> None:
    """Of a plan in full; of none there are none."""
    assert (REQUEST.targets, REQUEST.machine_count, len(REQUEST.steps)) == (("a", "b", "c"), 3, 2)
    assert (REQUEST.runbook, REQUEST.is_cut) == ("disk", False)
    bare = dataclasses.replace(REQUEST, plan=None)
    assert (bare.steps, bare.targets, bare.machine_count, bare.runbook, bare.is_cut) == ((), (), 0, "", False)


def test_a_row_counts_what_it_does_not_name() -> None:
    """Its plan is cut."""
    step = StepRow(argv=("df",), targets=("a",), target_count=900)
    plan = PlanRow(steps=(step,), step_count=1)
    same = {name: getattr(REQUEST, name) for name in ("id", "number", "state", "person", "plan_hash")}
    row = RequestRow(**same, plan=plan, second_factor=True, received_at=1.0, machines=900, given=1)
    assert (row.machine_count, row.is_cut, row.targets) == (900, True, ("a",))
    assert decode(RequestRow, encode(row)) == row


def test_approvals_are_counted() -> None:
    """A no is none; where the hub does not tell them there are none."""
    shared = {field.name: getattr(REQUEST, field.name) for field in dataclasses.fields(REQUEST)}
    details = RequestDetails(**shared)
    assert (details.given, "approvals" in encode(details)) == (0, False)
    given = tuple(ApprovalView(person="b", granted=yes, via="console", at=1.0) for yes in (True, False))
    assert dataclasses.replace(details, approvals=given).given == 1


def test_a_later_row_changes_all_but_the_texts_and_the_plan() -> None:
    """They are cut in a list."""
    given = dict.fromkeys(("person", "plan_hash"), "") | {"id": "r", "second_factor": False, "received_at": 1.0}
    details = RequestDetails(**given, number=1, state="asking", text="the whole text", plan=None, job_count=2)
    row = RequestRow(**given, number=1, state="refused", text="the wh", plan=None)
    found = details.updated(row)
    assert (found.state, found.text, found.job_count, found.is_refused) == ("refused", "the whole text", 2, True)
    assert not details.is_refused
