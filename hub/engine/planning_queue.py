"""The planning queue: messages that cannot be planned at once wait here for pictures to be read and models to answer.

    submit -> [bounded queue] -> fetch the pictures that are only named -> read the pictures, reply with their text
           -> plan -> apply the outcome

Nothing is in memory alone: after a restart the sweep of `hub.engine.intake` finds the request again, its pictures, or
their names, are in the store, sealed, until they have been read, and planning has no effects, so it may be done twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.errors import UserError
from common.identity.sealing import Sealer, UnsealError, context
from common.lifecycle import RequestState
from common.text import clean_output
from hub.chat.compose import ReplyComposer
from hub.core.fair_queue import NEVER, FairQueue, Key
from hub.core.outcome import Exchange, ImageText, PlanningResult, SealedNote
from hub.core.records import Request, SealedItem
from hub.engine.picture_records import Fetched, FetchPictures, fetch_all, open_picture_ref
from hub.engine.unit_of_work import UnitOfWork, WriteUnit
from hub.log import bind_ids, logger
from hub.planning.llm.transcript import compress_prompt, parse_transcript
from hub.planning.service import PlanningService
from hub.store.errors import Conflict
from hub.store.store import Store
from hub.store.transaction import Txn

WORKERS: Final = 64  # messages planned at a time; models have bounds of their own
ACTS, PLANS = 0, 1
PLANS_FLOOR: Final = 4  # acts that go before a plan, at most, while one waits
MAX_HISTORY: Final = 12  # earlier messages of a conversation that a plan may refer to
MAX_IMAGE_TEXT: Final = 16 * 1024  # characters of a picture's text, in the reply and in the store
_NO_IMAGE_READER: Final = ImageText(problem=Sentence("images_unread"))

log = logger("pondering")


class PlanningQueue:
    def __init__(
        self,
        *,
        store: Store,
        write: WriteUnit,
        planning_service: PlanningService,
        sealer: Sealer,
        composer: ReplyComposer,
        apply_outcome: Callable[[UnitOfWork, Request, PlanningResult, tuple[int, ...]], None],
        on_failure: Callable[[Request], Awaitable[None]],
        clock: Callable[[], float],
        queue_size: int,
        history_seconds: float,
        fetch_pictures: FetchPictures | None = None,
    ) -> None:
        """`queue_size` messages may wait; a plan may refer to messages of the last `history_seconds` seconds."""
        self._fetch_pictures = fetch_pictures
        self._store = store
        self._write = write
        self._planning_service = planning_service
        self._sealer = sealer
        self._composer = composer
        self._apply_outcome = apply_outcome
        self._on_failure = on_failure
        self._clock = clock
        self._history_seconds = history_seconds
        self._queue: FairQueue[tuple[Request, str, tuple[int, ...]]] = FairQueue((NEVER, PLANS_FLOOR), total=queue_size)
        self._put = asyncio.Semaphore(0)  # as often as there is something in the queue
        self._pending_ids: set[str] = set()
        self._active = 0

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._pending_ids

    def submit(self, request: Request, text: str, steps: tuple[int, ...] = (), *, act: bool = False) -> bool:
        """Takes a message, and the steps of the codes that were said in it; False where too many wait. An `act` goes
        before what is planned by models; people take turns.
        """
        if request.id in self._pending_ids:
            return True
        key = Key(request.inlet, request.person or f"?{request.chat_user}")
        if not self._queue.put(ACTS if act else PLANS, key, (request, text, steps)):
            return False
        self._pending_ids.add(request.id)
        self._put.release()
        return True

    @property
    def active(self) -> int:
        return self._active

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for index in range(WORKERS):
                tasks.create_task(self._worker(), name=f"planning queue {index}")

    async def _worker(self) -> None:
        while True:
            await self._put.acquire()
            entry = self._queue.pop()
            assert entry is not None  # noqa: S101 - one for each release
            request, text, steps = entry
            self._active += 1
            try:
                await self.plan(request, text, steps)
            except (UserError, Conflict):
                log.exception("request.not_planned", request=request.id)  # the store's trouble: a sweep tries again
            except Exception:
                log.exception("request.plan_failed", request=request.id)
                await self._on_failure(request)
            finally:
                self._active -= 1
                self._pending_ids.discard(request.id)

    async def plan(self, request: Request, text: str, steps: tuple[int, ...] = ()) -> None:
        """Plans one message, and commits the outcome with the prompts and answers that led to it."""
        started_at = self._clock()
        image_text = await self._read_images(request, text)
        history = await self._load_history(request)
        result = await self._planning_service.plan_slow(request, text, history, image_text)
        seconds = self._clock() - started_at

        def unit(uow: UnitOfWork) -> None:
            current = uow.txn.request(request.id)
            if current is None or current.state is not RequestState.RECEIVED:
                return
            for note in result.notes:
                seal_note(uow, self._sealer, current, note)
            self._apply_outcome(uow, current, result, steps)
            uow.effects.stages += [("wait", started_at - request.received_at), ("think", seconds), *result.stages]

        await self._write(unit)

    # ---- pictures

    async def _read_images(self, request: Request, words: str) -> ImageText | None:
        """The text of the message's pictures, replied to chat and stored before anything is planned from it. Why one
        could not be read is replied too; where the message has no `words` beside it, that is left to its refusal.
        """
        items = await self._store.read(lambda txn: txn.sealed_of(request.id))
        readings = [item for item in items if item.kind == "reading"]
        if readings:  # read before a restart
            return ImageText(self._unseal(request, readings[-1].data).decode())
        kept = [item.data for item in items if item.kind == "picture"]
        if not kept:
            return None
        image_text, problems = await self._fetch_and_read(request, kept)
        facts = {"pictures": len(kept), "characters": len(image_text.text)}

        def unit(uow: UnitOfWork) -> None:
            txn = uow.txn
            txn.drop_sealed(request.id, "picture")
            for problem in problems:
                uow.audit("picture.unread", request.id, "hub", {**facts, "problem": str(problem)})
            said = [problem.render(request.language) for problem in problems]
            if image_text.problem is None:
                seal_note(uow, self._sealer, request, SealedNote("reading", image_text.text[:MAX_IMAGE_TEXT], facts))
                uow.effects.stages.append(("read", image_text.seconds))
                said.insert(0, image_text_reply(image_text, request))
            elif not words.strip():
                return
            uow.effects.replies |= self._composer.enqueue_image_text(txn, request, "\n".join(said), uow.now)

        await self._write(unit)
        return image_text

    async def _fetch_and_read(self, request: Request, kept: list[bytes]) -> tuple[ImageText, tuple[Sentence, ...]]:
        """What the pictures say, those that are only named fetched first; and why some do not."""
        if (reader := self._planning_service.image_reader) is None:
            return _NO_IMAGE_READER, (Sentence("images_unread"),)
        pictures, named = [], []
        for data in kept:
            if (ref := open_picture_ref(self._sealer, request.id, data)) is not None:
                named.append(ref)
            else:
                pictures.append(self._unseal(request, data))
        fetched = Fetched()
        if named:
            with bind_ids(request=request.id):
                fetched = await fetch_all(self._fetch_pictures, request.inlet, named)
        pictures += fetched.pictures
        if not pictures:
            return ImageText(problem=fetched.problems[0]), fetched.problems
        image_text = await reader.read(pictures)
        unread = () if image_text.problem is None else (image_text.problem,)
        return image_text, (*unread, *fetched.problems)

    def _unseal(self, request: Request, data: bytes) -> bytes:
        try:
            return self._sealer.open(data, seal_context(request.id))
        except UnsealError:
            raise UserError(
                f"r{request.number}: what is sealed with it cannot be opened",
                "put the key that sealed it back into the file of [store] seal_key_file",
            ) from None

    # ---- earlier messages

    async def _load_history(self, request: Request) -> tuple[Exchange, ...]:
        """Earlier messages of this conversation, the newest last. Only those of people that the hub knows."""
        if not self._history_seconds:
            return ()
        since = request.received_at - self._history_seconds

        def unit(txn: Txn) -> list[tuple[Request, list[SealedItem]]]:
            before = reversed(txn.earlier_requests(request, since, MAX_HISTORY))
            known = (one if txn.rows.is_authentic(one) else replace(one, plan=None) for one in before)
            return [(one, txn.sealed_of(one.id) if one.person and one.plan is None else []) for one in known]

        earlier = await self._store.read(unit)
        newest = newest_told([one for one, _ in earlier], request.received_at)
        exchanges = ((one, self._exchange(one, items, request.person)) for one, items in earlier if one.person)
        return tuple(replace(made, is_newest=one is newest) for one, made in exchanges)

    def _exchange(self, earlier: Request, sealed_items: list[SealedItem], person: str) -> Exchange:
        """An earlier message, with what a model answered to it in words."""
        refused = earlier.state is RequestState.REFUSED and earlier.plan is None
        exchange = Exchange(
            earlier.text,
            _is_own(earlier, person),
            earlier.received_at,
            earlier.plan,
            asked=earlier.approvers > 0,
            refused=earlier.rule if refused else "",
            reason=earlier.reason if refused else "",
            told_at=told_at(earlier) or 0.0,
        )
        answers = [item for item in sealed_items if item.kind == "answer"]
        if not answers:
            return exchange
        try:
            transcript = parse_transcript(
                self._sealer.open(answers[-1].data, seal_context(earlier.id)).decode("utf-8", "replace")
            )
        except UnsealError:
            transcript = None  # of a key that is gone: the message is planned without it
        if transcript is None:
            return exchange
        return replace(exchange, answer=transcript.said, asks=transcript.asks, tainted=transcript.tainted)


def told_at(request: Request) -> float | None:
    """When a request's sender was last told something of it, in seconds since the epoch; None before that."""
    return max(
        (at for at in (request.planned_at, request.decided_at, request.ended_at) if at is not None), default=None
    )


