"""A mode that is one table: filter, order, marks, and the detail beside it or in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

from textual import events, on
from textual.timer import Timer
from textual.widget import Widget

from common.catalogue import Sentence, say
from common.errors import UserError
from common.text import clean
from tui import filter_text
from tui.commands import Kind
from tui.console import Console
from tui.detail_text import end_words
from tui.format import age, joined, number, one_line, short_id
from tui.headline import Span, pad
from tui.live import Live
from tui.model import Query, Row
from tui.rows import AGENTS, AUDIT, JOBS, REQUESTS, job_state
from tui.saved import View
from tui.screens.base import ConsoleScreen
from tui.widgets.bars import Bar
from tui.widgets.columns import Column
from tui.widgets.detail import Detail
from tui.widgets.output import OutputPane
from tui.widgets.table import Table

TYPING: Final = 0.3
ALL: Final = 500
"""The most rows that `*` marks."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What makes one listing another."""

    mode: str
    view: str
    kind: Kind
    columns: tuple[Column, ...]
    filter: str = ""
    sort: str = ""
    follow: bool = False


SPECS: Final = {
    spec.mode: spec
    for spec in (
        Spec("jobs", "jobs", "job", JOBS, follow=True),
        Spec("approve", "requests", "request", REQUESTS, filter="state:asking", sort="decide_by"),
        Spec("agents", "agents", "agent", AGENTS, sort="name"),
        Spec("audit", "audit", "event", AUDIT, follow=True),
    )
}


