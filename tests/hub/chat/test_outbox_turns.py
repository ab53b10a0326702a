"""Whose reply is posted next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from hub.chat.outbox_turns import NEWS_FLOOR, in_turns
from hub.core.records import Reply


def replies(*given: tuple[str, str], kind: str = "final", start: int = 1) -> list[Reply]:
    """Due one after another: inlet and conversation."""
    return [
        Reply(
            id=number,
            request_id=f"R{number}",
            inlet=inlet,
            kind=kind,
            url="",
            body=json.dumps({"conversation": room}),
            created_at=0.0,
            next_at=0.0,
        )
        for number, (inlet, room) in enumerate(given, start)
    ]


def chosen(due: Sequence[Reply], most: int) -> list[int]:
    return [reply.id for reply in in_turns(due, most)]


def test_a_pile_of_one_conversation_delays_no_other() -> None:
    """A hundred answers to one room were due before; another room's, and another inlet's, are among the first."""
    pile = replies(*[("ops", "flood")] * 100)
    others = replies(("ops", "quiet"), ("other", "room"), start=101)
    assert chosen([*pile, *others], 4) == [1, 102, 101, 2]


def test_answers_go_before_news_of_what_still_runs() -> None:
    """Also where there are few; and news is not held back for ever."""
    news = replies(("ops", "a"), ("ops", "b"), kind="progress")
    answers = replies(*[("ops", f"c{number}") for number in range(10)], start=11)
    assert chosen([*news, *answers[:2]], 32) == [11, 12, 1, 2]
    order = chosen([*news, *answers], 11)
    assert order.index(1) == NEWS_FLOOR


def test_what_is_posted_is_bounded_and_in_order() -> None:
    """Of one conversation the first that was due is the first."""
    assert chosen(replies(*[("ops", "a")] * 9), 5) == [1, 2, 3, 4, 5]
    assert chosen([], 5) == []


def test_what_cannot_be_read_has_a_turn_too() -> None:
    """It is no reason to post nothing."""
    bad = [
        replace(one, body=body)
        for one, body in zip(replies(*[("ops", "x")] * 4), ("", "[1]", "{", '{"a":1}'), strict=True)
    ]
    assert chosen([*bad, *replies(("ops", "a"), start=5)], 2) == [1, 5]
