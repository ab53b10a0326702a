"""A row's detail on the whole screen, where there is no room beside the table; the same keys act on the same row."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.widget import Widget

from common.catalogue import translate
from tui.model.actions import Action, Kind
from tui.model.context import ConsoleContext
from tui.model.window import Row, RowWindow
from tui.screens.base import ConsoleScreen
from tui.view.columns import row_title
from tui.widgets.detail import DetailPane
from tui.widgets.output import OutputPane


class FullViewScreen(ConsoleScreen):
    def __init__(self, console: ConsoleContext, mode: str, kind: Kind, row: Row, tab: str, window: RowWindow) -> None:
        super().__init__(console, mode)
        self._kind: Kind = kind
        self._row = row
        self._tab = tab
        self._window = window
        self.handlers |= {
            "tab_before": lambda: self.detail.next_tab(-1),
            "tab_after": lambda: self.detail.next_tab(1),
            "follow": lambda: self.detail.follow(),
            "output": self._focus_output,
        }

    def body(self) -> Iterable[Widget]:
        yield DetailPane(self.console, id="detail")

    @property
    def detail(self) -> DetailPane:
        return self.query_one(DetailPane)

    def subject(self, act: Action | None = None) -> tuple[Kind, list[Row]]:
        return self._kind, [self.detail.row or self._row] if self.is_mounted else [self._row]

    def on_mount(self) -> None:
        super().on_mount()
        self.detail.show_row(self._kind, self._row, tab=self._tab, immediate=True)
        (self.detail.output if self.detail.output.display else self.detail.text).focus()

    def flush(self) -> None:
        row = self._window.row(self._row.id)
        if row is not None:
            self.detail.refresh_row(row)
        self.set_stale(not self.console.link.live, self.detail.text, self.detail.output)
        self.detail.flush()
        super().flush()

    def describe_subject(self) -> str:
        if self._window.is_removed(self._row.id):
            return translate(self.console.language, "console_row_leaves", what=row_title(self._row))
        return ""

    def link_restored(self) -> None:
        self.detail.reload()

    def _focus_output(self) -> None:
        self.detail.show_tab("output")

    def select_tab(self, tab: str) -> bool:
        return self.detail.show_tab(tab)

    def go_back(self) -> None:
        self.dismiss(None)

    @on(OutputPane.SearchRequested)
    def _search(self, event: OutputPane.SearchRequested) -> None:
        event.stop()
        self.prompt.show_prompt("search", "", translate(self.console.language, "console_search_hint"), None)

    def prompt_finished(self, use: str, text: str | None) -> None:
        if use == "search":
            self.detail.search_output(text)
        else:
            super().prompt_finished(use, text)
