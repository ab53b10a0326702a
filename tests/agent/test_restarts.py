"""When a runner that ended is started again."""

from __future__ import annotations

from agent.restarts import FIRST_WAIT, MAX_WAIT, SERVED_FOR, RestartBackoff


def test_one_that_served_is_started_at_once() -> None:
    """However many failed before it."""
    backoff = RestartBackoff(failures=9)
    assert backoff.ended(100.0, SERVED_FOR) == 0.0
    assert backoff.due == 100.0


def test_those_that_end_soon_wait_longer_each_time() -> None:
    """Twice as long, to a bound; for ever if need be."""
    backoff = RestartBackoff()
    waits = [backoff.ended(100.0, 0.1) for _ in range(40)]
    assert waits[:4] == [0.0, FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert set(waits[10:]) == {MAX_WAIT}
    assert backoff.due == 100.0 + MAX_WAIT
