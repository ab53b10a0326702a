"""hub.chat.buttons: a click says what would have been typed, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hub.chat.buttons import MAX_VALUE, buttons_of, clicked_approval, clicked_text
from hub.chat.platforms.base import ReplyContent, ReplyRequest
from hub.core.outcome import ChatCommand
from hub.planning.chat_commands import ChatCommandPlanner
from tests.hub.planning.runbooks.world import context

ASKING = ReplyContent(
    "e1",
    "room",
    "text",
    ReplyRequest("01H", 42, "asking", "k7f2"),
    actions=("approve", "reject"),
    kind="question",
    card=True,
)


def test_an_approval_carries_the_code_of_its_plan() -> None:
    """So that a card of another plan, or of before a restored backup, approves nothing."""
    approve, reject = buttons_of(ASKING)
    assert (approve.value, approve.label, approve.style) == ("approve r42 k7f2", "Approve", "primary")
    assert (reject.value, reject.label, reject.style) == ("reject r42", "Reject", "danger")
    assert [button.label for button in buttons_of(replace(ASKING, language="zh"))] == ["批准", "拒绝"]


def test_only_cards_have_buttons() -> None:
    """A plain answer, and a chat that cannot change what it showed, have none."""
    assert not list(buttons_of(replace(ASKING, card=False)))
    assert not list(buttons_of(replace(ASKING, request=None)))


def test_what_a_button_says_is_understood() -> None:
    """Every value of ours is a chat command, short enough for every platform, and comes back from a click."""
    longest = ReplyRequest("01H", 10**11, "asking", "k7f2")
    card = replace(ASKING, request=longest, actions=("approve", "reject", "cancel", "more", "retry"))
    for button in buttons_of(card):
        assert len(button.value.encode()) <= MAX_VALUE
        assert clicked_text(button.value) == button.value
        assert isinstance(ChatCommandPlanner().plan(context(button.value)), ChatCommand), button.value


def test_a_value_that_is_not_ours_says_nothing() -> None:
    """Whatever a made-up callback holds: no words of anybody's choosing come in by a click."""
    for value in (
        "",
        "approve",
        "approve r0",
        "approve r42 k7f2 123456",
        "@web-1 reboot",
        "approve r42\n",
        None,
        42,
        [],
    ):
        assert clicked_text(value) is None, value


@given(st.text(max_size=40))
def test_no_text_slips_through(text: str) -> None:
    """What is taken begins with one of five words."""
    taken = clicked_text(text)
    assert taken is None or taken.split()[0] in {"approve", "reject", "cancel", "more", "retry"}


def test_what_a_click_on_approve_means() -> None:
    """Number and plan's code, "" where it has none; of nothing else."""
    assert clicked_approval("approve r42 k7f2") == (42, "k7f2")
    assert clicked_approval("approve r42") == (42, "")
    for text in ("reject r42", "approve", "approve r0", "approve r42 123456", "approve r42 k7f2 123456", "", "hello"):
        assert clicked_approval(text) is None, text
