"""What people do to requests, jobs and machines, from chat and from the operators' link alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from common.approval_proof import CONSOLE, PERSON, ApprovalProof
from common.identity.signing import PERSON_APPROVAL_PURPOSE, SigningKey
from common.lifecycle import JobState, RequestState
from common.link.messages import Accepted, Started, Unsure
from common.policy.machine_checks import read_checks
from hub.core.approval_proofs import OwnSignature
from hub.core.records import Request
from hub.engine.actor import ActionResult, Actor
from hub.engine.request_actions import WRONG_CODES
from hub.engine.unit_of_work import UnitOfWork
from hub.identity import recovery_codes
from tests.hub.hub_harness import NOW, HubHarness, ended_message

RESTART = "@web-1 systemctl restart nginx.service"  # one yes of somebody else
REBOOT = "@web-1 reboot"  # one yes with a second factor


async def act(harness: HubHarness, unit: Callable[[UnitOfWork], ActionResult]) -> ActionResult:
    """An act at the console, committed."""
    done: list[ActionResult] = []
    await harness.change(lambda change: done.append(unit(change)))
    return done[0]


async def approve(harness: HubHarness, request: Request, by: str = "bob", **more: Any) -> ActionResult:
    def unit(change: UnitOfWork) -> ActionResult:
        current = change.txn.request(request.id)
        assert current is not None
        return harness.actions.approve(change, Actor(by, "console"), current, **more)

    return await act(harness, unit)


async def cancel(harness: HubHarness, request: Request, by: str = "carol", kill: bool = False) -> ActionResult:
    def unit(change: UnitOfWork) -> ActionResult:
        current = change.txn.request(request.id)
        assert current is not None
        return harness.actions.cancel(change, Actor(by, "console"), current, kill=kill)

    return await act(harness, unit)


# ---- approving


async def test_a_yes_queues_exactly_what_was_shown(harness: HubHarness) -> None:
    """The approval names the hash, who, by which way; the jobs carry the same hash (P6)."""
    request = await harness.submit(RESTART)
    said = await harness.reply_text(f"approve r{request.number}", "bob")
    assert f"r{request.number} is approved by bob" in said
    assert request.plan_hash[:8] not in said  # for who asks: show r42
    (job,) = harness.jobs(request)
    assert (job.plan_hash, harness.request(request.id).state) == (request.plan_hash, RequestState.WORKING)
    (row,) = harness.events("request.approved")
    assert (row.actor, row.data["plan_hash"], row.data["via"]) == ("bob", request.plan_hash, "ops")
    (approval,) = harness.read(lambda txn: txn.approvals(request.id))
    assert (approval.person, approval.plan_hash, approval.granted) == ("bob", request.plan_hash, True)
    assert harness.effects[-1].wake == {"web-1"}


async def test_what_is_critical_wants_the_person_s_own_signature(harness: HubHarness) -> None:
    """Trust: a yes in chat is told where to give it; one with a signature of this plan counts, and travels with the
    order; one of another plan, person or key does not.
    """
    harness.add_rule("mark", more="approvers = 1\ncritical = true", verdict="ask")
    request = await harness.submit("@web-1 mark this")
    said = await harness.reply_text(f"approve r{request.number}", "bob")
    assert f"approve it at your console: answerback approve r{request.number}" in said
    assert harness.request(request.id).state is RequestState.ASKING
    key, stranger = SigningKey.generate(), SigningKey.generate()

    def signed(
        person: str = "bob",
        digest: str = request.plan_hash,
        by: SigningKey = key,
        asked_by: tuple[str, ...] = (request.person,),
    ) -> OwnSignature:
        proof = ApprovalProof(person, NOW, False, NOW + 60, CONSOLE, PERSON + key.id, asked_by=asked_by)
        signature = by.sign(PERSON_APPROVAL_PURPOSE, proof.statement(request.id, digest))
        return OwnSignature(NOW, NOW + 60, False, key.public, signature)

    def unit(given: OwnSignature) -> Callable[[UnitOfWork], ActionResult]:
        def run(change: UnitOfWork) -> ActionResult:
            current = change.txn.request(request.id)
            assert current is not None
            return harness.actions.approve(change, Actor("bob", "console"), current, signed=given)

        return run

    longer: list[dict[str, Any]] = [{"allow_for": 60.0}, {"allow_for": 60.0, "signed": signed()}]
    for given in longer:
        refused = await approve(harness, request, **given)
        assert (refused.code, "signed each time anew" in str(refused.sentence)) == ("not_allowed", True)
    for wrong in (
        signed("ann"),
        signed(digest="0" * 64),
        signed(by=stranger),
        signed(asked_by=("eve",)),
        signed(asked_by=()),
        OwnSignature(1, 2, False, b"", b""),
    ):
        assert (await act(harness, unit(wrong))).code == "bad_signature"
    assert (await approve(harness, request)).code == "signature_needed"
    assert (await act(harness, unit(signed()))).code == ""
    (order,) = await harness.orders()
    assert {proof.by for proof in order.proofs} >= {PERSON + key.id}
    assert read_checks(order.checks).persons == 1
    (row,) = harness.events("request.approved")
    assert row.data["own_key"] == key.id


async def test_the_requester_is_not_the_approver(harness: HubHarness) -> None:
    """Bob may approve, but not what he asked for himself; the refusal is in the audit."""
    request = await harness.submit(RESTART, "bob")
    assert "your own request" in await harness.reply_text(f"approve r{request.number}", "bob")
    assert harness.request(request.id).state is RequestState.ASKING
    (row,) = harness.events("act.refused")
    assert (row.actor, row.data["code"]) == ("bob", "own_request")
    await harness.submit(f"approve r{request.number}", "ann")
    assert harness.request(request.id).state is RequestState.WORKING


async def test_the_rule_may_let_the_requester_say_yes(harness: HubHarness) -> None:
    """Where it says own_approval."""
    harness.add_rule("note", more="approvers = 1\nown_approval = true", verdict="ask")
    request = await harness.submit("@web-1 note this", "bob")
    await harness.submit(f"approve r{request.number}", "bob")
    assert harness.request(request.id).state is RequestState.WORKING


@pytest.mark.parametrize("person", ["dave", "vera", "carol"])
async def test_who_may_not_approve_is_told_who_may(harness: HubHarness, person: str) -> None:
    """By role, in chat as at the console."""
    request = await harness.submit(RESTART)
    told = await harness.reply_text(f"approve r{request.number}", person)
    assert f"{person} may not approve" in told
    assert "Who may: alice, ann, bob" in told
    done = await approve(harness, request, person)
    assert done.code == "no_right"
    assert harness.request(request.id).state is RequestState.ASKING


async def test_a_question_names_who_may_answer_it(harness: HubHarness) -> None:
    """Approvers but for the requester; where a code is asked for, those who have a second factor."""
    request = await harness.submit(RESTART, "bob")
    assert "Who may: alice, ann." in harness.reply_body(request, "question")["text"]
    await harness.enrol_totp("ann")
    harness.add_rule("seal", more="second_factor = true", verdict="ask")
    request = await harness.submit("@web-1 seal it", "bob")
    assert "Who may: ann." in harness.reply_body(request, "question")["text"]


async def test_a_refusal_for_want_of_a_role_names_who_has_it(harness: HubHarness) -> None:
    """Of the policy, of another's request, and of a request of one's own."""
    harness.add_rule("note", more='roles = ["admin"]')
    assert "Who may: alice" in await harness.reply_text("@web-1 note this", "carol")
    own = await harness.submit(RESTART, "bob")
    assert "Who may: alice, ann" in await harness.reply_text(f"approve r{own.number}", "bob")
    assert "Who may: alice, ann, bob" in await harness.reply_text(f"cancel r{own.number}", "carol")


async def test_two_yeses_where_two_are_asked(harness: HubHarness) -> None:
    """The first is counted and told; the same person is not a second one."""
    harness.add_rule("drop", more="approvers = 2", verdict="ask")
    request = await harness.submit("@web-1 drop it")
    assert "1 of 2" in await harness.reply_text(f"approve r{request.number}", "bob")
    assert "already decided" in await harness.reply_text(f"approve r{request.number}", "bob")
    assert harness.jobs(request) == []
    assert "runs now" in await harness.reply_text(f"approve r{request.number}", "ann")
    assert len(harness.jobs(request)) == 1
    (order,) = await harness.orders()
    assert {person for person, _ in order.approvals} == {"bob", "ann"}


async def test_two_yeses_at_once_queue_once(harness: HubHarness) -> None:
    """A double click, two approvers in the same moment: one approval is the last, one set of jobs."""
    request = await harness.submit(RESTART)
    done = await asyncio.gather(*(approve(harness, request, person) for person in ("bob", "bob", "ann", "alice")))
    assert sorted(one.code for one in done) == ["", "not_asking", "not_asking", "not_asking"]
    assert len(harness.jobs(request)) == 1
    assert len(harness.events("request.approved")) == 1


async def test_an_approval_is_of_the_plan_that_was_seen(harness: HubHarness) -> None:
    """A hash that is not this plan's is refused; the right one counts."""
    request = await harness.submit(RESTART)
    assert (await approve(harness, request, plan_hash="0" * 64)).code == "plan_changed"
    assert (await approve(harness, request, plan_hash=request.plan_hash, reason="ok")).code == ""
    assert harness.events("request.approved")[0].data["reason"] == "ok"


