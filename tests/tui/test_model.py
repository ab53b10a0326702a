"""A window of rows on a long list: snapshots, deltas, held orders, bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.model import KEEP, BadPush, Query, Window


def rows(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"id": name, **more} for name in names]


def snapshot(*names: str, lo: int = 0, total: int | None = None, seq: int = 1) -> dict[str, Any]:
    count = lo + len(names) if total is None else total
    return {"seq": seq, "lo": lo, "total": count, "all": count, "rows": rows(*names)}


def shown(window: Window, count: int) -> list[str | None]:
    return [window.id_at(index) for index in range(count)]


def test_a_snapshot_and_its_deltas() -> None:
    """Rows change in place by id; sizes follow; the order changes when the hub says so."""
    window = Window()
    assert window.apply(snapshot("a", "b", "c"))
    assert window.apply({"seq": 2, "upsert": rows("b", state="running"), "total": 3, "all": 9})
    assert (window.row("b"), window.all) == ({"id": "b", "state": "running"}, 9)
    assert window.apply({"seq": 3, "order": ["c", "a", "b"], "lo": 0})
    assert shown(window, 3) == ["c", "a", "b"]


def test_a_gap_asks_for_everything_again() -> None:
    """A push that is not the next one changes nothing."""
    window = Window()
    window.apply(snapshot("a"))
    assert not window.apply({"seq": 3, "upsert": rows("a", state="x")})
    assert window.row("a") == {"id": "a"}


def test_a_held_view_does_not_move() -> None:
    """While the operator reads, what rows say changes and where they stand does not; it is counted and let in later."""
    window = Window()
    window.apply(snapshot("a", "b", "c"))
    window.hold()
    window.apply({"seq": 2, "order": ["c", "b", "a"], "lo": 0, "upsert": rows("a", age=5)})
    assert (shown(window, 3), window.moved, window.row("a")) == (["a", "b", "c"], 2, {"id": "a", "age": 5})
    window.release()
    assert (shown(window, 3), window.moved) == (["c", "b", "a"], 0)


def test_what_is_gone_leaves_only_when_the_view_is_let_go() -> None:
    """A row under the cursor does not vanish; it is marked as gone until then."""
    window = Window()
    window.apply(snapshot("a", "b"))
    window.hold()
    window.apply({"seq": 2, "gone": ["a"], "total": 1})
    assert (window.id_at(0), window.gone) == ("a", {"a"})
    window.release()
    assert (window.id_at(0), window.gone) == (None, set())


def test_memory_is_bounded_whatever_is_scrolled_through() -> None:
    """A walk over a hundred thousand rows keeps the window and 500 on each side."""
    window = Window()
    for lo in range(0, 100_000, 400):
        window.apply(snapshot(*(f"r{index}" for index in range(lo, lo + 400)), lo=lo, total=100_000))
        assert len(window) <= 400 + 2 * KEEP
    assert window.has(99_600, 100_000)
    assert not window.has(0, 10)


@pytest.mark.parametrize(
    "push",
    [
        {},
        {"rows": [{}]},
        {"seq": "x", "rows": [], "lo": 0},
        {"seq": 1, "lo": 0, "rows": ["a"]},
        {"seq": 1, "lo": None, "rows": rows("a")},
        {"seq": 1, "upsert": 5},
        {"rows": 7},
    ],
)
def test_a_push_that_is_none_is_refused(push: dict[str, Any]) -> None:
    """The hub's words are checked: whatever comes, the only error is BadPush."""
    with pytest.raises(BadPush):
        Window().apply(push)


@given(st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 40), unique=True, max_size=12)), max_size=12))
def test_an_id_stands_at_one_place(places: list[tuple[int, list[int]]]) -> None:
    """Whatever windows come, index and id agree both ways and no row is twice in the list."""
    window = Window()
    for seq, (lo, names) in enumerate(places, 1):
        window.apply(snapshot(*(f"r{name}" for name in names), lo=lo, total=60, seq=seq))
        found = [window.id_at(index) for index in range(60)]
        known = [name for name in found if name is not None]
        assert len(known) == len(set(known))
        for index, name in enumerate(found):
            assert name is None or (window.index(name) == index and window.row(name) is not None)


def test_windows_of_one_list() -> None:
    """Another window is the same list; another filter or order is not."""
    query = Query("jobs", "state:running", "-age", 100, 50)
    assert query.covers(110, 140)
    assert not query.covers(90, 120)
    assert query.same_rows(Query("jobs", "state:running", "-age", 0, 10))
    assert not query.same_rows(Query("jobs", "", "-age", 100, 50))


def test_clear_forgets_everything() -> None:
    """Another list begins empty and unloaded."""
    window = Window()
    window.apply(snapshot("a"))
    window.clear()
    assert (len(window), window.loaded, window.total, window.id_at(0)) == (0, False, 0, None)
