"""Cancel and kill. "Cancel asked" and "cancelled" are two facts: the dialog stays and tells what the machine says.

One job: the first choice is to keep it, enter alone does nothing. Many: their number must be typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from textual.widget import Widget

from common.api import verbs
from common.api.actions import CancelArgs, CancelResult
from common.api.jobs import JobView
from common.api.queries import JobArgs
from common.api.requests import RequestFields
from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog
from tui.model.actions import Kind
from tui.model.answers import CallOutcome, call_hub, count_done
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.text.format import PaneLine, format_command, format_number, one_line
from tui.view.columns import job_state, request_command, row_number, row_title, rows_title
from tui.view.detail import describe_end, fact_line
from tui.widgets.digits import NumberInput
from tui.widgets.text import TextPane

MAX_CONCURRENT: Final = 4
WATCH_SECONDS: Final = 60
"""Seconds for which the dialog asks how the job has ended."""
MAX_SHOWN: Final = 8


class StopDialog(Dialog):
    def __init__(self, console: ConsoleContext, kind: Kind, rows: Sequence[Row], *, kill: bool) -> None:
        key = "console_kill_title" if kill else "console_cancel_title"
        super().__init__(console, Sentence(key, {"count": rows_title(rows)}))
        self.rows = list(rows)
        self.kind = kind
        self.kill = kill

    @property
    def is_many(self) -> bool:
        return len(self.rows) > 1

    def body(self) -> Iterable[Widget]:
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field("console_field_count", NumberInput(id="count"))
        go = "console_choice_kill" if self.kill else "console_choice_cancel"
        yield self.button_row("stop", go, "bad", no="keep", no_key="console_choice_keep")

    def fill(self) -> None:
        look = self.console.render_context()
        lines = [self._line(row) for row in self.rows[:MAX_SHOWN]]
        if len(self.rows) > MAX_SHOWN:
            lines.append(
                PaneLine(
                    translate(look.language, "console_and_more", count=format_number(len(self.rows) - MAX_SHOWN)), "dim"
                )
            )
        lines.append(
            PaneLine(translate(look.language, "console_kill_means" if self.kill else "console_cancel_means"), "warn")
        )
        self.query_one("#count").parent.display = self.is_many  # type: ignore[union-attr]
        self.set_facts(lines)
        self.query_one("#count" if self.is_many else "#buttons").focus()
        if self.is_many:
            self.show_note(Sentence("console_type_count", {"count": format_number(len(self.rows))}))

    def _line(self, row: Row) -> PaneLine:
        look = self.console.render_context()
        if isinstance(row, RequestFields):
            return PaneLine(f"{row_number(row)}  {request_command(row, look).text}", "key", "|")
        if not isinstance(row, JobView):
            return PaneLine(one_line(row.id, 64), "key", "|")
        words = f"{one_line(row.agent, 64)}  {job_state(row, look).text}  {describe_end(row, look)}".rstrip()
        return PaneLine(f"{words}  {format_command(row.argv, row.filters)}", "key", "|")

    def send(self) -> None:
        if not self.can_send():
            return
        if self.is_many and self.query_one("#count", NumberInput).value.strip().replace(",", "") != str(len(self.rows)):
            self.show_note(Sentence("console_count_wrong", {"count": format_number(len(self.rows))}), "warn")
            self.query_one("#count").focus()
            return
        self.run_worker(self._send(), exclusive=True, group="ask")

    async def _send(self) -> None:
        if not self.is_many:
            await self._cancel_one(self.rows[0])
            return
        self.sending = True
        self.show_note(Sentence("console_sending"))
        gate = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(row: Row) -> CallOutcome[CancelResult]:
            async with gate:
                return await call_hub(self.console.source, verbs.CANCEL, self._args(row))

        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(one(row)) for row in self.rows]
        finally:
            self.sending = False
        done, bad = count_done(task.result() for task in asked)
        values = {
            "done": format_number(done),
            "count": format_number(len(self.rows)),
            "why": bad[0].text if bad else "",
        }
        self.console.notify(
            Sentence("console_cancelled_some" if bad else "console_cancel_asked_all", values), "warn" if bad else "ok"
        )
        self.dismiss("asked")

    def _args(self, row: Row) -> CancelArgs:
        if isinstance(row, RequestFields):
            return CancelArgs(number=row.number, kill=self.kill)
        return CancelArgs(job=row.id, kill=self.kill)

    async def _cancel_one(self, row: Row) -> None:
        answer = await self.call_hub(verbs.CANCEL, self._args(row))
        if answer.disposition != "done":
            self.finished = answer.disposition == "over"
            self.show_note(answer.text, answer.tone)
            return
        self.finished = True
        if self.kind == "request":
            self.console.notify(answer.text, "ok", about=row_title(row))
            self.dismiss("asked")
            return
        self.set_close_only()
        self.show_note(Sentence("console_cancel_waits"), "busy")
        await self._watch_end(row)

    async def _watch_end(self, row: Row) -> None:
        """Until the machine has said how it ended; what is not said is not told."""
        look = self.console.render_context()
        for _ in range(WATCH_SECONDS):
            job = (await call_hub(self.console.source, verbs.JOB, JobArgs(id=row.id))).result
            look = self.console.render_context()
            if job is not None and job.is_settled:
                state = job_state(job, look)
                self.set_facts(
                    [
                        self._line(job),
                        fact_line(look, "outcome", f"{state.text}  {describe_end(job, look)}".rstrip(), state.tone),
                    ]
                )
                self.show_note(Sentence("console_stop_ended", {"state": state.text}), state.tone)
                return
            if job is not None:
                self.set_facts([self._line(job)], keep_place=True)
            await asyncio.sleep(1)
        self.show_note(Sentence("console_cancel_still"), "warn")
