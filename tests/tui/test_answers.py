"""What the hub's answer to an act means for the dialog that asked."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import Refused, UserError
from tui.answers import Answered, ask, refusal_of, tally
from tui.client import BadCall, CallFailed, CallRefused, LinkLost


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (CallRefused("bad_code", "wrong"), "again"),
        (CallRefused("code_needed", "code"), "again"),
        (CallRefused("plan_changed", "another"), "look"),
        (CallRefused("no_right", "no"), "over"),
        (CallRefused("expired", "late"), "over"),
        (BadCall("what?"), "again"),
        (CallFailed("hub", "failed"), "again"),
        (LinkLost("gone"), "unsure"),
        (Refused("no"), "over"),
    ],
)
def test_each_kind_of_no(error: UserError, what: str) -> None:
    """Another try, another look, over, or nobody knows: each is told apart, and none is taken for a yes."""
    answered = refusal_of(error)
    assert answered.next == what
    assert answered.tone != "ok"
    assert answered.text


async def test_a_yes_and_a_no_are_both_answers() -> None:
    """`ask` raises nothing that a hub may say; what the hub says is made safe."""

    async def call(verb: str, **args: Any) -> Any:
        if verb == "approve":
            return {"text": "done\x1b[2J"}
        raise CallRefused("expired", "too late")

    done = await ask(call, "approve", number=1)
    assert (done.next, done.tone) == ("done", "ok")
    assert "\x1b" not in done.text
    assert (await ask(call, "reject")).code == "expired"


def test_a_tally_counts_what_was_done() -> None:
    """Of many marked rows: how many, and which not."""
    bad = Answered("over", "no")
    assert tally([Answered("done", "ok"), bad, Answered("done", "ok")]) == (2, [bad])
