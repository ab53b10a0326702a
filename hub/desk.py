"""The verbs that operators call over their link: each asks `authorize()`, checks its arguments, and is one store unit
or one read.

whoami                                    person, roles, hub, versions
run       target, argv, timeout?, cwd?    a new request with exactly this command
retry     job | request                   the same command again, as a new request with a parent
requests  states?, limit?, before?        newest first
request   number | id                     one, with its jobs
jobs      states?, agent?, person?, limit?, before?
job       id                              one, with its output
agents                                    machines, vitals, queue
queue                                     depth, oldest, by state, paused
approve   number | id, code?, plan_hash?, reason?
reject    number | id, why?
cancel    number | id | job, kill?
settle    job, done
pause     agent?, reason?                 "" is the whole queue
resume    agent?
follow    id                              subscription: a request, its jobs and their output until it ends
watch     after?                          subscription: the audit as it grows
audit     after?, limit?, subject?, kind?
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

from common.catalogue import LANGUAGES, Language, Sentence
from common.errors import Refused
from common.lifecycle import JOB_SETTLED, REQUEST_ENDS, JobState, RequestState
from common.plan import DEFAULT_TIME_LIMIT, BadPlan, Plan, Step
from common.version import VERSION
from hub.acts import Acts, By, Done, new_request
from hub.authority import authorize, may
from hub.change import Change, Effects
from hub.consoles import BadCall, Caller, Desk, Subscription
from hub.engine import Engine
from hub.fleet import Fleet
from hub.machines import NoTarget, resolve
from hub.people import People
from hub.plan.outcome import Planned
from hub.records import Job, Request
from hub.store.engine import Store
from hub.store.verbs import Txn
from hub.views import agent_view, event_view, job_view, request_view

MAX_LIMIT: Final = 500
OUTPUT_LIMIT: Final = 4 * 1024 * 1024
CHUNKS_A_PUSH: Final = 8


class ActRefused(Refused):
    """An act that was not done; `code` is its one word for programs."""

    def __init__(self, done: Done) -> None:
        super().__init__(str(done.sentence))
        self.code = done.code


class Verbs:
    """Builds the table of `Desk`."""

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        acts: Acts,
        fleet: Fleet,
        people: People,
        hub_id: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._engine = engine
        self._acts = acts
        self._fleet = fleet
        self._people = people
        self._hub_id = hub_id
        self._clock = clock

    def fill(self, desk: Desk) -> None:
        desk.verbs.update(
            whoami=self.whoami,
            run=self.run,
            retry=self.retry,
            requests=self.requests,
            request=self.request,
            jobs=self.jobs,
            job=self.job,
            agents=self.agents,
            queue=self.queue,
            approve=self.approve,
            reject=self.reject,
            cancel=self.cancel,
            settle=self.settle,
            pause=self.pause,
            resume=self.resume,
            follow=self.follow,
            watch=self.watch,
            audit=self.audit,
        )

    def _allow(self, caller: Caller, verb: str) -> By:
        authorize(caller.person, self._people.roles(caller.person), verb)
        return By(caller.person, "console")

    # ---- looking

    async def whoami(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        roles = list(self._people.roles(caller.person))
        return {"person": caller.person, "roles": roles, "hub": self._hub_id, "version": VERSION, "now": self._clock()}

    async def requests(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "jobs")
        states = _states(args, RequestState)
        limit, before = _limit(args), _integer(args, "before")
        found = await self._store.read(lambda txn: txn.requests(states=states, limit=limit, before_number=before))
        return [request_view(request) for request in found]

    async def request(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "jobs")

        def unit(txn: Txn) -> Any:
            found = _request(txn, args)
            return request_view(found, txn.jobs_of(found.id))

        return await self._store.read(unit)

    async def jobs(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "jobs")
        states, limit = _states(args, JobState), _limit(args)
        agent, person, before = _text(args, "agent"), _text(args, "person"), _text(args, "before")

        def unit(txn: Txn) -> Any:
            found = txn.jobs(
                states=states, agent=agent or None, person=person or None, limit=limit, before_id=before or None
            )
            requests = {job.request_id: txn.request(job.request_id) for job in found}
            return [job_view(job, requests[job.request_id]) for job in found]

        return await self._store.read(unit)

    async def job(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "jobs")
        after = _integer(args, "after") or 0

        def unit(txn: Txn) -> Any:
            found = _job(txn, _text(args, "id"))
            view = job_view(found, txn.request(found.request_id))
            size, chunks = 0, []
            for chunk in txn.chunks(found.id, after_seq=after, limit=512):
                size += len(chunk.data)
                if size > OUTPUT_LIMIT:
                    break
                chunks.append({"seq": chunk.seq, "stream": chunk.stream, "data": chunk.data, "at": chunk.at})
            view["output"] = chunks
            return view

        return await self._store.read(unit)

    async def agents(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "machines")
        names = [agent.name for agent in self._fleet.agents()][:10_000]
        busy = await self._store.read(lambda txn: set(txn.agents_with_queue()))
        queued = await self._store.read(
            lambda txn: {name: txn.count_queued(agent=name) for name in names if name in busy}
        )
        return [
            agent_view(
                agent,
                online=self._fleet.online(agent.name),
                vitals=self._fleet.vitals.get(agent.name),
                queued=queued.get(agent.name, 0),
            )
            for agent in self._fleet.agents()
        ]

    async def queue(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "jobs")

        def unit(txn: Txn) -> Any:
            depth, oldest = txn.queue_stats()
            paused = txn.queue_paused()
            return {
                "depth": depth,
                "oldest": oldest,
                "states": txn.job_counts(),
                "paused": {"by": paused[0], "at": paused[1], "reason": paused[2]} if paused else None,
                "now": self._clock(),
            }

        return await self._store.read(unit)

    async def audit(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "audit")
        after, limit = _integer(args, "after") or 0, _limit(args)
        subject, kind = _text(args, "subject") or None, _text(args, "kind") or None
        events = await self._store.read(
            lambda txn: txn.events(after_seq=after, limit=limit, subject=subject, kind_prefix=kind)
        )
        return [event_view(event) for event in events]

    # ---- asking for work

    async def run(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "run")
        argv, target = _words(args, "argv"), _text(args, "target")
        try:
            targets = resolve(target, self._fleet.inventory)
            limit = _integer(args, "timeout") or DEFAULT_TIME_LIMIT
            step = Step(tuple(argv), targets, cwd=_text(args, "cwd"), time_limit=limit)
            plan = Plan((step,), source="operator")
        except NoTarget as error:
            raise BadCall(str(error.sentence)) from None
        except BadPlan as error:
            raise BadCall(str(error)) from None
        return await self._ask(caller, plan, f"@{target} {shlex.join(argv)}", _language(args), "")

    async def retry(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "retry")

        def unit(txn: Txn) -> tuple[Request, Job | None]:
            if _text(args, "job"):
                job = _job(txn, _text(args, "job"))
                request = txn.request(job.request_id)
                if request is None:
                    raise BadCall(str(Sentence("no_job", {"what": job.id})))
                return request, job
            return _request(txn, args), None

        request, job = await self._store.read(unit)
        if request.plan is None:
            raise BadCall(f"r{request.number} never had a plan to run again", "ask for it anew")
        if job is None:
            settled = await self._store.read(lambda txn: txn.jobs_of(request.id))
            if any(entry.state not in JOB_SETTLED for entry in settled):
                raise BadCall(f"r{request.number} has not ended yet", "cancel it first, or wait")
            plan = Plan(request.plan.steps, "operator", request.plan.ttl, request.plan.tainted)
        else:
            if job.state not in JOB_SETTLED:
                raise BadCall(f"job {job.id} has not ended yet", "cancel it first, or wait")
            step = request.plan.steps[job.step]
            again = Step(step.argv, (job.agent,), step.cwd, step.env, step.time_limit, step.output_cap)
            plan = Plan((again,), "operator", request.plan.ttl, request.plan.tainted)
        parent = job.id if job is not None else request.id
        return await self._ask(caller, plan, f"retry of r{request.number}", _language(args), parent)

    async def _ask(self, caller: Caller, plan: Plan, text: str, language: Language, parent: str) -> Any:
        now = self._clock()
        request = new_request(person=caller.person, text=text[:8000], language=language, now=now, parent=parent)

        def unit(change: Change) -> None:
            added = change.txn.add_request(request)
            if added is not None:
                data = {"inlet": "console", "text": added.text, "number": added.number, "parent": parent}
                change.txn.audit("message.accepted", added.id, caller.person, data, now)
                self._engine.settle(change, added, Planned(plan))

        await self._engine.write(unit)
        return await self.request(caller, {"id": request.id})

    # ---- stepping in

    async def _act(self, unit: Callable[[Change], Done]) -> Any:
        box: list[Done] = []
        await self._engine.write(lambda change: box.append(unit(change)))
        done = box[-1]
        if done.code:
            raise ActRefused(done)
        return {"text": str(done.sentence)}

    async def approve(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        by = self._allow(caller, "approve")
        code, plan_hash, reason = _text(args, "code"), _text(args, "plan_hash"), _text(args, "reason")
        return await self._act(
            lambda change: self._acts.approve(
                change, by, _request(change.txn, args), code=code, plan_hash=plan_hash, reason=reason
            )
        )

    async def reject(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        by = self._allow(caller, "run")  # the requester may take back their own; others need the right to reject
        why = _text(args, "why")
        return await self._act(lambda change: self._acts.reject(change, by, _request(change.txn, args), why=why))

    async def cancel(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        by, kill = self._allow(caller, "cancel"), args.get("kill") is True

        def unit(change: Change) -> Done:
            if _text(args, "job"):
                return self._acts.cancel_job(change, by, _job(change.txn, _text(args, "job")), kill=kill)
            return self._acts.cancel(change, by, _request(change.txn, args), kill=kill)

        return await self._act(unit)

    async def settle(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        by, well = self._allow(caller, "settle"), args.get("done") is True
        return await self._act(
            lambda change: self._acts.settle(change, by, _job(change.txn, _text(args, "job")), done=well)
        )

    async def pause(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        by, agent, reason = self._allow(caller, "pause"), _text(args, "agent"), _text(args, "reason")
        done = await self._act(lambda change: self._acts.pause(change, by, agent, reason))
        await self._fleet.refresh()
        return done

    async def resume(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        by, agent = self._allow(caller, "resume"), _text(args, "agent")
        done = await self._act(lambda change: self._acts.resume(change, by, agent))
        await self._fleet.refresh()
        self._engine.after(Effects(wake={agent} if agent else {row.name for row in self._fleet.agents()}))
        return done

    # ---- subscriptions

    async def follow(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "jobs")
        request = await self._store.read(lambda txn: _request(txn, args))
        told: dict[str, int] = {}
        known: set[str] = {request.id}
        subscription = Subscription(
            caller.call, look=lambda: look(), wants=lambda effects: bool(known & effects.changed)
        )

        async def look() -> Any:
            def unit(txn: Txn) -> Any:
                current = txn.request(request.id)
                if current is None:
                    return None
                jobs = txn.jobs_of(current.id)
                chunks = []
                for job in jobs:
                    for chunk in txn.chunks(job.id, after_seq=told.get(job.id, 0), limit=CHUNKS_A_PUSH):
                        chunks.append(
                            {
                                "job": job.id,
                                "agent": job.agent,
                                "seq": chunk.seq,
                                "stream": chunk.stream,
                                "data": chunk.data,
                            }
                        )
                        told[job.id] = chunk.seq
                        if len(chunks) >= CHUNKS_A_PUSH:
                            return current, jobs, chunks
                return current, jobs, chunks

            found = await self._store.read(unit)
            if found is None:
                subscription.ended = True
                return None
            current, jobs, chunks = found
            known.update(job.id for job in jobs)
            more = len(chunks) >= CHUNKS_A_PUSH
            subscription.dirty = subscription.dirty or more
            subscription.ended = not more and current.state in REQUEST_ENDS
            return {"request": request_view(current, jobs), "output": chunks, "ended": subscription.ended}

        caller.link.subscribe(subscription)
        return {"id": request.id, "number": request.number}

    async def watch(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self._allow(caller, "watch")
        head = (await self._store.read(lambda txn: txn.audit_head()))[0]
        start = _integer(args, "after")
        mark = [head if start is None else start]

        async def look() -> Any:
            events = await self._store.read(lambda txn: txn.events(after_seq=mark[0], limit=200))
            if not events:
                return None
            mark[0] = events[-1].seq
            subscription.dirty = subscription.dirty or len(events) == 200
            return [event_view(event) for event in events]

        subscription = Subscription(caller.call, look=look, wants=lambda effects: True)
        caller.link.subscribe(subscription)
        return {"after": mark[0]}

    def may(self, person: str, verb: str) -> bool:
        return may(self._people.roles(person), verb)


# ---- arguments: from outside, so each is checked and bounded


def _text(args: Mapping[str, Any], key: str, limit: int = 2000) -> str:
    value = args.get(key, "")
    if not isinstance(value, str) or len(value) > limit:
        raise BadCall(f"{key}: text of at most {limit} characters is expected")
    return value


def _integer(args: Mapping[str, Any], key: str) -> int | None:
    value = args.get(key)
    if value is None:
        return None
    if type(value) is not int or not -(2**53) < value < 2**53:
        raise BadCall(f"{key}: a whole number is expected")
    return value


def _limit(args: Mapping[str, Any]) -> int:
    value = _integer(args, "limit")
    return 100 if value is None else max(1, min(value, MAX_LIMIT))


def _words(args: Mapping[str, Any], key: str) -> list[str]:
    value = args.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
        raise BadCall(f"{key}: a list of words is expected")
    return value


def _states(args: Mapping[str, Any], kind: Any) -> Any:
    value = args.get("states")
    if value is None:
        return None
    names = {state.value: state for state in kind}
    if not isinstance(value, list) or not value or any(name not in names for name in value):
        raise BadCall(f"states: some of {', '.join(names)} are expected")
    return tuple(names[name] for name in value)


def _language(args: Mapping[str, Any]) -> Language:
    value = args.get("language")
    return next((language for language in LANGUAGES if language == value), "en")


def _request(txn: Txn, args: Mapping[str, Any]) -> Request:
    number, identity = _integer(args, "number"), _text(args, "id")
    found = txn.request_by_number(number) if number is not None else txn.request(identity)
    if found is None:
        raise BadCall(str(Sentence("no_request", {"what": f"r{number}" if number is not None else identity or "?"})))
    return found


def _job(txn: Txn, part: str) -> Job:
    found = txn.find_jobs(part) if len(part) >= 4 else []
    if not found:
        raise BadCall(str(Sentence("no_job", {"what": part})))
    if len(found) > 1:
        raise BadCall(str(Sentence("job_ambiguous", {"what": part})))
    return found[0]
