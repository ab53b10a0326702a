"""One thing in full, in tabs: what it is, its output, its plan, when what happened, its audit, the record itself.

It shows a frozen id; the row is brought up to date by whoever owns the table, what the table does not have is asked
of the hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from common.api import verbs
from common.api.agents import AgentView, VitalsView
from common.api.arguments import RequestArgs
from common.api.events import EventView
from common.api.inlets import InletView
from common.api.jobs import JobView
from common.api.models import ModelNode
from common.api.queries import AuditArgs, JobArgs, JobsArgs, VitalsArgs
from common.api.requests import RequestDetails, RequestFields
from common.api.subscriptions import OutputArgs, OutputPush
from common.catalogue import Sentence, translate
from common.errors import UserError
from common.text import clean
from tui.client.errors import LinkLost
from tui.model.actions import Kind, has_role
from tui.model.answers import CallOutcome, call_hub
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.text.format import PaneLine, RenderContext, format_command, one_line, short_id
from tui.view import detail
from tui.view.bars import BarSpan
from tui.view.columns import job_state, row_title
from tui.view.inlets import inlet_lines
from tui.view.models import node_lines
from tui.view.output_groups import group_jobs, group_lines
from tui.widgets.bars import Bar
from tui.widgets.fetch_outputs import fetch_outputs
from tui.widgets.output import OutputPane
from tui.widgets.output_pages import OutputPager
from tui.widgets.text import TextPane
from tui.widgets.workers import FaultBarrier

TABS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "job": ("output", "facts", "timeline", "audit", "raw"),
    "request": ("facts", "outputs", "timeline", "audit", "raw"),
    "agent": ("facts", "jobs", "audit", "raw"),
    "event": ("facts", "raw"),
    "lane": ("facts",),
    "model": ("facts", "raw"),
    "inlet": ("facts", "raw"),
}
DEBOUNCE: Final = 0.12
"""Seconds that the cursor must rest on a row before its detail is asked for."""
AUDIT_ROWS: Final = 200
JOBS_SHOWN: Final = 30
VITALS_INTERVAL: Final = 10.0
"""Seconds after which a machine's last minutes are asked for again."""
OUTPUTS_INTERVAL: Final = 2.0
"""Seconds after which the outputs of a request's machines are asked for again."""


