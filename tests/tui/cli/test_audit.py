"""answerback audit: who did what; what an edit changed."""

from __future__ import annotations

import pytest

from common.api.codec import decode
from common.api.plans import PlanView
from tests.tui.live_hub import LiveHub
from tui.model.plan_text import render_plan

pytestmark = pytest.mark.xdist_group("live")


def edited(answerback: LiveHub) -> int:
    """A request of carol's whose plan bob has changed; the number of the new one."""
    number = f"r{answerback.create_asking_request('carol', 'ask-me', 'everything')['number']}"
    plan = answerback.run_as("bob", "request", number, "--json").json["plan"]
    text = render_plan(decode(PlanView, plan).steps).replace("everything", "old")
    ended = answerback.run_as(
        "bob", "edit", number, "--file", "-", "--yes", "--json", "--why", "too much", stdin=text.encode()
    )
    assert ended.code == 0, ended.err
    return int(ended.json["number"])


def test_who_changed_a_plan_and_what_in_it(answerback: LiveHub) -> None:
    """Found by kind; the one event is told in full, with the lines that went and came."""
    number = edited(answerback)
    head, *_ = answerback("audit", "kind:request.*").text.splitlines()
    assert head.split() == ["SEQ", "TIME", "EVENT", "ACTOR", "SUBJECT", "TOLD"]
    (seq, *_) = answerback("audit", "kind:request.edited", "--json", "--limit", "1").json
    told = answerback("audit", f"seq:{seq['seq']}").text
    assert f"r{number}  " in told
    assert "why: too much" in told
    (gone,) = [line for line in told.splitlines() if line.startswith("-run:")]
    (came,) = [line for line in told.splitlines() if line.startswith("+run:")]
    assert gone.endswith("everything")
    assert came.endswith("old")
    answerback("reject", f"r{number}")


def test_newest_first_and_bounded(answerback: LiveHub) -> None:
    """With the request's number where it is about one."""
    found = answerback("audit", "--limit", "5", "--json").json
    assert [event["seq"] for event in found] == sorted((event["seq"] for event in found), reverse=True)
    assert len(found) == 5


def test_a_filter_that_does_not_read_is_shown_with_the_place(answerback: LiveHub) -> None:
    """As with the other lists; and nothing that fits is said."""
    ended = answerback("audit", "kin:x")
    assert ended.code == 2
    assert "did you mean kind" in ended.err
    assert "no event fits" in answerback("audit", "kind:nosuch").text


def test_it_is_for_approvers(answerback: LiveHub) -> None:
    """An operator is refused with the role that may."""
    ended = answerback.run_as("carol", "audit")
    assert ended.code == 3
    assert "approver" in ended.err
