"""What happens in the demo world: requests come, wait for approval, run on machines and end, as at a hub.

Callbacks that are scheduled name a request or job by its id, and do nothing where it has gone or ended meanwhile. They
are partials and not closures, so that a copy of the world has its own.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from common.api.agents import AgentView
from common.api.jobs import JobView
from common.api.plans import PlanView
from common.api.requests import RequestDetails
from common.plan import DEFAULT_TIME_LIMIT, Plan, Step, plan_hash
from tui.demo import cast
from tui.demo.cast import CHANNELS, PEOPLE, SampleCommand
from tui.demo.records import JobOutput, Records, Size
from tui.model.plan_text import render_plan

DECIDE_WITHIN: Final = 600.0
MAX_WAIT: Final = 600.0
"""Seconds for which a job waits for its machine."""
MAX_RUNNING: Final = 4
"""Jobs that a machine runs at once."""
GRACE: Final = 10.0


class DemoWorld(Records):
    """See the module."""

    def __init__(self, seed: int, size: Size, start: float) -> None:
        super().__init__(seed, size, start)
        self.ended = self.failed = 0  # over all time
        self.durations: deque[float] = deque(maxlen=400)
        self.waits: deque[float] = deque(maxlen=400)
        self._numbers = 40
        self.shown_at = start
        """From when on somebody looks: of a job that ends before, the output is recorded at once."""

    # ---- requests

    def machines_for(self, sample: SampleCommand) -> list[str]:
        names = [name for name in self.agents if name.startswith("web-eu")] if sample.many > 1 else list(self.agents)
        return sorted(self.random.sample(names, min(sample.many, len(names))))

    def receive_message(
        self,
        sample: SampleCommand,
        *,
        person: str = "",
        inlet: str = "",
        targets: Sequence[str] = (),
        at: float | None = None,
    ) -> RequestDetails:
        """A person's message comes in and is planned; policy allows it or asks for an approval."""
        targets = sorted(targets) or self.machines_for(sample)
        person = person or self.random.choice(PEOPLE)
        inlet = inlet or self.random.choice(CHANNELS)
        text = sample.text.replace("{agent}", targets[0])
        limit = 7_200 if sample in (cast.STREAM,) else DEFAULT_TIME_LIMIT * 10 if sample is not cast.STUCK else 3_600
        plan = Plan(
            (Step(sample.argv, tuple(targets), time_limit=limit),),
            f"runbook:{sample.runbook}" if sample.runbook else "explicit",
        )
        return self.create_request(plan, text, person, inlet, sample, at=at)

    def create_request(
        self,
        plan: Plan,
        text: str,
        person: str,
        inlet: str,
        sample: SampleCommand | None = None,
        *,
        parent: str = "",
        at: float | None = None,
    ) -> RequestDetails:
        """A request with its plan, which asks for approval or is queued at once; as it stands then."""
        self._numbers += 1
        now = self.now if at is None else at
        asks = sample.approval_reason if sample else ""
        request = RequestDetails(
            id=self.new_ulid(),
            number=self._numbers,
            state="received",
            person=person,
            inlet=inlet,
            conversation="ops",
            text=text,
            plan=PlanView.of(plan),
            plan_hash=plan_hash(plan),
            rule="ask-production" if asks else "allow-reading",
            reason=asks,
            approvers=1 if asks else 0,
            second_factor=bool(sample and sample.second_factor),
            decide_by=now + DECIDE_WITHIN if asks else None,
            received_at=now,
            planned_at=now + 0.02,
            parent=parent,
            approvals=(),
        )
        self._admit_request(request, sample)
        return self.requests[request.id]

    def _admit_request(self, request: RequestDetails, sample: SampleCommand | None) -> None:
        """Records the message and its plan; then it asks for approval, or its jobs are queued."""
        self.store_request(request)
        said = {"inlet": request.inlet, "text": request.text}
        self.append_event("message.accepted", request.id, request.person, said, request.number)
        source = request.plan.source if request.plan is not None else ""
        verdict = "ask" if request.approvers else "allow"
        data: dict[str, Any] = {"verdict": verdict, "rule": request.rule, "source": source}
        data |= {"plan_hash": request.plan_hash, "targets": request.machine_count}
        self.append_event("plan.judged", request.id, request.person, data, request.number)
        if request.approvers:
            self.ask_approval(request)
        else:
            self.queue_jobs(request, sample)

    def ask_approval(self, request: RequestDetails) -> None:
        self.wait_for_approval(replace(request, state="asking"))

    def wait_for_approval(self, request: RequestDetails) -> None:
        """Keeps a request that asks until its time is over."""
        self.store_request(request)
        self.schedule_at(request.decide_by or self.now + DECIDE_WITHIN, partial(self.expire_request, request.id))

    def expire_request(self, identity: str) -> None:
        request = self.requests.get(identity)
        if request is not None and request.is_asking:
            self.end_request(request, "expired", "nobody decided in time")

    def end_request(self, request: RequestDetails, state: str, reason: str, actor: str = "hub") -> None:
        self.store_request(replace(request, state=state, reason=reason or request.reason, ended_at=self.now))
        if state == "done":
            counts = dict(Counter(job.state for job in self.jobs_of(request.id)))
            self.append_event("request.ended", request.id, actor, {"jobs": counts}, request.number)
        else:
            self.append_event(f"request.{state}", request.id, actor, {"why": reason}, request.number)

    def queue_jobs(self, request: RequestDetails, sample: SampleCommand | None) -> None:
        """Queues a request's jobs."""
        self.store_request(replace(request, state="working", decided_at=self.now))
        for index, step in enumerate(request.plan.steps if request.plan is not None else ()):
            for agent in step.targets:
                self.queue_job(request, index, agent, sample)

    # ---- jobs

    def queue_job(self, request: RequestDetails, step: int, agent: str, sample: SampleCommand | None) -> None:
        """One job of a request, whose plan has this step."""
        plan = request.plan
        assert plan is not None  # noqa: S101 - every request here has one
        job = JobView(
            id=self.new_ulid(),
            request=request.id,
            number=request.number,
            inlet=request.inlet,
            agent=agent,
            person=request.person,
            state="queued",
            step=step,
            argv=plan.steps[step].argv,
            plan_hash=request.plan_hash,
            source=plan.source,
            time_limit=plan.steps[step].time_limit,
            queued_at=self.now,
            not_after=self.now + MAX_WAIT,
            not_before=self.now,
            parent=request.parent,
        )
        self.store_job(job)
        self.schedule_in(self.random.uniform(0.005, 0.06), partial(self.lease_job, job.id, sample))
        self.evict_old()

    def lease_job(self, identity: str, sample: SampleCommand | None) -> None:
        """Hands a job to its machine, or tries again later."""
        found = self.jobs.get(identity)
        if found is None or not found.is_queued:
            return
        agent = self.agents[found.agent]
        job = replace(found, agent_online=agent.online, agent_paused=self._is_held_back(agent))
        if self.now >= (job.not_after or 0.0):
            self.end_job(job, "expired", reason="its machine did not come in time")
        elif self.now < job.not_before:
            self.store_job(job, notify=False)
            self.schedule_at(job.not_before, partial(self.lease_job, identity, sample))
        elif not agent.online or job.agent_paused or agent.running >= MAX_RUNNING:
            self.store_job(job)
            self.schedule_in(1.0, partial(self.lease_job, identity, sample))
        else:
            self.start_job(job, sample)

    def _is_held_back(self, agent: AgentView) -> bool:
        return agent.is_paused or agent.is_draining or self.queue_paused is not None

    def start_job(self, job: JobView, sample: SampleCommand | None) -> None:
        """The machine takes the job and begins it."""
        now = self.now
        running = replace(job, state="running", leased_at=now, accepted_at=now + 0.002, started_at=now + 0.004)
        self.store_job(running)
        self.waits.append(self.now - job.queued_at)
        self.append_event("job.started", job.id, job.agent, {"agent": job.agent, "argv": words_of(job)}, job.number)
        self.execute(job, sample or sample_for(job.argv or ()))

    def execute(self, job: JobView, sample: SampleCommand) -> None:
        """What the command does: prints, takes its time, ends."""
        identity = job.id
        low, usual = sample.seconds
        seconds = low + self.random.expovariate(1 / max(0.01, usual - low)) if usual > low else usual
        if sample in (cast.STREAM, cast.STUCK):
            self.schedule_in(0.2, partial(self.stream_output, identity, sample, 0))
        elif sample.lines and self.now + seconds < self.shown_at:
            self.record_output(identity, printed_lines(job, sample, seconds))
        else:
            for after, line in printed_lines(job, sample, seconds):
                self.schedule_in(after, partial(self.append_output, identity, line))
        failed = self.random.random() < sample.failure_rate
        self.schedule_in(seconds, partial(self.finish_job, identity, failed))

    def stream_output(self, identity: str, sample: SampleCommand, index: int) -> None:
        """Output that goes on; the stuck one falls silent after its few lines."""
        job = self.jobs.get(identity)
        if job is None or not job.is_running or (sample is cast.STUCK and index >= len(sample.lines)):
            return
        line = sample.lines[index % len(sample.lines)]
        self.append_output(identity, line, stream=2 if line.startswith("WARN") else 1)
        self.schedule_in(self.random.uniform(0.1, 0.7), partial(self.stream_output, identity, sample, index + 1))

    def append_output(self, identity: str, line: str, stream: int = 1) -> None:
        job = self.jobs.get(identity)
        if job is None or not job.is_running:
            return
        output = self.outputs.setdefault(identity, JobOutput())
        truncated = not output.append(line, stream, self.now)
        self.store_job(replace(job, output_bytes=output.size, truncated=job.truncated or truncated), notify=False)

    def record_output(self, identity: str, lines: Sequence[tuple[float, str]]) -> None:
        """What a job will have printed, each line so many seconds from now; lines of the same time keep their order."""
        output = self.outputs.setdefault(identity, JobOutput())
        timed = sorted(((self.now + after, line) for after, line in lines), key=lambda line: line[0])
        whole = [output.append(line, 1, at) for at, line in timed]
        job = self.jobs[identity]
        self.store_job(replace(job, output_bytes=output.size, truncated=not all(whole)), notify=False)

    def finish_job(self, identity: str, failed: bool) -> None:
        job = self.jobs.get(identity)
        if job is None or not job.is_running:
            return
        if failed:
            self.append_output(identity, f"{program_of(job)}: error: connection refused", stream=2)
        self.end_job(self.jobs[identity], "failed" if failed else "succeeded", exit_code=1 if failed else 0)

    def end_job(
        self, job: JobView, state: str, *, exit_code: int | None = None, signal: int | None = None, reason: str = ""
    ) -> None:
        """One end, once; with the last of its jobs a request is done."""
        if job.is_ended:
            return
        duration = self.now - job.started_at if job.started_at is not None else None
        chunks = self.outputs.get(job.id, JobOutput()).chunks
        ended = replace(
            job,
            state=state,
            exit_code=exit_code,
            signal=signal,
            reason=reason,
            ended_at=self.now,
            duration=duration,
            cpu_user=(duration or 0) * 0.3,
            cpu_system=(duration or 0) * 0.05,
            max_rss=self.random.randint(2, 90) * 1024 * 1024,
            output_digest=hashlib.sha256(b"".join(chunk.data for chunk in chunks)).hexdigest(),
        )
        self.store_job(ended)
        self.ended += 1
        self.failed += state in ("failed", "timed_out")
        if duration is not None:
            self.durations.append(duration)
        data: dict[str, Any] = {
            "outcome": state,
            "exit_code": exit_code,
            "signal": signal,
            "output_bytes": job.output_bytes,
        }
        data |= {"agent": job.agent, "argv": words_of(job), "reason": reason}
        kind = "job.ended" if state in ("succeeded", "failed", "timed_out") else f"job.{state}"
        self.append_event(kind, job.id, job.agent, data, job.number)
        request = self.requests.get(job.request)
        if request is not None and request.is_working and all(one.is_ended for one in self.jobs_of(request.id)):
            self.end_request(request, "done", "")

    def cancel_job(self, identity: str, person: str, kill: bool) -> None:
        """Asks for it; the machine says when it has stopped. The stuck one does not heed TERM."""
        job = self.jobs[identity]
        job = replace(job, cancel_asked_at=job.cancel_asked_at or self.now, cancel_asked_by=person)
        self.store_job(job)
        data = {"kill": kill, "agent": job.agent, "argv": words_of(job)}
        self.append_event("job.cancel_asked", job.id, person, data, job.number)
        reason = f"cancelled by {person}"
        if job.is_queued:
            self.end_job(job, "cancelled", reason=reason)
            return
        deaf = job.argv == cast.STUCK.argv
        wait = 0.4 if kill else GRACE if deaf else self.random.uniform(0.3, 1.5)
        self.schedule_in(wait, partial(self.end_cancelled, identity, 9 if kill or deaf else 15, reason))

    def end_cancelled(self, identity: str, signal: int, reason: str) -> None:
        job = self.jobs.get(identity)
        if job is not None:
            self.end_job(job, "cancelled", signal=signal, reason=reason)


