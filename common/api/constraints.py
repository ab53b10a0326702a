"""What a type hint alone does not say of a field, declared with it: `code: Annotated[str, Chars(40)] = ""`.

A `Constraint` bounds the value and words the error; `OMIT` and `FLAT` say how a field is encoded; a plain string in an
`Annotated` is the field's description or unit in docs/api.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Final

from common.fields import MAX_INT, MAX_TIME, BadField, Validator

MAX_TEXT: Final = 2_000
MAX_WORDS: Final = 4_096


class Mark(Enum):
    """How a field is encoded, where that is not simply `key: value`."""

    OMIT = "left out where it has its default"
    FLAT = "its keys stand among those of the object around it"


OMIT: Final = Mark.OMIT
FLAT: Final = Mark.FLAT


class BadValue(BadField):
    """A field that is not of its form; `path` is where (`rows.3.state`), `reason` is why. Never has the value."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason

    @classmethod
    def at(cls, name: str, error: BadField) -> BadValue:
        """The error of a value, seen from the object or list that it is in."""
        if isinstance(error, BadValue):
            return cls(f"{name}.{error.path}" if error.path else name, error.reason)
        return cls(name, str(error))


class Constraint:
    """A bound of a field. `expected` is the error's text; None passes where the field's type has it. `inside` says
    that what is wrong within the value is told by its own error.
    """

    inside = False

    def __init__(self, expected: str) -> None:
        self.expected = expected

    def holds(self, value: Any) -> bool:
        return True

    def on(self, check: Validator) -> Validator:
        """`check`, and then the bound."""
        expected, holds, inside = self.expected, self.holds, self.inside

        def checked(value: Any) -> Any:
            try:
                found = check(value)
            except BadField as error:
                if inside and isinstance(error, BadValue):
                    raise
                raise BadField(expected) from None
            if found is not None and not holds(found):
                raise BadField(expected)
            return found

        return checked


class Chars(Constraint):
    """Text of `least` to `most` characters."""

    def __init__(self, most: int = MAX_TEXT, least: int = 0, expected: str = "") -> None:
        super().__init__(expected or f"text of at most {most} characters is expected")
        self.most, self.least = most, least

    def holds(self, value: Any) -> bool:
        return bool(self.least <= len(value) <= self.most)


class Matches(Constraint):
    """Text that a pattern describes from its beginning to its end."""

    def __init__(self, pattern: str, expected: str) -> None:
        super().__init__(expected)
        self.pattern = re.compile(pattern, re.ASCII)

    def holds(self, value: Any) -> bool:
        return self.pattern.fullmatch(value) is not None


class Whole(Constraint):
    """A whole number from `low` to `high`, both included."""

    def __init__(self, low: int = 0, high: int = MAX_INT, expected: str = "") -> None:
        bounds = f" from {low} to {high}" if high < MAX_INT else ""
        super().__init__(expected or f"a whole number{bounds} is expected")
        self.low, self.high = low, high

    def holds(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)


class Range(Constraint):
    """A number from `low` to `high`, both included."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(f"a number from {low:g} to {high:g} is expected")
        self.low, self.high = low, high

    def holds(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)


class Words(Constraint):
    """A list of one word or more."""

    def __init__(self, most: int = MAX_WORDS) -> None:
        super().__init__("a list of words is expected")
        self.most = most

    def on(self, check: Validator) -> Validator:
        whole, most = super().on(check), self.most

        def checked(value: Any) -> Any:
            found = whole(value)
            if found is not None and len(found) > most:
                raise BadField(f"at most {most} are taken at once")
            return found

        return checked

    def holds(self, value: Any) -> bool:
        return bool(value)


class Items(Constraint):
    """A list of at most `most` things."""

    inside = True

    def __init__(self, most: int, what: str) -> None:
        super().__init__(f"a list of at most {most} {what} is expected")
        self.most = most

    def holds(self, value: Any) -> bool:
        return len(value) <= self.most


class Clamp(Constraint):
    """A whole number that is brought within its bounds; null is `default`."""

    def __init__(self, low: int, high: int, default: int) -> None:
        super().__init__("a whole number is expected")
        self.low, self.high, self.default = low, high, default

    def on(self, check: Validator) -> Validator:
        def checked(value: Any) -> Any:
            if value is None:
                return self.default
            if type(value) is not int or abs(value) > MAX_INT:
                raise BadField(self.expected)
            return max(self.low, min(value, self.high))

        return checked


class Fallback(Constraint):
    """Whatever is not of the type is `default`: a call never fails for it."""

    def __init__(self, default: Any) -> None:
        super().__init__("")
        self.default = default

    def on(self, check: Validator) -> Validator:
        def checked(value: Any) -> Any:
            try:
                return check(value)
            except BadField:
                return self.default

        return checked


class _Time(Constraint):
    """Seconds since the epoch that a calendar can show."""

    def on(self, check: Validator) -> Validator:
        expected = self.expected

        def checked(value: Any) -> Any:
            if type(value) is float and 0.0 <= value <= MAX_TIME:  # nearly always
                return value
            found = check(value)
            if found is not None and not 0 <= found <= MAX_TIME:
                raise BadField(expected)
            return found

        return checked


TIME: Final = _Time("seconds from 1970 to 9999 were expected")
Moment = Annotated[float, TIME, "seconds since the epoch, UTC, by the hub's clock"]
MaybeMoment = Annotated[float | None, TIME, "seconds since the epoch, UTC, by the hub's clock"]
Seconds = Annotated[float, "seconds"]
MaybeSeconds = Annotated[float | None, "seconds"]
Bytes = Annotated[int, "bytes"]
PlanHash = Annotated[str, "hex SHA-256, 64 characters; empty without a plan"]
StateName = Annotated[str, "a newer hub may have states that are not in this list"]

Build = Callable[[Any], Any]
