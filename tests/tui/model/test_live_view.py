"""One server view kept true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest

from common.api.jobs import JobView
from common.api.versions import VIEW_VERSIONS
from common.errors import WorkFailed
from tests.tui.fake_source import HOSTILE, FakeSource, job_row
from tui.client.errors import CallRefused, LinkLost
from tui.model.filter_text import FilterProblem
from tui.model.live_view import LiveView, problem_of
from tui.model.window import ViewQuery
from tui.terminal.sanitize import is_safe


async def until(come: Callable[[], Any]) -> None:
    """Lets the tasks run until something has come about."""
    for _ in range(2_000):
        if come():
            return
        await asyncio.sleep(0)
    raise AssertionError("never came about")


@asynccontextmanager
async def following(source: FakeSource, query: ViewQuery | None = None) -> AsyncIterator[LiveView]:
    with patch("tui.model.live_view.DEBOUNCE", 0.0):
        view = LiveView(source, query or ViewQuery("jobs"), "jobs")
        async with asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(view.run())
            view.start()
            yield view
            worker.cancel()


def state_of(view: LiveView) -> str:
    """The state of the first job in its window."""
    row = view.window.row(job_row(1)["id"])
    return row.state if isinstance(row, JobView) else ""


def source_of(count: int) -> FakeSource:
    source = FakeSource()
    source.rows["jobs"] = [job_row(index) for index in range(count)]
    return source


async def test_a_snapshot_then_what_changes() -> None:
    """The window is what the hub says; it says when something last came."""
    source = source_of(3)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        assert (view.window.total, view.updated_at) == (3, source.clock)
        source.push("jobs", upsert=[job_row(1, "failed")])
        await until(lambda: state_of(view) == "failed")


async def test_a_gap_begins_again() -> None:
    """A push that is not the next one asks for the whole view anew."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        source.rows["jobs"].append(job_row(9))
        source._seqs["jobs"] += 5
        source.push("jobs", upsert=[])
        await until(lambda: view.window.total == 3)


