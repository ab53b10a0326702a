"""What `/metrics` tells, in a registry of its own. An observation on the hot path costs about a microsecond.

Counters and histograms are fed where things happen; what is a state of the store or the links is asked for when
somebody scrapes (`Gauges`), so that it cannot drift from the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STAGES: Final = (
    "wait",
    "think",
    "read",
    "recall",
    "prompt",
    "line",
    "first",
    "answer",
    "plan",
    "approve",
    "queue",
    "start",
    "run",
    "reply",
    "total",
)
"""wait: received to taken up by a planner. think: what the planner took; in the slow lane that is made of read (its
pictures), recall (the cache of plans), prompt (making the prompt), line (waiting for a model), first (until its first
token) and answer (until its last). plan: received to planned. approve: planned
to decided. queue: queued to leased. start: leased to started. run: as the machine measured. reply: a reply written to
posted. total: received to ended."""
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200)


@dataclass(frozen=True, slots=True)
class Gauges:
    """States at the moment of a scrape."""

    jobs: Mapping[str, int] = field(default_factory=dict)  # state -> how many
    agents: int = 0  # links that are up
    consoles: int = 0
    queue_age: float = 0.0  # seconds that the oldest queued job has waited
    outbox: int = 0  # replies not yet posted
    store_commits: int = 0  # since start
    store_units: int = 0  # since start; divided by commits: how many share one fsync


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._live = _Live()
        self.registry.register(self._live)
        ProcessCollector(registry=self.registry)
        self._messages = Counter(
            "answerback_messages",
            "Messages by inlet and what became of them.",
            ["inlet", "result"],
            registry=self.registry,
        )
        self._refused = Counter(
            "answerback_refused",
            "Deliveries turned away, by inlet and reason.",
            ["inlet", "code"],
            registry=self.registry,
        )
        self._replies = Counter(
            "answerback_replies", "Attempts to post a reply: done, retry, dead.", ["result"], registry=self.registry
        )
        self._models = Counter(
            "answerback_model_plans",
            "Messages that went to a model, by what came of them: a kind of answer, or why there is none.",
            ["result"],
            registry=self.registry,
        )
        stages = Histogram(
            "answerback_stage_seconds", "Time that a stage took.", ["stage"], buckets=_SECONDS, registry=self.registry
        )
        # The children are bound once: looking one up by label costs as much as observing.
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

    def message(self, inlet: str, result: str) -> None:
        """One message: accepted, duplicate, or what else the engine calls it."""
        self._messages.labels(inlet, result).inc()

    def refused(self, inlet: str, code: str) -> None:
        """One delivery turned away; `inlet` is "" where there is no such inlet, "-" in the label."""
        self._refused.labels(inlet or "-", code).inc()

    def reply(self, result: str) -> None:
        self._replies.labels(result).inc()

    def model(self, result: str) -> None:
        """One message planned with models: runbook, commands, say, ask, unknown, unfit, again, or a reason for none."""
        self._models.labels(result).inc()

    def stage(self, stage: str, seconds: float) -> None:
        """`stage` is one of STAGES. A negative time (two clocks, or one set back) counts as 0."""
        self._stages[stage].observe(max(0.0, seconds))

    def render(self, gauges: Gauges) -> bytes:
        """The text that Prometheus scrapes."""
        self._live.gauges = gauges
        return generate_latest(self.registry)


class _Live(Collector):
    """The gauges of the scrape that is going on."""

    def __init__(self) -> None:
        self.gauges = Gauges()

    def collect(self) -> Iterator[Metric]:
        gauges = self.gauges
        jobs = GaugeMetricFamily("answerback_jobs", "Jobs by state.", labels=["state"])
        for state, count in gauges.jobs.items():
            jobs.add_metric([state], count)
        yield jobs
        links = GaugeMetricFamily("answerback_links", "Links that are up.", labels=["kind"])
        links.add_metric(["agent"], gauges.agents)
        links.add_metric(["console"], gauges.consoles)
        yield links
        yield GaugeMetricFamily("answerback_queue_age_seconds", "Age of the oldest queued job.", gauges.queue_age)
        yield GaugeMetricFamily("answerback_outbox", "Replies not yet posted.", gauges.outbox)
        yield CounterMetricFamily("answerback_store_commits", "Commits, each one fsync.", gauges.store_commits)
        yield CounterMetricFamily("answerback_store_units", "Units of work in those commits.", gauges.store_units)
