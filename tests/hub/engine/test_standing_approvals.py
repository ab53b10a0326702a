"""Approvals that hold for a while, on a real store: given with a yes, used, bounded, taken back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from common.plan import Order, Plan, Step
from common.values import Duration
from hub.api.attention import attention_list, read_facts
from hub.config import ApprovalsTable
from hub.core.outcome import Planned
from hub.core.records import Person, Request
from hub.engine.request_actions import new_request
from hub.engine.unit_of_work import UnitOfWork
from hub.store.transaction import Txn
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness

RESTART = "@web-1 systemctl restart nginx.service"
ASKING, WORKING = RequestState.ASKING, RequestState.WORKING


@pytest.fixture
def on(harness: HubHarness) -> HubHarness:
    """A hub that lets people allow for up to an hour, three times."""
    harness.engine.standing.settings = ApprovalsTable(Duration(3600.0), 3)
    return harness


async def allowed(harness: HubHarness, line: str = RESTART, who: str = "bob", more: str = "") -> Request:
    request = await harness.submit(line)
    said = await harness.reply_text(f"allow r{request.number} for 1h {more}", who)
    assert "takes it back" in said, said
    return harness.request(request.id)


async def test_it_is_off_until_somebody_turns_it_on(harness: HubHarness) -> None:
    """Trust: nothing is allowed for a while by default, and then no longer than hub.toml says; the yes itself is not
    given either, so that nobody thinks otherwise.
    """
    request = await harness.submit(RESTART)
    assert "hub.toml" in await harness.reply_text(f"allow r{request.number} for 1h", "bob")
    harness.engine.standing.settings = ApprovalsTable(Duration(1800.0), 3)
    assert "at most 30 minutes" in await harness.reply_text(f"allow r{request.number} for 1h", "bob")
    assert "for how long" in await harness.reply_text(f"allow r{request.number}", "bob")
    assert harness.request(request.id).state is ASKING
    assert harness.read(lambda txn: txn.live_standing(harness.clock.now)) == []
    harness.engine.standing.settings = ApprovalsTable(Duration(3600.0), 3)
    await allowed(harness)
    harness.engine.standing.settings = ApprovalsTable()
    assert (await harness.submit(RESTART)).state is ASKING


async def test_the_same_again_needs_no_other_yes(on: HubHarness) -> None:
    """Trust: exactly the same, by the same person; the order has a proof of the yes, and the audit says whose."""
    first = await allowed(on)
    assert first.state is WORKING
    again = await on.submit(RESTART)
    assert (again.state, again.plan_hash) == (WORKING, first.plan_hash)
    assert on.reply_kinds(again).count("question") == 0
    orders = [Order.from_bytes(dispatch.order) for dispatch, _ in await on.claim()]
    assert [[proof.person for proof in order.proofs] for order in orders] == [["bob"], ["bob"]]
    (row,) = [row for row in on.events("request.approved") if row.subject == again.id]
    assert (row.actor, row.data["via"], row.data["use"]) == ("bob", "a1", 1)
    (given,) = on.read(lambda txn: txn.approvals(again.id))
    assert (given.person, given.via, len(given.proofs)) == ("bob", "allowed:a1", 1)
    for other in ("@web-1 systemctl restart sshd.service", "@web-1 systemctl stop nginx.service"):
        assert (await on.submit(other)).state is not WORKING, other
    await on.add_machine("web-2")
    assert (await on.submit("@web-1,web-2 systemctl restart nginx.service")).state is ASKING
    assert (await on.submit(RESTART, "dave")).state is ASKING
    assert "bob lets carol run" in await on.reply_text("allowed")


async def test_it_ends(on: HubHarness) -> None:
    """Trust: with its uses, its time, its revocation, the role of whoever gave it, or of whom it is for."""
    await allowed(on)
    assert [(await on.submit(RESTART)).state for _ in range(4)] == [WORKING, WORKING, WORKING, ASKING]
    await allowed(on)
    on.clock.advance(3600)
    assert (await on.submit(RESTART)).state is ASKING
    await allowed(on)
    assert "is taken back" in await on.reply_text("disallow a3", "carol")
    assert (await on.submit(RESTART)).state is ASKING
    assert "no a3" in await on.reply_text("disallow a3", "bob")
    assert "nothing is allowed" in await on.reply_text("allowed")
    on.write(lambda txn: txn.add_person(Person("zoe", ("approver",), on.clock.now, chat=("ops:zoe",))))
    await on.people.refresh()
    await allowed(on, who="zoe")
    before = on.people.row("zoe")
    assert before is not None
    on.write(partial(Txn.save_person, before=before, after=replace(before, roles=("operator",))))
    assert (await on.submit(RESTART)).state is ASKING


async def test_what_waits_by_it_is_not_handed_out_once_it_is_taken_back(on: HubHarness) -> None:
    """Trust: counted at hand-out like any other yes."""
    await allowed(on)
    await on.claim()
    again = await on.submit(RESTART)
    rooms = ApiHarness(on)
    (listed,) = await rooms.call("vera", "allowed")
    facts = on.read(lambda txn: read_facts(txn, on.clock.now))
    needs = attention_list(facts, on.fleet.agents(), on.fleet.online, on.clock.now, "en")
    assert [(need.id, "bob lets carol run" in need.text) for need in needs if need.kind == "allowed"] == [("a1", True)]
    assert (listed["number"], listed["granted_by"], listed["person"], listed["uses"]) == (1, "bob", "carol", 1)
    assert (await rooms.call("dave", "disallow", number=1))["code"] == "no_right"
    assert (await rooms.call("ann", "disallow", number=1))["code"] == "ok"
    assert (await rooms.call("ann", "disallow", number=1))["code"] == "unknown"
    assert await on.claim() == []
    (job,) = on.jobs(again)
    assert job.state is JobState.NOT_STARTED
    assert "bob had allowed for a while was taken back" in job.reason
    assert [row.actor for row in on.events("approval.disallowed")] == ["ann"]


async def test_who_may_not_approve_may_not_allow(on: HubHarness) -> None:
    """Trust: the requester's own, an operator's, one without the second factor that the rule asks for."""
    request = await on.submit(RESTART)
    for user, why in (("carol", "needs another person"), ("dave", "may not")):
        await on.reply_text(f"allow r{request.number} for 1h", user)
        assert on.request(request.id).state is ASKING, why
    assert on.read(lambda txn: txn.live_standing(on.clock.now)) == []


async def test_a_second_factor_is_given_with_it_or_it_does_not_count(on: HubHarness) -> None:
    """Trust: where the rule asks for a code, the yes that holds was given with one; where the rule comes to ask for one
    later, it does not count.
    """
    await allowed(on)
    on.policy = replace(
        on.policy, rules=tuple(replace(rule, second_factor=rule.verdict == "ask") for rule in on.policy.rules)
    )
    again = await on.submit(RESTART)
    assert (again.state, again.second_factor) == (ASKING, True)
    current = await on.enrol_totp("bob")
    assert "code" in await on.reply_text(f"allow r{again.number} for 1h", "bob")
    assert "takes it back" in await on.reply_text(f"allow r{again.number} for 1h {current()}", "bob")
    third = await on.submit(RESTART)
    assert third.state is WORKING
    (given,) = on.read(lambda txn: txn.approvals(third.id))
    assert given.second_factor


async def test_two_approvers_are_two(on: HubHarness) -> None:
    """Trust: one standing yes is one of two; the other is asked for, and may hold too."""
    on.add_rule("twice", verdict="ask", more="approvers = 2")
    line = "@web-1 twice now"
    first = await allowed(on, line)
    assert first.state is ASKING
    second = await on.submit(line)
    assert second.state is ASKING
    await on.submit(f"allow r{second.number} for 30m", "ann")
    assert on.request(second.id).state is WORKING
    assert (await on.submit(line)).state is WORKING


async def test_a_model_s_plan_is_asked_about_each_time(on: HubHarness) -> None:
    """Trust, lesson A5: neither allowed for a while, nor by what was allowed for the same command of a person."""
    on.policy = replace(
        on.policy, rules=tuple(replace(r, own_approval=True) if r.verdict == "ask" else r for r in on.policy.rules)
    )
    request = await allowed(on)
    assert request.plan is not None
    for change in ({"proposed": True, "source": "model:m"}, {"tainted": True}):
        plan = replace(Plan((Step(("systemctl", "restart", "nginx.service"), ("web-1",)),)), **change)
        asked = new_request(person="carol", text="x", language="en", now=on.clock.now)

        def ask(uow: UnitOfWork, asked: Request = asked, plan: Plan = plan) -> None:
            added = uow.txn.add_request(asked)
            assert added is not None
            on.engine.apply_outcome(uow, added, Planned(plan))

        await on.change(ask)
        made = on.request(asked.id)
        assert made.state is ASKING
        told = await ApiHarness(on).call("bob", "approve", number=made.number, allow_for=600.0)
        assert (told["code"], on.request(made.id).state) == ("not_allowed", ASKING)


async def test_a_row_of_somebody_else_allows_nothing(on: HubHarness) -> None:
    """Trust: written into the database, made to last, or for somebody else."""
    request = await allowed(on)
    changes: list[tuple[str, tuple[Any, ...]]] = [
        ("person = 'dave'", ()),
        ("expires_at = expires_at + 86400", ()),
        ("max_uses = 1000", ()),
        ("granted_by = 'ann'", ()),
        ("plan_hash = ?", ("0" * 64,)),
        ("second_factor = 1", ()),
        ("mac = ''", ()),
    ]
    for change, values in changes:
        on.tamper(f"UPDATE standing_approvals SET {change}", *values)  # noqa: S608
        assert on.read(lambda txn: txn.live_standing(on.clock.now)) == [], change
        assert on.read(lambda txn: txn.standing(1)) is None
        assert (await on.submit(RESTART)).state is ASKING, change
        on.tamper("DELETE FROM standing_approvals")
        await allowed(on)
        on.tamper("UPDATE standing_approvals SET number = 1")  # its name alone is not covered
        assert len(on.read(lambda txn: txn.live_standing(on.clock.now))) == 1
    assert request.state is WORKING
