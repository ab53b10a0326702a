"""How an action is done, written down and answered."""

from __future__ import annotations

from common.api import verbs
from common.api.actions import TakeBackResult
from common.api.arguments import RequestArgs
from common.catalogue import Sentence
from hub.api.context import actor_of, to_result
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork
from tests.hub.api_harness import REMOTE, api_context, caller
from tests.hub.hub_harness import HubHarness


async def test_an_act_is_a_row_with_who_and_from_where(harness: HubHarness) -> None:
    """Only what was done is; a refusal is answered with its code, and a dry run does nothing."""
    context, tried = api_context(harness), []
    code = ""

    def perform(uow: UnitOfWork, actor: Actor, args: RequestArgs) -> ActionResult:
        tried.append((actor.person, args.id))
        return ActionResult(Sentence("none_waiting"), code, {"count": 2}, "r-1")

    args = RequestArgs(id="r-1")
    told = await context.run_action(caller("bob"), verbs.TAKE_BACK, args, perform)
    assert (told.code, told.count) == ("ok", 2)
    (row,) = harness.events("act.done")
    assert (row.subject, row.actor) == ("r-1", "bob")
    assert row.data == {"verb": "take_back", "via": "console", "from": REMOTE}
    assert (await context.run_action(caller("bob"), verbs.TAKE_BACK, args, perform, dry_run=True)).is_ok
    code = "too_late"
    assert (await context.run_action(caller("bob"), verbs.TAKE_BACK, args, perform)).code == "too_late"
    assert tried == [("bob", "r-1")] * 3
    assert len(harness.events("act.done")) == 1


def test_who_acts_is_the_caller_at_the_console() -> None:
    """With the address of the console."""
    assert actor_of(caller("bob")) == Actor("bob", "console", remote=REMOTE)


def test_a_result_is_in_the_language_of_the_call() -> None:
    """With what the engine says for programs, in the type of the verb."""
    done = ActionResult(Sentence("none_waiting"), "", {"handed_out": 3})
    english, chinese = to_result(verbs.TAKE_BACK, done, "en"), to_result(verbs.TAKE_BACK, done, "zh")
    assert english == TakeBackResult(code="ok", text=english.text, handed_out=3)
    assert english.text != chinese.text
