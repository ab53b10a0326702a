"""What a request does on an event, and how verdicts become one judgement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import hub
from common.catalogue import Sentence
from common.lifecycle import JobState, NotInTable, RequestState
from common.plan import Plan, Step, canonical, plan_hash
from common.policy import Verdict, check
from hub import request as moves
from hub.files import read_policy
from hub.records import Job, Request
from hub.request import Audit, CancelJobs, Judgement, QueueStep, Tell, judge
from tests.hub.asked import lines

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


def test_what_a_model_wrote_is_never_allowed_by_itself() -> None:
    """What policy would allow waits for an approver, who may be the requester; sterner verdicts stay as they are."""
    proposed = replace(PLAN, proposed=True)
    judged = judge(proposed, lambda step, target: verdict())
    assert (judged.kind, judged.approvers, judged.own_approval) == ("ask", 1, True)
    assert judge(proposed, lambda step, target: verdict("deny", argv=())).kind == "deny"
    sterner = judge(proposed, lambda step, target: verdict("ask", approvers=2, second_factor=True))
    assert (sterner.approvers, sterner.second_factor, sterner.own_approval) == (2, True, False)


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


@pytest.mark.parametrize(
    ("asked", "rule", "limit"), [(60, 3600, 3600), (60, 5, 5), (300, 3600, 300), (300, 5, 5), (60, None, 60)]
)
def test_whose_time_limit_counts(asked: int, rule: int | None, limit: int) -> None:
    """The rule bounds what was asked for, and is the limit where nobody asked."""
    plan = Plan((replace(PLAN.steps[0], time_limit=asked),))
    assert judge(plan, lambda step, target: verdict(time_limit=rule)).plan.steps[0].time_limit == limit


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


# ---- asked again before it is handed out

DEFAULT = read_policy(Path(hub.__file__).parent / "defaults" / "policy.toml")


def judged(argv: tuple[str, ...], cwd: str, tainted: bool = False) -> tuple[Request, Judgement]:
    """What an operator's command comes to under the default policy."""
    plan = Plan((Step(argv, ("web-1",), cwd=cwd),), tainted=tainted)
    judgement = judge(plan, lambda step, target: asked(step, tainted))
    return moves.planned(request(), judgement, 2.0, 60.0)[0], judgement


def asked(step: Step, tainted: bool = False) -> Verdict:
    return check(
        DEFAULT,
        step.argv,
        roles=("operator",),
        agent="web-1",
        labels={},
        cwd=step.cwd,
        env=step.env,
        tainted=tainted,
    )


@settings(max_examples=600, deadline=None)
@given(lines(DEFAULT), st.booleans())
def test_policy_asked_about_its_own_answer_says_the_same(line: tuple[tuple[str, ...], str], tainted: bool) -> None:
    """For every rule of the default policy: what was judged and resolved is not withheld when it is handed out."""
    seen, judgement = judged(*line, tainted=tainted)
    if judgement.kind == "deny":
        event("denied")
        return
    event(f"{judgement.kind}: {judgement.rule}")
    assert seen.plan is not None
    (step,) = seen.plan.steps
    again = asked(step, tainted)
    assert (again.kind, again.argv, again.env) == (judgement.kind, step.argv, step.env)
    assert moves.objection(seen, step, again) is None


def test_most_lines_of_the_property_above_are_let_through() -> None:
    """Else it would show nothing: of the lines that rules describe at least half come through."""
    kinds: list[str] = []

    @settings(max_examples=200, deadline=None, database=None)
    @given(lines(DEFAULT))
    def count(line: tuple[tuple[str, ...], str]) -> None:
        kinds.append(judged(*line)[1].kind)

    count()
    assert sum(kind != "deny" for kind in kinds) * 2 > len(kinds)


STEP = Step(("/usr/bin/df", "-h"), ("web-1",))


@pytest.mark.parametrize(
    ("facts", "now", "objects"),
    [
        ({}, {}, False),
        ({}, {"kind": "deny", "argv": ()}, True),
        ({}, {"kind": "ask", "approvers": 1}, True),
        ({}, {"argv": ("/usr/bin/df", "-h", "--sync")}, True),
        ({}, {"env": (("LC_ALL", "C"),)}, True),
        ({"approvers": 1}, {}, False),
        ({"approvers": 1}, {"kind": "ask", "approvers": 1}, False),
        ({"approvers": 1}, {"kind": "ask", "approvers": 2}, True),
        ({"approvers": 1}, {"kind": "ask", "approvers": 1, "second_factor": True}, True),
        ({"approvers": 1, "second_factor": True}, {"kind": "ask", "approvers": 1, "second_factor": True}, False),
        ({"approvers": 2, "second_factor": True}, {"kind": "ask", "approvers": 1}, False),
        ({"approvers": 1, "own_approval": True}, {"kind": "ask", "approvers": 1}, True),
        ({"approvers": 1, "own_approval": True}, {"kind": "ask", "approvers": 1, "own_approval": True}, False),
        ({"approvers": 1}, {"kind": "ask", "approvers": 1, "own_approval": True}, False),
    ],
)
def test_an_approval_covers_what_it_covered(facts: dict[str, object], now: dict[str, object], objects: bool) -> None:
    """The rules of now may ask less than those of then, never more, and must mean the same command."""
    values = {"kind": "allow", **now}
    answer = moves.objection(request(RequestState.WORKING, **facts), STEP, verdict(**values))  # type: ignore[arg-type]
    assert (answer is not None) is objects


def test_the_tightest_limits_of_all_machines_hold() -> None:
    """Rules may give machines different limits; the step has one, and it must not be the loosest."""
    by_target = {
        "web-1": verdict(time_limit=50, output_cap=9_000),
        "web-2": verdict(time_limit=5, output_cap=8_000),
    }
    (step,) = judge(PLAN, lambda step, target: by_target[target]).plan.steps
    assert (step.time_limit, step.output_cap) == (5, 8_000)


def test_an_enormous_plan_is_told_to_the_audit_in_brief() -> None:
    """The audit's rows are bounded; the plan's hash is whole."""
    steps = tuple(Step(("/bin/echo", *["\U0001f600" * 8_000] * 4), ("web-1",)) for _ in range(8))
    judgement = Judgement("allow", Plan(steps), "rule", Sentence("none_waiting"))
    after, actions = moves.planned(request(), judgement, 2.0, 60.0)
    (audit,) = [action for action in actions if isinstance(action, Audit)]
    assert len(canonical(audit.data)) < 128 * 1024
    assert audit.data["steps"][-1] == {"argv": ["/bin/echo"], "targets": [], "cut": True}
    assert audit.data["plan_hash"] == after.plan_hash == plan_hash(Plan(steps))
