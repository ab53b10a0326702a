"""Which columns fit a width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.test_rows import TABLES
from tui.format import Cell
from tui.widgets.columns import GUTTER, Column, lay_out

COLUMNS = st.lists(
    st.builds(
        Column,
        st.just("x"),
        st.integers(1, 20),
        st.just(lambda row, look: Cell("")),
        flex=st.integers(0, 3),
        drop=st.integers(0, 4),
    ),
    min_size=1,
    max_size=8,
)


@given(COLUMNS, st.integers(1, 200))
def test_columns_stand_side_by_side_within_the_width(columns: list[Column], width: int) -> None:
    """In their order, one blank between, none over the edge, none under its width but where the edge cuts the last."""
    placed = lay_out(columns, width)
    end = GUTTER - 1
    for index, place in enumerate(placed):
        assert place.x == end + 1
        end = place.x + place.width
        assert end <= width or (width == 1 and index == 0)
        assert place.width >= place.column.width or (index == len(placed) - 1 and end == width) or width == 1


def test_the_least_needed_goes_first() -> None:
    """By rank where there is no room; what has none stays to the last; what is left over is shared out."""
    cell = lambda row, look: Cell("")  # noqa: E731
    columns = [Column("a", 5, cell), Column("b", 5, cell, drop=1), Column("c", 5, cell, drop=2, flex=1)]
    assert [place.column.key for place in lay_out(columns, 40)] == ["a", "b", "c"]
    assert lay_out(columns, 40)[-1].width == 40 - 1 - 12
    assert [place.column.key for place in lay_out(columns, 17)] == ["a", "b"]
    assert [place.column.key for place in lay_out(columns, 8)] == ["a"]


def test_at_sixty_cells_every_table_has_what_it_is_about() -> None:
    """The columns that stay fit on the smallest screen."""
    for name, columns in TABLES.items():
        kept = {place.column.key for place in lay_out(columns, 60)}
        assert {column.key for column in columns if not column.drop} <= kept, name
        last = lay_out(columns, 60)[-1]
        assert last.width >= min(10, last.column.width), name