def replace_plan(
    world: DemoWorld, request: RequestDetails, plan: Plan, person: str, why: str, reason: str
) -> RequestDetails:
    """Ends the request and makes another one with the new plan, which waits for approval: an edit."""
    made = world.create_request(plan, request.text, request.person, request.inlet, None, parent=request.id)
    world.discard_jobs(made.id)
    world.end_request(request, "rejected", f"edited by {person} as r{made.number}: {why}", person)
    new = replace(
        made, state="asking", approvers=1, reason=reason, decide_by=world.now + DECIDE_WITHIN, decided_at=None
    )
    world.wait_for_approval(new)
    data = {"was": request.number, "why": why}
    data |= {"before": render_plan(request.steps), "after": render_plan(new.steps)}
    world.append_event("request.edited", new.id, person, data, new.number)
    return new


def printed_lines(job: JobView, sample: SampleCommand, seconds: float) -> list[tuple[float, str]]:
    """What a command prints that runs for so long, each line with the seconds from its start."""
    lines = sample.lines
    printed = [(seconds * (index + 1) / (len(lines) + 1), line) for index, line in enumerate(lines)]
    if program_of(job).endswith("journalctl"):
        printed += [(seconds * index / 220, lines[index % len(lines)]) for index in range(200)]
    return printed


def sample_for(argv: Sequence[str]) -> SampleCommand:
    """The command of the world that this is; one that prints "ok" where it is none of them."""
    return next(
        (play for play in (*cast.SAMPLE_COMMANDS, cast.QUEUED) if list(play.argv) == list(argv)),
        SampleCommand(tuple(argv), "", 0, (0.05, 1.0), ("ok",)),
    )


def words_of(job: JobView) -> list[str]:
    return list(job.argv or ())


def program_of(job: JobView) -> str:
    """The name of its program, without the folder."""
    return words_of(job)[0].rpartition("/")[2]
