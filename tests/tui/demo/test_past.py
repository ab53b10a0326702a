"""Jobs of long ago: small, the same for a seed, and like any other row."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest

from tui.demo.past import SPACING, generate_history
from tui.text.format import RenderContext
from tui.view.columns import JOBS

NOW = 1_790_000_000.0
AGENTS = ["web-1", "web-2", "db-1"]


def test_a_seed_gives_the_same_past() -> None:
    """The same rows for the same seed, other ones for another."""
    rows = [job.view() for job in generate_history(7, 300, AGENTS, NOW)]
    assert rows == [job.view() for job in generate_history(7, 300, AGENTS, NOW)]
    assert rows != [job.view() for job in generate_history(8, 300, AGENTS, NOW)]


def test_the_newest_is_first_and_ids_sort_so() -> None:
    """One every few seconds before the time given; ids are ULIDs, none twice, ordered as the times are."""
    past = generate_history(7, 500, AGENTS, NOW)
    ids = [job.id for job in past]
    assert ids == sorted(set(ids), reverse=True)
    assert {len(identity) for identity in ids} == {26}
    assert [round(before.at - after.at, 3) for before, after in pairwise(past)] == [SPACING] * 499
    assert past[0].at < NOW


def test_each_answers_like_a_row() -> None:
    """What a filter asks of it is what its row says; it has ended, in one of both ways, and every column shows it."""
    past = generate_history(7, 500, AGENTS, NOW)
    keys = ("id", "state", "agent", "person", "inlet", "argv", "exit_code", "priority", "queued_at", "leased_at")
    keys += ("started_at", "ended_at", "duration")
    for job in past:
        row = job.view()
        assert all(getattr(job, key) == getattr(row, key) for key in keys)
        assert row.is_ended
        assert (row.state == "failed") == (row.exit_code == 1)
        assert row.started_at is not None
        assert row.ended_at is not None
        assert row.queued_at <= row.started_at
        assert row.duration == pytest.approx(row.ended_at - row.queued_at, abs=1e-5)
        assert all(isinstance(column.render(row, RenderContext("en", False, NOW)).text, str) for column in JOBS)
    assert 0 < sum(job.failed for job in past) < 250


def test_a_hundred_thousand_fit() -> None:
    """Each takes a few small facts: no dict of its own, and well under half a kilobyte."""
    (job,) = generate_history(7, 1, AGENTS, NOW)
    assert not hasattr(job, "__dict__")
    assert sys.getsizeof(job) < 200
