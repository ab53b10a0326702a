"""A plan that is edited while it waits: on whose rights, on which terms, and what becomes of the old request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from common.lifecycle import RequestState
from common.plan import DEFAULT_TIME_LIMIT, MAX_STEPS, BadPlan, Plan, Step
from hub.acts import By, Done
from hub.acts_edit import MAX_WORDS, Edits, askers_after_edit, edited_plan, plan_words
from hub.records import Request
from tests.hub.house import House

RESTART = "@web-1 systemctl restart nginx.service"
OTHER = [{"argv": ["systemctl", "restart", "cron.service"]}]
PLAN = Plan((Step(("a", "b"), ("web-1",), cwd="/tmp", env=(("K", "v"),), time_limit=7),), source="chat", tainted=True)


async def edit(
    inside: House, request: Request, steps: Sequence[Mapping[str, Any]], by: str = "bob", **more: Any
) -> Done:
    edits = Edits(inside.people, inside.fleet, inside.engine.checker, 1_800.0)
    values = {"base_hash": request.plan_hash, "why": "better so", "dry_run": False, **more}
    current, done = inside.request(request.id), []
    await inside.change(
        lambda change: done.append(edits.edit(change, By(by, "console"), current, steps=steps, **values))
    )
    told: Done = done[0]
    return told


def known(said: str) -> tuple[str, ...]:
    return tuple(sorted(said.split(",")))


async def test_the_old_request_ends_and_a_new_one_asks(inside: House) -> None:
    """The new one is its editor's on behalf of who asked, in the same conversation; the row names both hashes."""
    old = await inside.ask(RESTART)
    done = await edit(inside, old, OTHER)
    new = inside.request(done.more["id"])
    assert (done.code, done.more["number"], done.subject) == ("", new.number, new.id)
    assert inside.request(old.id).state is RequestState.REJECTED
    assert (new.state, new.person, new.behalf, new.parent) == (RequestState.ASKING, "bob", "carol", old.id)
    assert (new.inlet, new.conversation, new.chat_user) == (old.inlet, old.conversation, old.chat_user)
    assert new.plan is not None
    assert [step.argv[-1] for step in new.plan.steps] == ["cron.service"]
    (row,) = inside.events("request.edited", new.id)
    assert (row.actor, row.data["base_hash"], row.data["plan_hash"]) == ("bob", old.plan_hash, new.plan_hash)
    assert (row.data["why"], new.plan_hash == old.plan_hash) == ("better so", False)
    gone, came = (set(row.data[side].split("\n")) for side in ("before", "after"))
    assert [line.rpartition(" ")[2] for line in (*(gone - came), *(came - gone))] == ["nginx.service", "cron.service"]


async def test_neither_editor_nor_asker_says_yes_to_it(inside: House) -> None:
    """Not after a second edit either: everybody who had a hand in it stays in it."""
    old = await inside.ask(RESTART, "ann")
    first = inside.request((await edit(inside, old, OTHER)).more["id"])
    second_edit = await edit(inside, first, [{"argv": ["systemctl", "restart", "ssh.service"]}], "alice")
    second = inside.request(second_edit.more["id"])
    assert askers_after_edit(second) == {"ann", "bob", "alice"}
    for person in ("ann", "bob", "alice"):
        await inside.ask(f"approve r{second.number}", person)
        assert inside.request(second.id).state is RequestState.ASKING


async def test_a_dry_run_tells_the_terms_and_changes_nothing(inside: House) -> None:
    """What policy lets through at once is asked for all the same; those who made it cannot approve it."""
    old = await inside.ask(RESTART)
    before = inside.events()
    done = await edit(inside, old, [{"argv": ["uptime"]}], dry_run=True)
    assert done.more["verdict"] == "ask", done.more["reason"]
    assert (done.code, done.more["verdict"], done.more["approvers"]) == ("", "ask", 1)
    assert done.more["who"] == ["alice", "ann"]
    assert (done.more["base_hash"], done.more["new"]["steps"][0]["argv"][0]) == (old.plan_hash, "/usr/bin/uptime")
    assert (await edit(inside, old, [{"argv": ["bash"]}], dry_run=True)).more["verdict"] == "deny"
    assert inside.events() == before
    assert inside.request(old.id) == old


