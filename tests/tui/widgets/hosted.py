"""One widget alone on a screen with the console's styles; what stands on it, what it asked to repaint, what it said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from textual import events
from textual.app import App, ComposeResult
from textual.filter import LineFilter
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

import tui
from tui.terminal.sanitize import SanitizeFilter
from tui.text.format import RenderContext
from tui.widgets.bars import Bar
from tui.widgets.output import OutputPane
from tui.widgets.table import RowTable

M = TypeVar("M", bound=Message)
NOW = 1_790_000_000.0


class Looks:
    """A look that a test changes while the widget lives."""

    def __init__(self, look: RenderContext | None = None) -> None:
        self.now = look or RenderContext("en", False, NOW)

    def __call__(self) -> RenderContext:
        return self.now


class Host(App[None]):
    """No acts but one, that must never be run by what is shown."""

    CSS_PATH = str(Path(tui.__file__).with_name("tui.tcss"))
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, widgets: Sequence[Widget], gate: bool) -> None:
        super().__init__()
        self._widgets = widgets
        self._gated = gate
        self.performed: list[str] = []

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        variables.setdefault("tone-dim", variables["foreground-muted"])
        return variables

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *([SanitizeFilter()] if self._gated else [])]

    def compose(self) -> ComposeResult:
        yield from self._widgets

    def action_perform(self, what: str) -> None:
        self.performed.append(what)


class Hosted:
    def __init__(self, app: Host, pilot: Pilot[None], heard: list[Message]) -> None:
        self.app = app
        self.pilot = pilot
        self._heard = heard

    @property
    def lines(self) -> list[str]:
        """The screen, line by line."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    def heard(self, kind: type[M]) -> list[M]:
        """Every message of a kind, once however far it bubbled."""
        found: dict[int, M] = {id(message): message for message in self._heard if isinstance(message, kind)}
        return list(found.values())

    def deaf(self) -> None:
        """Forgets what was heard."""
        self._heard.clear()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()


def repaints(widget: Widget) -> set[Region]:
    """The regions that a widget has asked to be painted again since its last frame."""
    return set(widget._repaint_regions)


@asynccontextmanager
async def hosted(
    *widgets: Widget, size: tuple[int, int] = (40, 10), focus: bool = True, gate: bool = False
) -> AsyncIterator[Hosted]:
    """The first widget has the focus where `focus` is true; with `gate` the console's last filter is before the
    terminal."""
    heard: list[Message] = []
    app = Host(widgets, gate)
    async with app.run_test(size=size, message_hook=heard.append) as pilot:
        app.screen.set_focus(widgets[0] if focus else None)
        await pilot.pause()
        for widget in widgets:
            if isinstance(widget, RowTable | Bar | OutputPane):
                widget.flush()  # the console's beat does this many times a second
        await pilot.pause()
        yield Hosted(app, pilot, heard)


async def wheel(stage: Hosted, widget: Widget, turns: int) -> None:
    """Turns the wheel over a widget: down where `turns` is positive."""
    kind = events.MouseScrollDown if turns > 0 else events.MouseScrollUp
    for _ in range(abs(turns)):
        widget.post_message(kind(widget, 1, 1, 0, 0, 0, False, False, False))
    await stage.pilot.pause()
