"""The pipeline in lanes: percentiles, rates, trends, and how a lane stands."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api.codec import encode
from common.catalogue import LANGUAGES
from common.values import format_age
from hub.api.stage_latency import (
    LANE_OF_STAGE,
    SLOT,
    SLOTS,
    STAGES,
    LatencyWindow,
    PipelineLatency,
    PipelineSnapshot,
    StageDepth,
)
from hub.metrics import STAGES as MEASURED
from tests.each import each_of

NOW = 1_800_000_000.0


@each_of("share", [0.5, 0.95, 0.99])
def test_percentiles_are_near_the_truth(share: float) -> None:
    """Within 4 % of what sorting all durations gives, from a tenth of a millisecond to days."""
    chance = random.Random(3)
    stage = LatencyWindow()
    durations = [chance.lognormvariate(0, 3) for _ in range(5_000)]
    for duration in durations:
        stage.add(duration, NOW)
    (found,) = stage.percentiles(NOW, [share])
    assert found is not None
    exact = sorted(durations)[math.ceil(share * len(durations)) - 1]
    assert found == pytest.approx(exact, rel=0.04)


def test_nothing_went_through() -> None:
    """No number is made up."""
    stage = LatencyWindow()
    assert stage.percentiles(NOW) == [None, None, None]
    assert stage.counts(NOW) == [0] * SLOTS


def test_five_minutes_are_remembered() -> None:
    """What is older does not count, and takes no room."""
    stage = LatencyWindow()
    for second in range(0, 3_000, 10):
        stage.add(1.0, NOW + second)
    now = NOW + 2_990
    assert sum(stage.counts(now)) == SLOTS
    assert len(stage._slots) <= SLOTS
    assert stage.percentiles(now + SLOT * SLOTS) == [None, None, None]
    assert stage._slots == {}


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50))
def test_any_duration_is_taken(durations: list[float]) -> None:
    """A clock that was set back, or an agent that lies, breaks nothing."""
    stage = LatencyWindow()
    for duration in durations:
        stage.add(duration, NOW)
    found = stage.percentiles(NOW)
    assert all(value is None or 0 < value < 1e8 for value in found)


def test_every_lane_is_fed_from_a_stage_that_is_measured() -> None:
    """The names are those of Effects.stages, and each lane has one."""
    assert set(LANE_OF_STAGE.values()) == set(STAGES)
    assert set(LANE_OF_STAGE) <= set(MEASURED)


def fed() -> PipelineLatency:
    lanes = PipelineLatency(started_at=NOW - 1_000)
    lanes.record([("queue", 0.5), ("queue", 1.5), ("total", 3.0), ("start", 9.0), ("reply", 9.0)], 2, NOW)
    return lanes


def lane(board: PipelineSnapshot, name: str, lanes: PipelineLatency | None = None) -> dict[str, object]:
    found = encode((lanes or fed()).view(board))
    assert [entry["stage"] for entry in found] == list(STAGES)
    return next(entry for entry in found if entry["stage"] == name)


def test_a_lane_says_depth_latency_and_flow() -> None:
    """Count and age come from the store, the rest from what went through; trends are counts of ten seconds."""
    found = lane(PipelineSnapshot(NOW, {"queued": StageDepth(7, NOW - 30)}), "queued")
    assert (found["count"], found["oldest"], found["state"], found["note"]) == (7, 30.0, "ok", "")
    assert found["p50"] == pytest.approx(0.5, rel=0.04)
    assert found["p99"] == pytest.approx(1.5, rel=0.04)
    assert found["trend"] == [0] * (SLOTS - 1) + [2]
    assert found["rate"] == round(2 / (SLOT * 5 + NOW % SLOT), 3)


def test_the_rate_of_a_hub_that_has_just_started() -> None:
    """Divided by the time that there is, not by a minute of nothing."""
    lanes = PipelineLatency(started_at=NOW - 4)
    lanes.record([("queue", 0.1)] * 20, 0, NOW)
    assert lane(PipelineSnapshot(NOW, {}), "queued", lanes)["rate"] == 5.0


def test_done_counts_what_ended_and_what_failed() -> None:
    """Of the five minutes, in jobs that did not end well."""
    found = lane(PipelineSnapshot(NOW, {}), "done")
    assert found["count"] == 1
    assert "2 did not end well" in str(found["note"])


@each_of(
    ("name", "board", "state", "note"),
    [
        ("queued", PipelineSnapshot(NOW, {}, paused_by="bob"), "paused", "by bob"),
        (
            "queued",
            PipelineSnapshot(NOW, {"queued": StageDepth(3, NOW)}, unavailable=3, busiest=(("db-1", 3),)),
            "waiting",
            "db-1 3",
        ),
        (
            "queued",
            PipelineSnapshot(NOW, {"queued": StageDepth(4, NOW)}, unavailable=3, busiest=(("db-1", 3),)),
            "ok",
            "db-1 3",
        ),
        ("approval", PipelineSnapshot(NOW, {"approval": StageDepth(1, NOW)}, next_expiry=NOW + 65), "waiting", "1m05s"),
        ("approval", PipelineSnapshot(NOW, {}), "ok", ""),
        ("running", PipelineSnapshot(NOW, {}, stuck=2), "stuck", "2 past"),
        ("running", PipelineSnapshot(NOW, {}, unknown=1), "ok", "1 with an unknown"),
        ("received", PipelineSnapshot(NOW, {"received": StageDepth(1, NOW - 31)}), "stuck", "31s"),
        ("received", PipelineSnapshot(NOW, {"received": StageDepth(1, NOW - 29)}), "ok", ""),
        ("planning", PipelineSnapshot(NOW, {"planning": StageDepth(1, NOW - 61)}), "stuck", "1m01s"),
    ],
)
def test_how_a_lane_stands(name: str, board: PipelineSnapshot, state: str, note: str) -> None:
    """The worst first, and why."""
    found = lane(board, name, PipelineLatency())
    assert found["state"] == state
    assert note in str(found["note"])
    assert bool(note) == bool(found["note"])


def test_a_lane_is_slow_by_its_95th_percentile() -> None:
    """Not by one that took long."""
    lanes = PipelineLatency()
    lanes.record([("queue", 0.1)] * 99 + [("queue", 500.0)], 0, NOW)
    assert lane(PipelineSnapshot(NOW, {}), "queued", lanes)["state"] == "ok"
    lanes.record([("queue", 500.0)] * 10, 0, NOW)
    assert (
        lane(PipelineSnapshot(NOW, {"queued": StageDepth(1, NOW)}, busiest=(("db-1", 1),)), "queued", lanes)["state"]
        == "slow"
    )


def test_notes_in_both_languages() -> None:
    """A board is said in the language of whoever looks."""
    board = PipelineSnapshot(NOW, {}, paused_by="bob")
    notes = {language: PipelineLatency().view(board, language)[3].note for language in LANGUAGES}
    assert notes["en"] != notes["zh"]


@each_of(
    ("seconds", "text"),
    [(-1, "0s"), (59.9, "59s"), (60, "1m00s"), (3_599, "59m59s"), (7_500, "2h05m"), (90_000, "1d01h")],
)
def test_spans(seconds: float, text: str) -> None:
    """Two units at most."""
    assert format_age(seconds) == text
