"""Windows on the demo world: what the console keeps by deltas is what the hub would list anew."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tui.scripted_source import HOSTILE
from tui import model
from tui.client import BadCall, CallRefused
from tui.demo import views
from tui.demo.past import make_past
from tui.demo.story import begin
from tui.demo.views import MAX_CHANGES, MAX_WINDOW, Window
from tui.demo.world import World

NOW = 1_790_000_000.0


@pytest.fixture
def world() -> World:
    return begin(7, "small", NOW)


def opened(world: World, view: str, **args: Any) -> Window:
    window = Window(world, args.pop("past", ()), {"view": view, **args}, "en")
    world.listeners.append(window.listen)
    return window


def ids(push: dict[str, Any]) -> list[str]:
    return [row["id"] for row in push["rows"]]


@pytest.mark.parametrize(
    "args",
    [
        {"view": "jobs"},
        {"view": "jobs", "filter": "state:running,queued"},
        {"view": "jobs", "sort": "-age", "lo": 5},
        {"view": "requests"},
        {"view": "agents", "sort": "-load"},
        {"view": "audit"},
        {"view": "activity", "lo": 3},
    ],
    ids=str,
)
def test_deltas_add_up_to_the_list(world: World, args: dict[str, Any]) -> None:
    """A minute of deltas, taken by the console's own model, gives the rows that a new snapshot gives, in its order."""
    view, args = args["view"], {"n": 40} | {key: value for key, value in args.items() if key != "view"}
    window, kept = opened(world, view, **args), model.Window()
    kept.apply(window.snapshot())
    pushes = 0
    for _ in range(240):
        world.advance(world.now + 0.25)
        push = window.delta()
        if push is not None:
            pushes += 1
            assert kept.apply(push), "a gap"
    for _ in range(3):
        world.advance(world.now + 0.6)
        if (push := window.delta()) is not None:
            assert kept.apply(push)
    fresh = opened(world, view, **args).snapshot()
    lo = fresh["lo"]
    rows = [kept.row_at(index) or {} for index in range(lo, lo + len(fresh["rows"]))]
    assert [row["id"] for row in rows] == ids(fresh)
    counting = {"output_bytes": 0}  # alone it is no reason for a push
    assert [{**row, **counting} for row in rows] == [{**row, **counting} for row in fresh["rows"]]
    assert kept.total == fresh["total"]
    assert pushes > 10


def test_filters_are_those_of_the_hub(world: World) -> None:
    """The one filter language: rows that fit and no others, `all` still counts everything; a wrong one says where."""
    push = opened(world, "jobs", filter="state:failed").snapshot()
    assert push["rows"]
    assert {row["state"] for row in push["rows"]} == {"failed"}
    assert push["total"] == len([job for job in world.jobs.values() if job["state"] == "failed"])
    assert push["all"] == len(world.jobs)
    with pytest.raises(CallRefused) as caught:
        opened(world, "jobs", filter="nonsense:1")
    assert caught.value.code == "filter"
    assert caught.value.problem.partition(":")[0].isdigit()
    with pytest.raises(CallRefused) as chinese:
        Window(world, (), {"view": "jobs", "filter": "nonsense:1"}, "zh")
    assert not chinese.value.problem.isascii()


def test_a_row_comes_and_goes_with_the_filter(world: World) -> None:
    """A request that is decided leaves the list of those that wait, and the push names it."""
    window = opened(world, "requests", filter="state:asking")
    waiting = ids(window.snapshot())
    world.end_request(world.requests[waiting[0]], "rejected", "no", "alice")
    world.advance(world.now + 1)
    push = window.delta()
    assert push is not None
    assert (push["gone"], waiting[0] in push["order"], push["total"]) == ([waiting[0]], False, len(push["order"]))


@pytest.mark.parametrize("sort", ["age", "-age", "priority", "-priority", "agent", "-exit_code"])
def test_order(world: World, sort: str) -> None:
    """Up and down by what was asked; rows without it are last both ways; without an order the newest is first."""
    for job in list(world.jobs.values())[::3]:
        job["priority"] = 9
    found = opened(world, "jobs", sort=sort, n=500).snapshot()["rows"]
    key, down = sort.lstrip("-"), sort.startswith("-")
    values = [-row["queued_at"] if key == "age" else row[key] for row in found]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=down)
    assert values[len(known) :] == [None] * (len(values) - len(known))
    newest = [row["queued_at"] for row in opened(world, "jobs").snapshot()["rows"]]
    assert newest == sorted(newest, reverse=True)


def test_the_window_is_bounded(world: World) -> None:
    """However many rows are asked for, at most a bound come; a window beyond the end is empty; nonsense begins at 0."""
    past = make_past(7, 900, list(world.agents), NOW - 900)
    assert len(opened(world, "jobs", n=10_000_000, past=past).snapshot()["rows"]) == MAX_WINDOW
    far = opened(world, "jobs", lo=10_000, past=past).snapshot()
    assert (far["rows"], far["all"]) == ([], len(world.jobs) + 900)
    assert len(opened(world, "jobs", lo=-5, n=-5).snapshot()["rows"]) == 1


def test_the_past_is_listed_after_today(world: World) -> None:
    """Old jobs are filtered and sorted as the others are."""
    past = make_past(7, 900, list(world.agents), NOW - 900)
    push = opened(world, "jobs", lo=len(world.jobs), n=50, past=past).snapshot()
    assert ids(push) == [job.id for job in past[:50]]
    failed = opened(world, "jobs", filter="state:failed", n=500, past=past).snapshot()
    assert failed["total"] == sum(job["state"] == "failed" for job in world.jobs.values()) + sum(
        job.failed for job in past
    )
    oldest = opened(world, "jobs", sort="-age", n=3, past=past).snapshot()
    assert ids(oldest) == [job.id for job in past[-1:-4:-1]]


def test_a_slow_reader_gets_one_push(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed a thousand times is sent once, and what is kept for it is bounded; then the list is still true."""
    monkeypatch.setattr(views, "MAX_CHANGES", 50)
    window, kept = opened(world, "jobs", n=40), model.Window()
    kept.apply(window.snapshot())
    world.advance(world.now + 600)
    assert len(window._changed) <= 50 < MAX_CHANGES
    push = window.delta()
    assert push is not None
    assert kept.apply(push)
    assert len({row["id"] for row in push["upsert"]}) == len(push["upsert"]) <= 40
    assert [kept.id_at(index) for index in range(40)] == ids(opened(world, "jobs", n=40).snapshot())
    assert window.delta() is None


def test_rows_are_copies(world: World) -> None:
    """A snapshot does not change as the world goes on, nor the world with it."""
    push = opened(world, "agents").snapshot()
    push["rows"][0]["name"] = "changed"
    assert "changed" not in {agent["name"] for agent in world.agents.values()}
    before = [dict(row) for row in push["rows"]]
    world.advance(world.now + 60)
    assert push["rows"] == before


@pytest.mark.parametrize("hostile", [*HOSTILE, "", "lanes"], ids=range(len(HOSTILE) + 2))
def test_views_that_there_are_not(world: World, hostile: str) -> None:
    """Any other name is refused in words, as an unreadable filter is."""
    with pytest.raises(BadCall):
        opened(world, hostile)
    code = "filter"
    try:
        assert opened(world, "jobs", filter=hostile).snapshot()["all"] == len(world.jobs)
    except CallRefused as error:
        code = error.code
    assert code == "filter"
