"""Windows on the demo world: what the console keeps by deltas is what the hub would list anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from common.api.agents import AgentView
from common.api.codec import decode, encode
from common.api.jobs import JobView
from common.api.lists import ROWS, Delta, Snapshot, decode_list_push
from common.api.subscriptions import ViewArgs
from tests.tui.fake_source import HOSTILE
from tui.client.errors import CallRefused, InvalidCall
from tui.demo import views
from tui.demo.past import generate_history
from tui.demo.story import create_world
from tui.demo.views import MAX_CHANGES, MAX_WINDOW, ViewSubscription
from tui.demo.world import DemoWorld
from tui.model import window as model

NOW = 1_790_000_000.0


@pytest.fixture
def world() -> DemoWorld:
    return create_world(7, "small", NOW)


def opened(world: DemoWorld, view: str, **args: Any) -> ViewSubscription:
    past = args.pop("past", ())
    window = ViewSubscription(world, past, ViewArgs(view=cast(Any, view), **args), "en")
    world.listeners.append(window.listener)
    return window


def ids(push: Snapshot[Any]) -> list[str]:
    return [row.id for row in push.rows]


def quietly(row: Any) -> Any:
    """A row without how much was printed: alone it is no reason for a push."""
    return replace(row, output_bytes=0) if isinstance(row, JobView) else row


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
def test_deltas_add_up_to_the_list(world: DemoWorld, args: dict[str, Any]) -> None:
    """A minute of deltas, taken by the console's own model, gives the rows that a new snapshot gives, in its order."""
    view, args = args["view"], {"n": 40} | {key: value for key, value in args.items() if key != "view"}
    window, kept = opened(world, view, **args), model.RowWindow()
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
    rows: list[Any] = [kept.row_at(index) for index in range(fresh.lo, fresh.lo + len(fresh.rows))]
    assert [row.id for row in rows] == ids(fresh)
    assert list(map(quietly, rows)) == list(map(quietly, fresh.rows))
    assert kept.total == fresh.total
    assert pushes > 10


def test_filters_are_those_of_the_hub(world: DemoWorld) -> None:
    """The one filter language: rows that fit and no others, `all` still counts everything; a wrong one says where."""
    push = opened(world, "jobs", filter="state:failed").snapshot()
    assert push.rows
    assert {row.state for row in push.rows} == {"failed"}
    assert push.total == len([job for job in world.jobs.values() if job.state == "failed"])
    assert push.all == len(world.jobs)
    with pytest.raises(CallRefused) as caught:
        opened(world, "jobs", filter="nonsense:1")
    assert caught.value.code == "filter"
    assert caught.value.problem.partition(":")[0].isdigit()
    with pytest.raises(CallRefused) as chinese:
        ViewSubscription(world, (), ViewArgs(view="jobs", filter="nonsense:1"), "zh")
    assert not chinese.value.problem.isascii()


def test_a_row_comes_and_goes_with_the_filter(world: DemoWorld) -> None:
    """A request that is decided leaves the list of those that wait, and the push names it."""
    window = opened(world, "requests", filter="state:asking")
    waiting = ids(window.snapshot())
    world.end_request(world.requests[waiting[0]], "rejected", "no", "alice")
    world.advance(world.now + 1)
    push = window.delta()
    assert isinstance(push, Delta)
    assert push.order is not None
    assert (push.gone, waiting[0] in push.order, push.total) == ((waiting[0],), False, len(push.order))


@pytest.mark.parametrize("sort", ["age", "-age", "priority", "-priority", "agent", "-exit_code"])
def test_order(world: DemoWorld, sort: str) -> None:
    """Up and down by what was asked; rows without it are last both ways; without an order the newest is first."""
    for job in list(world.jobs.values())[::3]:
        world.store_job(replace(job, priority=9))
    found = opened(world, "jobs", sort=sort, n=500).snapshot().rows
    key, down = sort.lstrip("-"), sort.startswith("-")
    values = [-row.queued_at if key == "age" else getattr(row, key) for row in found]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=down)
    assert values[len(known) :] == [None] * (len(values) - len(known))
    newest = [row.queued_at for row in opened(world, "jobs").snapshot().rows]
    assert newest == sorted(newest, reverse=True)


