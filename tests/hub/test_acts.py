"""What people do to requests, jobs and machines, from chat and from the operators' link alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from common.lifecycle import JobState, RequestState
from common.messages import Accepted, Started, Unsure
from hub.acts import By, Done
from hub.change import Change
from hub.records import Person, Request
from tests.hub.house import NOW, House, ended

RESTART = "@web-1 systemctl restart nginx.service"  # one yes of somebody else
REBOOT = "@web-1 reboot"  # one yes with a second factor


async def act(inside: House, unit: Callable[[Change], Done]) -> Done:
    """An act at the console, committed."""
    done: list[Done] = []
    await inside.change(lambda change: done.append(unit(change)))
    return done[0]


async def approve(inside: House, request: Request, by: str = "bob", **more: str) -> Done:
    def unit(change: Change) -> Done:
        current = change.txn.request(request.id)
        assert current is not None
        return inside.acts.approve(change, By(by, "console"), current, **more)

    return await act(inside, unit)


async def cancel(inside: House, request: Request, by: str = "carol", kill: bool = False) -> Done:
    def unit(change: Change) -> Done:
        current = change.txn.request(request.id)
        assert current is not None
        return inside.acts.cancel(change, By(by, "console"), current, kill=kill)

    return await act(inside, unit)


# ---- approving


async def test_a_yes_queues_exactly_what_was_shown(inside: House) -> None:
    """The approval names the hash, who, by which way; the jobs carry the same hash (P6)."""
    request = await inside.ask(RESTART)
    said = await inside.said(f"approve r{request.number}", "bob")
    assert f"r{request.number} is approved by bob" in said
    assert request.plan_hash[:8] in said
    (job,) = inside.jobs(request)
    assert (job.plan_hash, inside.request(request.id).state) == (request.plan_hash, RequestState.WORKING)
    (row,) = inside.events("request.approved")
    assert (row.actor, row.data["plan_hash"], row.data["via"]) == ("bob", request.plan_hash, "ops")
    (approval,) = inside.read(lambda txn: txn.approvals(request.id))
    assert (approval.person, approval.plan_hash, approval.granted) == ("bob", request.plan_hash, True)
    assert inside.effects[-1].wake == {"web-1"}


async def test_the_requester_is_not_the_approver(inside: House) -> None:
    """Bob may approve, but not what he asked for himself; the refusal is in the audit."""
    request = await inside.ask(RESTART, "bob")
    assert "your own request" in await inside.said(f"approve r{request.number}", "bob")
    assert inside.request(request.id).state is RequestState.ASKING
    (row,) = inside.events("act.refused")
    assert (row.actor, row.data["code"]) == ("bob", "own_request")
    await inside.ask(f"approve r{request.number}", "ann")
    assert inside.request(request.id).state is RequestState.WORKING


async def test_the_rule_may_let_the_requester_say_yes(inside: House) -> None:
    """Where it says own_approval."""
    inside.allow("note", more="approvers = 1\nown_approval = true", verdict="ask")
    request = await inside.ask("@web-1 note this", "bob")
    await inside.ask(f"approve r{request.number}", "bob")
    assert inside.request(request.id).state is RequestState.WORKING


@pytest.mark.parametrize("person", ["dave", "vera", "carol"])
async def test_who_may_not_approve_is_told_who_may(inside: House, person: str) -> None:
    """By role, in chat as at the console."""
    request = await inside.ask(RESTART)
    assert f"{person} may not approve" in await inside.said(f"approve r{request.number}", person)
    done = await approve(inside, request, person)
    assert done.code == "no_right"
    assert inside.request(request.id).state is RequestState.ASKING


async def test_two_yeses_where_two_are_asked(inside: House) -> None:
    """The first is counted and told; the same person is not a second one."""
    inside.allow("drop", more="approvers = 2", verdict="ask")
    request = await inside.ask("@web-1 drop it")
    assert "1 of 2" in await inside.said(f"approve r{request.number}", "bob")
    assert "already decided" in await inside.said(f"approve r{request.number}", "bob")
    assert inside.jobs(request) == []
    assert "runs now" in await inside.said(f"approve r{request.number}", "ann")
    assert len(inside.jobs(request)) == 1
    (order,) = await inside.orders()
    assert {person for person, _ in order.approvals} == {"bob", "ann"}


async def test_two_yeses_at_once_queue_once(inside: House) -> None:
    """A double click, two approvers in the same moment: one approval is the last, one set of jobs."""
    request = await inside.ask(RESTART)
    done = await asyncio.gather(*(approve(inside, request, person) for person in ("bob", "bob", "ann", "alice")))
    assert sorted(one.code for one in done) == ["", "not_asking", "not_asking", "not_asking"]
    assert len(inside.jobs(request)) == 1
    assert len(inside.events("request.approved")) == 1


async def test_an_approval_is_of_the_plan_that_was_seen(inside: House) -> None:
    """A hash that is not this plan's is refused; the right one counts."""
    request = await inside.ask(RESTART)
    assert (await approve(inside, request, plan_hash="0" * 64)).code == "plan_changed"
    assert (await approve(inside, request, plan_hash=request.plan_hash, reason="ok")).code == ""
    assert inside.events("request.approved")[0].data["reason"] == "ok"


