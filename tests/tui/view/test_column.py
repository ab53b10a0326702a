"""Which columns fit a width."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.view.test_columns import TABLES
from tui.text.format import Cell
from tui.view.column import GUTTER, Column, PlacedColumn, fitted_columns, layout_columns, measure_content

COLUMNS = st.lists(
    st.builds(
        Column,
        st.just("x"),
        st.integers(1, 20),
        st.just(lambda row, look: Cell("")),
        flex=st.integers(0, 3),
        drop_rank=st.integers(0, 4),
    ),
    min_size=1,
    max_size=8,
)


@given(COLUMNS, st.integers(1, 200))
def test_columns_stand_side_by_side_within_the_width(columns: list[Column[Any]], width: int) -> None:
    """In their order, one blank between, none over the edge, none under its width but where the edge cuts the last."""
    placed = layout_columns(columns, width)
    end = GUTTER - 1
    for index, place in enumerate(placed):
        assert place.x == end + 1
        end = place.x + place.width
        assert end <= width or (width == 1 and index == 0)
        assert place.width >= place.column.width or (index == len(placed) - 1 and end == width) or width == 1


def test_the_least_needed_goes_first() -> None:
    """By rank where there is no room; what has none stays to the last; what is left over is shared out."""
    cell = lambda row, look: Cell("")  # noqa: E731
    columns: list[Column[Any]] = [
        Column("a", 5, cell),
        Column("b", 5, cell, drop_rank=1),
        Column("c", 5, cell, drop_rank=2, flex=1),
    ]
    assert [place.column.key for place in layout_columns(columns, 40)] == ["a", "b", "c"]
    assert layout_columns(columns, 40)[-1].width == 40 - 1 - 12
    assert [place.column.key for place in layout_columns(columns, 17)] == ["a", "b"]
    assert [place.column.key for place in layout_columns(columns, 8)] == ["a"]


def test_at_sixty_cells_every_table_has_what_it_is_about() -> None:
    """The columns that stay fit on the smallest screen."""
    for name, columns in TABLES.items():
        kept = {place.column.key for place in layout_columns(columns, 60)}
        assert {column.key for column in columns if not column.drop_rank} <= kept, name
        last = layout_columns(columns, 60)[-1]
        assert last.width >= min(10, last.column.width), name


def test_names_have_the_room_that_they_take_and_others_come_in() -> None:
    """A column of names shrinks to what is in it and grows to it; the last that stretches has the rest."""
    cell = lambda row, look: Cell(row)  # noqa: E731
    columns: list[Column[Any]] = [
        Column("agent", 12, cell, flex=1),
        Column("exit", 6, cell, fit=True, drop_rank=1),
        Column("command", 10, cell, flex=5),
    ]
    assert [place.column.key for place in layout_columns(columns, 30)] == ["agent", "command"]
    fitted = fitted_columns(columns)
    assert [column.key for column in fitted] == ["agent", "exit"]
    placed = [PlacedColumn(column, 0, 1) for column in columns]
    content = measure_content(placed, fitted, [(Cell("db-1"), Cell("0"), Cell("df -h"))], {}, "en")
    assert content == {"agent": len("MACHINE"), "exit": len("EXIT")}
    assert [place.width for place in layout_columns(columns, 30, content)] == [7, 4, 16]
    content = measure_content(placed, fitted, [(Cell("a" * 20), Cell(""), Cell(""))], content, "en")
    assert [place.width for place in layout_columns(columns, 60, content)] == [20, 4, 33]
    assert measure_content(placed, fitted, [], content, "en") == content
