"""The console as lines: each thing once, when it becomes so."""

from __future__ import annotations

from common.api.events import EventView
from common.api.overview import LaneView, NeedView, Overview
from common.api.whoami import WhoAmI
from common.times import utc
from tui.cli.plain import MAX_LINE, PlainReporter
from tui.client.source import LinkStatus

NOW = 1_790_000_000.0
WHO = WhoAmI(person="alice", roles=("admin",), hub="hub-1", version="1.0")
STUCK = NeedView(
    kind="stuck",
    number=7,
    job="01ARZ3NDEKTSV4RRFFQ69G5FAV",
    agent="db-1",
    since=NOW - 7_200,
    who="bob",
    inlet="ops",
    text="/opt/somewhere/far/away/dump-db nightly",
)


def overview(*needs: NeedView, queued: str = "ok") -> Overview:
    return Overview(needs_you=needs, lanes=(LaneView(stage="queued", state=queued, note="by bob"),))


def test_the_link_is_told_when_it_is_another() -> None:
    """WhoAmI one is, that it is lost and why, that it is back and after how long; in between nothing."""
    plain = PlainReporter("en", utc)
    assert plain.link_changes(LinkStatus("connecting"), None, NOW) == []
    (first,) = plain.link_changes(LinkStatus("live"), WHO, NOW)
    assert "link to hub-1 as alice (admin)" in first
    assert plain.link_changes(LinkStatus("live"), WHO, NOW + 1) == []
    (lost,) = plain.link_changes(LinkStatus("lost", reason="refused\x1b[2J"), WHO, NOW + 10)
    assert "LINK LOST: refused" in lost
    assert "\x1b" not in lost
    assert plain.link_changes(LinkStatus("lost", reason="again"), WHO, NOW + 20) == []
    (back,) = plain.link_changes(LinkStatus("live"), WHO, NOW + 57)
    assert "back after 47s" in back


def test_what_needs_a_person_is_told_once_and_when_it_is_over() -> None:
    """With what, where, whose and the command; not again while it stays."""
    plain = PlainReporter("en", utc)
    (line,) = plain.overview_changes(overview(STUCK), NOW)
    for word in ("NEEDS YOU", "STUCK", "2h00m", "r7", "bob@ops", "db-1", "dump-db nightly"):
        assert word in line
    assert plain.overview_changes(overview(STUCK), NOW + 60) == []
    (over,) = plain.overview_changes(overview(), NOW + 61)
    assert "no longer" in over
    assert "dump-db" in over


def test_a_lane_is_told_when_its_state_is_another() -> None:
    """And not at the start where all is well."""
    plain = PlainReporter("en", utc)
    assert plain.overview_changes(overview(), NOW) == []
    assert plain.overview_changes(overview(queued="paused"), NOW)[0].endswith("lane queued: PAUSED  by bob")
    assert plain.overview_changes(overview(queued="paused"), NOW) == []
    assert "ok" in plain.overview_changes(overview(), NOW)[0]


def test_events_are_one_bounded_safe_line() -> None:
    """Whatever is in them; the time is the event's own."""
    event = EventView(seq=1, at=0.0, kind="message.accepted", actor="a\x1b[2J", data={"text": "x\n" * 5_000})
    line = PlainReporter("en", utc).format_event(event)
    assert line.startswith("00:00:00Z ")
    assert line.isprintable()
    assert len(line) <= MAX_LINE


def test_in_chinese() -> None:
    """The words are the catalogue's."""
    (line,) = PlainReporter("zh", utc).overview_changes(overview(STUCK), NOW)
    assert "待处理" in line
    assert "卡住" in line


def test_an_overview_of_another_version_says_nothing_and_does_not_fail() -> None:
    """What has no lanes and no needs, as of a hub that has no overview, is passed over; a state that is new is told."""
    assert PlainReporter("en", utc).overview_changes(Overview(), NOW) == []
    assert "melting" in PlainReporter("en", utc).overview_changes(overview(queued="melting"), NOW)[0]


def test_lines_are_in_the_readers_zone() -> None:
    """With its name behind the time of day."""
    plain = PlainReporter("en", lambda at: (-18_000, "EST"))
    assert plain.format_event(
        EventView(seq=1, at=18_000.0, kind="hub.started", subject="hub-1", actor="hub", data={}, hash="")
    ).startswith("00:00:00 EST ")
