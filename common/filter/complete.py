"""What may come next at the cursor of a filter that is being written. Pure.

`known` gives the values that a field has now (machines, people, labels); the hub fills it, at most `MAX_KNOWN` are
looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from common.filter.fields import FIELDS, FIELDS_BY_NAME, FilterField, ViewName
from common.filter.parser import MAX_TEXT

MAX_CANDIDATES: Final = 50
MAX_KNOWN: Final = 20_000

_TERM_PREFIX: Final = re.compile(
    r"[!！]?(?:([A-Za-z][A-Za-z0-9_]*)(?:[:：]|>=|<=|!=|>|<|=))?((?:[^\s,，\"]*[,，])*)([^\s,，\"]*)\Z"
)
_PLAIN: Final = re.compile(r'[^\s,，"\\]+')
_EXAMPLES: Final = {
    "number": ("0", "!=0", ">1"),
    "duration": (">1s", ">1m", "<10s"),
    "age": (">1m", "<1h", "<1d"),
    "ahead": ("<2m", "<10m"),
    "size": (">1M", ">10M"),
}


@dataclass(frozen=True, slots=True)
class FilterCompletion:
    """Texts that may replace what stands from `start` to `end`."""

    start: int
    end: int
    texts: tuple[str, ...]


def complete(view: ViewName, text: str, cursor: int, known: Callable[[str], Iterable[str]]) -> FilterCompletion:
    """Fields at the beginning of a term, values behind a field. `known` is asked by the field's name."""
    before = text[: max(0, min(cursor, len(text), MAX_TEXT))]
    term = re.split(r"\s", before)[-1]
    written = _TERM_PREFIX.match(term)
    if written is None or before.count('"') % 2:
        return FilterCompletion(len(before), len(before), ())
    start = len(before) - len(written[3])
    if written[1] is None:
        return FilterCompletion(
            start, len(before), tuple(_field_candidates(view, written[3])) if not written[2] else ()
        )
    field = FIELDS_BY_NAME[view].get(written[1].lower())
    if field is None:
        return FilterCompletion(start, len(before), ())
    return FilterCompletion(start, len(before), tuple(_value_candidates(field, written[3], known)))


def _field_candidates(view: ViewName, begun: str) -> list[str]:
    wanted = begun.lower()
    names = [field.name for field in FIELDS[view] if field.name.startswith(wanted)]
    if not names:  # an alias is taken, and told by its own name
        names = [alias for alias in FIELDS_BY_NAME[view] if len(alias) > 1 and alias.startswith(wanted)]
    return [f"{name}:" for name in names]


def _value_candidates(field: FilterField, begun: str, known: Callable[[str], Iterable[str]]) -> list[str]:
    if field.choices:
        pool: Iterable[str] = field.choices
    elif field.kind in _EXAMPLES:
        pool = _EXAMPLES[field.kind]
    else:
        pool = islice(known(field.name), MAX_KNOWN)
    if field.prefix:
        pool = (value.removeprefix(field.prefix) for value in pool if value.startswith(field.prefix))
    wanted = begun.casefold()
    starts: dict[str, None] = {}
    holds: dict[str, None] = {}
    for value in pool:
        folded = value.casefold()
        if folded.startswith(wanted):
            starts[value] = None
        elif wanted in folded:
            holds[value] = None
        if len(starts) >= MAX_CANDIDATES:
            break
    return [_quote_value(value) for value in islice([*starts, *holds], MAX_CANDIDATES)]


def _quote_value(value: str) -> str:
    """A value as it must be written: in quotes where it holds what the language uses."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
