"""The shell around request and job: takes events from every entrance, saves what the pure files decide, then does the
rest.

Entrances: `accept` (a verified webhook), `heard` (an agent's facts), `claim` (a link with room), the operators' acts
(`hub.acts`) and the timers. Each is one store unit; effects happen after its commit. Nothing here is remembered that
the store does not have, but for hints: which request to plan next, whom to wake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ulid import ULID

from common.catalogue import Sentence, language_of, say
from common.identity import Authority, Identity
from common.lifecycle import JOB_ENDS, JobState, RequestState
from common.messages import (
    Accepted,
    Dispatch,
    Ended,
    Heartbeat,
    Message,
    Output,
    Refuse,
    Refused,
    Renew,
    Report,
    Resync,
    Started,
    Unsure,
)
from common.plan import BadPlan, Order, Step, step_hashes, targets_hash
from common.policy import Policy, Verdict, check
from common.sign import ORDER, SigningKey
from hub import job as jobs_of_hub
from hub import request as requests_of_hub
from hub.acts import Acts
from hub.ca import JoinRefused, renew
from hub.change import Change, Effects
from hub.chat.platform import Incoming
from hub.config import HubConfig
from hub.fleet import Fleet
from hub.log import logger
from hub.metrics import Metrics
from hub.people import People
from hub.plan.acts import redact
from hub.plan.chain import Chain
from hub.plan.outcome import Act, Cannot, Context, Planned, Said
from hub.records import Chunk, Job, Request
from hub.speech import Speech
from hub.store.engine import Store
from hub.store.verbs import Txn

PLANNERS: Final = 16
BACKLOG: Final = 10_000

AgentWord = Accepted | Refused | Started | Output | Ended | Unsure | Report

log = logger("engine")


@dataclass(slots=True)
class AgentAnswers:
    """What the hub says back to an agent once its facts are committed."""

    resync: Resync | None = None
    open: tuple[str, ...] = ()  # the machine's open jobs, where a report was answered
    credits: dict[str, int] = field(default_factory=dict)
    forgets: list[str] = field(default_factory=list)
    cancels: list[tuple[str, bool]] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)


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
        chain: Callable[[], Chain],
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
        self._chain = chain
        self._speech = speech
        self._acts = acts
        self._authority = authority
        self._job_key = job_key
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._to_plan: asyncio.Queue[tuple[Request, str, int]] = asyncio.Queue(BACKLOG)
        self._planning: set[str] = set()
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

        def unit(txn: Txn) -> Request | None:
            added = txn.add_request(request)
            if added is not None:
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

        added = await self._store.write(unit)
        if added is None:
            self._metrics.message(inlet, "duplicate")
            return Receipt("duplicate")
        self._metrics.message(inlet, "accepted")
        self._plan_soon(added, incoming.text, len(incoming.images))
        return Receipt("accepted", added.id, added.number)

    def _plan_soon(self, request: Request, text: str, images: int) -> None:
        if request.id not in self._planning and not self._to_plan.full():
            self._planning.add(request.id)
            self._to_plan.put_nowait((request, text, images))

    async def sweep(self) -> None:
        """Requests that were committed and not planned: after a restart, or when the backlog was full."""
        for request in await self._store.read(lambda txn: txn.received_requests()):
            self._plan_soon(request, request.text, 0)

    async def run(self) -> None:
        """Plans what was accepted, several at a time so that they share commits."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(PLANNERS):
                tasks.create_task(self._planner(), name=f"planner {index}")

    async def _planner(self) -> None:
        while True:
            request, text, images = await self._to_plan.get()
            try:
                await self.plan(request, text, images)
            except Exception:
                log.exception("request.plan_failed", request=request.id)
            finally:
                self._planning.discard(request.id)

    async def plan(self, request: Request, text: str, images: int = 0) -> None:
        """Thinks about one received request and commits what came of it. Planning has no effects: it may be done
        again.
        """
        outcome = self.think(request, text, images)

        def unit(change: Change) -> None:
            current = change.txn.request(request.id)
            if current is None or current.state is not RequestState.RECEIVED:
                return
            self.settle(change, current, outcome)

        await self.write(unit)

    def think(self, request: Request, text: str, images: int) -> Planned | Said | Act | Cannot:
        if not request.person:
            identity = f"{request.inlet}:{request.chat_user}"
            return Cannot(Sentence("unknown_person", {"identity": identity}), code="unknown_person")
        if images and not text.strip():
            return Cannot(Sentence("images_unread"), code="images")
        context = Context(
            text=text,
            language=request.language,
            person=request.person,
            roles=self._people.roles(request.person),
            inventory=self._fleet.inventory,
            now=self._clock(),
        )
        try:
            return self._chain().plan(context)
        except BadPlan as error:
            return Cannot(Sentence("plan_too_big", {"problem": str(error)}), code="plan")

    def settle(self, change: Change, request: Request, outcome: Planned | Said | Act | Cannot) -> None:
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
                judgement = requests_of_hub.judge(plan, self.checker(request.person, plan.tainted))
                if judgement.kind != "deny" and (full := self._full(change.txn, request.person, plan.targets)):
                    self._refuse(change, request, "queue_full", full)
                    return
                reason = judgement.reason
                move = requests_of_hub.planned(request, judgement, change.now, self._config.queue.decide_within)
                change.request(request, move, actor, reason.say(request.language))

    def _refuse(self, change: Change, request: Request, code: str, sentence: Sentence) -> None:
        text = sentence.say(request.language)
        actor = request.person or f"{request.inlet}:{request.chat_user}"
        change.request(request, requests_of_hub.refused(request, code, str(sentence), change.now), actor, text)

    def checker(self, person: str, tainted: bool) -> Callable[[Step, str], Verdict]:
        """Policy with this person bound, for `request.judge`."""
        policy, roles = self._policy(), self._people.roles(person)

        def of(step: Step, target: str) -> Verdict:
            agent = self._fleet.agent(target)
            labels = agent.labels if agent is not None else {}
            return check(
                policy, step.argv, roles=roles, agent=target, labels=labels, cwd=step.cwd, env=step.env, tainted=tainted
            )

        return of

    def _full(self, txn: Txn, person: str, targets: Sequence[str]) -> Sentence | None:
        """Back-pressure is visible: a full queue is a polite refusal in chat."""
        queue = self._config.queue
        checks: list[tuple[Sentence, int, int, int]] = [
            (Sentence("queue_of_all"), txn.count_queued(), len(targets), queue.max_total),
            (
                Sentence("queue_of_person", {"person": person}),
                txn.count_queued(person=person),
                len(targets),
                queue.max_person,
            ),
        ]
        checks += [
            (Sentence("queue_of_agent", {"agent": target}), txn.count_queued(agent=target), 1, queue.max_agent)
            for target in targets[:50]
        ]
        for what, count, more, limit in checks:
            if count + more > limit:
                return Sentence("queue_full", {"what": what, "count": count, "limit": limit})
        return None

    # ---- agents

    async def heard(self, agent: str, words: Sequence[AgentWord]) -> AgentAnswers:
        """Commits a batch of one agent's facts; the answers may be sent once this returns."""
        answers = AgentAnswers()

        def unit(change: Change) -> None:
            answers.resync, answers.open = None, ()
            answers.credits.clear()
            for word in words:
                self._hear(change, agent, word, answers)

        now = self._clock()

        def whole(txn: Txn) -> Effects:
            change = Change(txn, now, self._speech, self._fleet.online)
            unit(change)
            return change.effects

        effects = await self._store.write(whole)
        answers.forgets = effects.forgets.pop(agent, [])
        answers.settled = [job for name, job in effects.settled if name == agent]
        answers.cancels = [(job, kill) for name, job, kill in effects.cancels if name == agent]
        effects.cancels = [entry for entry in effects.cancels if entry[0] != agent]
        effects.settled = [entry for entry in effects.settled if entry[0] != agent]
        self._happen(effects)
        return answers

    def _hear(self, change: Change, agent: str, word: AgentWord, answers: AgentAnswers) -> None:
        if isinstance(word, Report):
            self._reconcile(change, agent, word, answers)
            return
        job = change.txn.job(word.job)
        if job is None or job.agent != agent:
            # Identity comes from the certificate: another machine's job is no business of this one's.
            change.txn.audit("job.foreign", word.job[:40], agent, {"said": type(word).__name__}, change.now)
            return
        if isinstance(word, Output):
            if job.state not in JOB_ENDS:
                change.txn.add_chunk(Chunk(job.id, word.seq, word.stream, word.data, word.at))
                change.effects.changed.add(job.id)
            answers.credits[job.id] = max(answers.credits.get(job.id, 0), word.seq)
            return
        if isinstance(word, Started) and job.leased_at is not None:
            change.effects.stages.append(("start", max(0.0, change.now - job.leased_at)))
        change.job(job, word, agent)
        if isinstance(word, Ended):
            answers.credits.pop(job.id, None)

    def _reconcile(self, change: Change, agent: str, report: Report, answers: AgentAnswers) -> None:
        """The machine's journal against the hub's rows, after anything that broke the session (delivery S6 to S13)."""
        wanted: dict[str, int] = {}
        open_jobs = change.txn.open_jobs(agent)
        for job in open_jobs:
            if job.id in report.open:
                wanted[job.id] = change.txn.output_seq(job.id) + 1
            elif job.journal and job.journal != report.journal:
                change.job(
                    job, jobs_of_hub.Lose("the machine's journal is another one: its memory of this job is gone"), "hub"
                )
            elif job.state is JobState.LEASED:
                change.job(job, jobs_of_hub.Release(), "hub")
                change.effects.wake.add(agent)
            elif job.state is not JobState.UNKNOWN:
                change.job(job, jobs_of_hub.Lose("the machine has no record of this job any more"), "hub")
        known = {job.id for job in open_jobs}
        forget: list[str] = []
        for job_id in report.open:
            if job_id in known:
                continue
            stored = change.txn.job(job_id)
            if stored is not None and stored.agent == agent and stored.state in JOB_ENDS:
                forget.append(job_id)
            else:
                change.txn.audit("job.unheard_of", job_id[:40], agent, {"stage": report.open[job_id][:20]}, change.now)
        cancel = tuple(job.id for job in open_jobs if job.id in wanted and job.cancel_asked_at is not None)
        before = change.txn.agent(agent)
        if before is not None:
            change.txn.save_agent(
                before, replace(before, journal=report.journal, boot=report.boot, last_seen=change.now)
            )
        answers.resync = Resync(jobs=wanted, forget=tuple(forget), cancel=cancel)
        answers.open = tuple(wanted)
        change.txn.audit("agent.reported", agent, agent, {"open": len(report.open), "wanted": len(wanted)}, change.now)

    def heartbeat(self, agent: str, beat: Heartbeat, now: float) -> None:
        if beat.vitals:
            self._fleet.vitals[agent] = {**beat.vitals, "at": now}

    async def claim(self, agent: str, journal: str, limit: int) -> list[tuple[Dispatch, str]]:
        """Leases queued jobs of a machine and signs them. Each is checked again: person, rights and policy may have
        changed.
        """
        row = self._fleet.agent(agent)
        if row is None or row.state != "active" or row.paused_at is not None:
            return []
        now = self._clock()

        def unit(txn: Txn) -> tuple[list[Order], Effects]:
            change = Change(txn, now, self._speech, self._fleet.online)
            if txn.queue_paused() is not None:
                return [], change.effects
            orders: list[Order] = []
            for job in txn.claim_jobs(agent, limit, self.epoch, journal, now):
                request = txn.request(job.request_id)
                if request is None or request.plan is None:
                    change.job(job, jobs_of_hub.Withhold("its plan is gone"), "hub")
                    continue
                step = request.plan.steps[job.step]
                verdict = self.checker(job.person, request.plan.tainted)(step, agent)
                if verdict.kind == "deny" or (verdict.kind == "ask" and not request.approvers):
                    why = Sentence("policy_changed", {"person": job.person, "reason": verdict.reason})
                    change.job(job, jobs_of_hub.Withhold(say("en", why.key, **why.values)), "hub")
                    continue
                orders.append(self._order(txn, request, job, step))
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
        now = self._clock()
        try:
            return await self._store.write(lambda txn: renew(txn, self._authority, identity, message, now))
        except JoinRefused as error:
            return Refuse(error.code, error.reason)