async def test_too_late_is_too_late(inside: House) -> None:
    """Also in the moment before the timer has closed it."""
    request = await inside.ask(RESTART)
    inside.clock.pass_(inside.config.queue.decide_within)
    assert (await approve(inside, request)).code == "late"
    assert inside.jobs(request) == []


async def test_a_plan_too_long_for_chat_is_not_approved_there(inside: House) -> None:
    """What was not shown whole is approved where it is: at the console."""
    inside.allow("long", verdict="ask", more="approvers = 1")
    request = await inside.ask("@web-1 long " + " ".join(["x" * 200] * 30))
    assert request.state is RequestState.ASKING
    assert "console" in await inside.said(f"approve r{request.number}", "bob")
    assert inside.request(request.id).state is RequestState.ASKING
    assert (await approve(inside, request, plan_hash=request.plan_hash)).code == ""


async def test_without_a_number_the_only_one_of_this_conversation_is_meant(inside: House) -> None:
    """Another room's is not; two of them are asked about, none is said."""
    assert "nothing is waiting" in await inside.said("approve", "bob")
    elsewhere = await inside.ask(RESTART, conversation="other")
    assert "nothing is waiting" in await inside.said("approve", "bob")
    first = await inside.ask(RESTART)
    await inside.ask("approve", "bob")
    assert inside.request(first.id).state is RequestState.WORKING
    second, third = await inside.ask(RESTART), await inside.ask(RESTART)
    said = await inside.said("approve", "bob")
    assert f"r{third.number}, r{second.number}" in said
    assert inside.request(elsewhere.id).state is RequestState.ASKING


async def test_what_is_not_there_cannot_be_approved(inside: House) -> None:
    """A number of nothing, and of something that does not wait."""
    assert "no request r999" in await inside.said("approve r999", "bob")
    request = await inside.ask("@web-1 uptime")
    assert "does not wait for approval" in await inside.said(f"approve r{request.number}", "bob")


# ---- the second factor


async def test_a_second_factor_is_asked_for_and_used_once(inside: House) -> None:
    """Without one no yes; a code counts for one plan and never again, within its half minute too (S9)."""
    code = await inside.enrol("bob")
    first, second = await inside.ask(REBOOT), await inside.ask(REBOOT)
    assert "needs your code" in await inside.said(f"approve r{first.number}", "bob")
    await inside.ask(f"approve r{first.number} {code()}", "bob")
    assert inside.request(first.id).state is RequestState.WORKING
    said = await inside.said(f"approve r{second.number} {code()}", "bob")
    assert inside.request(second.id).state is RequestState.ASKING, said
    inside.clock.pass_(60)
    await inside.ask(f"approve r{second.number} {code()}", "bob")
    assert inside.request(second.id).state is RequestState.WORKING
    assert all(row.data["second_factor"] for row in inside.events("request.approved"))


async def test_one_code_sent_twice_at_once_is_taken_once(inside: House) -> None:
    """Two entrances, one code, two plans: one of them runs."""
    code = await inside.enrol("bob")
    requests = [await inside.ask(REBOOT) for _ in range(4)]
    done = await asyncio.gather(*(approve(inside, request, code=code()) for request in requests))
    assert sorted(one.code for one in done) == ["", "bad_code", "bad_code", "bad_code"]
    assert sum(len(inside.jobs(request)) for request in requests) == 1


async def test_wrong_codes_lock_the_person(inside: House) -> None:
    """Five of them, from wherever: the failures are committed though the approval is not."""
    code = await inside.enrol("bob")
    request = await inside.ask(REBOOT)
    wrong = "000000" if code() != "000000" else "111111"
    for _ in range(5):
        assert (await approve(inside, request, code=wrong)).code == "bad_code"
    row = inside.read(lambda txn: txn.person("bob"))
    assert row is not None
    assert row.totp_locked_until > inside.clock.now
    assert (await approve(inside, request, code=code())).code == "bad_code"
    assert inside.request(request.id).state is RequestState.ASKING


async def test_who_has_no_second_factor_is_told_how_to_get_one(inside: House) -> None:
    """The cure is a command at the hub's terminal."""
    request = await inside.ask(REBOOT)
    assert "answerback-hub" in await inside.said(f"approve r{request.number} 123456", "bob")


