"""What the table sends to the terminal: exact cells, changed cells alone; and that orders and rows move no operator."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from rich.cells import cell_len
from textual.geometry import Region

from tests.tui.scripted_source import HOSTILE, agent_row, job_row
from tests.tui.widgets.hosted import Looks, hosted, repaints
from tui import rows as real
from tui.format import Cell, Look
from tui.model import Row, Window
from tui.safety import is_safe
from tui.widgets import table as table_module
from tui.widgets.columns import Column
from tui.widgets.table import MAX_MARKS, Table

COLUMNS = (
    Column("age", 4, lambda row, look: Cell(str(row.get("age", "-"))), right=True, sort="age"),
    Column("state", 6, lambda row, look: Cell(str(row.get("state", "ok")), "ok"), sort="state"),
    Column("agent", 8, lambda row, look: Cell(str(row["id"]))),
)
WIDTH = 22  # gutter, age at 1, state at 6, machine at 13


def some(count: int) -> list[Row]:
    return [{"id": f"m{index}", "age": index} for index in range(count)]


class Feed:
    """A window and the deltas that come to it."""

    def __init__(self, rows: list[Row], total: int | None = None) -> None:
        self.window = Window()
        total = len(rows) if total is None else total
        self.window.apply({"seq": 1, "total": total, "all": total, "lo": 0, "rows": rows})
        self._seq = 1

    def delta(self, **push: Any) -> None:
        self._seq += 1
        assert self.window.apply({"seq": self._seq, **push})

    def order(self, ids: Iterable[str]) -> None:
        ids = list(ids)
        gone = [self.window.id_at(index) for index in range(self.window.total)]
        fresh = [{"id": identity, "age": 0} for identity in ids if self.window.row(identity) is None]
        self.delta(order=ids, gone=[one for one in gone if one not in ids], upsert=fresh, lo=0, total=len(ids))


def made(window: Window, looks: Looks | None = None, **more: Any) -> Table:
    return Table("job", COLUMNS, looks or Looks(), window=window, **more)


async def test_cells_are_cut_at_exact_widths() -> None:
    """Each cell has its column's cells, Chinese too: nothing runs over, no character is halved, a cut is shown."""
    rows: list[Row] = [
        {"id": "网关服务器", "age": 7, "state": "运行中"},
        {"id": "网关器x-long-name", "age": 12345, "state": "已完成了"},
    ]
    async with hosted(made(Feed(rows).window), size=(WIDTH, 4)) as stage:
        assert [cell_len(line) for line in stage.lines] == [WIDTH] * 4
        assert stage.lines[:3] == ["  AGE STATE  MACHINE  ", ">   7 运行中 网关服…  ", " 123… 已完…  网关器x… "]


async def test_ascii_cuts_with_an_ascii_sign() -> None:
    """Where only ASCII may be drawn, cuts, rows not there yet and the bar are ASCII."""
    feed = Feed([{"id": "a-very-long-name"}], total=30)
    async with hosted(made(feed.window, Looks(Look("en", True))), size=(WIDTH, 5)) as stage:
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
        feed.delta(upsert=[{"id": "m2", "age": 99}])
        table.flush()
        assert repaints(table) == {Region(1, 3, 4, 1)}
        await stage.pilot.pause()
        assert stage.lines[3].startswith("   99 ok")
        feed.delta(upsert=[{"id": "m2", "age": 99}, {"id": "m40", "age": 7}])
        table.flush()
        assert repaints(table) == set()
        feed.delta(upsert=[{"id": "m4", "age": 4, "state": "late"}, {"id": "m1", "age": 8, "state": "late"}])
        table.flush()
        assert repaints(table) == {Region(6, 5, 6, 1), Region(1, 2, 11, 1)}


async def test_moving_the_cursor_repaints_two_lines() -> None:
    """Where the cursor was and where it is."""
    table = made(Feed(some(5)).window)
    async with hosted(table, size=(WIDTH, 8)) as stage:
        table.go(3)
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
                table.go(chance.randrange(80))
            before = table.cursor_id
            ids = chance.sample([f"m{index}" for index in range(60)], chance.randrange(60))
            feed.order(ids)
            table.flush()
            if before in ids:
                assert table.cursor_id == before
            assert table.cursor_id == (ids[table.at] if ids else None)
            assert table.top <= table.at < table.top + table.page
            assert 0 <= table.top <= table.furthest


