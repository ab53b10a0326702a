"""The slow lane: messages that are not understood at once wait here for pictures to be read and models to answer.

    submit -> [bounded queue] -> read the pictures, tell what was read -> think -> settle

Nothing here is remembered that the store does not have: after a restart the engine's sweep finds the request again, its
pictures are in the store, sealed, until they have been read, and thinking has no effects, so it may be done twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.errors import UserError
from common.lifecycle import RequestState
from common.seal import CannotOpen, Sealer, context
from common.text import clean_output
from hub.change import Change
from hub.log import logger
from hub.plan.outcome import Exchange
from hub.planner.kept import pack, read_kept
from hub.records import Request, Sealed
from hub.speech import Speech
from hub.store.engine import Store
from hub.store.errors import Conflict
from hub.store.verbs import Txn
from hub.thinking import Note, Seen, Thinker, Thought

AT_ONCE: Final = 64  # messages thought about at a time; models have bounds of their own
MOST_BEFORE: Final = 12  # earlier messages of a conversation that are looked at
MAX_READ: Final = 16 * 1024  # characters of a picture's text, told and kept
_UNREAD: Final = Seen(problem=Sentence("images_unread"))

log = logger("pondering")
Write = Callable[[Callable[[Change], object]], Awaitable[None]]


class Ponderer:
    def __init__(
        self,
        *,
        store: Store,
        write: Write,
        thinker: Thinker,
        sealer: Sealer,
        speech: Speech,
        settle: Callable[[Change, Request, Thought], None],
        give_up: Callable[[Request], Awaitable[None]],
        clock: Callable[[], float],
        room: int,
        memory: float,
    ) -> None:
        """`room` messages may wait; those of the last `memory` seconds of a conversation are looked at."""
        self._store = store
        self._write = write
        self._thinker = thinker
        self._sealer = sealer
        self._speech = speech
        self._settle = settle
        self._give_up = give_up
        self._clock = clock
        self._memory = memory
        self._queue: asyncio.Queue[tuple[Request, str]] = asyncio.Queue(room)
        self._in_hand: set[str] = set()
        self._thinking = 0

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._in_hand

    def submit(self, request: Request, text: str) -> bool:
        """Takes a message; False where too many wait."""
        if request.id in self._in_hand:
            return True
        try:
            self._queue.put_nowait((request, text))
        except asyncio.QueueFull:
            return False
        self._in_hand.add(request.id)
        return True

    @property
    def thinking(self) -> int:
        return self._thinking

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for index in range(AT_ONCE):
                tasks.create_task(self._worker(), name=f"ponderer {index}")

    async def _worker(self) -> None:
        while True:
            request, text = await self._queue.get()
            self._thinking += 1
            try:
                await self.ponder(request, text)
            except (UserError, Conflict):
                log.exception("request.not_planned", request=request.id)  # the store's trouble: a sweep tries again
            except Exception:
                log.exception("request.plan_failed", request=request.id)
                await self._give_up(request)
            finally:
                self._thinking -= 1
                self._in_hand.discard(request.id)

    async def ponder(self, request: Request, text: str) -> None:
        """Thinks about one message, and commits what came of it with what was asked and answered on the way."""
        begun = self._clock()
        seen = await self._look(request)
        thread = await self._thread(request)
        thought = await self._thinker.at_length(request, text, thread, seen)
        seconds = self._clock() - begun

        def unit(change: Change) -> None:
            current = change.txn.request(request.id)
            if current is None or current.state is not RequestState.RECEIVED:
                return
            for note in thought.notes:
                self._keep(change.txn, current, note, change.now)
            self._settle(change, current, thought)
            change.effects.stages += [("wait", begun - request.received_at), ("think", seconds), *thought.stages]

        await self._write(unit)

    # ---- pictures

    async def _look(self, request: Request) -> Seen | None:
        """What the message's pictures say; told in chat, and kept, before anything is planned from it."""
        papers = await self._store.read(lambda txn: txn.sealed_of(request.id))
        readings = [paper for paper in papers if paper.kind == "reading"]
        if readings:  # read before a restart
            return Seen(self._opened(request, readings[-1].data).decode())
        pictures = [self._opened(request, paper.data) for paper in papers if paper.kind == "picture"]
        if not pictures:
            return None
        eyes = self._thinker.eyes
        seen = _UNREAD if eyes is None else await eyes.read(pictures)
        facts = {"pictures": len(pictures), "characters": len(seen.text)}

        def unit(change: Change) -> None:
            txn = change.txn
            txn.drop_sealed(request.id, "picture")
            if seen.problem is not None:
                txn.audit("picture.unread", request.id, "hub", {**facts, "problem": str(seen.problem)}, change.now)
                return
            self._keep(txn, request, Note("reading", seen.text[:MAX_READ], facts), change.now)
            change.effects.replies |= self._speech.picture(txn, request, shown(seen, request), change.now)
            change.effects.stages.append(("read", seen.seconds))

        await self._write(unit)
        return seen

    def _opened(self, request: Request, data: bytes) -> bytes:
        try:
            return self._sealer.open(data, place_of(request.id))
        except CannotOpen:
            raise UserError(
                f"r{request.number}: what is sealed with it cannot be opened",
                "put the key that sealed it back into the file of [store] seal_key_file",
            ) from None

    # ---- what came before

    async def _thread(self, request: Request) -> tuple[Exchange, ...]:
        """Earlier messages of this conversation, the newest last. Only those of people that the hub knows."""
        if not self._memory:
            return ()
        since = request.received_at - self._memory

        def unit(txn: Txn) -> list[tuple[Request, list[Sealed]]]:
            before = [one for one in txn.said_before(request, since, MOST_BEFORE) if one.person]
            return [(one, [] if one.plan is not None else txn.sealed_of(one.id)) for one in reversed(before)]

        return tuple(self._exchange(one, papers, request.person) for one, papers in await self._store.read(unit))

    def _exchange(self, earlier: Request, papers: list[Sealed], person: str) -> Exchange:
        """An earlier message, with what a model answered to it in words."""
        exchange = Exchange(
            earlier.text, _own(earlier, person), earlier.received_at, earlier.plan, asked=earlier.approvers > 0
        )
        answers = [paper for paper in papers if paper.kind == "answer"]
        if not answers:
            return exchange
        try:
            kept = read_kept(self._sealer.open(answers[-1].data, place_of(earlier.id)).decode("utf-8", "replace"))
        except CannotOpen:
            kept = None  # of a key that is gone: the message is understood without it, or not
        if kept is None:
            return exchange
        return replace(exchange, answer=kept.said, asks=kept.asks, tainted=kept.tainted)

    def _keep(self, txn: Txn, request: Request, note: Note, now: float) -> None:
        keep(txn, self._sealer, request, note, now)


