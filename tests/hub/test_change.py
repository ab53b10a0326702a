"""One transaction's worth of change: moves, and what follows from them."""

from __future__ import annotations

from typing import Any

from common.lifecycle import JobState, RequestState
from common.messages import Started, Unsure
from common.plan import Plan, Step
from hub.change import Change
from hub.plan.outcome import Planned
from hub.records import Request
from hub.request import answered
from hub.store.verbs import Txn
from tests.hub.house import NOW, House, ended

TWO_STEPS = Plan((Step(("uptime",), ("web-1", "web-2")), Step(("df", "-h"), ("web-1",))))


async def planned(inside: House, plan: Plan, text: str = "as planned") -> Request:
    """A request with a plan that no chat line has."""
    receipt = await inside.accept(text)
    request = inside.request(receipt.request)
    await inside.change(lambda change: inside.engine.settle(change, request, Planned(plan)))
    return inside.request(request.id)


async def test_what_a_move_says_is_done_in_its_transaction(inside: House) -> None:
    """The row, the audit and the reply are there together, and what is for later comes out as effects."""
    receipt = await inside.accept("hello")
    request = inside.request(receipt.request)
    made: list[Change] = []

    def unit(change: Change) -> None:
        made.append(change)
        change.request(request, answered(request, change.now), "carol", "hi there")

    await inside.change(unit)
    assert inside.request(request.id).state is RequestState.DONE
    assert inside.kinds(request.id) == ["message.accepted", "request.answered"]
    assert "hi there" in inside.final(request)["text"]
    effects = made[0].effects
    assert (effects.replies, effects.changed) == (True, {request.id})
    assert ("plan", 0.0) in effects.stages


async def test_a_unit_that_fails_has_changed_nothing(inside: House) -> None:
    """No row, no audit, no reply, and no effect is let out."""
    receipt = await inside.accept("hello")
    request = inside.request(receipt.request)
    inside.effects.clear()

    def unit(change: Change) -> None:
        change.request(request, answered(request, change.now), "carol", "hi there")
        raise RuntimeError("no")

    try:
        await inside.change(unit)
    except RuntimeError:
        pass
    assert inside.request(request.id) == request
    assert inside.kinds(request.id) == ["message.accepted"]
    assert (inside.replies(), inside.effects) == ([], [])


async def test_a_step_is_queued_once_for_each_machine(inside: House) -> None:
    """Jobs carry the plan's hash and what lists show of them; the machines are to be woken; the audit has the chain."""
    await inside.machine("web-2")
    inside.clock.pass_(5)
    request = await planned(inside, TWO_STEPS)
    jobs = inside.jobs(request)
    assert [(job.agent, job.step, job.state) for job in jobs] == [
        ("web-1", 0, JobState.QUEUED),
        ("web-2", 0, JobState.QUEUED),
    ]
    assert {job.plan_hash for job in jobs} == {request.plan_hash}
    assert {job.not_after for job in jobs} == {NOW + 5 + 600}
    (row,) = inside.events("jobs.queued")
    assert row.data["jobs"] == {job.id: job.agent for job in jobs}
    assert row.data["plan_hash"] == request.plan_hash
    effects = inside.effects[-1]
    assert (effects.wake, effects.queued) == ({"web-1", "web-2"}, 2)


async def test_the_next_step_begins_when_the_last_one_went_well_everywhere(inside: House) -> None:
    """Not before; and the request is told of once, at the end."""
    await inside.machine("web-2")
    request = await planned(inside, TWO_STEPS)
    first, second = inside.jobs(request)
    await inside.claim("web-1")
    await inside.claim("web-2")
    await inside.heard("web-1", ended(first.id))
    assert len(inside.jobs(request)) == 2
    await inside.heard("web-2", ended(second.id))
    third = inside.jobs(request)[2]
    assert (third.step, third.agent, third.state) == (1, "web-1", JobState.QUEUED)
    assert inside.told(request) == []
    await inside.claim("web-1")
    inside.clock.pass_(9)
    await inside.heard("web-1", ended(third.id, "failed", 2))
    assert inside.request(request.id).state is RequestState.DONE
    assert inside.told(request) == ["final"]
    stages = dict(inside.effects[-1].stages)
    assert (stages["run"], stages["total"]) == (1.5, 9.0)


