"""A mode that is one table: filter, order, marks, and the detail beside it or in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from textual import events, on
from textual.containers import Container
from textual.timer import Timer
from textual.widget import Widget

from common.api import verbs
from common.api.agents import AgentView
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.lists import Snapshot
from common.api.requests import RequestFields
from common.catalogue import Sentence, translate
from common.errors import UserError
from common.filter.fields import ViewName
from common.text import clean
from tui.model import filter_text
from tui.model.actions import Kind
from tui.model.context import ConsoleContext
from tui.model.live_view import LiveView
from tui.model.saved_views import SavedView
from tui.model.window import Row, ViewQuery
from tui.screens.base import ConsoleScreen
from tui.text.format import format_number, join_nonempty, one_line, short_id
from tui.view.bars import BarSpan, justify
from tui.view.column import Column
from tui.view.columns import AGENTS, JOBS, REQUESTS, job_state
from tui.view.detail import describe_end, describe_pause
from tui.view.events import AUDIT
from tui.widgets.bars import Bar
from tui.widgets.detail import DetailPane
from tui.widgets.output import OutputPane
from tui.widgets.table import RowTable

TYPING_DEBOUNCE: Final = 0.3
MARK_ALL_LIMIT: Final = 500
"""The most rows that `*` marks."""


@dataclass(frozen=True, slots=True)
class ListSpec:
    """What makes one listing another."""

    mode: str
    view: ViewName
    kind: Kind
    columns: tuple[Column[Any], ...]
    filter: str = ""
    sort: str = ""
    follow: bool = False


LIST_SPECS: Final = {
    spec.mode: spec
    for spec in (
        ListSpec("jobs", "jobs", "job", JOBS, follow=True),
        ListSpec("approve", "requests", "request", REQUESTS, filter="state:asking", sort="decide_by"),
        ListSpec("agents", "agents", "agent", AGENTS, sort="name"),
        ListSpec("audit", "audit", "event", AUDIT, follow=True),
    )
}


class ListScreen(ConsoleScreen):
    def __init__(self, console: ConsoleContext, mode: str) -> None:
        super().__init__(console, mode)
        self.spec = LIST_SPECS[mode]
        query = ViewQuery(self.spec.view, self.spec.filter, self.spec.sort)
        self.live_view = LiveView(console.source, query, self.spec.mode)
        self._filter_before = ""
        self._typing_timer: Timer | None = None
        self._pending_select = ""
        self.handlers |= {
            "filter": self.open_filter,
            "problems": self.toggle_problems,
            "sort": self.next_sort,
            "sort_turn": self.reverse_sort,
            "follow": self.toggle_follow,
            "zoom": self.toggle_zoom,
            "tab_before": lambda: self.detail.next_tab(-1),
            "tab_after": lambda: self.detail.next_tab(1),
            "output": self.focus_output,
            "mark_all": self.mark_all,
        }

    def body(self) -> Iterable[Widget]:
        yield Bar(self._head, id="list-head")
        with Container(id="pair"):
            yield RowTable(
                self.spec.kind,
                self.spec.columns,
                self.console.render_context,
                window=self.live_view.window,
                empty=self._empty,
                follow=self.spec.follow,
                id="list",
            )
            yield DetailPane(self.console, id="detail")

    def table(self) -> RowTable:
        return self.query_one("#list", RowTable)

    @property
    def detail(self) -> DetailPane:
        return self.query_one(DetailPane)

    # ---- life

    def on_mount(self) -> None:
        super().on_mount()
        self.table().sort = self.spec.sort
        self.table().focus()
        self.run_worker(self.live_view.run(), group="live")

    def start(self) -> None:
        self.live_view.start()
        self.flush()

    def stop(self) -> None:
        self.live_view.stop()

    def link_restored(self) -> None:
        self.live_view.start()
        self.detail.reload()

    def reload(self) -> None:
        if self.live_view.stale:
            self.live_view.start()

    def flush(self) -> None:
        table, window = self.table(), self.live_view.window
        table.update_freeze(behind_dialog=self.app.screen is not self)
        self.set_stale(not self.console.link.live or self.live_view.stale, table)
        self.refresh_table(table)
        self._apply_select()
        super().flush()
        if self.detail.display:
            row = window.row(self.detail.shown_id)
            if row is not None:
                self.detail.refresh_row(row)
            self.set_stale(not self.console.link.live, self.detail.text, self.detail.output)
            self.detail.flush()

    # ---- lines

    def _head(self, cells: int) -> list[BarSpan]:
        language, window = self.console.language, self.live_view.window
        name = translate(language, f"console_tab_{self.mode}")
        if not window.loaded:
            waits = self.console.link.live and self.live_view.problem is None
            count = translate(language, "console_loading") if waits else ""
        elif window.total == window.unfiltered_total:
            count = format_number(window.total)
        else:
            count = translate(
                language, "console_n_of_m", n=format_number(window.total), all=format_number(window.unfiltered_total)
            )
        spans = [BarSpan(f" {name}  ", "head"), BarSpan(f"{count}  ")]
        if self.live_view.filter_input:
            spans.append(BarSpan(translate(language, "console_filter_is") + " ", "dim", "filter"))
            problem = self.live_view.problem
            spans += [
                BarSpan(one_line(part.text), "bad" if part.wrong else "key", "filter")
                for part in filter_text.split_parts(self.live_view.filter_input, problem)
            ]
            spans.append(BarSpan("  "))
        if self.live_view.problem is not None:
            spans.append(BarSpan(self.live_view.problem.text + "  ", "bad"))
        return justify(spans, self._head_right(), cells, self.console.render_context().ellipsis)

    def _head_right(self) -> list[BarSpan]:
        language, table, window = self.console.language, self.table(), self.live_view.window
        right = []
        if table.marks:
            right.append(
                BarSpan(
                    translate(language, "console_marked", count=format_number(len(table.marks))) + "  ",
                    "warn",
                    "mark_none",
                )
            )
        if window.total > table.page_height:
            lo, hi = table.visible_range()
            right.append(
                BarSpan(
                    translate(language, "console_rows_shown", first=format_number(lo + 1), last=format_number(hi))
                    + " ",
                    "dim",
                )
            )
        if table.can_follow and table.following:
            right.append(BarSpan(translate(language, "console_following") + " ", "dim", "follow"))
        return right

    def _empty(self) -> Sequence[str]:
        language = self.console.language
        if not self.console.link.live and not self.live_view.window.loaded:
            return [translate(language, "console_empty_no_link")]
        if not self.live_view.window.loaded and self.live_view.problem is not None:
            return [self.live_view.problem.text, translate(language, "console_empty_again")]
        if not self.live_view.window.loaded:
            return [translate(language, "console_loading")]
        if self.live_view.query.filter != self.spec.filter:
            return [
                translate(language, "console_empty_filter", all=format_number(self.live_view.window.unfiltered_total))
            ]
        return [
            translate(language, f"console_empty_{self.mode}"),
            translate(language, f"console_empty_{self.mode}_next"),
        ]

    def describe_subject(self) -> str:
        row = self.table().row
        if row is None:
            return ""
        look = self.console.render_context()
        match row:
            case JobView():
                words = (one_line(row.agent, 64), job_state(row, look).text, describe_end(row, look))
                return join_nonempty((short_id(row.id), *words))
            case RequestFields():
                return f"r{row.number}  {one_line(row.text, 300)}"
            case AgentView() if row.is_paused:
                return describe_pause(row, look, 200)
            case _:
                return ""

    # ---- moving

    def cursor_moved(self, table: RowTable) -> None:
        if self.detail.display:
            self.detail.show_row(table.kind, table.row)

    def size_changed(self) -> None:
        if self.is_mounted:
            self.detail.display = self.split
            if self.split:
                self.detail.show_row(self.spec.kind, self.table().row)

    @on(RowTable.RowsNeeded)
    def _rows_needed(self, event: RowTable.RowsNeeded) -> None:
        event.stop()
        self.live_view.request_rows(*event.table.visible_range())

    @on(RowTable.RowOpened)
    def _opened(self, event: RowTable.RowOpened) -> None:
        event.stop()
        self.open_detail("")

    def open_detail(self, tab: str) -> None:
        table = self.table()
        if table.row is None:
            return
        if self.split:
            self.detail.show_row(table.kind, table.row, tab=tab, immediate=True)
            (self.detail.output if self.detail.output.display else self.detail.text).focus()
        else:
            self.post_message(self.FullViewRequested(table.kind, table.row, tab))

    class FullViewRequested(events.Event, bubble=True):
        """The detail of a row is to have the whole screen."""

        def __init__(self, kind: Kind, row: Row, tab: str) -> None:
            super().__init__()
            self.kind = kind
            self.row = row
            self.tab = tab

    def focus_output(self) -> None:
        self.open_detail("output")

    def select_tab(self, tab: str) -> bool:
        return self.detail.show_tab(tab)

    def select_row(self, identity: str) -> None:
        """Puts the cursor on a row by its id as soon as it is there."""
        self._pending_select = identity
        self._apply_select()

    def _apply_select(self) -> None:
        if self._pending_select and self.table().move_to_id(self._pending_select):
            self.table().following = False
            self._pending_select = ""

    def toggle_follow(self) -> None:
        if self.detail.display and self.detail.output.has_focus:
            self.detail.follow()
        else:
            self.table().follow(not self.table().following)

    def toggle_zoom(self) -> None:
        if self.split:
            self.toggle_class("-zoom")
        else:
            self.open_detail("")

    def go_back(self) -> None:
        """One step: from the detail to the table, then marks, then the filter."""
        table = self.table()
        if self.has_class("-zoom"):
            self.remove_class("-zoom")
        elif not table.has_focus:
            table.focus()
        elif table.clear_marks():
            return
        elif self.live_view.filter_input != self.spec.filter:
            self.set_filter(self.spec.filter)

    # ---- filter and order

    def set_filter(self, text: str) -> None:
        """Asks for another list; one that cannot be read is told at once, and the last good list stays."""
        text = text.strip()
        problem = filter_text.check_filter(self.spec.view, text, self.console.language)
        if problem is not None:
            self.live_view.reject_filter(text, problem)
            return
        self.live_view.update_query(filter=text, lo=0)
        self.table().top = 0
        self.table().window.release()

    def open_filter(self) -> None:
        self._filter_before = self.live_view.query.filter
        known = sorted({one_line(agent_of(row), 64) for row in self._visible_rows()} - {""})
        hint = translate(self.console.language, "console_filter_hint")
        self.prompt.show_prompt(
            "filter",
            self._filter_before,
            hint,
            lambda text: filter_text.complete_view_filter(self.spec.view, text, known),
        )

    def _visible_rows(self) -> list[Row]:
        lo, hi = self.table().visible_range()
        return [row for index in range(lo, hi) if (row := self.live_view.window.row_at(index)) is not None]

    def known_agents(self) -> list[str]:
        return [row.name for row in self._visible_rows() if isinstance(row, AgentView)]

    def prompt_edited(self, use: str, text: str) -> None:
        if use != "filter":
            return
        if self._typing_timer is not None:
            self._typing_timer.stop()
        self._typing_timer = self.set_timer(TYPING_DEBOUNCE, lambda: self.set_filter(text))

    def prompt_finished(self, use: str, text: str | None) -> None:
        if use == "filter":
            if self._typing_timer is not None:
                self._typing_timer.stop()
            self.set_filter(self._filter_before if text is None else text)
        elif use == "search":
            self.detail.search_output(text)
        else:
            super().prompt_finished(use, text)

    @on(OutputPane.SearchRequested)
    def _search(self, event: OutputPane.SearchRequested) -> None:
        event.stop()
        self.prompt.show_prompt("search", "", translate(self.console.language, "console_search_hint"), None)

    def toggle_problems(self) -> None:
        wanted = filter_text.PROBLEM_FILTERS.get(self.mode, "")
        self.set_filter(self.spec.filter if self.live_view.query.filter == wanted else wanted)

    def next_sort(self) -> None:
        keys = ["", *(column.sort_key for column in self.spec.columns if column.sort_key)]
        here = self.table().sort.lstrip("-")
        self.sort_by(keys[(keys.index(here) + 1) % len(keys)] if here in keys else "")

    def reverse_sort(self) -> None:
        sort = self.table().sort
        if sort:
            self.sort_by(sort[1:] if sort.startswith("-") else f"-{sort}")

    @on(RowTable.HeaderClicked)
    def _header_clicked(self, event: RowTable.HeaderClicked) -> None:
        event.stop()
        sort = event.column.sort_key
        self.sort_by(f"-{sort}" if self.table().sort == sort else sort)

    def sort_by(self, sort: str) -> None:
        table = self.table()
        table.sort = sort
        table.can_follow = self.spec.follow and not sort
        table.following = table.following and table.can_follow
        self.live_view.update_query(sort=sort, lo=0)
        table.redraw_labels()
        title = next(
            (
                column.title(self.console.language)
                for column in self.spec.columns
                if column.sort_key == sort.lstrip("-")
            ),
            "-",
        )
        self.console.notify(Sentence("console_sorted", {"column": f"{title}{'-' if sort.startswith('-') else ''}"}))

    def as_saved_view(self, name: str) -> SavedView:
        """What this list shows, to be saved under a name."""
        return SavedView(name, self.spec.view, self.live_view.query.filter, self.live_view.query.sort)

    # ---- all that match

    def mark_all(self) -> None:
        self.run_worker(self._mark_all(), exclusive=True, group="mark")

    async def _mark_all(self) -> None:
        """Marks what the filter matches at the hub, not only what is on the screen; says where that is not all."""
        args = replace(self.live_view.query, lo=0, n=MARK_ALL_LIMIT).args()
        try:
            async with aclosing(cast(Any, self.console.source.subscribe(verbs.VIEW, "mark", args))) as pushes:
                async for push in pushes:
                    if isinstance(push, Snapshot):
                        self._mark_found(push)
                    break
            await self.console.source.unsubscribe("mark")
        except UserError as error:
            self.console.notify(clean(str(error), limit=300), "bad")

    def _mark_found(self, found: Snapshot[Row]) -> None:
        rows = found.rows[:MARK_ALL_LIMIT]
        self.table().mark_rows(rows)
        key = "console_marked_all" if len(rows) >= found.total else "console_marked_first"
        values = {"count": format_number(len(rows)), "total": format_number(found.total)}
        self.console.notify(Sentence(key, values))


def agent_of(row: Row) -> str:
    """The machine that a row is, or is about; "" where it is about none."""
    if isinstance(row, AgentView):
        return row.name
    return (row.agent or "") if isinstance(row, JobView | EventView) else ""
