"""Composes replies to chat from records and puts them into the outbox, in the caller's transaction. Kinds of replies:

    final      the request has ended, or is answered
    question   it waits for approvals
    progress   it waits for a machine or is still running, or a model's summary of its output; only where the inlet
               accepts more than the final reply
    late       an outcome that was reported as unknown has become known

A chat that can change what was posted shows a request in one message, its card (`ReplyContent.card`): there each reply
with a plan is the whole state, from the question to the outcome. What a click on it did is seen on the card, and only
a refusal of it is said.

A request without a reply address (from the command line, a message without `reply_url`) gets no replies: its outcome is
in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from common.catalogue import Language, Sentence, translate
from common.lifecycle import JOB_SETTLED, JOB_TERMINAL, REQUEST_TERMINAL, RequestState
from common.text import clean_output, cut_bytes, cut_bytes_front
from hub.chat import reply_text
from hub.chat.approval_text import CodeWay, approval_request_text
from hub.chat.card_text import card_text
from hub.chat.inlets import Inlet
from hub.chat.outcome_text import final_text, late_text, partial_text
from hub.chat.output_file import has_output
from hub.chat.output_pages import MAX_PAGES, PAGE_BYTES, page_text
from hub.chat.platforms.base import ReplyContent, ReplyFile, ReplyJob, ReplyRequest
from hub.chat.platforms.code_form import has_forms
from hub.chat.platforms.deadlines import TellsDeadline
from hub.chat.platforms.uploads import Uploads
from hub.config import HubConfig
from hub.core.absence import why_away
from hub.core.approval import approval_code
from hub.core.attempts import outcomes
from hub.core.inventory import Inventory
from hub.core.records import Job, Reply, Request
from hub.core.request import message_id
from hub.store.transaction import Txn

MAX_JOB_OUTPUT: Final = 32 * 1024
MAX_REPLY_OUTPUT: Final = 256 * 1024
TAIL_CHUNKS: Final = 16
TAIL_BYTES: Final = 4096
MAX_TAILS: Final = 20


class ReplyComposer:
    """Composes replies and enqueues them inside the unit of work whose `Txn` it is given."""

    def __init__(self, config: HubConfig, inlets: Mapping[str, Inlet] = MappingProxyType({})) -> None:
        self.configure(config, inlets)

    def configure(self, config: HubConfig, inlets: Mapping[str, Inlet]) -> None:
        """Takes the inlets of a hub.toml that was read again."""
        self._with_cards = frozenset(name for name, inlet in inlets.items() if inlet.platform.can_update)
        self._with_forms = frozenset(name for name, inlet in inlets.items() if has_forms(inlet.platform))
        self._with_deadlines = frozenset(
            name for name, inlet in inlets.items() if isinstance(inlet.platform, TellsDeadline)
        )
        self._has_pages = bool(config.http.public_url)
        self._with_files = frozenset(name for name, inlet in inlets.items() if isinstance(inlet.platform, Uploads))
        self._updates = {name: inlet.updates for name, inlet in config.inlets.items()}

    # ---- replies

    def enqueue_reply(
        self,
        txn: Txn,
        request: Request,
        kind: str,
        text: str,
        jobs: Sequence[Job],
        now: float,
        approvers: Sequence[str] = (),
    ) -> None:
        """A reply of kind `final` or `question`. `text` is that of a plain answer, a refusal or policy's reason;
        `approvers` who may approve. A message that was answered with no words has its answer: a card shows what a click
        did, or a file was sent.
        """
        if not request.reply_url or (not text and not jobs and request.state is RequestState.DONE):
            return
        if kind == "question":
            timed = request.inlet in self._with_deadlines and self.has_card(request)
            body = approval_request_text(request, text, now, approvers, self._code_way(request), deadline_told=timed)
            self._enqueue(txn, request, kind, body, (), now)
            return
        views, outputs = self._job_views(txn, request, jobs)
        if request.state is RequestState.DONE and jobs:
            told = [replace(job, replied_at=None) for job in jobs] if self.has_card(request) else jobs
            body = final_text(request, told, outputs, now, _tails(txn, jobs))
        elif text and request.state in (RequestState.DONE, RequestState.REFUSED):
            refused = request.state is RequestState.REFUSED
            body = reply_text.refused_text(request, text) if refused else reply_text.plain_text(text, request.language)
        else:
            body = reply_text.ended_text(request)
        self._enqueue(txn, request, kind, body, views, now)

    def enqueue_waiting(self, txn: Txn, request: Request, jobs: Sequence[Job], now: float) -> None:
        """Machines are offline: says until when their jobs wait."""
        if self.may_update(request):
            views = tuple(_job_view(request, job, "") for job in jobs[:50])
            names = sorted(job.agent for job in jobs)[: reply_text.MAX_REASONS]
            agents = [agent for name in names if (agent := txn.agent(name)) is not None]
            reasons = {agent.name: why for agent in agents if (why := why_away(agent, online=False)) is not None}
            text = reply_text.queued_offline_text(request, jobs, now, reasons)
            self._enqueue(txn, request, "progress", text, views, now, headed=False)

    def enqueue_again(self, txn: Txn, request: Request, job: Job, attempt: int, now: float) -> bool:
        """`job` is unknown, and another attempt is queued; True where a reply was enqueued."""
        if not self.may_update(request):
            return False
        views = (_job_view(request, job, ""),)
        text = reply_text.tried_again_text(request, job, attempt)
        self._enqueue(txn, request, "progress", text, views, now, headed=False)
        return True

    def enqueue_partial(self, txn: Txn, request: Request, jobs: Sequence[Job], news: Sequence[Job], now: float) -> bool:
        """Results that are there while others are awaited; True where a reply was enqueued."""
        if not self.may_update(request):
            return False
        if self.has_card(request):
            news = [job for job in jobs if job.state in JOB_TERMINAL]
        views, outputs = self._job_views(txn, request, news)
        text = partial_text(request, jobs, news, outputs, now, _tails(txn, news))
        self._enqueue(txn, request, "progress", text, views, now)
        return True

    def enqueue_recovery_wait(self, txn: Txn, request: Request, jobs: Sequence[Job], now: float) -> None:
        """Nothing is handed out, since the hub was restored from a backup."""
        if self.may_update(request):
            views = tuple(_job_view(request, job, "") for job in jobs[:50])
            text = reply_text.recovery_wait_text(request)
            self._enqueue(txn, request, "progress", text, views, now, headed=False)

    def enqueue_progress(
        self, txn: Txn, request: Request, job: Job, now: float, away: Mapping[str, float] = reply_text.NOBODY
    ) -> bool:
        """A job is still running, or its machine is not heard of: the end of its output so far; True where a reply was
        enqueued.
        """
        if not self.may_update(request):
            return False
        tail = _read_end(txn, job)
        text = reply_text.progress_text(request, job, tail, now, away)
        self._enqueue(txn, request, "progress", text, (_job_view(request, job, tail),), now, headed=False)
        return True

    def enqueue_summary(self, txn: Txn, request: Request, text: str, now: float) -> bool:
        """A model's summary of output that was sent before; True where a reply was enqueued."""
        if not self.may_update(request):
            return False
        self._enqueue(txn, request, "progress", reply_text.summary_text(request, text), (), now)
        return True

    def enqueue_image_text(self, txn: Txn, request: Request, text: str, now: float) -> bool:
        """The text read from a message's pictures, since nothing is planned from it unseen; True where it was
        enqueued.
        """
        if not request.reply_url:
            return False
        self._enqueue(txn, request, "progress", reply_text.plain_text(text, request.language), (), now)
        return True

    def enqueue_late_outcome(self, txn: Txn, request: Request, job: Job, now: float) -> bool:
        """The outcome of a job that was reported as unknown; True where a reply was enqueued."""
        if not request.reply_url:
            return False
        if self.has_card(request):
            jobs = outcomes(txn.jobs_of(request.id))
            views, outputs = self._job_views(txn, request, jobs)
            text = final_text(request, [replace(one, replied_at=None) for one in jobs], outputs, now, _tails(txn, jobs))
        else:
            views, outputs = self._job_views(txn, request, [job])
            text = late_text(request, job, outputs.get(job.id, ""), now)
        self._enqueue(txn, request, "late", text, views, now)
        return True

    def enqueue_notice(self, txn: Txn, request: Request, text: str, now: float) -> bool:
        """Something that a person has to know and did not ask for, where they wrote `request`; True where it was
        enqueued. It belongs to no request, so it waits for no other reply.
        """
        if not self.may_update(request):
            return False
        content = ReplyContent(
            in_reply_to=message_id(request),
            conversation=request.conversation,
            text=reply_text.plain_text(text, request.language),
            kind="progress",
            thread=request.thread,
        )
        txn.add_reply(
            Reply(
                id=0,
                request_id="",
                inlet=request.inlet,
                kind="progress",
                url=request.reply_url,
                body=content.to_json(),
                created_at=now,
                next_at=now,
            )
        )
        return True

    def enqueue_state(self, txn: Txn, request: Request, text: str, now: float) -> bool:
        """A step on the way that only a card shows: the first of two approvals, the start; True where there is one."""
        if not self.has_card(request):
            return False
        self._enqueue(txn, request, "progress", text, (), now, headed=False)
        return True

    def _code_way(self, request: Request) -> CodeWay:
        return "form" if request.inlet in self._with_forms else "page" if self._has_pages else "words"

    def has_card(self, request: Request) -> bool:
        """Whether the request is shown in one message that moves with it."""
        return request.plan is not None and request.inlet in self._with_cards and bool(request.reply_url)

    def may_update(self, request: Request) -> bool:
        """Whether the request's inlet accepts more than the final reply."""
        return bool(request.reply_url) and self._updates.get(request.inlet, False)

    def _job_views(
        self, txn: Txn, request: Request, jobs: Sequence[Job]
    ) -> tuple[tuple[ReplyJob, ...], dict[str, str]]:
        """Each job with its output, safe to show and bounded, each and in sum; and the outputs by job id."""
        outputs: dict[str, str] = {}
        left = MAX_REPLY_OUTPUT
        for job in jobs:
            if job.state not in JOB_TERMINAL or not job.output_bytes:
                continue
            data = _read_output(txn, job, min(MAX_JOB_OUTPUT, left))
            outputs[job.id] = clean_output(data, limit=MAX_JOB_OUTPUT)
            left -= len(outputs[job.id])
            if left <= 0:
                break
        return tuple(_job_view(request, job, outputs.get(job.id, "")) for job in jobs), outputs

    def _enqueue(
        self,
        txn: Txn,
        request: Request,
        kind: str,
        text: str,
        jobs: tuple[ReplyJob, ...],
        now: float,
        *,
        headed: bool = True,
        file: ReplyFile | None = None,
    ) -> None:
        """`headed`: the text says itself which commands it is about."""
        actions: tuple[str, ...] = ()
        code = ""
        if request.state is RequestState.ASKING:
            actions, code = ("approve", "reject"), approval_code(request)
        elif request.state is RequestState.WORKING:
            actions = ("cancel",)
        card = self.has_card(request)
        if card:
            text = card_text(request, text, txn.approvals(request.id), headed=headed)
            actions = actions or card_actions(jobs)
        content = ReplyContent(
            in_reply_to=message_id(request),
            conversation=request.conversation,
            text=text,
            request=ReplyRequest(request.id, request.number, request.state.value, code),
            jobs=jobs,
            actions=actions,
            kind=kind,
            thread=request.thread,
            card=card,
            language=request.language,
            deadline=request.decide_by if request.state is RequestState.ASKING else None,
            file=file,
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

    # ---- answers to chat commands

    def machines_text(self, inventory: Inventory, language: Language, now: float) -> str:
        return reply_text.machines_text(inventory, language, now)

    def status_text(
        self,
        txn: Txn,
        request: Request,
        jobs: Sequence[Job],
        now: float,
        language: Language,
        away: Mapping[str, float] = reply_text.NOBODY,
    ) -> str:
        return reply_text.status_text(request, jobs, now, language, away)

    def output_text(self, txn: Txn, request: Request, jobs: Sequence[Job], now: float, language: Language) -> str:
        """What came back so far: the outcome of ended jobs, the state of the others with the end of their output."""
        state = Sentence(f"request_is_{request.state.value}")
        if not jobs:
            key = "output_no_plan" if request.state in REQUEST_TERMINAL else "output_not_yet"
            return Sentence(key, {"number": request.number, "state": state}).render(language)
        _, outputs = self._job_views(txn, request, jobs)
        untold = [replace(job, replied_at=None) for job in jobs]
        tails = _tails(txn, jobs) | _ends_so_far(txn, jobs)
        return final_text(replace(request, language=language), untold, outputs, now, tails)

    def takes_files(self, inlet: str) -> bool:
        """Whether the inlet's chat can be given a file."""
        return inlet in self._with_files

    def answer_with_file(self, txn: Txn, request: Request, found: Request, jobs: Sequence[Job], now: float) -> str:
        """Enqueues the answer to the message `request` that brings all kept output of `found` as a file; returns "",
        or why there is none.
        """
        if not self.takes_files(request.inlet):
            return translate(request.language, "file_not_here", number=found.number)
        if not any(has_output(txn, job) for job in jobs):
            key = "file_gone" if any(job.output_bytes for job in jobs) else "more_none"
            return translate(request.language, key, number=found.number)
        if request.reply_url:
            text = translate(request.language, "file_head", number=found.number)
            answered = replace(request, state=RequestState.DONE)
            self._enqueue(txn, answered, "final", text, (), now, file=ReplyFile(found.id, found.number))
        return ""

    def more_text(
        self,
        txn: Txn,
        request: Request,
        jobs: Sequence[Job],
        page: int,
        language: Language,
        *,
        files: bool = False,
    ) -> str:
        """A page of all output that was kept, machine by machine; `files` as of `page_text`."""
        outputs = []
        room = PAGE_BYTES * min(page + 1, MAX_PAGES + 1)
        for job in jobs:
            if room <= 0:
                break
            data = _read_output(txn, job, room)
            outputs.append((job.agent, clean_output(data, limit=PAGE_BYTES * (MAX_PAGES + 1))))
            room -= len(data)
        return page_text(request, outputs, page, language, files=files)

    def overview_text(
        self, txn: Txn, requests: Sequence[Request], inventory: Inventory, now: float, language: Language
    ) -> str:
        depth, oldest = txn.queue_stats()
        return reply_text.overview_text(requests, inventory, depth, oldest, now, language)


def card_actions(jobs: Sequence[ReplyJob]) -> tuple[str, ...]:
    """What the reader of an ended request's card may do next."""
    return ("more", "retry") if any(job.output for job in jobs) else ("retry",)


def _read_output(txn: Txn, job: Job, most: int) -> bytes:
    """The beginning of what a job printed, cut between two characters."""
    data = bytearray()
    after = 0
    while len(data) < most and (chunks := txn.chunks(job.id, after_seq=after, limit=64)):
        for chunk in chunks:
            data += chunk.data
        after = chunks[-1].seq
    return cut_bytes(bytes(data), most)


def _tails(txn: Txn, jobs: Sequence[Job]) -> dict[str, str]:
    """The ends of outputs of which a reply has only the beginning. What was cut off by the cap has no end here."""
    found: dict[str, str] = {}
    for job in jobs:
        if job.output_bytes > MAX_JOB_OUTPUT and not job.truncated and len(found) < MAX_TAILS:
            found[job.id] = _read_end(txn, job)
    return found


def _ends_so_far(txn: Txn, jobs: Sequence[Job]) -> dict[str, str]:
    """The ends of the outputs of jobs that have not ended, of the first MAX_TAILS that said anything."""
    found: dict[str, str] = {}
    for job in jobs:
        if job.state not in JOB_SETTLED and len(found) < MAX_TAILS and (end := _read_end(txn, job)).strip():
            found[job.id] = end
    return found


def _read_end(txn: Txn, job: Job) -> str:
    """The end of what a job has printed until now, cleaned."""
    chunks = txn.chunks(job.id, after_seq=max(0, txn.output_seq(job.id) - TAIL_CHUNKS))
    return clean_output(cut_bytes_front(b"".join(chunk.data for chunk in chunks), TAIL_BYTES))


def _job_view(request: Request, job: Job, output: str) -> ReplyJob:
    argv = request.plan.steps[job.step].argv if request.plan is not None else ()
    return ReplyJob(job.id, job.agent, argv, job.state.value, job.exit_code, output, job.reason, job.notes)
