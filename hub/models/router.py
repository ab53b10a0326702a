"""Which node a request goes to. Pure: standings in, assignments out.

Requests wait in one line, oldest first. Each goes where it is expected to be answered soonest:

    (work under way there + its own work) * what a unit of work takes there / share of attempts that succeed there

with its own work less where the node has its prefix in the cache, and the whole more where it has failed this request
already. That may be a node whose slots are all taken: then it
waits for that node rather than going to a much slower one that is free, and those behind it see a longer line there.
Work is counted in generated tokens (`Ask.cost`).

Nodes of a higher `priority` number are only asked while none of a lower one can be: the failover order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

SOONEST_HEDGE: Final = 0.05  # seconds: under this, a second request is not worth its work
FIRST_HEDGE: Final = 3.0  # seconds, while too little is known of every other node
_LEAST_TRUST: Final = 0.05
HEDGES_A_REQUEST: Final = 0.1
HEDGES_AT_ONCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A node at this moment."""

    name: str
    priority: int
    up: bool  # it may be asked: healthy as far as known, and its breaker lets
    free: int  # slots
    parallel: int
    work: float  # under way there
    pace: float | None  # seconds a unit of work; None: not known yet
    p95: float | None  # the same, of the slowest in twenty
    context: int  # tokens that fit, prompt and answer
    reliability: float = 1.0  # share of attempts that succeed
    prefixes: Collection[str] = ()  # affinity keys that it has seen lately


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that waits."""

    cost: float
    prompt_cost: float  # the part of it that a cached prefix saves
    tokens: int  # that have to fit, prompt and answer
    affinity: str = ""
    excluded: Collection[str] = ()  # nodes that are not to be asked (again)
    broke_off: Mapping[str, int] = field(default_factory=dict)  # node -> how often its answer to this broke off


def eligible(wanted: Wanted, nodes: Sequence[Standing]) -> list[Standing]:
    """The nodes that may be asked for it: of the first priority that has any."""
    able = [one for one in nodes if one.up and one.name not in wanted.excluded and wanted.tokens <= one.context]
    first = min((one.priority for one in able), default=0)
    return [one for one in able if one.priority == first]


def fits(wanted: Wanted, nodes: Sequence[Standing]) -> bool:
    """Whether there is a node, up or down, that has the room for it."""
    return any(wanted.tokens <= one.context for one in nodes)


def assign(line: Sequence[Wanted], nodes: Sequence[Standing]) -> list[tuple[int, str]]:
    """Who goes where now, as (index in the line, node); the rest keep waiting."""
    standings = {one.name: one for one in nodes}
    assigned: list[tuple[int, str]] = []
    for index, wanted in enumerate(line):
        if not any(one.free for one in standings.values() if one.up):
            break
        able = eligible(wanted, list(standings.values()))
        if not able:
            continue
        best = min(able, key=lambda one: (expected(wanted, one, able), one.work, one.name))
        taken = int(best.free > 0)
        if taken:
            assigned.append((index, best.name))
        standings[best.name] = replace(best, free=best.free - taken, work=best.work + _own(wanted, best))
    return assigned


def expected(wanted: Wanted, node: Standing, among: Sequence[Standing]) -> float:
    """Seconds until the answer, as far as can be told. A node of which nothing is known is taken to be as fast as the
    fastest: it is soon known.
    """
    known = [one.pace for one in among if one.pace is not None]
    pace = node.pace if node.pace is not None else min(known, default=1.0)
    again = 1 + wanted.broke_off.get(node.name, 0)
    return (node.work / max(node.parallel, 1) + _own(wanted, node)) * pace * again / max(node.reliability, _LEAST_TRUST)


def _own(wanted: Wanted, node: Standing) -> float:
    cached = bool(wanted.affinity) and wanted.affinity in node.prefixes
    return wanted.cost - (wanted.prompt_cost if cached else 0.0)


def hedge_after(wanted: Wanted, nodes: Sequence[Standing], asked: str) -> float | None:
    """Seconds after which a second node is asked as well; None where there is no other. By then nineteen of twenty
    would have been answered by the fastest of the others, so that a slow node does not set the measure by itself.
    """
    others = [one for one in nodes if one.up and one.name != asked and wanted.tokens <= one.context]
    if not others:
        return None
    known = [one.p95 for one in others if one.p95 is not None]
    return max(SOONEST_HEDGE, min(known) * wanted.cost) if known else FIRST_HEDGE


def second(wanted: Wanted, nodes: Sequence[Standing], asked: str) -> str | None:
    """The node for a second request: one with a slot to spare, of any priority, or none."""
    others = [replace(one, priority=0) for one in nodes if one.free > 0 and one.name != asked]
    able = eligible(wanted, others)
    return min(able, key=lambda one: (expected(wanted, one, able), one.name)).name if able else None


class Hedges:
    """How many second requests are made: one for ten requests in the long run, so that a time when every node is slow
    does not double the work.
    """

    def __init__(self) -> None:
        self._left = HEDGES_AT_ONCE

    def request(self) -> None:
        """A request was made."""
        self._left = min(HEDGES_AT_ONCE, self._left + HEDGES_A_REQUEST)

    def take(self) -> bool:
        """Whether a second one may be made; if so, it counts."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
