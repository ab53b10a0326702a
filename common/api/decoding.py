"""How a plain value is checked and becomes typed, compiled once for each class; see `common.api.codec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar, cast, get_args, get_origin

from common.api.constraints import FLAT, BadValue, Constraint
from common.api.expectations import expectation
from common.api.hints import bare, default_of, hints_of, is_arguments, is_union, marks_of
from common.fields import BadField, Validator, build_validator

_ABSENT: Final[Any] = object()
_MAPS: Final = (dict, get_origin(Mapping[str, str]))


@cache
def decoder(hint: Any, strict: bool = False) -> Validator:
    """The checker for a hint; `strict` is that of an argument, whose errors are worded for people."""
    if get_origin(hint) is Annotated:
        constraints = [mark for mark in marks_of(hint) if isinstance(mark, Constraint)]
        check = decoder(bare(hint), strict and not constraints)
        for own in constraints:
            check = own.on(check)
        return check
    check = _plain_decoder(hint, strict)
    constraint = expectation(hint) if strict else None
    return check if constraint is None else constraint.on(check)


def _plain_decoder(hint: Any, strict: bool) -> Validator:
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, TypeVar):
        raise TypeError(f"{hint} is not bound: decode Snapshot[JobView], not Snapshot")
    if is_union(hint):
        return _first_of([decoder(arg, False) for arg in args if arg is not type(None)], type(None) in args)
    if origin is Literal:
        return _within(dict.fromkeys(args), dict(zip(args, args, strict=True)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _within(dict.fromkeys(item.value for item in hint), {item.value: item for item in hint})
    if origin is tuple:
        return _tuple_of(decoder(args[0], False))
    if origin in _MAPS:
        return _map_of(decoder(args[0], False), decoder(args[1], False))
    if is_dataclass(origin or hint):
        return _object_decoder(hint)
    return build_validator(hint)


def _first_of(checks: list[Validator], none: bool) -> Validator:
    if len(checks) == 1:
        (only,) = checks
        return lambda value: None if value is None else only(value)

    def check_union(value: Any) -> Any:
        if value is None and none:
            return None
        for check in checks:
            try:
                return check(value)
            except BadField:
                continue
        raise BadField("of none of the types that it may have")

    return check_union


def _within(choices: Mapping[Any, Any], found: Mapping[Any, Any]) -> Validator:
    words = ", ".join(map(str, choices))

    def check_choice(value: Any) -> Any:
        try:
            return found[value]
        except (KeyError, TypeError):
            raise BadField(f"one of {words} was expected") from None

    return check_choice


def _tuple_of(item: Validator) -> Validator:
    def check_tuple(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise BadField("a list was expected")
        try:
            return tuple(map(item, value))
        except BadField:
            for index, part in enumerate(value):
                try:
                    item(part)
                except BadField as error:
                    raise BadValue.at(str(index), error) from None
            raise

    return check_tuple


def _map_of(key_of: Validator, value_of: Validator) -> Validator:
    def check_map(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise BadField("a map was expected")
        return {key_of(key): value_of(part) for key, part in value.items()}

    return check_map


def _object_decoder(kind: Any) -> Validator:
    cls, strict = cast(type, get_origin(kind) or kind), is_arguments(kind)
    hints, own = hints_of(kind), fields(cls)
    flat = [(field.name, _flat_decoder(hints[field.name])) for field in own if FLAT in marks_of(hints[field.name])]
    plan = [
        (field.name, decoder(hints[field.name], strict), default_of(field), getattr(cls, field.name).__set__)
        for field in own
        if FLAT not in marks_of(hints[field.name])
    ]
    known = frozenset(name for name, *_ in plan)

    def decode_object(data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise BadField("a map was expected")
        if strict and not known.issuperset(data):
            raise BadValue(next(str(key)[:40] for key in data if key not in known), "there is no such argument")
        made: Any = object.__new__(cls)
        get, name = data.get, ""
        try:
            for name, check, default, put in plan:
                value = get(name, _ABSENT)
                if value is not _ABSENT:
                    put(made, check(value))
                elif default is not MISSING:
                    put(made, default)
                elif strict:
                    check(_ABSENT)  # says what is expected
                else:
                    raise BadField("missing")
        except BadField as error:
            raise BadValue.at(name, error) from None
        for name, decode_flat in flat:
            getattr(cls, name).__set__(made, decode_flat(data))
        return made

    return decode_object


def _flat_decoder(hint: Any) -> Validator:
    """An object whose keys stand among others; None where one that it must have is not there."""
    (inner,) = (arg for arg in get_args(bare(hint)) if arg is not type(None))
    needed = [field.name for field in fields(inner) if default_of(field) is MISSING]
    read = decoder(inner)
    return lambda data: read(data) if all(name in data for name in needed) else None
