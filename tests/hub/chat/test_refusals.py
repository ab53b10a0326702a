"""What was turned away: a count, an audit row, and of a flood only a few rows."""

from __future__ import annotations

import asyncio

import pytest

from hub.chat import refusals
from hub.chat.refusals import Refusals
from hub.core.inlet_activity import InletActivity
from hub.core.rate_limits import RefusalRow
from hub.metrics import Metrics


async def test_a_flood_is_a_few_rows_and_its_number() -> None:
    """Every refusal is counted; ten a minute are rows, the rest one row when the minute is over."""
    rows: list[RefusalRow] = []
    metrics = Metrics()

    async def record(row: RefusalRow) -> None:
        rows.append(row)

    activity = InletActivity()
    counted = Refusals(metrics, record, lambda: 100.0, activity)
    for _ in range(25):
        await counted.count("far", "old", "kim")
    assert len(rows) == 10
    await counted.flush(101.0)
    assert len(rows) == 10
    await counted.flush(101.0, all_of_them=True)
    assert sum(row.count for row in rows) == 25
    far = activity.refused["far"]
    assert (far.count, far.code, far.at) == (25, "old", 100.0)
    labels = {"inlet": "far", "code": "old"}
    assert metrics.registry.get_sample_value("answerback_refused_total", labels) == 25


async def test_a_row_that_cannot_be_written_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that hangs or fails: the refusal goes on."""
    monkeypatch.setattr(refusals, "_AUDIT_SECONDS", 0.01)
    calls = 0

    async def record(row: RefusalRow) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("the store is gone")
        await asyncio.Event().wait()

    counted = Refusals(Metrics(), record, lambda: 100.0)
    await counted.count("far", "old", "kim")
    await counted.count("far", "old", "kim")
    assert calls == 2
