"""The screen of language models: there only where the hub has some, asked while it is shown, true about its age."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from rich.cells import cell_len

from common.catalogue import translate
from tests.pairs import name_of, pairwise_params
from tests.tui.fake_source import HOSTILE, VERBS, ConsoleDriver, FakeSource, console_driver, node_row
from tui.client.errors import CallRefused
from tui.screens.full import FullViewScreen
from tui.terminal.sanitize import is_safe
from tui.view.command_line import parse_command
from tui.widgets.choices import ChoiceList

OLDER = VERBS - {"models"}


def source_of(**who: Any) -> FakeSource:
    source = FakeSource(**who)
    source.rows["models"] = [
        node_row("gpu-1"),
        node_row("gpu-2", model="Qwen/Qwen3-4B", breaker="half_open"),
        node_row("cpu-old", up=False, problem="gone: connection refused", breaker="open"),
    ]
    return source


def screen(stage: ConsoleDriver) -> Any:
    return stage.app.screen


async def asked(stage: ConsoleDriver, more: int = 1) -> None:
    """Waits until the hub has been asked so many times more, and the answer is on the screen."""
    wanted = len(stage.source.calls_of("models")) + more
    await stage.wait_until(lambda: len(stage.source.calls_of("models")) >= wanted, "asked again")
    await stage.flush()


@pytest.mark.parametrize(
    ("size", "language", "ascii_only"),
    pairwise_params(((60, 16), (80, 24), (120, 36)), ("en", "zh"), (False, True)),
    ids=name_of,
)
async def test_what_it_shows(size: tuple[int, int], language: Any, ascii_only: bool) -> None:
    """At every size, in both languages: each node with its state in a word and its name, why one is down, who waits
    and the cache; no line is longer than the screen, and nothing beyond ASCII of our own where that is wanted.
    """
    async with console_driver(source_of(), "models", size=size, language=language, ascii=ascii_only) as stage:
        await stage.flush()
        lines = stage.text.split("\n")
        assert translate(language, "console_tab_models") in lines[1]
        assert "41.0%" in lines[1]
        assert translate(language, "console_tab_short_models") in lines[0]
        for name, state in (("gpu-1", "up"), ("gpu-2", "half_open"), ("cpu-old", "down")):
            row = next(line for line in lines if name in line)
            assert translate(language, f"console_node_{state}") in row
        await stage.press("G")
        await stage.flush()
        assert "gone: connection refused" in stage.text.split("\n")[-2]
        assert all(cell_len(line) <= size[0] for line in stage.text.split("\n"))
        assert not ascii_only or language == "zh" or stage.text.isascii()


async def test_its_key_line_and_entries_are_there_with_models() -> None:
    """6, the palette, the help, `:models`; and the tab."""
    async with console_driver(source_of()) as stage:
        assert "6" in stage.text.split("\n")[0]
        assert "go_models" in {entry.action.id for entry in stage.app.action_entries()}
        await stage.press("colon")
        await stage.type("models")
        await stage.press("enter")
        await stage.wait_until(lambda: stage.app.current_mode == "models")
        await stage.press("0")
        await stage.wait_until(lambda: stage.app.current_mode == "overview")
        dialog = await stage.open_dialog("question_mark")
        assert "go_models" in {choice.id for choice in dialog.query_one(ChoiceList).items}


@pytest.mark.parametrize("verbs", [OLDER, frozenset()])
async def test_without_models_there_is_no_such_screen(verbs: frozenset[str]) -> None:
    """An older hub, or one that has none: no tab, no key, no entry, and `:models` is no command; nothing is asked."""
    source = source_of(verbs=verbs)
    async with console_driver(source, size=(160, 40)) as stage:
        assert "Models" not in stage.text
        assert "go_models" not in {entry.action.id for entry in stage.app.action_entries()}
        await stage.press("6")
        stage.app.navigate("models")
        await stage.flush()
        assert stage.app.current_mode == "overview"
        assert not stage.status_line
        for line in ("models", "go_models"):
            stage.app.run_command(parse_command(line))
            assert line in stage.status_line
        await stage.press("colon")
        completer = stage.app._mode_screen().prompt.suggester
        assert completer is not None
        assert await completer.get_suggestion("model") is None
        await stage.press("escape")
        await stage.flush()
        assert stage.app.current_mode == "overview"
        assert source.calls_of("models") == []


async def test_it_is_asked_again_while_it_is_shown_and_no_longer() -> None:
    """Every other second; what has changed is shown; on another screen the hub is left in peace."""
    source = source_of()
    with patch("tui.screens.polled.POLL_INTERVAL", 0.01):
        async with console_driver(source, "models") as stage:
            source.rows["models"][0] = node_row("gpu-1", up=False, problem="slow: no answer")
            await stage.wait_until(lambda: "slow: no answer" in stage.text)
            await asked(stage, 3)
            await stage.open_mode("jobs")
            models: Any = stage.app._screen_stacks["models"][0]
            await stage.wait_until(lambda: not models._visible)
            await stage.wait_until(lambda: models.idle)
            before = len(source.calls_of("models"))
            for _ in range(20):
                await stage.flush()
            assert (models.idle, len(source.calls_of("models"))) == (True, before)
            await stage.open_mode("models")
            await asked(stage, 1)


async def test_empty_says_what_to_do() -> None:
    """A hub with the verb and no server."""
    async with console_driver(FakeSource(), "models") as stage:
        await stage.flush()
        assert "no model server" in stage.text
        assert "hub.toml" in stage.text


async def test_a_hub_that_has_none_any_more() -> None:
    """It comes back without models while one looks at them: the first screen is there instead."""
    source = source_of()
    async with console_driver(source, "models") as stage:
        source.disconnect()
        await stage.flush()
        source.who = FakeSource(version="0.1.0", verbs=OLDER).who
        source.reconnect()
        await stage.wait_until(lambda: stage.app.current_mode == "overview")
        await stage.press("0")
        await stage.flush()
        assert stage.app.current_mode == "overview"


@pytest.mark.parametrize("key", ["enter", "z"])
async def test_one_in_full(key: str) -> None:
    """On a screen of its own: its facts, what the hub said, and back to the same row; it stays up to date."""
    source = source_of()
    with patch("tui.screens.polled.POLL_INTERVAL", 0.01):
        async with console_driver(source, "models", size=(80, 24)) as stage:
            await stage.press("G", key)
            await stage.wait_until(lambda: isinstance(stage.app.screen, FullViewScreen))
            await stage.wait_until(lambda: "gone: connection refused" in stage.text)
            source.rows["models"][2] = node_row("cpu-old", up=False, problem="overloaded: try later")
            await stage.wait_until(lambda: "overloaded: try later" in stage.text)
            await stage.press("right_square_bracket")
            await stage.wait_until(lambda: "tokens_per_second" in stage.text)
            await stage.press("escape")
            await stage.wait_until(lambda: not isinstance(stage.app.screen, FullViewScreen))
            assert screen(stage).table().row.id == "cpu-old"


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_hostile_names_and_reasons(hostile: str) -> None:
    """What servers say of themselves, and a refusal, are words; nothing of it is obeyed."""
    source = FakeSource()
    source.rows["models"] = [node_row("a", model=hostile, problem=hostile, kind=hostile, up=False) | {"name": hostile}]
    async with console_driver(source, "models", size=(120, 36)) as stage:
        await stage.flush()
        assert all(is_safe(line) for line in stage.text.split("\n"))
        await stage.press("enter")
        await stage.wait_until(lambda: isinstance(stage.app.screen, FullViewScreen))
        await stage.flush()
        assert all(is_safe(line) for line in stage.text.split("\n"))
        await stage.press("escape")
        source.answers["models"] = CallRefused("no_right", hostile)
        await stage.press("R")
        await asked(stage, 0)
        await stage.wait_until(lambda: screen(stage).problem)
        await stage.flush()
        assert all(is_safe(line) for line in stage.text.split("\n"))