async def test_a_code_costs_nothing_where_the_approval_is_refused_anyway(inside: House) -> None:
    """The requester's own code is not used up on a request they may not approve."""
    code = await inside.enrol("bob")
    own, other = await inside.ask(REBOOT, "bob"), await inside.ask(REBOOT)
    assert (await approve(inside, own, code=code())).code == "own_request"
    assert (await approve(inside, other, code=code())).code == ""


# ---- rejecting


async def test_one_no_is_enough(inside: House) -> None:
    """With its reason, told to the requester; the request has ended."""
    request = await inside.ask(RESTART)
    await inside.ask(f"reject r{request.number} not before lunch", "bob")
    current = inside.request(request.id)
    assert (current.state, current.reason) == (RequestState.REJECTED, "bob: not before lunch")
    assert "not before lunch" in inside.final(request)["text"]
    assert inside.jobs(request) == []
    assert (await approve(inside, request, "ann")).code == "not_asking"


async def test_the_requester_may_take_their_own_back_by_rejecting_it(inside: House) -> None:
    """In chat too, with no right to decide on others'."""
    request = await inside.ask(RESTART)
    assert "may not" in await inside.said(f"reject r{request.number}", "dave")
    assert "may not" in await inside.said(f"reject r{request.number}", "vera")
    assert inside.request(request.id).state is RequestState.ASKING
    await inside.ask(f"reject r{request.number}", "carol")
    assert inside.request(request.id).state is RequestState.REJECTED


async def test_a_no_after_a_yes_ends_it(inside: House) -> None:
    """Who said yes of two may think better of it: no second row for the same person is needed."""
    inside.allow("drop", more="approvers = 2", verdict="ask")
    request = await inside.ask("@web-1 drop it")
    await inside.ask(f"approve r{request.number}", "bob")
    await inside.ask(f"reject r{request.number} no, wait", "bob")
    assert inside.request(request.id).state is RequestState.REJECTED


# ---- cancelling


async def test_cancel_while_it_waits_for_people_ends_it(inside: House) -> None:
    """Nothing had started, and that is what is said."""
    request = await inside.ask(RESTART)
    assert "nothing had started" in await inside.said(f"cancel r{request.number}")
    assert inside.request(request.id).state is RequestState.CANCELLED
    assert inside.told(request) == ["question", "final"]


async def test_cancel_in_the_queue_is_done_at_once(inside: House) -> None:
    """The job was nowhere yet: it is cancelled, the request has ended, chat hears it."""
    job = await inside.working()
    request = inside.request(job.request_id)
    await inside.ask(f"cancel r{request.number}")
    assert inside.job(job.id).state is JobState.CANCELLED
    assert inside.request(request.id).state is RequestState.DONE
    assert inside.told(request) == ["final"]
    assert await inside.claim() == []


@pytest.mark.parametrize("state", [JobState.LEASED, JobState.ACCEPTED, JobState.RUNNING])
async def test_cancel_of_what_a_machine_has_is_asked(inside: House, state: JobState) -> None:
    """ "Cancel asked" and "cancelled" are two facts: the state stays until the machine says so."""
    job = await inside.leased()
    if state is not JobState.LEASED:
        await inside.heard("web-1", Accepted(job.id, job.plan_hash))
    if state is JobState.RUNNING:
        await inside.heard("web-1", Started(job.id, 7, NOW))
    request = inside.request(job.request_id)
    assert "1 job(s) are told to stop" in await inside.said(f"cancel r{request.number}")
    asked = inside.job(job.id)
    assert (asked.state, asked.cancel_asked_at, asked.cancel_asked_by) == (state, inside.clock.now, "carol")
    assert inside.effects[-1].cancels == [("web-1", job.id, False)]
    assert inside.request(request.id).state is RequestState.WORKING
    await inside.heard("web-1", ended(job.id, "cancelled", None, signal=15))
    assert inside.job(job.id).state is JobState.CANCELLED
    assert "cancelled by carol" in inside.final(request)["text"]


async def test_a_second_cancel_may_be_harder(inside: House) -> None:
    """It is told to the machine again, with kill; who asked first stays in the row."""
    job = await inside.leased()
    request = inside.request(job.request_id)
    await cancel(inside, request)
    inside.clock.pass_(5)
    await cancel(inside, request, "bob", kill=True)
    assert inside.effects[-1].cancels == [("web-1", job.id, True)]
    asked = inside.job(job.id)
    assert (asked.cancel_asked_at, asked.cancel_asked_by) == (NOW, "carol")