async def test_too_late_is_too_late(harness: HubHarness) -> None:
    """Also in the moment before the timer has closed it."""
    request = await harness.submit(RESTART)
    harness.clock.advance(harness.config.queue.decide_within)
    assert (await approve(harness, request)).code == "late"
    assert harness.jobs(request) == []


# ---- the second factor


async def test_a_second_factor_is_asked_for_and_used_once(harness: HubHarness) -> None:
    """Without one no yes; a code counts for one plan and never again, within its half minute too (S9)."""
    code = await harness.enrol_totp("bob")
    first, second = await harness.submit(REBOOT), await harness.submit(REBOOT)
    assert "needs your code" in await harness.reply_text(f"approve r{first.number}", "bob")
    await harness.submit(f"approve r{first.number} {code()}", "bob")
    assert harness.request(first.id).state is RequestState.WORKING
    said = await harness.reply_text(f"approve r{second.number} {code()}", "bob")
    assert harness.request(second.id).state is RequestState.ASKING, said
    harness.clock.advance(60)
    await harness.submit(f"approve r{second.number} {code()}", "bob")
    assert harness.request(second.id).state is RequestState.WORKING
    assert all(row.data["second_factor"] for row in harness.events("request.approved"))


async def test_one_code_sent_twice_at_once_is_taken_once(harness: HubHarness) -> None:
    """Two entrances, one code, two plans: one of them runs."""
    code = await harness.enrol_totp("bob")
    requests = [await harness.submit(REBOOT) for _ in range(4)]
    done = await asyncio.gather(*(approve(harness, request, code=code()) for request in requests))
    assert sorted(one.code for one in done) == ["", "bad_code", "bad_code", "bad_code"]
    assert sum(len(harness.jobs(request)) for request in requests) == 1


