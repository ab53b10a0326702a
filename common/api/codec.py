"""Typed values to and from the maps of a link: `encode(value)` and `decode(cls, data)`.

Both are compiled once for each class from its type hints, on the checkers of `common.fields`. What a field may be:

    str, bytes, int, float, bool, Any      as `common.fields` bounds them; Any is what really is open
    Literal, Enum                          one of a closed set; an Enum is encoded as its value
    tuple[X, ...], Mapping[str, X], dict   encoded as a list, a map
    X | None, X | Y                        of several types the first that fits
    a dataclass, or one of type variables with its arguments (`Snapshot[JobView]`)
    Annotated[X, …]                        with `common.api.constraints`

Results: unknown keys are ignored, since a newer hub may say more; a key that is missing has its default, and without
one raises `BadValue`. Arguments (`common.api.arguments`): unknown keys are refused by name, fields that have their
default are left out when encoded. Errors name the path of the field and never the value.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from common.api.constraints import BadValue
from common.api.decoding import decoder
from common.api.encoding import encode
from common.fields import BadField

__all__ = ["Shape", "decode", "encode", "many", "one"]

T = TypeVar("T")


def decode(cls: type[T], data: Any) -> T:
    """The typed value of a map; raises BadValue."""
    try:
        return cast(T, decoder(cast(Any, cls))(data))
    except BadValue:
        raise
    except BadField as error:
        raise BadValue("", str(error)) from None


class Shape(Generic[T]):
    """The form of an answer: one object, or a list of them."""

    def __init__(self, hint: Any) -> None:
        self.hint = hint

    def encode(self, value: T) -> Any:
        return encode(value)

    def decode(self, data: Any) -> T:
        return cast(T, decode(self.hint, data))


def one(cls: type[T]) -> Shape[T]:
    return Shape(cls)


def many(cls: type[T]) -> Shape[tuple[T, ...]]:
    return Shape(tuple[cls, ...])  # type: ignore[valid-type]