async def test_cancel_of_what_has_ended_says_so(inside: House) -> None:
    """Done, refused, rejected: too late."""
    job = await inside.leased()
    await inside.heard("web-1", ended(job.id))
    request = inside.request(job.request_id)
    assert "already ended: it is done" in await inside.said(f"cancel r{request.number}")
    refused = await inside.ask("@web-1 bash")
    assert "already ended: it is refused" in await inside.said(f"cancel r{refused.number}")


async def test_an_unknown_outcome_is_settled_not_cancelled(inside: House) -> None:
    """There is nothing that could be stopped, and no count of jobs that are told to."""
    await inside.machine("web-2")
    request = await inside.ask("@web-* uptime")
    first, second = inside.jobs(request)
    await inside.claim("web-1")
    await inside.claim("web-2")
    await inside.heard("web-1", Unsure(first.id, "?"))
    assert "1 job(s)" in await inside.said(f"cancel r{request.number}")
    assert inside.job(first.id).cancel_asked_at is None
    assert inside.job(second.id).cancel_asked_at is not None


async def test_others_requests_are_cancelled_by_those_who_may(inside: House) -> None:
    """An operator cancels their own, an approver anybody's; a viewer nothing."""
    job = await inside.working()
    number = inside.request(job.request_id).number
    assert "r" in await inside.said(f"cancel r{number}", "dave")
    assert "carol's" in await inside.said(f"cancel r{number}", "dave")
    assert "may not cancel" in await inside.said(f"cancel r{number}", "vera")
    assert inside.job(job.id).state is JobState.QUEUED
    await inside.ask(f"cancel r{number}", "bob")
    assert inside.job(job.id).state is JobState.CANCELLED


async def test_cancel_without_a_number_means_ones_own(inside: House) -> None:
    """Another's request in the same room is not the one that is meant."""
    mine, others = await inside.working(), await inside.working(user="dave")
    await inside.ask("cancel", "carol")
    assert inside.job(mine.id).state is JobState.CANCELLED
    assert inside.job(others.id).state is JobState.QUEUED


async def test_one_job_of_many_can_be_cancelled(inside: House) -> None:
    """The others go on; who may not cancel the request may not cancel its jobs."""
    await inside.machine("web-2")
    request = await inside.ask("@web-* uptime")
    first, second = inside.jobs(request)

    def by(person: str) -> Callable[[Change], Done]:
        def unit(change: Change) -> Done:
            job = change.txn.job(first.id)
            assert job is not None
            return inside.acts.cancel_job(change, By(person, "console"), job)

        return unit

    assert (await act(inside, by("dave"))).code == "no_right"
    assert (await act(inside, by("carol"))).code == ""
    assert (await act(inside, by("carol"))).code == "too_late"
    assert [inside.job(job.id).state for job in (first, second)] == [JobState.CANCELLED, JobState.QUEUED]
    assert inside.request(request.id).state is RequestState.WORKING


# ---- settling


@pytest.mark.parametrize(("well", "state"), [(True, JobState.SUCCEEDED), (False, JobState.FAILED)])
async def test_a_persons_word_settles_an_unknown(inside: House, well: bool, state: JobState) -> None:
    """The outcome is theirs, by name; the machine may forget the job; chat hears it."""
    job = await inside.leased()
    await inside.heard("web-1", Unsure(job.id, "killed"))

    def unit(change: Change) -> Done:
        current = change.txn.job(job.id)
        assert current is not None
        return inside.acts.settle(change, By("bob", "console"), current, done=well)

    assert (await act(inside, unit)).code == ""
    settled = inside.job(job.id)
    assert (settled.state, settled.reason) == (state, "settled by bob: killed")
    assert inside.effects[-1].forgets == {"web-1": [job.id]}
    assert inside.told(inside.request(job.request_id)) == ["final", "late"]
    assert (await act(inside, unit)).code == "too_late"


# ---- looking


async def test_chat_answers_who_and_what_there_is(inside: House) -> None:
    """whoami, machines, help, status: in the language that was asked in."""
    assert "carol, with the role operator" in await inside.said("whoami")
    assert "角色：operator" in await inside.said("我是谁")
    assert "web-1" in await inside.said("machines")
    assert "@web-1" in await inside.said("help")
    job = await inside.working()
    number = inside.request(job.request_id).number
    assert f"r{number}" in await inside.said("status")
    assert f"r{number}" in await inside.said(f"status r{number}", "vera")
    assert "no request r999" in await inside.said("status r999")


async def test_who_has_no_role_may_not_even_look(inside: House) -> None:
    """One question for every verb; the answer names the role that may."""
    inside.write(lambda txn: txn.add_person(Person("vera", (), NOW, revoked_at=NOW)))
    await inside.people.refresh()
    assert "may not machines: it takes the role viewer" in await inside.said("machines", "vera")
    (row,) = inside.events("act.refused")
    assert (row.actor, row.data["verb"]) == ("vera", "machines")
