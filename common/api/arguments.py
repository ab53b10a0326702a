"""What the arguments of all verbs have in common, and those that several take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from common.api.constraints import Chars, Fallback, Whole
from common.catalogue import Language

MAX_NUMBER: Final = 10**12
MAX_SELECTOR: Final = 8_192
MAX_SELECTION: Final = 10_000
"""Machines that a selection may mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of a call. Unknown ones are refused; those that have their default need not be sent."""

    ARGUMENTS: ClassVar[bool] = True

    language: Annotated[Language, Fallback("en"), "of the sentences in the answer; an unknown one is English"] = "en"


JobPart = Annotated[str, Chars(), "a job's id, or four or more of its letters that no other job has"]
Selector = Annotated[str, Chars(MAX_SELECTOR), "machines: web-1, web-*, role=web, or several with commas"]
Expect = Annotated[int | None, Whole(1, MAX_SELECTION), "machines that a person saw; another number now is refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoArgs(Arguments):
    """Nothing but the language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestArgs(Arguments):
    """A request by its number (r42 is 42), or by its id."""

    number: int | None = None
    id: str = ""
