"""What a scrape shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.metrics import STAGES, Gauges, Metrics


def samples(metrics: Metrics, gauges: Gauges | None = None) -> dict[tuple[str, tuple[str, ...]], float]:
    text = metrics.render(gauges or Gauges()).decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_happens_is_counted() -> None:
    """Messages, refusals, replies and stages appear with their labels."""
    metrics = Metrics()
    metrics.count_message("ops", "accepted")
    metrics.count_message("ops", "accepted")
    metrics.count_refused("", "unknown_inlet")
    metrics.count_reply("retry")
    metrics.observe_stage("plan", 0.004)
    found = samples(metrics)
    assert found["answerback_messages_total", ("ops", "accepted")] == 2
    assert found["answerback_refused_total", ("unknown_inlet", "-")] == 1
    assert found["answerback_replies_total", ("retry",)] == 1
    assert found["answerback_stage_seconds_count", ("plan",)] == 1
    assert found["answerback_stage_seconds_bucket", ("0.005", "plan")] == 1
    assert found["answerback_stage_seconds_bucket", ("0.002", "plan")] == 0


def test_states_are_those_of_the_scrape() -> None:
    """Each scrape shows the gauges it was given, and nothing of the one before."""
    metrics = Metrics()
    samples(metrics, Gauges(jobs={"running": 9}))
    found = samples(
        metrics,
        Gauges(
            jobs={"queued": 3},
            agents=2,
            consoles=1,
            queue_age=4.5,
            outbox=7,
            files_refused={"policy": True, "runbooks": False},
            witnesses={"file": (1_700.0, False), "s3": (0.0, True)},
            store_commits=10,
            store_units=40,
        ),
    )
    assert found["answerback_jobs", ("queued",)] == 3
    assert ("answerback_jobs", ("running",)) not in found
    assert found["answerback_links", ("agent",)] == 2
    assert found["answerback_links", ("console",)] == 1
    assert found["answerback_queue_age_seconds", ()] == 4.5
    assert found["answerback_outbox", ()] == 7
    assert found["answerback_file_refused", ("policy",)] == 1
    assert found["answerback_file_refused", ("runbooks",)] == 0
    assert found["answerback_audit_witnessed_timestamp_seconds", ("file",)] == 1_700
    assert found["answerback_audit_witness_failing", ("file",)] == 0
    assert found["answerback_audit_witness_failing", ("s3",)] == 1
    assert found["answerback_store_commits_total", ()] == 10
    assert found["answerback_store_units_total", ()] == 40


def test_two_hubs_in_one_process_do_not_share_numbers() -> None:
    """The registry is the hub's own."""
    one, other = Metrics(), Metrics()
    one.count_message("ops", "accepted")
    assert ("answerback_messages_total", ("ops", "accepted")) not in samples(other)


def test_a_negative_time_counts_as_none() -> None:
    """Two clocks may disagree; the sum of a histogram never goes down."""
    metrics = Metrics()
    metrics.observe_stage("start", -5.0)
    assert samples(metrics)["answerback_stage_seconds_sum", ("start",)] == 0


def test_an_unknown_stage_is_a_mistake() -> None:
    """Stages are a closed set."""
    with pytest.raises(KeyError):
        Metrics().observe_stage("lunch", 1.0)


def test_every_stage_that_the_hub_observes_exists() -> None:
    """The stages named in the hub's sources are in the set."""
    hub = Path(__file__).parents[2] / "hub"
    named = {
        stage
        for source in hub.rglob("*.py")
        for stage in re.findall(r'(?:stages\.append\(\(|metrics\.stage\()"(\w+)"', source.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(STAGES)


def test_what_came_of_asking_models_is_counted() -> None:
    """By the answer's kind, or by why there is none."""
    metrics = Metrics()
    for result in ("runbook", "runbook", "down"):
        metrics.count_model_plan(result)
    text = metrics.render(Gauges()).decode()
    assert 'answerback_model_plans_total{result="runbook"} 2.0' in text
    assert 'answerback_model_plans_total{result="down"} 1.0' in text
