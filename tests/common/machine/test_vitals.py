"""common.machine.vitals"""

from __future__ import annotations

from math import inf, nan

import pytest

from common.machine.vitals import is_plausible, plausible_vitals


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("memory", [0.1, 50.0, 100.0], [0.0, -1.0, 100.1, nan, inf]),
        ("disk", [0.0, 100.0], [101.0, -0.1, nan]),
        ("cpu", [0.0, 100.0], [250.0, -1.0]),
        ("uptime", [0.5, 1e9], [0.0, -5.0, inf]),
        ("load1", [0.0, 500.0], [-1.0, nan, inf]),
        ("memory_free", [0.0, 1e12], [-1.0]),
        ("of_a_later_version", [0.0, 1e18], [nan]),
    ],
)
def test_what_can_be_true(name: str, good: list[float], bad: list[float]) -> None:
    """Shares are within the whole, nothing is negative or infinite, and a machine that runs uses memory and time."""
    assert all(is_plausible(name, value) for value in good)
    assert not any(is_plausible(name, value) for value in bad)


def test_the_others_stay() -> None:
    """One figure that cannot be true takes no other with it."""
    assert plausible_vitals({"memory": 0.0, "load1": 0.2, "disk": nan}) == {"load1": 0.2}
