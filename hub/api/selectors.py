"""Choosing: which machines a selection means, and what may come next in a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from common.api.arguments import MAX_SELECTION
from common.api.queries import CompleteArgs, Completions, Targets, TargetsArgs
from common.filter.complete import complete
from hub.api.context import ApiContext
from hub.core.inventory import NoTarget, resolve
from hub.links.console import Caller, InvalidArguments

SAMPLE_SIZE: Final = 10


class SelectorHandlers:
    def __init__(self, context: ApiContext, choices: Callable[[str], Iterable[str]]) -> None:
        """`choices` gives the values of a field that come from hub.toml and runbooks.toml: of "src" the inlets, of "rb"
        the runbooks.
        """
        self._context = context
        self._choices = choices

    async def targets(self, caller: Caller, args: TargetsArgs) -> Targets:
        """Which machines a selection means now: what a broadcast would go to."""
        inventory = self._context.fleet.inventory
        try:
            names = resolve(args.selector, inventory, MAX_SELECTION)
        except NoTarget as error:
            raise InvalidArguments(error.sentence.render(args.language)) from None
        machines = [inventory.machines[name] for name in names]
        online = sum(bool(machine.online) for machine in machines)
        return Targets(
            count=len(names),
            online=online,
            offline=len(names) - online,
            paused=sum(bool(machine.paused) for machine in machines),
            sample=tuple(names[:SAMPLE_SIZE]),
        )

    async def complete(self, caller: Caller, args: CompleteArgs) -> Completions:
        """What may come next in a filter that is being written."""
        cursor = len(args.text) if args.cursor is None else args.cursor
        found = complete(args.view, args.text, cursor, self._field_values)
        return Completions(start=found.start, end=found.end, candidates=tuple(found.texts))

    def _field_values(self, field: str) -> Iterable[str]:
        """The values that a field of the filter language has now."""
        fleet = self._context.fleet
        match field:
            case "agent" | "name":
                return (agent.name for agent in fleet.agents())
            case "user" | "actor":
                return ["me", *self._context.people.names()]
            case "label":
                return sorted({f"{key}={value}" for agent in fleet.agents() for key, value in agent.labels.items()})
            case "version":
                return sorted({agent.version for agent in fleet.agents() if agent.version})
            case "os":
                return sorted({(agent.facts or {}).get("os", "") for agent in fleet.agents()} - {""})
            case "kind":
                return EVENT_KINDS
        return self._choices(field)


EVENT_KINDS: Final = (
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
    "row.forged",
    "job.cancel_asked",
    "job.priority",
    "act.*",
    "act.refused",
    "queue.*",
    "agent.*",
    "join.*",
    "link.*",
    "link.refused",
    "link.bad_frame",
    "hub.*",
)
"""Kinds of events that a filter of events is completed with."""
