"""The table: the row under the cursor never moves by itself, and every line is exactly as wide as the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.geometry import Size

from common.api.jobs import JobView
from common.api.lists import Delta, Snapshot
from tests.tui.fake_source import HOSTILE, NOW, widget_app
from tests.tui.rows import job
from tui.model.window import RowWindow
from tui.terminal.sanitize import is_safe
from tui.text.format import RenderContext, one_line
from tui.view.columns import JOBS
from tui.widgets.table import IDLE_AFTER, RowTable

LOOK = RenderContext("en", False, NOW)


def rows(*numbers: int) -> list[JobView]:
    return [job(number) for number in numbers]


def delta(total: int, *, upsert: Sequence[JobView], order: Sequence[str] | None = None) -> Delta[Any]:
    """The first push after the rows that a table begins with."""
    ids_in_order = None if order is None else tuple(order)
    return Delta(seq=1, total=total, all=total, lo=0, upsert=tuple(upsert), order=ids_in_order)


def ids(*numbers: int) -> list[str]:
    return [row.id for row in rows(*numbers)]


def make(*numbers: int, follow: bool = False) -> RowTable:
    window = RowWindow()
    if numbers:
        window.load_all(rows(*numbers))
    return RowTable(
        "job", JOBS, lambda: LOOK, window=window, empty=lambda: ["nothing here", "do this"], follow=follow, id="list"
    )


class Sized(RowTable):
    """A table of a size without a screen."""

    lines = (10, 4)

    @property
    def size(self) -> Size:
        return Size(*self.lines)

    def style_of(self, name: str) -> Any:
        from rich.style import Style

        return Style()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 130),
    st.lists(st.text(max_size=30) | st.sampled_from([*HOSTILE, "汉字宽度"]), min_size=1, max_size=9),
    st.booleans(),
)
def test_every_line_is_exactly_as_wide_as_the_table(width: int, texts: list[str], plain: bool) -> None:
    """Whatever the cells say, at any width, with and without the bar: titles, rows and blanks."""
    window = RowWindow()
    found = [job(index, agent=text, argv=[text], person=text, state=text[:9]) for index, text in enumerate(texts)]
    window.load_all(found)
    table = Sized("job", JOBS, lambda: RenderContext("zh", plain, NOW), window=window)
    table.lines = (width, 5)
    table.total_lines = window.total
    table.marks = {found[0].id: found[0]}
    table._placed = table_columns(table)
    for y in range(5):
        strip = table.render_line(y)
        assert cell_len(strip.text) == width
        assert is_safe(strip.text)


def table_columns(table: RowTable) -> Any:
    from tui.view.column import layout_columns

    return layout_columns(table.columns, table.line_width)


async def test_the_cursor_stays_on_its_row_and_its_line() -> None:
    """Rows come in above and others leave: the same row is under the cursor, on the same line of the screen."""
    table = make(*range(20))
    async with widget_app(table, size=(70, 8)) as (bench, pilot):
        await pilot.press("down", "down", "down", "down", "down")
        table._last_activity = -IDLE_AFTER
        before, line = table.cursor_id, table.cursor_index - table.top
        assert before == ids(5)[0]
        new = [50, 51, 52, *range(20)]
        table.window.apply(delta(23, upsert=rows(50, 51, 52), order=ids(*new)))
        table.flush()
        await pilot.pause()
        assert (table.cursor_id, table.cursor_index, table.cursor_index - table.top) == (before, 8, line)
        order = tuple(ids(51, 52, *range(1, 20)))
        table.window.apply(Delta(seq=2, total=21, all=21, lo=0, gone=tuple(ids(50, 0)), order=order))
        table.flush()
        assert (table.cursor_id, table.row) == (before, rows(5)[0])
        shown = bench.text(table)
        assert sum(text.startswith(">") for text in shown) == 1
        assert "sleep 5" in next(text for text in shown if text.startswith(">"))


async def test_a_row_that_is_scrolled_out_of_the_window_is_not_changed_for_another() -> None:
    """So many rows come in that the window has the cursor's row no more: no other takes its place unasked."""
    table = make(*range(20))
    async with widget_app(table, size=(70, 8)) as (_, pilot):
        await pilot.press("down", "down")
        table._last_activity = -IDLE_AFTER
        before = table.cursor_id
        new = list(range(100, 160))
        table.window.apply(delta(800, upsert=rows(*new), order=ids(*new)))
        table.flush()
        await pilot.pause()
        assert table.row is None or table.row.id == before


async def test_while_the_operator_is_busy_rows_keep_their_places() -> None:
    """A key makes it busy for a while, marks as long as there are some."""
    table = make(1, 2, 3)
    async with widget_app(table, size=(70, 8)) as (_, pilot):
        table._last_activity = time.monotonic() - IDLE_AFTER - 1
        assert not table.in_use
        await pilot.press("down")
        assert table.in_use
        await pilot.press("space")
        table._last_activity = time.monotonic() - IDLE_AFTER - 1
        assert table.in_use
        assert table.clear_marks()
        assert not table.in_use


