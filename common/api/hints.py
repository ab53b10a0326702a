"""What the fields of a dataclass are: their hints with type arguments put in, their marks, their defaults."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints


def hints_of(kind: Any) -> dict[str, Any]:
    """The hints of a dataclass's fields in their order, with the type arguments of `kind` put in."""
    origin = get_origin(kind) or kind
    hints = get_type_hints(origin, include_extras=True)
    bound = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
    return {field.name: _bind(hints[field.name], bound) for field in fields(origin)}


def _bind(hint: Any, bound: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return bound.get(hint, hint)
    free = getattr(hint, "__parameters__", ())
    return hint[tuple(bound.get(name, name) for name in free)] if free and bound else hint


def marks_of(hint: Any) -> tuple[Any, ...]:
    """What an Annotated hint says beside its type."""
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def default_of(field: Field[Any]) -> Any:
    """The field's default, or `MISSING`. Values are frozen, so one default serves all."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def is_arguments(kind: Any) -> bool:
    return bool(getattr(get_origin(kind) or kind, "ARGUMENTS", False))


def is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)
