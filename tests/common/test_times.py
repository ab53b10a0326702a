"""common.times: moments in a zone, with its name."""

from __future__ import annotations

import time

import pytest

from common.times import NEAR, Zone, format_in_zone, format_iso, format_moment, is_date, local_zone, utc

NOON = 1_700_049_600.0  # 2023-11-15 12:00 UTC


def berlin(at: float) -> tuple[int, str]:
    """Around the end of summer time of 2026, on 25 October at 01:00 UTC."""
    return (7_200, "CEST") if at < 1_792_890_000 else (3_600, "CET")


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        (NOON + 600, utc, "12:10:00 UTC"),
        (NOON - 600, berlin, "13:50:00 CEST"),
        (NOON + NEAR, utc, "2023-11-16 00:00:00 UTC"),
        (NOON - NEAR, berlin, "2023-11-15 02:00:00 CEST"),
        (None, utc, "-"),
        (-1.0, utc, "-"),
        (1e300, utc, "-"),
        (float("nan"), utc, "-"),
    ],
)
def test_moments(at: float | None, zone: Zone, text: str) -> None:
    """The time of day with the zone's name; the date, which is the zone's too, where it is half a day away."""
    assert format_moment(at, NOON, zone) == text


def test_to_the_minute_and_always_with_the_date() -> None:
    """A caller that has no now gets the date; one that has no use for seconds leaves them out."""
    assert format_moment(NOON, NOON, utc, seconds=False) == "12:00 UTC"
    assert format_moment(NOON, None, berlin) == "2023-11-15 14:00:00 CEST"
    assert format_in_zone(NOON, "%H:%M", berlin) == "14:00"


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    """On the night of the change two moments an hour apart have the same time of day and different names."""
    first, second = (format_moment(at, at, berlin) for at in (1_792_888_200.0, 1_792_891_800.0))
    assert (first, second) == ("02:30:00 CEST", "02:30:00 CET")


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Asia/Shanghai", (28_800, "CST")),
        ("America/New_York", (-18_000, "EST")),
        ("UTC", (0, "UTC")),
        ("America/Sao_Paulo", (-10_800, "UTC-03")),
    ],
)
def test_the_zone_of_the_process(monkeypatch: pytest.MonkeyPatch, name: str, zone: tuple[int, str]) -> None:
    """$TZ as the C library reads it; a zone without letters is shown as its distance from UTC."""
    monkeypatch.setenv("TZ", name)
    time.tzset()
    try:
        assert local_zone(NOON) == zone
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_form_for_logs_is_utc() -> None:
    """To the second, and sorted as text is sorted by time."""
    assert format_iso(NOON) == "2023-11-15T12:00:00Z"


def test_what_no_calendar_has_is_no_date() -> None:
    """Before 1970, after 9999, no number at all."""
    assert [is_date(at) for at in (0.0, 253_402_300_799.0)] == [True, True]
    assert [is_date(at) for at in (None, -0.1, 253_402_300_800.0, float("nan"))] == [False] * 4
