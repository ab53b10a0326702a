"""The console on a terminal that is an emulator: what was sent to it, what it shows, what the screens show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyte
from textual.pilot import Pilot

import tui
from tui.app import ConsoleApp
from tui.console import Console, Settings
from tui.demo.source import DemoSource

START = 1_790_000_000.0


class Sent(ConsoleApp):
    """The console, whose terminal is an emulator."""

    CSS_PATH = str(Path(tui.__file__).with_name("tui.tcss"))

    def __init__(self, console: Console, size: tuple[int, int]) -> None:
        super().__init__(console)
        self.screen_sent = pyte.Screen(*size)
        self._stream = pyte.Stream(self.screen_sent)
        self.texts: list[str] = []
        self.waiting = 0

    @property
    def _on_terminal(self) -> bool:
        return True

    def _write_out(self, text: str) -> None:
        self.written += len(text)
        self.texts.append(text)
        self._stream.feed(text)

    def _writes_waiting(self) -> int:
        return self.waiting


class Seen:
    """What the emulator shows beside what the screens show."""

    def __init__(self, app: Sent, pilot: Pilot[None], source: DemoSource) -> None:
        self.app = app
        self.pilot = pilot
        self.source = source

    async def settle(self) -> None:
        """Until everything that is owed has been sent."""
        self.app.flush()
        await self.pilot.pause()
        for _ in range(200):
            if not self.app.terminal.owed or self.app.waiting:
                return
            await asyncio.sleep(0.01)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.same(key)

    async def same(self, after: str) -> None:
        """Waits until the emulator shows what the screens show; fails where it never does."""
        for _ in range(50):
            await self.settle()
            if self.shown() == self.wanted():
                return
            await asyncio.sleep(0.02)
        assert self.shown() == self.wanted(), after

    def wanted(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.app.screen_sent.display]


@asynccontextmanager
async def seen(
    size: tuple[int, int], language: str = "en", theme: str = "dark", *, source: DemoSource | None = None
) -> AsyncIterator[Seen]:
    source = source or DemoSource(7, "small", start=START, living=False)
    app = Sent(Console(source, Settings(language="zh" if language == "zh" else "en", theme=theme)), size)
    async with app.run_test(size=size) as pilot:
        stage = Seen(app, pilot, source)
        for _ in range(200):
            await stage.settle()
            if app.context.link.live and app.context.overview and app.current_mode == "overview":
                break
            await asyncio.sleep(0.01)
        yield stage