async def test_the_environment_of_the_old_rule_does_not_stick_to_another_command(inside: House) -> None:
    """What a rule gave its program is no part of what a person wrote: with another program the plan is judged afresh,
    whether the old environment is sent along, as a console that shows it does, or not at all; the same program has it
    again; a variable that a person makes up is refused as ever.
    """
    inside.allow("paged", more='env = { PAGER = "cat" }', verdict="ask")
    inside.allow("plain", verdict="ask")
    old = await inside.ask("@web-1 paged it")
    assert old.plan is not None
    env = dict(old.plan.steps[0].env)
    assert env == {"PAGER": "cat"}
    for said in ({"argv": ["plain", "it"]}, {"argv": ["plain", "it"], "env": env}):
        told = await edit(inside, old, [said], dry_run=True)
        assert told.more["verdict"] == "ask", told.more["reason"]
        assert told.more["new"]["steps"][0].get("env", {}) == {}
    told = await edit(inside, old, [{"argv": ["paged", "that"], "env": {}}], dry_run=True)
    assert told.more["new"]["steps"][0]["env"] == env
    told = await edit(inside, old, [{"argv": ["plain", "it"], "env": {"PAGER": "less"}}], dry_run=True)
    assert told.more["verdict"] == "deny"
    new = inside.request((await edit(inside, old, [{"argv": ["plain", "it"], "env": env}])).more["id"])
    assert new.plan is not None
    assert new.plan.steps[0].env == ()


async def test_the_terms_are_never_easier(inside: House) -> None:
    """What asked for a second factor and two people still does, though the new plan alone would not."""
    inside.allow("drop", more="approvers = 2\nsecond_factor = true", verdict="ask")
    old = await inside.ask("@web-1 drop it")
    assert (old.approvers, old.second_factor) == (2, True)
    new = inside.request((await edit(inside, old, [{"argv": ["uptime"]}])).more["id"])
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
    inside: House, steps: list[dict[str, Any]], more: dict[str, Any], code: str
) -> None:
    """Each with its own code; no second request is made."""
    old = await inside.ask(RESTART)
    assert (await edit(inside, old, steps, **more)).code == code
    assert inside.request(old.id) == old
    assert len(inside.read(lambda txn: txn.requests())) == 1


async def test_only_what_still_waits_is_edited(inside: House) -> None:
    """At the moment its time is over it is late; when it has ended it is not asking."""
    old = await inside.ask(RESTART)
    assert old.decide_by is not None
    inside.clock.now = old.decide_by
    assert (await edit(inside, old, OTHER)).code == "late"
    inside.clock.now -= 1
    assert (await edit(inside, old, OTHER)).code == ""
    assert (await edit(inside, old, OTHER)).code == "not_asking"


def test_what_a_step_does_not_say_is_as_it_was() -> None:
    """In one more step the words have to be said, and directory, environment and time are a new step's."""
    plan = edited_plan(PLAN, [{"argv": ["c"]}, {"argv": ["d"], "targets": "y,x"}], known)
    first = PLAN.steps[0]
    assert plan.steps[0] == replace(first, argv=("c",))
    more = plan.steps[1]
    assert (more.argv, more.targets, more.cwd, more.env) == (("d",), ("x", "y"), "", ())
    assert more.time_limit == DEFAULT_TIME_LIMIT
    assert (plan.source, plan.ttl, plan.tainted) == ("operator", PLAN.ttl, True)


@pytest.mark.parametrize(
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
    assert plan_words(PLAN).split("\n") == ["run: a b", "on: web-1", "in: /tmp", "env: K=v", "limit: 7s"]
    assert plan_words(None) == ""
    many = replace(PLAN, steps=(replace(PLAN.steps[0], targets=tuple(f"machine-{n:04}" for n in range(2_000))),))
    assert len(plan_words(many)) == MAX_WORDS
