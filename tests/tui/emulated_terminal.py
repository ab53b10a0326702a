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
from tui.demo.source import DemoSource
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings

START = 1_790_000_000.0


class EmulatedConsoleApp(ConsoleApp):
    """The console, whose terminal is an emulator."""

    CSS_PATH = str(Path(tui.__file__).with_name("tui.tcss"))

    def __init__(self, console: ConsoleContext, size: tuple[int, int]) -> None:
        super().__init__(console)
        self.emulator = pyte.Screen(*size)
        self._stream = pyte.Stream(self.emulator)
        self.writes: list[str] = []
        self.pending_writes = 0

    @property
    def on_terminal(self) -> bool:
        return True

    def write_terminal(self, text: str) -> bool:
        self.writes.append(text)
        self._stream.feed(text)
        return True

    def queued_writes(self) -> int:
        return self.pending_writes


class EmulatedConsole:
    """What the emulator shows beside what the screens show."""

    def __init__(self, app: EmulatedConsoleApp, pilot: Pilot[None], source: DemoSource) -> None:
        self.app = app
        self.pilot = pilot
        self.source = source

    async def flush(self) -> None:
        """Until everything that is owed has been sent."""
        self.app.flush()
        await self.pilot.pause()
        for _ in range(200):
            if not self.app.terminal.pending or self.app.pending_writes:
                return
            await asyncio.sleep(0.01)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.check_same(key)

    async def check_same(self, after: str) -> None:
        """Waits until the emulator shows what the screens show; fails where it never does."""
        for _ in range(50):
            await self.flush()
            if self.emulator_lines() == self.expected_lines():
                return
            await asyncio.sleep(0.02)
        assert self.emulator_lines() == self.expected_lines(), after

    def expected_lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    def emulator_lines(self) -> list[str]:
        return [line.rstrip() for line in self.app.emulator.display]


@asynccontextmanager
async def emulated_console(
    size: tuple[int, int], language: str = "en", theme: str = "dark", *, source: DemoSource | None = None
) -> AsyncIterator[EmulatedConsole]:
    source = source or DemoSource(7, "small", start=START, real_time=False)
    app = EmulatedConsoleApp(
        ConsoleContext(source, ConsoleSettings(language="zh" if language == "zh" else "en", theme=theme)), size
    )
    async with app.run_test(size=size) as pilot:
        stage = EmulatedConsole(app, pilot, source)
        for _ in range(200):
            await stage.flush()
            if app.context.link.live and app.context.overview and app.current_mode == "overview":
                break
            await asyncio.sleep(0.01)
        yield stage
