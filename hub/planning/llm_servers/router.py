"""Which node a request goes to. Pure: node states in, assignments out.

Requests wait in one queue, oldest first. Each goes where its answer is expected soonest:

    (work under way there + its own work) * seconds for a unit of work there / share of successful attempts there

Its own work is less where the node has its prompt's prefix cached; the whole is more where the node has failed this
request before. The best node may have no free slot: then the request waits for it rather than going to a much slower
free one, and requests behind it see a longer queue there. Work is counted in generated tokens (`ModelRequest.cost`).

Nodes with a higher `priority` number are only used while none with a lower one is available: the failover order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

MIN_HEDGE_DELAY: Final = 0.05  # seconds: below this a second request is not worth its cost
DEFAULT_HEDGE_DELAY: Final = 3.0  # seconds, while too little is known about the other nodes
_MIN_RELIABILITY: Final = 0.05
HEDGES_PER_REQUEST: Final = 0.1
MAX_HEDGE_BURST: Final = 10.0


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node at this moment."""

    name: str
    priority: int
    up: bool  # healthy as far as known, and its breaker allows requests
    free: int  # slots
    parallel: int
    load: float  # work under way, in generated tokens
    pace: float | None  # seconds a unit of work, median; None: not known yet
    p95: float | None  # the same, 95th percentile
    context: int  # tokens that fit, prompt and answer
    reliability: float = 1.0  # share of attempts that succeed
    prefixes: Collection[str] = ()  # affinity keys of its latest requests


@dataclass(frozen=True, slots=True)
class RequestNeeds:
    """What the router knows of a queued request."""

    cost: float
    prompt_cost: float  # the part of it that a cached prefix saves
    tokens: int  # of prompt and answer, which must fit the context
    affinity: str = ""
    excluded: Collection[str] = ()  # nodes that must not be asked (again)
    interruptions: Mapping[str, int] = field(
        default_factory=dict
    )  # node -> how often its answer to this request broke off


def eligible(needs: RequestNeeds, nodes: Sequence[NodeState]) -> list[NodeState]:
    """The nodes that may be asked: those of the lowest priority number that has any."""
    able = [one for one in nodes if one.up and one.name not in needs.excluded and needs.tokens <= one.context]
    first = min((one.priority for one in able), default=0)
    return [one for one in able if one.priority == first]


def fits(needs: RequestNeeds, nodes: Sequence[NodeState]) -> bool:
    """Whether any node, up or down, has enough context."""
    return any(needs.tokens <= one.context for one in nodes)


def assign(queue: Sequence[RequestNeeds], nodes: Sequence[NodeState]) -> list[tuple[int, str]]:
    """The assignments to make now, as (index in the queue, node); other requests keep waiting."""
    states = {one.name: one for one in nodes}
    assigned: list[tuple[int, str]] = []
    for index, needs in enumerate(queue):
        if not any(one.free for one in states.values() if one.up):
            break
        able = eligible(needs, list(states.values()))
        if not able:
            continue
        best = min(able, key=lambda one: (expected_seconds(needs, one, able), one.load, one.name))
        assigned_now = int(best.free > 0)
        if assigned_now:
            assigned.append((index, best.name))
        states[best.name] = replace(best, free=best.free - assigned_now, load=best.load + _own_cost(needs, best))
    return assigned


def expected_seconds(needs: RequestNeeds, node: NodeState, among: Sequence[NodeState]) -> float:
    """Estimated seconds until the answer. A node without measurements is assumed to be as fast as the fastest, so that
    it is tried and measured.
    """
    known = [one.pace for one in among if one.pace is not None]
    pace = node.pace if node.pace is not None else min(known, default=1.0)
    again = 1 + needs.interruptions.get(node.name, 0)
    return (
        (node.load / max(node.parallel, 1) + _own_cost(needs, node))
        * pace
        * again
        / max(node.reliability, _MIN_RELIABILITY)
    )


def _own_cost(needs: RequestNeeds, node: NodeState) -> float:
    cached = bool(needs.affinity) and needs.affinity in node.prefixes
    return needs.cost - (needs.prompt_cost if cached else 0.0)


def hedge_after(needs: RequestNeeds, nodes: Sequence[NodeState], asked: str) -> float | None:
    """Seconds after which a second node is asked as well; None where there is no other. It
    is the 95th percentile of the fastest other node, so that a slow node does not set its own standard.
    """
    others = [one for one in nodes if one.up and one.name != asked and needs.tokens <= one.context]
    if not others:
        return None
    known = [one.p95 for one in others if one.p95 is not None]
    return max(MIN_HEDGE_DELAY, min(known) * needs.cost) if known else DEFAULT_HEDGE_DELAY


def hedge_node(needs: RequestNeeds, nodes: Sequence[NodeState], asked: str) -> str | None:
    """The node for a second request: one with a free slot, of any priority; None where there is none."""
    others = [replace(one, priority=0) for one in nodes if one.free > 0 and one.name != asked]
    able = eligible(needs, others)
    return min(able, key=lambda one: (expected_seconds(needs, one, able), one.name)).name if able else None


class HedgeBudget:
    """Limits hedging to one second request for ten requests in the long run, so that a time when all nodes are slow
    does not double the work.
    """

    def __init__(self) -> None:
        self._left = MAX_HEDGE_BURST

    def on_request(self) -> None:
        """A request was started."""
        self._left = min(MAX_HEDGE_BURST, self._left + HEDGES_PER_REQUEST)

    def try_take(self) -> bool:
        """Takes one from the budget; False where it is used up."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
