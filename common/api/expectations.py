"""What is expected of an argument that declares no constraint: its type gives the words of the error, as in
`number: a whole number is expected`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, get_args, get_origin

from common.api.constraints import Chars, Constraint, Whole, Words
from common.api.hints import bare, is_union
from common.fields import BadField, Validator


class Flag(Constraint):
    def __init__(self) -> None:
        super().__init__("true or false is expected")


class Number(Constraint):
    def __init__(self) -> None:
        super().__init__("a number is expected")


class OneOf(Constraint):
    """One word of a closed set."""

    def __init__(self, choices: tuple[Any, ...]) -> None:
        super().__init__(f"one of {', '.join(map(str, choices))} is expected")


class SomeOf(Words):
    """Some words of a closed set."""

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__()
        self.expected = f"some of {', '.join(str(item.value) for item in kind)} are expected"

    def on(self, check: Validator) -> Validator:
        def wordless(value: Any) -> Any:
            try:
                return check(value)
            except BadField:  # where in the list is of no help: the whole of it is one choice
                return ()

        return super().on(wordless)


def expectation(hint: Any) -> Constraint | None:
    """The constraint of an argument that declares none; None where the error says enough by itself."""
    if is_union(hint):
        return expectation(bare(next(arg for arg in get_args(hint) if arg is not type(None))))
    if get_origin(hint) is Literal:
        return OneOf(get_args(hint))
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return SomeOf(item) if isinstance(item, type) and issubclass(item, Enum) else Words()
    return {str: Chars(), int: Whole(), float: Number(), bool: Flag()}.get(hint)
