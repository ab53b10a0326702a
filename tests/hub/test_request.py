"""What a request does on an event, and how verdicts become one judgement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.catalogue import Sentence
from common.lifecycle import JobState, NotInTable, RequestState
from common.plan import Plan, Step, plan_hash
from common.policy import Verdict
from hub import request as moves
from hub.records import Job, Request
from hub.request import Audit, CancelJobs, Judgement, QueueStep, Tell, judge

PLAN = Plan((Step(("df", "-h"), ("web-1", "web-2")),))


def request(state: RequestState = RequestState.RECEIVED, **more: object) -> Request:
    made = Request("R", 42, state, "ops", "e1", "ops", "carol", "carol", "df", "en", "", received_at=1.0, plan=PLAN)
    return replace(made, **more)


def verdict(kind: str = "allow", **more: object) -> Verdict:
    made = Verdict(
        kind=kind,  # type: ignore[arg-type]
        reason=Sentence("none_waiting"),
        rule="disk",
        argv=("/usr/bin/df", "-h"),
        env=(),
        approvers=1 if kind == "ask" else 0,
        second_factor=False,
        own_approval=False,
        time_limit=None,
        output_cap=None,
    )
    return replace(made, **more)


def job(state: JobState, agent: str = "web-1", step: int = 0) -> Job:
    return Job(f"J-{agent}-{step}", "R", "carol", agent, state, step, "h", 600.0, 1.0)


def test_the_strictest_verdict_counts() -> None:
    """One deny among many allows denies; one ask asks."""
    by_target = {"web-1": verdict(), "web-2": verdict("ask", approvers=2)}
    judged = judge(PLAN, lambda step, target: by_target[target])
    assert (judged.kind, judged.approvers) == ("ask", 2)
    by_target["web-1"] = verdict("deny", argv=())
    assert judge(PLAN, lambda step, target: by_target[target]).kind == "deny"


def test_demands_of_several_asks_add_up() -> None:
    """The most approvers, any second factor, own approval only where every rule lets it."""
    by_target = {
        "web-1": verdict("ask", approvers=1, second_factor=True, own_approval=True),
        "web-2": verdict("ask", approvers=3, own_approval=False),
    }
    judged = judge(PLAN, lambda step, target: by_target[target])
    assert (judged.approvers, judged.second_factor, judged.own_approval) == (3, True, False)


def test_the_judged_plan_has_resolved_programs_and_rule_limits() -> None:
    """What is approved is what runs: the absolute program, the rule's environment and the smaller limits."""
    judged = judge(PLAN, lambda step, target: verdict(env=(("LC_ALL", "C"),), time_limit=5, output_cap=100))
    step = judged.plan.steps[0]
    assert (step.argv, step.env, step.time_limit, step.output_cap) == (
        ("/usr/bin/df", "-h"),
        (("LC_ALL", "C"),),
        5,
        100,
    )


def test_one_step_must_mean_one_command() -> None:
    """Rules that resolve a step differently on two machines deny the plan: one approval could not name what runs."""
    by_target = {"web-1": verdict(), "web-2": verdict(argv=("/opt/df",))}
    judged = judge(PLAN, lambda step, target: by_target[target])
    assert (judged.kind, judged.rule) == ("deny", "one-meaning")


def judgement(kind: str, **more: object) -> Judgement:
    return replace(Judgement(kind, PLAN, "disk", Sentence("none_waiting")), **more)  # type: ignore[arg-type]


def test_allow_queues_at_once() -> None:
    """No person is needed: the first step is queued, and the hash is of the judged plan."""
    after, actions = moves.planned(request(), judgement("allow"), 5.0, 60.0)
    assert (after.state, after.plan_hash, after.decided_at) == (RequestState.WORKING, plan_hash(PLAN), 5.0)
    assert actions[-1] == QueueStep(0)


