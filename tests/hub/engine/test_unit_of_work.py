"""One transaction's worth of change: moves, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.lifecycle import JobState, RequestState
from common.link.messages import Accepted, Started, Unsure
from common.plan import Plan, Step
from hub.core.attempts import WAITS, attempt
from hub.core.outcome import Planned
from hub.core.records import Job, Request
from hub.core.request import answered
from hub.engine.unit_of_work import UnitOfWork
from hub.store.transaction import Txn
from tests.hub.hub_harness import NOW, HubHarness, ended_message

TWO_STEPS = Plan((Step(("uptime",), ("web-1", "web-2")), Step(("df", "-h"), ("web-1",))))


async def planned(harness: HubHarness, plan: Plan, text: str = "as planned") -> Request:
    """A request with a plan that no chat line has."""
    request = harness.leave_unplanned(text)
    await harness.change(lambda change: harness.engine.apply_outcome(change, request, Planned(plan)))
    return harness.request(request.id)


async def test_what_a_move_says_is_done_in_its_transaction(harness: HubHarness) -> None:
    """The row, the audit and the reply are there together, and what is for later comes out as effects."""
    request = harness.leave_unplanned("hello")
    made: list[UnitOfWork] = []

    def unit(change: UnitOfWork) -> None:
        made.append(change)
        change.apply_transition(request, answered(request, change.now), "carol", "hi there")

    await harness.change(unit)
    assert harness.request(request.id).state is RequestState.DONE
    assert harness.kinds(request.id) == ["request.answered"]
    assert "hi there" in harness.final_reply(request)["text"]
    effects = made[0].effects
    assert (effects.replies, effects.changed) == (True, {request.id})
    assert ("plan", 0.0) in effects.stages


async def test_a_unit_that_fails_has_changed_nothing(harness: HubHarness) -> None:
    """No row, no audit, no reply, and no effect is let out."""
    request = harness.leave_unplanned("hello")
    harness.effects.clear()

    def unit(change: UnitOfWork) -> None:
        change.apply_transition(request, answered(request, change.now), "carol", "hi there")
        raise RuntimeError("no")

    try:
        await harness.change(unit)
    except RuntimeError:
        pass
    assert harness.request(request.id) == request
    assert harness.kinds(request.id) == []
    assert (harness.replies(), harness.effects) == ([], [])


async def test_a_step_is_queued_once_for_each_machine(harness: HubHarness) -> None:
    """Jobs carry the plan's hash and what lists show of them; the machines are to be woken; the audit has the chain."""
    await harness.add_machine("web-2")
    harness.clock.advance(5)
    request = await planned(harness, TWO_STEPS)
    jobs = harness.jobs(request)
    assert [(job.agent, job.step, job.state) for job in jobs] == [
        ("web-1", 0, JobState.QUEUED),
        ("web-2", 0, JobState.QUEUED),
    ]
    assert {job.plan_hash for job in jobs} == {request.plan_hash}
    assert {job.not_after for job in jobs} == {NOW + 5 + 600}
    (row,) = harness.events("jobs.queued")
    assert row.data["jobs"] == {job.id: job.agent for job in jobs}
    assert row.data["plan_hash"] == request.plan_hash
    effects = harness.effects[-1]
    assert (effects.wake, effects.queued) == ({"web-1", "web-2"}, 2)


async def test_the_next_step_begins_when_the_last_one_went_well_everywhere(harness: HubHarness) -> None:
    """Not before; and the request is told of once, at the end."""
    await harness.add_machine("web-2")
    request = await planned(harness, TWO_STEPS)
    first, second = harness.jobs(request)
    await harness.claim("web-1")
    await harness.claim("web-2")
    await harness.handle_agent_events("web-1", ended_message(first.id))
    assert len(harness.jobs(request)) == 2
    await harness.handle_agent_events("web-2", ended_message(second.id))
    third = harness.jobs(request)[2]
    assert (third.step, third.agent, third.state) == (1, "web-1", JobState.QUEUED)
    assert harness.reply_kinds(request) == []
    await harness.claim("web-1")
    harness.clock.advance(9)
    await harness.handle_agent_events("web-1", ended_message(third.id, "failed", 2))
    assert harness.request(request.id).state is RequestState.DONE
    assert harness.reply_kinds(request) == ["final"]
    stages = dict(harness.effects[-1].stages)
    assert (stages["run"], stages["total"]) == (1.5, 9.0)


async def test_a_step_that_did_not_go_well_is_the_last(harness: HubHarness) -> None:
    """The next one is not begun, and the reply says that it was not reached."""
    await harness.add_machine("web-2")
    request = await planned(harness, TWO_STEPS)
    first, second = harness.jobs(request)
    await harness.claim("web-1")
    await harness.claim("web-2")
    await harness.handle_agent_events("web-1", ended_message(first.id))
    await harness.handle_agent_events("web-2", ended_message(second.id, "failed", 1))
    assert harness.request(request.id).state is RequestState.DONE
    assert len(harness.jobs(request)) == 2
    assert harness.final_reply(request)["text"]


