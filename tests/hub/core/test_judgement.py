"""hub.core.judgement: policy over a whole plan."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from common.catalogue import Sentence
from common.lifecycle import RequestState
from common.plan import Plan, Step, canonical_json, plan_hash
from common.policy.check import Verdict
from common.policy.rules import Script
from common.script import ScriptWord
from hub.core import request as moves
from hub.core.audit import WriteAudit
from hub.core.judgement import Judgement, judge, objection
from tests.each import each_of
from tests.hub.argv_strategies import policy_argv
from tests.hub.core.test_request import DEFAULT, PLAN, asked, judged, request


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


@each_of(("asked", "rule", "limit"), [(60, 3600, 3600), (60, 5, 5), (300, 3600, 300), (300, 5, 5), (60, None, 60)])
def test_whose_time_limit_counts(asked: int, rule: int | None, limit: int) -> None:
    """The rule bounds what was asked for, and is the limit where nobody asked."""
    plan = Plan((replace(PLAN.steps[0], time_limit=asked),))
    assert judge(plan, lambda step, target: verdict(time_limit=rule)).plan.steps[0].time_limit == limit


def test_one_step_must_mean_one_command() -> None:
    """Rules that resolve a step differently on two machines deny the plan: one approval could not name what runs."""
    by_target = {"web-1": verdict(), "web-2": verdict(argv=("/opt/df",))}
    judged = judge(PLAN, lambda step, target: by_target[target])
    assert (judged.kind, judged.rule) == ("deny", "one-meaning")


@settings(max_examples=600, deadline=None)
@given(policy_argv(DEFAULT), st.booleans())
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
    assert objection(seen, step, again) is None


STEP = Step(("/usr/bin/df", "-h"), ("web-1",))


@each_of(
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
    answer = objection(request(RequestState.WORKING, **facts), STEP, verdict(**values))  # type: ignore[arg-type]
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
    (audit,) = [action for action in actions if isinstance(action, WriteAudit)]
    assert len(canonical_json(audit.data)) < 128 * 1024
    assert audit.data["steps"][-1] == {"argv": ["/bin/echo"], "targets": [], "cut": True}
    assert audit.data["plan_hash"] == after.plan_hash == plan_hash(Plan(steps))


def test_a_script_is_part_of_what_is_approved_and_of_what_is_handed_out() -> None:
    """Trust: the judged step has the script's digest; machines with different ones have no one meaning, and a rule that
    names another content by the time of the hand-out is another command.
    """
    script = Script("x.py", ScriptWord(1, "0" * 64), "text")
    other = replace(script, use=ScriptWord(1, "1" * 64))
    found = judge(PLAN, lambda step, target: verdict(script=script))
    assert [step.script for step in found.plan.steps] == [script.use]
    differing = {"web-1": verdict(script=script), "web-2": verdict(script=other)}
    assert judge(PLAN, lambda step, target: differing[target]).kind == "deny"
    waiting = request(RequestState.WORKING, plan=found.plan, plan_hash=plan_hash(found.plan))
    step = found.plan.steps[0]
    assert objection(waiting, step, verdict(script=script)) is None
    for now in (verdict(script=other), verdict()):
        assert objection(waiting, step, now) is not None
