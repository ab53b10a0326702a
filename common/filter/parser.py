r"""The filter language: one for the console, the command line and the hub. Pure.

    state:running,queued agent:web-eu-* age>10s exit:!=0 user:bob label:env=prod "free text" !user:cron

    filter   = term*                    all must hold
    term     = [!] ( field ":" value ("," value)*     any of the values
                   | field op value                   op is = != > >= < <=
                   | text                             anywhere in the row, upper and lower case alike
                   | -f letters                       in this order, others between them
                   | -l KEY=VALUE )                   the same as label:KEY=VALUE
    value    = word | "quoted"          in quotes a backslash makes `"` and `\` themselves; numbers may begin with an op

What a field means is in `common.filter.fields`. The parser gives a typed tree; `common.filter.match` evaluates it on
rows in memory, `hub.store.filter_sql` turns it into a condition for the database. A row without a value fits no
comparison, and so fits its negation. Parsing is linear in the text; what it may hold is bounded below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args
from unicodedata import decimal

from common.catalogue import Sentence
from common.filter.fields import FIELDS, FIELDS_BY_NAME, FilterField, ViewName
from common.ids import is_label_value
from common.text import clean
from common.values import parse_duration, parse_size

MAX_TEXT: Final = 1_000
MAX_TERMS: Final = 32
MAX_VALUES: Final = 50
MAX_VALUE: Final = 200
MAX_STARS: Final = 8
MAX_FUZZY: Final = 32

Op = Literal["=", "!=", ">", ">=", "<", "<="]
OPS: Final[tuple[Op, ...]] = get_args(Op)


@dataclass(frozen=True, slots=True)
class MatchesAny:
    """The key's text fits one of the patterns. Patterns have the field's prefix already."""

    field: FilterField
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasFlag:
    """One of the named conditions holds."""

    field: FilterField
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """The key's number, or age, compared with one of several: (op, number) pairs, any of which may hold."""

    field: FilterField
    tests: tuple[tuple[Op, float], ...]


