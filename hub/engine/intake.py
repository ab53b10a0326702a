"""Messages: accepted, planned, judged and leased in one commit where they are understood at once.

    webhook, socket -> [fair line] -> accept: commit, with its plan, judgement, jobs and their lease
                                        `-> the planning queue, where it takes pictures, earlier messages or a model

A message stands in line before anything of it is stored: inlets and people take turns, what decides and asks goes
before what plans, and who would wait for longer than a moment is asked to come again instead (`Receipt("busy")`). A few
at a time are in the store.

What was committed and not planned is found by `sweep`. Only this process has a message's second-factor code; the store
has it masked (`said_codes`). A crash after the commit and before the order left is the same as ever: the job is leased,
and the machine's next report says that it does not have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ulid import ULID

from common.catalogue import Sentence, detect_language
from common.crashpoints import crashpoint
from common.errors import UserError
from common.identity.sealing import Sealer
from common.lifecycle import RequestState
from hub.chat.compose import ReplyComposer
from hub.chat.platforms.base import MAX_PICTURE_REFS, IncomingMessage
from hub.config import HubConfig
from hub.core.echo_guard import EchoGuard
from hub.core.fair_queue import NEVER, DrainRate, Key, Turn, Turns
from hub.core.outcome import CannotPlan, ChatCommand, Planned, PlanningOutcome
from hub.core.rate_limits import TokenBuckets
from hub.core.receipt import Receipt
from hub.core.records import Request
from hub.core.recovery import REASON as RESTORED
from hub.core.repeated_message import edit_event_id, is_same_message
from hub.core.sender_limits import SenderLimits
from hub.engine.chat_actions import ChatActions
from hub.engine.dispatch import Dispatcher, Places
from hub.engine.earlier_messages import MAX_EARLIER, asks
from hub.engine.effects import Effects, Place
from hub.engine.fair_line import FairLine, LineFull
from hub.engine.not_taken import NotTaken
from hub.engine.outcomes import OutcomeApplier, actor_of
from hub.engine.picture_records import FetchPictures, seal_picture_ref
from hub.engine.planning_queue import PlanningQueue, seal_context
from hub.engine.recovery_state import RecoveryState
from hub.engine.said_codes import SaidCodes, gives_code
from hub.engine.standing_approvals import StandingApprovals
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.identity.agents import AgentRegistry
from hub.identity.people import PeopleDirectory
from hub.log import logger
from hub.metrics import Metrics
from hub.planning.chat_commands import redact
from hub.planning.link_words import without_link_code
from hub.planning.service import PlanningService
from hub.store.errors import Conflict, StoreBusy, StoreFull, StoreLost
from hub.store.store import Store

SWEEPERS: Final = 4
"""Swept requests that are planned at a time."""
MAX_SWEPT: Final = 10_000
AT_A_TIME: Final = 4
"""Messages in the store at a time, of one sender one: few, so that a newcomer waits for few."""
MAX_LINE: Final = 4_096  # messages that wait
MAX_SENDER: Final = 512  # of one person, or stranger
ACTS, MESSAGES = 0, 1
MESSAGES_FLOOR: Final = 4
"""Acts that go before a message, at most, while one waits."""
_STORE: Final = (StoreBusy, StoreFull, StoreLost)
STRANGER_ANSWERS: Final = 2.0
"""How often somebody whom nobody knows is told so in a conversation, before the next time in STRANGER_PAUSE."""
STRANGER_PAUSE: Final = 600.0
NEWEST: Final = 2**62  # the number of a message that has none yet, after all others
FLEET_VERBS: Final = frozenset({"pause", "resume"})
"""Chat commands after which the fleet is read again at once."""

log = logger("engine")


class Intake:
    def __init__(
        self,
        *,
        store: Store,
        units: UnitOfWorkRunner,
        people: PeopleDirectory,
        fleet: AgentRegistry,
        planning_service: PlanningService,
        sealer: Sealer,
        composer: ReplyComposer,
        chat_actions: ChatActions,
        said_codes: SaidCodes,
        echo_guard: EchoGuard,
        config: HubConfig,
        metrics: Metrics,
        clock: Callable[[], float],
        wall: Callable[[], float],
        recovery: RecoveryState | None = None,
        fetch_pictures: FetchPictures | None = None,
        standing: StandingApprovals,
        dispatcher: Dispatcher,
        places: Places,
    ) -> None:
        self._store = store
        self._recovery = recovery or RecoveryState()
        self._units = units
        self._people = people
        self._fleet = fleet
        self._planning_service = planning_service
        self._sealer = sealer
        self._said_codes = said_codes
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._wall = wall  # by which a second factor's codes are good
        self._dispatcher = dispatcher
        self._places = places
        self._outcomes = OutcomeApplier(
            chat_actions=chat_actions,
            said_codes=said_codes,
            standing=standing,
            has_model=lambda: planning_service.has_model,
            config=lambda: self._config,
        )
        turns: Turns[asyncio.Future[None]] = Turns((NEVER, MESSAGES_FLOOR), total=MAX_LINE, per_key=MAX_SENDER)
        self._line = FairLine(turns, AT_A_TIME, clock, DrainRate())
        self._swept: asyncio.Queue[tuple[Request, str, int]] = asyncio.Queue(MAX_SWEPT)
        self._echo_guard = echo_guard
        self._sender_limits = SenderLimits(config.http.person_rate, config.http.conversation_rate)
        self._not_taken = NotTaken(units, composer)
        self._strangers = TokenBuckets(1 / STRANGER_PAUSE, STRANGER_ANSWERS)
        self._pending_ids: set[str] = set()
        self._active = 0
        self._planning_queue = PlanningQueue(
            store=store,
            write=units.write,
            planning_service=planning_service,
            sealer=sealer,
            composer=composer,
            apply_outcome=lambda uow, request, result, steps: self._outcomes.apply(uow, request, result.outcome, steps),
            on_failure=self._refuse_failed,
            clock=clock,
            queue_size=config.planning.queue,
            history_seconds=config.planning.conversation,
            fetch_pictures=fetch_pictures,
        )

    # ---- accepting

    @property
    def in_line(self) -> int:
        """Messages that wait for their turn."""
        return self._line.waiting

    async def accept(self, inlet: str, incoming: IncomingMessage, *, retried: bool = True) -> Receipt:
        """Commits a verified message. When this returns it is on disk, and only then may the webhook be answered
        2xx; but a message that would wait too long, one over its sender's rate, or that only repeats what we said, is
        not stored. Not `retried`: whoever brings it brings it once, so that its sender is told where it is not taken.
        """
        self._store.refuse_when_full()
        person = self._people.find_by_chat(inlet, incoming.user)
        kind = ACTS if person and self._planning_service.is_act(inlet, incoming.text) else MESSAGES
        turn = Turn(kind, Key(inlet, person or f"?{incoming.user}"))
        if (wait := self._line.refuse(turn)) is not None:
            return await self._busy(inlet, incoming, turn, wait, retried)
        request, steps = self._new_request(inlet, incoming)
        if not incoming.addressed and not await self._is_for_us(request, incoming.text):
            return Receipt("ignored")
        if (refused := self._check_sender(request, incoming.text)) is not None:
            return refused
        self._active += 1
        try:
            await self._line.enter(turn)
            try:
                receipt, outcome = await self._accept(request, incoming, steps)
            finally:
                self._line.leave(turn)
        except LineFull as full:
            return await self._busy(inlet, incoming, turn, full.wait, retried)
        finally:
            self._active -= 1
        await self._refresh_after(outcome)
        return receipt

    async def _busy(self, inlet: str, incoming: IncomingMessage, turn: Turn, wait: float, retried: bool) -> Receipt:
        """Nothing is stored of the message; its sender is told so in chat where it does not come again by itself."""
        self._metrics.count_message(inlet, "busy")
        if not retried and self._not_taken.may_tell(turn.key, self._clock()):
            await self._not_taken.tell(self._new_request(inlet, incoming)[0], wait)
        return Receipt("busy", wait=wait)

    async def _accept(
        self, request: Request, incoming: IncomingMessage, steps: tuple[int, ...]
    ) -> tuple[Receipt, PlanningOutcome | None]:
        """Plans a message whose turn it is, as far as that takes no waiting, and commits it with what comes of it."""
        inlet, started_at = request.inlet, self._clock()
        pictures = [self._sealer.seal(image, seal_context(request.id)) for image in incoming.images]
        pictures += [seal_picture_ref(self._sealer, request.id, one) for one in incoming.pictures[:MAX_PICTURE_REFS]]
        outcome: PlanningOutcome | None
        # Unknown to the store, but from before a restored backup came into force: it may have been done.
        if self._recovery.is_older(incoming.sent_at) or (inlet, request.event_id) in self._recovery.taken:
            text, outcome = incoming.text, CannotPlan(Sentence("recovery_old_message"), RESTORED)
        else:
            text, outcome, steps = self._plan_fast(request, incoming.text, len(pictures))
        stages = [("wait", started_at - request.received_at), ("think", self._clock() - started_at)]
        places: list[Place] = self._places.hold_for(outcome.plan) if isinstance(outcome, Planned) else []
        judged: list[Request] = []  # once its outcome is being applied

        def unit_of(said: PlanningOutcome | None) -> Callable[[UnitOfWork], Request | Receipt]:
            def unit(uow: UnitOfWork) -> Request | Receipt:
                if incoming.edited and uow.txn.request_by_event(inlet, request.event_id) is None:
                    return Receipt("ignored")  # what was said first was not for us, and an edit is never a first
                added = uow.txn.add_request(request)
                if added is None:
                    return self._refuse_repeated(uow, request, steps)
                uow.txn.taken = inlet, request.event_id
                for picture in pictures:
                    uow.txn.add_sealed(added.id, "picture", picture, uow.now)
                uow.audit("message.accepted", added.id, actor_of(added), _accepted_data(added, len(pictures)))
                if said is not None:
                    judged.append(added)
                    self._outcomes.apply(uow, added, said, steps)
                    self._dispatcher.lease_in(uow, places)
                    uow.effects.stages += stages
                return added

            return unit

        # Pending before it is stored: a sweep that found it first would plan from the stored text, which has no code.
        self._pending_ids.add(request.id)
        try:
            try:
                added, effects = await self._units.commit(unit_of(outcome))
            except Exception as error:
                if not judged or isinstance(error, _STORE):
                    raise  # it may have been committed all the same: then a sweep finds it
                added, effects = await self._accept_unplanned(unit_of(None), error)
            self._units.publish(effects)
            if isinstance(added, Receipt):
                self._metrics.count_message(inlet, added.status)
                return added, None
            self._metrics.count_message(inlet, "accepted")
            if outcome is None:
                await self._plan_later(added, text, steps)
            return Receipt("accepted", added.id, added.number), outcome
        finally:
            self._places.free_all(places)
            self._pending_ids.discard(request.id)

    async def _accept_unplanned(
        self, unit: Callable[[UnitOfWork], Request | Receipt], error: Exception
    ) -> tuple[Request | Receipt, Effects]:
        """Takes a message alone. A sweep tries again where there was a conflict; a fault of our own is told, once."""
        log.error("request.plan_failed", exc_info=error)
        added, effects = await self._units.commit(unit)
        if isinstance(added, Request) and not isinstance(error, UserError | Conflict):
            await self._refuse_failed(added)
        return added, effects

    def _plan_fast(
        self, request: Request, text: str, pictures: int
    ) -> tuple[str, PlanningOutcome | None, tuple[int, ...]]:
        """The message's text without the codes that were said in it, what its planner says at once, None where that
        takes more than a moment, and the codes' steps. Planning has no effects: it may be done again.
        """
        crashpoint("plan.begun")
        without, steps = self._find_codes(request, text)
        try:
            outcome = self._planning_service.plan_fast(request, text, pictures)
            if steps and not gives_code(outcome):
                outcome = self._planning_service.plan_fast(request, without, pictures)
            kept = self._said_codes.without_shapes(without, self._people.row(request.person))
            if kept != without and not (isinstance(outcome, Planned) or gives_code(outcome)):
                without, outcome = kept, self._planning_service.plan_fast(request, kept, pictures)
        except Exception:
            log.exception("request.plan_failed", request=request.id)
            outcome = CannotPlan(Sentence("plan_failed"), "hub")
        crashpoint("plan.made")
        return without, outcome, steps

    async def _plan_later(self, request: Request, text: str, steps: tuple[int, ...]) -> None:
        """Gives a message to the planning queue; `text` is without codes."""
        if not self._planning_queue.submit(
            request, text, steps, act=self._planning_service.is_act(request.inlet, text)
        ):
            await self._refuse(request, CannotPlan(Sentence("planning_busy"), "busy"))

    async def _refresh_after(self, outcome: PlanningOutcome | None) -> None:
        """Reads at once what a chat command has changed of what the hub keeps in memory."""
        try:
            if isinstance(outcome, ChatCommand) and outcome.verb in FLEET_VERBS:
                await self._fleet.refresh()
            if isinstance(outcome, ChatCommand) and outcome.verb == "link":
                await self._people.refresh()
        except UserError as error:  # the store's trouble: the message is taken, and it is read again by the clock
            log.warning("request.not_refreshed", reason=str(error))

    def _check_sender(self, request: Request, text: str) -> Receipt | None:
        inlet, conversation, user = request.inlet, request.conversation, request.chat_user
        over = self._sender_limits.check(inlet, conversation, user, request.person, request.received_at)
        if over is not None:
            self._metrics.count_message(inlet, "rate")
            return Receipt("rate", limited=over.whose, wait=over.wait)
        links = without_link_code(text, "") != text  # such codes have limits of their own
        if not (request.person or links or self._may_answer_stranger(request)):
            self._metrics.count_message(inlet, "stranger")
            return Receipt("ignored")
        verdict = self._echo_guard.check(inlet, conversation, user, request.text, request.received_at)
        if verdict == "ok":
            return None
        if verdict == "first":
            log.warning("message.echo", inlet=inlet, conversation=conversation, user=user)
        self._metrics.count_message(inlet, "echo")
        return Receipt("echo")

    async def _is_for_us(self, request: Request, text: str) -> bool:
        """Whether a message that is not addressed to the bot is answered, by the inlet's `answer`."""
        match self._config.inlets[request.inlet].answer:
            case "everything":
                return True
            case "mentions":
                return False
        match self._planning_service.classify_unaddressed(request, text):
            case "command":
                return True
            case "other":
                return False
        since = request.received_at - self._config.planning.conversation
        newest = replace(request, number=NEWEST)
        earlier = await self._store.read(lambda txn: txn.earlier_requests(newest, since, MAX_EARLIER))
        return any(asks(one, request) for one in earlier)

    def _may_answer_stranger(self, request: Request) -> bool:
        """Whether somebody whom nobody knows is answered now: they are told so now and then."""
        key = f"{request.inlet}\n{request.conversation}\n{request.chat_user}"
        return not self._strangers.try_acquire(key, request.received_at)

    def _refuse_repeated(self, uow: UnitOfWork, request: Request, steps: tuple[int, ...]) -> Receipt:
        """The same message again is a duplicate. Other words, another person or room under its id are no new message
        and no repeat: kept as a refused request, whose reply says so.
        """
        first = uow.txn.request_by_event(request.inlet, request.event_id)
        if first is None or is_same_message(first, request):
            return Receipt("duplicate")
        edit = replace(request, id=str(ULID()), event_id=edit_event_id(request))
        added = uow.txn.add_request(edit)
        if added is not None:
            uow.audit("message.accepted", added.id, actor_of(added), _accepted_data(added, 0))
            changed = CannotPlan(Sentence("message_changed", {"number": first.number}), "changed")
            answered, note = self._said_codes.take_away(uow, added, steps, event=request.event_id)
            self._outcomes.move(uow, answered, changed, note)
        return Receipt("changed", first.id, first.number)

    def _new_request(self, inlet: str, incoming: IncomingMessage) -> tuple[Request, tuple[int, ...]]:
        """The request of a message, and the steps of the codes that were said in it."""
        now, person = self._clock(), self._people.find_by_chat(inlet, incoming.user)
        row = self._people.row(person)
        text, steps = self._said_codes.find(incoming.text, row, self._wall())
        request = Request(
            id=str(ULID()),
            number=0,
            state=RequestState.RECEIVED,
            inlet=inlet,
            event_id=incoming.event_id,
            conversation=incoming.conversation,
            chat_user=incoming.user,
            person=person,
            text=redact(self._said_codes.without_shapes(text, row)),
            language=detect_language(incoming.text),
            reply_url=incoming.reply_url,
            received_at=now,
            thread=incoming.thread,
            button=incoming.button,
        )
        return request, steps

    def _is_pending(self, request: Request) -> bool:
        return request.id in self._pending_ids or request.id in self._planning_queue

    async def sweep(self) -> None:
        """Queues requests that were committed and not planned: after a restart, or where that failed."""
        if self._store.room.read_only:
            return  # what was planned could not be kept
        received = await self._store.read(lambda txn: txn.received_requests())
        if not (lost := [request for request in received if not self._is_pending(request)]):
            return
        pictures = await self._store.read(lambda txn: [txn.count_pictures(request.id) for request in lost])
        for request, count in zip(lost, pictures, strict=True):
            if not self._is_pending(request):
                try:
                    self._swept.put_nowait((request, request.text, count))
                except asyncio.QueueFull:
                    return  # the next sweep finds the rest
                self._pending_ids.add(request.id)

    # ---- planning

    async def run(self) -> None:
        """Plans what was swept up and what takes longer, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(SWEEPERS):
                tasks.create_task(self._plan_swept(), name=f"planner {index}")
            tasks.create_task(self._planning_queue.run(), name="planning queue")

    async def _plan_swept(self) -> None:
        while True:
            request, text, images = await self._swept.get()
            try:
                await self.plan(request, text, images)
            except (UserError, Conflict):
                log.exception("request.not_planned", request=request.id)  # the store's trouble: a sweep tries again
            except Exception:
                log.exception("request.plan_failed", request=request.id)
                await self._refuse_failed(request)
            finally:
                self._pending_ids.discard(request.id)

    async def _refuse(self, request: Request, why: CannotPlan) -> None:
        def unit(uow: UnitOfWork) -> None:
            current = uow.txn.request(request.id)
            if current is not None and current.state is RequestState.RECEIVED:
                self._outcomes.move(uow, current, why)

        await self._units.write(unit)

    async def _refuse_failed(self, request: Request) -> None:
        """A message that the hub itself fails on is refused, not tried for ever."""
        try:
            await self._refuse(request, CannotPlan(Sentence("plan_failed"), "hub"))
        except Exception:
            log.exception("request.not_given_up", request=request.id)

    async def plan(self, request: Request, text: str, images: int = 0) -> None:
        """Plans one received request and commits what came of it, or hands it to the planning queue."""
        started_at = self._clock()
        self._active += 1
        try:
            without, outcome, steps = self._plan_fast(request, text, images)
            if outcome is None:
                await self._plan_later(request, without, steps)
            else:
                await self._commit(request, outcome, started_at, steps)
        finally:
            self._active -= 1

    def _find_codes(self, request: Request, text: str) -> tuple[str, tuple[int, ...]]:
        since = self._clock() - request.received_at
        return self._said_codes.find(text, self._people.row(request.person), self._wall() - since)

    async def _commit(
        self, request: Request, outcome: PlanningOutcome, started_at: float, steps: tuple[int, ...]
    ) -> None:
        seconds = self._clock() - started_at

        def unit(uow: UnitOfWork) -> None:
            current = uow.txn.request(request.id)
            if current is None or current.state is not RequestState.RECEIVED:
                return
            self._outcomes.apply(uow, current, outcome, steps)
            uow.effects.stages += [("wait", started_at - request.received_at), ("think", seconds)]

        await self._units.write(unit)
        await self._refresh_after(outcome)

    async def plan_slow(self, request: Request, text: str) -> None:
        """Plans one request as the planning queue does: pictures, earlier messages, models."""
        without, steps = self._find_codes(request, text)
        kept = self._said_codes.without_shapes(without, self._people.row(request.person))
        await self._planning_queue.plan(request, kept, steps)

    def count_planning(self) -> int:
        """How many messages are being planned now."""
        return self._active + self._planning_queue.active

    def configure(self, config: HubConfig) -> None:
        """Takes the limits of a hub.toml that was read again."""
        self._config = config

    def apply_outcome(self, uow: UnitOfWork, request: Request, outcome: PlanningOutcome) -> None:
        """See `OutcomeApplier.apply`."""
        self._outcomes.apply(uow, request, outcome)


def _accepted_data(request: Request, images: int) -> dict[str, Any]:
    return {
        "inlet": request.inlet,
        "event": request.event_id,
        "user": request.chat_user,
        "conversation": request.conversation,
        "text": request.text,
        "number": request.number,
        "images": images,
    }
