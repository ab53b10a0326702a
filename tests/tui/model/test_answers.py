"""What the hub's answer to an act means for the dialog that asked."""

from __future__ import annotations

from common.api import verbs
from common.api.actions import ApproveArgs, CancelArgs, RejectArgs
from common.api.queries import JobArgs
from common.errors import Denied, UserError
from tests.each import each_of
from tests.tui.fake_source import FakeSource, job_row
from tui.client.errors import CallFailed, CallRefused, InvalidCall, LinkLost
from tui.model.answers import CallOutcome, call_hub, count_done, outcome_of_error


@each_of(
    ("error", "what"),
    [
        (CallRefused("bad_code", "wrong"), "again"),
        (CallRefused("code_needed", "code"), "again"),
        (CallRefused("plan_changed", "another"), "look"),
        (CallRefused("no_right", "no"), "over"),
        (CallRefused("expired", "late"), "over"),
        (InvalidCall("what?"), "again"),
        (CallFailed("hub", "failed"), "again"),
        (LinkLost("gone"), "unsure"),
        (Denied("no"), "over"),
    ],
)
def test_each_kind_of_no(error: UserError, what: str) -> None:
    """Another try, another look, over, or nobody knows: each is told apart, and none is taken for a yes."""
    answered = outcome_of_error(error)
    assert answered.disposition == what
    assert answered.tone != "ok"
    assert answered.text


async def test_a_yes_and_a_no_are_both_answers() -> None:
    """`call_hub` raises nothing that a hub may say; what the hub says is made safe; a query's result is there."""
    source = FakeSource()
    source.answers["approve"] = {"text": "done\x1b[2J"}
    source.answers["reject"] = CallRefused("expired", "too late")
    source.answers["cancel"] = {"code": "too_late", "text": "it has ended"}
    source.rows["jobs"] = [job_row(1)]
    done = await call_hub(source, verbs.APPROVE, ApproveArgs(number=1))
    assert (done.disposition, done.tone) == ("done", "ok")
    assert "\x1b" not in done.text
    assert (await call_hub(source, verbs.REJECT, RejectArgs(number=1))).code == "expired"
    late = await call_hub(source, verbs.CANCEL, CancelArgs(number=1))
    assert (late.disposition, late.text, late.is_done) == ("over", "it has ended", False)
    found = await call_hub(source, verbs.JOB, JobArgs(id=job_row(1)["id"]))
    assert found.result is not None
    assert (found.is_done, found.text, found.result.agent) == (True, "", "web-1")


def test_a_tally_counts_what_was_done() -> None:
    """Of many marked rows: how many, and which not."""
    bad: CallOutcome[None] = CallOutcome("over", "no")
    assert count_done([CallOutcome("done", "ok"), bad, CallOutcome("done", "ok")]) == (2, [bad])
