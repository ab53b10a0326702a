"""Drives the real console on the demo world, whose time stands still but for `advance`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from textual.pilot import Pilot

from common.api.verb import A, R, Verb
from common.api.versions import read_result
from tests.tui.demo_worlds import ready_world
from tests.tui.fake_source import complete_answer
from tui.app import ConsoleApp
from tui.demo.source import DemoSource
from tui.dialogs.dialog import Dialog
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.terminal.key_repeat import KeyRepeat

START = 1_790_000_000.0


class ScriptedDemoSource(DemoSource):
    """The demo world, but for the answers that a test puts in: an error to raise, or data to return."""

    def __init__(self, **given: Any) -> None:
        super().__init__(7, "small", start=START, real_time=False, create=ready_world, **given)
        self.answers: dict[str, deque[Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.gate: asyncio.Event | None = None  # holds every act until it is set

    def queue_answers(self, verb: str, *answers: Any) -> None:
        self.answers.setdefault(verb, deque()).extend(answers)

    def calls_of(self, verb: str) -> list[dict[str, Any]]:
        return [args for name, args in self.calls if name == verb]

    async def call(self, verb: Verb[A, R], args: A) -> R:
        self.calls.append((verb.name, verb.encode_args(args)))
        if self.gate is not None:
            await self.gate.wait()
        waiting = self.answers.get(verb.name)
        if waiting:
            answer = waiting.popleft()
            if isinstance(answer, BaseException):
                raise answer
            return read_result(verb, complete_answer(verb.name, answer))
        return await super().call(verb, args)


@dataclass
class Drive:
    app: ConsoleApp
    pilot: Pilot[None]
    source: ScriptedDemoSource
    console: ConsoleContext
    told: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    async def flush(self) -> None:
        self.app.flush()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.flush()

    async def type(self, text: str) -> None:
        names = {" ": "space", "-": "minus", "*": "asterisk", "=": "equals_sign", ":": "colon", ".": "full_stop"}
        await self.press(*(names.get(char, char) for char in text))

    async def wait_until(self, holds: Callable[[], Any], what: str = "") -> None:
        """Waits for something to be so; fails with the screen."""
        for _ in range(150):
            if holds():
                return
            await asyncio.sleep(0.01)
            await self.flush()
        raise AssertionError(f"{what or 'it did not happen'}:\n{self.text}")

    async def wait_for_text(self, text: str) -> None:
        await self.wait_until(lambda: text in self.text, f"not on the screen: {text}")

    async def advance(self, seconds: float) -> None:
        self.source.advance(seconds)
        await self.flush()

    async def open_mode(self, key: str, mode: str) -> None:
        await self.press(key)
        await self.wait_until(lambda: self.app.current_mode == mode and self.screen.is_mounted)

    @property
    def screen(self) -> Any:
        return self.app.screen

    @property
    def table(self) -> Any:
        return self.app._mode_screen().table()

    @property
    def dialog(self) -> Any:
        assert isinstance(self.app.screen, Dialog), self.text
        return self.app.screen

    async def wait_for_dialog(self, kind: type) -> Any:
        await self.wait_until(
            lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, f"no {kind.__name__}"
        )
        await self.flush()
        return self.app.screen

    async def wait_no_dialog(self) -> None:
        await self.wait_until(lambda: not isinstance(self.app.screen, Dialog), "the dialog is still there")

    async def select_row(self, holds: Callable[[Any], bool]) -> Any:
        """Puts the cursor of the mode's table on the first row that fits."""
        table = self.table
        await self.wait_until(lambda: table.window.loaded and table.window.total > 0)
        for index in range(table.window.total):
            row = table.window.row_at(index)
            if row is not None and holds(row):
                table.user_moved()
                table.move_to(index)
                await self.flush()
                return row
        raise AssertionError(f"no such row:\n{self.text}")


@asynccontextmanager
async def demo_console(
    size: tuple[int, int] = (120, 36),
    *,
    guard: float = 0.0,
    roles: tuple[str, ...] = ("admin",),
    ticks: bool = False,
    **settings: Any,
) -> AsyncIterator[Drive]:
    """The console, connected, on its first screen. It brings its screens up to date when the test does (`flush`), as
    often on a busy machine as on an idle one; with `ticks` by itself too.
    """
    source = ScriptedDemoSource(roles=roles)
    console = ConsoleContext(source, ConsoleSettings(**{"static": True, **settings}))
    app = ConsoleApp(console)
    if not ticks:
        app.tick = lambda: None
    before, Dialog.GUARD_SECONDS = (Dialog.GUARD_SECONDS, KeyRepeat.REPEAT_WITHIN), guard
    KeyRepeat.REPEAT_WITHIN = 0.0
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            driven = Drive(app, pilot, source, console)
            await driven.wait_until(lambda: console.link.live and console.overview and app.current_mode == "overview")
            await driven.flush()
            yield driven
            assert not console.last_fault  # it goes on after a fault of its own; a test does not
    finally:
        Dialog.GUARD_SECONDS, KeyRepeat.REPEAT_WITHIN = before
