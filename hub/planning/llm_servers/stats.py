"""The statistics of a node: speed, time to first token, results of attempts. Pure; times are passed in."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from typing import Final

PERCENTILE_WINDOW: Final = 128  # latencies
PACE_WINDOW: Final = 15  # latest ones, whose median is the pace, so that one stalled answer does not count as slow
MIN_PERCENTILE_SAMPLES: Final = 8  # for a percentile
_WEIGHT: Final = 0.25  # of the newest in a moving average
_RELIABILITY_WEIGHT: Final = 0.1  # the same, for reliability
_NODE_FAILURES: Final = frozenset(("gone", "slow", "overloaded", "unauthorised"))
FIRST_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Counts by upper bound; `buckets` makes them cumulative, as Prometheus wants them."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many are at or below it), the last one "+Inf"."""
        total, cumulative = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            cumulative.append((bound, float(total)))
        return cumulative


class NodeStats:
    """The figures of one node."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()  # "ok", "hedged", "cancelled" or a FailureKind -> attempts
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.tokens_per_second: float | None = None  # generated, moving average
        self.first_token: float | None = None  # seconds, moving average
        self.first_tokens = Histogram(FIRST_BUCKETS)
        self.reliability = 1.0  # share of attempts that it answered, moving average
        self._latest: deque[float] = deque(maxlen=PACE_WINDOW)
        self._paces: deque[float] = deque(maxlen=PERCENTILE_WINDOW)

    def answered(self, *, cost: float, first: float, total: float, prompt: int, output: int) -> None:
        """Records a complete answer: first token after `first` seconds, end after `total`, of a request with that
        cost.
        """
        self.results["ok"] += 1
        self.prompt_tokens += prompt
        self.output_tokens += output
        self.first_tokens.observe(first)
        self.first_token = _moving_average(self.first_token, first)
        if output > 1 and total > first:
            self.tokens_per_second = _moving_average(self.tokens_per_second, (output - 1) / (total - first))
        pace = total / max(cost, 1.0)
        self._paces.append(pace)
        self._latest.append(pace)
        self.reliability = _moving_average(self.reliability, 1.0, _RELIABILITY_WEIGHT)

    def failed(self, result: str) -> None:
        self.results[result] += 1
        if result in _NODE_FAILURES:
            self.reliability = _moving_average(self.reliability, 0.0, _RELIABILITY_WEIGHT)

    def overtaken(self, cost: float, elapsed: float) -> None:
        """Records an attempt cancelled after `elapsed` seconds because another node was faster: at least that slow."""
        self.results["hedged"] += 1
        pace = elapsed / max(cost, 1.0)
        if self.pace is None or pace > self.pace:
            self._latest.append(pace)

    @property
    def pace(self) -> float | None:
        """Median of the latest seconds a unit of cost; None without measurements."""
        return sorted(self._latest)[len(self._latest) // 2] if self._latest else None

    def p95_pace(self) -> float | None:
        """95th percentile of seconds a unit of cost; None with fewer than MIN_PERCENTILE_SAMPLES."""
        if len(self._paces) < MIN_PERCENTILE_SAMPLES:
            return None
        return sorted(self._paces)[min(len(self._paces) - 1, int(len(self._paces) * 0.95))]


def _moving_average(average: float | None, value: float, weight: float = _WEIGHT) -> float:
    return value if average is None else average + weight * (value - average)