def test_ask_waits_with_a_deadline() -> None:
    """The question goes to chat; the time to decide is on the request, not in a sleeping task."""
    after, actions = moves.planned(request(), judgement("ask", approvers=2, second_factor=True), 5.0, 60.0)
    assert (after.state, after.decide_by, after.approvers, after.second_factor) == (RequestState.ASKING, 65.0, 2, True)
    assert actions[-1] == Tell("question")


def test_deny_ends_with_the_reason() -> None:
    """A refusal is final, audited, and told."""
    after, actions = moves.planned(request(), judgement("deny"), 5.0, 60.0)
    assert (after.state, after.ended_at) == (RequestState.REFUSED, 5.0)
    assert after.reason
    assert isinstance(actions[0], Audit)
    assert actions[-1] == Tell("final")


def test_the_last_approval_starts_and_the_others_do_not() -> None:
    """Enough is enough, and not before."""
    asking = request(RequestState.ASKING)
    assert moves.approved(asking, enough=False, now=5.0) == (asking, [])
    after, actions = moves.approved(asking, enough=True, now=5.0)
    assert (after.state, actions) == (RequestState.WORKING, [QueueStep(0)])


def test_no_lapse_and_cancel_end_what_waits() -> None:
    """Each ends the request once, with its own state; none of them is in the table for a request that works."""
    asking = request(RequestState.ASKING)
    assert moves.rejected(asking, "bob", "too broad", 5.0)[0].state is RequestState.REJECTED
    assert moves.lapsed(asking, 5.0)[0].state is RequestState.EXPIRED
    assert moves.cancelled(asking, "carol", 5.0)[0].state is RequestState.CANCELLED
    with pytest.raises(NotInTable):
        moves.lapsed(request(RequestState.WORKING), 5.0)


def test_cancel_of_work_asks_its_jobs() -> None:
    """The request goes on until its jobs have really ended."""
    working = request(RequestState.WORKING)
    assert moves.cancelled(working, "carol", 5.0, kill=True) == (working, [CancelJobs("carol", True)])


def test_the_request_ends_with_its_last_job() -> None:
    """Not before every job of the step has settled; unknown counts as settled, for chat must not wait for ever."""
    working = request(RequestState.WORKING)
    assert moves.jobs_settled(working, [job(JobState.SUCCEEDED), job(JobState.RUNNING, "web-2")], 5.0)[1] == []
    after, actions = moves.jobs_settled(working, [job(JobState.SUCCEEDED), job(JobState.UNKNOWN, "web-2")], 5.0)
    assert after.state is RequestState.DONE
    assert actions[-1] == Tell("final")


def test_the_next_step_begins_only_after_success_everywhere() -> None:
    """A failure on one machine ends the request; the remaining steps are not run."""
    two = Plan((*PLAN.steps, Step(("uptime",), ("web-1",))))
    working = request(RequestState.WORKING, plan=two)
    well = [job(JobState.SUCCEEDED), job(JobState.SUCCEEDED, "web-2")]
    after, actions = moves.jobs_settled(working, well, 5.0)
    assert (after.state, after.step, actions) == (RequestState.WORKING, 1, [QueueStep(1)])
    ill = [job(JobState.SUCCEEDED), job(JobState.FAILED, "web-2")]
    assert moves.jobs_settled(working, ill, 5.0)[0].state is RequestState.DONE
    last = [*well, job(JobState.SUCCEEDED, "web-1", step=1)]
    assert moves.jobs_settled(after, last, 6.0)[0].state is RequestState.DONE


def test_plain_answers_and_early_refusals() -> None:
    """A request that needs no machine ends at once."""
    assert moves.answered(request(), 5.0)[0].state is RequestState.DONE
    after, actions = moves.refused(request(), "grammar", "no pipes", 5.0)
    assert (after.state, after.rule, after.reason) == (RequestState.REFUSED, "grammar", "no pipes")
    assert actions[-1] == Tell("final")
