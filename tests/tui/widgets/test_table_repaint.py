"""What the table sends to the terminal: exact cells, changed cells alone; and that orders and rows move no operator."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from rich.cells import cell_len
from textual.geometry import Region

from common.api.lists import Delta, Snapshot
from tests.tui.fake_source import HOSTILE
from tests.tui.rows import agent, job
from tests.tui.widgets.hosted import Looks, hosted, repaints
from tui.model.window import RowWindow
from tui.terminal.sanitize import is_safe
from tui.text.format import Cell, RenderContext
from tui.view import columns as real
from tui.view.column import Column
from tui.widgets import table as table_module
from tui.widgets.table import MAX_MARKS, RowTable

COLUMNS: tuple[Column[Any], ...] = (
    Column("age", 4, lambda row, look: Cell(str(row.age)), align_right=True, sort_key="age"),
    Column("state", 6, lambda row, look: Cell(row.state, "ok"), sort_key="state"),
    Column("agent", 8, lambda row, look: Cell(row.id)),
)
WIDTH = 22  # gutter, age at 1, state at 6, machine at 13


@dataclass(frozen=True)
class Item:
    """A row of a table that there is only here."""

    id: str
    age: int = 0
    state: str = "ok"


def some(count: int) -> list[Any]:
    return [Item(f"m{index}", index) for index in range(count)]


class Feed:
    """A window and the deltas that come to it."""

    def __init__(self, rows: list[Any], total: int | None = None) -> None:
        self.window = RowWindow()
        total = len(rows) if total is None else total
        self.window.apply(Snapshot(seq=1, total=total, all=total, lo=0, rows=tuple(rows)))
        self._seq = 1

    def delta(self, **push: Any) -> None:
        self._seq += 1
        whole = {"total": self.window.total, "all": self.window.total, "lo": 0}
        lists = {name: tuple(push[name]) for name in ("upsert", "gone", "order") if name in push}
        assert self.window.apply(Delta(seq=self._seq, **{**whole, **push, **lists}))

    def order(self, ids: Iterable[str]) -> None:
        ids = list(ids)
        gone = [self.window.id_at(index) for index in range(self.window.total)]
        fresh = [Item(identity) for identity in ids if self.window.row(identity) is None]
        self.delta(order=ids, gone=[one for one in gone if one not in ids], upsert=fresh, lo=0, total=len(ids))


def made(window: RowWindow, looks: Looks | None = None, **more: Any) -> RowTable:
    return RowTable("job", COLUMNS, looks or Looks(), window=window, **more)


async def test_cells_are_cut_at_exact_widths() -> None:
    """Each cell has its column's cells, Chinese too: nothing runs over, no character is halved, a cut is shown."""
    rows: list[Any] = [
        Item("网关服务器", 7, "运行中"),
        Item("网关器x-long-name", 12345, "已完成了"),
    ]
    async with hosted(made(Feed(rows).window), size=(WIDTH, 4)) as stage:
        assert [cell_len(line) for line in stage.lines] == [WIDTH] * 4
        assert stage.lines[:3] == ["  AGE STATE  MACHINE  ", ">   7 运行中 网关服…  ", " 123… 已完…  网关器x… "]


async def test_ascii_cuts_with_an_ascii_sign() -> None:
    """Where only ASCII may be drawn, cuts, rows not there yet and the bar are ASCII."""
    feed = Feed([Item("a-very-long-name")], total=30)
    async with hosted(made(feed.window, Looks(RenderContext("en", True))), size=(WIDTH, 5)) as stage:
        assert all(line.isascii() for line in stage.lines)
        assert "a-very-~" in stage.lines[1] or "a-very~" in stage.lines[1]


