"""A value from outside against the type that its field has: the checkers behind `common.link.messages`.

A checker returns the value in its Python form (a tuple for an array, a float where a whole number stands for one) or
raises BadField. It is made once per field from the field's type hint: checking a message is a few calls, no reflection.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, Union, get_args, get_origin

MAX_STR: Final = 65_536
MAX_BYTES: Final = 524_288
MAX_INT: Final = 2**53
"""Every whole number on a link counts something; up to here a double, JSON and a database's integer hold it exactly."""
MAX_TIME: Final = 253_402_300_799.0
"""The last second of the year 9999: beyond it no calendar can show a time."""

Validator = Callable[[Any], Any]


class BadField(ValueError):
    """A value that its field cannot have; `str()` says why without showing the value."""


def build_validator(hint: Any) -> Validator:
    """The checker for a type hint: a scalar, `X | None`, `tuple[X, ...]`, `dict[K, V]`, or Any (takes everything)."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value: value
    if origin in (Union, types.UnionType):
        inner = build_validator(next(arg for arg in args if arg is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return _tuple_validator(build_validator(args[0]))
    if origin is dict:
        return _dict_validator(build_validator(args[0]), build_validator(args[1]))
    return _SCALARS[hint]


def with_rule(check: Validator, rule: Callable[[Any], bool]) -> Validator:
    """`check`, and then what the type alone does not say."""

    def check_both(value: Any) -> Any:
        checked = check(value)
        if not rule(checked):
            raise BadField("not among the values that it may have")
        return checked

    return check_both


def is_time(value: float) -> bool:
    """Seconds since the epoch that a calendar can show."""
    return 0 <= value <= MAX_TIME


def _tuple_validator(item: Validator) -> Validator:
    def check_tuple(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):  # an array from the wire, a tuple on its way out
            raise BadField("a list was expected")
        return tuple(map(item, value))

    return check_tuple


def _dict_validator(key_of: Validator, value_of: Validator) -> Validator:
    def check_dict(value: Any) -> Any:
        if not isinstance(value, dict):
            raise BadField("a map was expected")
        return {key_of(key): value_of(item) for key, item in value.items()}

    return check_dict


def _type_error(kind: type, value: Any) -> BadField:
    return BadField(f"{kind.__name__} was expected, not {type(value).__name__}")


# `type(value) is`, never isinstance: True is no integer here.


def _check_str(value: Any) -> Any:
    if type(value) is not str:
        raise _type_error(str, value)
    if len(value) > MAX_STR:
        raise BadField(f"longer than {MAX_STR}")
    return value


def _check_bytes(value: Any) -> Any:
    if type(value) is not bytes:
        raise _type_error(bytes, value)
    if len(value) > MAX_BYTES:
        raise BadField(f"longer than {MAX_BYTES}")
    return value


def _check_int(value: Any) -> Any:
    if type(value) is not int:
        raise _type_error(int, value)
    if not 0 <= value <= MAX_INT:
        raise BadField(f"not within 0 to {MAX_INT}")
    return value


def _check_float(value: Any) -> Any:
    if type(value) is int and -MAX_INT <= value <= MAX_INT:
        return float(value)
    if type(value) is not float:
        raise _type_error(float, value)
    if not math.isfinite(value):
        raise BadField("not a finite number")
    return value


def _check_bool(value: Any) -> Any:
    if type(value) is not bool:
        raise _type_error(bool, value)
    return value


_SCALARS: Final[Mapping[Any, Validator]] = {
    str: _check_str,
    bytes: _check_bytes,
    int: _check_int,
    float: _check_float,
    bool: _check_bool,
}
