"""hub.chat.card_text: what a card says at every moment."""

from __future__ import annotations

from hub.chat.card_text import MAX_STEPS, card_text, command_lines
from hub.chat.reply_text import MAX_REPLY
from hub.core.records import Approval
from tests.hub.chat.test_reply_text import RESTART, plan_of, request_of

YES = Approval("01H", "hash", "bob", granted=True, via="ops", at=1.0)
NO = Approval("01H", "hash", "eve", granted=False, via="ops", at=1.0)


def test_commands_stand_before_a_state_and_approvers_behind_it() -> None:
    """Who looks at the card an hour later sees what it is about, without scrolling."""
    request = request_of()
    text = card_text(request, "it runs", (YES, NO), headed=False)
    first, state, last = text.split("\n")
    assert first == command_lines(request)
    assert first.startswith("r42: `")
    assert state == "it runs"
    assert last == "Approved by bob."
    assert card_text(request, "whole", (), headed=True) == "whole"
    assert "批准人：bob" in card_text(request_of("zh"), "x", (YES,), headed=True)


def test_many_steps_are_counted() -> None:
    """A card is read on a phone."""
    lines = command_lines(request_of(plan=plan_of(*[RESTART] * (MAX_STEPS + 2)))).split("\n")
    assert len(lines) == MAX_STEPS + 1
    assert lines[-1] == "and 2 more steps"


def test_a_text_that_needs_all_room_keeps_it() -> None:
    """Output is not lost for the sake of a headline."""
    long = "x" * (MAX_REPLY - 10)
    assert card_text(request_of(), long, (YES,), headed=False) == long
