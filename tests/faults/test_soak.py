"""A few seconds of the soak run, and the arithmetic by which the long one is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.soak import MIB, PROGRAMS, Sample, grown, slope, soak, table

FLAT = Sample(
    at=0.0,
    pss=dict.fromkeys(PROGRAMS, 50.0),
    descriptors=dict.fromkeys(PROGRAMS, 20),
    threads=dict.fromkeys(PROGRAMS, 2),
    wal=4 * MIB,
    store=MIB,
    log=1000,
    sent=0,
    answered=0,
)


def hours(**last: object) -> list[Sample]:
    """Two hours, a sample a minute, in the second half of which something is otherwise."""
    return [replace(FLAT, at=60.0 * minute, **(last if minute > 60 else {})) for minute in range(121)]  # type: ignore[arg-type]


def test_a_slope_is_growth_an_hour() -> None:
    assert slope([(0.0, 10.0), (1800.0, 11.0), (3600.0, 12.0)]) == pytest.approx(2.0)
    assert slope([(0.0, 10.0)]) == 0.0


def test_what_stays_flat_holds() -> None:
    assert grown(hours()) == []


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"pss": {**FLAT.pss, "hub": 60.0}}, "hub grows by"),
        ({"descriptors": {**FLAT.descriptors, "runner": 40}}, "runner has 20 descriptors more"),
        ({"wal": 65 * MIB}, "the write-ahead log had 65 MiB"),
    ],
)
def test_what_grows_is_named(what: dict[str, object], told: str) -> None:
    (found,) = grown(hours(**what))
    assert found.startswith(told)


async def test_a_few_seconds_of_ordinary_work(tmp_path: Path) -> None:
    """Commands, pages and questions of a real system: nothing lost, nothing twice, no descriptor left open."""
    result = await soak(tmp_path, seconds=6.0, rate=10.0, every=2.0)
    assert result.violations == []
    assert result.samples[-1].answered == 60
    assert table(result.samples).count("\n") >= 4
