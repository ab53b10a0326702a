"""The demo world speaks the operators' API: declared verbs, their arguments, their results."""

from __future__ import annotations

from typing import Any

import pytest

from common.api import verbs
from common.api.actions import PriorityArgs
from common.api.arguments import NoArgs
from common.api.constraints import BadValue
from common.api.verbs import VERBS
from common.plan import Plan, Step, plan_hash
from tests.tui.demo.answers import answer, approve, asking, create_api, job_in
from tui.client.errors import InvalidCall
from tui.demo.api import DemoApi

CALLS: dict[str, list[dict[str, Any]]] = {
    "request": [{"number": "asking"}],
    "job": [{"id": "running"}],
    "jobs": [{}, {"agent": "db-1"}],
    "audit": [{"after": 0, "limit": 3}],
    "targets": [{"selector": "web-*"}],
    "vitals": [{"agent": "db-1"}],
    "models": [{}],
    "inlets": [{}],
    "approve": [{"number": "asking"}, {"number": "asking", "code": "123456"}],
    "reject": [{"number": "asking", "why": "no"}],
    "edit": [{"number": "asking", "steps": [{"argv": ["/bin/ls"]}], "dry_run": dry} for dry in (True, False)],
    "cancel": [{"job": "running"}, {"number": "asking"}, {"job": "succeeded"}],
    "retry": [{"job": "succeeded"}],
    "priority": [{"jobs": ["queued"], "priority": 9, "dry_run": dry} for dry in (True, False)],
    "settle": [{"job": "unknown", "done": True}, {"job": "running", "done": True}],
    "pause": [{}, {"agent": "db-1"}],
    "resume": [{}, {"agent": "db-2"}],
    "drain": [{"agent": "db-1", "cancel_after": 5}],
    "undrain": [{"agent": "db-1"}],
    "wake": [{"agent": "db-1"}],
    "waking": [{"agent": "db-1"}],
    "run": [{"target": "db-1", "argv": ["/usr/bin/df"]}, {"target": "db-1", "argv": ["/bin/rm"]}],
    "take_back": [{"number": "asking"}],
}
"""Arguments of each verb; a state stands for the request or job that is in it."""


@pytest.fixture
def api() -> DemoApi:
    return create_api()


def named(api: DemoApi, value: Any) -> Any:
    """The number or id that a state stands for."""
    if isinstance(value, list):
        return [named(api, part) for part in value]
    if value == "asking":
        return asking(api).number
    return job_in(api, value).id if value in ("running", "queued", "unknown", "succeeded") else value


def test_every_verb_is_a_declared_one(api: DemoApi) -> None:
    """The one of the registry, under its own name; and each is tried here."""
    assert {name: VERBS[name] for name in api.offered} == api.offered
    assert CALLS.keys() == api.offered.keys()


@pytest.mark.parametrize(
    ("name", "args"),
    [
        pytest.param(name, args, id=f"{name}-{index}")
        for name, calls in CALLS.items()
        for index, args in enumerate(calls)
    ],
)
def test_results_are_of_the_declared_type(api: DemoApi, name: str, args: dict[str, Any]) -> None:
    """What each verb answers, done or refused, is encoded and decoded as its declared result and stays the same."""
    verb = VERBS[name]
    result = answer(api, name, **{key: named(api, value) for key, value in args.items()})
    again = verb.decode_result(verb.encode_result(result))
    assert type(again) is type(result)
    assert verb.encode_result(again) == verb.encode_result(result)
    if verb.kind == "action" and not result.is_ok:
        assert result.code in {*verb.errors, "policy", "locked"}


def test_answers_stay_as_they_were(api: DemoApi) -> None:
    """What was answered does not change with the world."""
    request = asking(api)
    told = answer(api, "request", number=request.number)
    approve(api, request)
    assert told.is_asking
    assert not api.world.requests[request.id].is_asking


@pytest.mark.parametrize("given", [{}, {"number": 999_999}, {"job": "NONE", "agent": "none*", "target": "none"}])
def test_nonsense_is_refused_in_words(api: DemoApi, given: dict[str, Any]) -> None:
    """No verb fails at its arguments: it does what can be done without them, or says what is wrong."""
    for name, verb in api.offered.items():
        args = {key: value for key, value in given.items() if key in verb.args.__dataclass_fields__}
        try:
            said = str(answer(api, name, **args))
        except (InvalidCall, BadValue) as error:
            said = str(error)
        assert said, name


def test_arguments_are_checked_as_at_a_hub(api: DemoApi) -> None:
    """Arguments out of their bounds are refused by name, and so is a verb that is not offered."""
    with pytest.raises(InvalidCall, match="priority: a whole number from 0 to 9"):
        api.call(verbs.PRIORITY, PriorityArgs(jobs=("x",), priority=12))
    with pytest.raises(InvalidCall, match="no verb 'drafts'"):
        api.call(verbs.DRAFTS, NoArgs())


def test_a_plan_here_is_a_plan_at_the_hub(api: DemoApi) -> None:
    """The hash that is approved is that of the plan that is shown."""
    for request in api.world.requests.values():
        assert request.plan is not None
        steps = tuple(Step(step.argv, step.targets, time_limit=step.time_limit) for step in request.plan.steps)
        assert plan_hash(Plan(steps, request.plan.source)) == request.plan_hash
