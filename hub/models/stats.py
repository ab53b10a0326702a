"""What a node has shown: how fast it is, how soon it begins, what came of its requests. Pure; times are passed in."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from typing import Final

KEPT: Final = 128  # latencies
LATEST: Final = 15  # of them, whose median is the pace: one answer that stalled does not make a node slow
ENOUGH: Final = 8  # of them, to speak of a percentile
_WEIGHT: Final = 0.25  # of the newest in a moving average
_TRUST: Final = 0.1  # the same, for reliability
_ITS_FAULT: Final = frozenset(("gone", "slow", "overloaded", "unauthorised"))
FIRST_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Counts by upper bound, cumulative only when they are told."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many are at or below it), the last one "+Inf"."""
        total, told = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            told.append((bound, float(total)))
        return told


class Stats:
    """The figures of one node."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()  # "ok", "hedged", "cancelled" or a FailureKind -> attempts
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.tokens_per_second: float | None = None  # generated, moving average
        self.first_token: float | None = None  # seconds, moving average
        self.first_tokens = Histogram(FIRST_BUCKETS)
        self.reliability = 1.0  # share of attempts that it answered, moving average
        self._latest: deque[float] = deque(maxlen=LATEST)
        self._paces: deque[float] = deque(maxlen=KEPT)

    def answered(self, *, cost: float, first: float, total: float, prompt: int, output: int) -> None:
        """A whole answer after `total` seconds, the first token after `first`, to a request of that cost."""
        self.results["ok"] += 1
        self.prompt_tokens += prompt
        self.output_tokens += output
        self.first_tokens.observe(first)
        self.first_token = _moved(self.first_token, first)
        if output > 1 and total > first:
            self.tokens_per_second = _moved(self.tokens_per_second, (output - 1) / (total - first))
        pace = total / max(cost, 1.0)
        self._paces.append(pace)
        self._latest.append(pace)
        self.reliability = _moved(self.reliability, 1.0, _TRUST)

    def failed(self, result: str) -> None:
        self.results[result] += 1
        if result in _ITS_FAULT:
            self.reliability = _moved(self.reliability, 0.0, _TRUST)

    def overtaken(self, cost: float, elapsed: float) -> None:
        """Taken back after `elapsed` because another node was faster: it is at least as slow as that."""
        self.results["hedged"] += 1
        pace = elapsed / max(cost, 1.0)
        if self.pace is None or pace > self.pace:
            self._latest.append(pace)

    @property
    def pace(self) -> float | None:
        """Seconds for one unit of cost, the median of the latest; None while nothing is known."""
        return sorted(self._latest)[len(self._latest) // 2] if self._latest else None

    def p95_pace(self) -> float | None:
        """Nineteen of twenty requests took no longer than this for one unit of cost; None while too few are known."""
        if len(self._paces) < ENOUGH:
            return None
        return sorted(self._paces)[min(len(self._paces) - 1, int(len(self._paces) * 0.95))]


def _moved(average: float | None, value: float, weight: float = _WEIGHT) -> float:
    return value if average is None else average + weight * (value - average)
