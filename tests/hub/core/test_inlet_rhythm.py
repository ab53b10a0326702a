"""In which hours something comes, and when its silence is none of them."""

from __future__ import annotations

import json

import pytest

from hub.core.inlet_rhythm import HOUR, MAX_WEEKS, WEEK, Rhythm

MONDAY = 2_900 * WEEK * HOUR  # any beginning of a week
DAY = 24 * HOUR


def office(weeks: int, days: int = 5, first: int = 8, last: int = 18) -> Rhythm:
    """Something comes in each hour from `first` to `last`, on weekdays."""
    rhythm = Rhythm()
    for week in range(weeks):
        for day in range(days):
            for hour in range(first, last):
                rhythm.note(MONDAY + week * WEEK * HOUR + day * DAY + hour * HOUR + 60)
    return rhythm


def heard(week: int, day: int, hour: float) -> float:
    return MONDAY + week * WEEK * HOUR + day * DAY + hour * HOUR


def test_a_morning_without_a_word_is_quiet_and_a_weekend_is_not() -> None:
    """After the last word of a Friday five hours of the Monday; in the middle of a day five of that day, or the rest of
    it and some of the next.
    """
    rhythm = office(6)
    friday = rhythm.limit(heard(6, 4, 17.5))
    assert heard(6, 4, 17.5) + friday == heard(7, 0, 13)
    assert heard(6, 1, 9.5) + rhythm.limit(heard(6, 1, 9.5)) == heard(6, 1, 15)
    assert heard(6, 1, 16.5) + rhythm.limit(heard(6, 1, 16.5)) == heard(6, 2, 12)


def test_less_is_known_of_fewer_weeks() -> None:
    """Nothing before two whole weeks have passed beside the first; then it takes longer than with four."""
    limits = [office(weeks).limit(heard(weeks, 1, 9.5)) for weeks in range(1, 8)]
    assert limits[:2] == [0.0, 0.0]
    assert limits[2] > limits[3] >= limits[4]
    assert limits[4:] == [5.5 * HOUR] * 3
    assert Rhythm().limit(heard(3, 0, 0)) == 0.0


def test_one_message_a_week_is_no_rhythm_to_rely_on() -> None:
    rhythm = Rhythm()
    for week in range(6):
        rhythm.note(heard(week, 2, 12))
    assert rhythm.limit(heard(6, 2, 12)) == 0.0


def test_a_holiday_is_remembered_for_four_weeks() -> None:
    """The hours in which nothing came once count for less."""
    rhythm = office(4)
    for week in (5, 6):
        for day in range(5):
            for hour in range(8, 18):
                rhythm.note(heard(week, day, hour))
    assert rhythm.limit(heard(7, 1, 9.5)) > 5.5 * HOUR
    assert len(rhythm.hours) <= MAX_WEEKS + 1


def test_it_is_news_once_an_hour_of_a_week() -> None:
    rhythm = Rhythm()
    times = [heard(0, 0, 8), heard(0, 0, 8.5), heard(0, 0, 9), heard(0, 0, 8.7), heard(1, 0, 8)]
    assert [rhythm.note(at) for at in times] == [True, False, True, False, True]


def test_what_is_written_reads_as_it_was() -> None:
    rhythm = office(6)
    again = Rhythm.from_json(json.loads(json.dumps(rhythm.to_json())))
    assert again.limit(heard(6, 4, 17.5)) == rhythm.limit(heard(6, 4, 17.5)) > 0
    assert len(json.dumps(rhythm.to_json())) < 400
    many = {"first": 1, "hours": {str(week): "f" * 10_000 for week in range(1_000)}}
    bounded = Rhythm.from_json(many)
    assert len(bounded.hours) == MAX_WEEKS + 1
    assert max(bounded.hours.values()) < 1 << WEEK
    for spoilt in ({}, {"first": 1}, {"first": "x", "hours": {}}, {"first": 1, "hours": {"a": "b"}}, {"hours": 7}):
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            Rhythm.from_json(spoilt)
