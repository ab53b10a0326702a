"""What follows from a commit, and the one place that passes it on.

A unit of work gathers `Effects` while it runs; none of them happens before the commit. Then `EffectFanOut.publish`
gives them to everybody who subscribed: reply delivery, summaries, links, the operators' API. The fan-out is created
before its subscribers and given to whoever publishes, so no part is completed after its construction.

The effects of an agent's own events are split first (`split_for_agent`): what concerns that agent is answered on its
link, in the order of the events; the rest is everybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from common.key_change import SignedKeyChange
from common.plan import Order
from hub.core.wake import Waking
from hub.log import logger
from hub.metrics import Metrics

log = logger("engine")


@dataclass(frozen=True, slots=True)
class GivenStamp:
    """A runner's stamp (common/confirmation.py)."""

    id: str
    at: float  # when it arrived, by the hub's time


@dataclass(frozen=True, slots=True)
class Place:
    """A place among the jobs of a machine that its link holds while a unit runs, with what its session has reported."""

    agent: str
    session: str
    journal: str
    protocol: int
    life: str
    stamp: GivenStamp | None = None  # that our word goes with the orders for


@dataclass(frozen=True, slots=True)
class Leased:
    """Orders to be sent at once, in the session of their place or not at all."""

    place: Place
    orders: Sequence[Order]


@dataclass(slots=True)
class Effects:
    """What to do after the commit."""

    leased: list[Leased] = field(default_factory=list)
    wake: set[str] = field(default_factory=set)  # machines with something queued
    cancels: list[tuple[str, str, bool]] = field(default_factory=list)  # machine, job, kill
    forgets: dict[str, list[str]] = field(default_factory=dict)  # machine -> jobs whose end is committed
    settled: list[tuple[str, str]] = field(default_factory=list)  # machine, job
    key_changes: list[SignedKeyChange] = field(default_factory=list)  # for the machines that they name
    wakings: list[Waking] = field(default_factory=list)  # machines that sleep, to be woken from now on
    to_wake: list[tuple[str, str]] = field(default_factory=list)  # machine, request: a rule wants it woken
    locked: set[str] = field(default_factory=set)  # machines whose identity was found copied: their links end
    replies: bool = False
    changed: set[str] = field(default_factory=set)  # ids of requests and jobs, for those who watch
    ended: set[str] = field(default_factory=set)  # those of them that are requests and have ended
    stages: list[tuple[str, float]] = field(default_factory=list)  # stage, seconds: observed once committed
    log_events: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # for the log: event, ids bound
    queued: int = 0
    failed: int = 0  # jobs that ended otherwise than well
    partial: list[str] = field(default_factory=list)  # working requests of which a job has settled
    final_replies: list[str] = field(default_factory=list)  # requests whose final reply has outcomes of machines


@dataclass(frozen=True, slots=True)
class AgentEffects:
    """What the commit of an agent's events means for that agent."""

    forgets: list[str]
    cancels: list[tuple[str, bool]]  # job, kill
    settled: list[str]


def split_for_agent(effects: Effects, agent: str) -> tuple[AgentEffects, Effects]:
    """What the agent is answered, and the effects for everybody else. What wakes the agent stays with the others: its
    link asks for jobs by itself after an answer, and once more costs nothing.
    """
    own = AgentEffects(
        forgets=list(effects.forgets.get(agent, ())),
        cancels=[(job, kill) for name, job, kill in effects.cancels if name == agent],
        settled=[job for name, job in effects.settled if name == agent],
    )
    others = replace(
        effects,
        forgets={name: jobs for name, jobs in effects.forgets.items() if name != agent},
        cancels=[entry for entry in effects.cancels if entry[0] != agent],
        settled=[entry for entry in effects.settled if entry[0] != agent],
    )
    return own, others


class EffectFanOut:
    """Subscribers are called in the event loop, in the order in which they subscribed, and take no time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._on_commit: list[Callable[[Effects], None]] = []
        self._on_agent_changed: list[Callable[[str], None]] = []

    def subscribe(self, on_commit: Callable[[Effects], None]) -> None:
        self._on_commit.append(on_commit)

    def subscribe_agents(self, on_agent_changed: Callable[[str], None]) -> None:
        """Called with the name of a machine whose row has changed, or that came or went."""
        self._on_agent_changed.append(on_agent_changed)

    def publish(self, effects: Effects) -> None:
        for stage, seconds in effects.stages:
            self._metrics.observe_stage(stage, seconds)
        for event, ids in effects.log_events:
            log.info(event, **ids)
        for on_commit in self._on_commit:
            on_commit(effects)

    def publish_agent(self, name: str) -> None:
        for on_agent_changed in self._on_agent_changed:
            on_agent_changed(name)
