"""Cancel and kill. "Cancel asked" and "cancelled" are two facts: the dialog stays and tells what the machine says.

One job: the first choice is to keep it, enter alone does nothing. Many: their number must be typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, say
from tui.answers import Answered, ask, tally
from tui.commands import SETTLED, Kind
from tui.console import Console
from tui.detail_text import end_words, fact
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line, command, number, one_line
from tui.model import Row
from tui.rows import job_state, request_command
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane

AT_ONCE: Final = 4
WATCH: Final = 60
"""Seconds for which the dialog asks how the job has ended."""
SHOWN: Final = 8


class StopDialog(Dialog):
    def __init__(self, console: Console, kind: Kind, rows: Sequence[Row], *, kill: bool) -> None:
        key = "console_kill_title" if kill else "console_cancel_title"
        super().__init__(console, Sentence(key, {"count": number(len(rows))}))
        self.rows = list(rows)
        self.kind = kind
        self.kill = kill

    @property
    def many(self) -> bool:
        return len(self.rows) > 1

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled("console_field_count", Field(id="count", max_length=6))
        go = "console_choice_kill" if self.kill else "console_choice_cancel"
        yield Choices(
            self.console.look,
            [Choice("keep", say(language, "console_choice_keep")), Choice("stop", say(language, go), "bad")],
            row=True,
            id="choices",
        )

    def opened(self) -> None:
        look = self.console.look()
        lines = [self._line(row) for row in self.rows[:SHOWN]]
        if len(self.rows) > SHOWN:
            lines.append(Line(say(look.language, "console_and_more", count=number(len(self.rows) - SHOWN)), "dim"))
        lines.append(Line(say(look.language, "console_kill_means" if self.kill else "console_cancel_means"), "warn"))
        self.query_one("#count").parent.display = self.many  # type: ignore[union-attr]
        self.set_facts(lines)
        self.query_one("#count" if self.many else "#choices").focus()
        if self.many:
            self.note(Sentence("console_type_count", {"count": number(len(self.rows))}))

    def _line(self, row: Row) -> Line:
        look = self.console.look()
        if self.kind == "request":
            return Line(f"r{one_line(row.get('number', '?'), 12)}  {request_command(row, look).text}", "key", "|")
        state = job_state(row, look)
        words = f"{one_line(row.get('agent', '?'), 64)}  {state.text}  {end_words(row, look)}".rstrip()
        return Line(f"{words}  {command(row.get('argv'))}", "key", "|")

    @on(Input.Submitted, "#count")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.send()

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        if event.choice.id == "keep":
            self.action_close()
        else:
            self.send()

    def send(self) -> None:
        if not self.may_send():
            return
        if self.many and self.query_one("#count", Field).value.strip().replace(",", "") != str(len(self.rows)):
            self.note(Sentence("console_count_wrong", {"count": number(len(self.rows))}), "warn")
            self.query_one("#count").focus()
            return
        self.run_worker(self._send(), exclusive=True, group="ask")

    async def _send(self) -> None:
        if not self.many:
            await self._one(self.rows[0])
            return
        self.sending = True
        self.note(Sentence("console_sending"))
        gate, call = asyncio.Semaphore(AT_ONCE), self.console.source.call

        async def one(row: Row) -> Answered:
            async with gate:
                return await ask(call, "cancel", kill=self.kill, **self._target(row))

        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(one(row)) for row in self.rows]
        finally:
            self.sending = False
        done, bad = tally(task.result() for task in asked)
        values = {"done": number(done), "count": number(len(self.rows)), "why": bad[0].text if bad else ""}
        self.console.tell(
            Sentence("console_cancelled_some" if bad else "console_cancel_asked_all", values), "warn" if bad else "ok"
        )
        self.dismiss("asked")

    def _target(self, row: Row) -> dict[str, Any]:
        return {"number": row.get("number")} if self.kind == "request" else {"job": row["id"]}

    async def _one(self, row: Row) -> None:
        answer = await self.ask("cancel", kill=self.kill, **self._target(row))
        if answer.next != "done":
            self.over = answer.next == "over"
            self.note(answer.text, answer.tone)
            return
        self.over = True
        if self.kind == "request":
            self.console.tell(answer.text, "ok")
            self.dismiss("asked")
            return
        choices = self.query_one("#choices", Choices)
        choices.set_choices([Choice("keep", say(self.console.language, "console_choice_close"))])
        choices.focus()
        self.note(Sentence("console_cancel_waits"), "busy")
        await self._watch(row)

    async def _watch(self, row: Row) -> None:
        """Until the machine has said how it ended; what is not said is not told."""
        look = self.console.look()
        for _ in range(WATCH):
            answer = await ask(self.console.source.call, "job", id=row["id"])
            job = answer.data if isinstance(answer.data, dict) else {}
            look = self.console.look()
            if str(job.get("state")) in SETTLED:
                state = job_state(job, look)
                self.set_facts(
                    [
                        self._line(job),
                        fact(look, "outcome", f"{state.text}  {end_words(job, look)}".rstrip(), state.tone),
                    ]
                )
                self.note(Sentence("console_stop_ended", {"state": state.text}), state.tone)
                return
            if job:
                self.set_facts([self._line(job)], keep_place=True)
            await asyncio.sleep(1)
        self.note(Sentence("console_cancel_still"), "warn")
