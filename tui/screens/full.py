"""A row's detail on the whole screen, where there is no room beside the table; the same keys act on the same row."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.widget import Widget

from common.catalogue import say
from tui.commands import Act, Kind
from tui.console import Console
from tui.model import Row, Window
from tui.rows import title_of
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

    def subject(self, act: Act | None = None) -> tuple[Kind, list[Row]]:
        return self._kind, [self.detail.row or self._row] if self.is_mounted else [self._row]

    def on_mount(self) -> None:
        super().on_mount()
        self.detail.show(self._kind, self._row, tab=self._tab, at_once=True)
        (self.detail.output if self.detail.output.display else self.detail.text).focus()

    def flush(self) -> None:
        row = self._window.row(str(self._row["id"]))
        if row is not None:
            self.detail.refresh_row(row)
        self.grey(not self.console.link.live, self.detail.text, self.detail.output)
        self.detail.flush()
        super().flush()

    def about(self) -> str:
        if self._window.is_out(str(self._row["id"])):
            return say(self.console.language, "console_row_leaves", what=title_of(self._kind, self._row))
        return ""

    def linked(self) -> None:
        self.detail.reload()

    def _to_output(self) -> None:
        self.detail.go_tab("output")

    def tab_clicked(self, tab: str) -> bool:
        return self.detail.go_tab(tab)

    def back(self) -> None:
        self.dismiss(None)

    @on(OutputPane.SearchWanted)
    def _search(self, event: OutputPane.SearchWanted) -> None:
        event.stop()
        self.prompt.open("search", "", say(self.console.language, "console_search_hint"), None)

    def prompted(self, use: str, text: str | None) -> None:
        if use == "search":
            self.detail.look_for(text)
        else:
            super().prompted(use, text)
