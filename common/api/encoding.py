"""How a value becomes plain, compiled once for each class; see `common.api.codec`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, Final, TypeVar, get_args, get_origin

from common.api.constraints import FLAT, OMIT
from common.api.hints import bare, default_of, hints_of, is_arguments, is_union, marks_of

_MAPS: Final = (dict, get_origin(Mapping[str, str]))
_PLAIN: Final = frozenset({str, int, float, bool, bytes, dict, type(None)})


def encode(value: Any) -> Any:
    """The plain form of a value: a map for a dataclass, a list for a tuple; what is plain already stays as it is."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if is_dataclass(kind):
        return encoder(kind)(value)
    if kind in (tuple, list):
        return [encode(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value


@cache
def encoder(cls: Any) -> Callable[[Any], dict[str, Any]]:
    hints, own, lean = hints_of(cls), fields(cls), is_arguments(cls)
    flat = tuple(field.name for field in own if FLAT in marks_of(hints[field.name]))
    names = tuple(field.name for field in own if field.name not in flat)
    turns = tuple((name, turn) for name in names if (turn := _turn(hints[name])) is not None)
    omits = tuple(
        (field.name, default_of(field))
        for field in own
        if field.name in names and default_of(field) is not MISSING and (lean or OMIT in marks_of(hints[field.name]))
    )
    values = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),) if names else ()

    def encode_object(value: Any) -> dict[str, Any]:
        found = dict(zip(names, values(value), strict=True))
        for name, default in omits:
            if found[name] == default:
                del found[name]
        for name, turn in turns:
            part = found.get(name)
            if part is not None:
                found[name] = turn(part)
        for name in flat:
            part = getattr(value, name)
            found = {**encode(part), **found} if part is not None else found
        return found

    return encode_object


def _turn(hint: Any) -> Callable[[Any], Any] | None:
    """What makes a field's value plain; None where it is."""
    hint = bare(hint)
    origin, args = get_origin(hint), get_args(hint)
    if is_union(hint):
        parts = [arg for arg in args if arg is not type(None)]
        return _turn(parts[0]) if len(parts) == 1 else encode
    if origin is tuple:
        each = _turn(args[0])
        return list if each is None else lambda value: list(map(each, value))
    if origin in _MAPS:
        of = _turn(args[1])
        return dict if of is None else lambda value: {key: of(part) for key, part in value.items()}
    if isinstance(hint, TypeVar) or is_dataclass(origin or hint):
        return encode
    return attrgetter("value") if isinstance(hint, type) and issubclass(hint, Enum) else None
