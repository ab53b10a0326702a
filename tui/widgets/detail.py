"""One thing in full, in tabs: what it is, its output, its plan, when what happened, its audit, the record itself.

It shows a frozen id; the row is brought up to date by whoever owns the table, what the table does not have is asked
of the hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from common.catalogue import Sentence, say
from common.errors import UserError
from common.text import clean
from tui import detail_text as told
from tui.answers import ask
from tui.client import LinkLost
from tui.commands import Kind, holds
from tui.console import Console
from tui.folded import fold, folded_lines, outputs_of
from tui.format import Line, command, one_line, short_id
from tui.headline import Span
from tui.model import Row
from tui.nodes import node_lines
from tui.older import Older
from tui.rows import job_state, number_or_none, title_of
from tui.widgets.bars import Bar
from tui.widgets.output import OutputPane
from tui.widgets.text import TextPane
from tui.workers import Tended

TABS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "job": ("output", "facts", "timeline", "audit", "raw"),
    "request": ("facts", "outputs", "timeline", "audit", "raw"),
    "agent": ("facts", "jobs", "audit", "raw"),
    "event": ("facts", "raw"),
    "lane": ("facts",),
    "model": ("facts", "raw"),
}
SETTLE: Final = 0.12
"""Seconds that the cursor must rest on a row before its detail is asked for."""
AUDIT_ROWS: Final = 200
SOME: Final = 30
AGAIN: Final = 2.0
"""Seconds between two looks at what a request's machines have printed."""