async def test_a_changed_cell_is_repainted_alone() -> None:
    """That cell is asked for again and nothing else, several of a line as one piece; the same again, or a change out of
    sight, asks for nothing.
    """
    feed = Feed(some(50))
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 8)) as stage:
        table.flush()
        assert repaints(table) == set()
        feed.delta(upsert=[Item("m2", 99)])
        table.flush()
        assert repaints(table) == {Region(1, 3, 4, 1)}
        await stage.pilot.pause()
        assert stage.lines[3].startswith("   99 ok")
        feed.delta(upsert=[Item("m2", 99), Item("m40", 7)])
        table.flush()
        assert repaints(table) == set()
        feed.delta(upsert=[Item("m4", 4, "late"), Item("m1", 8, "late")])
        table.flush()
        assert repaints(table) == {Region(6, 5, 6, 1), Region(1, 2, 11, 1)}


async def test_moving_the_cursor_repaints_two_lines() -> None:
    """Where the cursor was and where it is."""
    table = made(Feed(some(5)).window)
    async with hosted(table, size=(WIDTH, 8)) as stage:
        table.move_to(3)
        assert repaints(table) == {Region(0, 1, WIDTH, 1), Region(0, 4, WIDTH, 1)}
        await stage.pilot.pause()
        assert [line[0] for line in stage.lines[1:6]] == [" ", " ", " ", ">", " "]


async def test_the_cursor_through_random_orders() -> None:
    """However the list is shuffled, grown and shrunk, the cursor keeps its id while it is listed, and can be seen."""
    chance = random.Random(3)
    feed = Feed(some(60))
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 9)):
        for _ in range(150):
            if chance.random() < 0.4:
                table.move_to(chance.randrange(80))
            before = table.cursor_id
            ids = chance.sample([f"m{index}" for index in range(60)], chance.randrange(60))
            feed.order(ids)
            table.flush()
            if before in ids:
                assert table.cursor_id == before
            assert table.cursor_id == (ids[table.cursor_index] if ids else None)
            assert table.top <= table.cursor_index < table.top + table.page_height
            assert 0 <= table.top <= table.max_top


async def test_orders_are_held_while_the_operator_is_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, marks or a dialog before it hold the order; what cells say goes on; then the order is let in."""
    feed = Feed(some(4))
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 8)) as stage:
        await stage.press("down")
        table.update_freeze()
        feed.delta(order=["m3", "m2", "m1", "m0"], lo=0, total=4, upsert=[Item("m0", 77)])
        table.flush()
        await stage.pilot.pause()
        assert stage.lines[1].split() == ["77", "ok", "m0"]
        assert feed.window.pending_moves == 4
        monkeypatch.setattr(table_module, "IDLE_AFTER", 0.0)
        table.update_freeze(behind_dialog=True)
        assert feed.window.frozen
        table.marks = {"m1": Item("m1")}
        table.update_freeze()
        assert feed.window.frozen
        table.marks = {}
        table.update_freeze()
        table.flush()
        assert not feed.window.frozen
        assert (table.cursor_id, table.cursor_index) == ("m1", 2)


async def test_a_row_that_went_while_held_is_grey_and_stays() -> None:
    """Nothing slides under the cursor; its cells are dim, those of the others are not."""
    feed = Feed(some(3))
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        feed.window.freeze()
        feed.delta(gone=["m1"], order=["m0", "m2"], lo=0, total=3)
        table.flush()
        await stage.pilot.pause()
        assert "m1" in stage.lines[2]
        assert {cell.tone for cell in table._line_state(2, RenderContext())[3]} == {"dim"}
        assert {cell.tone for cell in table._line_state(1, RenderContext())[3]} == {"", "ok"}


async def test_a_list_that_follows_moves_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning on, what is new is let in at most so often; nobody is told that rows wait, and what has left
    the window because of newer rows is not greyed.
    """
    feed = Feed(some(4))
    table = made(feed.window, follow=True)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        table.update_freeze()
        monkeypatch.setattr(table_module, "FOLLOW_INTERVAL", 1_000.0)
        for index in range(4, 20):
            feed.order([f"m{at}" for at in range(index, index - 4, -1)])
            table.update_freeze()
            table.flush()
        await stage.pilot.pause()
        assert [line.split()[-1] for line in stage.lines[1:5]] == ["m0", "m1", "m2", "m3"]
        assert table.pending_moves == 0
        assert {cell.tone for cell in table._line_state(1, RenderContext())[3]} == {"", "ok"}
        monkeypatch.setattr(table_module, "FOLLOW_INTERVAL", 0.0)
        table.update_freeze()
        table.flush()
        await stage.pilot.pause()
        assert [line.split()[-1] for line in stage.lines[1:5]] == ["m19", "m18", "m17", "m16"]
        table.note_activity()
        table.update_freeze()
        feed.order(["m20", "m19", "m18", "m17"])
        assert table.pending_moves == 4