async def test_how_many_jobs_did_not_end_well_comes_out(harness: HubHarness) -> None:
    """One for each such job, none for the others: the overview counts them."""
    await harness.add_machine("web-2")
    request = await planned(harness, TWO_STEPS)
    first, second = harness.jobs(request)
    await harness.claim("web-1")
    await harness.claim("web-2")
    harness.effects.clear()
    await harness.handle_agent_events("web-1", ended_message(first.id))
    assert sum(effects.failed for effects in harness.effects) == 0
    await harness.handle_agent_events("web-2", ended_message(second.id, "failed", 1))
    assert sum(effects.failed for effects in harness.effects) == 1


async def test_only_the_first_step_is_held(harness: HubHarness) -> None:
    """A request that can be taken back for a while waits before its first step, not before each."""
    request = harness.leave_unplanned("as planned")
    await harness.change(lambda uow: uow.txn.save_request(request, replace(request, hold=5.0)))
    held = harness.request(request.id)
    two = Plan((Step(("uptime",), ("web-1",)), Step(("df", "-h"), ("web-1",))))
    await harness.change(lambda uow: harness.engine.apply_outcome(uow, held, Planned(two)))
    (first,) = harness.jobs(request)
    assert first.not_before == harness.clock.now + 5.0
    harness.clock.advance(6)
    await harness.claim("web-1")
    await harness.handle_agent_events("web-1", ended_message(first.id))
    assert harness.jobs(request)[1].not_before == 0.0


async def test_a_step_whose_jobs_were_told_to_stop_is_the_last_too(harness: HubHarness) -> None:
    """A job that was quicker than its cancel succeeded; what the person took back does not go on all the same."""
    await harness.add_machine("web-2")
    request = await planned(harness, TWO_STEPS)
    first, second = harness.jobs(request)
    await harness.claim("web-1")
    await harness.claim("web-2")
    assert "2 job" in await harness.reply_text(f"cancel r{request.number}")
    await harness.handle_agent_events("web-1", ended_message(first.id))
    await harness.handle_agent_events("web-2", ended_message(second.id))
    assert harness.request(request.id).state is RequestState.DONE
    assert [job.state for job in harness.jobs(request)] == [JobState.SUCCEEDED, JobState.SUCCEEDED]


async def test_a_request_looks_at_all_its_jobs_only_when_none_is_waited_for(
    harness: HubHarness, monkeypatch: Any
) -> None:
    """Else the last of a thousand machines would cost a thousand times what the first did."""
    names = [f"node-{number}" for number in range(6)]
    for name in names:
        await harness.add_machine(name)
    request = await harness.submit("@node-* uptime")
    jobs = harness.jobs(request)
    for name in names:
        await harness.claim(name)
    looks: list[str] = []
    jobs_of = Txn.jobs_of
    monkeypatch.setattr(Txn, "jobs_of", lambda txn, of: looks.append(of) or jobs_of(txn, of))
    for job in jobs[:-1]:
        await harness.handle_agent_events(job.agent, ended_message(job.id))
    assert looks == []
    await harness.handle_agent_events(jobs[-1].agent, ended_message(jobs[-1].id))
    assert set(looks) == {request.id}
    assert harness.request(request.id).state is RequestState.DONE


async def test_the_end_of_work_on_machines_comes_out_once(harness: HubHarness) -> None:
    """For those who say more about its output; an answer in words, a refusal and a late truth are no such end."""
    await harness.submit("help")
    await harness.submit("@web-1 rm -rf /")
    job = await harness.leased_job()
    assert [name for effects in harness.effects for name in effects.final_replies] == []
    await harness.handle_agent_events("web-1", ended_message(job.id))
    assert [name for effects in harness.effects for name in effects.final_replies] == [job.request_id]


async def test_truth_that_comes_late_is_told_after_the_final_word(harness: HubHarness) -> None:
    """Chat heard "unknown"; it hears the truth too, in a reply of its own, whatever the machine says before it."""
    job = await harness.leased_job()
    request = harness.request(job.request_id)
    await harness.handle_agent_events("web-1", Unsure(job.id, "killed while it ran"))
    assert harness.reply_kinds(request) == ["final"]
    assert "unknown" in harness.final_reply(request)["text"]
    await harness.handle_agent_events("web-1", Started(job.id, 77, NOW), ended_message(job.id, exit_code=0))
    assert harness.job(job.id).state is JobState.SUCCEEDED
    assert harness.reply_kinds(request) == ["final", "late"]
    assert harness.reply_body(request, "late")["jobs"][0]["state"] == "succeeded"


async def test_truth_that_comes_before_the_final_word_is_part_of_it(harness: HubHarness) -> None:
    """While the request still waits for others nothing was told yet, so there is nothing to correct."""
    await harness.add_machine("web-2")
    request = await harness.submit("@web-* uptime")
    first, second = harness.jobs(request)
    await harness.claim("web-1")
    await harness.claim("web-2")
    await harness.handle_agent_events("web-1", Unsure(first.id, "?"))
    await harness.handle_agent_events("web-1", ended_message(first.id))
    assert harness.reply_kinds(request) == []
    await harness.handle_agent_events("web-2", ended_message(second.id))
    assert harness.reply_kinds(request) == ["final"]
    assert {job["state"] for job in harness.final_reply(request)["jobs"]} == {"succeeded"}


