"""Drives the real console on the demo world, whose time stands still but for `step`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from textual.pilot import Pilot

from tui.app import ConsoleApp
from tui.console import Console, Settings
from tui.demo.source import DemoSource
from tui.dialogs.dialog import Dialog
from tui.held import Held

START = 1_790_000_000.0


class Scripted(DemoSource):
    """The demo world, but for the answers that a test puts in: an error to raise, or data to return."""

    def __init__(self, **given: Any) -> None:
        super().__init__(7, "small", start=START, living=False, **given)
        self.answers: dict[str, deque[Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.gate: asyncio.Event | None = None  # holds every act until it is set

    def script(self, verb: str, *answers: Any) -> None:
        self.answers.setdefault(verb, deque()).extend(answers)

    def made(self, verb: str) -> list[dict[str, Any]]:
        return [args for name, args in self.calls if name == verb]

    async def call(self, verb: str, **args: Any) -> Any:
        self.calls.append((verb, args))
        if self.gate is not None:
            await self.gate.wait()
        waiting = self.answers.get(verb)
        if waiting:
            answer = waiting.popleft()
            if isinstance(answer, BaseException):
                raise answer
            return answer
        return await super().call(verb, **args)


@dataclass
class Drive:
    app: ConsoleApp
    pilot: Pilot[None]
    source: Scripted
    console: Console
    told: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    async def settle(self) -> None:
        self.app.flush()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def type(self, text: str) -> None:
        names = {" ": "space", "-": "minus", "*": "asterisk", "=": "equals_sign", ":": "colon", ".": "full_stop"}
        await self.press(*(names.get(char, char) for char in text))

    async def until(self, holds: Callable[[], Any], what: str = "") -> None:
        """Waits for something to be so; fails with the screen."""
        for _ in range(150):
            if holds():
                return
            await asyncio.sleep(0.01)
            await self.settle()
        raise AssertionError(f"{what or 'it did not happen'}:\n{self.text}")

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.text, f"not on the screen: {text}")

    async def step(self, seconds: float) -> None:
        self.source.step(seconds)
        await self.settle()

    async def go(self, key: str, mode: str) -> None:
        await self.press(key)
        await self.until(lambda: self.app.current_mode == mode and self.top.is_mounted)

    @property
    def top(self) -> Any:
        return self.app.screen

    @property
    def table(self) -> Any:
        return self.app._screen().table()

    @property
    def dialog(self) -> Any:
        assert isinstance(self.app.screen, Dialog), self.text
        return self.app.screen

    async def dialog_of(self, kind: type) -> Any:
        await self.until(
            lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, f"no {kind.__name__}"
        )
        await self.settle()
        return self.app.screen

    async def no_dialog(self) -> None:
        await self.until(lambda: not isinstance(self.app.screen, Dialog), "the dialog is still there")

    async def row(self, holds: Callable[[Any], bool]) -> Any:
        """Puts the cursor of the mode's table on the first row that fits."""
        table = self.table
        await self.until(lambda: table.window.loaded and table.window.total > 0)
        for index in range(table.window.total):
            row = table.window.row_at(index)
            if row is not None and holds(row):
                table.by_hand()
                table.go(index)
                await self.settle()
                return row
        raise AssertionError(f"no such row:\n{self.text}")


@asynccontextmanager
async def drive(
    size: tuple[int, int] = (120, 36), *, guard: float = 0.0, roles: tuple[str, ...] = ("admin",), **settings: Any
) -> AsyncIterator[Drive]:
    """The console, connected, on its first screen."""
    source = Scripted(roles=roles)
    console = Console(source, Settings(**{"still": True, **settings}))
    app = ConsoleApp(console)
    before, Dialog.GUARD = (Dialog.GUARD, Held.WITHIN), guard
    Held.WITHIN = 0.0
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            driven = Drive(app, pilot, source, console)
            await driven.until(lambda: console.link.live and console.overview and app.current_mode == "overview")
            await driven.settle()
            yield driven
            assert not console.last_fault  # it goes on after a fault of its own; a test does not
    finally:
        Dialog.GUARD, Held.WITHIN = before