async def test_wrong_codes_lock_the_person(harness: HubHarness) -> None:
    """Five of them, from wherever: the failures are committed though the approval is not."""
    code = await harness.enrol_totp("bob")
    request = await harness.submit(REBOOT)
    wrong = "000000" if code() != "000000" else "111111"
    for _ in range(5):
        assert (await approve(harness, request, code=wrong)).code == "bad_code"
    row = harness.read(lambda txn: txn.person("bob"))
    assert row is not None
    assert row.totp_console_locked_until > harness.clock.now
    assert (await approve(harness, request, code=code())).code == "bad_code"
    assert harness.request(request.id).state is RequestState.ASKING


async def test_who_has_no_second_factor_is_told_how_to_get_one(harness: HubHarness) -> None:
    """The cure is a command at the hub's terminal."""
    request = await harness.submit(REBOOT)
    assert "answerback-hub" in await harness.reply_text(f"approve r{request.number} 123456", "bob")


async def test_a_hijacked_chat_account_does_not_lock_its_owner_out_of_the_console(harness: HubHarness) -> None:
    """Trust (hijacked chat account): wrong codes said in chat lock chat, and those of the console the console."""
    code = await harness.enrol_totp("bob")
    first, second = await harness.submit(REBOOT), await harness.submit(REBOOT)
    wrong = "000000" if code() != "000000" else "111111"
    for _ in range(5):
        await harness.submit(f"approve r{first.number} {wrong}", "bob")
    assert "locked" in await harness.reply_text(f"approve r{first.number} {code()}", "bob")
    assert harness.request(first.id).state is RequestState.ASKING
    harness.clock.advance(60.0)  # the code that was said is used up
    for _ in range(4):
        assert (await approve(harness, first, code=wrong)).code == "bad_code"
    assert (await approve(harness, first, code=code())).code == ""
    row = harness.read(lambda txn: txn.person("bob"))
    assert row is not None
    assert (row.totp_console_failures, row.totp_locked_until > harness.clock.now) == (0, True)
    for _ in range(5):
        assert (await approve(harness, second, code=wrong)).code == "bad_code"
    harness.clock.advance(60.0)
    assert (await approve(harness, second, code=code())).code == "bad_code"
    harness.clock.advance(900.0)
    third = await harness.submit(REBOOT)
    assert (await approve(harness, third, code=code())).code == ""


