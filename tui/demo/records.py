"""What there is in the demo world at a moment: machines, requests, jobs, their output, the events.

Rows are the frozen views of `common.api`, and a change puts a new one in the place of the old, so what was handed out
before stays as it was. `store_…` does that, keeps the machines' counts right and informs the listeners.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Literal

from common.api.agents import AgentView
from common.api.events import EventView
from common.api.jobs import JobView, OutputChunk
from common.api.overview import QueuePause
from common.api.requests import RequestDetails
from common.command.output_filters import DEFAULT_OUTPUT_CAP
from tui.demo.timeline import Timeline

Size = Literal["small", "large"]
Store = Literal["jobs", "requests", "agents", "events"]
MAX_EVENTS: Final = 20_000
MAX_JOBS: Final = 5_000
"""Jobs kept as rows; older ones are counted."""
MAX_REQUESTS: Final = 5_000
EVICT_AT_ONCE: Final = 200
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Scale:
    agents: int
    per_second: float
    history: int


SCALES: Final[dict[Size, Scale]] = {"small": Scale(64, 0.9, 240), "large": Scale(10_000, 25.0, 100_000)}


@dataclass(slots=True)
class JobOutput:
    chunks: list[OutputChunk] = field(default_factory=list)
    size: int = 0  # bytes

    def append(self, line: str, stream: int, at: float) -> bool:
        """False where it would be more than is kept of a job."""
        data = (line + "\n").encode()
        if self.size + len(data) > DEFAULT_OUTPUT_CAP:
            return False
        self.size += len(data)
        self.chunks.append(OutputChunk(seq=len(self.chunks) + 1, stream=stream, data=data, at=at))
        return True


class Records(Timeline):
    """See the module. `requests` have their plan and approvals; their jobs stand in `jobs`."""

    def __init__(self, seed: int, size: Size, start: float) -> None:
        super().__init__(start)
        self.random = random.Random(seed)  # noqa: S311 - a world that must come out the same, no secret
        self.scale = SCALES[size]
        self.agents: dict[str, AgentView] = {}
        self.jobs: dict[str, JobView] = {}
        self.requests: dict[str, RequestDetails] = {}
        self.events: deque[EventView] = deque(maxlen=MAX_EVENTS)
        self.job_ids: dict[str, list[str]] = {}  # by request
        self.outputs: dict[str, JobOutput] = {}
        self.queue_paused: QueuePause | None = None
        self.listeners: list[Callable[[Store, str], None]] = []
        self._seq = 0
        self._hash = "0" * 64

    def new_ulid(self) -> str:
        """A ULID of the world's time and chance."""
        value = (int(self.now * 1000) << 80) | self.random.getrandbits(80)
        return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))

    def notify_change(self, store: Store, identity: str) -> None:
        for listener in self.listeners:
            listener(store, identity)

    def jobs_of(self, request: str) -> list[JobView]:
        """The jobs of a request, by its id, that are still kept."""
        return [self.jobs[identity] for identity in self.job_ids.get(request, ()) if identity in self.jobs]

    # ---- changes

    def store_agent(self, agent: AgentView) -> None:
        self.agents[agent.name] = agent
        self.notify_change("agents", agent.name)

    def store_request(self, request: RequestDetails) -> None:
        self.requests[request.id] = request
        self.notify_change("requests", request.id)

    def store_job(self, job: JobView, *, notify: bool = True) -> None:
        """A new job or new values of one; its machine's counts follow its state."""
        before = self.jobs.get(job.id)
        self.jobs[job.id] = job
        if before is None:
            self.job_ids.setdefault(job.request, []).append(job.id)
        elif before.state != job.state:
            self._count(before, -1)
        if before is None or before.state != job.state:
            self._count(job, 1)
        if notify:
            self.notify_change("jobs", job.id)

    def discard_jobs(self, request: str) -> None:
        """Takes a request's jobs out as if there had never been any."""
        for identity in self.job_ids.pop(request, ()):
            self._count(self.jobs.pop(identity), -1)

    def append_event(
        self, kind: str, subject: str, actor: str, data: dict[str, Any], number: int | None = None
    ) -> None:
        self._seq += 1
        self._hash = hashlib.sha256(f"{self._hash}{self._seq}{kind}{subject}".encode()).hexdigest()
        event = EventView(
            id=str(self._seq),
            seq=self._seq,
            at=self.now,
            kind=kind,
            subject=subject,
            actor=actor,
            data=data,
            hash=self._hash,
            number=number,
        )
        self.events.append(event)
        self.notify_change("events", event.id)

    def _count(self, job: JobView, change: int) -> None:
        """Counts a job at its machine, or no longer, by its state."""
        agent = self.agents[job.agent]
        if job.is_queued:
            self.store_agent(replace(agent, queued=agent.queued + change))
        elif job.is_running:
            running = agent.running + change
            draining = replace(agent.draining, left=running) if agent.draining is not None else None
            self.store_agent(replace(agent, running=running, draining=draining))

    def evict_old(self) -> None:
        """Forgets the oldest of what has ended where there is too much."""
        if len(self.jobs) > MAX_JOBS + EVICT_AT_ONCE:
            oldest = islice(self.jobs.values(), 2 * EVICT_AT_ONCE)
            for identity in [job.id for job in oldest if job.is_ended][:EVICT_AT_ONCE]:
                del self.jobs[identity]
                self.outputs.pop(identity, None)
                self.notify_change("jobs", identity)
        if len(self.requests) > MAX_REQUESTS + EVICT_AT_ONCE:
            first = islice(self.requests.values(), 2 * EVICT_AT_ONCE)
            for identity in [request.id for request in first if request.is_ended][:EVICT_AT_ONCE]:
                del self.requests[identity]
                self.job_ids.pop(identity, None)
                self.notify_change("requests", identity)