def newest_told(requests: Sequence[Request], now: float) -> Request | None:
    """Of a conversation's requests, the newest last, the one after whose answer nothing was said or told there until
    `now`; None where there is none: the last message had no answer yet, or was followed by news of an earlier one.
    """
    last_told = told_at(requests[-1]) if requests else None
    if last_told is None or last_told > now or any((told_at(one) or 0.0) > last_told for one in requests):
        return None
    return requests[-1]


def seal_note(uow: UnitOfWork, sealer: Sealer, request: Request, note: SealedNote) -> None:
    """Seals a note with its request; the audit has its facts and digest."""
    data = note.text.encode("utf-8", "replace")
    stored = compress_prompt(note.text) if note.kind == "prompt" else data
    uow.txn.add_sealed(request.id, note.kind, sealer.seal(stored, seal_context(request.id)), uow.now)
    facts = {**note.facts, "sha256": hashlib.sha256(data).hexdigest()}
    kind = "picture.read" if note.kind == "reading" else f"model.{note.kind}"
    uow.audit(kind, request.id, request.person, facts)


def _is_own(earlier: Request, person: str) -> bool:
    """Whether its text is this person's: of an edited request the plan is the editor's, and the text is not."""
    return earlier.person == person and not earlier.behalf


def seal_context(request_id: str) -> str:
    """The context that everything sealed with a request is bound to."""
    return context("sealed", "data", request_id)


def image_text_reply(image_text: ImageText, request: Request) -> str:
    """What was read, for people: whole, with the most telling lines set apart where there are many."""
    text = clean_output(image_text.text.encode(), limit=MAX_IMAGE_TEXT)
    said = Sentence("picture_read", {"text": text}).render(request.language)
    if image_text.key_lines and len(text.splitlines()) > len(image_text.key_lines) + 2:
        lines = clean_output("\n".join(image_text.key_lines).encode(), limit=MAX_IMAGE_TEXT)
        said += "\n" + Sentence("picture_key_lines", {"lines": lines}).render(request.language)
    if image_text.warning is not None:
        said += "\n" + image_text.warning.render(request.language)
    return said
