"""What the screen does with a filter's text: completes the word at its end, says at once where it is wrong. The hub
filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.catalogue import Language
from common.filter.complete import complete as complete_filter
from common.filter.fields import VIEWS
from common.filter.parser import BadFilter, parse

PROBLEM_FILTERS: Final = {"jobs": "is:bad,stuck", "agents": "state:bad,paused,draining"}
"""What `!` shows: only what is wrong."""
NAME_FIELDS: Final = frozenset({"agent", "name", "person", "user", "actor"})


@dataclass(frozen=True, slots=True)
class FilterProblem:
    """Why a view is not what was asked for; `position` to `end` is where in the filter, from 0."""

    text: str
    position: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class FilterPart:
    """A piece of a filter to show."""

    text: str
    wrong: bool = False


def check_filter(view: str, text: str, language: Language) -> FilterProblem | None:
    """What is wrong with a filter as far as this program knows the language; the hub may know more."""
    if view not in VIEWS:
        return None
    try:
        parse(view, text)
    except BadFilter as error:
        return FilterProblem(error.sentence.render(language), error.position, error.end)
    return None


def complete_view_filter(view: str, text: str, names: Sequence[str] = ()) -> list[str]:
    """Whole texts with what stands at the end completed; `known` are names seen on the screen, for fields that hold
    names."""
    if view not in VIEWS:
        return []
    found = complete_filter(view, text, len(text), lambda field: names if field in NAME_FIELDS else ())
    return [text[: found.start] + choice for choice in found.texts if text[: found.start] + choice != text]


def split_parts(text: str, problem: FilterProblem | None) -> list[FilterPart]:
    """The filter with what is wrong marked; at least one character of it."""
    if problem is None or problem.position is None or not text:
        return [FilterPart(text)] if text else []
    start = max(0, min(problem.position, len(text) - 1))
    end = max(start + 1, min(problem.end if problem.end is not None else _word_end(text, start), len(text)))
    pieces = [FilterPart(text[:start]), FilterPart(text[start:end], wrong=True), FilterPart(text[end:])]
    return [piece for piece in pieces if piece.text]


def _word_end(text: str, start: int) -> int:
    end = text.find(" ", start)
    return len(text) if end < 0 else end
