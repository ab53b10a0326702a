"""The servers of language models: one row a node, and above them who waits and how much the cache of plans spares.

The hub has no view of them to follow: its verb `models` is asked again and again, and only while the screen is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from textual import on
from textual.widget import Widget

from common.catalogue import say
from tui.answers import ask
from tui.console import Console
from tui.format import age, joined, number, one_line
from tui.headline import Span, pad
from tui.model import Window
from tui.nodes import NODES, node_state, nodes_of, reason, shared_words
from tui.screens.base import ConsoleScreen
from tui.screens.listing import ListScreen
from tui.widgets.bars import Bar
from tui.widgets.table import Table

EVERY: Final = 2.0
"""Seconds between an answer and the next question."""


class ModelsScreen(ConsoleScreen):
    def __init__(self, console: Console, mode: str = "models") -> None:
        super().__init__(console, mode)
        self.window = Window()
        self.problem = ""  # why the last question had no answer; safe
        self._told: Any = {}  # the last answer
        self._told_at = 0.0
        self._shown = False
        self.resting = True  # the hub is not asked until the screen is shown or the link is back
        self._wake = asyncio.Event()
        self.handlers |= {"zoom": self.open_detail}

    def body(self) -> Iterable[Widget]:
        yield Bar(self._head, id="list-head")
        yield Table("model", NODES, self.console.look, window=self.window, empty=self._empty, id="list")

    def table(self) -> Table:
        return self.query_one("#list", Table)

    # ---- asking

    def on_mount(self) -> None:
        super().on_mount()
        self.table().focus()
        self.run_worker(self._keep_asking(), group="models")

    def start(self) -> None:
        self._shown = True
        self._wake.set()
        self.flush()

    def stop(self) -> None:
        self._shown = False

    def linked(self) -> None:
        self._wake.set()

    def ask_again(self) -> None:
        self._wake.set()

    async def _keep_asking(self) -> None:
        while True:
            self._wake.clear()
            self.resting = not (self._shown and self.console.link.live)
            if not self.resting:
                await self._ask()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self.resting else EVERY):
                    await self._wake.wait()

    async def _ask(self) -> None:
        answer = await ask(self.console.source.call, "models")
        if answer.next != "done":
            self.problem = answer.text or "-"
            return
        self.problem, self._told, self._told_at = "", answer.data, self.console.now()
        self.window.fill(nodes_of(answer.data))

    # ---- what is shown

    @property
    def stale(self) -> bool:
        return not self.console.link.live or bool(self.problem)

    def flush(self) -> None:
        table = self.table()
        self.grey(self.stale, table)
        self.bring_up(table)
        super().flush()

    def _head(self, cells: int) -> list[Span]:
        look = self.console.look()
        spans = [Span(f" {say(look.language, 'console_tab_models')}  ", "head")]
        right = []
        if self.window.loaded:
            spans += [Span(f"{number(self.window.total)}  "), Span(shared_words(self._told, look))]
            if self.stale:
                past = age(max(0.0, look.now - self._told_at))
                right.append(Span(" " + say(look.language, "console_models_as_of", age=past) + " ", "warn"))
        elif self.console.link.live and not self.problem:
            spans.append(Span(say(look.language, "console_loading")))
        if self.problem and self.console.link.live:
            spans.insert(1, Span(self.problem + "  ", "bad"))
        return pad(spans, right, cells, look.cut)

    def _empty(self) -> Sequence[str]:
        language = self.console.language
        if self.window.loaded:
            return [say(language, "console_empty_models"), say(language, "console_empty_models_next")]
        if not self.console.link.live:
            return [say(language, "console_empty_no_link")]
        if self.problem:
            return [self.problem, say(language, "console_empty_again")]
        return [say(language, "console_loading")]

    def about(self) -> str:
        row = self.table().row
        if row is None:
            return ""
        return joined((one_line(row.get("name", "?"), 64), node_state(row, self.console.look()).text, reason(row)))

    # ---- one in full

    @on(Table.Opened)
    def _opened(self, event: Table.Opened) -> None:
        event.stop()
        self.open_detail()

    def open_detail(self) -> None:
        table = self.table()
        if table.row is not None:
            self.post_message(ListScreen.FullWanted(table.kind, dict(table.row), ""))
