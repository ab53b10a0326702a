"""What the screen does with a filter's text: completes the word at its end, says at once where it is wrong. The hub
filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.catalogue import Language
from common.filter import BadFilter, parse
from common.filter_complete import complete as complete_filter
from common.filter_fields import VIEWS

PROBLEMS: Final = {"jobs": "is:bad,stuck", "agents": "state:bad,paused,draining"}
"""What `!` shows: only what is wrong."""
NAMES: Final = frozenset({"agent", "name", "person", "user", "actor"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a view is not what was asked for; `position` to `end` is where in the filter, from 0."""

    text: str
    position: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a filter to show."""

    text: str
    wrong: bool = False


def check(view: str, text: str, language: Language) -> Problem | None:
    """What is wrong with a filter as far as this program knows the language; the hub may know more."""
    if view not in VIEWS:
        return None
    try:
        parse(view, text)
    except BadFilter as error:
        return Problem(error.sentence.say(language), error.position, error.end)
    return None


def complete(view: str, text: str, known: Sequence[str] = ()) -> list[str]:
    """Whole texts with what stands at the end completed; `known` are names seen on the screen, for fields that hold
    names."""
    if view not in VIEWS:
        return []
    found = complete_filter(view, text, len(text), lambda field: known if field in NAMES else ())
    return [text[: found.start] + choice for choice in found.texts if text[: found.start] + choice != text]


def parts(text: str, problem: Problem | None) -> list[Part]:
    """The filter with what is wrong marked; at least one character of it."""
    if problem is None or problem.position is None or not text:
        return [Part(text)] if text else []
    start = max(0, min(problem.position, len(text) - 1))
    end = max(start + 1, min(problem.end if problem.end is not None else _word_end(text, start), len(text)))
    pieces = [Part(text[:start]), Part(text[start:end], wrong=True), Part(text[end:])]
    return [piece for piece in pieces if piece.text]


def _word_end(text: str, start: int) -> int:
    end = text.find(" ", start)
    return len(text) if end < 0 else end