async def test_offline_machines_are_told_of_where_the_inlet_takes_it(harness: HubHarness) -> None:
    """The reply says until when; an inlet that takes one reply only hears the end."""
    await harness.add_machine("db-1", online=False)
    request = await harness.submit("@db-1 uptime")
    assert harness.reply_kinds(request) == ["progress"]
    quiet = await harness.submit("@db-1 uptime", "kim", inlet="quiet")
    assert quiet.state is RequestState.WORKING
    assert harness.reply_kinds(quiet) == []


async def running_job(harness: HubHarness, line: str = "@web-1 sync") -> Job:
    job = await harness.leased_job(line)
    await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW))
    return harness.job(job.id)


async def test_an_idempotent_command_that_is_unknown_is_tried_again(harness: HubHarness) -> None:
    """Told in chat and in the audit; the second attempt's end is the request's, and says which it is."""
    harness.add_rule("sync", "idempotent = true")
    job = await running_job(harness)
    await harness.handle_agent_events("web-1", Unsure(job.id, "killed"))
    request = harness.request(job.request_id)
    first, second = sorted(harness.jobs(request), key=attempt)
    assert (first.state, second.state, second.parent) == (JobState.UNKNOWN, JobState.QUEUED, job.id)
    assert request.state is RequestState.WORKING
    assert harness.read(lambda txn: txn.unknown_jobs(9)) == []  # it needs nobody's word
    (event,) = harness.events("job.tried_again")
    assert (event.subject, event.data["attempt"], event.data["after"]) == (second.id, 2, job.id)
    told = [reply.body for reply in harness.replies(request) if "attempt 2 of 3" in reply.body]
    assert len(told) == 1
    assert await harness.orders() == []
    harness.clock.advance(WAITS[0])
    (order,) = await harness.orders()
    assert order.job == second.id
    await harness.handle_agent_events(
        "web-1", Accepted(second.id, second.plan_hash), Started(second.id, 8, NOW), ended_message(second.id)
    )
    request = harness.request(job.request_id)
    assert (request.state, request.outcome) == (RequestState.DONE, "succeeded")
    assert "Attempt 2 of 3" in harness.final_reply(request)["text"]
    await harness.handle_agent_events("web-1", ended_message(job.id, outcome="failed", exit_code=1))
    assert harness.job(job.id).state is JobState.FAILED  # the late truth of the first one is kept, and changes nothing
    assert harness.request(job.request_id).outcome == "succeeded"
    assert harness.events("job.ended", job.id)[0].data["late"] is True


async def test_what_its_rule_does_not_call_idempotent_stays_unknown(harness: HubHarness) -> None:
    """P4: nothing is retried by itself unless somebody wrote that it may be."""
    harness.add_rule("sync")
    job = await running_job(harness)
    await harness.handle_agent_events("web-1", Unsure(job.id, "killed"))
    request = harness.request(job.request_id)
    assert [one.state for one in harness.jobs(request)] == [JobState.UNKNOWN]
    assert (request.state, request.outcome) == (RequestState.DONE, "unknown")


async def test_the_late_truth_takes_back_an_attempt_that_waits(harness: HubHarness) -> None:
    """It is not needed any more, and the truth is the request's outcome."""
    harness.add_rule("sync", "idempotent = true")
    job = await running_job(harness)
    await harness.handle_agent_events("web-1", Unsure(job.id, "killed"))
    await harness.handle_agent_events("web-1", ended_message(job.id))
    request = harness.request(job.request_id)
    first, second = sorted(harness.jobs(request), key=attempt)
    assert (first.state, second.state) == (JobState.SUCCEEDED, JobState.CANCELLED)
    assert "has ended after all" in second.reason
    assert (request.state, request.outcome) == (RequestState.DONE, "succeeded")


async def test_it_is_tried_three_times_and_then_unknown(harness: HubHarness) -> None:
    """The request says so in the end."""
    harness.add_rule("sync", "idempotent = true")
    job = await running_job(harness)
    request = harness.request(job.request_id)
    for wait in (*WAITS, 0.0):
        last = max(harness.jobs(request), key=attempt)
        if last.state is JobState.QUEUED:
            (order,) = await harness.orders()
            assert order.job == last.id
            await harness.handle_agent_events("web-1", Accepted(last.id, last.plan_hash), Started(last.id, 8, NOW))
        await harness.handle_agent_events("web-1", Unsure(last.id, "killed"))
        harness.clock.advance(wait)
    request = harness.request(job.request_id)
    assert [one.state for one in harness.jobs(request)] == [JobState.UNKNOWN] * 3
    assert [attempt(one) for one in harness.read(lambda txn: txn.unknown_jobs(9))] == [3]
    assert (request.state, request.outcome) == (RequestState.DONE, "unknown")
    assert "Attempt 3 of 3" in harness.final_reply(request)["text"]
