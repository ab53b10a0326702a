"""The demo world's overview says what is in its lists."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import LANGUAGES
from tui.demo.overview import BARS, STAGES, STEP, Trends, overview, quantile
from tui.demo.story import begin
from tui.demo.world import ENDED
from tui.format import Look
from tui.rows import LANES, NEEDS, need_rows

NOW = 1_790_000_000.0


def test_counts_are_those_of_the_lists() -> None:
    """Lanes, the fleet and the counts agree with the rows, whichever minute one looks."""
    world = begin(7, "small", NOW)
    for _ in range(5):
        world.advance(world.now + 60)
        told = overview(world, Trends(), 0, "en")
        states = [job["state"] for job in world.jobs.values()]
        asking = [row for row in world.requests.values() if row["state"] == "asking"]
        assert told["counts"] == {
            "asking": len(asking),
            "queued": states.count("queued"),
            "running": states.count("running"),
        }
        lanes = {lane["stage"]: lane for lane in told["lanes"]}
        assert list(lanes) == list(STAGES)
        assert lanes["approval"]["count"] == len(asking)
        assert lanes["running"]["count"] == states.count("running")
        fleet = told["fleet"]
        assert fleet["online"] + fleet["offline"] == len(world.agents)
        assert fleet["busy"] == len({job["agent"] for job in world.jobs.values() if job["state"] == "running"})
        assert [lane["p50"] <= lane["p95"] <= lane["p99"] for lane in lanes.values() if lane["p50"] is not None]
        assert all(lane["oldest"] is None or lane["oldest"] >= 0 for lane in lanes.values())


def test_what_needs_a_person_comes_first_by_its_time() -> None:
    """Plans by when their time runs out, then jobs of unknown end and stuck ones, then drains."""
    world = begin(7, "small", NOW)
    world.agents["db-1"]["draining"] = {"left": 1, "of": 2, "by": "alice", "at": NOW}
    needs = overview(world, Trends(), 0, "en")["needs_you"]
    kinds = [need["kind"] for need in needs]
    assert set(kinds) == {"approve", "unknown", "stuck", "drain"}
    assert kinds == sorted(kinds, key=["approve", "unknown", "stuck", "drain"].index) or kinds[-1] == "drain"
    expires = [need["expires"] for need in needs if need["kind"] == "approve"]
    assert expires == sorted(expires)
    assert kinds[: len(expires)] == ["approve"] * len(expires)
    open_jobs = {job["id"] for job in world.jobs.values() if job["state"] not in ENDED}
    assert {need["job"] for need in needs if "job" in need} <= open_jobs


def test_the_needs_are_bounded() -> None:
    """Fifty at most, whatever there is."""
    world = begin(7, "small", NOW)
    for agent in world.agents.values():
        agent["draining"] = {"left": 0, "of": 0, "by": "alice", "at": NOW}
    assert len(overview(world, Trends(), 0, "en")["needs_you"]) == 50


def test_words_of_a_lane() -> None:
    """A paused queue, a machine that holds jobs back, a plan that runs out: each lane says so in the language asked."""
    world = begin(7, "small", NOW)
    world.queue_paused = {"by": "dave", "at": NOW, "reason": ""}
    for language in LANGUAGES:
        lanes = {lane["stage"]: lane for lane in overview(world, Trends(), 0, language)["lanes"]}
        assert (lanes["queued"]["state"], "dave" in lanes["queued"]["note"]) == ("paused", True)
        assert (lanes["approval"]["state"], lanes["running"]["state"]) == ("waiting", "stuck")
        assert lanes["approval"]["note"].isascii() == (language == "en")
    world.queue_paused = None
    world.advance(NOW + 3)
    lanes = {lane["stage"]: lane for lane in overview(world, Trends(), 0, "en")["lanes"]}
    assert "db-2 " in lanes["queued"]["note"]


def test_the_console_can_show_all_of_it() -> None:
    """Every lane and every need fills its row of the tables, and all of it can be sent over a wire."""
    world = begin(7, "small", NOW)
    told = overview(world, Trends(), 100_000, "en")
    assert json.loads(json.dumps(told)) == told
    look = Look("en", False, world.now)
    for lane in told["lanes"]:
        assert all(isinstance(column.cell(lane, look).text, str) for column in LANES)
    rows = need_rows(told["needs_you"])
    assert len(rows) == len(told["needs_you"])
    assert all(column.cell(row, look).text for row in rows for column in NEEDS)


@given(st.lists(st.floats(0, 100), max_size=60))
def test_trends_are_bars_of_fixed_length(waits: list[float]) -> None:
    """One bar a step however often one looks, a long sleep fills in, and no more than there is room for."""
    trends, now = Trends(), NOW
    trends.look(now, {"running": 1})
    for wait in waits:
        now += wait
        trends.look(now, {"running": 2})
    due = 1 + int((now - NOW) // STEP)
    assert {len(bars) for bars in trends.bars.values()} <= {min(BARS, due), min(BARS, due - 1), min(BARS, due + 1)}


@given(st.lists(st.floats(0, 1e6)), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_quantiles(values: list[float], part: float) -> None:
    """One of the values, with so many below it; none where there are none."""
    found = quantile(values, part)
    if not values:
        assert found is None
        return
    assert found in values
    assert sum(value < found for value in values) <= part * len(values)
