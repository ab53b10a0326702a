"""The inlets on a screen of their own: opened from anywhere, asked for while it is shown, true about its age."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from rich.cells import cell_len

from common.catalogue import translate
from tests.pairs import name_of, pairwise_params
from tests.tui.fake_source import HOSTILE, NOW, VERBS, ConsoleDriver, FakeSource, console_driver, inlet_row
from tui.screens.full import FullViewScreen
from tui.screens.inlets import InletsScreen
from tui.terminal.sanitize import is_safe

DOWN = {"way": "outbound", "problem": "the token is wrong", "failed_at": NOW - 60, "retry_at": NOW + 90}


def source_of(**who: Any) -> FakeSource:
    source = FakeSource(**who)
    source.rows["inlets"] = [
        inlet_row("ops"),
        inlet_row("team", **DOWN, replies_waiting=3),
        inlet_row("alerts", quiet=True, quiet_after=7_200.0, delivered_at=NOW - 9_000),
    ]
    return source


async def opened(stage: ConsoleDriver, *keys: str) -> InletsScreen:
    await stage.press(*(keys or ("i",)))
    await stage.wait_until(lambda: isinstance(stage.app.screen, InletsScreen) and stage.app.screen.window.loaded)
    await stage.flush()
    screen = stage.app.screen
    assert isinstance(screen, InletsScreen)
    return screen


@pytest.mark.parametrize(
    ("size", "language", "ascii_only"),
    pairwise_params(((60, 16), (80, 24), (120, 36)), ("en", "zh"), (False, True)),
    ids=name_of,
)
async def test_what_it_shows(size: tuple[int, int], language: Any, ascii_only: bool) -> None:
    """At every size, in both languages: each with its state in a word and its name, and why one does not work; no line
    is longer than the screen.
    """
    async with console_driver(source_of(), size=size, language=language, ascii=ascii_only) as stage:
        await opened(stage)
        lines = stage.text.split("\n")
        assert translate(language, "console_inlets") in lines[1]
        for name, state in (("ops", "heard"), ("team", "down"), ("alerts", "quiet")):
            row = next(line for line in lines[2:] if name in line)
            assert translate(language, f"console_inlet_{state}") in row
        await stage.press("j")
        await stage.flush()
        assert "the token is wrong" in stage.text.split("\n")[-2]
        assert all(cell_len(line) <= size[0] for line in stage.text.split("\n"))
        assert not ascii_only or language == "zh" or stage.text.isascii()


async def test_opened_from_anywhere_and_closed_again() -> None:
    """By its key on any screen, once; escape goes back to where one was."""
    async with console_driver(source_of(), "jobs") as stage:
        await opened(stage)
        await stage.press("i")
        await stage.flush()
        assert sum(isinstance(screen, InletsScreen) for screen in stage.app.screen_stack) == 1
        await stage.press("escape")
        await stage.wait_until(lambda: not isinstance(stage.app.screen, InletsScreen))
        assert stage.app.current_mode == "jobs"


async def test_enter_on_what_needs_a_person() -> None:
    """An inlet in the list of what needs you is opened with the cursor on it."""
    source = source_of()
    need = {
        "kind": "inlet",
        "inlet": "team",
        "since": NOW,
        "text": "the inlet team gets no messages: the token is wrong",
    }
    source.overview = {"lanes": [{"stage": "received"}], "needs_you": [need]}
    async with console_driver(source) as stage:
        await stage.flush()
        screen = await opened(stage, "enter")
        row = screen.table().row
        assert row is not None
        assert row.id == "team"


async def test_an_older_hub_has_none() -> None:
    """No key, no entry, and what needs a person leads to the audit as ever; nothing is asked."""
    source = source_of(verbs=VERBS - {"inlets"})
    need = {"kind": "inlet", "inlet": "team", "since": NOW, "text": "the inlet team gets no messages"}
    source.overview = {"lanes": [{"stage": "received"}], "needs_you": [need]}
    async with console_driver(source) as stage:
        assert "inlets" not in {entry.action.id for entry in stage.app.action_entries()}
        await stage.press("i")
        await stage.flush()
        await stage.press("enter")
        await stage.wait_until(lambda: stage.app.current_mode == "audit")
        assert source.calls_of("inlets") == []


async def test_it_is_asked_again_while_it_is_shown_and_no_longer() -> None:
    """Also under one in full; on another screen, or once it is closed, the hub is left in peace."""
    source = source_of()
    with patch("tui.screens.polled.POLL_INTERVAL", 0.01):
        async with console_driver(source) as stage:
            screen = await opened(stage)
            source.rows["inlets"][0] = inlet_row("ops", **DOWN)
            await stage.wait_until(lambda: stage.text.count("NOT CONNECTED") == 3)
            await stage.press("enter")
            await stage.wait_until(lambda: isinstance(stage.app.screen, FullViewScreen))
            source.rows["inlets"][0] = inlet_row("ops", **DOWN | {"problem": "no answer"})
            await stage.wait_until(lambda: "no answer" in stage.text)
            await stage.press("escape")
            await stage.open_mode("jobs")
            await stage.wait_until(lambda: screen.idle)
            before = len(source.calls_of("inlets"))
            for _ in range(20):
                await stage.flush()
            assert len(source.calls_of("inlets")) == before
            await stage.press("1")
            await stage.wait_until(lambda: len(source.calls_of("inlets")) > before)


async def test_a_lost_link_greys_it_with_its_age() -> None:
    """What was known stays; back, it is asked at once."""
    source = source_of()
    async with console_driver(source, size=(120, 36)) as stage:
        screen = await opened(stage)
        source.disconnect()
        source.clock += 75
        await stage.flush()
        assert screen.table().has_class("-stale")
        assert "as of 1m15s ago" in stage.text.split("\n")[1]
        before = len(source.calls_of("inlets"))
        source.reconnect()
        await stage.wait_until(lambda: len(source.calls_of("inlets")) > before)
        await stage.wait_until(lambda: not screen.table().has_class("-stale"))


async def test_none_says_what_to_do() -> None:
    """A hub without chats."""
    async with console_driver(FakeSource()) as stage:
        await opened(stage)
        assert "answerback-hub inlet add" in stage.text


async def test_hostile_words() -> None:
    """What a chat answers is words; nothing of it is obeyed."""
    source = FakeSource()
    rows = [inlet_row(f"a{n}", problem=hostile, platform=hostile) for n, hostile in enumerate(HOSTILE)]
    source.rows["inlets"] = rows
    async with console_driver(source, size=(120, 36)) as stage:
        await opened(stage)
        assert all(is_safe(line) for line in stage.text.split("\n"))
        await stage.press("enter")
        await stage.wait_until(lambda: isinstance(stage.app.screen, FullViewScreen))
        await stage.flush()
        assert all(is_safe(line) for line in stage.text.split("\n"))
