"""answerback inlets: what it shows, to people and to scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.each import each_of
from tests.tui.fake_source import HOSTILE, NOW
from tests.tui.live_hub import LiveHub
from tests.tui.rows import inlet
from tui.cli.inlets import describe_inlet, inlet_table
from tui.terminal.sanitize import is_safe


@pytest.mark.xdist_group("live")
def test_the_inlets_of_a_hub(answerback: LiveHub) -> None:
    """A line each, and every field for scripts; a viewer may see them."""
    told = answerback("inlets", "--json").json
    assert {one["way"] for one in told} == {"webhook"}
    lines = answerback("inlets").text.splitlines()
    assert lines[0].split() == ["NAME", "PLATFORM", "STATE", "LAST", "DELIVERY", "REFUSED", "REPLIES", "WAIT"]
    assert [line.split()[:3] for line in lines[1:]] == [[one["name"], one["platform"], "webhook"] for one in told]


@each_of(
    ("more", "words"),
    [
        ({}, "webhook"),
        ({"quiet": True}, "webhook, QUIET"),
        ({"way": "outbound"}, "connecting"),
        ({"way": "outbound", "connected_at": NOW - 75}, "connected for 1m15s"),
        ({"way": "outbound", "problem": "no answer"}, "NOT CONNECTED"),
        ({"recording": 3}, "webhook, recording 3"),
    ],
)
def test_how_one_is_in_words(more: dict[str, Any], words: str) -> None:
    """Whether messages come, and how."""
    assert describe_inlet(inlet("ops", **more), NOW) == words


def test_why_one_is_not_well_stands_below() -> None:
    """With since when, and when it is tried again; those that are well have no such line."""
    down = {"way": "outbound", "problem": "the token is wrong", "failed_at": NOW - 252, "retry_at": NOW + 60}
    lost = {"reply_problem": "invalid_auth", "replies_given_up": 2, "replies_waiting": 7, "refused": 3}
    rows = [
        inlet("far", **down),
        inlet("ops", **lost, refused_code="rate"),
        inlet("hush", quiet=True, quiet_after=7_200.0),
        inlet("well"),
    ]
    table, *lines = inlet_table(rows, NOW)
    assert lines == [
        "far: not connected for 4m12s: the token is wrong; next try in 1m00s",
        "ops: replies do not arrive: invalid_auth; given up: 2",
        "hush: nothing was delivered for longer than 2h00m",
    ]
    assert "30s ago" in table
    assert "3, last rate" in table.splitlines()[2]
    assert table.splitlines()[2].endswith("7")


def test_none_says_what_to_do() -> None:
    """A hub without chats."""
    assert "inlet add" in inlet_table([], NOW)[0]


def test_hostile_reasons() -> None:
    """What a chat answers is words."""
    for hostile in HOSTILE:
        rows = [inlet("a", problem=hostile, reply_problem=hostile, refused=1, refused_code=hostile, platform=hostile)]
        for line in inlet_table(rows, NOW):
            assert all(map(is_safe, line.splitlines()))
