"""What each act does at the hub: opens its dialog or does it at once, and tells what came of it.

One method an act; the table of handlers is closed. A flow works on rows that were frozen when the key was pressed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from textual.app import App

from common.api import verbs
from common.api.actions import DrainArgs, PauseArgs, ResumeArgs, UndrainArgs
from common.api.agents import AgentView
from common.api.arguments import Arguments, NoArgs, RequestArgs
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.queries import JobArgs
from common.api.requests import RequestDetails, RequestFields
from common.api.verb import Verb
from common.api.wake import WakeArgs, WakingArgs
from common.api.work import RetryArgs, RunResult
from common.catalogue import Sentence, translate
from common.command.line import quote_command
from common.command.output_filters import FilterWords
from common.ids import is_name
from common.text import clean
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.count import CountDialog
from tui.dialogs.dialog import Dialog
from tui.dialogs.edit import EditDialog
from tui.dialogs.hold import DrainDialog, PauseDialog, target_args
from tui.dialogs.pick import PickDialog
from tui.dialogs.priority import PriorityDialog
from tui.dialogs.reject import RejectDialog
from tui.dialogs.run import RunDialog, result_message
from tui.dialogs.settle import ReconcileDialog
from tui.dialogs.standing import StandingDialog
from tui.dialogs.stop import MAX_CONCURRENT, StopDialog
from tui.model.actions import Action, Confirmation, Kind, Undo
from tui.model.answers import CallOutcome, call_hub, count_done
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.text.format import Tone, format_number, one_line
from tui.view.columns import row_title
from tui.view.detail import record_json
from tui.widgets.choices import ChoiceItem

UNDO_FOR: Final = 8.0
WAKE_LOOK: Final = 1.0
"""Seconds between two looks at how the waking of a machine stands."""
REPEAT_GUARD: Final = 2.0
"""Seconds after an act in which the same one on the same rows is taken for a slip of the finger."""
Rows = Sequence[Row]


class ActionFlows:
    def __init__(self, app: App[None], console: ConsoleContext) -> None:
        self._app = app
        self._console = console
        self._recently_done: tuple[str, float] = (
            "",
            0.0,
        )  # the last act that changed something at once, and when it ended
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
            "wake": self.wake,
            "allowed": self.allowed,
            "run": self.run,
            "broadcast": self.broadcast,
            "undo": self.undo,
            "copy": self.copy,
        }

    def start(self, action: Action, kind: Kind, rows: Rows) -> bool:
        """Runs the act's flow beside the screen; whether it has one."""
        flow = self.handlers.get(action.id)
        if flow is None:
            return False
        name = " ".join([action.id, *(row.id for row in rows)])
        if any(
            worker.group == "flow" and worker.name == name and not worker.is_finished for worker in self._app.workers
        ):
            return True  # a key pressed twice before its first answer came means it once
        at_once = action.mutates and action.confirmation is Confirmation.NONE and action.kinds and len(rows) == 1
        if at_once and self._recently_done[0] == name and time.monotonic() - self._recently_done[1] < REPEAT_GUARD:
            message = Sentence("console_just_done", {"act": action.short_label(self._console.language)})
            self._console.notify(message, "warn", about=row_title(rows[0]))
            return True

        async def run() -> None:
            try:
                await flow(kind, rows)
            except Exception as error:
                self._console.report_fault(action.label(self._console.language), error)
            finally:
                if at_once:
                    self._recently_done = name, time.monotonic()

        work: Any = run
        self._app.run_worker(work, group="flow", name=name)
        return True

    def _notify_outcome(self, answer: CallOutcome[Any], otherwise: Sentence, about: str = "") -> bool:
        """Says what the hub said; whether it was done."""
        self._console.notify(answer.text or otherwise, answer.tone, sticky=not answer.is_done, about=about)
        return answer.is_done

    async def _fetch_request(self, row: Row) -> RequestDetails | None:
        """A request in full, by its number; a row that has none knows the id."""
        args = RequestArgs(id=row.id)
        if isinstance(row, JobView | RequestFields) and row.number:
            args = RequestArgs(number=row.number)
        elif isinstance(row, JobView) and row.request:
            args = RequestArgs(id=row.request)
        answer = await call_hub(self._console.source, verbs.REQUEST, args)
        if answer.result is None:
            self._notify_outcome(answer, Sentence("console_no_answer"), row_title(row))
        return answer.result

    async def _with_details(self, rows: Rows) -> Rows:
        """A single job with its command: what needs a person is listed with less. Where the hub does not say, as it
        is.
        """
        job = rows[0]
        if len(rows) != 1 or not isinstance(job, JobView) or job.argv is not None:
            return rows
        found = (await call_hub(self._console.source, verbs.JOB, JobArgs(id=job.id))).result
        return [job.with_details(found)] if found is not None else rows

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
            request = await self._fetch_request(row)
            if request is None:
                return
            makers: dict[str, Callable[[], Dialog]] = {
                "approve": partial(ApproveDialog, self._console, request, row=row.id),
                "reject": partial(RejectDialog, self._console, request),
                "edit": partial(EditDialog, self._console, request),
            }
            how = await self._app.push_screen_wait(makers[how]())

    # ---- intervene

    async def cancel(self, kind: Kind, rows: Rows) -> None:
        await self._app.push_screen_wait(StopDialog(self._console, kind, await self._with_details(rows), kill=False))

    async def kill(self, kind: Kind, rows: Rows) -> None:
        await self._app.push_screen_wait(StopDialog(self._console, kind, await self._with_details(rows), kill=True))

    async def retry(self, kind: Kind, rows: Rows) -> None:
        console = self._console
        if len(rows) > 1:
            title = Sentence("console_retry_title", {"count": format_number(len(rows))})
            if not await self._app.push_screen_wait(CountDialog(console, title, rows)):
                return
        gate = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(row: Row) -> CallOutcome[RunResult]:
            async with gate:
                args = RetryArgs(number=row.number) if isinstance(row, RequestFields) else RetryArgs(job=row.id)
                return await call_hub(console.source, verbs.RETRY, args)

        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(one(row)) for row in rows]
        answers = [task.result() for task in asked]
        done, bad = count_done(answers)
        if len(rows) > 1 or bad:
            values = {
                "done": format_number(done),
                "count": format_number(len(rows)),
                "why": bad[0].text if bad else "-",
            }
            about = row_title(rows[0]) if len(rows) == 1 else ""
            tone: Tone = "warn" if bad else "ok"
            console.notify(Sentence("console_retried_some", values), tone, sticky=bool(bad), about=about)
            return
        result = answers[0].result
        request = result.request if result is not None else None
        message, tone = result_message(request, "")
        tone = "bad" if tone == "bad" else "ok"
        console.notify(message, tone, sticky=tone == "bad", about=row_title(rows[0]))

    async def priority(self, kind: Kind, rows: Rows) -> None:
        jobs = [row for row in rows if isinstance(row, JobView)]
        waiting = [job for job in jobs if job.is_queued]
        await self._app.push_screen_wait(PriorityDialog(self._console, waiting or jobs))

    async def settle(self, kind: Kind, rows: Rows) -> None:
        (job,) = await self._with_details(rows[:1])
        if isinstance(job, JobView):
            await self._app.push_screen_wait(ReconcileDialog(self._console, job))

    # ---- control

    async def pause(self, kind: Kind, rows: Rows) -> None:
        """Pauses what runs; what is paused goes on at once, since that can be taken back."""
        if kind == "lane":
            await self.pause_all(kind, rows)
            return
        running = [row for row in rows if not (isinstance(row, AgentView) and row.is_paused)]
        if not running:
            first = rows[0]
            await self._resume(agent_names(rows), first.pause_reason if isinstance(first, AgentView) else "")
            return
        known = rows[0] if len(rows) == 1 and isinstance(rows[0], AgentView) else None
        await self._app.push_screen_wait(PauseDialog(self._console, agent_names(running), known))

    async def pause_all(self, kind: Kind, rows: Rows) -> None:
        paused = self._console.queue_paused
        if paused is not None:
            await self._resume("", paused.reason)
            return
        await self._app.push_screen_wait(PauseDialog(self._console, "", None))

    async def _resume(self, agent: str, reason: str) -> None:
        answer = await call_hub(self._console.source, verbs.RESUME, ResumeArgs(**target_args(agent)))
        what: Any = agent or Sentence("console_whole_queue")
        if self._notify_outcome(answer, Sentence("console_resumed", {"what": what})):
            back = PauseArgs(**target_args(agent), reason=reason)
            self._offer_undo(Sentence("console_undo_resume", {"what": what}), verbs.PAUSE, back)

    async def drain(self, kind: Kind, rows: Rows) -> None:
        agent = rows[0]
        if not isinstance(agent, AgentView):
            return
        if not agent.is_draining:
            await self._app.push_screen_wait(DrainDialog(self._console, agent))
            return
        answer = await call_hub(self._console.source, verbs.UNDRAIN, UndrainArgs(agent=agent.name))
        what = {"what": one_line(agent.name, 64)}
        if self._notify_outcome(answer, Sentence("console_undrained", what)):
            self._offer_undo(Sentence("console_undo_undrain", what), verbs.DRAIN, DrainArgs(agent=agent.name))

    async def wake(self, kind: Kind, rows: Rows) -> None:
        """Asks for it, and says how it ended, which the hub knows after two minutes at most."""
        agent = rows[0]
        if not isinstance(agent, AgentView):
            return
        source, about = self._console.source, row_title(agent)
        answer = await call_hub(source, verbs.WAKE, WakeArgs(agent=agent.name))
        asked = Sentence("console_wake_asked", {"what": one_line(agent.name, 64)})
        if not self._notify_outcome(answer, asked, about) or answer.result is None or not answer.result.waking:
            return
        while True:
            end = await call_hub(source, verbs.WAKING, WakingArgs(agent=agent.name))
            if end.result is None or end.result.state != "waking":
                break
            await asyncio.sleep(WAKE_LOOK)
        if end.result is None:
            self._notify_outcome(end, Sentence("console_no_answer"), about)
            return
        is_awake = end.result.state == "woke"
        message = clean(end.result.text, limit=500)
        self._console.notify(message, "ok" if is_awake else "warn", sticky=not is_awake, about=about)

    async def allowed(self, kind: Kind, rows: Rows) -> None:
        answer = await call_hub(self._console.source, verbs.ALLOWED, NoArgs())
        if answer.result is None:
            self._notify_outcome(answer, Sentence("console_no_answer"))
            return
        await self._app.push_screen_wait(StandingDialog(self._console, answer.result))

    # ---- ask for work

    async def run(self, kind: Kind, rows: Rows) -> None:
        names = agent_names(rows)
        # The command is typed anew: to run the same again is another act, retry, which keeps its parent.
        await self._app.push_screen_wait(RunDialog(self._console, names, many="," in names))

    async def broadcast(self, kind: Kind, rows: Rows) -> None:
        await self._app.push_screen_wait(RunDialog(self._console, "", many=True))

    async def undo(self, kind: Kind, rows: Rows) -> None:
        undo = self._console.open_undo()
        if undo is None:
            return
        self._console.undo = None
        answer = await call_hub(self._console.source, undo.verb, undo.args)
        self._notify_outcome(answer, Sentence("console_undone", {"what": undo.description}))

    def _offer_undo(self, what: Sentence, verb: Verb[Any, Any], args: Arguments) -> None:
        self._console.undo = Undo(what, verb, args, self._console.now() + UNDO_FOR)

    # ---- copy

    async def copy(self, kind: Kind, rows: Rows) -> None:
        """Puts something of the row on the terminal's clipboard (OSC 52)."""
        row, language = rows[0], self._console.language
        texts = copy_options(row)
        choices = [
            ChoiceItem(name, translate(language, f"console_copy_{name}"), note=one_line(text, 200))
            for name, text in texts.items()
        ]
        taken = await self._app.push_screen_wait(PickDialog(self._console, Sentence("console_copy_title"), choices))
        if taken is not None:
            self._app.copy_to_clipboard(texts[taken])
            message = Sentence("console_copied", {"size": format_number(len(texts[taken]))})
            self._console.notify(message, "ok", about=row_title(row))


def agent_names(rows: Rows) -> str:
    """The machines that rows are, or are of, by comma."""
    about = [row for row in rows if isinstance(row, AgentView | JobView)]
    names = {row.name if isinstance(row, AgentView) else row.agent for row in about}
    return ",".join(sorted(filter(is_name, names)))


def copy_options(row: Row) -> dict[str, str]:
    """What of a row can be copied, by name. Exact where it is a command; the clipboard gets no control characters
    either.
    """
    found = {"id": one_line(row.id, 64)}
    argv: Sequence[str] = ()
    filters: Sequence[FilterWords] = ()
    match row:
        case JobView():
            argv, filters = row.argv or (), row.filters
            found |= {"agent": one_line(row.agent, 64), "twin": f"answerback job {one_line(row.id, 64)}"}
        case RequestFields():
            argv, filters = (row.steps[0].argv, row.steps[0].filters) if row.steps else ((), ())
            found["twin"] = f"answerback requests  # r{row.number}"
        case EventView():
            argv = row.argv or ()
        case _:
            pass
    if argv:
        found["command"] = quote_command(argv, filters)
    found["record"] = record_json(row)
    order = ("id", "command", "agent", "twin", "record")
    return {name: found[name] for name in order if found.get(name)}
