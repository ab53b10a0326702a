"""Checkpoints as time goes, and their way to the witnesses. Nothing here holds up the writer or another witness.

checkpoint()   every few seconds: sign what was added; the file and syslog get a note a minute
run()          the places that are further away, each with its own retries
close()        as the hub stops: one more checkpoint, told everywhere that answers at once
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from common.errors import UserError
from common.identity.signing import SigningKey
from hub.chat.http_client import open_session
from hub.core.audit_chain import Checkpoint
from hub.log import logger
from hub.store.store import Store
from hub.witness.places import PUT_SECONDS, Place, WitnessFailed
from hub.witness.signer import CheckpointSigner, Refused

NEAR_EVERY: Final = 60.0
"""How often the file and syslog get a note."""
TICK: Final = 1.0
FIRST_RETRY: Final = 10.0
LAST_RETRY: Final = 600.0
CLOSE_SECONDS: Final = 3.0
PATIENCE: Final = 900.0
"""Seconds for which a witness may fail before a person is asked to look."""
SIGNING: Final = "checkpoint"
"""The name under which it is told that nothing is signed."""

log = logger("audit")


@dataclass(slots=True)
class PlaceState:
    """What a place has and how it is; times are seconds since the epoch, 0.0 where it did not happen."""

    name: str
    every: float
    seq: int = 0  # of the newest note that it took
    at: float = 0.0  # when it took that
    failing_since: float = 0.0
    problem: str = ""
    failures: int = 0
    next_at: float = 0.0

    def is_due(self, mark: Checkpoint, now: float) -> bool:
        return mark.seq > self.seq and now >= self.next_at

    def took(self, mark: Checkpoint, now: float) -> None:
        self.seq, self.at, self.next_at = mark.seq, now, now + self.every
        self.failing_since, self.problem, self.failures = 0.0, "", 0

    def failed(self, problem: str, now: float) -> None:
        self.problem, self.failing_since = problem, self.failing_since or now
        self.next_at = now + min(LAST_RETRY, FIRST_RETRY * 2**self.failures)
        self.failures = min(self.failures + 1, 16)

    def needs_person(self, now: float) -> bool:
        return bool(self.problem) and (self.name == SIGNING or now - self.failing_since >= PATIENCE)


class Witnesses:
    def __init__(
        self,
        *,
        store: Store,
        signer: CheckpointSigner,
        before: SigningKey | None,
        near: Sequence[Place],
        far: Sequence[Place],
        every: float,
        clock: Callable[[], float],
    ) -> None:
        """`before` is the key that signed before there was one for this alone; `near` answer at once."""
        self._store = store
        self._signer = signer
        self._before = before
        self._clock = clock
        self._newest: Checkpoint | None = None
        self._signing = PlaceState(SIGNING, 0.0)
        self._near = [(place, PlaceState(place.name, NEAR_EVERY)) for place in near]
        self._every = every
        self._far = [(place, PlaceState(place.name, every)) for place in far]
        self._one_at_a_time = asyncio.Lock()
        self.session: aiohttp.ClientSession | None = None

    def add_far(self, place: Place) -> None:
        """A place that calls with `open_session`."""
        self._far.append((place, PlaceState(place.name, self._every)))

    def states(self) -> list[PlaceState]:
        """Signing first, then the places."""
        return [self._signing, *(state for _, state in (*self._near, *self._far))]

    def open_session(self) -> aiohttp.ClientSession:
        """The pool for places that are called by HTTP; raises WitnessFailed where none is open."""
        if self.session is None:
            raise WitnessFailed("the hub is starting or stopping")
        return self.session

    async def checkpoint(self, *, final: bool = False) -> None:
        """`final`: the places near get it now, whenever they had the last one."""
        async with self._one_at_a_time:
            now = self._clock()
            try:
                if self._signer.needs_announcing:
                    await self._store.write(lambda txn: self._signer.announce(txn, self._before, now))
                while await self._store.read(self._signer.advance):
                    pass
                if self._newest is None or self._signer.is_ahead_of(self._newest):
                    self._newest = await self._store.write(lambda txn: self._signer.sign(txn, now))
            except (Refused, UserError) as error:
                self._tell_refusal(str(error), now)
                return
            if self._signing.problem:
                log.info("audit.signed_again", seq=self._newest.seq if self._newest is not None else 0)
            if self._newest is not None:
                self._signing.took(self._newest, now)
                await self._put_all(self._near, self._newest, now, at_once=final)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with self._sessions():
            try:
                await self.checkpoint()
            except Exception:  # the timer that calls it again tells of what goes on
                log.exception("audit.not_signed")
            while True:
                await self.tick()
                await asyncio.sleep(TICK)

    async def tick(self) -> None:
        """Every place further away that is due."""
        if self._newest is not None:
            await self._put_all(self._far, self._newest, self._clock(), at_once=False)

    async def close(self) -> None:
        await self.checkpoint(final=True)
        if self._newest is None or not self._far:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS), self._sessions():
                await self._put_all(self._far, self._newest, self._clock(), at_once=True)
        except TimeoutError:
            log.warning("audit.unwitnessed", reason="a witness did not answer while the hub stopped")

    @asynccontextmanager
    async def _sessions(self) -> AsyncIterator[None]:
        async with open_session(connections=4, per_host=2, seconds=PUT_SECONDS) as session:
            self.session = session
            try:
                yield
            finally:
                self.session = None

    async def _put_all(
        self, places: Iterable[tuple[Place, PlaceState]], mark: Checkpoint, now: float, *, at_once: bool
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            for place, state in places:
                if state.is_due(mark, now) or (at_once and mark.seq > state.seq):
                    tasks.create_task(self._put(place, state, mark, now), name=f"witness-{place.name}")

    async def _put(self, place: Place, state: PlaceState, mark: Checkpoint, now: float) -> None:
        try:
            async with asyncio.timeout(PUT_SECONDS + 5.0):
                await place.put(mark, now)
        except (WitnessFailed, TimeoutError, UserError) as error:
            self._tell_failure(state, str(error) or "no answer in time", now)
            return
        except Exception as error:  # one place must not stop the others, nor the hub
            log.exception("audit.witness_failed", witness=place.name)
            self._tell_failure(state, type(error).__name__, now)
            return
        if state.problem:
            log.info("audit.witness_back", witness=place.name, seq=mark.seq)
        state.took(mark, now)

    def _tell_failure(self, state: PlaceState, reason: str, now: float) -> None:
        if not state.problem:
            log.warning("audit.witness_failed", witness=state.name, reason=reason)
        state.failed(reason, now)

    def _tell_refusal(self, reason: str, now: float) -> None:
        if self._signing.problem != reason:
            cure = "answerback-hub audit verify; after a restored backup: answerback-hub recover"
            log.error("audit.not_signed", reason=reason, cure=cure)
        self._signing.failed(reason, now)
