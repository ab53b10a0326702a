"""What each act does at the hub: opens its dialog or does it at once, and tells what came of it.

One method an act; the table of handlers is closed. A flow works on rows that were frozen when the key was pressed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from textual.app import App

from common.catalogue import Sentence, say
from common.ids import is_name
from common.text import escape_argv
from tui.answers import Answered, ask, tally
from tui.commands import Act, Kind, Rung, Undo
from tui.console import Console
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.count import CountDialog
from tui.dialogs.dialog import Dialog
from tui.dialogs.edit import EditDialog
from tui.dialogs.hold import DrainDialog, PauseDialog, chosen
from tui.dialogs.pick import PickDialog
from tui.dialogs.priority import PriorityDialog
from tui.dialogs.reject import RejectDialog
from tui.dialogs.run import RunDialog
from tui.dialogs.settle import SettleDialog
from tui.dialogs.stop import AT_ONCE, StopDialog
from tui.format import number, one_line
from tui.model import Row
from tui.rows import number_or_none, steps_of
from tui.widgets.choices import Choice

UNDO_FOR: Final = 8.0
JUST_DONE: Final = 2.0
"""Seconds after an act in which the same one on the same rows is taken for a slip of the finger."""
Rows = Sequence[Row]


class Flows:
    def __init__(self, app: App[None], console: Console) -> None:
        self._app = app
        self._console = console
        self._done: tuple[str, float] = ("", 0.0)  # the last act that changed something at once, and when it ended
        self.handlers: dict[str, Callable[[Kind, Rows], Coroutine[Any, Any, None]]] = {
            "approve": self.approve,
            "reject": self.reject,
            "edit": self.edit,
            "cancel": self.cancel,
            "kill": self.kill,
            "retry": self.retry,
            "priority": self.priority,
            "settle": self.settle,
            "pause": self.pause,
            "pause_all": self.pause_all,
            "drain": self.drain,
            "run": self.run,
            "broadcast": self.broadcast,
            "undo": self.undo,
            "copy": self.copy,
        }

    def start(self, act: Act, kind: Kind, rows: Rows) -> bool:
        """Runs the act's flow beside the screen; whether it has one."""
        flow = self.handlers.get(act.id)
        if flow is None:
            return False
        name = " ".join([act.id, *(str(row.get("id")) for row in rows)])
        if any(
            worker.group == "flow" and worker.name == name and not worker.is_finished for worker in self._app.workers
        ):
            return True  # a key pressed twice before its first answer came means it once
        at_once = act.changes and act.rung is Rung.NONE and act.kinds and len(rows) == 1
        if at_once and self._done[0] == name and time.monotonic() - self._done[1] < JUST_DONE:
            self._console.tell(Sentence("console_just_done", {"act": act.name(self._console.language)}), "warn")
            return True

        async def run() -> None:
            try:
                await flow(kind, rows)
            except Exception as error:
                self._console.fault(act.name(self._console.language), error)
            finally:
                if at_once:
                    self._done = name, time.monotonic()

        work: Any = run
        self._app.run_worker(work, group="flow", name=name)
        return True

    def _tell(self, answer: Answered, otherwise: Sentence) -> bool:
        """Says what the hub said; whether it was done."""
        done = answer.next == "done"
        self._console.tell(answer.text or otherwise, answer.tone, lasting=not done)
        return done

    async def _request(self, row: Row) -> dict[str, Any] | None:
        """A request in full; the hub is asked by its number, since a row may know no more."""
        by = {"number": row["number"]} if row.get("number") else {"id": row.get("request") or row["id"]}
        answer = await ask(self._console.source.call, "request", **by)
        if answer.next != "done" or not isinstance(answer.data, dict):
            self._tell(answer, Sentence("console_no_answer"))
            return None
        return answer.data

    async def _told(self, kind: Kind, rows: Rows) -> Rows:
        """A single job with its command: what needs a person is listed with less. Where the hub does not say, as it
        is."""
        if kind != "job" or len(rows) != 1 or "argv" in rows[0]:
            return rows
        answer = await ask(self._console.source.call, "job", id=rows[0]["id"])
        return [{**rows[0], **answer.data}] if answer.next == "done" and isinstance(answer.data, dict) else rows

    # ---- decide

    async def approve(self, kind: Kind, rows: Rows) -> None:
        await self._decide(rows[0], "approve")

    async def reject(self, kind: Kind, rows: Rows) -> None:
        await self._decide(rows[0], "reject")

    async def edit(self, kind: Kind, rows: Rows) -> None:
        await self._decide(rows[0], "edit")

    async def _decide(self, row: Row, how: Any) -> None:
        """From approving one may turn to rejecting or editing the same request."""
        while how in ("approve", "reject", "edit"):
            request = await self._request(row)
            if request is None:
                return
            makers: dict[str, Callable[[], Dialog]] = {
                "approve": partial(ApproveDialog, self._console, request, row=str(row["id"])),
                "reject": partial(RejectDialog, self._console, request),
                "edit": partial(EditDialog, self._console, request),
            }
            how = await self._app.push_screen_wait(makers[how]())

    # ---- intervene

    async def cancel(self, kind: Kind, rows: Rows) -> None:
        await self._app.push_screen_wait(StopDialog(self._console, kind, await self._told(kind, rows), kill=False))

    async def kill(self, kind: Kind, rows: Rows) -> None:
        await self._app.push_screen_wait(StopDialog(self._console, kind, await self._told(kind, rows), kill=True))

    async def retry(self, kind: Kind, rows: Rows) -> None:
        console = self._console
        if len(rows) > 1:
            title = Sentence("console_retry_title", {"count": number(len(rows))})
            if not await self._app.push_screen_wait(CountDialog(console, title, rows)):
                return
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(row: Row) -> Answered:
            async with gate:
                args = {"number": row.get("number")} if kind == "request" else {"job": row["id"]}
                return await ask(console.source.call, "retry", **args)

        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(one(row)) for row in rows]
        answers = [task.result() for task in asked]
        done, bad = tally(answers)
        if len(rows) > 1 or bad:
            values = {"done": number(done), "count": number(len(rows)), "why": bad[0].text if bad else "-"}
            console.tell(Sentence("console_retried_some", values), "warn" if bad else "ok", lasting=bool(bad))
            return
        told = answers[0].data if isinstance(answers[0].data, dict) else {}
        values = {"number": one_line(told.get("number", "?"), 12), "why": one_line(told.get("reason") or "-", 300)}
        state = str(told.get("state"))
        key = {"refused": "console_run_refused", "asking": "console_run_asking"}.get(state, "console_run_sent")
        console.tell(Sentence(key, values), "bad" if state == "refused" else "ok", lasting=state == "refused")

    async def priority(self, kind: Kind, rows: Rows) -> None:
        waiting = [row for row in rows if row.get("state") == "queued"]
        await self._app.push_screen_wait(PriorityDialog(self._console, waiting or rows))

    async def settle(self, kind: Kind, rows: Rows) -> None:
        await self._app.push_screen_wait(SettleDialog(self._console, (await self._told(kind, rows[:1]))[0]))

    # ---- control

    async def pause(self, kind: Kind, rows: Rows) -> None:
        """Pauses what runs; what is paused goes on at once, since that can be taken back."""
        row = rows[0]
        if kind == "lane":
            await self.pause_all(kind, rows)
            return
        running = [row for row in rows if not row.get("paused_by")] if kind == "agent" else rows
        if not running:
            reason = str(row.get("pause_reason") or "")
            await self._resume(names_of(rows), reason)
            return
        known = row if kind == "agent" and len(rows) == 1 else None
        await self._app.push_screen_wait(PauseDialog(self._console, names_of(running), known))

    async def pause_all(self, kind: Kind, rows: Rows) -> None:
        paused = self._console.queue_paused
        if paused is not None:
            await self._resume("", str(paused.get("reason", "")))
            return
        await self._app.push_screen_wait(PauseDialog(self._console, "", None))

    async def _resume(self, agent: str, reason: str) -> None:
        answer = await ask(self._console.source.call, "resume", **chosen(agent))
        what: Any = agent or Sentence("console_whole_queue")
        if self._tell(answer, Sentence("console_resumed", {"what": what})):
            self._way_back(
                Sentence("console_undo_resume", {"what": what}), "pause", {**chosen(agent), "reason": reason}
            )

    async def drain(self, kind: Kind, rows: Rows) -> None:
        row = rows[0]
        if not row.get("draining"):
            await self._app.push_screen_wait(DrainDialog(self._console, row))
            return
        answer = await ask(self._console.source.call, "undrain", agent=row["name"])
        what = {"what": one_line(row["name"], 64)}
        if self._tell(answer, Sentence("console_undrained", what)):
            self._way_back(Sentence("console_undo_undrain", what), "drain", {"agent": row["name"]})

    # ---- ask for work

    async def run(self, kind: Kind, rows: Rows) -> None:
        names = names_of(rows)
        # The command is typed anew: to run the same again is another act, retry, which keeps its parent.
        await self._app.push_screen_wait(RunDialog(self._console, names, many="," in names))

    async def broadcast(self, kind: Kind, rows: Rows) -> None:
        await self._app.push_screen_wait(RunDialog(self._console, "", many=True))

    async def undo(self, kind: Kind, rows: Rows) -> None:
        undo = self._console.open_undo()
        if undo is None:
            return
        self._console.undo = None
        answer = await ask(self._console.source.call, undo.verb, **undo.args)
        self._tell(answer, Sentence("console_undone", {"what": undo.what}))

    def _way_back(self, what: Sentence, verb: str, args: dict[str, Any]) -> None:
        self._console.undo = Undo(what, verb, args, self._console.now() + UNDO_FOR)

    # ---- copy

    async def copy(self, kind: Kind, rows: Rows) -> None:
        """Puts something of the row on the terminal's clipboard (OSC 52)."""
        row, language = rows[0], self._console.language
        texts = copies(kind, row)
        choices = [
            Choice(name, say(language, f"console_copy_{name}"), note=one_line(text, 200))
            for name, text in texts.items()
        ]
        taken = await self._app.push_screen_wait(PickDialog(self._console, Sentence("console_copy_title"), choices))
        if taken is not None:
            self._app.copy_to_clipboard(texts[taken])
            self._console.tell(Sentence("console_copied", {"size": number(len(texts[taken]))}), "ok")


def names_of(rows: Rows) -> str:
    """The machines that rows are, or are of, by comma."""
    return ",".join(sorted(filter(is_name, {str(row.get("name") or row.get("agent") or "") for row in rows})))


def copies(kind: Kind, row: Row) -> dict[str, str]:
    """What of a row can be copied, by name. Exact where it is a command; the clipboard gets no control characters
    either."""
    found = {"id": one_line(row.get("id", ""), 64)}
    if kind == "agent":
        return {"id": one_line(row.get("name", ""), 64), "record": _record(row)}
    argv = row.get("argv") or (steps_of(row)[0].get("argv") if steps_of(row) else None)
    if argv:
        found["command"] = escape_argv(list(map(str, argv)))
    if kind == "job" and row.get("agent"):
        found["agent"] = one_line(row["agent"], 64)
        found["twin"] = f"answerback job {one_line(row['id'], 64)}"
    elif kind == "request" and number_or_none(row.get("number")):
        found["twin"] = f"answerback requests  # r{one_line(row['number'], 12)}"
    found["record"] = _record(row)
    return {name: text for name, text in found.items() if text}


def _record(row: Row) -> str:
    return json.dumps(row, ensure_ascii=True, default=lambda value: f"<{type(value).__name__}>")
