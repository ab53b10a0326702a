"""An accepted message: committed, planned, judged, and what comes of it committed.

    accept -> [backlog] -> plan: at once, or by the planning queue -> apply_outcome

The backlog holds hints: the truth is the store's list of received requests, which `sweep` goes through after a restart
and whenever the backlog was full. Only the backlog has a message's second-factor code; the store has it masked, in
whatever words it stood (`said_codes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
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
from hub.core.admission import check_admission, judge_plan, transition_of
from hub.core.echo_guard import EchoGuard
from hub.core.judgement import Judgement
from hub.core.outcome import CannotPlan, ChatCommand, PlainAnswer, Planned, PlanningOutcome
from hub.core.queue_limits import QueueCounts, QueueLimits, needs_agent_counts
from hub.core.rate_limits import TokenBuckets
from hub.core.receipt import Receipt
from hub.core.records import Request
from hub.core.recovery import REASON as RESTORED
from hub.core.repeated_message import edit_event_id, is_same_message
from hub.core.sender_limits import SenderLimits
from hub.core.short_refusal import SHORTENED, short_refusal
from hub.engine.chat_actions import ChatActions
from hub.engine.earlier_messages import MAX_EARLIER, asks, was_just_refused
from hub.engine.model_hint import hint_at_models
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
from hub.store.errors import Conflict, StoreFull
from hub.store.store import Store

PLANNING_WORKERS: Final = 16
MAX_BACKLOG: Final = 10_000
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
    ) -> None:
        self._store = store
        self._recovery = recovery or RecoveryState()
        self._units = units
        self._people = people
        self._fleet = fleet
        self._planning_service = planning_service
        self._sealer = sealer
        self._chat_actions = chat_actions
        self._said_codes = said_codes
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._wall = wall  # by which a second factor's codes are good
        self._standing = standing
        self._backlog: asyncio.Queue[tuple[Request, str, int]] = asyncio.Queue(MAX_BACKLOG)
        self._echo_guard = echo_guard
        self._sender_limits = SenderLimits(config.http.person_rate, config.http.conversation_rate)
        self._strangers = TokenBuckets(1 / STRANGER_PAUSE, STRANGER_ANSWERS)
        self._pending_ids: set[str] = set()
        self._active = 0
        self._planning_queue = PlanningQueue(
            store=store,
            write=units.write,
            planning_service=planning_service,
            sealer=sealer,
            composer=composer,
            apply_outcome=lambda uow, request, result, steps: self.apply_outcome(uow, request, result.outcome, steps),
            on_failure=self._refuse_failed,
            clock=clock,
            queue_size=config.planning.queue,
            history_seconds=config.planning.conversation,
            fetch_pictures=fetch_pictures,
        )

    # ---- accepting

    async def accept(self, inlet: str, incoming: IncomingMessage) -> Receipt:
        """Commits a verified message. When this returns it is on disk, and only then may the webhook be answered
        2xx; but a message over its sender's rate, or that only repeats what we said, is not stored.
        """
        self._store.refuse_when_full()
        request, steps = self._new_request(inlet, incoming)
        if not incoming.addressed and not await self._is_for_us(request, incoming.text):
            return Receipt("ignored")
        if (refused := self._check_sender(request, incoming.text)) is not None:
            return refused
        # Unknown to the store, but from before a restored backup came into force: it may have been done.
        lost = self._recovery.is_older(incoming.sent_at) or (inlet, request.event_id) in self._recovery.taken
        pictures = [self._sealer.seal(image, seal_context(request.id)) for image in incoming.images]
        pictures += [seal_picture_ref(self._sealer, request.id, one) for one in incoming.pictures[:MAX_PICTURE_REFS]]

        def unit(uow: UnitOfWork) -> Request | Receipt:
            if incoming.edited and uow.txn.request_by_event(inlet, request.event_id) is None:
                return Receipt("ignored")  # what was said first was not for us, and an edit is never a first
            added = uow.txn.add_request(request)
            if added is None:
                return self._refuse_repeated(uow, request, steps)
            uow.txn.taken = inlet, request.event_id
            for picture in pictures:
                uow.txn.add_sealed(added.id, "picture", picture, uow.now)
            uow.audit("message.accepted", added.id, _actor_of(added), _accepted_data(added, len(pictures)))
            return added

        # Pending before it is stored: a sweep that found it first would plan from the stored text, which has no code.
        self._pending_ids.add(request.id)
        try:
            added, effects = await self._units.commit(unit)  # of a new message no effects: it is planned first
        except BaseException:
            self._pending_ids.discard(request.id)  # it may have been committed all the same: then a sweep finds it
            raise
        if isinstance(added, Receipt):
            self._pending_ids.discard(request.id)
            self._metrics.count_message(inlet, added.status)
            self._units.publish(effects)
            return added
        self._metrics.count_message(inlet, "accepted")
        if lost:
            await self._refuse(added, CannotPlan(Sentence("recovery_old_message"), RESTORED))
            self._pending_ids.discard(request.id)
            return Receipt("accepted", added.id, added.number)
        self._enqueue(added, incoming.text, len(pictures))
        return Receipt("accepted", added.id, added.number)

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
            uow.audit("message.accepted", added.id, _actor_of(added), _accepted_data(added, 0))
            changed = CannotPlan(Sentence("message_changed", {"number": first.number}), "changed")
            answered, note = self._said_codes.take_away(uow, added, steps, event=request.event_id)
            self._move(uow, answered, changed, note)
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

    def _enqueue(self, request: Request, text: str, images: int) -> None:
        try:
            self._backlog.put_nowait((request, text, images))
        except asyncio.QueueFull:
            self._pending_ids.discard(request.id)

    def _is_pending(self, request: Request) -> bool:
        return request.id in self._pending_ids or request.id in self._planning_queue

    async def sweep(self) -> None:
        """Queues requests that were committed and not planned: after a restart, or when the backlog was full."""
        if self._store.room.read_only:
            return  # what was planned could not be kept
        received = await self._store.read(lambda txn: txn.received_requests())
        if not (lost := [request for request in received if not self._is_pending(request)]):
            return
        pictures = await self._store.read(lambda txn: [txn.count_pictures(request.id) for request in lost])
        for request, count in zip(lost, pictures, strict=True):
            if not self._is_pending(request):
                self._pending_ids.add(request.id)
                self._enqueue(request, request.text, count)

    # ---- planning

    async def run(self) -> None:
        """Plans what was accepted, several at a time so that they share commits."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(PLANNING_WORKERS):
                tasks.create_task(self._planning_worker(), name=f"planner {index}")
            tasks.create_task(self._planning_queue.run(), name="planning queue")

    async def _planning_worker(self) -> None:
        while True:
            request, text, images = await self._backlog.get()
            try:
                await self.plan(request, text, images)
            except StoreFull as error:
                log.warning("request.not_planned", request=request.id, reason=str(error))  # a sweep tries again
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
                self._move(uow, current, why)

        await self._units.write(unit)

    async def _refuse_failed(self, request: Request) -> None:
        """A message that the hub itself fails on is refused, not tried for ever."""
        try:
            await self._refuse(request, CannotPlan(Sentence("plan_failed"), "hub"))
        except Exception:
            log.exception("request.not_given_up", request=request.id)

    async def plan(self, request: Request, text: str, images: int = 0) -> None:
        """Plans one received request and commits what came of it, or hands it to the planning queue. Planning has no
        effects: it may be done again.
        """
        started_at = self._clock()
        self._active += 1
        try:
            crashpoint("plan.begun")
            without, steps = self._find_codes(request, text)
            outcome = self._planning_service.plan_fast(request, text, images)
            if steps and not gives_code(outcome):
                outcome = self._planning_service.plan_fast(request, without, images)
            kept = self._said_codes.without_shapes(without, self._people.row(request.person))
            if kept != without and not (isinstance(outcome, Planned) or gives_code(outcome)):
                without, outcome = kept, self._planning_service.plan_fast(request, kept, images)
            if outcome is None and not self._planning_queue.submit(request, without, steps):
                outcome = CannotPlan(Sentence("planning_busy"), "busy")
            crashpoint("plan.made")
            if outcome is not None:
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
            self.apply_outcome(uow, current, outcome, steps)
            uow.effects.stages += [("wait", started_at - request.received_at), ("think", seconds)]

        await self._units.write(unit)
        if isinstance(outcome, ChatCommand) and outcome.verb in FLEET_VERBS:
            await self._fleet.refresh()
        if isinstance(outcome, ChatCommand) and outcome.verb == "link":
            await self._people.refresh()

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

    # ---- what came of it

    def apply_outcome(
        self, uow: UnitOfWork, request: Request, outcome: PlanningOutcome, steps: tuple[int, ...] = ()
    ) -> None:
        """Moves a received request on by what its planner said; `steps` are those of the codes said in it."""
        if not uow.is_authentic(request):
            outcome = CannotPlan(Sentence("row_forged", {"what": f"r{request.number}"}), "forged")
        if isinstance(outcome, ChatCommand) and outcome.verb == "retry":
            request, outcome = self._chat_actions.plan_retry(uow, request, outcome)
        match outcome:
            case ChatCommand():
                text = self._chat_actions.handle_chat_command(uow, request, outcome)
                request, note = self._said_codes.take_away(uow, request, steps, given=gives_code(outcome))
                self._move(uow, request, PlainAnswer(text), note)
            case Planned(plan):
                check = uow.world.checker(request.person, plan.tainted, uow.now)
                decision = judge_plan(plan, check, self._config.queue.ttl)
                if not isinstance(decision, CannotPlan) and decision.kind != "deny":
                    limits = self._queue_limits()
                    counts = _count_queue(uow, request.person, plan.targets, limits)
                    decision = check_admission(request.person, decision, counts, limits)
                request, _ = self._said_codes.take_away(uow, request, steps)
                self._move(uow, request, decision)
            case CannotPlan(code="not_understood") if not self._planning_service.has_model:
                request, note = self._said_codes.take_away(uow, request, steps)
                self._move(uow, request, hint_at_models(uow, request, outcome), note)
            case PlainAnswer() | CannotPlan():
                request, note = self._said_codes.take_away(uow, request, steps)
                self._move(uow, request, outcome, note)

    def _move(
        self,
        uow: UnitOfWork,
        request: Request,
        decision: PlainAnswer | CannotPlan | Judgement,
        note: Sentence | None = None,
    ) -> None:
        """`note` stands below the answer."""
        transition, text = transition_of(request, decision, uow.now, self._config.queue.decide_within)
        if (sentence := _shortened(decision)) is not None and was_just_refused(uow, request):
            text = short_refusal(sentence, request.language)
        if isinstance(decision, Judgement) and decision.kind == "ask":
            transition = self._standing.apply(uow, transition)
        if note is not None:
            text = f"{text}\n{note.render(request.language)}" if text else note.render(request.language)
        uow.apply_transition(request, transition, _actor_of(request), text)

    def _queue_limits(self) -> QueueLimits:
        queue = self._config.queue
        return QueueLimits(total=queue.max_total, person=queue.max_person, agent=queue.max_agent)


def _shortened(decision: PlainAnswer | CannotPlan | Judgement) -> Sentence | None:
    """The sentence of a refusal that gets shorter where it is not the first one; None of anything else."""
    match decision:
        case CannotPlan(sentence, code, "") if code in SHORTENED:
            return sentence
        case Judgement(kind="deny"):
            return decision.reason
    return None


def _count_queue(uow: UnitOfWork, person: str, targets: Sequence[str], limits: QueueLimits) -> QueueCounts:
    total = uow.txn.count_queued()
    counted = targets if needs_agent_counts(total, limits) else ()
    agents = {target: uow.txn.count_queued(agent=target) for target in counted}
    return QueueCounts(total, uow.txn.count_queued(person=person), agents)


def _actor_of(request: Request) -> str:
    """The person, or the chat user where nobody is known by that name."""
    return request.person or f"{request.inlet}:{request.chat_user}"


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
