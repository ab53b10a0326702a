from __future__ import annotations

import pytest

from hub.planning.llm_servers.stats import MIN_PERCENTILE_SAMPLES, PERCENTILE_WINDOW, Histogram, NodeStats


def answered(stats: NodeStats, total: float, cost: float = 100.0) -> None:
    stats.answered(cost=cost, first=total / 10, total=total, prompt=50, output=91)


def test_figures_follow_what_was_seen() -> None:
    """Tokens a second after the first one, the first token, pace by cost, counts."""
    stats = NodeStats()
    answered(stats, 1.0)
    assert stats.tokens_per_second == pytest.approx(100.0)
    assert stats.first_token == pytest.approx(0.1)
    assert stats.pace == pytest.approx(0.01)
    assert (stats.results["ok"], stats.prompt_tokens, stats.output_tokens) == (1, 50, 91)
    for _ in range(50):
        answered(stats, 2.0)
    assert stats.pace == pytest.approx(0.02, rel=0.01)


def test_one_answer_that_stalled_does_not_make_it_slow() -> None:
    """The pace is a median; it follows when most of the latest are slow."""
    stats = NodeStats()
    for total in (1.0, 1.0, 30.0, 1.0, 1.0):
        answered(stats, total)
    assert stats.pace == pytest.approx(0.01)
    for _ in range(8):
        answered(stats, 30.0)
    assert stats.pace == pytest.approx(0.3)


def test_reliability_is_about_the_node() -> None:
    """What was the request's doing does not count; it recovers."""
    stats = NodeStats()
    for kind in ("cut", "refused", "nonsense", "cancelled"):
        stats.failed(kind)
    assert stats.reliability == 1.0
    for kind in ("gone", "slow", "overloaded", "unauthorised"):
        stats.failed(kind)
    assert stats.reliability == pytest.approx(0.9**4)
    for _ in range(40):
        answered(stats, 1.0)
    assert stats.reliability > 0.99


def test_a_percentile_needs_enough_and_forgets() -> None:
    """None for a few; the slowest in twenty; only of the latest."""
    stats = NodeStats()
    for _ in range(MIN_PERCENTILE_SAMPLES - 1):
        answered(stats, 1.0)
    assert stats.p95_pace() is None
    for _ in range(90):
        answered(stats, 1.0)
    for _ in range(10):
        answered(stats, 9.0)
    assert stats.p95_pace() == pytest.approx(0.09)
    for _ in range(PERCENTILE_WINDOW):
        answered(stats, 1.0)
    assert stats.p95_pace() == pytest.approx(0.01)


def test_being_overtaken_can_only_make_it_slower() -> None:
    """How long it would have taken is not known: more than it had."""
    stats = NodeStats()
    stats.overtaken(100.0, 5.0)
    assert stats.pace == pytest.approx(0.05)
    stats.overtaken(100.0, 1.0)
    assert stats.pace == pytest.approx(0.05)
    stats.overtaken(100.0, 6.0)
    assert stats.pace == pytest.approx(0.06)
    assert stats.results["hedged"] == 3


def test_a_histogram_is_cumulative() -> None:
    """A value on a bound counts as at or below it; the last bucket has all."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert histogram.sum == 12.0
