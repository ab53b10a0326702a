"""How a call reaches its handler: rights, arguments, result."""

from __future__ import annotations

from typing import Any

import pytest

from common.api import verbs
from common.api.actions import SettleArgs, SettleResult
from common.api.queries import CompleteArgs, Completions
from common.errors import Denied
from hub.api.dispatch import Endpoint
from hub.links.console import Caller, InvalidArguments
from tests.hub.api_harness import caller
from tests.hub.hub_harness import HubHarness


async def settle(asked: Caller, args: SettleArgs) -> SettleResult:
    return SettleResult(code="ok", text=f"{asked.person} {args.job} {args.done}")


async def complete(asked: Caller, args: CompleteArgs) -> Completions:
    return Completions(start=0, end=args.cursor or 0, candidates=("a",))


async def test_a_handler_gets_and_gives_types(harness: HubHarness) -> None:
    """The map of a call comes in, the answer's map goes out."""
    endpoint = Endpoint(verbs.SETTLE, settle, harness.people)
    assert await endpoint(caller("bob"), {"job": "j", "done": True}) == {"code": "ok", "text": "bob j True"}


@pytest.mark.parametrize("args", [{"job": "j", "done": True}, {"done": 3}, {"nonsense": 1}])
async def test_without_the_right_an_action_is_answered(harness: HubHarness, args: dict[str, Any]) -> None:
    """Before the arguments are read, whatever is wrong with them."""
    answer = await Endpoint(verbs.SETTLE, settle, harness.people)(caller("carol"), args)
    text = "carol may not settle: needs the role approver or higher, which alice, ann, bob have"
    assert answer == {"code": "no_right", "text": text}


async def test_without_the_right_a_query_fails(harness: HubHarness) -> None:
    """As those do that are subscribed to."""
    with pytest.raises(Denied, match="may not jobs"):
        await Endpoint(verbs.COMPLETE, complete, harness.people)(caller("nobody"), {"view": "jobs"})


async def test_arguments_may_take_another_right(harness: HubHarness) -> None:
    """That is checked once they are read."""
    endpoint = Endpoint(verbs.COMPLETE, complete, harness.people)
    assert await endpoint(caller("vera"), {"view": "jobs", "cursor": 2}) == {"start": 0, "end": 2, "candidates": ["a"]}
    with pytest.raises(Denied, match="may not audit"):
        await endpoint(caller("vera"), {"view": "audit"})


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"job": "j"}, "done: true or false is expected"),
        ({"job": "j", "done": 1}, "done: true or false is expected"),
        ({"job": "j", "done": True, "nubmer": 7}, "nubmer: there is no such argument"),
    ],
)
async def test_arguments_that_are_none(harness: HubHarness, args: dict[str, Any], said: str) -> None:
    """Are the caller's mistake, in the words of the declaration."""
    with pytest.raises(InvalidArguments, match=f"^{said}$"):
        await Endpoint(verbs.SETTLE, settle, harness.people)(caller("bob"), args)