async def test_wrong_codes_of_many_accounts_end_codes_in_chat_for_a_while(harness: HubHarness) -> None:
    """Trust (A7, a global rate): who has many accounts has no more guesses than the rate; the console goes on."""
    request = await harness.submit(REBOOT)
    code, people = await harness.enrol_totp("bob"), [f"p{number}" for number in range(WRONG_CODES)]
    wrong = "000000" if code() != "000000" else "111111"

    def guess(person: str) -> Callable[[UnitOfWork], ActionResult]:
        def unit(uow: UnitOfWork) -> ActionResult:
            refusal = harness.actions._check_second_factor(uow, Actor(person, "ops"), request, wrong)
            assert refusal is not None
            return refusal

        return unit

    for person in people:
        await harness.enrol_totp(person)
        assert (await act(harness, guess(person))).data["left"] == 4
    assert (await act(harness, guess("bob"))).sentence.key == "second_factor_flood"
    said = await harness.reply_text(f"approve r{request.number} {code()}", "bob")
    assert "at the console only" in said
    assert harness.request(request.id).state is RequestState.ASKING
    harness.clock.advance(60.0)
    assert (await approve(harness, request, code=code())).code == ""


async def test_a_recovery_code_stands_in_once_and_never_in_chat(harness: HubHarness) -> None:
    """Trust (A7, recovery codes hashed and single use): at the console, with an audit row that says how many are left;
    what is said of one in chat counts for nothing and is kept nowhere.
    """
    await harness.enrol_totp("bob")
    codes = recovery_codes.make()
    hashes = [recovery_codes.digest("bob", one) for one in codes]
    harness.write(lambda txn: txn.replace_recovery_codes("bob", hashes, NOW))
    first, second = await harness.submit(REBOOT), await harness.submit(REBOOT)
    said = await harness.submit(f"approve r{first.number} {codes[0]}", "bob")
    assert harness.request(first.id).state is RequestState.ASKING
    assert "abr" not in harness.request(said.id).text
    kept = b"".join(file.read_bytes() for file in harness.database.parent.glob(f"{harness.database.name}*"))
    assert codes[0].encode() not in kept

    def in_chat(uow: UnitOfWork) -> ActionResult:
        return harness.actions.approve(uow, Actor("bob", "page:ops"), first, code=codes[0])

    assert (await act(harness, in_chat)).sentence.key == "recovery_code_elsewhere"
    assert (await approve(harness, first, code=codes[0].replace("-", "").upper())).code == ""
    (row,) = harness.events("person.recovery_code_used")
    assert (row.subject, row.data) == ("bob", {"via": "console", "left": recovery_codes.COUNT - 1})
    for wrong in (codes[0], recovery_codes.make()[0]):  # used, and nobody's
        assert (await approve(harness, second, code=wrong)).code == "bad_code"
    assert (await approve(harness, second, "ann", code=codes[1])).code == "not_enrolled"
    for _ in range(3):
        await approve(harness, second, code=recovery_codes.make()[0])
    assert (await approve(harness, second, code=codes[1])).code == "bad_code"  # locked by then
    assert harness.request(second.id).state is RequestState.ASKING


