"""Calls the demo world's verbs as a hub's are called: by their arguments as plain values."""

from __future__ import annotations

from typing import Any

from common.api.jobs import JobView
from common.api.requests import RequestDetails
from common.api.verbs import VERBS
from tui.demo.api import DemoApi
from tui.demo.cast import CODE
from tui.demo.past import generate_history
from tui.demo.story import create_world
from tui.demo.world import DemoWorld

NOW = 1_790_000_000.0


def create_api() -> DemoApi:
    world = create_world(7, "small", NOW)
    return DemoApi(world, generate_history(7, 20, list(world.agents), NOW - 900))


def answer(api: DemoApi, verb: str, **args: Any) -> Any:
    """The typed result; raises InvalidCall, or BadValue where the arguments are of another form."""
    return api.call(VERBS[verb], VERBS[verb].decode_args(args))


def done(api: DemoApi, verb: str, **args: Any) -> Any:
    """The result of an action that was done, with words."""
    result = answer(api, verb, **args)
    assert result.is_ok, result
    return result


def refused(api: DemoApi, verb: str, **args: Any) -> str:
    """The code of a refusal; its words are there too."""
    result = answer(api, verb, **args)
    assert not result.is_ok
    assert result.text
    return str(result.code)


def asking(api: DemoApi, person: str = "bob") -> RequestDetails:
    """The request of a person that waits for an approval."""
    return next(one for one in api.world.requests.values() if one.is_asking and one.person == person)


def job_in(api: DemoApi, state: str, agent: str = "") -> JobView:
    return next(job for job in api.world.jobs.values() if job.state == state and (not agent or job.agent == agent))


def approve(api: DemoApi, request: RequestDetails, **more: Any) -> Any:
    args = {"number": request.number, "plan_hash": request.plan_hash, "code": CODE, "nonce": "n"}
    return done(api, "approve", **{**args, **more})


def kinds(world: DemoWorld, subject: str) -> list[str]:
    return [event.kind for event in world.events if event.subject == subject]
