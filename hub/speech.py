"""What is said to chat, and when: composes replies from records and puts them into the outbox, in the transaction at
hand.

    final      the request has ended, or is answered
    question   it waits for approvals
    progress   it waits for a machine, goes on running, or what a model says of its output afterwards; only where the
               inlet takes more than the final reply
    late       an outcome that was told as unknown has become known

A request without a reply address (the command line, a message without `reply_url`) is answered to nobody: its outcome
is in the store for whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.catalogue import Language
from common.lifecycle import JOB_ENDS, RequestState
from common.text import clean_output
from hub import present
from hub.chat.platform import JobView, ReplyContent, RequestView
from hub.config import HubConfig
from hub.machines import Inventory
from hub.plan.match import Runbooks
from hub.records import Job, Reply, Request
from hub.request import message_id
from hub.store.verbs import Txn

OUTPUT_A_JOB: Final = 32 * 1024
OUTPUT_A_REPLY: Final = 256 * 1024
TAIL_CHUNKS: Final = 16
TAIL_BYTES: Final = 4096


class Speech:
    def __init__(self, config: HubConfig) -> None:
        self._updates = {name: inlet.updates for name, inlet in config.inlets.items()}

    # ---- replies

    def tell(self, txn: Txn, request: Request, kind: str, text: str, jobs: Sequence[Job], now: float) -> None:
        """A final or a question. `text` is what a plain answer or a refusal says; the rest is composed here."""
        if not request.reply_url:
            return
        if kind == "question":
            said = present.asked_text(request, text, now)
            self._send(txn, request, kind, said, (), now)
            return
        views, outputs = self._views(txn, request, jobs)
        if request.state is RequestState.DONE and jobs:
            said = present.final_text(request, jobs, outputs, now)
        elif text and request.state in (RequestState.DONE, RequestState.REFUSED):
            refused = request.state is RequestState.REFUSED
            said = present.refused_text(request, text) if refused else present.plain_text(text, request.language)
        else:
            said = present.ended_text(request)
        self._send(txn, request, kind, said, views, now)

    def waiting(self, txn: Txn, request: Request, jobs: Sequence[Job], now: float) -> None:
        """Machines are away: until when their jobs wait."""
        if self.may_update(request):
            views = tuple(_view(request, job, "") for job in jobs[:50])
            self._send(txn, request, "progress", present.queued_offline_text(request, jobs, now), views, now)

    def progress(self, txn: Txn, request: Request, job: Job, now: float) -> bool:
        """A job goes on running; True where something was said."""
        if not self.may_update(request):
            return False
        chunks = txn.chunks(job.id, after_seq=max(0, txn.output_seq(job.id) - TAIL_CHUNKS))
        tail = clean_output(b"".join(chunk.data for chunk in chunks)[-TAIL_BYTES:])
        text = present.progress_text(request, job, tail, now)
        self._send(txn, request, "progress", text, (_view(request, job, tail),), now)
        return True

    def summary(self, txn: Txn, request: Request, text: str, now: float) -> bool:
        """What a model says of the output that was told; True where it was said."""
        if not self.may_update(request):
            return False
        self._send(txn, request, "progress", present.summary_text(request, text), (), now)
        return True

    def picture(self, txn: Txn, request: Request, text: str, now: float) -> bool:
        """What was read in a message's pictures, wherever it can be said: nothing is planned from it unseen."""
        if not request.reply_url:
            return False
        self._send(txn, request, "progress", present.plain_text(text, request.language), (), now)
        return True

    def late(self, txn: Txn, request: Request, job: Job, now: float) -> bool:
        """The truth about a job that was told as unknown; True where something was said."""
        if not request.reply_url:
            return False
        views, outputs = self._views(txn, request, [job])
        self._send(txn, request, "late", present.late_text(request, job, outputs.get(job.id, ""), now), views, now)
        return True

    def may_update(self, request: Request) -> bool:
        """Whether more than the final reply is taken where the request came from."""
        return bool(request.reply_url) and self._updates.get(request.inlet, False)

    def _views(self, txn: Txn, request: Request, jobs: Sequence[Job]) -> tuple[tuple[JobView, ...], dict[str, str]]:
        """Each job with its output, made safe to show and bounded for the reply as a whole."""
        outputs: dict[str, str] = {}
        left = OUTPUT_A_REPLY
        for job in jobs:
            if job.state not in JOB_ENDS or not job.output_bytes:
                continue
            data = b""
            for chunk in txn.chunks(job.id, limit=64):
                data += chunk.data
                if len(data) >= OUTPUT_A_JOB:
                    break
            outputs[job.id] = clean_output(data[: min(OUTPUT_A_JOB, left)], limit=OUTPUT_A_JOB)
            left -= len(outputs[job.id])
            if left <= 0:
                break
        return tuple(_view(request, job, outputs.get(job.id, "")) for job in jobs), outputs

    def _send(self, txn: Txn, request: Request, kind: str, text: str, jobs: tuple[JobView, ...], now: float) -> None:
        actions: tuple[str, ...] = ()
        if request.state is RequestState.ASKING:
            actions = ("approve", "reject")
        elif request.state is RequestState.WORKING:
            actions = ("cancel",)
        content = ReplyContent(
            in_reply_to=message_id(request),
            conversation=request.conversation,
            text=text,
            request=RequestView(request.id, request.number, request.state.value),
            jobs=jobs,
            actions=actions,
            kind=kind,
        )
        txn.add_reply(
            Reply(
                id=0,
                request_id=request.id,
                inlet=request.inlet,
                kind=kind,
                url=request.reply_url,
                body=content.to_json(),
                created_at=now,
                next_at=now,
            )
        )

    # ---- answers to those who look around

    def machines(self, inventory: Inventory, language: Language) -> str:
        return present.machines_text(inventory, language)

    def help(self, runbooks: Runbooks, inventory: Inventory, language: Language) -> str:
        return present.help_text(runbooks, inventory, language)

    def status(self, txn: Txn, request: Request, jobs: Sequence[Job], now: float, language: Language) -> str:
        return present.status_text(request, jobs, now, language)

    def overview(
        self, txn: Txn, requests: Sequence[Request], inventory: Inventory, now: float, language: Language
    ) -> str:
        depth, oldest = txn.queue_stats()
        return present.overview_text(requests, inventory, depth, oldest, now, language)


def _view(request: Request, job: Job, output: str) -> JobView:
    argv = request.plan.steps[job.step].argv if request.plan is not None else ()
    return JobView(job.id, job.agent, argv, job.state.value, job.exit_code, output)