async def test_orders_are_held_while_the_operator_is_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, marks or a dialog before it hold the order; what cells say goes on; then the order is let in."""
    feed = Feed(some(4))
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 8)) as stage:
        await stage.press("down")
        table.tend()
        feed.delta(order=["m3", "m2", "m1", "m0"], lo=0, total=4, upsert=[{"id": "m0", "age": 77}])
        table.flush()
        await stage.pilot.pause()
        assert stage.lines[1].split() == ["77", "ok", "m0"]
        assert feed.window.moved == 4
        monkeypatch.setattr(table_module, "QUIET", 0.0)
        table.tend(apart=True)
        assert feed.window.held
        table.marks = {"m1": {"id": "m1"}}
        table.tend()
        assert feed.window.held
        table.marks = {}
        table.tend()
        table.flush()
        assert not feed.window.held
        assert (table.cursor_id, table.at) == ("m1", 2)


async def test_a_row_that_went_while_held_is_grey_and_stays() -> None:
    """Nothing slides under the cursor; its cells are dim, those of the others are not."""
    feed = Feed(some(3))
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        feed.window.hold()
        feed.delta(gone=["m1"], order=["m0", "m2"], lo=0, total=3)
        table.flush()
        await stage.pilot.pause()
        assert "m1" in stage.lines[2]
        assert {cell.tone for cell in table._painting(2, Look())[3]} == {"dim"}
        assert {cell.tone for cell in table._painting(1, Look())[3]} == {"", "ok"}


async def test_a_list_that_follows_moves_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning on, what is new is let in at most so often; nobody is told that rows wait, and what has left
    the window because of newer rows is not greyed.
    """
    feed = Feed(some(4))
    table = made(feed.window, follow=True)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        table.tend()
        monkeypatch.setattr(table_module, "FOLLOW_EVERY", 1_000.0)
        for index in range(4, 20):
            feed.order([f"m{at}" for at in range(index, index - 4, -1)])
            table.tend()
            table.flush()
        await stage.pilot.pause()
        assert [line.split()[-1] for line in stage.lines[1:5]] == ["m0", "m1", "m2", "m3"]
        assert table.moved == 0
        assert {cell.tone for cell in table._painting(1, Look())[3]} == {"", "ok"}
        monkeypatch.setattr(table_module, "FOLLOW_EVERY", 0.0)
        table.tend()
        table.flush()
        await stage.pilot.pause()
        assert [line.split()[-1] for line in stage.lines[1:5]] == ["m19", "m18", "m17", "m16"]
        table.touch()
        table.tend()
        feed.order(["m20", "m19", "m18", "m17"])
        assert table.moved == 4


async def test_marks_are_bounded() -> None:
    """So many and no more, by hand or at once."""
    table = made(Feed(some(3)).window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        table.mark_rows([{"id": f"x{index}"} for index in range(MAX_MARKS + 1)])
        assert len(table.marks) == MAX_MARKS
        await stage.press("space")
        assert len(table.marks) == MAX_MARKS
        assert "m0" not in table.marks


async def test_signs_say_it_without_colour() -> None:
    """The cursor is a sign, another one where the table has no focus; a mark is a sign even under the cursor."""
    table = made(Feed(some(3)).window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        table.mark_rows([{"id": "m1"}])
        await stage.pilot.pause()
        assert [line[0] for line in stage.lines[1:4]] == [">", "*", " "]
        stage.app.screen.set_focus(None)
        await stage.pilot.pause()
        assert [line[0] for line in stage.lines[1:4]] == ["-", "*", " "]
        table.go(1)
        await stage.pilot.pause()
        assert [line[0] for line in stage.lines[1:4]] == [" ", "*", " "]


async def test_a_jump_to_rows_not_known_asks_for_them() -> None:
    """They are shown as to come, wanted once, and there when the hub has sent them."""
    feed = Feed(some(10), total=1_000)
    table = made(feed.window)
    async with hosted(table, size=(WIDTH, 6)) as stage:
        stage.deaf()
        await stage.press("G")
        assert stage.heard(Table.Wants)
        assert (table.span(), table.cursor_id) == ((995, 1_000), None)
        assert [line.split() for line in stage.lines[1:]] == [["…", "│"]] * 4 + [["…", "█"]]
        last = [{"id": f"m{index}", "age": index} for index in range(990, 1_000)]
        feed.window.apply({"seq": 1, "total": 1_000, "all": 1_000, "lo": 990, "rows": last})
        table.flush()
        await stage.pilot.pause()
        assert table.cursor_id == "m999"
        assert "m999" in stage.lines[5]


@pytest.mark.parametrize("kind", ["job", "agent"])
async def test_hostile_rows(kind: Any) -> None:
    """In every field: no control reaches a line, every line keeps its width, and no click on it runs an action."""
    found: list[Row]
    columns: tuple[Column, ...]
    if kind == "job":
        columns = real.JOBS
        found = [
            job_row(index, agent=bad, person=bad, inlet=bad, argv=[bad, bad], priority=bad, exit_code=bad)
            for index, bad in enumerate(HOSTILE)
        ]
    else:
        columns = real.AGENTS
        found = [agent_row(bad, version=bad, labels={bad: bad}, rtt=bad, state=bad) for bad in HOSTILE]
    window = Window()
    window.fill(found)
    size = (120, len(HOSTILE) + 1)
    async with hosted(Table(kind, columns, Looks(), window=window), size=size) as stage:
        assert [cell_len(line) for line in stage.lines] == [120] * size[1]
        assert all(map(is_safe, stage.lines))
        assert "[bold]b[/bo" in "\n".join(stage.lines)
        line = HOSTILE.index("[@click=app.perform('quit')]press me[/]") + 1
        assert "[@click=app." in stage.lines[line]
        for x in range(0, 120, 8):
            await stage.pilot.click(offset=(x, line))
        assert stage.app.performed == []
