"""An event of the audit as operators see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from common.api.constraints import OMIT, Moment

QUIET_KINDS: Final = (
    "agent.reported",
    "credential.renewed",
    "job.accepted",
    "job.dispatched",
    "jobs.queued",
    "plan.judged",
)
"""Kinds of events that the activity list leaves out: intermediate steps."""

ACTIVITY: Final = ("agent.", "hub.started", "hub.stopped", "job.", "message.accepted", "plan.", "request.", "runbook.")
"""Beginnings of the kinds that the activity tells: what whoever may see requests, jobs and machines sees there too. Of
people, invitations, links, what was refused and what administrators did only the audit tells.
"""
ACTIVITY_DATA: Final = frozenset(
    {
        *("agent", "argv", "as", "code", "count", "exit_code", "given", "images", "jobs", "needed", "open", "outcome"),
        *("output_bytes", "priority", "reason", "role", "rule", "signal", "text", "until", "verb", "verdict", "was"),
        *("what", "why"),
    }
)
"""What the activity shows of an event's data."""


def in_activity(kind: str) -> bool:
    """Whether the activity tells of events of this kind."""
    return kind.startswith(ACTIVITY) and kind not in QUIET_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One row of the audit chain. Rows of the followed lists have an `id`, which is the seq as text, the number of the
    request that they are about, and of a job whose it was, where, and what it ran.
    """

    id: Annotated[str, OMIT] = ""
    seq: Annotated[int, "from 1, without gaps"]
    at: Moment
    kind: Annotated[str, "a dotted name: message.accepted, job.ended …"]
    subject: Annotated[str, "the request, job, agent or person that it is about"] = ""
    actor: Annotated[str, "person, agent, or hub"] = ""
    data: Annotated[Mapping[str, Any], "open: what it has depends on the kind"]
    hash: Annotated[str, "hex SHA-256 over the hash before and this row"] = ""
    number: Annotated[int | None, OMIT, "of the request that it is about"] = None
    agent: Annotated[str | None, OMIT] = None
    person: Annotated[str | None, OMIT] = None
    argv: Annotated[tuple[str, ...] | None, OMIT] = None
    argv_cut: Annotated[bool, OMIT, "argv is not all of it"] = False

    @property
    def command(self) -> tuple[str, ...]:
        """What was run or is to be run, where the event is about that; else empty."""
        said = self.data.get("argv") or self.argv
        return tuple(map(str, said)) if isinstance(said, list | tuple) else ()

    @property
    def edit(self) -> tuple[str, str] | None:
        """A plan's text before and after a person edited it; None where the event is no edit."""
        before, after = self.data.get("before"), self.data.get("after")
        return (before, after) if isinstance(before, str) and isinstance(after, str) else None

    def with_details(self, whole: EventView) -> EventView:
        """This row of a list with what it has no room for, from the same event in full."""
        return replace(
            self, kind=whole.kind, subject=whole.subject, actor=whole.actor, data=whole.data, hash=whole.hash
        )

    def without_audit(self) -> EventView:
        """What somebody sees of it who may not read the audit."""
        return replace(self, data={key: value for key, value in self.data.items() if key in ACTIVITY_DATA}, hash="")

    @property
    def is_about_job(self) -> bool:
        return self.kind.startswith("job.")
