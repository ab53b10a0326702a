"""The metrics behind `/metrics`, in a registry of their own. An observation costs about a microsecond.

Counters and histograms are updated where things happen; gauges, which mirror the state of store and links, are read at
the scrape (`Gauges`), so that they cannot drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
"""wait: received to taken by a planner. think: the planner's time, which for slow planning consists of read (OCR),
recall (the cache of plans), prompt (building the prompt), line (waiting for a model), first (until its first token) and
answer (until its last). plan: received to planned. approve: planned to decided. queue: queued to leased. start: leased
to started. run: as measured on the machine. reply: enqueued to posted. total: received to ended.
"""
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200)


@dataclass(frozen=True, slots=True)
class Gauges:
    """The values of gauges at the moment of a scrape."""

    jobs: Mapping[str, int] = field(default_factory=dict)  # state -> how many
    agents: int = 0  # links that are up
    consoles: int = 0
    queue_age: float = 0.0  # seconds that the oldest queued job has waited
    outbox: int = 0  # replies not yet posted
    files_refused: Mapping[str, bool] = field(default_factory=dict)  # file -> whether it is not in force as it stands
    store_commits: int = 0  # since start
    store_units: int = 0  # since start; divided by commits: units a fsync
    inlets_up: Mapping[str, bool] = field(default_factory=dict)  # those with an outbound mode: whether it works
    inlets_heard: Mapping[str, float] = field(default_factory=dict)  # the same: when the platform answered last
    inlets_quiet: Mapping[str, bool] = field(default_factory=dict)  # those with `quiet_after`: silent for longer
    inlets_recording: Mapping[str, int] = field(default_factory=dict)  # deliveries still to be recorded
    witnesses: Mapping[str, tuple[float, bool]] = field(default_factory=dict)  # of the audit: took one when; fails now
    recovering: bool = False  # restored from a backup, and no admin has looked yet


class Metrics:
    """All counters and histograms of a hub."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.heard: dict[str, float] = {}  # inlet -> when its chat delivered last, since the epoch
        self._gauge_collector = _GaugeCollector()
        self.registry.register(self._gauge_collector)
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
        # Labelled children are looked up once: the look-up costs as much as an observation.
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

    def count_message(self, inlet: str, result: str) -> None:
        """Counts a message; `result` is accepted, duplicate or another result of the engine."""
        self._messages.labels(inlet, result).inc()

    def count_refused(self, inlet: str, code: str) -> None:
        """Counts a refused delivery; `inlet` is "" where there is no such inlet (label "-")."""
        self._refused.labels(inlet or "-", code).inc()

    def count_reply(self, result: str) -> None:
        self._replies.labels(result).inc()

    def count_model_plan(self, result: str) -> None:
        """Counts a message planned by models: runbook, commands, say, ask, unknown, unfit, again, or why there is
        no plan.
        """
        self._models.labels(result).inc()

    def observe_stage(self, stage: str, seconds: float) -> None:
        """`stage` is one of STAGES. A negative time (two clocks, or one set back) counts as 0."""
        self._stages[stage].observe(max(0.0, seconds))

    def render(self, gauges: Gauges) -> bytes:
        """The metrics in Prometheus' text format 0.0.4."""
        self._gauge_collector.gauges = replace(gauges, inlets_heard={**self.heard, **gauges.inlets_heard})
        return generate_latest(self.registry)


class _GaugeCollector(Collector):
    """Collects the gauges of the current scrape."""

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
        about = "1 while nothing is handed out because the hub was restored from a backup."
        yield GaugeMetricFamily("answerback_recovery", about, float(gauges.recovering))
        files = GaugeMetricFamily(
            "answerback_file_refused", "1 while a file does not read and is not in force as it stands.", labels=["file"]
        )
        for name, refused in gauges.files_refused.items():
            files.add_metric([name], refused)
        yield files
        up = GaugeMetricFamily(
            "answerback_inlet_connected",
            "1 while an inlet that asks its platform for news gets them.",
            labels=["inlet"],
        )
        for name, connected in gauges.inlets_up.items():
            up.add_metric([name], connected)
        yield up
        heard = GaugeMetricFamily(
            "answerback_inlet_heard_timestamp_seconds",
            "When its chat delivered or answered last; 0: never.",
            labels=["inlet"],
        )
        for name, at in gauges.inlets_heard.items():
            heard.add_metric([name], at)
        yield heard
        quiet = GaugeMetricFamily(
            "answerback_inlet_quiet", "1 while an inlet is silent for longer than its quiet_after.", labels=["inlet"]
        )
        for name, silent in gauges.inlets_quiet.items():
            quiet.add_metric([name], silent)
        yield quiet
        recording = GaugeMetricFamily(
            "answerback_inlet_recording", "Deliveries of an inlet that are still to be recorded.", labels=["inlet"]
        )
        for name, left in gauges.inlets_recording.items():
            recording.add_metric([name], left)
        yield recording
        witnessed = GaugeMetricFamily(
            "answerback_audit_witnessed_timestamp_seconds",
            "When the audit was signed (checkpoint), and when a witness took a note of it; 0: not since the start.",
            labels=["witness"],
        )
        failing = GaugeMetricFamily(
            "answerback_audit_witness_failing", "1 while it fails, or nothing is signed.", labels=["witness"]
        )
        for name, (at, fails) in gauges.witnesses.items():
            witnessed.add_metric([name], at)
            failing.add_metric([name], fails)
        yield witnessed
        yield failing
        yield CounterMetricFamily("answerback_store_commits", "Commits, each one fsync.", gauges.store_commits)
        yield CounterMetricFamily("answerback_store_units", "Units of work in those commits.", gauges.store_units)