async def test_a_lost_link_keeps_what_was_shown() -> None:
    """Lost, the rows stay and nothing is a problem; back and started again, they are brought up to date."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        source.disconnect()
        for _ in range(50):
            await asyncio.sleep(0)
        assert (view.window.total, view.problem) == (2, None)
        source.rows["jobs"].append(job_row(9))
        source.reconnect()
        view.start()
        await until(lambda: view.window.total == 3)


async def test_another_list_begins_empty_when_it_comes() -> None:
    """Until the new one is here the old rows stand; then nothing of the old is left."""
    source = source_of(3)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        source.rows["jobs"] = [job_row(7)]
        view.update_query(filter="state:failed", lo=0)
        assert view.window.total == 3
        await until(lambda: view.window.total == 1)
        assert source.subscriptions["jobs"]["filter"] == "state:failed"
        assert view.window.row(job_row(1)["id"]) is None


async def test_a_filter_that_the_hub_refuses_keeps_the_last_good_list() -> None:
    """The words and the place are told; the next filter that is right takes them away."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        source.answers["view"] = CallRefused("filter", "6: no such state\x1b[2J")
        view.update_query(filter="state:odd")
        await until(lambda: view.problem is not None)
        assert view.problem is not None
        assert view.problem.position == 6
        assert is_safe(view.problem.text)
        assert (view.filter_input, view.window.total) == ("state:odd", 2)
        source.answers.clear()
        view.update_query(filter="")
        await until(lambda: view.problem is None and view.loaded_query.filter == "")
        view.reject_filter("a:", FilterProblem("no", 0))
        assert (view.filter_input, view.query.filter) == ("a:", "")


@pytest.mark.parametrize("push", [{}, {"seq": 2, "upsert": 7}, {"rows": 3, "seq": 1}, None, 7, "rows", [1]])
async def test_a_push_that_is_none(push: Any) -> None:
    """What the hub says wrongly is a problem that is told, and the view can be asked for again."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        source._pushes["jobs"].put_nowait(push)
        await until(lambda: view.problem is not None)
        source.rows["jobs"].append(job_row(9))
        view.start()
        await until(lambda: view.window.total == 3)


async def test_an_error_of_the_hub_is_told() -> None:
    """Any error for people, made safe."""
    source = source_of(2)
    source.answers["view"] = WorkFailed(HOSTILE[0], "again")
    async with following(source) as view:
        await until(lambda: view.problem is not None)
        assert view.problem is not None
        assert is_safe(view.problem.text)


@pytest.mark.parametrize(
    "error",
    [WorkFailed("the store is busy", "try again"), LinkLost("no answer within 60 s", "try again"), KeyError("total")],
)
async def test_what_fails_while_the_link_is_there_is_asked_for_again_by_itself(error: Exception) -> None:
    """Told meanwhile, and what is shown is known to be old; then it goes on, and the problem is gone."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        with patch("tui.model.live_view.RETRY_AFTER", 0.0):
            source.answers["view"] = error
            source._pushes["jobs"].put_nowait(error)
            await until(lambda: view.stale)
            assert view.problem is not None
            assert str(error)[:10] in view.problem.text
            assert view.window.total == 2
            source.answers.clear()
            source.rows["jobs"].append(job_row(9))
            await until(lambda: view.window.total == 3)
            assert (view.stale, view.problem) == (False, None)


async def test_a_no_is_not_asked_for_again_by_itself() -> None:
    """A right that was taken away: it is told, and asked for when the operator says so."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        with patch("tui.model.live_view.RETRY_AFTER", 0.0):
            source._pushes["jobs"].put_nowait(CallRefused("no_right", "alice may not see jobs"))
            await until(lambda: view.stale)
            source.rows["jobs"].append(job_row(9))
            for _ in range(50):
                await asyncio.sleep(0)
            assert (view.window.total, view.problem is not None) == (2, True)
            view.start()
            await until(lambda: view.window.total == 3)


async def test_a_newer_hub_whose_rows_cannot_be_read() -> None:
    """Said in words, what was shown stays; nothing is asked for again until the operator says so."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        with patch("tui.model.live_view.RETRY_AFTER", 0.0):
            odd = {"id": "J", "phase": "running"}
            source._pushes["jobs"].put_nowait(
                {"seq": 2, "total": 1, "all": 1, "lo": 0, "rows": [odd], "version": VIEW_VERSIONS["jobs"] + 1}
            )
            await until(lambda: view.problem is not None)
            assert view.problem is not None
            assert view.problem.text == "this hub's list of jobs is newer than this console: upgrade it"
            assert (view.stale, view.window.total, source.unsubscribed) == (True, 2, ["jobs"])
            source.rows["jobs"].append(job_row(9))
            for _ in range(50):
                await asyncio.sleep(0)
            assert view.window.total == 2
            view.start()
            await until(lambda: view.window.total == 3)


async def test_stopped_it_follows_nothing() -> None:
    """A screen that is not shown costs nothing."""
    source = source_of(2)
    async with following(source) as view:
        await until(lambda: view.window.loaded)
        view.stop()
        for _ in range(50):
            await asyncio.sleep(0)
        source.push("jobs", upsert=[job_row(1, "failed")])
        for _ in range(50):
            await asyncio.sleep(0)
        assert state_of(view) == "running"


async def test_a_window_is_asked_for_before_its_end_is_reached() -> None:
    """With rows to spare on both sides, bounded; while it is near enough nothing is asked."""
    source = source_of(2_000)
    async with following(source, ViewQuery("jobs", n=60)) as view:
        await until(lambda: view.window.loaded)
        before = view.query
        view.request_rows(0, 20)
        assert view.query == before
        view.request_rows(1_000, 1_020)
        assert view.query.lo < 1_000
        assert view.query.lo + view.query.n > 1_020
        await until(lambda: view.window.covers(1_000, 1_020))
        view.request_rows(0, 5_000)
        assert view.query.n <= 400


def test_where_a_filter_is_wrong() -> None:
    """`POSITION: words` of a filter's refusal; other refusals have no place."""
    assert problem_of(CallRefused("filter", "12: what")) == FilterProblem("what", 12)
    assert problem_of(CallRefused("no_right", "12: what")).position is None
    assert problem_of(CallRefused("filter", "what")).position is None