async def test_a_code_costs_nothing_where_the_approval_is_refused_anyway(harness: HubHarness) -> None:
    """The requester's own code is not used up on a request they may not approve."""
    code = await harness.enrol_totp("bob")
    own, other = await harness.submit(REBOOT, "bob"), await harness.submit(REBOOT)
    assert (await approve(harness, own, code=code())).code == "own_request"
    assert (await approve(harness, other, code=code())).code == ""


# ---- rejecting


async def test_one_no_is_enough(harness: HubHarness) -> None:
    """With its reason, told to the requester; the request has ended."""
    request = await harness.submit(RESTART)
    await harness.submit(f"reject r{request.number} not before lunch", "bob")
    current = harness.request(request.id)
    assert (current.state, current.reason) == (RequestState.REJECTED, "bob: not before lunch")
    assert "not before lunch" in harness.final_reply(request)["text"]
    assert harness.jobs(request) == []
    assert (await approve(harness, request, "ann")).code == "not_asking"


async def test_the_requester_may_take_their_own_back_by_rejecting_it(harness: HubHarness) -> None:
    """In chat too, with no right to decide on others'."""
    request = await harness.submit(RESTART)
    assert "may not" in await harness.reply_text(f"reject r{request.number}", "dave")
    assert "may not" in await harness.reply_text(f"reject r{request.number}", "vera")
    assert harness.request(request.id).state is RequestState.ASKING
    await harness.submit(f"reject r{request.number}", "carol")
    assert harness.request(request.id).state is RequestState.REJECTED


async def test_a_no_after_a_yes_ends_it(harness: HubHarness) -> None:
    """Who said yes of two may think better of it: no second row for the same person is needed."""
    harness.add_rule("drop", more="approvers = 2", verdict="ask")
    request = await harness.submit("@web-1 drop it")
    await harness.submit(f"approve r{request.number}", "bob")
    await harness.submit(f"reject r{request.number} no, wait", "bob")
    assert harness.request(request.id).state is RequestState.REJECTED


# ---- cancelling


async def test_cancel_while_it_waits_for_people_ends_it(harness: HubHarness) -> None:
    """Nothing had started, and that is what is said."""
    request = await harness.submit(RESTART)
    assert "nothing had started" in await harness.reply_text(f"cancel r{request.number}")
    assert harness.request(request.id).state is RequestState.CANCELLED
    assert harness.reply_kinds(request) == ["question", "final"]


async def test_cancel_in_the_queue_is_done_at_once(harness: HubHarness) -> None:
    """The job was nowhere yet: it is cancelled, the request has ended, chat hears it."""
    job = await harness.queued_job()
    request = harness.request(job.request_id)
    await harness.submit(f"cancel r{request.number}")
    assert harness.job(job.id).state is JobState.CANCELLED
    assert harness.request(request.id).state is RequestState.DONE
    assert harness.reply_kinds(request) == ["final"]
    assert await harness.claim() == []


@pytest.mark.parametrize("state", [JobState.LEASED, JobState.ACCEPTED, JobState.RUNNING])
async def test_cancel_of_what_a_machine_has_is_asked(harness: HubHarness, state: JobState) -> None:
    """ "Cancel asked" and "cancelled" are two facts: the state stays until the machine says so."""
    job = await harness.leased_job()
    if state is not JobState.LEASED:
        await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash))
    if state is JobState.RUNNING:
        await harness.handle_agent_events("web-1", Started(job.id, 7, NOW))
    request = harness.request(job.request_id)
    assert "1 job(s) are told to stop" in await harness.reply_text(f"cancel r{request.number}")
    asked = harness.job(job.id)
    assert (asked.state, asked.cancel_asked_at, asked.cancel_asked_by) == (state, harness.clock.now, "carol")
    assert harness.effects[-1].cancels == [("web-1", job.id, False)]
    assert harness.request(request.id).state is RequestState.WORKING
    await harness.handle_agent_events("web-1", ended_message(job.id, "cancelled", None, signal=15))
    assert harness.job(job.id).state is JobState.CANCELLED
    assert "cancelled by carol" in harness.final_reply(request)["text"]


