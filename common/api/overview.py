"""The overview: the pipeline's lanes, what needs a person, the machines, the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from common.api.agents import DrainView
from common.api.constraints import OMIT, MaybeMoment, MaybeSeconds, Moment, Seconds, StateName
from common.lifecycle import RequestState


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """A stage of the pipeline over the last five minutes."""

    stage: Annotated[str, "received, planning, approval, queued, running, done"]
    count: Annotated[int, "in it now; of done: that ended in five minutes"] = 0
    oldest: Annotated[MaybeSeconds, "for which the oldest has been in it"] = None
    p50: MaybeSeconds = None
    p95: MaybeSeconds = None
    p99: MaybeSeconds = None
    rate: Annotated[float, "a second, over the last minute"] = 0.0
    trend: Annotated[tuple[int, ...], "that went through, in slots of 10 s, the oldest first"] = ()
    state: Annotated[StateName, "ok, slow, waiting, paused, stuck"] = "ok"
    note: Annotated[str, "a sentence in the call's language"] = ""

    @property
    def id(self) -> str:
        return self.stage


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedView:
    """One thing that needs a person. Which fields there are depends on `kind`.

    approve (number, inlet, count, given, approvers, second_factor, expires), stuck and unknown (number, job, agent,
    inlet), anomaly (job, agent), drain (agent, draining), offline (agent, count), file (file; agent where it is that
    machine's), inlet (inlet, count of replies that wait), quiet (inlet), witness (file), allowed (file: its name, a3;
    expires). recovery, storage, clock and budget have only their text.
    """

    kind: Annotated[
        StateName,
        "recovery, storage, clock, budget, approve, stuck, unknown, anomaly, drain, offline, file, inlet, quiet, "
        "witness, allowed",
    ]
    number: Annotated[int | None, OMIT] = None
    job: Annotated[str | None, OMIT] = None
    agent: Annotated[str | None, OMIT, "empty where a plan is for several machines"] = None
    since: Moment
    age: Seconds = 0.0
    who: str = ""
    inlet: Annotated[str | None, OMIT] = None
    draining: Annotated[DrainView | None, OMIT] = None
    text: Annotated[str, "a command, or a sentence in the call's language"] = ""
    count: Annotated[int | None, OMIT, "machines of a plan; jobs that wait for a machine"] = None
    given: Annotated[int | None, OMIT] = None
    approvers: Annotated[int | None, OMIT] = None
    second_factor: Annotated[bool | None, OMIT] = None
    expires: Annotated[MaybeMoment, OMIT] = None
    file: Annotated[str | None, OMIT, "that is not in force as it stands; a3"] = None

    @property
    def id(self) -> str:
        """What tells it from others in the list: the job, r42, the machine, the file, or the inlet."""
        if self.job:
            return self.job
        return f"r{self.number}" if self.number else self.file or self.agent or self.inlet or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedCounts:
    approve: int = 0
    unknown: int = 0
    stuck: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrips:
    p50: MaybeSeconds = None
    p95: MaybeSeconds = None
    p99: MaybeSeconds = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    agent: str
    rtt: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """How many machines are how."""

    online: int = 0
    offline: int = 0
    busy: int = 0
    paused: int = 0
    draining: int = 0
    rtt: RoundTrips = field(default_factory=RoundTrips)
    versions: Annotated[Mapping[str, int], "the 8 most frequent"] = field(default_factory=dict)
    worst: Annotated[tuple[RoundTrip, ...], "the 5 slowest links"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePause:
    """Who paused the whole queue."""

    by: str
    at: Moment
    reason: str = ""
    until: Annotated[MaybeMoment, "null: until somebody resumes it"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HubView:
    id: str = ""
    version: Annotated[str, OMIT] = ""
    epoch: Annotated[int, OMIT] = 0
    queue_paused: QueuePause | None = None
    recovery: Annotated[str | None, OMIT, "what holds everything back after a restored backup, in words"] = None
    storage: Annotated[str | None, OMIT, "what fills the store's disk while it is full, in words"] = None
    outbox: Annotated[int, "replies that are not delivered yet"] = 0
    now: Moment = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Pushed twice a second at most, whole each time."""

    lanes: tuple[LaneView, ...] = ()
    needs_you: Annotated[tuple[NeedView, ...], "the most pressing first, at most 60"] = ()
    needs: NeedCounts = field(default_factory=NeedCounts)
    fleet: FleetView = field(default_factory=FleetView)
    counts: Annotated[Mapping[str, int], "open jobs and requests by state"] = field(default_factory=dict)
    hub: HubView = field(default_factory=HubView)
    version: Annotated[int | None, OMIT, "of the form of this push"] = None

    @property
    def is_partial(self) -> bool:
        """Made from `queue`, for a hub that has no overview."""
        return not self.lanes

    @property
    def asking(self) -> int:
        """Requests that wait for approval."""
        return self.counts.get(RequestState.ASKING, 0)

    @property
    def is_recovering(self) -> bool:
        """The hub was restored from a backup, and hands nothing out until an admin has looked."""
        return bool(self.hub.recovery)

    @property
    def is_queue_paused(self) -> bool:
        return self.hub.queue_paused is not None

    def lane(self, stage: str) -> LaneView | None:
        return next((lane for lane in self.lanes if lane.stage == stage), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """How much waits."""

    depth: Annotated[int, "jobs that wait for their machine"]
    oldest: Annotated[MaybeMoment, "since when the oldest has waited"] = None
    states: Annotated[Mapping[str, int], "every job by state, 0 where there is none"] = field(default_factory=dict)
    paused: QueuePause | None = None
    storage: Annotated[str | None, OMIT, "what fills the store's disk while it is full, in words"] = None
    now: Moment

    def as_overview(self) -> Overview:
        """What a console shows of a hub that has no overview."""
        return Overview(counts=self.states, hub=HubView(queue_paused=self.paused, storage=self.storage, now=self.now))
