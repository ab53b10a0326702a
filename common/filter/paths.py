"""The value at a path of a row, as filters and sort orders name it: `agent`, `plan.source`, `facts.os`. Pure.

A row is an object with attributes, or a map of the same names. A getter is made once and is cheap to call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Getter = Callable[[Any], Any]


@cache
def getter(path: str) -> Getter:
    """The value at `path`; None where it leads nowhere in this row, as `labels` in a job does."""
    outer, _, inner = path.partition(".")

    def first(row: Any) -> Any:
        return row.get(outer) if isinstance(row, Mapping) else getattr(row, outer, None)

    if not inner:
        return first

    def get(row: Any) -> Any:
        found = first(row)
        if found is None:
            return None
        return found.get(inner) if isinstance(found, Mapping) else getattr(found, inner, None)

    return get
