"""What a console is told of a list: played against a console that believes every push."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.api.codec import encode
from hub.api.list_delta import Cursor, ListSnapshot, fit_rows
from hub.api.rows import Row
from hub.api.views import MAX_NODES


def row(identity: str, value: int = 0, nodes: int = 10) -> Row:
    return Row(identity, {"id": identity, "value": value}, nodes, 100)


def sight(*rows: Row, total: int | None = None, lo: int = 0) -> ListSnapshot:
    return ListSnapshot(rows, len(rows) if total is None else total, 1000, lo)


def diff(told: Cursor, snapshot: ListSnapshot) -> tuple[dict[str, Any] | None, bool]:
    """The encoded push."""
    push, more = told.diff(snapshot)
    return None if push is None else encode(push), more


class Console:
    """Believes what it is told."""

    def __init__(self) -> None:
        self.seq = 0
        self.rows: dict[str, Any] = {}
        self.order: list[str] = []
        self.total = 0

    def hear(self, push: dict[str, Any]) -> None:
        self.seq += 1
        assert push["seq"] == self.seq
        self.total = push["total"]
        if "rows" in push:
            self.rows = {row["id"]: row for row in push["rows"]}
            self.order = list(self.rows)
            return
        for told in push["upsert"]:
            self.rows[told["id"]] = told
        for identity in push["gone"]:
            del self.rows[identity]
        if "order" in push:
            self.order = push["order"]


def test_the_first_push_is_the_window() -> None:
    """With rows, sizes and where it begins."""
    push, more = diff(Cursor(), sight(row("a"), row("b"), total=9, lo=4))
    assert push == {
        "seq": 1,
        "total": 9,
        "all": 1000,
        "lo": 4,
        "rows": [{"id": "a", "value": 0}, {"id": "b", "value": 0}],
    }
    assert not more


def test_an_empty_list_is_told_too() -> None:
    """Once; then there is nothing to say."""
    told = Cursor()
    assert diff(told, sight())[0] == {"seq": 1, "total": 0, "all": 1000, "lo": 0, "rows": []}
    assert diff(told, sight()) == (None, False)


def test_nothing_changed_nothing_told() -> None:
    """The same rows are the same objects, whatever was looked at in between."""
    told, same = Cursor(), row("a")
    diff(told, sight(same))
    assert diff(told, sight(same)) == (None, False)


def test_only_what_changed() -> None:
    """A row that is another one, without an order; a new size alone is told as well."""
    told, b = Cursor(), row("b")
    diff(told, sight(row("a"), b))
    push, _ = diff(told, sight(row("a", 1), b))
    assert push == {"seq": 2, "total": 2, "all": 1000, "lo": 0, "upsert": [{"id": "a", "value": 1}], "gone": []}
    assert diff(told, sight(*told.rows.values(), total=5))[0] == {
        "seq": 3,
        "total": 5,
        "all": 1000,
        "lo": 0,
        "upsert": [],
        "gone": [],
    }


def test_rows_that_left_and_moved() -> None:
    """What is no longer in the window is gone, and the order is told where it is another."""
    told, a, b, c = Cursor(), row("a"), row("b"), row("c")
    diff(told, sight(a, b))
    push, _ = diff(told, sight(c, a))
    assert push is not None
    assert (push["gone"], push["order"], push["upsert"]) == (["b"], ["c", "a"], [{"id": "c", "value": 0}])
    push, _ = diff(told, sight(a, c))
    assert push is not None
    assert (push["gone"], push["order"], push["upsert"]) == ([], ["a", "c"], [])


def test_what_does_not_fit_comes_with_the_next() -> None:
    """A window of large rows takes several pushes, each within a frame; together they are the whole."""
    rows = [row(f"{number:03}", nodes=500) for number in range(40)]
    told, console, pushes = Cursor(), Console(), 0
    more = True
    while more:
        push, more = diff(told, sight(*rows))
        assert push is not None
        console.hear(push)
        pushes += 1
        assert len(push.get("rows", push.get("upsert"))) <= MAX_NODES // 500
    assert pushes > 2
    assert console.order == [entry.id for entry in rows]
    assert sorted(console.rows) == console.order
    assert diff(told, sight(*rows)) == (None, False)


def test_rows_are_fitted_by_weight() -> None:
    """Values and bytes; room is left for the ids of an order."""
    assert len(fit_rows([row("a", nodes=MAX_NODES)])) == 1
    assert len(fit_rows([row("a", nodes=MAX_NODES)], ids=1)) == 0
    assert len(fit_rows([Row("a", {}, 1, 10**9)])) == 0


ROWS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2), st.integers(1, 3_000)), max_size=8)


@given(st.lists(st.tuples(ROWS, st.integers(0, 99), st.booleans()), max_size=12))
def test_whatever_happens_a_console_that_listens_ends_up_with_the_truth(steps: list[Any]) -> None:
    """Looks may be missed (a slow console), windows may shrink, grow and be shuffled."""
    told, console = Cursor(), Console()
    kept: dict[tuple[str, int, int], Row] = {}
    now = ListSnapshot()
    for rows, total, missed in steps:
        distinct = {identity: (identity, value, nodes) for identity, value, nodes in rows}
        shown = [kept.setdefault(entry, row(*entry)) for entry in distinct.values()]
        now = ListSnapshot(tuple(shown), total, 1000, 0)
        if not missed:
            push, _ = diff(told, now)
            if push is not None:
                console.hear(push)
    more = True
    while more:
        push, more = diff(told, now)
        if push is not None:
            console.hear(push)
    assert console.order == [entry.id for entry in now.rows] or not console.seq
    if console.seq:
        assert console.rows == {entry.id: entry.payload for entry in now.rows}
        assert console.total == now.total
