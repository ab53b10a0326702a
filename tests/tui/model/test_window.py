"""A window of rows on a long list: snapshots, deltas, held orders, bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api.lists import Delta, Snapshot
from common.api.versions import BadAnswer, read_push
from tests.tui.fake_source import agent_row
from tests.tui.rows import agent
from tui.model.window import KEEP_AROUND, MAX_ROWS, RowWindow, ViewQuery


def snapshot(*names: str, lo: int = 0, total: int | None = None, seq: int = 1) -> Snapshot[Any]:
    count = lo + len(names) if total is None else total
    return Snapshot(seq=seq, lo=lo, total=count, all=count, rows=tuple(map(agent, names)))


def delta(seq: int, total: int, *, whole: int | None = None, **more: Any) -> Delta[Any]:
    return Delta(seq=seq, total=total, all=total if whole is None else whole, lo=0, **more)


def shown(window: RowWindow, count: int) -> list[str | None]:
    return [window.id_at(index) for index in range(count)]


def test_a_snapshot_and_its_deltas() -> None:
    """Rows change in place by id; sizes follow; the order changes when the hub says so."""
    window = RowWindow()
    assert window.apply(snapshot("a", "b", "c"))
    assert window.apply(delta(2, 3, whole=9, upsert=(agent("b", running=5),)))
    assert (window.row("b"), window.unfiltered_total) == (agent("b", running=5), 9)
    assert window.apply(delta(3, 3, order=("c", "a", "b")))
    assert shown(window, 3) == ["c", "a", "b"]


def test_a_gap_asks_for_everything_again() -> None:
    """A push that is not the next one changes nothing."""
    window = RowWindow()
    window.apply(snapshot("a"))
    assert not window.apply(delta(3, 1, upsert=(agent("a", running=5),)))
    assert window.row("a") == agent("a")


def test_a_held_view_does_not_move() -> None:
    """While the operator reads, what rows say changes and where they stand does not; it is counted and let in later."""
    window = RowWindow()
    window.apply(snapshot("a", "b", "c"))
    window.freeze()
    window.apply(delta(2, 3, order=("c", "b", "a"), upsert=(agent("a", running=5),)))
    assert (shown(window, 3), window.pending_moves, window.row("a")) == (["a", "b", "c"], 2, agent("a", running=5))
    window.release()
    assert (shown(window, 3), window.pending_moves) == (["c", "b", "a"], 0)


def test_what_is_gone_leaves_only_when_the_view_is_let_go() -> None:
    """A row under the cursor does not vanish; it is marked as gone until then."""
    window = RowWindow()
    window.apply(snapshot("a", "b"))
    window.freeze()
    window.apply(delta(2, 1, gone=("a",)))
    assert (window.id_at(0), window.removed) == ("a", {"a"})
    window.release()
    assert (window.id_at(0), window.removed) == (None, set())


def test_memory_is_bounded_whatever_is_scrolled_through() -> None:
    """A walk over a hundred thousand rows keeps the window and 500 on each side."""
    window = RowWindow()
    for lo in range(0, 100_000, 400):
        window.apply(snapshot(*(f"r{index}" for index in range(lo, lo + 400)), lo=lo, total=100_000))
        assert len(window) <= 400 + 2 * KEEP_AROUND
    assert window.covers(99_600, 100_000)
    assert not window.covers(0, 10)


@pytest.mark.parametrize(
    "push",
    [
        {},
        {"rows": [{}]},
        {"seq": "x", "rows": [], "lo": 0},
        {"seq": 1, "lo": 0, "rows": ["a"]},
        {"seq": 1, "lo": None, "total": 1, "all": 1, "rows": [agent_row("a")]},
        {"seq": 1, "upsert": 5},
        {"rows": 7},
    ],
)
def test_a_push_that_is_none_is_refused(push: dict[str, Any]) -> None:
    """What a hub sends is checked before it comes here: whatever it is, the only error is BadAnswer."""
    with pytest.raises(BadAnswer):
        read_push("view", push, "agents")


def test_rows_beyond_the_bound_of_a_push_are_not_taken() -> None:
    """However many a hub sends."""
    window = RowWindow()
    window.apply(snapshot(*(f"r{index}" for index in range(MAX_ROWS + 5))))
    assert len(window) == MAX_ROWS


@given(st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 40), unique=True, max_size=12)), max_size=12))
def test_an_id_stands_at_one_place(places: list[tuple[int, list[int]]]) -> None:
    """Whatever windows come, index and id agree both ways and no row is twice in the list."""
    window = RowWindow()
    for seq, (lo, names) in enumerate(places, 1):
        window.apply(snapshot(*(f"r{name}" for name in names), lo=lo, total=60, seq=seq))
        found = [window.id_at(index) for index in range(60)]
        known = [name for name in found if name is not None]
        assert len(known) == len(set(known))
        for index, name in enumerate(found):
            assert name is None or (window.index(name) == index and window.row(name) is not None)


def test_windows_of_one_list() -> None:
    """Another window is the same list; another filter or order is not."""
    query = ViewQuery("jobs", "state:running", "-age", 100, 50)
    assert query.covers(110, 140)
    assert not query.covers(90, 120)
    assert query.same_rows(ViewQuery("jobs", "state:running", "-age", 0, 10))
    assert not query.same_rows(ViewQuery("jobs", "", "-age", 100, 50))


def test_clear_forgets_everything() -> None:
    """Another list begins empty and unloaded."""
    window = RowWindow()
    window.apply(snapshot("a"))
    window.clear()
    assert (len(window), window.loaded, window.total, window.id_at(0)) == (0, False, 0, None)