async def test_acts_are_about_marked_rows_as_they_are_now() -> None:
    """The one under the cursor first; without marks it alone; marked rows stay marked beyond the window."""
    table = make(1, 2, 3, 4)
    async with widget_app(table, size=(70, 8)) as (_, pilot):
        assert [row.id for row in table.marked_rows()] == ids(1)
        await pilot.press("space", "down", "space", "up")
        assert [row.id for row in table.marked_rows()] == ids(3, 1)
        table.window.apply(delta(table.window.total, upsert=[job(1, "failed")]))
        assert [row.state for row in table.marked_rows()] == ["running", "failed"]
        table.window.clear()
        assert {row.id for row in table.marked_rows()} == set(ids(1, 3))
        await pilot.press("backslash")
        assert table.marks == {}


async def test_a_range_is_marked_as_the_cursor_goes() -> None:
    """From where it began to where it stands, backwards too."""
    table = make(*range(8))
    async with widget_app(table, size=(70, 8)) as (_, pilot):
        await pilot.press("down", "down", "v", "down", "down")
        assert set(table.marks) == set(ids(2, 3, 4))
        await pilot.press("up", "up", "up")
        assert set(table.marks) == set(ids(1, 2))
        await pilot.press("v", "end")
        assert set(table.marks) == set(ids(1, 2))


async def test_following_stays_with_the_newest_until_a_key() -> None:
    """New rows at the top are under the cursor while it follows; a move by hand ends that."""
    table = make(1, 2, follow=True)
    async with widget_app(table, size=(70, 8)) as (_, pilot):
        table.window.apply(delta(3, upsert=rows(9), order=ids(9, 1, 2)))
        table.flush()
        assert (table.cursor_id, table.following) == (ids(9)[0], True)
        await pilot.press("down")
        assert (table.cursor_id, table.following) == (ids(1)[0], False)


async def test_only_cells_that_differ_are_painted_again() -> None:
    """A change of a row repaints its cells, nothing changes nothing."""
    table = make(1, 2, 3)
    async with widget_app(table, size=(70, 8)) as (_, pilot):
        await pilot.pause()
        regions: list[Any] = []
        table.refresh = lambda *found, **more: regions.extend(found) or table  # type: ignore[method-assign,assignment,func-returns-value]
        table.flush()
        assert regions == []
        table.window.apply(delta(table.window.total, upsert=[job(2, "failed", exit_code=1)]))
        table.flush()
        assert regions
        assert {region.y for region in regions} == {2}
        assert all(region.width < 70 for region in regions)


async def test_mouse() -> None:
    """A click goes to a row, a double click opens it, a title sorts, scrolling leaves the cursor on its row."""
    table = make(*range(30))
    async with widget_app(table, size=(70, 8)) as (bench, pilot):
        await pilot.click(table, offset=(10, 3))
        assert table.cursor_id == ids(2)[0]
        await pilot.double_click(table, offset=(10, 4))
        await pilot.pause()
        assert (table.cursor_id, len(bench.posted_of(RowTable.RowOpened)) > 0) == (ids(3)[0], True)
        await pilot.click(table, offset=(3, 0))
        await pilot.pause()
        assert bench.posted_of(RowTable.HeaderClicked)[0].column.sort_key == "age"
        table.scroll_lines(table.top + 3)
        await pilot.pause()
        assert (table.cursor_id, table.top) == (ids(3)[0], 3)
        assert not any(text.startswith(">") and "sleep 3" not in text for text in bench.text(table))


async def test_empty_unknown_and_resized() -> None:
    """Empty, it says what would be here; rows not known yet are dots; at any size the cursor stays in sight."""
    table = make()
    table.window.load_all([])
    async with widget_app(table, size=(70, 8)) as (bench, pilot):
        assert "nothing here" in bench.text(table)[1]
        await pilot.press("down", "enter", "space", "v", "end", "pageup", "home")
        assert (table.row, table.marked_rows()) == (None, [])
        table.window.apply(Snapshot(seq=5, lo=0, total=100, all=100, rows=tuple(rows(*range(4)))))
        table.flush()
        await pilot.pause()
        assert "…" in bench.text(table)[6]
        await pilot.press("down", "down", "down")
        for width, height in ((20, 3), (200, 60), (5, 2), (60, 16)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            table.flush()
            assert table.cursor_id == ids(3)[0]
            assert table.page_height < 1 or table.top <= table.cursor_index < table.top + table.page_height


def test_the_order_is_told_in_the_title() -> None:
    """The sign is there even where the title fills its column."""
    for column in JOBS:
        if column.sort_key:
            for sort in (column.sort_key, f"-{column.sort_key}"):
                table = Sized("job", JOBS, lambda: RenderContext("zh", False, NOW))
                table.lines, table.sort = (160, 4), sort
                table._placed = table_columns(table)
                (place,) = [place for place in table._placed if place.column is column]
                head = table.render_line(0)
                assert head.crop(place.x, place.x + place.width).text.strip()[-1] == ("-" if sort[0] == "-" else "+")
    assert one_line("x") == "x"