def test_the_window_is_bounded(world: DemoWorld) -> None:
    """However many rows are asked for, at most a bound come; a window beyond the end is empty; nonsense begins at 0."""
    past = generate_history(7, 900, list(world.agents), NOW - 900)
    assert len(opened(world, "jobs", n=10_000_000, past=past).snapshot().rows) == MAX_WINDOW
    far = opened(world, "jobs", lo=10_000, past=past).snapshot()
    assert (far.rows, far.all) == ((), len(world.jobs) + 900)
    assert len(opened(world, "jobs", lo=-5, n=-5).snapshot().rows) == 1


def test_the_past_is_listed_after_today(world: DemoWorld) -> None:
    """Old jobs are filtered and sorted as the others are."""
    past = generate_history(7, 900, list(world.agents), NOW - 900)
    push = opened(world, "jobs", lo=len(world.jobs), n=50, past=past).snapshot()
    assert ids(push) == [job.id for job in past[:50]]
    failed = opened(world, "jobs", filter="state:failed", n=500, past=past).snapshot()
    assert failed.total == sum(job.state == "failed" for job in world.jobs.values()) + sum(job.failed for job in past)
    oldest = opened(world, "jobs", sort="-age", n=3, past=past).snapshot()
    assert ids(oldest) == [job.id for job in past[-1:-4:-1]]


def test_a_slow_reader_gets_one_push(world: DemoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed a thousand times is sent once, and what is kept for it is bounded; then the list is still true."""
    monkeypatch.setattr(views, "MAX_CHANGES", 50)
    window, kept = opened(world, "jobs", n=40), model.RowWindow()
    kept.apply(window.snapshot())
    world.advance(world.now + 600)
    assert len(window._changed) <= 50 < MAX_CHANGES
    push = window.delta()
    assert push is not None
    assert kept.apply(push)
    assert isinstance(push, Delta)
    assert len({row.id for row in push.upsert}) == len(push.upsert) <= 40
    assert [kept.id_at(index) for index in range(40)] == ids(opened(world, "jobs", n=40).snapshot())
    assert window.delta() is None


def test_rows_stay_as_they_were(world: DemoWorld) -> None:
    """A snapshot does not change as the world goes on."""
    push = opened(world, "agents").snapshot()
    before = encode(push)
    world.advance(world.now + 60)
    assert encode(push) == before
    assert all(isinstance(row, AgentView) for row in push.rows)


@pytest.mark.parametrize("view", list(ROWS))
def test_pushes_are_those_of_the_api(world: DemoWorld, view: Any) -> None:
    """A snapshot and a delta of each list are what a hub could have sent."""
    window = opened(world, view)
    pushes = [window.snapshot()]
    world.advance(world.now + 30)
    for push in (*pushes, window.delta()):
        assert push is not None
        again = decode_list_push(view, encode(push))
        assert encode(again) == encode(push)
        assert {type(row) for row in getattr(again, "rows", ())} <= {ROWS[view]}
    assert decode(ROWS[view], encode(pushes[0].rows[0])) == pushes[0].rows[0]


def test_jobs_by_the_labels_of_their_machines(world: DemoWorld) -> None:
    """A job's row has no labels of its own; the filter knows its machine's."""
    found = opened(world, "jobs", filter="label:role=database", n=500).snapshot()
    assert {row.agent for row in found.rows} == {"db-1", "db-2"}


@pytest.mark.parametrize("hostile", [*HOSTILE, "", "lanes"], ids=range(len(HOSTILE) + 2))
def test_views_that_there_are_not(world: DemoWorld, hostile: str) -> None:
    """Any other name is refused in words, as an unreadable filter is."""
    with pytest.raises(InvalidCall):
        opened(world, hostile)
    code = "filter"
    try:
        assert opened(world, "jobs", filter=hostile).snapshot().all == len(world.jobs)
    except CallRefused as error:
        code = error.code
    assert code == "filter"
