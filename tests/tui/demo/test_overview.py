"""The demo world's overview says what is in its lists."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from common.api.agents import DrainView
from common.api.codec import decode, encode
from common.api.overview import Overview, QueuePause
from common.catalogue import LANGUAGES
from tui.demo.overview import BAR_COUNT, BAR_SECONDS, STAGES, TrendHistory, build_overview, quantile
from tui.demo.story import create_world
from tui.demo.world import DemoWorld
from tui.text.format import RenderContext
from tui.view.columns import ATTENTION, LANES

NOW = 1_790_000_000.0


def drain(world: DemoWorld, name: str, left: int, of: int) -> None:
    view = DrainView(by="alice", at=NOW, left=left, of=of)
    world.store_agent(replace(world.agents[name], draining=view))


def test_counts_are_those_of_the_lists() -> None:
    """Lanes, the fleet and the counts agree with the rows, whichever minute one looks."""
    world = create_world(7, "small", NOW)
    for _ in range(5):
        world.advance(world.now + 60)
        told = build_overview(world, TrendHistory(), 0, "en")
        states = [job.state for job in world.jobs.values()]
        asking = [request for request in world.requests.values() if request.is_asking]
        assert told.counts == {
            "asking": len(asking),
            "queued": states.count("queued"),
            "running": states.count("running"),
        }
        lanes = {lane.stage: lane for lane in told.lanes}
        assert list(lanes) == list(STAGES)
        assert lanes["approval"].count == told.needs.approve == len(asking)
        assert lanes["running"].count == states.count("running")
        fleet = told.fleet
        assert fleet.online + fleet.offline == len(world.agents)
        assert fleet.busy == len({job.agent for job in world.jobs.values() if job.is_running})
        assert all((lane.p50 or 0) <= (lane.p95 or 0) <= (lane.p99 or 0) for lane in told.lanes)
        assert all(lane.oldest is None or lane.oldest >= 0 for lane in told.lanes)


def test_what_needs_a_person_comes_first_by_its_time() -> None:
    """Jobs of unknown end and stuck ones, then plans by when their time runs out, then drains."""
    world = create_world(7, "small", NOW)
    drain(world, "db-1", 1, 2)
    needs = build_overview(world, TrendHistory(), 0, "en").needs_you
    kinds = [need.kind for need in needs]
    assert set(kinds) == {"approve", "unknown", "stuck", "drain"}
    wrong = [kind for kind in kinds if kind in ("unknown", "stuck")]
    assert kinds[: len(wrong)] == wrong
    assert kinds[-1] == "drain"
    expires = [need.expires or 0.0 for need in needs if need.kind == "approve"]
    assert expires == sorted(expires)
    assert all(expires)
    assert kinds[len(wrong) : -1] == ["approve"] * len(expires)
    open_jobs = {job.id for job in world.jobs.values() if job.is_open}
    assert {need.job for need in needs if need.job is not None} <= open_jobs


def test_the_needs_are_bounded() -> None:
    """Fifty at most, whatever there is."""
    world = create_world(7, "small", NOW)
    for name in list(world.agents):
        drain(world, name, 0, 0)
    assert len(build_overview(world, TrendHistory(), 0, "en").needs_you) == 50


def test_words_of_a_lane() -> None:
    """A paused queue, a machine that holds jobs back, a plan that runs out: each lane says so in the language asked."""
    world = create_world(7, "small", NOW)
    world.queue_paused = QueuePause(by="dave", at=NOW)
    for language in LANGUAGES:
        lanes = {lane.stage: lane for lane in build_overview(world, TrendHistory(), 0, language).lanes}
        assert (lanes["queued"].state, "dave" in lanes["queued"].note) == ("paused", True)
        assert (lanes["approval"].state, lanes["running"].state) == ("waiting", "stuck")
        assert lanes["approval"].note.isascii() == (language == "en")
    world.queue_paused = None
    world.advance(NOW + 3)
    lanes = {lane.stage: lane for lane in build_overview(world, TrendHistory(), 0, "en").lanes}
    assert "db-2 " in lanes["queued"].note


def test_the_console_can_show_all_of_it() -> None:
    """Every lane and every need fills its row of the tables, and all of it can be sent over a wire."""
    world = create_world(7, "small", NOW)
    told = build_overview(world, TrendHistory(), 100_000, "en")
    assert decode(Overview, encode(told)) == told
    look = RenderContext("en", False, world.now)
    for lane in told.lanes:
        assert all(isinstance(column.render(lane, look).text, str) for column in LANES)
    assert all(column.render(need, look).text for need in told.needs_you for column in ATTENTION)


@given(st.lists(st.floats(0, 100), max_size=60))
def test_trends_are_bars_of_fixed_length(waits: list[float]) -> None:
    """One bar a step however often one looks, a long sleep fills in, and no more than there is room for."""
    trends, now = TrendHistory(), NOW
    trends.record(now, {"running": 1})
    for wait in waits:
        now += wait
        trends.record(now, {"running": 2})
    due = 1 + int((now - NOW) // BAR_SECONDS)
    assert {len(bars) for bars in trends.bars.values()} <= {
        min(BAR_COUNT, due),
        min(BAR_COUNT, due - 1),
        min(BAR_COUNT, due + 1),
    }


@given(st.lists(st.floats(0, 1e6)), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_quantiles(values: list[float], part: float) -> None:
    """One of the values, with so many below it; none where there are none."""
    found = quantile(values, part)
    if not values:
        assert found is None
        return
    assert found in values
    assert sum(value < found for value in values) <= part * len(values)
