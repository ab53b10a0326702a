"""What a verb of the API is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from common.api.arguments import Arguments
from common.api.codec import Shape, decode, encode
from common.api.rights import Right

A = TypeVar("A", bound=Arguments)
R = TypeVar("R")
Kind = Literal["query", "action", "subscription"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verb(Generic[A, R]):
    """A verb: who may, what it takes, what it answers.

    `right` is what it takes; where that depends on the arguments, `right` is the least and `right_of` says which.
    `errors` are codes of `common.api.errors` beside those that any call has. `pushes` are the forms of a
    subscription's pushes; for `view` they are lists of `common.api.lists.ROWS`.
    """

    name: str
    kind: Kind
    right: Right
    args: type[A]
    result: Shape[R]
    summary: str
    errors: tuple[str, ...] = ()
    right_of: Callable[[A], Right] | None = None
    pushes: tuple[Any, ...] = ()
    optional: bool = False  # not every hub has it
    since: str = "0.1.0"

    def needs(self, args: A) -> Right:
        """The right that a call with these arguments takes."""
        return self.right if self.right_of is None else self.right_of(args)

    def may(self, roles: Iterable[str]) -> bool:
        """Whether somebody with these roles may use it at all."""
        return self.right.held_by(roles)

    def decode_args(self, data: Any) -> A:
        """Raises BadValue, whose text is the answer to the caller."""
        return decode(self.args, data)

    def encode_args(self, args: A) -> dict[str, Any]:
        found: dict[str, Any] = encode(args)
        return found

    def decode_result(self, data: Any) -> R:
        """Raises BadValue; a console uses `common.api.versions`, which says it in words."""
        return self.result.decode(data)

    def encode_result(self, result: R) -> Any:
        return self.result.encode(result)
