"""A machine's agent as operators see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from common.api.constraints import OMIT, MaybeMoment, MaybeSeconds, Moment, Seconds, StateName
from common.machine.absence import CLOCK_OFF, Absence


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainView:
    """How far a drain is: `left` of the `of` jobs that the machine had when it began."""

    by: str
    at: Moment
    cancel_at: Annotated[MaybeMoment, "what is left then is cancelled; null: all of it may finish"] = None
    left: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsView:
    """How a machine was in the last minutes. Each sequence has as many samples, `slot` seconds apart, the oldest first,
    the last one at `until`; null where nothing is known of that time.
    """

    agent: str
    slot: Seconds
    until: Moment
    load: Annotated[tuple[float | None, ...], "over one minute"] = ()
    memory: Annotated[tuple[float | None, ...], "in percent"] = ()
    rtt: Annotated[tuple[float | None, ...], "of the link, in seconds"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """A machine. Rows of the followed list have an `id`, which is the name, and texts cut."""

    id: Annotated[str, OMIT] = ""
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    state: StateName
    online: bool
    last_seen: MaybeMoment = None
    version: str = ""
    facts: Annotated[Mapping[str, str], "what the machine says of itself: os, arch …"] = field(default_factory=dict)
    vitals: Annotated[Mapping[str, float], "load1, and cpu, memory, disk in percent; empty while offline"] = field(
        default_factory=dict
    )
    away: Annotated[str, OMIT, "why it is away, empty where it is not: a code of common.machine.absence"] = ""
    away_since: Annotated[MaybeMoment, OMIT, "where a moment belongs to that"] = None
    clock_ahead: Annotated[MaybeSeconds, OMIT, "that its clock is ahead of the hub's; null: not known"] = None
    rtt: Annotated[MaybeSeconds, "of the last heartbeat"] = None
    paused_by: str = ""
    paused_at: MaybeMoment = None
    pause_reason: str = ""
    paused_until: Annotated[MaybeMoment, "null: until somebody resumes it"] = None
    draining: DrainView | None = None
    queued: Annotated[int, "jobs that wait for it"] = 0
    running: Annotated[int, "jobs handed out and not ended"] = 0
    certificate_until: Annotated[MaybeMoment, OMIT, "of the verb `agents` without a filter alone"] = None

    @property
    def runner_version(self) -> str:
        """The version of the runner, which may be another one than the uplink's; "" where it is not known."""
        return self.facts.get("runner", "")

    @property
    def versions(self) -> str:
        """That of the uplink, and the runner's where it is another one; "" where none is known."""
        other = self.runner_version not in ("", self.version)
        return f"{self.version}, runner {self.runner_version}" if other and self.version else self.version

    @property
    def absence(self) -> Absence | None:
        return Absence(self.away, self.away_since, self.clock_ahead) if self.away else None

    @property
    def is_clock_off(self) -> bool:
        return self.clock_ahead is not None and abs(self.clock_ahead) >= CLOCK_OFF

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def is_locked(self) -> bool:
        return self.state == "locked"

    @property
    def is_revoked(self) -> bool:
        return self.state == "revoked"

    @property
    def is_paused(self) -> bool:
        return bool(self.paused_by)

    @property
    def is_draining(self) -> bool:
        return self.draining is not None

    @property
    def is_busy(self) -> bool:
        return self.running > 0

    @property
    def is_bad(self) -> bool:
        """Away, locked or revoked."""
        return not self.online or not self.is_active

    @property
    def takes_jobs(self) -> bool:
        """Whether new jobs may be handed to it, once it is here."""
        return self.is_active and not self.is_paused and not self.is_draining

    @property
    def load(self) -> float | None:
        """Over the last minute; None while it is not known, as the two below."""
        return self.vitals.get("load1")

    @property
    def memory(self) -> float | None:
        """In percent."""
        return self.vitals.get("memory")

    @property
    def disk(self) -> float | None:
        """In percent."""
        return self.vitals.get("disk")

    @property
    def label_words(self) -> str:
        """The labels as people write them."""
        return " ".join(f"{key}={value}" for key, value in sorted(self.labels.items()))