class Detail(Tended, Vertical):
    def __init__(self, console: Console, *, id: str) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id)
        self.console = console
        # Held, not looked up: what is asked of the hub may come when the screen is no more.
        self.output = OutputPane(console.look, id="detail-output")
        self.text = TextPane(console.look, id="detail-text")
        self.kind: Kind = ""
        self.row: dict[str, Any] = {}
        self.tab = "facts"
        self.whole: dict[str, Any] = {}  # of an event, what its row in the list had no room for
        self._short = ""  # why only what the list knows is here
        self._more: dict[str, list[Line]] = {}  # tabs that were asked of the hub
        self._asked: set[str] = set()

    def compose(self) -> ComposeResult:
        yield Bar(self._head, id="detail-head")
        yield Bar(self._tabs, id="detail-tabs")
        yield self.output
        yield self.text

    @property
    def shown_id(self) -> str:
        return str(self.row.get("id", ""))

    # ---- what is shown

    def show(self, kind: Kind, row: Row | None, *, tab: str = "", at_once: bool = False) -> None:
        """Shows a row's thing; the same one again keeps its tab and place."""
        if row is None or not kind:
            self.kind, self.row = "", {}
            self._more.clear()
            self._asked.clear()
            self._arrange()
            return
        if kind == self.kind and row["id"] == self.shown_id:
            self.refresh_row(row)
            if tab:
                self.go_tab(tab)
            return
        kept = self.tab if kind == self.kind and self.tab in TABS[kind] else TABS[kind][0]
        self.kind, self.row, self.tab = kind, dict(row), tab or kept
        self._more.clear()
        self._asked.clear()
        self.whole, self._short = {}, ""
        self.output.start(say(self.console.language, "console_output_none"))
        self.older = Older(self.console.source, self.output, self.shown_id, self.console.tell)
        self._arrange()
        self.run_worker(self._load(0.0 if at_once else SETTLE), exclusive=True, group="detail")

    def refresh_row(self, row: Row) -> None:
        """What the table says now of the thing shown."""
        if row["id"] == self.shown_id:
            self.row.update(row)

    def go_tab(self, tab: str) -> bool:
        """Shows another tab; whether there is one of that name."""
        known = tab in TABS.get(self.kind, ())
        if known:
            self.tab = tab
            self._arrange()
            self._ask_tab()
        return known

    def next_tab(self, step: int) -> None:
        tabs = TABS.get(self.kind, ())
        if tabs:
            self.go_tab(tabs[(tabs.index(self.tab) + step) % len(tabs)])

    def look_for(self, text: str | None) -> None:
        """Goes to what was typed to look for; to the next of what was looked for last where nothing was."""
        if text and not self.output.search(text):
            self.console.tell(Sentence("console_not_found", {"text": one_line(text, 80)}), "warn")
        elif text == "":
            self.output.action_next(1)
        self.output.focus()

    def follow(self) -> None:
        self.output.follow(not self.output.following)

    def _arrange(self) -> None:
        is_output = self.tab == "output" and self.kind == "job"
        had_focus = self.output.has_focus or self.text.has_focus
        self.output.display, self.text.display = is_output, not is_output
        if had_focus:
            (self.output if is_output else self.text).focus()
        self.flush()

    def flush(self) -> None:
        for bar in self.query(Bar):
            bar.flush()
        if self.output.display:
            self.output.flush()
        else:
            self.text.set_lines(self._lines(), keep_place=True)

    def has_failed(self, error: Exception) -> None:
        """Told, and the place of what could not be had says so instead of waiting for ever."""
        words = self.console.fault(Sentence("console_detail_of", {"what": title_of(self.kind, self.row)}), error)
        for tab in self._asked - self._more.keys():
            self._more[tab] = [Line(words, "bad")]
        self.output.note(words)

    # ---- lines

    def _head(self, cells: int) -> list[Span]:
        look, row = self.console.look(), self.row
        if self.kind == "job":
            state = job_state(row, look)
            words = told.end_words(row, look)
            return [
                Span(f" {short_id(row['id'])} {one_line(row.get('agent', '?'), 64)} ", "head"),
                Span(f" {state.text} ", state.tone),
                Span(f" {words}  {command(row.get('argv'))}" if words else f" {command(row.get('argv'))}"),
            ]
        if self.kind == "request":
            return [
                Span(f" r{one_line(row.get('number', '?'), 12)} ", "head"),
                Span(" " + one_line(row.get("text") or "", 300)),
            ]
        if self.kind in ("agent", "model"):
            return [Span(f" {one_line(row.get('name', '?'), 64)} ", "head")]
        if self.kind == "event":
            return [Span(f" {one_line(row.get('kind', '?'), 64)} ", "head")]
        return [Span("")]

    def _tabs(self, cells: int) -> list[Span]:
        look, spans = self.console.look(), [Span(" ")]
        for tab in TABS.get(self.kind, ()):
            title = say(look.language, f"console_detail_{tab}")
            here = tab == self.tab
            spans += [Span(f"[{title}]" if here else f" {title} ", "key" if here else "dim", f"tab_{tab}"), Span(" ")]
        if self.kind == "job" and self.tab == "output":
            spans.append(Span("  " + self.output.summary(look), "dim"))
        return spans

    def _lines(self) -> list[Line]:
        look = self.console.look()
        if not self.kind:
            return [Line(say(look.language, "console_detail_none"), "dim")]
        partly = [Line(say(look.language, "console_detail_partial", why=self._short), "warn")] if self._short else []
        if self.tab == "raw":
            record = {**self.row, **self.whole}
            return partly + told.raw_lines({key: value for key, value in record.items() if key != "output"})
        makers: dict[tuple[str, str], Callable[[], list[Line]]] = {
            ("job", "facts"): lambda: told.job_lines(self.row, look),
            ("job", "timeline"): lambda: told.job_timeline(self.row, look),
            ("request", "facts"): lambda: told.request_lines(self.row, look),
            ("request", "timeline"): lambda: told.request_timeline(self.row, look),
            ("agent", "facts"): lambda: told.agent_lines(self.row, look),
            ("model", "facts"): lambda: node_lines(self.row, look),
            ("event", "facts"): lambda: told.event_lines({**self.row, **self.whole}, look),
        }
        make = makers.get((self.kind, self.tab))
        if make is not None:
            return partly + (make() or [Line(say(look.language, "console_detail_empty"), "dim")])
        return self._more.get(self.tab, [Line(say(look.language, "console_loading"), "dim")])

    # ---- asking the hub

    def reload(self) -> None:
        """The link is back: what could not be had is asked for again."""
        if self.kind and self._short:
            self.run_worker(self._load(0.0), exclusive=True, group="detail")

    async def _load(self, settle: float) -> None:
        await asyncio.sleep(settle)
        verb = {"job": "job", "request": "request"}.get(self.kind)
        if self.kind == "event":
            await self._whole_event()
        if verb is not None:
            answer = await ask(self.console.source.call, verb, id=self.shown_id)
            if answer.next == "done" and isinstance(answer.data, dict) and answer.data.get("id") == self.shown_id:
                self.row = {**self.row, **answer.data}
                self.row.pop("output", None)
                self._short = ""
            else:
                self._short = answer.text or "-"
                if self.kind == "job":
                    self.output.note(answer.text)
        self._ask_tab()
        self.flush()
        if self.kind == "job":
            await self._follow_output()

    async def _whole_event(self) -> None:
        """A list's row has little of what an event says; whoever may read the audit sees all of it."""
        seq, who = self.row.get("seq"), self.console.source.who
        if not isinstance(seq, int) or (who is not None and not holds(who.roles, "approver")):
            return
        answer = await ask(self.console.source.call, "audit", after=seq - 1, limit=1)
        if answer.next == "done" and isinstance(answer.data, list):
            for event in answer.data:
                if isinstance(event, dict) and event.get("seq") == seq == self.row.get("seq"):
                    self.whole = event

    @on(OutputPane.MoreWanted)
    def _more_wanted(self, event: OutputPane.MoreWanted) -> None:
        event.stop()
        self.run_worker(self.older.more(event.step), exclusive=True, group="older")

    @on(OutputPane.FindWanted)
    def _find_wanted(self, event: OutputPane.FindWanted) -> None:
        event.stop()
        self.run_worker(self.older.find(event.pane.wanted, event.step), exclusive=True, group="older")

    async def _follow_output(self) -> None:
        """The output from the first byte kept, until it ends or another thing is shown."""
        while True:
            try:
                pushes = self.console.source.subscribe(
                    "output", "output", job=self.shown_id, after=self.output.newest.seq
                )
                async with aclosing(cast(Any, pushes)) as stream:
                    async for push in stream:
                        self.output.newest.feed(push.get("chunks", ()))
                        if push.get("ended"):
                            self.output.ended = True
                            self.output.note(say(self.console.language, "console_output_empty"))
                            return
            except LinkLost:
                await asyncio.sleep(0.5)
            except UserError as error:
                self.output.note(clean(str(error), limit=300))
                return

    def _ask_tab(self) -> None:
        if self.tab in ("audit", "jobs", "outputs") and self.tab not in self._asked:
            self._asked.add(self.tab)
            work = self._fetch_outputs() if self.tab == "outputs" else self._fetch(self.tab)
            self.run_worker(work, group=f"tab-{self.tab}", exclusive=True)

    async def _fetch(self, tab: str) -> None:
        look, who = self.console.look(), self.console.source.who
        if tab == "audit" and who is not None and not holds(who.roles, "approver"):
            self._more[tab] = [Line(say(look.language, "console_off_role", role="approver"), "warn")]
            return
        subject = str(self.row.get("name") if self.kind == "agent" else self.shown_id)
        call = self.console.source.call
        if tab == "audit":
            answer = await ask(call, "audit", subject=subject, limit=AUDIT_ROWS)
        else:
            answer = await ask(call, "jobs", agent=subject, limit=SOME)
        look = self.console.look()
        if answer.next != "done" or not isinstance(answer.data, list):
            self._more[tab] = [Line(answer.text, "bad")]
        elif tab == "audit":
            self._more[tab] = [told.event_line(event, look) for event in answer.data]
        else:
            self._more[tab] = [_job_line(job, look) for job in answer.data]
        if not self._more[tab]:
            self._more[tab] = [Line(say(look.language, "console_detail_empty"), "dim")]
        self.flush()

    async def _fetch_outputs(self) -> None:
        """What a request's machines printed, those alike told once; asked for again while some have not ended."""
        identity = self.shown_id
        while self.shown_id == identity:
            answer = await ask(self.console.source.call, "request", id=identity)
            if answer.next != "done" or not isinstance(answer.data, dict):
                self._more["outputs"] = [Line(answer.text, "bad")]
                return
            jobs = [job for job in answer.data.get("jobs") or () if isinstance(job, Mapping)]
            groups = fold(jobs)
            outputs = await outputs_of(self.console.source, groups)
            missing = int(number_or_none(answer.data.get("job_count")) or 0) - len(jobs)
            lines = folded_lines(groups, outputs, self.console.look(), missing)
            self._more["outputs"] = lines or [Line(say(self.console.language, "console_detail_empty"), "dim")]
            self.flush()
            if self.tab != "outputs" or all(group.ended for group in groups):
                self._asked.discard("outputs")  # the next look asks anew
                return
            await asyncio.sleep(AGAIN)


def _job_line(job: Row, look: Any) -> Line:
    state = job_state(job, look)
    return Line(f"{short_id(job['id'])}  {state.text}  {command(job.get('argv'))}", state.tone)