class DetailPane(FaultBarrier, Vertical):
    def __init__(self, console: ConsoleContext, *, id: str) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id)
        self.console = console
        # Held, not looked up: what is asked of the hub may come when the screen is no more.
        self.output = OutputPane(console.render_context, id="detail-output")
        self.text = TextPane(console.render_context, id="detail-text")
        self.kind: Kind = ""
        self.row: Row | None = None  # with what the hub was asked for beyond the list's row
        self.tab = "facts"
        self._list_row: Row | None = None  # as the table had it last
        self._partial_reason = ""  # why only what the list knows is here
        self._tab_lines: dict[str, list[PaneLine]] = {}  # tabs that were asked of the hub
        self._requested_tabs: set[str] = set()
        self._vitals: VitalsView | None = None  # of the machine shown

    def compose(self) -> ComposeResult:
        yield Bar(self._head, id="detail-head")
        yield Bar(self._tabs, id="detail-tabs")
        yield self.output
        yield self.text

    @property
    def shown_id(self) -> str:
        return self.row.id if self.row is not None else ""

    # ---- what is shown

    def show_row(self, kind: Kind, row: Row | None, *, tab: str = "", immediate: bool = False) -> None:
        """Shows a row's thing; the same one again keeps its tab and place."""
        if row is None or not kind:
            self.kind, self.row = "", None
            self._tab_lines.clear()
            self._requested_tabs.clear()
            self._show_pane()
            return
        if kind == self.kind and row.id == self.shown_id:
            self.refresh_row(row)
            if tab:
                self.show_tab(tab)
            return
        kept = self.tab if kind == self.kind and self.tab in TABS[kind] else TABS[kind][0]
        self.kind, self.row, self.tab, self._list_row = kind, row, tab or kept, row
        self._tab_lines.clear()
        self._requested_tabs.clear()
        self._partial_reason, self._vitals = "", None
        self.output.reset(translate(self.console.language, "console_output_none"))
        self.pager = OutputPager(self.console.source, self.output, self.shown_id, self.console.notify)
        self._show_pane()
        self.run_worker(self._load(0.0 if immediate else DEBOUNCE), exclusive=True, group="detail")

    def refresh_row(self, row: Row) -> None:
        """What the table says now of the thing shown; what is known beyond that stays."""
        if self.row is not None and row.id == self.row.id and row is not self._list_row:
            self._list_row = row
            self.row = merge_rows(self.row, row)

    def show_tab(self, tab: str) -> bool:
        """Shows another tab; whether there is one of that name."""
        known = tab in TABS.get(self.kind, ())
        if known:
            self.tab = tab
            self._show_pane()
            self._request_tab()
        return known

    def next_tab(self, step: int) -> None:
        tabs = TABS.get(self.kind, ())
        if tabs:
            self.show_tab(tabs[(tabs.index(self.tab) + step) % len(tabs)])

    def search_output(self, text: str | None) -> None:
        """Goes to what was typed to look for; to the next of what was looked for last where nothing was."""
        if text and not self.output.search(text):
            self.console.notify(Sentence("console_not_found", {"text": one_line(text, 80)}), "warn")
        elif text == "":
            self.output.action_next(1)
        self.output.focus()

    def follow(self) -> None:
        self.output.follow(not self.output.following)

    def _show_pane(self) -> None:
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

    def handle_fault(self, error: Exception) -> None:
        """Told, and the place of what could not be had says so instead of waiting for ever."""
        words = self.console.report_fault(
            Sentence("console_detail_of", {"what": row_title(self.row) if self.row is not None else "-"}), error
        )
        for tab in self._requested_tabs - self._tab_lines.keys():
            self._tab_lines[tab] = [PaneLine(words, "bad")]
        self.output.set_placeholder(words)

    # ---- lines

    def _head(self, cells: int) -> list[BarSpan]:
        look = self.console.render_context()
        match self.row:
            case JobView() as job:
                state, words = job_state(job, look), detail.describe_end(job, look)
                command = format_command(job.argv, job.filters)
                return [
                    BarSpan(f" {short_id(job.id)} {one_line(job.agent, 64)} ", "head"),
                    BarSpan(f" {state.text} ", state.tone),
                    BarSpan(f" {words}  {command}" if words else f" {command}"),
                ]
            case RequestFields() as request:
                return [BarSpan(f" r{request.number} ", "head"), BarSpan(" " + one_line(request.text, 300))]
            case AgentView() | ModelNode() | InletView() as named:
                return [BarSpan(f" {one_line(named.name, 64)} ", "head")]
            case EventView() as event:
                return [BarSpan(f" {one_line(event.kind, 64)} ", "head")]
            case _:
                return [BarSpan("")]

    def _tabs(self, cells: int) -> list[BarSpan]:
        look, spans = self.console.render_context(), [BarSpan(" ")]
        for tab in TABS.get(self.kind, ()):
            title = translate(look.language, f"console_detail_{tab}")
            here = tab == self.tab
            spans += [
                BarSpan(f"[{title}]" if here else f" {title} ", "key" if here else "dim", f"tab_{tab}"),
                BarSpan(" "),
            ]
        if self.kind == "job" and self.tab == "output":
            spans.append(BarSpan("  " + self.output.summary(look), "dim"))
        return spans

    def _lines(self) -> list[PaneLine]:
        look = self.console.render_context()
        if self.row is None:
            return [PaneLine(translate(look.language, "console_detail_none"), "dim")]
        partly = (
            [PaneLine(translate(look.language, "console_detail_partial", why=self._partial_reason), "warn")]
            if self._partial_reason
            else []
        )
        if isinstance(self.row, AgentView) and self.tab == "facts":
            return partly + detail.agent_lines(self.row, look, self._vitals, self.text.size.width - 4)
        lines = tab_lines(self.row, self.tab, look)
        if lines is not None:
            return partly + (lines or [PaneLine(translate(look.language, "console_detail_empty"), "dim")])
        return self._tab_lines.get(self.tab, [PaneLine(translate(look.language, "console_loading"), "dim")])

    # ---- asking the hub

    def reload(self) -> None:
        """The link is back: what could not be had is asked for again."""
        if self.kind and self._partial_reason:
            self.run_worker(self._load(0.0), exclusive=True, group="detail")

    async def _load(self, delay: float) -> None:
        await asyncio.sleep(delay)
        if self.kind == "event":
            await self._fetch_event()
        elif self.kind in ("job", "request"):
            await self._fetch_details()
        self._request_tab()
        self.flush()
        if self.kind == "job":
            await self._follow_output()
        while self.kind == "agent" and self.console.supports(verbs.VITALS.name):
            answer = await call_hub(self.console.source, verbs.VITALS, VitalsArgs(agent=self.shown_id))
            self._vitals = answer.result or self._vitals
            self.flush()
            await asyncio.sleep(VITALS_INTERVAL)

    async def _fetch_details(self) -> None:
        """A job or a request in full."""
        source, identity = self.console.source, self.shown_id
        answer: CallOutcome[Any]
        if self.kind == "job":
            answer = await call_hub(source, verbs.JOB, JobArgs(id=identity))
        else:
            answer = await call_hub(source, verbs.REQUEST, RequestArgs(id=identity))
        found = answer.result
        if found is not None and found.id == self.shown_id:
            self.row = self.row.with_details(found) if isinstance(self.row, JobView) else found
            self._partial_reason = ""
            return
        self._partial_reason = answer.text or "-"
        if self.kind == "job":
            self.output.set_placeholder(answer.text)

    async def _fetch_event(self) -> None:
        """A list's row has little of what an event says; whoever may read the audit sees all of it."""
        event, who = self.row, self.console.source.who
        if not isinstance(event, EventView) or (who is not None and not has_role(who.roles, "approver")):
            return
        answer = await call_hub(self.console.source, verbs.AUDIT, AuditArgs(after=event.seq - 1, limit=1))
        for found in answer.result or ():
            if isinstance(self.row, EventView) and found.seq == event.seq == self.row.seq:
                self.row = self.row.with_details(found)

    @on(OutputPane.PageRequested)
    def _page_requested(self, event: OutputPane.PageRequested) -> None:
        event.stop()
        self.run_worker(self.pager.load_page(event.step), exclusive=True, group="older")

    @on(OutputPane.StoredSearchRequested)
    def _stored_search_requested(self, event: OutputPane.StoredSearchRequested) -> None:
        event.stop()
        self.run_worker(self.pager.find(event.pane.search_text, event.step), exclusive=True, group="older")

    async def _follow_output(self) -> None:
        """The output from the first byte kept, until it ends or another thing is shown."""
        while True:
            try:
                args = OutputArgs(job=self.shown_id, after=self.output.live_lines.seq)
                pushes = self.console.source.subscribe(verbs.OUTPUT, "output", args)
                async with aclosing(cast(Any, pushes)) as stream:
                    async for push in stream:
                        if not isinstance(push, OutputPush):
                            continue
                        self.output.live_lines.append_chunks(push.chunks)
                        if push.ended:
                            self.output.ended = True
                            self.output.set_placeholder(translate(self.console.language, "console_output_empty"))
                            return
            except LinkLost:
                await asyncio.sleep(0.5)
            except UserError as error:
                self.output.set_placeholder(clean(str(error), limit=300))
                return

    def _request_tab(self) -> None:
        if self.tab in ("audit", "jobs", "outputs") and self.tab not in self._requested_tabs:
            self._requested_tabs.add(self.tab)
            work = self._fetch_outputs() if self.tab == "outputs" else self._fetch_tab(self.tab)
            self.run_worker(work, group=f"tab-{self.tab}", exclusive=True)

    async def _fetch_tab(self, tab: str) -> None:
        look, who = self.console.render_context(), self.console.source.who
        if tab == "audit" and who is not None and not has_role(who.roles, "approver"):
            self._tab_lines[tab] = [PaneLine(translate(look.language, "console_off_role", role="approver"), "warn")]
            return
        source = self.console.source
        answer: CallOutcome[Any]
        if tab == "audit":
            answer = await call_hub(source, verbs.AUDIT, AuditArgs(subject=self.shown_id, limit=AUDIT_ROWS))
        else:
            answer = await call_hub(source, verbs.JOBS, JobsArgs(agent=self.shown_id, limit=JOBS_SHOWN))
        look = self.console.render_context()
        if answer.result is None:
            self._tab_lines[tab] = [PaneLine(answer.text, "bad")]
        elif tab == "audit":
            self._tab_lines[tab] = [detail.event_line(event, look) for event in answer.result]
        else:
            self._tab_lines[tab] = [_job_line(job, look) for job in answer.result]
        if not self._tab_lines[tab]:
            self._tab_lines[tab] = [PaneLine(translate(look.language, "console_detail_empty"), "dim")]
        self.flush()

    async def _fetch_outputs(self) -> None:
        """What a request's machines printed, those alike told once; asked for again while some have not ended."""
        identity = self.shown_id
        while self.shown_id == identity:
            answer = await call_hub(self.console.source, verbs.REQUEST, RequestArgs(id=identity))
            request = answer.result
            if request is None:
                self._tab_lines["outputs"] = [PaneLine(answer.text, "bad")]
                return
            groups = group_jobs(request.jobs)
            outputs = await fetch_outputs(self.console.source, groups)
            missing = request.job_count - len(request.jobs)
            lines = group_lines(groups, outputs, self.console.render_context(), missing)
            self._tab_lines["outputs"] = lines or [
                PaneLine(translate(self.console.language, "console_detail_empty"), "dim")
            ]
            self.flush()
            if self.tab != "outputs" or all(group.is_final for group in groups):
                self._requested_tabs.discard("outputs")  # shown again, it asks anew
                return
            await asyncio.sleep(OUTPUTS_INTERVAL)


