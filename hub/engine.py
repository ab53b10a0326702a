"""The shell around request and job: takes events from every entrance, saves what the pure files decide, then does the
rest.

Entrances: `accept` (a verified webhook), `heard` (an agent's facts), `claim` (a link with room), the operators' acts
(`hub.acts`) and the timers. Each is one store unit; effects happen after its commit. Nothing here is remembered that
the store does not have, but for hints: which request to plan next, whom to wake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ulid import ULID

from common.catalogue import Sentence, language_of
from common.errors import UserError
from common.identity import Authority, Identity
from common.lifecycle import RequestState
from common.messages import (
    Dispatch,
    Heartbeat,
    Message,
    Refuse,
    Renew,
)
from common.plan import DEFAULT_TTL, BadPlan, Order, Plan, Step, step_hashes, targets_hash
from common.policy import Policy, Verdict
from common.seal import Sealer
from common.sign import ORDER, SigningKey
from hub import job as jobs_of_hub
from hub import request as requests_of_hub
from hub import verdicts
from hub.acts import Acts
from hub.ca import renew
from hub.change import Change, Effects
from hub.chat.platform import Incoming
from hub.config import HubConfig
from hub.fleet import Fleet
from hub.hearing import AgentAnswers, AgentWord, Ears
from hub.log import logger
from hub.metrics import Metrics
from hub.people import People
from hub.plan.acts import redact
from hub.plan.outcome import Act, Cannot, Outcome, Planned, Said
from hub.pondering import Ponderer, place_of
from hub.records import Job, Request
from hub.speech import Speech
from hub.store.engine import Store
from hub.store.errors import Conflict
from hub.store.verbs import Txn
from hub.thinking import Thinker

PLANNERS: Final = 16
BACKLOG: Final = 10_000
MAX_VITALS: Final = 32  # of a machine, and characters of a name
MAX_VITAL: Final = 40

log = logger("engine")


@dataclass(frozen=True, slots=True)
class Receipt:
    status: str  # accepted | duplicate
    request: str = ""
    number: int = 0


class Engine:
    """See the module. `after` is called with the effects of every commit; the composition root sets it."""

    def __init__(
        self,
        *,
        store: Store,
        fleet: Fleet,
        people: People,
        policy: Callable[[], Policy],
        thinker: Thinker,
        sealer: Sealer,
        speech: Speech,
        acts: Acts,
        authority: Authority,
        job_key: SigningKey,
        epoch: int,
        config: HubConfig,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self.epoch = epoch
        self._store = store
        self._fleet = fleet
        self._people = people
        self._policy = policy
        self._thinker = thinker
        self._sealer = sealer
        self._speech = speech
        self._acts = acts
        self._authority = authority
        self._job_key = job_key
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._to_plan: asyncio.Queue[tuple[Request, str, int]] = asyncio.Queue(BACKLOG)
        self._planning: set[str] = set()
        self._thinking = 0
        self._ears = Ears()
        self._ponderer = Ponderer(
            store=store,
            write=self.write,
            thinker=thinker,
            sealer=sealer,
            speech=speech,
            settle=lambda change, request, thought: self.settle(change, request, thought.outcome),
            give_up=self._give_up,
            clock=clock,
            room=config.planning.queue,
            memory=config.planning.conversation,
        )
        self.after: Callable[[Effects], None] = lambda effects: None

    async def write(self, unit: Callable[[Change], object]) -> None:
        """Runs `unit` with a Change in one transaction, then lets its effects happen."""
        now = self._clock()

        def whole(txn: Txn) -> Effects:
            change = Change(txn, now, self._speech, self._fleet.online)
            unit(change)
            return change.effects

        self._happen(await self._store.write(whole))

    def _happen(self, effects: Effects) -> None:
        for stage, seconds in effects.stages:
            self._metrics.stage(stage, seconds)
        for event, ids in effects.told:
            log.info(event, **ids)
        self.after(effects)

    # ---- messages

    async def accept(self, inlet: str, incoming: Incoming) -> Receipt:
        """Commits a verified message. When this returns it is on disk, and only then may the webhook be answered
        2xx.
        """
        now = self._clock()
        request = Request(
            id=str(ULID()),
            number=0,
            state=RequestState.RECEIVED,
            inlet=inlet,
            event_id=incoming.event_id,
            conversation=incoming.conversation,
            chat_user=incoming.user,
            person=self._people.of_chat(inlet, incoming.user),
            text=redact(incoming.text),
            language=language_of(incoming.text),
            reply_url=incoming.reply_url,
            received_at=now,
        )

        pictures = [self._sealer.seal(image, place_of(request.id)) for image in incoming.images]

        def unit(txn: Txn) -> Request | None:
            added = txn.add_request(request)
            if added is not None:
                for picture in pictures:
                    txn.add_sealed(added.id, "picture", picture, now)
                data = {
                    "inlet": inlet,
                    "event": added.event_id,
                    "user": added.chat_user,
                    "conversation": added.conversation,
                    "text": added.text,
                    "number": added.number,
                    "images": len(incoming.images),
                }
                txn.audit("message.accepted", added.id, added.person or f"{inlet}:{added.chat_user}", data, now)
            return added

        # In hand before it is stored: a sweep that saw it first would plan from the stored text, which has no code.
        self._planning.add(request.id)
        try:
            added = await self._store.write(unit)
        except BaseException:
            self._planning.discard(request.id)  # it may have been committed all the same: then a sweep finds it
            raise
        if added is None:
            self._planning.discard(request.id)
            self._metrics.message(inlet, "duplicate")
            return Receipt("duplicate")
        self._metrics.message(inlet, "accepted")
        self._plan_soon(added, incoming.text, len(incoming.images))
        return Receipt("accepted", added.id, added.number)

    def _plan_soon(self, request: Request, text: str, images: int) -> None:
        try:
            self._to_plan.put_nowait((request, text, images))
        except asyncio.QueueFull:
            self._planning.discard(request.id)

    async def sweep(self) -> None:
        """Requests that were committed and not planned: after a restart, or when the backlog was full."""

        def in_hand(request: Request) -> bool:
            return request.id in self._planning or request.id in self._ponderer

        received = await self._store.read(lambda txn: txn.received_requests())
        if not (lost := [request for request in received if not in_hand(request)]):
            return
        pictures = await self._store.read(lambda txn: [txn.count_pictures(request.id) for request in lost])
        for request, count in zip(lost, pictures, strict=True):
            if not in_hand(request):
                self._planning.add(request.id)
                self._plan_soon(request, request.text, count)

    async def run(self) -> None:
        """Plans what was accepted, several at a time so that they share commits."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(PLANNERS):
                tasks.create_task(self._planner(), name=f"planner {index}")
            tasks.create_task(self._ponderer.run(), name="ponderer")

    async def _planner(self) -> None:
        while True:
            request, text, images = await self._to_plan.get()
            try:
                await self.plan(request, text, images)
            except (UserError, Conflict):
                log.exception("request.not_planned", request=request.id)  # the store's trouble: a sweep tries again
            except Exception:
                log.exception("request.plan_failed", request=request.id)
                await self._give_up(request)
            finally:
                self._planning.discard(request.id)

    async def _give_up(self, request: Request) -> None:
        """A message that the hub itself fails on is refused, not tried for ever."""

        def unit(change: Change) -> None:
            current = change.txn.request(request.id)
            if current is not None and current.state is RequestState.RECEIVED:
                self._refuse(change, current, "hub", Sentence("plan_failed"))

        try:
            await self.write(unit)
        except Exception:
            log.exception("request.not_given_up", request=request.id)

    async def plan(self, request: Request, text: str, images: int = 0) -> None:
        """Understands one received request and commits what came of it, or hands it to the slow lane. Planning has no
        effects: it may be done again.
        """
        begun = self._clock()
        self._thinking += 1
        try:
            outcome = self._thinker.at_once(request, text, images)
            if outcome is None and not self._ponderer.submit(request, text):
                outcome = Cannot(Sentence("planning_busy"), "busy")
            if outcome is not None:
                await self._commit(request, outcome, begun)
        finally:
            self._thinking -= 1

    async def _commit(self, request: Request, outcome: Outcome, begun: float) -> None:
        thought = self._clock() - begun

        def unit(change: Change) -> None:
            current = change.txn.request(request.id)
            if current is None or current.state is not RequestState.RECEIVED:
                return
            self.settle(change, current, outcome)
            change.effects.stages += [("wait", begun - request.received_at), ("think", thought)]

        await self.write(unit)

    async def ponder(self, request: Request, text: str) -> None:
        """Thinks at length about a request, as the slow lane does."""
        await self._ponderer.ponder(request, text)

    def planning(self) -> int:
        """How many messages are thought about now."""
        return self._thinking + self._ponderer.thinking

    def settle(self, change: Change, request: Request, outcome: Outcome) -> None:
        actor = request.person or f"{request.inlet}:{request.chat_user}"
        match outcome:
            case Said(text):
                change.request(request, requests_of_hub.answered(request, change.now), actor, text)
            case Act():
                text = self._acts.from_chat(change, request, outcome)
                change.request(request, requests_of_hub.answered(request, change.now), actor, text)
            case Cannot(sentence, code):
                self._refuse(change, request, code, sentence)
            case Planned(plan):
                try:
                    checker = self.checker(request.person, plan.tainted)
                    judgement = requests_of_hub.judge(self._with_ttl(plan), checker)
                except BadPlan as error:  # too large with what policy puts in
                    self._refuse(change, request, "plan", Sentence("plan_too_big", {"problem": str(error)}))
                    return
                if judgement.kind != "deny" and (full := self._full(change.txn, request.person, plan.targets)):
                    self._refuse(change, request, "queue_full", full)
                    return
                reason = judgement.reason
                move = requests_of_hub.planned(request, judgement, change.now, self._config.queue.decide_within)
                change.request(request, move, actor, reason.say(request.language))

    def _with_ttl(self, plan: Plan) -> Plan:
        """Where nothing else was said jobs wait as long as hub.toml says; before the hash is made."""
        return replace(plan, ttl=int(self._config.queue.ttl)) if plan.ttl == DEFAULT_TTL else plan

    def _refuse(self, change: Change, request: Request, code: str, sentence: Sentence) -> None:
        text = sentence.say(request.language)
        actor = request.person or f"{request.inlet}:{request.chat_user}"
        change.request(request, requests_of_hub.refused(request, code, str(sentence), change.now), actor, text)

    def checker(self, person: str, tainted: bool) -> Callable[[Step, str], Verdict]:
        """Policy with this person bound, for `request.judge`."""
        return verdicts.checker(self._policy(), self._people.roles(person), self._fleet.labels, tainted)

    def _full(self, txn: Txn, person: str, targets: Sequence[str]) -> Sentence | None:
        """Back-pressure is visible: a full queue is a polite refusal in chat."""
        queue = self._config.queue
        total, more = txn.count_queued(), len(targets)
        if total + more > queue.max_total:
            return _queue_full(Sentence("queue_of_all"), total, queue.max_total)
        if (count := txn.count_queued(person=person)) + more > queue.max_person:
            return _queue_full(Sentence("queue_of_person", {"person": person}), count, queue.max_person)
        if total >= queue.max_agent:  # else no machine can have so many
            for target in targets:
                if (count := txn.count_queued(agent=target)) >= queue.max_agent:
                    return _queue_full(Sentence("queue_of_agent", {"agent": target}), count, queue.max_agent)
        return None

    # ---- agents

    async def heard(self, agent: str, words: Sequence[AgentWord]) -> AgentAnswers:
        """Commits a batch of one agent's facts; the answers may be sent once this returns."""
        answers = AgentAnswers()
        now = self._clock()

        def whole(txn: Txn) -> Effects:
            change = Change(txn, now, self._speech, self._fleet.online)
            self._ears.hear(change, agent, words, answers)
            return change.effects

        effects = await self._store.write(whole)
        answers.forgets = effects.forgets.pop(agent, [])
        answers.settled = [job for name, job in effects.settled if name == agent]
        answers.cancels = [(job, kill) for name, job, kill in effects.cancels if name == agent]
        effects.cancels = [entry for entry in effects.cancels if entry[0] != agent]
        effects.settled = [entry for entry in effects.settled if entry[0] != agent]
        self._happen(effects)
        return answers

    def heartbeat(self, agent: str, beat: Heartbeat, now: float, round_trip: float | None = None) -> None:
        """`round_trip` is the link's, in seconds, as the hub's own kernel measures it."""
        if beat.vitals:
            few = list(beat.vitals.items())[:MAX_VITALS]
            own = {"at": now} if round_trip is None else {"at": now, "rtt": round_trip}
            self._fleet.vitals[agent] = {**{name[:MAX_VITAL]: value for name, value in few}, **own}

    async def claim(self, agent: str, journal: str, limit: int) -> list[tuple[Dispatch, str]]:
        """Leases queued jobs of a machine and signs them. Each is checked again: person, rights and policy may have
        changed.
        """
        now = self._clock()

        def unit(txn: Txn) -> tuple[list[Order], Effects]:
            change = Change(txn, now, self._speech, self._fleet.online)
            row = txn.agent(agent)
            if row is None or not row.takes_jobs or txn.queue_paused() is not None:
                return [], change.effects
            orders: list[Order] = []
            for job in txn.claim_jobs(agent, limit, self.epoch, journal, now):
                request = txn.request(job.request_id)
                why = self._objection(request, job, row.joined_at)
                if request is None or request.plan is None or why:
                    change.job(job, jobs_of_hub.Withhold(why or "its plan is gone"), "hub")
                    change.effects.wake.add(agent)  # there may be more behind it
                    continue
                step = request.plan.steps[job.step]
                orders.append(self._order(txn, request, job, step))
                change.effects.changed.add(job.id)
                change.effects.stages.append(("queue", now - job.queued_at))
                data = {"agent": agent, "epoch": self.epoch, "plan_hash": job.plan_hash}
                txn.audit("job.dispatched", job.id, "hub", data, now)
            return orders, change.effects

        orders, effects = await self._store.write(unit)
        self._happen(effects)
        signed = []
        for order in orders:
            data = order.to_bytes()
            signed.append((Dispatch(data, self._job_key.sign(ORDER, data), self._job_key.id), order.job))
        return signed

    def _objection(self, request: Request | None, job: Job, joined_at: float) -> str:
        """Why a job must not be handed out after all; "" where nothing is against it."""
        if request is None or request.plan is None:
            return "its plan is gone"
        if job.queued_at < joined_at:
            return "it was meant for the machine that had this name before"
        step = request.plan.steps[job.step]
        verdict = self.checker(job.person, request.plan.tainted)(step, job.agent)
        reason = requests_of_hub.objection(request, step, verdict)
        return str(Sentence("policy_changed", {"person": job.person, "reason": reason})) if reason else ""

    def _order(self, txn: Txn, request: Request, job: Job, step: Step) -> Order:
        assert request.plan is not None  # noqa: S101 - the caller looked
        given = txn.approvals(request.id) if request.approvers else []
        return Order(
            job=job.id,
            request=request.id,
            agent=job.agent,
            argv=step.argv,
            cwd=step.cwd,
            env=step.env,
            time_limit=step.time_limit,
            output_cap=step.output_cap,
            targets=targets_hash(step.targets),
            steps=step_hashes(request.plan),
            step=job.step,
            ttl=request.plan.ttl,
            plan_hash=request.plan_hash,
            not_after=job.not_after,
            epoch=self.epoch,
            person=request.person,
            approvals=tuple((approval.person, approval.at) for approval in given if approval.granted),
        )

    async def renew(self, identity: Identity, message: Renew) -> Message:
        """The next certificate. A question that gives a copy away ends every link of that name."""
        now = self._clock()
        answer = await self._store.write(lambda txn: renew(txn, self._authority, identity, message, now))
        if isinstance(answer, Refuse) and answer.code == "locked":
            self._happen(Effects(locked={identity.name}))
        return answer


def _queue_full(what: Sentence, count: int, limit: int) -> Sentence:
    return Sentence("queue_full", {"what": what, "count": count, "limit": limit})