async def test_marks_are_bounded() -> None:
    """So many and no more, by hand or at once."""
    table = made(Feed(some(3)).window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        table.mark_rows([Item(f"x{index}") for index in range(MAX_MARKS + 1)])
        assert len(table.marks) == MAX_MARKS
        await stage.press("space")
        assert len(table.marks) == MAX_MARKS
        assert "m0" not in table.marks


async def test_signs_say_it_without_colour() -> None:
    """The cursor is a sign, another one where the table has no focus; a mark is a sign even under the cursor."""
    table = made(Feed(some(3)).window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        table.mark_rows([Item("m1")])
        await stage.pilot.pause()
        assert [line[0] for line in stage.lines[1:4]] == [">", "*", " "]
        stage.app.screen.set_focus(None)
        await stage.pilot.pause()
        assert [line[0] for line in stage.lines[1:4]] == ["-", "*", " "]
        table.move_to(1)
        await stage.pilot.pause()
        assert [line[0] for line in stage.lines[1:4]] == [" ", "*", " "]


async def test_a_jump_to_rows_not_known_asks_for_them() -> None:
    """They are shown as to come, wanted once, and there when the hub has sent them."""
    feed = Feed(some(10), total=1_000)
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        stage.deaf()
        await stage.press("G")
        assert stage.heard(RowTable.RowsNeeded)
        assert (table.visible_range(), table.cursor_id) == ((995, 1_000), None)
        assert [line.split() for line in stage.lines[1:]] == [["…", "│"]] * 4 + [["…", "█"]]
        last = [Item(f"m{index}", index) for index in range(990, 1_000)]
        feed.window.apply(Snapshot(seq=1, total=1_000, all=1_000, lo=990, rows=tuple(last)))
        table.flush()
        await stage.pilot.pause()
        assert table.cursor_id == "m999"
        assert "m999" in stage.lines[5]


@pytest.mark.parametrize("kind", ["job", "agent"])
async def test_hostile_rows(kind: Any) -> None:
    """In every field: no control reaches a line, every line keeps its width, and no click on it runs an action."""
    found: list[Any]
    columns: tuple[Column[Any], ...]
    if kind == "job":
        columns = real.JOBS
        found = [
            job(index, agent=bad, person=bad, inlet=bad, argv=[bad, bad], state=bad)
            for index, bad in enumerate(HOSTILE)
        ]
    else:
        columns = real.AGENTS
        found = [agent(bad, version=bad, labels={bad: bad}, state=bad) for bad in HOSTILE]
    window = RowWindow()
    window.load_all(found)
    size = (120, len(HOSTILE) + 1)
    async with hosted(RowTable(kind, columns, Looks(), window=window), size=size) as stage:
        assert [cell_len(line) for line in stage.lines] == [120] * size[1]
        assert all(map(is_safe, stage.lines))
        assert "[bold]b[/bo" in "\n".join(stage.lines)
        line = HOSTILE.index("[@click=app.perform('quit')]press me[/]") + 1
        assert "[@click=app." in stage.lines[line]
        for x in range(0, 120, 8):
            await stage.pilot.click(offset=(x, line))
        assert stage.app.performed == []
