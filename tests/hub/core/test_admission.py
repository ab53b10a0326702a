"""What becomes of a request once its message is understood."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.catalogue import Sentence
from common.lifecycle import RequestState
from common.plan import DEFAULT_TTL, MAX_ARGS, Plan, Step
from hub.core.admission import check_admission, judge_plan, transition_of
from hub.core.judgement import Judgement, bind_policy
from hub.core.outcome import CannotPlan, PlainAnswer
from hub.core.queue_limits import QueueCounts, QueueLimits
from hub.core.request import QueueStep, SendReply
from tests.hub.core.test_judgement import verdict
from tests.hub.core.test_request import PLAN, judgement, request
from tests.hub.planning.defaults import default_policy


@pytest.mark.parametrize(("ttl", "after"), [(DEFAULT_TTL, 90), (30, 30)])
def test_how_long_jobs_wait_is_part_of_the_judged_plan(ttl: int, after: int) -> None:
    """The configured time, where the plan says none."""
    judged = judge_plan(replace(PLAN, ttl=ttl), lambda step, target: verdict(), 90.0)
    assert isinstance(judged, Judgement)
    assert judged.plan.ttl == after


def test_a_plan_that_policy_makes_too_large_cannot_be_carried_out() -> None:
    """A refusal with the problem, no fault."""
    full = Plan((Step(("x",), ("web-1",)),))
    many = ("x",) * (MAX_ARGS + 1)
    refused = judge_plan(full, lambda step, target: verdict(argv=many), 90.0)
    assert isinstance(refused, CannotPlan)
    assert (refused.code, refused.sentence.key) == ("plan", "plan_too_big")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("tail", "-f", "/var/log/syslog"), "@web-1 tail -n 100 /var/log/syslog"),
        (("sudo", "df", "-h"), "@web-1 df -h"),
        (("df", "-h", "/srv/\u200bapp"), "U+200B ZERO WIDTH SPACE"),
        (("d\u0444", "-h"), "no rule lets"),
        (("df\u0430", "-h"), "U+0430 CYRILLIC SMALL LETTER A"),
        (("df", "\u2010h"), "U+2010 HYPHEN"),
        (("cat", "/etc/sh\u0430dow"), "U+0430 CYRILLIC SMALL LETTER A"),
    ],
)
def test_a_denial_says_what_to_send_instead_and_which_character_is_odd(argv: tuple[str, ...], said: str) -> None:
    """In both languages, beside policy's own reason."""
    check = bind_policy(default_policy(), ("operator",), lambda name: {}, False)
    denied = judge_plan(Plan((Step(argv, ("web-1",)),)), check, 90.0)
    assert isinstance(denied, Judgement)
    assert denied.kind == "deny"
    assert said in denied.reason.render("en")
    assert "@web-1" not in said or "nearest rule" not in denied.reason.render("en")  # beside a cure it is too much
    assert said in denied.reason.render("zh") or said == "no rule lets"


@pytest.mark.parametrize(("total", "code"), [(0, ""), (8, ""), (9, "queue_full")])
def test_a_judged_plan_needs_room_in_the_queue(total: int, code: str) -> None:
    """Two targets are two jobs."""
    allowed = judgement("allow")
    decision = check_admission("carol", allowed, QueueCounts(total, 0), QueueLimits(10, 10, 10))
    if code:
        assert isinstance(decision, CannotPlan)
        assert decision.code == code
    else:
        assert decision is allowed


@pytest.mark.parametrize(
    ("decision", "state", "text", "last"),
    [
        (PlainAnswer("42"), RequestState.DONE, "42", SendReply("final")),
        (CannotPlan(Sentence("plan_failed"), "hub"), RequestState.REFUSED, None, SendReply("final")),
        (judgement("deny"), RequestState.REFUSED, None, SendReply("final")),
        (judgement("ask", approvers=1), RequestState.ASKING, None, SendReply("question")),
        (judgement("allow"), RequestState.WORKING, None, QueueStep(0)),
    ],
)
def test_the_move_that_follows(
    decision: PlainAnswer | CannotPlan | Judgement, state: RequestState, text: str | None, last: object
) -> None:
    """Each decision is one move; its text is the answer, or the reason in the language of the message."""
    before = request(language="zh")
    (after, actions), said = transition_of(before, decision, 5.0, 60.0)
    assert (after.state, actions[-1]) == (state, last)
    reason = decision.sentence if isinstance(decision, CannotPlan) else getattr(decision, "reason", None)
    assert said == (text if reason is None else reason.render("zh"))
    if isinstance(decision, CannotPlan):
        assert (after.rule, after.reason) == (decision.code, str(decision.sentence))