async def test_a_second_cancel_may_be_harder(harness: HubHarness) -> None:
    """It is told to the machine again, with kill; who asked first stays in the row."""
    job = await harness.leased_job()
    request = harness.request(job.request_id)
    await cancel(harness, request)
    harness.clock.advance(5)
    await cancel(harness, request, "bob", kill=True)
    assert harness.effects[-1].cancels == [("web-1", job.id, True)]
    asked = harness.job(job.id)
    assert (asked.cancel_asked_at, asked.cancel_asked_by) == (NOW, "carol")


async def test_cancel_of_what_has_ended_says_so(harness: HubHarness) -> None:
    """Done, refused, rejected: too late."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    request = harness.request(job.request_id)
    assert "already ended: it is over" in await harness.reply_text(f"cancel r{request.number}")
    refused = await harness.submit("@web-1 bash")
    assert "already ended: it is refused" in await harness.reply_text(f"cancel r{refused.number}")


async def test_an_unknown_outcome_is_settled_not_cancelled(harness: HubHarness) -> None:
    """There is nothing that could be stopped, and no count of jobs that are told to."""
    await harness.add_machine("web-2")
    request = await harness.submit("@web-* uptime")
    first, second = harness.jobs(request)
    await harness.claim("web-1")
    await harness.claim("web-2")
    await harness.handle_agent_events("web-1", Unsure(first.id, "?"))
    assert "1 job(s)" in await harness.reply_text(f"cancel r{request.number}")
    assert harness.job(first.id).cancel_asked_at is None
    assert harness.job(second.id).cancel_asked_at is not None


async def test_others_requests_are_cancelled_by_those_who_may(harness: HubHarness) -> None:
    """An operator cancels their own, an approver anybody's; a viewer nothing."""
    job = await harness.queued_job()
    number = harness.request(job.request_id).number
    assert "r" in await harness.reply_text(f"cancel r{number}", "dave")
    assert "carol's" in await harness.reply_text(f"cancel r{number}", "dave")
    assert "may not cancel" in await harness.reply_text(f"cancel r{number}", "vera")
    assert harness.job(job.id).state is JobState.QUEUED
    await harness.submit(f"cancel r{number}", "bob")
    assert harness.job(job.id).state is JobState.CANCELLED


async def test_one_job_of_many_can_be_cancelled(harness: HubHarness) -> None:
    """The others go on; who may not cancel the request may not cancel its jobs."""
    await harness.add_machine("web-2")
    request = await harness.submit("@web-* uptime")
    first, second = harness.jobs(request)

    def by(person: str) -> Callable[[UnitOfWork], ActionResult]:
        def unit(change: UnitOfWork) -> ActionResult:
            job = change.txn.job(first.id)
            assert job is not None
            return harness.actions.cancel_job(change, Actor(person, "console"), job)

        return unit

    assert (await act(harness, by("dave"))).code == "no_right"
    assert (await act(harness, by("carol"))).code == ""
    assert (await act(harness, by("carol"))).code == "too_late"
    assert [harness.job(job.id).state for job in (first, second)] == [JobState.CANCELLED, JobState.QUEUED]
    assert harness.request(request.id).state is RequestState.WORKING


# ---- settling


@pytest.mark.parametrize(("well", "state"), [(True, JobState.SUCCEEDED), (False, JobState.FAILED)])
async def test_a_persons_word_settles_an_unknown(harness: HubHarness, well: bool, state: JobState) -> None:
    """The outcome is theirs, by name; the machine may forget the job; chat hears it."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", Unsure(job.id, "killed"))

    def unit(change: UnitOfWork) -> ActionResult:
        current = change.txn.job(job.id)
        assert current is not None
        return harness.actions.resolve_unknown(change, Actor("bob", "console"), current, done=well)

    assert (await act(harness, unit)).code == ""
    settled = harness.job(job.id)
    assert (settled.state, settled.reason) == (state, "settled by bob: killed")
    assert harness.effects[-1].forgets == {"web-1": [job.id]}
    assert harness.reply_kinds(harness.request(job.request_id)) == ["final", "late"]
    assert (await act(harness, unit)).code == "too_late"
