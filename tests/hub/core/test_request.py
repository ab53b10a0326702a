"""What a request does on an event, and how verdicts become one judgement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

import hub
from common.catalogue import Sentence
from common.lifecycle import InvalidTransition, JobState, RequestState
from common.plan import Plan, Step, plan_hash
from common.policy.check import Verdict, check
from hub.core import request as moves
from hub.core.audit import WriteAudit
from hub.core.judgement import Judgement, judge
from hub.core.records import Job, Request
from hub.core.request import CancelJobs, QueueStep, SendReply
from hub.planning.watched_files import load_policy
from tests.hub.argv_strategies import policy_argv

PLAN = Plan((Step(("df", "-h"), ("web-1", "web-2")),))


def request(state: RequestState = RequestState.RECEIVED, **more: object) -> Request:
    made = Request("R", 42, state, "ops", "e1", "ops", "carol", "carol", "df", "en", "", received_at=1.0, plan=PLAN)
    return replace(made, **more)


def job(state: JobState, agent: str = "web-1", step: int = 0) -> Job:
    return Job(f"J-{agent}-{step}", "R", "carol", agent, state, step, "h", 600.0, 1.0)


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
    assert actions[-1] == SendReply("question")


def test_deny_ends_with_the_reason() -> None:
    """A refusal is final, audited, and told."""
    after, actions = moves.planned(request(), judgement("deny"), 5.0, 60.0)
    assert (after.state, after.ended_at) == (RequestState.REFUSED, 5.0)
    assert after.reason
    assert isinstance(actions[0], WriteAudit)
    assert actions[-1] == SendReply("final")


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
    assert moves.expired(asking, 5.0)[0].state is RequestState.EXPIRED
    assert moves.cancelled(asking, "carol", 5.0)[0].state is RequestState.CANCELLED
    with pytest.raises(InvalidTransition):
        moves.expired(request(RequestState.WORKING), 5.0)


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
    assert actions[-1] == SendReply("final")


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


def test_a_step_that_was_asked_to_stop_is_the_last() -> None:
    """Also where its jobs had ended well before they heard of it."""
    two = Plan((*PLAN.steps, Step(("uptime",), ("web-1",))))
    stopped = replace(job(JobState.SUCCEEDED), cancel_asked_at=4.0)
    after, actions = moves.jobs_settled(request(RequestState.WORKING, plan=two), [stopped], 5.0)
    assert (after.state, actions[-1]) == (RequestState.DONE, SendReply("final"))


def test_plain_answers_and_early_refusals() -> None:
    """A request that needs no machine ends at once."""
    assert moves.answered(request(), 5.0)[0].state is RequestState.DONE
    after, actions = moves.refused(request(), "grammar", "no pipes", 5.0)
    assert (after.state, after.rule, after.reason) == (RequestState.REFUSED, "grammar", "no pipes")
    assert actions[-1] == SendReply("final")


# ---- asked again before it is handed out

DEFAULT = load_policy(Path(hub.__file__).parent / "defaults" / "policy.toml")


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


def test_most_lines_of_the_property_above_are_let_through() -> None:
    """Else it would show nothing: of the lines that rules describe at least half come through."""
    kinds: list[str] = []

    @settings(max_examples=200, deadline=None, database=None)
    @given(policy_argv(DEFAULT))
    def count(line: tuple[tuple[str, ...], str]) -> None:
        kinds.append(judged(*line)[1].kind)

    count()
    assert sum(kind != "deny" for kind in kinds) * 2 > len(kinds)
