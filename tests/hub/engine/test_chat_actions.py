"""What chat messages ask for beside work: which request they mean, and what they are answered."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import JobState, RequestState
from hub.core.records import Person
from tests.hub.engine.test_request_actions import approve
from tests.hub.hub_harness import NOW, HubHarness

RESTART = "@web-1 systemctl restart nginx.service"  # one yes of somebody else


async def test_a_plan_too_long_for_chat_is_not_approved_there(harness: HubHarness) -> None:
    """What was not shown whole is approved where it is: at the console."""
    harness.add_rule("long", verdict="ask", more="approvers = 1")
    request = await harness.submit("@web-1 long " + " ".join(["x" * 200] * 30))
    assert request.state is RequestState.ASKING
    assert "console" in await harness.reply_text(f"approve r{request.number}", "bob")
    assert harness.request(request.id).state is RequestState.ASKING
    assert (await approve(harness, request, plan_hash=request.plan_hash)).code == ""


async def test_without_a_number_the_only_one_of_this_conversation_is_meant(harness: HubHarness) -> None:
    """Another room's is not; two of them are asked about, none is said."""
    assert "nothing is waiting" in await harness.reply_text("approve", "bob")
    elsewhere = await harness.submit(RESTART, conversation="other")
    assert "nothing is waiting" in await harness.reply_text("approve", "bob")
    first = await harness.submit(RESTART)
    await harness.submit("approve", "bob")
    assert harness.request(first.id).state is RequestState.WORKING
    second, third = await harness.submit(RESTART), await harness.submit(RESTART)
    said = await harness.reply_text("approve", "bob")
    assert f"r{third.number}, r{second.number}" in said
    assert harness.request(elsewhere.id).state is RequestState.ASKING


async def test_what_is_not_there_cannot_be_approved(harness: HubHarness) -> None:
    """A number of nothing, and of something that does not wait."""
    assert "no request r999" in await harness.reply_text("approve r999", "bob")
    request = await harness.submit("@web-1 uptime")
    assert "does not wait for approval" in await harness.reply_text(f"approve r{request.number}", "bob")


async def test_cancel_without_a_number_means_ones_own(harness: HubHarness) -> None:
    """Another's request in the same room is not the one that is meant."""
    mine, others = await harness.queued_job(), await harness.queued_job(user="dave")
    await harness.submit("cancel", "carol")
    assert harness.job(mine.id).state is JobState.CANCELLED
    assert harness.job(others.id).state is JobState.QUEUED


async def test_chat_answers_who_and_what_there_is(harness: HubHarness) -> None:
    """whoami, machines, help, status: in the language that was asked in."""
    assert "carol, with the role operator" in await harness.reply_text("whoami")
    assert "角色：operator" in await harness.reply_text("我是谁")
    assert "web-1" in await harness.reply_text("machines")
    assert "@web-1" in await harness.reply_text("help")
    job = await harness.queued_job()
    number = harness.request(job.request_id).number
    assert f"r{number}" in await harness.reply_text("status")
    assert f"r{number}" in await harness.reply_text(f"status r{number}", "vera")
    assert "no request r999" in await harness.reply_text("status r999")


async def test_who_has_no_role_may_not_even_look(harness: HubHarness) -> None:
    """One question for every verb; the answer names the role that may."""
    harness.write(lambda txn: txn.add_person(Person("vera", (), NOW, revoked_at=NOW)))
    await harness.people.refresh()
    assert "may not machines: it takes the role viewer" in await harness.reply_text("machines", "vera")
    (row,) = harness.events("act.refused")
    assert (row.actor, row.data["verb"]) == ("vera", "machines")


async def test_a_plain_yes_approves_the_only_plan_that_waits_here(harness: HubHarness) -> None:
    """Where two wait, or the word is the requester's own, the answer says what to write and nothing is decided."""
    assert "nothing here waits" in await harness.reply_text("yes", "bob")
    first = await harness.submit(RESTART)
    assert "may not approve" in await harness.reply_text("yes", "carol")
    assert "reject r" in await harness.reply_text("no", "bob")
    second = await harness.submit(RESTART)
    assert f"r{second.number}, r{first.number}" in await harness.reply_text("好", "bob")
    assert {harness.request(one.id).state for one in (first, second)} == {RequestState.ASKING}
    await harness.submit(f"reject r{second.number}", "bob")
    assert "approved by bob" in await harness.reply_text("Yes!", "bob")
    assert harness.request(first.id).state is RequestState.WORKING


async def test_a_plain_yes_is_not_enough_for_a_second_factor(harness: HubHarness) -> None:
    """It says what to write; with the code it is approved as ever."""
    harness.add_rule("strict", verdict="ask", more="approvers = 1\nsecond_factor = true")
    request = await harness.submit("@web-1 strict")
    assert request.second_factor
    code = await harness.enrol_totp("bob")
    assert f"approve r{request.number} 123456" in await harness.reply_text("yes", "bob")
    assert harness.request(request.id).state is RequestState.ASKING
    assert "approved by bob" in await harness.reply_text(f"ok, approve r{request.number} {code()} please", "bob")


