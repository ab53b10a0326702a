"""A plan that is edited while it waits: on whose rights, on which terms, and what becomes of the old request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from common.lifecycle import RequestState
from common.plan import Plan, Step
from hub.core.plan_edit import contributors
from hub.core.records import Request
from hub.engine.actor import ActionResult, Actor
from hub.engine.edit_plan import PlanEditor
from tests.hub.hub_harness import HubHarness

RESTART = "@web-1 systemctl restart nginx.service"
OTHER = [{"argv": ["systemctl", "restart", "cron.service"]}]
PLAN = Plan((Step(("a", "b"), ("web-1",), cwd="/tmp", env=(("K", "v"),), time_limit=7),), source="chat", tainted=True)


async def edit(
    harness: HubHarness, request: Request, steps: Sequence[Mapping[str, Any]], by: str = "bob", **more: Any
) -> ActionResult:
    edits = PlanEditor(lambda: 1_800.0)
    values = {"base_hash": request.plan_hash, "why": "better so", "dry_run": False, **more}
    current, done = harness.request(request.id), []
    await harness.change(
        lambda change: done.append(edits.edit(change, Actor(by, "console"), current, steps=steps, **values))
    )
    told: ActionResult = done[0]
    return told


async def test_the_old_request_ends_and_a_new_one_asks(harness: HubHarness) -> None:
    """The new one is its editor's on behalf of who asked, in the same conversation; the row names both hashes."""
    old = await harness.submit(RESTART)
    done = await edit(harness, old, OTHER)
    new = harness.request(done.data["id"])
    assert (done.code, done.data["number"], done.subject) == ("", new.number, new.id)
    assert harness.request(old.id).state is RequestState.REJECTED
    assert (new.state, new.person, new.behalf, new.parent) == (RequestState.ASKING, "bob", "carol", old.id)
    assert (new.inlet, new.conversation, new.chat_user) == (old.inlet, old.conversation, old.chat_user)
    assert new.plan is not None
    assert [step.argv[-1] for step in new.plan.steps] == ["cron.service"]
    (row,) = harness.events("request.edited", new.id)
    assert (row.actor, row.data["base_hash"], row.data["plan_hash"]) == ("bob", old.plan_hash, new.plan_hash)
    assert (row.data["why"], new.plan_hash == old.plan_hash) == ("better so", False)
    gone, came = (set(row.data[side].split("\n")) for side in ("before", "after"))
    assert [line.rpartition(" ")[2] for line in (*(gone - came), *(came - gone))] == ["nginx.service", "cron.service"]


async def test_neither_editor_nor_asker_says_yes_to_it(harness: HubHarness) -> None:
    """Not after a second edit either: everybody who had a hand in it stays in it."""
    old = await harness.submit(RESTART, "ann")
    first = harness.request((await edit(harness, old, OTHER)).data["id"])
    second_edit = await edit(harness, first, [{"argv": ["systemctl", "restart", "ssh.service"]}], "alice")
    second = harness.request(second_edit.data["id"])
    assert contributors(second) == {"ann", "bob", "alice"}
    for person in ("ann", "bob", "alice"):
        await harness.submit(f"approve r{second.number}", person)
        assert harness.request(second.id).state is RequestState.ASKING


async def test_a_dry_run_tells_the_terms_and_changes_nothing(harness: HubHarness) -> None:
    """What policy lets through at once is asked for all the same; those who made it cannot approve it."""
    old = await harness.submit(RESTART)
    before = harness.events()
    done = await edit(harness, old, [{"argv": ["uptime"]}], dry_run=True)
    assert done.data["verdict"] == "ask", done.data["reason"]
    assert (done.code, done.data["verdict"], done.data["approvers"]) == ("", "ask", 1)
    assert done.data["who"] == ["alice", "ann"]
    assert (done.data["base_hash"], done.data["new"]["steps"][0]["argv"][0]) == (old.plan_hash, "/usr/bin/uptime")
    assert (await edit(harness, old, [{"argv": ["bash"]}], dry_run=True)).data["verdict"] == "deny"
    assert harness.events() == before
    assert harness.request(old.id) == old


async def test_the_environment_of_the_old_rule_does_not_stick_to_another_command(harness: HubHarness) -> None:
    """What a rule gave its program is no part of what a person wrote: with another program the plan is judged afresh,
    whether the old environment is sent along, as a console that shows it does, or not at all; the same program has it
    again; a variable that a person makes up is refused as ever.
    """
    harness.add_rule("paged", more='env = { PAGER = "cat" }', verdict="ask")
    harness.add_rule("plain", verdict="ask")
    old = await harness.submit("@web-1 paged it")
    assert old.plan is not None
    env = dict(old.plan.steps[0].env)
    assert env == {"PAGER": "cat"}
    for said in ({"argv": ["plain", "it"]}, {"argv": ["plain", "it"], "env": env}):
        told = await edit(harness, old, [said], dry_run=True)
        assert told.data["verdict"] == "ask", told.data["reason"]
        assert told.data["new"]["steps"][0].get("env", {}) == {}
    told = await edit(harness, old, [{"argv": ["paged", "that"], "env": {}}], dry_run=True)
    assert told.data["new"]["steps"][0]["env"] == env
    told = await edit(harness, old, [{"argv": ["plain", "it"], "env": {"PAGER": "less"}}], dry_run=True)
    assert told.data["verdict"] == "deny"
    new = harness.request((await edit(harness, old, [{"argv": ["plain", "it"], "env": env}])).data["id"])
    assert new.plan is not None
    assert new.plan.steps[0].env == ()


async def test_the_terms_are_never_easier(harness: HubHarness) -> None:
    """What asked for a second factor and two people still does, though the new plan alone would not."""
    harness.add_rule("drop", more="approvers = 2\nsecond_factor = true", verdict="ask")
    old = await harness.submit("@web-1 drop it")
    assert (old.approvers, old.second_factor) == (2, True)
    new = harness.request((await edit(harness, old, [{"argv": ["uptime"]}])).data["id"])
    assert (new.state, new.approvers, new.second_factor) == (RequestState.ASKING, 2, True)


@pytest.mark.parametrize(
    ("steps", "more", "code"),
    [
        (OTHER, {"base_hash": "0" * 64}, "plan_changed"),
        ([{}], {}, "same_plan"),
        ([{"argv": ["bash"]}], {}, "denied"),
        ([], {}, "bad_plan"),
        ([{"targets": "db-9"}], {}, "bad_plan"),
        ([{"targets": ["db-9"]}], {}, "bad_plan"),
        ([{"user": "root"}], {}, "bad_plan"),
    ],
)
async def test_what_is_no_edit_leaves_the_request_as_it_was(
    harness: HubHarness, steps: list[dict[str, Any]], more: dict[str, Any], code: str
) -> None:
    """Each with its own code; no second request is made."""
    old = await harness.submit(RESTART)
    assert (await edit(harness, old, steps, **more)).code == code
    assert harness.request(old.id) == old
    assert len(harness.read(lambda txn: txn.requests())) == 1


async def test_only_what_still_waits_is_edited(harness: HubHarness) -> None:
    """At the moment its time is over it is late; when it has ended it is not asking."""
    old = await harness.submit(RESTART)
    assert old.decide_by is not None
    harness.clock.now = old.decide_by
    assert (await edit(harness, old, OTHER)).code == "late"
    harness.clock.now -= 1
    assert (await edit(harness, old, OTHER)).code == ""
    assert (await edit(harness, old, OTHER)).code == "not_asking"
