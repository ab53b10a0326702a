"""The places of jobs in a machine's queue, before and after they get another priority."""

from __future__ import annotations

import pytest

from hub.core.queue_order import preview_order

QUEUE = [("a", 7, 1.0), ("b", 5, 2.0), ("c", 5, 3.0), ("d", 5, 4.0)]


@pytest.mark.parametrize(
    ("chosen", "priority", "places"),
    [
        ({"c"}, 9, [("c", 3, 1)]),
        ({"c"}, 7, [("c", 3, 2)]),
        ({"c"}, 5, [("c", 3, 3)]),
        ({"a"}, 0, [("a", 1, 4)]),
        ({"d", "b"}, 6, [("b", 2, 2), ("d", 4, 3)]),
        ({"elsewhere"}, 9, []),
    ],
)
def test_places_before_and_after(chosen: set[str], priority: int, places: list[tuple[str, int, int]]) -> None:
    """Higher first, among equals the older first; only the chosen are named, in their new order."""
    told = preview_order("web-1", QUEUE, chosen, priority)
    assert [(entry["job"], entry["was"], entry["now"]) for entry in told] == places
    assert all((entry["agent"], entry["of"]) == ("web-1", 4) for entry in told)
