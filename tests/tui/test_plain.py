"""The console as lines: each thing once, when it becomes so."""

from __future__ import annotations

from typing import Any

from tests.tui.scripted_source import NOW, event_row
from tui.plain import MAX_LINE, Plain
from tui.source import Link, Who

WHO = Who("alice", ("admin",), "hub-1", "1.0")
STUCK = {"kind": "stuck", "number": 7, "job": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "agent": "db-1", "since": NOW - 7_200,
         "who": "bob", "inlet": "ops", "text": "/opt/somewhere/far/away/dump-db nightly"}  # fmt: skip


def overview(*needs: dict[str, Any], queued: str = "ok") -> dict[str, Any]:
    return {"needs_you": list(needs), "lanes": [{"stage": "queued", "state": queued, "note": "by bob"}]}


def test_the_link_is_told_when_it_is_another() -> None:
    """Who one is, that it is lost and why, that it is back and after how long; in between nothing."""
    plain = Plain("en")
    assert plain.link(Link("connecting"), None, NOW) == []
    (first,) = plain.link(Link("live"), WHO, NOW)
    assert "link to hub-1 as alice (admin)" in first
    assert plain.link(Link("live"), WHO, NOW + 1) == []
    (lost,) = plain.link(Link("lost", reason="refused\x1b[2J"), WHO, NOW + 10)
    assert "LINK LOST: refused" in lost
    assert "\x1b" not in lost
    assert plain.link(Link("lost", reason="again"), WHO, NOW + 20) == []
    (back,) = plain.link(Link("live"), WHO, NOW + 57)
    assert "back after 47s" in back


def test_what_needs_a_person_is_told_once_and_when_it_is_over() -> None:
    """With what, where, whose and the command; not again while it stays."""
    plain = Plain("en")
    (line,) = plain.overview(overview(STUCK), NOW)
    for word in ("NEEDS YOU", "STUCK", "2h00m", "r7", "bob@ops", "db-1", "dump-db nightly"):
        assert word in line
    assert plain.overview(overview(STUCK), NOW + 60) == []
    (over,) = plain.overview(overview(), NOW + 61)
    assert "no longer" in over
    assert "dump-db" in over


def test_a_lane_is_told_when_its_state_is_another() -> None:
    """And not at the start where all is well."""
    plain = Plain("en")
    assert plain.overview(overview(), NOW) == []
    assert plain.overview(overview(queued="paused"), NOW)[0].endswith("lane queued: PAUSED  by bob")
    assert plain.overview(overview(queued="paused"), NOW) == []
    assert "ok" in plain.overview(overview(), NOW)[0]


def test_events_are_one_bounded_safe_line() -> None:
    """Whatever is in them; the time is the event's own."""
    line = Plain("en").event(event_row(1, at=0.0, actor="a\x1b[2J", data={"text": "x\n" * 5_000}))
    assert line.startswith("00:00:00Z ")
    assert line.isprintable()
    assert len(line) <= MAX_LINE


def test_in_chinese() -> None:
    """The words are the catalogue's."""
    (line,) = Plain("zh").overview(overview(STUCK), NOW)
    assert "待处理" in line
    assert "卡住" in line


def test_an_overview_of_another_version_says_nothing_and_does_not_fail() -> None:
    """What is no list, no row, or has no stage is passed over."""
    odd = {"needs_you": "x", "lanes": [1, {"state": "stuck"}]}
    assert Plain("en").overview(odd, NOW) == []
