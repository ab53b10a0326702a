"""The servers of language models: one row a node, and above them who waits and how much the cache of plans spares.

The hub has no view of them to follow: its verb `models` is asked again and again, and only while the screen is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from textual import on
from textual.widget import Widget

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.models import ModelNode, ModelsView
from common.catalogue import translate
from tui.model.answers import call_hub
from tui.model.context import ConsoleContext
from tui.model.window import RowWindow
from tui.screens.base import ConsoleScreen
from tui.screens.listing import ListScreen
from tui.text.format import format_age, format_number, join_nonempty, one_line
from tui.view.bars import BarSpan, justify
from tui.view.models import NODES, describe_shared, down_reason, node_state, nodes_of
from tui.widgets.bars import Bar
from tui.widgets.table import RowTable

POLL_INTERVAL: Final = 2.0
"""Seconds between an answer and the next question."""


class ModelsScreen(ConsoleScreen):
    def __init__(self, console: ConsoleContext, mode: str = "models") -> None:
        super().__init__(console, mode)
        self.window = RowWindow()
        self.problem = ""  # why the last question had no answer; safe
        self._last_answer = ModelsView()
        self._answered_at = 0.0
        self._visible = False
        self.idle = True  # the hub is not asked until the screen is shown or the link is back
        self._wake = asyncio.Event()
        self.handlers |= {"zoom": self.open_detail}

    def body(self) -> Iterable[Widget]:
        yield Bar(self._head, id="list-head")
        yield RowTable("model", NODES, self.console.render_context, window=self.window, empty=self._empty, id="list")

    def table(self) -> RowTable:
        return self.query_one("#list", RowTable)

    # ---- asking

    def on_mount(self) -> None:
        super().on_mount()
        self.table().focus()
        self.run_worker(self._poll_models(), group="models")

    def start(self) -> None:
        self._visible = True
        self._wake.set()
        self.flush()

    def stop(self) -> None:
        self._visible = False

    def link_restored(self) -> None:
        self._wake.set()

    def reload(self) -> None:
        self._wake.set()

    async def _poll_models(self) -> None:
        while True:
            self._wake.clear()
            self.idle = not (self._visible and self.console.link.live)
            if not self.idle:
                await self._fetch_models()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self.idle else POLL_INTERVAL):
                    await self._wake.wait()

    async def _fetch_models(self) -> None:
        answer = await call_hub(self.console.source, verbs.MODELS, NoArgs())
        if answer.result is None:
            self.problem = answer.text or "-"
            return
        self.problem, self._last_answer, self._answered_at = "", answer.result, self.console.now()
        self.window.load_all(nodes_of(answer.result))

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
        spans = [BarSpan(f" {translate(look.language, 'console_tab_models')}  ", "head")]
        right = []
        if self.window.loaded:
            spans += [
                BarSpan(f"{format_number(self.window.total)}  "),
                BarSpan(describe_shared(self._last_answer, look)),
            ]
            if self.is_stale:
                past = format_age(max(0.0, look.now - self._answered_at))
                right.append(BarSpan(" " + translate(look.language, "console_models_as_of", age=past) + " ", "warn"))
        elif self.console.link.live and not self.problem:
            spans.append(BarSpan(translate(look.language, "console_loading")))
        if self.problem and self.console.link.live:
            spans.insert(1, BarSpan(self.problem + "  ", "bad"))
        return justify(spans, right, cells, look.ellipsis)

    def _empty(self) -> Sequence[str]:
        language = self.console.language
        if self.window.loaded:
            return [translate(language, "console_empty_models"), translate(language, "console_empty_models_next")]
        if not self.console.link.live:
            return [translate(language, "console_empty_no_link")]
        if self.problem:
            return [self.problem, translate(language, "console_empty_again")]
        return [translate(language, "console_loading")]

    def describe_subject(self) -> str:
        row = self.table().row
        if not isinstance(row, ModelNode):
            return ""
        return join_nonempty(
            (one_line(row.name, 64), node_state(row, self.console.render_context()).text, down_reason(row))
        )

    # ---- one in full

    @on(RowTable.RowOpened)
    def _opened(self, event: RowTable.RowOpened) -> None:
        event.stop()
        self.open_detail()

    def open_detail(self) -> None:
        table = self.table()
        if table.row is not None:
            self.post_message(ListScreen.FullViewRequested(table.kind, table.row, ""))
