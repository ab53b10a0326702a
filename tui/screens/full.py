"""A row's detail on the whole screen, where there is no room beside the table; the same keys act on the same row."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.widget import Widget

from common.catalogue import Sentence, say
from tui.commands import Kind
from tui.console import Console
from tui.format import one_line
from tui.model import Row, Window
from tui.screens.base import ConsoleScreen
from tui.widgets.detail import Detail
from tui.widgets.output import OutputPane


class FullScreen(ConsoleScreen):
    def __init__(self, console: Console, mode: str, kind: Kind, row: Row, tab: str, window: Window) -> None:
        super().__init__(console, mode)
        self._kind: Kind = kind
        self._row = row
        self._tab = tab
        self._window = window
        self.handlers |= {
            "tab_before": lambda: self.detail.next_tab(-1),
            "tab_after": lambda: self.detail.next_tab(1),
            "follow": lambda: self.detail.follow(),
            "output": self._to_output,
        }

    def body(self) -> Iterable[Widget]:
        yield Detail(self.console, id="detail")

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

    def subject(self) -> tuple[Kind, list[Row]]:
        return self._kind, [self.detail.row or self._row] if self.is_mounted else [self._row]

    def on_mount(self) -> None:
        super().on_mount()
        self.detail.show(self._kind, self._row, tab=self._tab, at_once=True)
        (self.detail.output if self.detail.output.display else self.detail.text).focus()

    def flush(self) -> None:
        row = self._window.row(str(self._row["id"]))
        if row is not None:
            self.detail.refresh_row(row)
        self.detail.flush()
        super().flush()

    def _to_output(self) -> None:
        self.detail.go_tab("output")

    def tab_clicked(self, tab: str) -> bool:
        return self.detail.go_tab(tab)

    def back(self) -> None:
        self.dismiss(None)

    @on(OutputPane.SearchWanted)
    def _search(self, event: OutputPane.SearchWanted) -> None:
        event.stop()
        self.prompt.open("search", event.pane.wanted, say(self.console.language, "console_search_hint"), None)

    def prompted(self, use: str, text: str | None) -> None:
        if use == "search":
            if text and not self.detail.output.search(text):
                self.console.tell(Sentence("console_not_found", {"text": one_line(text, 80)}), "warn")
            self.detail.output.focus()
        else:
            super().prompted(use, text)
