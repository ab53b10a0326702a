"""A table of what the hub has no list of to follow: its verb is asked again and again, and only while it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from textual import on
from textual.widget import Widget

from common.catalogue import translate
from tui.model.actions import Kind
from tui.model.answers import CallOutcome
from tui.model.context import ConsoleContext
from tui.model.window import Row, RowWindow
from tui.screens.base import ConsoleScreen
from tui.screens.listing import ListScreen
from tui.text.format import RenderContext, format_age, format_number
from tui.view.bars import BarSpan, justify
from tui.view.column import Column
from tui.widgets.bars import Bar
from tui.widgets.table import RowTable

POLL_INTERVAL: Final = 2.0
"""Seconds between an answer and the next question."""


class PolledScreen(ConsoleScreen):
    """`kind` and `columns` are the table's; `heading` is the sentence at its head, `nothing` two for an empty one."""

    kind: Kind
    columns: Sequence[Column[Any]]
    heading: str
    nothing: tuple[str, str]

    def __init__(self, console: ConsoleContext, mode: str) -> None:
        super().__init__(console, mode)
        self.window = RowWindow()
        self.problem = ""  # why the last question had no answer; safe
        self.idle = True  # the hub is not asked until the screen is shown or the link is back
        self._answered_at = 0.0
        self._wake = asyncio.Event()
        self.handlers |= {"zoom": self.open_detail}

    # ---- what a screen says of itself

    @property
    def is_shown(self) -> bool:
        raise NotImplementedError

    async def ask(self) -> CallOutcome[Any]:
        raise NotImplementedError

    def take(self, result: Any) -> list[Row]:
        """The rows of an answer."""
        raise NotImplementedError

    def summary(self, look: RenderContext) -> str:
        """What stands in the head beside the number of rows."""
        return ""

    # ---- form

    def body(self) -> Iterable[Widget]:
        yield Bar(self._head, id="list-head")
        look = self.console.render_context
        yield RowTable(self.kind, self.columns, look, window=self.window, empty=self._empty, id="list")

    def table(self) -> RowTable:
        return self.query_one("#list", RowTable)

    # ---- asking

    def on_mount(self) -> None:
        super().on_mount()
        self.table().focus()
        self.run_worker(self._poll(), group=self.kind)

    def wake(self) -> None:
        """Asks at once."""
        self._wake.set()

    def link_restored(self) -> None:
        self.wake()

    def reload(self) -> None:
        self.wake()

    async def _poll(self) -> None:
        while True:
            self._wake.clear()
            self.idle = not (self.is_shown and self.console.link.live)
            if not self.idle:
                await self._fetch()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self.idle else POLL_INTERVAL):
                    await self._wake.wait()

    async def _fetch(self) -> None:
        answer = await self.ask()
        if answer.result is None:
            self.problem = answer.text or "-"
            return
        self.problem, self._answered_at = "", self.console.now()
        self.window.load_all(self.take(answer.result))

    # ---- what is shown

    @property
    def is_stale(self) -> bool:
        return not self.console.link.live or bool(self.problem)

    def flush(self) -> None:
        table = self.table()
        self.set_stale(self.is_stale, table)
        self.refresh_table(table)
        super().flush()

    def _head(self, cells: int) -> list[BarSpan]:
        look = self.console.render_context()
        spans = [BarSpan(f" {translate(look.language, self.heading)}  ", "head")]
        right = []
        if self.window.loaded:
            spans += [BarSpan(f"{format_number(self.window.total)}  "), BarSpan(self.summary(look))]
            if self.is_stale:
                past = format_age(max(0.0, look.now - self._answered_at))
                right.append(BarSpan(" " + translate(look.language, "console_as_of", age=past) + " ", "warn"))
        elif self.console.link.live and not self.problem:
            spans.append(BarSpan(translate(look.language, "console_loading")))
        if self.problem and self.console.link.live:
            spans.insert(1, BarSpan(self.problem + "  ", "bad"))
        return justify(spans, right, cells, look.ellipsis)

    def _empty(self) -> Sequence[str]:
        language = self.console.language
        if self.window.loaded:
            return [translate(language, key) for key in self.nothing]
        if not self.console.link.live:
            return [translate(language, "console_empty_no_link")]
        if self.problem:
            return [self.problem, translate(language, "console_empty_again")]
        return [translate(language, "console_loading")]

    # ---- one in full

    @on(RowTable.RowOpened)
    def _opened(self, event: RowTable.RowOpened) -> None:
        event.stop()
        self.open_detail()

    def open_detail(self) -> None:
        table = self.table()
        if table.row is not None:
            self.post_message(ListScreen.FullViewRequested(table.kind, table.row, ""))
