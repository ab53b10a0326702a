"""Filters (`common.filter`) as SQL conditions for SQLite and PostgreSQL. Builds expressions and runs nothing.

`now` stays a parameter of the statement, so that it is compiled once. Job states are spelt exactly as in the partial
indexes, or the database would not use these (see `_states`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

from common.filter.fields import SEARCH_KEYS, ViewName
from common.filter.parser import Compare, Contains, Filter, Fuzzy, HasFlag, HasLabel, MatchesAny, Op, Predicate, Term
from common.lifecycle import BAD_JOBS, JOB_TERMINAL, STUCK_AFTER, JobState
from hub.store.cipher import TEXT_MARK
from hub.store.columns import one_of
from hub.store.schema import ENDED, JOBS_OPEN, OPEN, QUEUED, REQUEST_OPEN, agents, events, jobs, requests
from hub.store.sealed_lists import is_hidden

Condition = ColumnElement[Any]

NOW: Final = sa.bindparam("now", type_=sa.Double)
COLUMNS: Final[Mapping[ViewName, Mapping[str, ColumnElement[Any]]]] = {
    "jobs": {**jobs.c, "argv": jobs.c.command},
    "requests": dict(requests.c),
    "audit": dict(events.c),
    "activity": dict(events.c),
}

# ---- patterns


class Wildcard(Enum):
    ANY = "*"
    ONE = "?"


PatternParts = Sequence[str | Wildcard]


class MatchesPattern(ColumnElement[Any]):
    """The column fits a pattern; upper and lower case alike (of ASCII, at least) where `ignore_case`.

    SQLite's LIKE is the loose one and GLOB the strict; PostgreSQL has ILIKE and LIKE.
    """

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any], parts: PatternParts, *, ignore_case: bool) -> None:
        self.column = column
        self.parts = parts
        self.ignore_case = ignore_case
        self.type = sa.types.NULLTYPE  # not Boolean: `… = 1` around it would hide an index


ESCAPE: Final = "\\"
_LIKE: Final = {Wildcard.ANY: "%", Wildcard.ONE: "_"}
_LIKE_ESCAPES: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
_GLOB_ESCAPES: Final = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})


def _like(parts: PatternParts) -> str:
    return "".join(_LIKE[part] if isinstance(part, Wildcard) else part.translate(_LIKE_ESCAPES) for part in parts)


def _glob(parts: PatternParts) -> str:
    return "".join(part.value if isinstance(part, Wildcard) else part.translate(_GLOB_ESCAPES) for part in parts)


@compiles(MatchesPattern, "sqlite")
def _on_sqlite(element: MatchesPattern, compiler: Any, **options: Any) -> str:
    if element.ignore_case:
        return f"({compiler.process(element.column.like(_like(element.parts), escape=ESCAPE), **options)})"
    return f"({compiler.process(element.column.op('GLOB', is_comparison=True)(_glob(element.parts)), **options)})"


@compiles(MatchesPattern, "postgresql")
def _on_postgresql(element: MatchesPattern, compiler: Any, **options: Any) -> str:
    like = element.column.ilike if element.ignore_case else element.column.like
    return f"({compiler.process(like(_like(element.parts), escape=ESCAPE), **options)})"


def _pattern(column: ColumnElement[Any], pattern: str) -> Condition:
    if "*" not in pattern and "?" not in pattern:
        return column == pattern
    return MatchesPattern(column, [Wildcard(char) if char in "*?" else char for char in pattern], ignore_case=False)


# ---- named conditions


def literal_condition(condition: str) -> Condition:
    """A condition in literal SQL for both databases. Untyped, since `… = 1` around it would hide an index."""
    return sa.literal_column(f"({condition})")


def _states(names: Sequence[str]) -> Condition:
    """Jobs in one of these states. A few open ones among many ended are found by the partial indexes' ids; of ended
    ones the index by state and id gives the newest first.
    """
    wanted = {JobState(name) for name in names}
    if len(wanted) == 1 and not wanted & JOBS_OPEN:
        ended = f"{ENDED.text} AND " if wanted <= JOB_TERMINAL else ""
        return literal_condition(f"{ended}state = '{names[0]}'")
    if wanted & JOB_TERMINAL:
        return literal_condition(
            one_of("state", names) if wanted - JOB_TERMINAL else f"{ENDED.text} AND {one_of('state', names)}"
        )
    parts = [QUEUED.text] if JobState.QUEUED in wanted else []
    if opened := wanted & JOBS_OPEN:
        parts.append(f"{OPEN.text} AND {one_of('state', opened)}")
    ids = " UNION ALL ".join(f"SELECT id FROM jobs WHERE {part}" for part in parts)  # noqa: S608 - literals of this file only
    return literal_condition(f"jobs.id IN ({ids})")


_QUEUED_OR_OPEN: Final = _states([state.value for state in JobState if state not in JOB_TERMINAL])
STUCK: Final = sa.and_(
    literal_condition(OPEN.text),
    sa.or_(
        sa.and_(
            literal_condition("state = 'running'"),
            jobs.c.time_limit > 0,
            jobs.c.started_at + jobs.c.time_limit < NOW - STUCK_AFTER,
        ),
        sa.and_(literal_condition("state IN ('accepted', 'leased')"), jobs.c.leased_at < NOW - STUCK_AFTER),
    ),
)
FLAGS: Final[Mapping[ViewName, Mapping[str, Condition]]] = {
    "jobs": {
        "open": _QUEUED_OR_OPEN,
        "ended": literal_condition(ENDED.text),
        "bad": literal_condition(one_of("state", BAD_JOBS)),
        "stuck": STUCK,
        "held": sa.and_(literal_condition(QUEUED.text), jobs.c.not_before > NOW),
        "cancelling": sa.and_(jobs.c.cancel_asked_at.is_not(None), _QUEUED_OR_OPEN),
    },
    "requests": {
        "open": literal_condition(REQUEST_OPEN.text),
        "ended": literal_condition(f"NOT {REQUEST_OPEN.text}"),
        "edited": requests.c.behalf != "",
    },
    "audit": {},
    "activity": {},
}

# ---- the tree

_COMPARE: Final[Mapping[Op, Callable[[Any, Any], Condition]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}
_MIRRORED: Final[Mapping[Op, Op]] = {"=": "=", "!=": "!=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}


def filter_conditions(filter: Filter) -> list[Condition]:  # noqa: A002 - it is one
    """Conditions that must all hold; none of them is NULL where it is negated. Terms that look into sealed columns are
    not among them (`hub.store.sealed_lists`); of a search in the audit, most rows of which are plain, there is the
    condition that a row must meet to be looked at.
    """
    found = []
    for term in filter.terms:
        if is_hidden(term):
            if filter.view in ("audit", "activity") and not term.negated:
                found.append(_may_have(filter.view, term.predicate))
            continue
        condition = _test(filter.view, term)
        found.append(sa.not_(sa.func.coalesce(condition, sa.false())) if term.negated else condition)
    return found


def _test(view: ViewName, term: Term) -> Condition:
    test: Predicate = term.predicate
    columns = COLUMNS[view]
    match test:
        case MatchesAny(field, names) if field.kind == "choice":
            return _states(names) if view == "jobs" else literal_condition(one_of(field.key, names))
        case MatchesAny(field, patterns):
            return sa.or_(*(_pattern(columns[field.key], pattern) for pattern in patterns))
        case HasFlag(_, names):
            return sa.or_(*(FLAGS[view][name] for name in names))
        case Compare():
            return _compare(test, columns[test.field.key])
        case HasLabel(key, value):
            return jobs.c.agent.in_(sa.select(agents.c.name).where(_label(key, value)))
        case Contains() | Fuzzy():
            raise ValueError("the database cannot look for words in what is sealed")


def _may_have(view: ViewName, test: Predicate) -> Condition:
    """The words are in a plain column of the audit, or its data is sealed."""
    texts = (test.text,) if isinstance(test, Contains) else test.letters if isinstance(test, Fuzzy) else ()
    plain = (_contains(COLUMNS[view][key], key, texts) for key in SEARCH_KEYS[view])
    sealed = MatchesPattern(events.c.data, (TEXT_MARK, Wildcard.ANY), ignore_case=False)
    return sa.or_(*plain, sealed)


def _compare(test: Compare, column: Any) -> Condition:
    """An age is compared with the column alone on one side: `now - queued_at > 10` is `queued_at < now - 10`."""
    match test.field.kind:
        case "age":
            return sa.or_(*(_COMPARE[_MIRRORED[op]](column, NOW - number) for op, number in test.tests))
        case "ahead":
            return sa.or_(*(_COMPARE[op](column, NOW + number) for op, number in test.tests))
        case _ if column is jobs.c.number and all(op == "=" for op, _ in test.tests):
            numbers = sa.or_(*(requests.c.number == number for _, number in test.tests))
            return jobs.c.request_id.in_(sa.select(requests.c.id).where(numbers))  # there is an index for that
        case _:
            return sa.or_(*(_COMPARE[op](column, number) for op, number in test.tests))


def _contains(column: ColumnElement[Any], key: str, texts: Sequence[str]) -> Condition:
    """The texts in this order, anything between. Events' data is JSON in ASCII, so there the texts are, too."""
    parts: list[str | Wildcard] = [Wildcard.ANY]
    for text in texts:
        parts += [json.dumps(text)[1:-1] if key == "data" else text, Wildcard.ANY]
    return MatchesPattern(column, parts, ignore_case=True)


def _label(key: str, value: str) -> Condition:
    """Labels are canonical JSON of words that need no escape, so a substring of the text matches exactly."""
    if value == "*":
        return MatchesPattern(agents.c.labels, (Wildcard.ANY, f'"{key}":', Wildcard.ANY), ignore_case=False)
    if value.endswith("*"):
        return MatchesPattern(
            agents.c.labels, (Wildcard.ANY, f'"{key}":"{value[:-1]}', Wildcard.ANY), ignore_case=False
        )
    return MatchesPattern(agents.c.labels, (Wildcard.ANY, f'"{key}":"{value}"', Wildcard.ANY), ignore_case=False)
