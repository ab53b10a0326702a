"""Whether typed rows have what a path of the filter language names (`common.filter.paths`)."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args

from common.api.hints import bare, hints_of, is_union


def has_path(kind: Any, path: str) -> bool:
    """Whether rows of a type have what a path names: a field or a property; in a map, any key."""
    outer, _, inner = path.partition(".")
    if not inner:
        return any(field.name == outer for field in fields(kind)) or isinstance(getattr(kind, outer, None), property)
    hint = bare(hints_of(kind).get(outer))
    parts = [part for part in get_args(hint) if part is not type(None)] if is_union(hint) else [hint]
    return all(has_path(part, inner) if is_dataclass(part) else hint is not None for part in parts)
