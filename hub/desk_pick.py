"""The room for choosing: what a selection means, what may come next in a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from common.filter_complete import complete
from common.filter_fields import VIEWS, View
from hub.consoles import BadCall, Caller
from hub.desk_args import Args, Office, integer, language_of, text
from hub.machines import NoTarget, resolve

MAX_SELECTION: Final = 10_000
SAMPLE: Final = 10
RIGHT_TO_LOOK: Final = {
    "jobs": "jobs",
    "requests": "jobs",
    "agents": "machines",
    "audit": "audit",
    "activity": "watch",
}
"""What it takes to look at a list."""


class PickRoom:
    def __init__(self, office: Office, choices: Callable[[str], Iterable[str]]) -> None:
        """`choices` gives what hub.toml and runbooks.toml know: of "src" the inlets, of "rb" the runbooks."""
        self._office = office
        self._choices = choices

    async def targets(self, caller: Caller, args: Args) -> Any:
        """Which machines a selection means now: what a broadcast would go to."""
        office = self._office
        office.allow(caller, "machines")
        inventory = office.fleet.inventory
        try:
            names = resolve(text(args, "selector", 8_192), inventory, MAX_SELECTION)
        except NoTarget as error:
            raise BadCall(error.sentence.say(language_of(args))) from None
        online = [name for name in names if inventory.machines[name].online]
        paused = [name for name in names if inventory.machines[name].paused]
        return {
            "count": len(names),
            "online": len(online),
            "offline": len(names) - len(online),
            "paused": len(paused),
            "sample": list(names[:SAMPLE]),
        }

    async def complete(self, caller: Caller, args: Args) -> Any:
        """What may come next in a filter that is being written."""
        office = self._office
        view = view_of(args)
        office.allow(caller, RIGHT_TO_LOOK[view])
        cursor = integer(args, "cursor", 0)
        written = text(args, "text")
        found = complete(view, written, len(written) if cursor is None else cursor, self._values)
        return {"start": found.start, "end": found.end, "candidates": list(found.texts)}

    def _values(self, field: str) -> Iterable[str]:
        """The values that a field of the filter language has now."""
        office = self._office
        match field:
            case "agent" | "name":
                return (agent.name for agent in office.fleet.agents())
            case "user" | "actor":
                return ["me", *office.people.names()]
            case "label":
                return sorted({f"{key}={value}" for row in office.fleet.agents() for key, value in row.labels.items()})
            case "version":
                return sorted({agent.version for agent in office.fleet.agents() if agent.version})
            case "os":
                return sorted({(agent.facts or {}).get("os", "") for agent in office.fleet.agents()} - {""})
            case "kind":
                return KINDS
        return self._choices(field)


def view_of(args: Args) -> View:
    value = text(args, "view")
    for view in VIEWS:
        if view == value:
            return view
    raise BadCall(f"view: one of {', '.join(VIEWS)} is expected")


KINDS: Final = (
    "message.*",
    "plan.judged",
    "request.*",
    "request.approved",
    "request.edited",
    "request.rejected",
    "job.*",
    "job.ended",
    "job.unknown",
    "job.anomaly",
    "job.cancel_asked",
    "job.priority",
    "act.*",
    "act.refused",
    "queue.*",
    "agent.*",
    "join.*",
    "link.refused",
    "hub.*",
)
"""Kinds of events that people look for."""
