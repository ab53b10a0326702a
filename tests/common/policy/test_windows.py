"""Windows of the week: what they are written like, when they hold, and what clocks that are put do to them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.policy.windows import (
    LONGEST,
    BadWindow,
    any_holds,
    holds_from,
    holds_until,
    now_words,
    parse_window,
)


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("mon-fri 08:00-18:00", ["2026-12-04T08:00", "2026-12-04T17:59"], ["2026-12-04T18:00", "2026-12-05T10:12"]),
        ("daily 00:00-24:00", ["2026-12-05T00:00", "2026-12-05T23:59"], []),
        ("fri-mon 10:00-11:00", ["2026-12-06T10:30", "2026-12-07T10:30"], ["2026-12-08T10:30"]),
        ("sat,sun 10:00-11:00", ["2026-12-05T10:00"], ["2026-12-04T10:00"]),
        # over midnight, it belongs to the day on which it begins: friday night, and not thursday's
        ("fri 22:00-06:00", ["2026-12-04T22:00", "2026-12-05T05:59"], ["2026-12-04T05:00", "2026-12-05T22:00"]),
        ("sun 22:00-06:00", ["2026-12-06T23:00", "2026-12-07T05:00"], ["2026-12-07T06:00", "2026-12-06T05:00"]),
        ("mon 18:00-00:00", ["2026-12-07T23:59"], ["2026-12-08T00:00", "2026-12-07T00:00"]),
    ],
)
def test_when_a_window_holds(window: str, inside: list[str], outside: list[str]) -> None:
    """Its first minute is in it, its last one is not; 24:00 and 00:00 as an end are midnight."""
    made = parse_window(window)
    assert [made.holds(at(moment)) for moment in inside] == [True] * len(inside)
    assert [made.holds(at(moment)) for moment in outside] == [False] * len(outside)


def test_what_counts_is_the_clock_on_the_wall_of_the_zone() -> None:
    """Eight in the morning in Berlin is seven in winter and six in summer by UTC."""
    made = parse_window("daily 08:00-09:00 Europe/Berlin")
    assert [made.holds(at(f"2026-{day}:30")) for day in ("01-05T07", "01-05T06", "07-06T06", "07-06T07")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert now_words([made], at("2026-12-05T09:12")) == "sat 10:12 CET"


def test_an_hour_that_is_left_out_never_holds_and_one_that_comes_twice_holds_twice() -> None:
    """Europe/Berlin: 02:00 to 03:00 is missing on 29 March 2026, and is there twice on 25 October."""
    made = parse_window("sun 02:00-03:00 Europe/Berlin")
    spring, autumn = at("2026-03-29T00:00"), at("2026-10-24T23:00")
    minutes = range(0, 6 * 60)
    assert sum(made.holds(spring + 60 * minute) for minute in minutes) == 0
    assert sum(made.holds(autumn + 60 * minute) for minute in minutes) == 120
    first = at("2026-10-25T02:59", "Europe/Berlin")
    assert holds_until([made], first) == first + 61 * 60.0  # the first round's end is no end
    across = parse_window("sat 22:00-02:30 Europe/Berlin")
    late = at("2026-03-29T01:59", "Europe/Berlin")
    assert across.holds(late)
    assert holds_until([across], late) == late + 60.0  # by then the clock shows three


def test_windows_that_touch_are_one() -> None:
    """The end is where none holds any more; two days ahead at most."""
    both = [parse_window("mon 08:00-12:00"), parse_window("mon 12:00-13:00")]
    assert holds_until(both, at("2026-12-07T09:00:30")) == at("2026-12-07T13:00")
    assert holds_until(both[:1], at("2026-12-07T09:00")) == at("2026-12-07T12:00")
    always = [parse_window("daily 00:00-24:00")]
    assert holds_until(always, 1e9) == 1e9 + LONGEST
    assert holds_from(both, at("2026-12-07T07:00")) == at("2026-12-07T08:00")
    assert holds_from(both, at("2026-12-08T07:00")) == at("2026-12-08T07:00") + LONGEST


windows = st.builds(
    "{} {:02}:{:02}-{:02}:{:02} {}".format,
    st.sampled_from(["daily", "mon-fri", "sat,sun", "fri-mon", "sun"]),
    st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(windows, min_size=1, max_size=3), st.integers(0, 365 * 24 * 60), st.integers(0, 59))
def test_ends_and_beginnings_are_where_it_changes(texts: list[str], minute: int, second: int) -> None:
    """Held against a look at every minute of two days, through a year with its changes of clocks."""
    try:
        made = [parse_window(text) for text in texts]
    except BadWindow:
        return
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + minute * 60.0 + second
    holds = any_holds(made, now)
    edge = holds_until(made, now) if holds else holds_from(made, now)
    assert now < edge <= now + LONGEST
    step = now - now % 60 + 60
    while step < edge:
        assert any_holds(made, step) is holds
        step += 60
    assert edge == now + LONGEST or any_holds(made, edge) is not holds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mon-fri 8:00-18:00", "not of the form"),
        ("mon-fri", "not of the form"),
        ("montag 08:00-18:00", "is no day"),
        ("mon- 08:00-18:00", "is no day"),
        ("mon,, 08:00-18:00", "is no day"),
        ("mon 08:00-08:00", "begins when it ends"),
        ("mon 24:00-08:00", "begins when it ends"),
        ("mon 08:60-09:00", "no time of a day"),
        ("mon 08:00-24:01", "no time of a day"),
        ("mon 08:00-18:00 Europe/Berlni", "no time zone"),
        ("mon 08:00-18:00 ../../etc/passwd", "not of the form"),
        ("mon 08:00-18:00 /etc/passwd", "no time zone"),
        ("mon 08:00-18:00 Europe", "no time zone"),
        ("mon 08:00-18:00 +01:00", "not of the form"),
        ("mon 08:00-18:00 UTC x", "not of the form"),
        ("Mon 08:00-18:00", "not of the form"),
    ],
)
def test_what_is_no_window(text: str, why: str) -> None:
    """One that never holds, an unknown zone, another form: each with what is wrong."""
    with pytest.raises(BadWindow, match=why):
        parse_window(text)
