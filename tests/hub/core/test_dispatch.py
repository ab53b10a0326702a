"""The last check before a job goes to its machine, and the order that it goes with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.lifecycle import JobState, RequestState
from common.plan import Order, Step
from common.policy.check import Verdict
from hub.core.dispatch import decide_dispatch
from hub.core.job import Withhold
from hub.core.records import Approval, Request
from tests.hub.core.test_judgement import verdict
from tests.hub.core.test_request import PLAN, job, request

JUDGED = replace(PLAN, steps=(replace(PLAN.steps[0], argv=("/usr/bin/df", "-h")),))
WORKING = request(RequestState.WORKING, plan=JUDGED, plan_hash="ab" * 32)
LEASED = job(JobState.LEASED)


def decide(of: Request | None, now: Verdict, joined_at: float = 0.0, *given: Approval) -> Order | Withhold:
    def check(step: Step, target: str) -> Verdict:
        assert target == LEASED.agent
        return now

    return decide_dispatch(of, LEASED, given, joined_at=joined_at, check=check, epoch=3)


@pytest.mark.parametrize(
    ("of", "now", "joined_at", "reason"),
    [
        (WORKING, verdict(), 0.0, ""),
        (WORKING, verdict(), LEASED.queued_at, ""),
        (None, verdict(), 0.0, "its plan is gone"),
        (replace(WORKING, plan=None), verdict(), 0.0, "its plan is gone"),
        (WORKING, verdict(), LEASED.queued_at + 1, "had this name before"),
        (WORKING, verdict("deny", argv=()), 0.0, "carol"),
        (WORKING, verdict(argv=("/usr/bin/df", "-h", "--sync")), 0.0, "carol"),
        (WORKING, verdict("ask", approvers=1), 0.0, "carol"),
    ],
)
def test_what_is_withheld(of: Request | None, now: Verdict, joined_at: float, reason: str) -> None:
    """Anything that has changed since the job was queued; the reason is for people."""
    decision = decide(of, now, joined_at)
    if reason:
        assert isinstance(decision, Withhold)
        assert reason in decision.reason
    else:
        assert isinstance(decision, Order)


def test_the_order_names_everything_that_the_runner_checks() -> None:
    """Job, command, plan, approvals: a no among the approvals is none."""
    yes, no = (Approval("R", "h", who, granted, "ops", 7.0) for who, granted in (("bob", True), ("ann", False)))
    order = decide(WORKING, verdict(), 0.0, yes, no)
    assert isinstance(order, Order)
    assert (order.job, order.request, order.agent, order.person) == (LEASED.id, "R", "web-1", "carol")
    assert (order.argv, order.step, order.epoch, order.plan_hash) == (("/usr/bin/df", "-h"), 0, 3, WORKING.plan_hash)
    assert (order.ttl, order.not_after, order.approvals) == (JUDGED.ttl, LEASED.not_after, (("bob", 7.0),))
