"""What happens in the demo world: requests come, wait for approval, run on machines and end, as at a hub.

Everything to come stands in one heap, so a seed gives the same world however often it is advanced. Rows are dicts of
the form that `hub.views` gives; `touched` tells the views what has changed.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final, Literal

from common.lifecycle import JOB_ENDS, REQUEST_ENDS
from common.plan import DEFAULT_OUTPUT_CAP, DEFAULT_TIME_LIMIT, Plan, Step, plan_hash, plan_to_json
from tui.demo import cast
from tui.demo.cast import INLETS, PEOPLE, Play

Row = dict[str, Any]
Size = Literal["small", "large"]
View = Literal["jobs", "requests", "agents", "events"]
ENDED: Final = frozenset(state.value for state in JOB_ENDS)
CLOSED: Final = frozenset(state.value for state in REQUEST_ENDS)
DECIDE_WITHIN: Final = 600.0
GRACE: Final = 10.0
MAX_EVENTS: Final = 20_000
MAX_JOBS: Final = 5_000
"""Jobs kept as rows; older ones are counted."""
MAX_REQUESTS: Final = 5_000
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Scale:
    agents: int
    per_second: float
    history: int


SCALES: Final[dict[Size, Scale]] = {"small": Scale(64, 0.9, 240), "large": Scale(10_000, 25.0, 100_000)}


@dataclass(slots=True)
class Output:
    chunks: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0


class World:
    """See the module. Times are seconds since the epoch; the world's clock moves by `advance` alone."""

    def __init__(self, seed: int, size: Size, start: float) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a world that must come out the same, no secret
        self.scale = SCALES[size]
        self.now = start
        self.agents: dict[str, Row] = {}
        self.jobs: dict[str, Row] = {}
        self.requests: dict[str, Row] = {}
        self.events: deque[Row] = deque(maxlen=MAX_EVENTS)
        self.jobs_of: dict[str, list[Row]] = {}
        self.outputs: dict[str, Output] = {}
        self.queue_paused: Row | None = None
        self.ended = self.failed = 0  # over all time
        self.durations: deque[float] = deque(maxlen=400)
        self.waits: deque[float] = deque(maxlen=400)
        self.listeners: list[Callable[[View, str], None]] = []
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._numbers = 40
        self._seq = 0
        self._hash = "0" * 64

    # ---- time

    def at(self, when: float, happen: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, happen))

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        self.at(self.now + seconds, happen)

    def advance(self, to: float, most: int = 1_000_000) -> None:
        """Lets happen what is due until `to`."""
        while most and self._heap and self._heap[0][0] <= to:
            self.now, _, happen = heapq.heappop(self._heap)
            happen()
            most -= 1
        self.now = max(self.now, to)

    def identity(self) -> str:
        """A ULID of the world's time and chance."""
        value = (int(self.now * 1000) << 80) | self.random.getrandbits(80)
        return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))

    def touched(self, view: View, identity: str) -> None:
        for listener in self.listeners:
            listener(view, identity)

    # ---- the record

    def event(self, kind: str, subject: str, actor: str, data: dict[str, Any], number: int | None = None) -> None:
        self._seq += 1
        self._hash = hashlib.sha256(f"{self._hash}{self._seq}{kind}{subject}".encode()).hexdigest()
        row: Row = {
            "id": str(self._seq),
            "seq": self._seq,
            "at": self.now,
            "kind": kind,
            "subject": subject,
            "actor": actor,
        }
        row |= {"data": data, "hash": self._hash}
        if number is not None:
            row["number"] = number
        self.events.append(row)
        self.touched("events", row["id"])

    # ---- requests

    def machines_for(self, play: Play) -> list[str]:
        names = [name for name in self.agents if name.startswith("web-eu")] if play.many > 1 else list(self.agents)
        return sorted(self.random.sample(names, min(play.many, len(names))))

    def ask(
        self, play: Play, *, person: str = "", inlet: str = "", targets: Sequence[str] = (), at: float | None = None
    ) -> Row:
        """A person's message comes in and is planned; policy allows it or wants somebody's yes."""
        targets = sorted(targets) or self.machines_for(play)
        person = person or self.random.choice(PEOPLE)
        inlet = inlet or self.random.choice(INLETS)
        text = play.text.replace("{agent}", targets[0])
        limit = 7_200 if play in (cast.STREAM,) else DEFAULT_TIME_LIMIT * 10 if play is not cast.STUCK else 3_600
        plan = Plan(
            (Step(play.argv, tuple(targets), time_limit=limit),),
            f"runbook:{play.runbook}" if play.runbook else "explicit",
        )
        return self.request(plan, text, person, inlet, play, at=at)

    def request(
        self,
        plan: Plan,
        text: str,
        person: str,
        inlet: str,
        play: Play | None = None,
        *,
        parent: str = "",
        at: float | None = None,
    ) -> Row:
        self._numbers += 1
        now = self.now if at is None else at
        asks = play.asks if play else ""
        row: Row = {
            "id": self.identity(),
            "number": self._numbers,
            "state": "received",
            "person": person,
            "inlet": inlet,
            "conversation": "ops",
            "text": text,
            "plan": plan_to_json(plan),
            "plan_hash": plan_hash(plan),
            "rule": "ask-production" if asks else "allow-reading",
            "reason": asks,
            "approvers": 1 if asks else 0,
            "second_factor": bool(play and play.second_factor),
            "own_approval": False,
            "decide_by": now + DECIDE_WITHIN if asks else None,
            "received_at": now,
            "planned_at": now + 0.02,
            "decided_at": None,
            "ended_at": None,
            "parent": parent,
            "approvals": [],
            "given": 0,
        }
        self.requests[row["id"]] = row
        self.event("message.accepted", row["id"], person, {"inlet": inlet, "text": text}, row["number"])
        data = {"source": plan.source, "plan_hash": row["plan_hash"], "steps": len(plan.steps)}
        self.event("plan.made", row["id"], "hub", data, row["number"])
        if asks:
            row["state"] = "asking"
            self.event("request.asked", row["id"], "hub", {"reason": asks, "approvers": 1}, row["number"])
            self.at(row["decide_by"], lambda: self.lapse(row))
        else:
            self.work(row, play)
        self.touched("requests", row["id"])
        return row

    def lapse(self, row: Row) -> None:
        if row["state"] == "asking":
            self.end_request(row, "expired", "nobody decided in time")

    def end_request(self, row: Row, state: str, reason: str, actor: str = "hub") -> None:
        row |= {"state": state, "reason": reason or row["reason"], "ended_at": self.now}
        self.event(f"request.{state}", row["id"], actor, {"reason": reason}, row["number"])
        self.touched("requests", row["id"])

    def work(self, row: Row, play: Play | None, hold: float = 0.0) -> None:
        """Queues a request's jobs; with `hold` they go out that much later."""
        row["state"], row["decided_at"] = "working", self.now
        for index, step in enumerate(row["plan"]["steps"]):
            for agent in step["targets"]:
                self.queue(row, index, agent, play, hold)
        self.touched("requests", row["id"])

    # ---- jobs

    def queue(self, request: Row, step: int, agent: str, play: Play | None, hold: float = 0.0) -> Row:
        argv = request["plan"]["steps"][step]["argv"]
        job: Row = {
            "id": self.identity(),
            "request": request["id"],
            "number": request["number"],
            "inlet": request["inlet"],
            "agent": agent,
            "person": request["person"],
            "state": "queued",
            "step": step,
            "argv": argv,
            "plan_hash": request["plan_hash"],
            "source": request["plan"]["source"],
            "time_limit": request["plan"]["steps"][step]["time_limit"],
            "priority": 5,
            "queued_at": self.now,
            "not_after": self.now + 600,
            "not_before": self.now + hold,
            "parent": request["parent"],
            "output_bytes": 0,
        }
        empty = (
            "leased_at",
            "accepted_at",
            "started_at",
            "ended_at",
            "duration",
            "exit_code",
            "signal",
            "cancel_asked_at",
        )
        job |= dict.fromkeys(empty)
        job |= {"reason": "", "cancel_asked_by": "", "truncated": False, "labels": self.agents[agent]["labels"]}
        self.jobs[job["id"]] = job
        self.jobs_of.setdefault(request["id"], []).append(job)
        self._count(agent, "queued", 1)
        self.after(max(hold, self.random.uniform(0.005, 0.06)), lambda: self.lease(job, play))
        self.touched("jobs", job["id"])
        self._forget_old()
        return job

    def lease(self, job: Row, play: Play | None) -> None:
        """Hands a job to its machine, or looks again later."""
        agent = self.agents[job["agent"]]
        job["agent_online"], job["agent_paused"] = (
            agent["online"],
            bool(agent["paused_by"] or agent["draining"] or self.queue_paused),
        )
        if job["state"] != "queued":
            return
        if self.now >= job["not_after"]:
            self.end(job, "expired", reason="its machine did not come in time")
        elif self.now < job["not_before"]:
            self.at(job["not_before"], lambda: self.lease(job, play))
        elif not agent["online"] or job["agent_paused"] or agent["running"] >= 4:
            self.after(1.0, lambda: self.lease(job, play))
            self.touched("jobs", job["id"])
        else:
            self.set_state(job, "running")
            job |= {"leased_at": self.now, "accepted_at": self.now + 0.002, "started_at": self.now + 0.004}
            self.waits.append(self.now - job["queued_at"])
            self.event(
                "job.started", job["id"], job["agent"], {"agent": job["agent"], "argv": job["argv"]}, job["number"]
            )
            self.touched("jobs", job["id"])
            self.play(job, play)

    def play(self, job: Row, play: Play | None) -> None:
        """What the command does: prints, takes its time, ends."""
        play = play or self.play_of(job["argv"])
        low, usual = play.seconds
        seconds = low + self.random.expovariate(1 / max(0.01, usual - low)) if usual > low else usual
        if play in (cast.STREAM, cast.STUCK):
            self.after(0.2, lambda: self.stream(job, play, 0))
        else:
            for index, line in enumerate(play.lines):
                self.after(seconds * (index + 1) / (len(play.lines) + 1), partial(self.print, job, line))
            if job["argv"][0].endswith("journalctl"):
                for index in range(200):
                    self.after(seconds * index / 220, partial(self.print, job, play.lines[index % len(play.lines)]))
        failed = self.random.random() < play.fails
        self.after(seconds, lambda: self.finish(job, failed))

    def play_of(self, argv: Sequence[str]) -> Play:
        return next(
            (play for play in (*cast.PLAYS, cast.QUEUED) if list(play.argv) == list(argv)),
            Play(tuple(argv), "", 0, (0.05, 1.0), ("ok",)),
        )

    def stream(self, job: Row, play: Play, index: int) -> None:
        """Output that goes on; the stuck one falls silent after its few lines."""
        if job["state"] != "running" or (play is cast.STUCK and index >= len(play.lines)):
            return
        line = play.lines[index % len(play.lines)]
        self.print(job, line, stream=2 if line.startswith("WARN") else 1)
        self.after(self.random.uniform(0.1, 0.7), lambda: self.stream(job, play, index + 1))

    def print(self, job: Row, line: str, stream: int = 1) -> None:
        if job["state"] != "running":
            return
        output = self.outputs.setdefault(job["id"], Output())
        data = (line + "\n").encode()
        if output.size + len(data) > DEFAULT_OUTPUT_CAP:
            job["truncated"] = True
            return
        output.size += len(data)
        job["output_bytes"] = output.size
        output.chunks.append({"seq": len(output.chunks) + 1, "stream": stream, "data": data, "at": self.now})

    def finish(self, job: Row, failed: bool) -> None:
        if job["state"] != "running":
            return
        if failed:
            self.print(job, f"{job['argv'][0].rpartition('/')[2]}: error: connection refused", stream=2)
        self.end(job, "failed" if failed else "succeeded", exit_code=1 if failed else 0)

    def end(
        self, job: Row, state: str, *, exit_code: int | None = None, signal: int | None = None, reason: str = ""
    ) -> None:
        """One end, once."""
        if job["state"] in ENDED:
            return
        started = job["started_at"]
        self.set_state(job, state)
        job |= {"exit_code": exit_code, "signal": signal, "reason": reason, "ended_at": self.now}
        job["duration"] = self.now - started if started is not None else None
        job["cpu_user"], job["cpu_system"] = (job["duration"] or 0) * 0.3, (job["duration"] or 0) * 0.05
        job["max_rss"] = self.random.randint(2, 90) * 1024 * 1024
        chunks = self.outputs.get(job["id"], Output()).chunks
        job["output_digest"] = hashlib.sha256(b"".join(chunk["data"] for chunk in chunks)).hexdigest()
        self.ended += 1
        self.failed += state in ("failed", "timed_out")
        if job["duration"] is not None:
            self.durations.append(job["duration"])
        self.event(
            f"job.{state}",
            job["id"],
            job["agent"],
            {"agent": job["agent"], "exit_code": exit_code, "argv": job["argv"]},
            job["number"],
        )
        self.touched("jobs", job["id"])
        request = self.requests.get(job["request"])
        if request is None or request["state"] != "working":
            return
        if all(other["state"] in ENDED for other in self.jobs_of[request["id"]]):
            self.end_request(request, "done", "")

    def cancel(self, job: Row, person: str, kill: bool) -> None:
        """Asks; the machine says when it has stopped. The stuck one does not heed TERM."""
        job["cancel_asked_at"], job["cancel_asked_by"] = job["cancel_asked_at"] or self.now, person
        self.event("job.cancel_asked", job["id"], person, {"kill": kill, "agent": job["agent"]}, job["number"])
        self.touched("jobs", job["id"])
        if job["state"] == "queued":
            self.end(job, "cancelled", reason=f"cancelled by {person}")
            return
        deaf = job["argv"] == list(cast.STUCK.argv)
        wait = 0.4 if kill else GRACE if deaf else self.random.uniform(0.3, 1.5)
        sign = 9 if kill or deaf else 15
        self.after(wait, lambda: self.end(job, "cancelled", signal=sign, reason=f"cancelled by {person}"))

    # ---- machines

    def _count(self, name: str, what: str, change: int) -> None:
        agent = self.agents[name]
        agent[what] += change
        if what == "running" and agent["draining"]:
            agent["draining"] = {**agent["draining"], "left": agent["running"]}
        self.touched("agents", name)

    def set_state(self, job: Row, state: str) -> None:
        """Moves a job, and with it its machine's counts."""
        for what, change in ((job["state"], -1), (state, 1)):
            if what in ("queued", "running"):
                self._count(job["agent"], what, change)
        job["state"] = state

    def _forget_old(self) -> None:
        if len(self.jobs) > MAX_JOBS + 200:
            for identity in [job["id"] for job in islice(self.jobs.values(), 400) if job["state"] in ENDED][:200]:
                del self.jobs[identity]
                self.outputs.pop(identity, None)
                self.touched("jobs", identity)
        if len(self.requests) > MAX_REQUESTS + 200:
            for identity in [row["id"] for row in islice(self.requests.values(), 400) if row["state"] in CLOSED][:200]:
                del self.requests[identity]
                self.jobs_of.pop(identity, None)
                self.touched("requests", identity)