@dataclass(frozen=True, slots=True)
class HasLabel:
    """The label is there; `value` is exact, the beginning where it ends in `*`, "*" for any."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Contains:
    text: str


@dataclass(frozen=True, slots=True)
class Fuzzy:
    letters: str


Predicate = MatchesAny | HasFlag | Compare | HasLabel | Contains | Fuzzy


@dataclass(frozen=True, slots=True)
class Term:
    predicate: Predicate
    negated: bool
    start: int  # of the text that it was written as
    end: int


@dataclass(frozen=True, slots=True)
class Filter:
    view: ViewName
    terms: tuple[Term, ...] = ()

    @property
    def is_time_dependent(self) -> bool:
        """Whether a row may begin or cease to fit by time passing alone."""
        return any(
            (isinstance(term.predicate, Compare) and term.predicate.field.kind in ("age", "ahead"))
            or (isinstance(term.predicate, HasFlag) and not {"stuck", "held"}.isdisjoint(term.predicate.names))
            for term in self.terms
        )


class BadFilter(ValueError):
    """A text that is no filter. `position` and `end` are indexes into it: what to underline."""

    def __init__(self, position: int, end: int, sentence: Sentence) -> None:
        super().__init__(position, end, sentence)
        self.position = position
        self.end = end
        self.sentence = sentence

    def __str__(self) -> str:
        return str(self.sentence)


_BLANK: Final = re.compile(r"\s+")
_FIELD_HEAD: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,31})(:|：|>=|<=|!=|>|<|=)")
_OP: Final = re.compile(r">=|<=|!=|>|<|=")
_WORD: Final = re.compile(r'[^\s,，"]+')
_FREE: Final = re.compile(r'[^\s"]+')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_OPTION: Final = re.compile(r"-([fl])\s+")
_ID_END: Final = re.compile(r"[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{4,26}")
_NUMBER: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")


def parse(view: ViewName, text: str) -> Filter:
    """Parses `text`; the empty text fits every row. Raises BadFilter."""
    if len(text) > MAX_TEXT:
        raise BadFilter(MAX_TEXT, len(text), Sentence("filter_too_long", {"limit": MAX_TEXT}))
    if (bad := text.find("\0")) >= 0:
        raise BadFilter(bad, bad + 1, Sentence("filter_nul"))
    return _Parser(view, text).filter()


def resolve_me(filter: Filter, person: str) -> Filter:  # noqa: A002 - it is one
    """The filter as this person means it: `user:me` is theirs."""

    def of(test: Predicate) -> Predicate:
        if isinstance(test, MatchesAny) and test.field.key in ("person", "actor") and "me" in test.patterns:
            return MatchesAny(test.field, tuple(person if pattern == "me" else pattern for pattern in test.patterns))
        return test

    return Filter(filter.view, tuple(Term(of(t.predicate), t.negated, t.start, t.end) for t in filter.terms))


class _Parser:
    def __init__(self, view: ViewName, text: str) -> None:
        self._view = view
        self._text = text
        self._position = 0

    def filter(self) -> Filter:
        terms: list[Term] = []
        while self._skip():
            if len(terms) == MAX_TERMS:
                raise BadFilter(self._position, len(self._text), Sentence("filter_many_terms", {"limit": MAX_TERMS}))
            terms.append(self._term())
        return Filter(self._view, tuple(terms))

    def _skip(self) -> bool:
        """Past blanks; False at the end."""
        if found := _BLANK.match(self._text, self._position):
            self._position = found.end()
        return self._position < len(self._text)

    def _term(self) -> Term:
        start = self._position
        negated = self._text[start] in "!！"
        self._position += negated
        if self._position == len(self._text) or self._text[self._position].isspace():
            raise BadFilter(start, self._position, Sentence("filter_not_what"))
        test = self._test()
        if self._position < len(self._text) and not self._text[self._position].isspace():
            raise BadFilter(self._position, self._position + 1, Sentence("filter_blank_between"))
        return Term(test, negated, start, self._position)

    def _test(self) -> Predicate:
        if option := _OPTION.match(self._text, self._position):
            self._position = option.end()
            return self._label(FIELDS_BY_NAME[self._view].get("label")) if option[1] == "l" else self._fuzzy()
        head = _FIELD_HEAD.match(self._text, self._position)
        if head is None:
            return Contains(self._value(_FREE)[0])
        field = self._field(head)
        self._position = head.end(1)
        if head[2] in (":", "："):
            self._position = head.end()
        if field.kind == "label":
            if head[2] == "=":
                self._position = head.end()
            return self._label(field)
        if field.kind in ("word", "choice", "flag"):
            if head[2] not in (":", "：", "="):
                raise BadFilter(head.start(2), head.end(2), Sentence("filter_no_compare", {"field": head[1]}))
            self._position = head.end()
            return self._words(field)
        return self._numbers(field)

    def _field(self, head: re.Match[str]) -> FilterField:
        name, start, end = head[1], head.start(1), head.end(1)
        names = FIELDS_BY_NAME[self._view]
        field = names.get(name.lower())
        if field is not None:
            return field
        if head[2] == "=" and "label" in names:
            raise BadFilter(start, end, Sentence("filter_no_field_label", {"field": name}))
        from difflib import get_close_matches  # for whoever wrote a wrong key

        near = get_close_matches(name.lower(), names, 1)
        if near:
            raise BadFilter(start, end, Sentence("filter_no_field_near", {"field": name, "near": near[0]}))
        known = ", ".join(known.name for known in FIELDS[self._view])
        raise BadFilter(start, end, Sentence("filter_no_field", {"field": name, "known": known}))

    def _value(self, plain: re.Pattern[str] = _WORD) -> tuple[str, int]:
        """One value, and where it began."""
        start = self._position
        if self._text.startswith('"', start):
            quoted = _QUOTED.match(self._text, start)
            if quoted is None:
                raise BadFilter(start, len(self._text), Sentence("filter_open_quote"))
            value, self._position = _ESCAPED.sub(r"\1", quoted[1]), quoted.end()
        else:
            word = plain.match(self._text, start)
            if word is None:
                raise BadFilter(start, min(start + 1, len(self._text)), Sentence("filter_no_value"))
            value, self._position = word[0], word.end()
        if not value:
            raise BadFilter(start, self._position, Sentence("filter_no_value"))
        if len(value) > MAX_VALUE:
            raise BadFilter(start, self._position, Sentence("filter_long_value", {"limit": MAX_VALUE}))
        return value, start

    def _list(self) -> list[tuple[str, int, int]]:
        """Values with commas between, each with where it stands."""
        found = []
        while True:
            value, start = self._value()
            found.append((value, start, self._position))
            if self._text[self._position : self._position + 1] not in (",", "，") or self._position >= len(self._text):
                return found
            self._position += 1
            if len(found) == MAX_VALUES:
                raise BadFilter(start, self._position, Sentence("filter_many_values", {"limit": MAX_VALUES}))

    def _words(self, field: FilterField) -> Predicate:
        values = self._list()
        for value, start, end in values:
            if value.count("*") > MAX_STARS:
                raise BadFilter(start, end, Sentence("filter_many_stars", {"limit": MAX_STARS}))
        if field.kind == "word":
            return MatchesAny(field, tuple(pattern for value, _, _ in values for pattern in _patterns(field, value)))
        chosen: dict[str, None] = {}
        for value, start, end in values:
            fit = pattern_regex(value.lower()).fullmatch
            names = [choice for choice in field.choices if fit(choice)]
            if not names:
                known = {"field": field.name, "value": clean(value, limit=40), "known": ", ".join(field.choices)}
                raise BadFilter(start, end, Sentence("filter_no_choice", known))
            chosen.update(dict.fromkeys(names))
        return MatchesAny(field, tuple(chosen)) if field.kind == "choice" else HasFlag(field, tuple(chosen))

    def _numbers(self, field: FilterField) -> Compare:
        tests: list[tuple[Op, float]] = []
        while True:
            start = self._position
            found = _OP.match(self._text, start)
            op: Op = "="
            if found is not None:
                op = next(known for known in OPS if known == found[0])
                self._position = found.end()
            value, _ = self._value()
            number = _number(field, value)
            if number is None:
                said = {"field": field.name, "value": clean(value, limit=40)}
                raise BadFilter(start, self._position, Sentence(f"filter_bad_{_UNITS[field.kind]}", said))
            tests.append((op, number))
            if self._text[self._position : self._position + 1] not in (",", "，") or self._position >= len(self._text):
                return Compare(field, tuple(tests))
            self._position += 1
            if len(tests) == MAX_VALUES:
                raise BadFilter(start, self._position, Sentence("filter_many_values", {"limit": MAX_VALUES}))

    def _label(self, field: FilterField | None) -> HasLabel:
        start = self._position
        if field is None:
            raise BadFilter(start - 1, start, Sentence("filter_no_labels"))
        value, _ = self._value(_FREE)
        key, equals, wanted = value.partition("=")
        name = wanted.removesuffix("*")
        if not is_label_value(key) or (equals and not is_label_value(name) and wanted != "*"):
            raise BadFilter(start, self._position, Sentence("filter_bad_label", {"value": clean(value, limit=40)}))
        return HasLabel(key, wanted if equals else "*")

    def _fuzzy(self) -> Fuzzy:
        value, start = self._value(_FREE)
        if len(value) > MAX_FUZZY:
            raise BadFilter(start, self._position, Sentence("filter_long_value", {"limit": MAX_FUZZY}))
        return Fuzzy(value)


_UNITS: Final = {"number": "number", "duration": "duration", "age": "duration", "ahead": "duration", "size": "size"}


def _patterns(field: FilterField, value: str) -> tuple[str, ...]:
    """What people copy of an id is its end; lists show no more."""
    if field.is_id and _ID_END.fullmatch(value):
        return value, "*" + value.upper()
    return (field.prefix + value,)


def _number(field: FilterField, value: str) -> float | None:
    """`value` as a number: bytes for a size, seconds for a duration or an age. None where it is none."""
    if field.kind == "number":
        plain = value[1:] if field.key == "number" and value[:1] in ("r", "R", "#") else value
        return float(plain) if _NUMBER.fullmatch(plain) else None
    try:
        if field.kind == "size":
            return float(parse_size(_ascii_digits(value), plain=True))
        # A last number without a unit means seconds: 90, and 1h30 too.
        return float(parse_duration(_ascii_digits(value) + ("s" if value[-1:].isdecimal() else ""), high=math.inf))
    except ValueError:
        return None


def _ascii_digits(value: str) -> str:
    """Full-width digits, as a Chinese input method writes them, as ASCII; `common.values` takes no others."""
    return "".join(str(decimal(char)) if char.isdecimal() else char for char in value)


def pattern_regex(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression that cannot backtrack: each piece between two `*` is found once, leftmost."""
    pieces = ["".join("." if char == "?" else re.escape(char) for char in piece) for piece in pattern.split("*")]
    if len(pieces) == 1:
        return re.compile(pieces[0], re.DOTALL)
    first, *middle, last = pieces
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in middle) + ".*" + last, re.DOTALL)


def subsequence_regex(texts: Sequence[str]) -> re.Pattern[str]:
    """Whatever has these texts in this order, anything between; matches from the beginning."""
    return re.compile("".join(f"(?>.*?{re.escape(text)})" for text in texts), re.DOTALL)