class ListScreen(ConsoleScreen):
    def __init__(self, console: Console, mode: str) -> None:
        super().__init__(console, mode)
        self.spec = SPECS[mode]
        query = Query(self.spec.view, self.spec.filter, self.spec.sort)
        self.live = Live(console.source, query, self.spec.mode)
        self._before_typing = ""
        self._typing_timer: Timer | None = None
        self._select = ""
        self.handlers |= {
            "filter": self.open_filter,
            "problems": self.problems,
            "sort": self.next_sort,
            "sort_turn": self.turn_sort,
            "follow": self.follow,
            "zoom": self.zoom,
            "tab_before": lambda: self.detail.next_tab(-1),
            "tab_after": lambda: self.detail.next_tab(1),
            "output": self.to_output,
            "mark_all": self.mark_all,
        }

    def body(self) -> Iterable[Widget]:
        yield Bar(self._head, id="list-head")
        yield Table(
            self.spec.kind,
            self.spec.columns,
            self.console.look,
            window=self.live.window,
            empty=self._empty,
            follow=self.spec.follow,
            id="list",
        )
        yield Detail(self.console, id="detail")

    def table(self) -> Table:
        return self.query_one("#list", Table)

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

    # ---- life

    def on_mount(self) -> None:
        super().on_mount()
        self.table().sort = self.spec.sort
        self.table().focus()
        self.run_worker(self.live.run(), group="live")

    def start(self) -> None:
        self.live.start()
        self.flush()

    def stop(self) -> None:
        self.live.stop()

    def linked(self) -> None:
        self.live.start()
        self.detail.reload()

    def ask_again(self) -> None:
        if self.live.broken:
            self.live.start()

    def flush(self) -> None:
        table, window = self.table(), self.live.window
        table.tend(apart=self.app.screen is not self)
        self.grey(not self.console.link.live or self.live.broken, table)
        self.bring_up(table)
        self._select_wanted()
        super().flush()
        if self.detail.display:
            row = window.row(self.detail.shown_id)
            if row is not None:
                self.detail.refresh_row(row)
            self.grey(not self.console.link.live, self.detail.text, self.detail.output)
            self.detail.flush()

    # ---- lines

    def _head(self, cells: int) -> list[Span]:
        language, window = self.console.language, self.live.window
        name = say(language, f"console_tab_{self.mode}")
        if not window.loaded:
            waits = self.console.link.live and self.live.problem is None
            count = say(language, "console_loading") if waits else ""
        elif window.total == window.all:
            count = number(window.total)
        else:
            count = say(language, "console_n_of_m", n=number(window.total), all=number(window.all))
        spans = [Span(f" {name}  ", "head"), Span(f"{count}  ")]
        if self.live.typed:
            spans.append(Span(say(language, "console_filter_is") + " ", "dim", "filter"))
            problem = self.live.problem
            spans += [
                Span(one_line(part.text), "bad" if part.wrong else "key", "filter")
                for part in filter_text.parts(self.live.typed, problem)
            ]
            spans.append(Span("  "))
        if self.live.problem is not None:
            spans.append(Span(self.live.problem.text + "  ", "bad"))
        return pad(spans, self._head_right(), cells, self.console.look().cut)

    def _head_right(self) -> list[Span]:
        language, table, window = self.console.language, self.table(), self.live.window
        right = []
        if table.marks:
            right.append(
                Span(say(language, "console_marked", count=number(len(table.marks))) + "  ", "warn", "mark_none")
            )
        if window.total > table.page:
            lo, hi = table.span()
            right.append(Span(say(language, "console_rows_shown", first=number(lo + 1), last=number(hi)) + " ", "dim"))
        if table.can_follow and table.following:
            right.append(Span(say(language, "console_following") + " ", "dim", "follow"))
        return right

    def _empty(self) -> Sequence[str]:
        language = self.console.language
        if not self.console.link.live and not self.live.window.loaded:
            return [say(language, "console_empty_no_link")]
        if not self.live.window.loaded and self.live.problem is not None:
            return [self.live.problem.text, say(language, "console_empty_again")]
        if not self.live.window.loaded:
            return [say(language, "console_loading")]
        if self.live.query.filter != self.spec.filter:
            return [say(language, "console_empty_filter", all=number(self.live.window.all))]
        return [say(language, f"console_empty_{self.mode}"), say(language, f"console_empty_{self.mode}_next")]

    def about(self) -> str:
        row = self.table().row
        if row is None:
            return ""
        look = self.console.look()
        if self.spec.kind == "job":
            words = (one_line(row.get("agent", "?"), 64), job_state(row, look).text, end_words(row, look))
            return joined((short_id(row["id"]), *words))
        if self.spec.kind == "request":
            return f"r{one_line(row.get('number', '?'), 12)}  {one_line(row.get('text') or '', 300)}"
        if self.spec.kind == "agent" and row.get("paused_by"):
            since = age(look.now - float(row.get("paused_at") or look.now))
            values = {
                "person": one_line(row["paused_by"], 64),
                "age": since,
                "why": one_line(row.get("pause_reason") or "-", 200),
            }
            return say(look.language, "console_paused_by", **values)
        return ""

    # ---- moving

    def moved(self, table: Table) -> None:
        if self.detail.display:
            self.detail.show(table.kind, table.row)

    def fitted(self) -> None:
        if self.is_mounted:
            self.detail.display = self.split
            if self.split:
                self.detail.show(self.spec.kind, self.table().row)

    @on(Table.Wants)
    def _wants(self, event: Table.Wants) -> None:
        event.stop()
        self.live.want(*event.table.span())

    @on(Table.Opened)
    def _opened(self, event: Table.Opened) -> None:
        event.stop()
        self.open_detail("")

    def open_detail(self, tab: str) -> None:
        table = self.table()
        if table.row is None:
            return
        if self.split:
            self.detail.show(table.kind, table.row, tab=tab, at_once=True)
            (self.detail.output if self.detail.output.display else self.detail.text).focus()
        else:
            self.post_message(self.FullWanted(table.kind, dict(table.row), tab))

    class FullWanted(events.Event, bubble=True):
        """The detail of a row is to have the whole screen."""

        def __init__(self, kind: Kind, row: Row, tab: str) -> None:
            super().__init__()
            self.kind = kind
            self.row = row
            self.tab = tab

    def to_output(self) -> None:
        self.open_detail("output")

    def tab_clicked(self, tab: str) -> bool:
        return self.detail.go_tab(tab)

    def select(self, identity: str) -> None:
        """Puts the cursor on a row by its id as soon as it is there."""
        self._select = identity
        self._select_wanted()

    def _select_wanted(self) -> None:
        if self._select and self.table().go_to_id(self._select):
            self.table().following = False
            self._select = ""

    def follow(self) -> None:
        if self.detail.display and self.detail.output.has_focus:
            self.detail.follow()
        else:
            self.table().follow(not self.table().following)

    def zoom(self) -> None:
        if self.split:
            self.toggle_class("-zoom")
        else:
            self.open_detail("")

    def back(self) -> None:
        """One step: from the detail to the table, then marks, then the filter."""
        table = self.table()
        if self.has_class("-zoom"):
            self.remove_class("-zoom")
        elif not table.has_focus:
            table.focus()
        elif table.unmark():
            return
        elif self.live.typed != self.spec.filter:
            self.set_filter(self.spec.filter)

    # ---- filter and order

    def set_filter(self, text: str) -> None:
        """Asks for another list; one that cannot be read is told at once, and the last good list stays."""
        text = text.strip()
        problem = filter_text.check(self.spec.view, text, self.console.language)
        if problem is not None:
            self.live.refuse(text, problem)
            return
        self.live.ask(filter=text, lo=0)
        self.table().top = 0
        self.table().window.release()

    def open_filter(self) -> None:
        self._before_typing = self.live.query.filter
        known = sorted({one_line(row.get("agent") or row.get("name") or "", 64) for row in self._rows_shown()} - {""})
        hint = say(self.console.language, "console_filter_hint")
        self.prompt.open(
            "filter", self._before_typing, hint, lambda text: filter_text.complete(self.spec.view, text, known)
        )

    def _rows_shown(self) -> list[Row]:
        lo, hi = self.table().span()
        return [row for index in range(lo, hi) if (row := self.live.window.row_at(index)) is not None]

    def known_agents(self) -> list[Row]:
        return self._rows_shown() if self.spec.kind == "agent" else []

    def typing(self, use: str, text: str) -> None:
        if use != "filter":
            return
        if self._typing_timer is not None:
            self._typing_timer.stop()
        self._typing_timer = self.set_timer(TYPING, lambda: self.set_filter(text))

    def prompted(self, use: str, text: str | None) -> None:
        if use == "filter":
            if self._typing_timer is not None:
                self._typing_timer.stop()
            self.set_filter(self._before_typing if text is None else text)
        elif use == "search":
            self.detail.look_for(text)
        else:
            super().prompted(use, text)

    @on(OutputPane.SearchWanted)
    def _search(self, event: OutputPane.SearchWanted) -> None:
        event.stop()
        self.prompt.open("search", "", say(self.console.language, "console_search_hint"), None)

    def problems(self) -> None:
        wanted = filter_text.PROBLEMS.get(self.mode, "")
        self.set_filter(self.spec.filter if self.live.query.filter == wanted else wanted)

    def next_sort(self) -> None:
        keys = ["", *(column.sort for column in self.spec.columns if column.sort)]
        here = self.table().sort.lstrip("-")
        self.sort_by(keys[(keys.index(here) + 1) % len(keys)] if here in keys else "")

    def turn_sort(self) -> None:
        sort = self.table().sort
        if sort:
            self.sort_by(sort[1:] if sort.startswith("-") else f"-{sort}")

    @on(Table.Titled)
    def _titled(self, event: Table.Titled) -> None:
        event.stop()
        sort = event.column.sort
        self.sort_by(f"-{sort}" if self.table().sort == sort else sort)

    def sort_by(self, sort: str) -> None:
        table = self.table()
        table.sort = sort
        table.can_follow = self.spec.follow and not sort
        table.following = table.following and table.can_follow
        self.live.ask(sort=sort, lo=0)
        table.relabel()
        title = next(
            (column.title(self.console.language) for column in self.spec.columns if column.sort == sort.lstrip("-")),
            "-",
        )
        self.console.tell(Sentence("console_sorted", {"column": f"{title}{'-' if sort.startswith('-') else ''}"}))

    def view_named(self, name: str) -> View:
        """What this list shows, to be saved under a name."""
        return View(name, self.spec.view, self.live.query.filter, self.live.query.sort)

    # ---- all that match

    def mark_all(self) -> None:
        self.run_worker(self._mark_all(), exclusive=True, group="mark")

    async def _mark_all(self) -> None:
        """Marks what the filter matches at the hub, not only what is on the screen; says where that is not all."""
        query = self.live.query
        args = {**query.args(), "lo": 0, "n": ALL}
        try:
            async with aclosing(cast(Any, self.console.source.subscribe("view", "mark", **args))) as pushes:
                async for push in pushes:
                    rows = list(push["rows"])[:ALL]
                    self.table().mark_rows(rows)
                    key = "console_marked_all" if len(rows) >= int(push["total"]) else "console_marked_first"
                    self.console.tell(Sentence(key, {"count": number(len(rows)), "total": number(push["total"])}))
                    break
            await self.console.source.unsubscribe("mark")
        except UserError as error:
            self.console.tell(clean(str(error), limit=300), "bad")