def keep(txn: Txn, sealer: Sealer, request: Request, note: Note, now: float) -> None:
    """Seals a note with its request; the audit has its facts and digest."""
    data = note.text.encode("utf-8", "replace")
    kept = pack(note.text) if note.kind == "prompt" else data
    txn.add_sealed(request.id, note.kind, sealer.seal(kept, place_of(request.id)), now)
    facts = {**note.facts, "sha256": hashlib.sha256(data).hexdigest()}
    kind = "picture.read" if note.kind == "reading" else f"model.{note.kind}"
    txn.audit(kind, request.id, request.person, facts, now)


def _own(earlier: Request, person: str) -> bool:
    """Whether its words are this person's: of an edited request the plan is the editor's, and the words are not."""
    return earlier.person == person and not earlier.behalf


def place_of(request_id: str) -> str:
    """The context that everything sealed with a request is bound to."""
    return context("sealed", "data", request_id)


def shown(seen: Seen, request: Request) -> str:
    """What was read, for people: whole, with the lines that tell most set apart where there are many."""
    text = clean_output(seen.text.encode(), limit=MAX_READ)
    said = Sentence("picture_read", {"text": text}).say(request.language)
    if seen.key_lines and len(text.splitlines()) > len(seen.key_lines) + 2:
        lines = clean_output("\n".join(seen.key_lines).encode(), limit=MAX_READ)
        said += "\n" + Sentence("picture_key_lines", {"lines": lines}).say(request.language)
    if seen.note is not None:
        said += "\n" + seen.note.say(request.language)
    return said