async def test_a_question_decides_nothing(harness: HubHarness) -> None:
    """Neither a yes nor a no comes of it."""
    request = await harness.submit(RESTART)
    for text in (f"reject r{request.number}?", f"approve r{request.number}?", f"拒绝 r{request.number} 吗", "approve?"):
        await harness.submit(text, "bob")
    assert harness.request(request.id).state is RequestState.ASKING


async def test_retry_asks_for_the_same_again(harness: HubHarness) -> None:
    """As a request of whoever says it, judged anew; what goes on, ran nothing, or is not there is not run again."""
    job = await harness.queued_job()
    number = harness.request(job.request_id).number
    assert "has not ended yet" in await harness.reply_text(f"retry r{number}")
    await harness.submit(f"cancel r{number}")
    again = await harness.submit(f"retry r{number}", "dave")
    assert again.state is RequestState.WORKING
    (job_again,) = harness.jobs(again)
    assert (job_again.person, job_again.command, job_again.parent) == ("dave", job.command, job.request_id)
    assert "never had a plan" in await harness.reply_text(f"retry r{(await harness.submit('help')).number}")
    assert "no request r999" in await harness.reply_text("retry r999")
    assert "takes the role operator" in await harness.reply_text(f"retry r{number}", "vera")
    restart = await harness.submit(RESTART)
    await harness.submit(f"cancel r{restart.number}")
    assert (await harness.submit(f"retry r{restart.number}")).state is RequestState.ASKING


async def test_machines_are_paused_from_chat(harness: HubHarness) -> None:
    """By those who may; shown at once, and over after its time."""
    assert "takes the role approver" in await harness.reply_text("pause web-1", "carol")
    assert "paused: web-1" in await harness.reply_text("pause web-1 for 2h: new disks", "bob")
    row = harness.fleet.inventory.machines["web-1"]
    assert row.paused == "bob"
    assert "paused by bob" in await harness.reply_text("machines")
    assert "已恢复：web-1" in await harness.reply_text("恢复 web-1", "bob")
    assert not harness.fleet.inventory.machines["web-1"].paused


async def test_a_yes_does_what_was_meant_with_the_rights_and_codes_of_the_words(harness: HubHarness) -> None:
    """Reject is reject, a code is asked for, and who may not approve may not by a yes."""
    harness.add_rule("twice", verdict="ask", more="approvers = 1\nsecond_factor = true")
    await harness.enrol_totp("bob")
    first = await harness.submit(RESTART)
    assert "reject" in await harness.reply_text(f"no r{first.number}", "bob")
    await harness.submit("yes", "bob")
    assert harness.request(first.id).state is RequestState.REJECTED
    coded = await harness.submit("@web-1 twice")
    assert "Did you mean" in await harness.reply_text(f"aprove r{coded.number}", "bob")
    assert f"approve r{coded.number} 123456" in await harness.reply_text("yes", "bob")
    assert "Did you mean" in await harness.reply_text(f"aprove r{coded.number}", "vera")
    assert "may not" in await harness.reply_text("yes", "vera")
    assert harness.request(coded.id).state is RequestState.ASKING


async def test_a_yes_is_not_to_what_somebody_else_was_asked_or_what_came_between(harness: HubHarness) -> None:
    """Another person, another room, another message, news of another request, five minutes."""
    waits = await harness.submit(RESTART)

    async def asked() -> None:
        assert "reject" in await harness.reply_text(f"no r{waits.number}", "bob")

    def still_waits() -> bool:
        return harness.request(waits.id).state is RequestState.ASKING

    await asked()
    await harness.submit("yes", "carol")
    assert still_waits()
    assert f"send it: reject r{waits.number}" in await harness.reply_text("yes", "bob")
    await asked()
    assert "nothing here waits" in await harness.reply_text("yes", "bob", conversation="other")
    assert still_waits()
    await asked()
    harness.clock.advance(1)
    await harness.submit(
        f"cancel r{(await harness.submit(RESTART, conversation='third')).number}", conversation="third"
    )
    await harness.submit("hello", "stranger")
    assert "send it" in await harness.reply_text("yes", "bob")
    await asked()
    harness.clock.advance(301)
    assert "send it" in await harness.reply_text("yes", "bob")
    assert still_waits()
    await asked()
    await harness.submit("yes", "bob")
    assert harness.request(waits.id).state is RequestState.REJECTED


async def test_news_of_another_request_come_between(harness: HubHarness) -> None:
    """A plan asks after "did you mean": the yes may be to that."""
    earlier, waits = await harness.submit(RESTART), await harness.submit(RESTART)
    harness.clock.advance(1)
    await harness.submit(f"no r{waits.number}", "bob")
    harness.clock.advance(1)
    await harness.change(lambda uow: uow.txn.save_request(earlier, replace(earlier, planned_at=uow.now)))
    harness.clock.advance(1)
    assert f"send it: reject r{waits.number}" in await harness.reply_text("yes", "bob")