async def test_a_step_that_did_not_go_well_is_the_last(inside: House) -> None:
    """The next one is not begun, and the reply says that it was not reached."""
    await inside.machine("web-2")
    request = await planned(inside, TWO_STEPS)
    first, second = inside.jobs(request)
    await inside.claim("web-1")
    await inside.claim("web-2")
    await inside.heard("web-1", ended(first.id))
    await inside.heard("web-2", ended(second.id, "failed", 1))
    assert inside.request(request.id).state is RequestState.DONE
    assert len(inside.jobs(request)) == 2
    assert inside.final(request)["text"]


async def test_a_step_whose_jobs_were_told_to_stop_is_the_last_too(inside: House) -> None:
    """A job that was quicker than its cancel succeeded; what the person took back does not go on all the same."""
    await inside.machine("web-2")
    request = await planned(inside, TWO_STEPS)
    first, second = inside.jobs(request)
    await inside.claim("web-1")
    await inside.claim("web-2")
    assert "2 job" in await inside.said(f"cancel r{request.number}")
    await inside.heard("web-1", ended(first.id))
    await inside.heard("web-2", ended(second.id))
    assert inside.request(request.id).state is RequestState.DONE
    assert [job.state for job in inside.jobs(request)] == [JobState.SUCCEEDED, JobState.SUCCEEDED]


async def test_a_request_looks_at_all_its_jobs_only_when_none_is_waited_for(inside: House, monkeypatch: Any) -> None:
    """Else the last of a thousand machines would cost a thousand times what the first did."""
    names = [f"node-{number}" for number in range(6)]
    for name in names:
        await inside.machine(name)
    request = await inside.ask("@node-* uptime")
    jobs = inside.jobs(request)
    for name in names:
        await inside.claim(name)
    looks: list[str] = []
    jobs_of = Txn.jobs_of
    monkeypatch.setattr(Txn, "jobs_of", lambda txn, of: looks.append(of) or jobs_of(txn, of))
    for job in jobs[:-1]:
        await inside.heard(job.agent, ended(job.id))
    assert looks == []
    await inside.heard(jobs[-1].agent, ended(jobs[-1].id))
    assert set(looks) == {request.id}
    assert inside.request(request.id).state is RequestState.DONE


async def test_the_end_of_work_on_machines_comes_out_once(inside: House) -> None:
    """For those who say more about its output; an answer in words, a refusal and a late truth are no such end."""
    await inside.ask("help")
    await inside.ask("@web-1 rm -rf /")
    job = await inside.leased()
    assert [name for effects in inside.effects for name in effects.finals] == []
    await inside.heard("web-1", ended(job.id))
    assert [name for effects in inside.effects for name in effects.finals] == [job.request_id]


async def test_truth_that_comes_late_is_told_after_the_final_word(inside: House) -> None:
    """Chat heard "unknown"; it hears the truth too, in a reply of its own, whatever the machine says before it."""
    job = await inside.leased()
    request = inside.request(job.request_id)
    await inside.heard("web-1", Unsure(job.id, "killed while it ran"))
    assert inside.told(request) == ["final"]
    assert "unknown" in inside.final(request)["text"]
    await inside.heard("web-1", Started(job.id, 77, NOW), ended(job.id, exit_code=0))
    assert inside.job(job.id).state is JobState.SUCCEEDED
    assert inside.told(request) == ["final", "late"]
    assert inside.body(request, "late")["jobs"][0]["state"] == "succeeded"


async def test_truth_that_comes_before_the_final_word_is_part_of_it(inside: House) -> None:
    """While the request still waits for others nothing was told yet, so there is nothing to correct."""
    await inside.machine("web-2")
    request = await inside.ask("@web-* uptime")
    first, second = inside.jobs(request)
    await inside.claim("web-1")
    await inside.claim("web-2")
    await inside.heard("web-1", Unsure(first.id, "?"))
    await inside.heard("web-1", ended(first.id))
    assert inside.told(request) == []
    await inside.heard("web-2", ended(second.id))
    assert inside.told(request) == ["final"]
    assert {job["state"] for job in inside.final(request)["jobs"]} == {"succeeded"}


async def test_offline_machines_are_told_of_where_the_inlet_takes_it(inside: House) -> None:
    """The reply says until when; an inlet that takes one reply only hears the end."""
    await inside.machine("db-1", online=False)
    request = await inside.ask("@db-1 uptime")
    assert inside.told(request) == ["progress"]
    quiet = await inside.ask("@db-1 uptime", "kim", inlet="quiet")
    assert quiet.state is RequestState.WORKING
    assert inside.told(quiet) == []
