"""How much of the audit one machine can fill by what it says."""

from __future__ import annotations

from hub.core.lru import Lru
from hub.core.machine_rows import BURST, SAID, SUM, SUM_AFTER, MachineRows


def test_a_machine_has_its_share_and_the_rest_is_a_sum() -> None:
    """Trust (A7): 46,000 rows in 350 seconds are some sixty and a sum; another machine has a share of its own."""
    rows, written = MachineRows(), 0
    for number in range(46_000):
        written += rows.admit("web-1", "agent.reported" if number % 2 else "job.anomaly", 1_000 + number * 350 / 46_000)
    assert BURST <= written <= BURST + 350 / 60 + 1
    assert rows.holding
    assert rows.due(1_400.0) == []
    ((machine, row),) = rows.due(1_000 + 350 + SUM_AFTER)
    assert (machine, row.kind) == ("web-1", SUM)
    assert row.data["count"] == sum(row.data["kinds"].values()) == 46_000 - written
    assert set(row.data["kinds"]) == {"agent.reported", "job.anomaly"}
    assert rows.due(9e9, everything=True) == []
    assert not rows.holding
    assert rows.admit("web-2", "agent.reported", 1_350.0)


def test_what_happens_to_a_job_is_always_written() -> None:
    rows = MachineRows()
    assert all(rows.admit("web-1", "job.ended", 0.0) for _ in range(1_000))
    assert "job.ended" not in SAID


def test_at_the_end_all_sums_are_told() -> None:
    rows = MachineRows()
    for number in range(100):
        rows.admit(f"web-{number % 2}", "job.foreign", 0.0)
    assert rows.due(1.0) == []
    for _ in range(100):
        rows.admit("web-1", "job.foreign", 0.0)
    assert [(machine, row.data["count"]) for machine, row in rows.due(1.0, everything=True)] == [("web-1", 90)]
    assert isinstance(rows._machines, Lru)
