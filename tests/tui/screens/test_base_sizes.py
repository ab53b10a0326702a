"""Every screen while the terminal becomes another size: the row that the operator stands on stays in sight."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pairs import name_of, pairwise_params
from tests.tui.fake_source import (
    NOW,
    ConsoleDriver,
    FakeSource,
    agent_row,
    console_driver,
    event_row,
    inlet_row,
    job_row,
    node_row,
    request_row,
)
from tui.screens.base import MIN_SIZE, ConsoleScreen
from tui.screens.full import FullViewScreen
from tui.screens.polled import PolledScreen
from tui.view.bars import SCREEN_MODES
from tui.widgets.bars import Bar
from tui.widgets.table import RowTable

SIZES = ((160, 50), (60, 16), (80, 24), (200, 16), (60, 50), (80, 24))
HALVES = (((60, 16), (80, 24)), ((200, 16), (60, 50), (80, 24)))
"""The sizes after the first, in two runs."""
MANY = 200
DETAILS = ("jobs", "approve", "agents", "audit", "models")
"""Modes whose rows open on a screen of their own where there is no room beside."""


def source_of() -> FakeSource:
    source = FakeSource()
    source.rows["jobs"] = [job_row(index) for index in range(MANY)]
    source.rows["requests"] = [request_row(index) for index in range(1, MANY)]
    source.rows["agents"] = [agent_row(f"网-{index:03}") for index in range(MANY)]
    source.rows["audit"] = source.rows["activity"] = [event_row(index) for index in range(MANY)]
    source.rows["models"] = [node_row(f"机-{index:03}") for index in range(MANY)]
    needs = [
        {"kind": "approve", "since": NOW, "number": index, "who": "王小明", "expires": source.clock + 90}
        for index in range(1, 40)
    ]
    lanes = [{"stage": name, "count": 3, "oldest": 9.0, "state": "ok"} for name in ("received", "queued", "running")]
    source.overview = {"lanes": lanes, "needs_you": needs, "fleet": {"online": 5}, "counts": {"asking": 39}}
    return source


async def resized(stage: ConsoleDriver, width: int, height: int) -> None:
    await stage.pilot.resize_terminal(width, height)
    await stage.wait_until(lambda: stage.app.size == (width, height), f"{width}x{height}")
    await stage.flush()
    await stage.flush()


def lines_stay(stage: ConsoleDriver, height: int) -> None:
    """The lines that never hide are where they belong, and one of them says where one is."""
    screen: Any = stage.app.screen
    bars = [screen.query_one(f"#{name}", Bar).region.y for name in ("top", "status", "keys")]
    assert bars == [0, height - 2, height - 1]
    assert "prod-1" in stage.text.split("\n")[0]


def cursor_is_seen(table: RowTable, height: int) -> None:
    """The cursor's row is one of the lines shown, and its sign is on it."""
    assert table.top <= table.cursor_index < table.top + table.page_height, (
        table.top,
        table.cursor_index,
        table.page_height,
    )
    y = table.region.y + table.gutter.top + 1 + table.cursor_index - table.top
    assert y < height - 2
    assert table.render_line(1 + table.cursor_index - table.top).text[0] in ">-*"


@pytest.mark.parametrize(
    ("mode", "language", "sizes"), pairwise_params(SCREEN_MODES, ("en", "zh"), HALVES), ids=name_of
)
async def test_the_cursors_row_stays_in_sight(mode: str, language: Any, sizes: tuple[tuple[int, int], ...]) -> None:
    """From a large terminal to the least one and back, at the list's end: the same row, on the screen; a filter being
    typed stays; too small, it says so, and afterwards all is there again.
    """
    async with console_driver(source_of(), mode, size=SIZES[0], language=language) as stage:
        screen: Any = stage.app.screen
        table = screen.table()
        await stage.wait_until(lambda: table.window.loaded)
        await stage.press("end")
        await stage.wait_until(lambda: table.row is not None)
        for _ in range(3):
            await stage.press("up")
        known = table.cursor_id
        for width, height in sizes:
            await resized(stage, width, height)
            assert stage.app.screen is screen
            lines_stay(stage, height)
            assert table.cursor_id == known
            cursor_is_seen(table, height)
        await resized(stage, MIN_SIZE[0] - 1, MIN_SIZE[1])
        assert screen.has_class("-tiny")
        assert str(MIN_SIZE[0]) in stage.text
        await stage.press("colon")
        await stage.type("jobs")
        await resized(stage, 80, 24)
        assert screen.prompt.value == "jobs"
        assert "jobs" in stage.text
        assert table.cursor_id == known


async def test_the_inlets_are_resized() -> None:
    """Before the screen from which they were opened: the lines and the row under the cursor stay."""
    source = source_of()
    source.rows["inlets"] = [inlet_row(f"chat-{n:02}") for n in range(60)]
    async with console_driver(source, "jobs", size=(80, 24)) as stage:
        await stage.press("i")
        await stage.wait_until(lambda: "chat-00" in stage.text)
        await stage.press("end", "up")
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        known = table.cursor_id
        for width, height in SIZES:
            await resized(stage, width, height)
            lines_stay(stage, height)
            assert table.cursor_id == known
            cursor_is_seen(table, height)


@pytest.mark.parametrize("mode", DETAILS)
async def test_a_detail_of_its_own_is_resized(mode: str) -> None:
    """Opened where it has the whole screen: the tabs and what it is about stay, at every size, and so does the way
    back to the row it was opened from.
    """
    async with console_driver(source_of(), mode, size=(80, 24)) as stage:
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        await stage.press("end", "up")
        known = table.cursor_id
        await stage.press("enter")
        await stage.wait_until(lambda: isinstance(stage.app.screen, FullViewScreen))
        for width, height in SIZES:
            await resized(stage, width, height)
            assert isinstance(stage.app.screen, FullViewScreen)
            lines_stay(stage, height)
            assert "[" in stage.app.screen.query_one("#detail-tabs", Bar).text
        await stage.press("escape")
        await stage.wait_until(lambda: not isinstance(stage.app.screen, FullViewScreen))
        await stage.flush()
        assert table.cursor_id == known
        cursor_is_seen(table, SIZES[-1][1])


def test_every_screen_is_resized_here() -> None:
    """A new kind of screen is not forgotten."""
    classes = [*ConsoleScreen.__subclasses__(), *PolledScreen.__subclasses__()]
    found = {one.__name__ for one in classes if one.__module__.startswith("tui.") and one is not PolledScreen}
    assert found == {"OverviewScreen", "ListScreen", "FullViewScreen", "ModelsScreen", "InletsScreen"}