def merge_rows(shown: Row, row: Row) -> Row:
    """A later row of the list with what `shown`, the same thing in full, says beyond it."""
    match shown, row:
        case JobView(), JobView():
            return row.with_command_of(shown)
        case RequestDetails(), RequestFields():
            return shown.updated(row)
        case EventView(), EventView():
            return shown  # an event never changes
        case _:
            return row


def tab_lines(row: Row, tab: str, ctx: RenderContext) -> list[PaneLine] | None:
    """The lines of a tab that needs nothing but the row; None for the others."""
    if tab == "raw":
        return detail.raw_lines(row)
    match row, tab:
        case JobView(), "facts":
            return detail.job_lines(row, ctx)
        case JobView(), "timeline":
            return detail.job_timeline(row, ctx)
        case RequestFields(), "facts":
            return detail.request_lines(row, ctx)
        case RequestFields(), "timeline":
            return detail.request_timeline(row, ctx)
        case ModelNode(), "facts":
            return node_lines(row, ctx)
        case InletView(), "facts":
            return inlet_lines(row, ctx)
        case EventView(), "facts":
            return detail.event_lines(row, ctx)
        case _:
            return None


def _job_line(job: JobView, ctx: RenderContext) -> PaneLine:
    state = job_state(job, ctx)
    return PaneLine(f"{short_id(job.id)}  {state.text}  {format_command(job.argv, job.filters)}", state.tone)
