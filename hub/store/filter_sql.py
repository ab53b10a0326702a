"""A filter as conditions for the database, SQLite and PostgreSQL alike. It makes expressions and runs nothing.

`now` stays a parameter of the statement, so that it is compiled once for a view. Job states are said as the partial
indexes say them, or the database would not use these (see `_states`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

from common.filter import Compare, Contains, Filter, Flagged, Fuzzy, Labelled, OneOf, Op, Term, Test
from common.filter_fields import TEXT, View
from common.filter_match import BAD_JOBS, STUCK_AFTER
from common.lifecycle import JOB_ENDS, JobState
from hub.store.schema import ENDED, JOBS_OPEN, OPEN, QUEUED, REQUEST_OPEN, agents, events, jobs, one_of, requests

Condition = ColumnElement[Any]

NOW: Final = sa.bindparam("now", type_=sa.Double)
COLUMNS: Final[Mapping[View, Mapping[str, ColumnElement[Any]]]] = {
    "jobs": {**jobs.c, "argv": jobs.c.command},
    "requests": dict(requests.c),
    "audit": dict(events.c),
    "activity": dict(events.c),
}

# ---- patterns


class Wild(Enum):
    ANY = "*"
    ONE = "?"


Parts = Sequence[str | Wild]


class Fits(ColumnElement[Any]):
    """The column fits a pattern; upper and lower case alike (of ASCII, at least) where `loose`.

    SQLite's LIKE is the loose one and GLOB the strict; PostgreSQL has ILIKE and LIKE.
    """

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any], parts: Parts, *, loose: bool) -> None:
        self.column = column
        self.parts = parts
        self.loose = loose
        self.type = sa.types.NULLTYPE  # not Boolean: `… = 1` around it would hide an index


ESCAPE: Final = "\\"
_LIKE: Final = {Wild.ANY: "%", Wild.ONE: "_"}
_LIKE_ESCAPES: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
_GLOB_ESCAPES: Final = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})


def _like(parts: Parts) -> str:
    return "".join(_LIKE[part] if isinstance(part, Wild) else part.translate(_LIKE_ESCAPES) for part in parts)


def _glob(parts: Parts) -> str:
    return "".join(part.value if isinstance(part, Wild) else part.translate(_GLOB_ESCAPES) for part in parts)


@compiles(Fits, "sqlite")
def _on_sqlite(element: Fits, compiler: Any, **options: Any) -> str:
    if element.loose:
        return f"({compiler.process(element.column.like(_like(element.parts), escape=ESCAPE), **options)})"
    return f"({compiler.process(element.column.op('GLOB', is_comparison=True)(_glob(element.parts)), **options)})"


@compiles(Fits, "postgresql")
def _on_postgresql(element: Fits, compiler: Any, **options: Any) -> str:
    like = element.column.ilike if element.loose else element.column.like
    return f"({compiler.process(like(_like(element.parts), escape=ESCAPE), **options)})"


def _pattern(column: ColumnElement[Any], pattern: str) -> Condition:
    if "*" not in pattern and "?" not in pattern:
        return column == pattern
    return Fits(column, [Wild(char) if char in "*?" else char for char in pattern], loose=False)


# ---- named conditions


def said(condition: str) -> Condition:
    """A condition in literal SQL that both databases read. It has no type: `… = 1` around it would hide an index."""
    return sa.literal_column(f"({condition})")


def _states(names: Sequence[str]) -> Condition:
    """Jobs in one of these states. A few open ones among many ended are found by the partial indexes' ids; of ended
    ones the index by state and id gives the newest first.
    """
    wanted = {JobState(name) for name in names}
    if len(wanted) == 1 and not wanted & JOBS_OPEN:
        ended = f"{ENDED.text} AND " if wanted <= JOB_ENDS else ""
        return said(f"{ended}state = '{names[0]}'")
    if wanted & JOB_ENDS:
        return said(one_of("state", names) if wanted - JOB_ENDS else f"{ENDED.text} AND {one_of('state', names)}")
    parts = [QUEUED.text] if JobState.QUEUED in wanted else []
    if opened := wanted & JOBS_OPEN:
        parts.append(f"{OPEN.text} AND {one_of('state', opened)}")
    ids = " UNION ALL ".join(f"SELECT id FROM jobs WHERE {part}" for part in parts)  # noqa: S608 - our own words
    return said(f"jobs.id IN ({ids})")


_QUEUED_OR_OPEN: Final = _states([state.value for state in JobState if state not in JOB_ENDS])
STUCK: Final = sa.and_(
    said(OPEN.text),
    sa.or_(
        sa.and_(
            said("state = 'running'"),
            jobs.c.time_limit > 0,
            jobs.c.started_at + jobs.c.time_limit < NOW - STUCK_AFTER,
        ),
        sa.and_(said("state IN ('accepted', 'leased')"), jobs.c.leased_at < NOW - STUCK_AFTER),
    ),
)
FLAGS: Final[Mapping[View, Mapping[str, Condition]]] = {
    "jobs": {
        "open": _QUEUED_OR_OPEN,
        "ended": said(ENDED.text),
        "bad": said(one_of("state", BAD_JOBS)),
        "stuck": STUCK,
        "held": sa.and_(said(QUEUED.text), jobs.c.not_before > NOW),
        "cancelling": sa.and_(jobs.c.cancel_asked_at.is_not(None), _QUEUED_OR_OPEN),
    },
    "requests": {
        "open": said(REQUEST_OPEN.text),
        "ended": said(f"NOT {REQUEST_OPEN.text}"),
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
_TURNED: Final[Mapping[Op, Op]] = {"=": "=", "!=": "!=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}


def conditions(filter: Filter) -> list[Condition]:  # noqa: A002 - it is one
    """Conditions that must all hold; none of them is NULL where it is negated."""
    found = []
    for term in filter.terms:
        held = _test(filter.view, term)
        found.append(sa.not_(sa.func.coalesce(held, sa.false())) if term.negated else held)
    return found


def _test(view: View, term: Term) -> Condition:
    test: Test = term.test
    columns = COLUMNS[view]
    match test:
        case OneOf(field, names) if field.kind == "choice":
            return _states(names) if view == "jobs" else said(one_of(field.key, names))
        case OneOf(field, patterns) if field.key == "plan.source":
            return sa.or_(*map(_planned_by, patterns))
        case OneOf(field, patterns):
            return sa.or_(*(_pattern(columns[field.key], pattern) for pattern in patterns))
        case Flagged(_, names):
            return sa.or_(*(FLAGS[view][name] for name in names))
        case Compare():
            return _compare(test, columns[test.field.key])
        case Labelled(key, value):
            return jobs.c.agent.in_(sa.select(agents.c.name).where(_label(key, value)))
        case Contains(text):
            return sa.or_(*(_contains(columns[key], key, (text,)) for key in TEXT[view]))
        case Fuzzy(letters):
            return sa.or_(*(_contains(columns[key], key, letters) for key in TEXT[view]))


def _compare(test: Compare, column: Any) -> Condition:
    """An age is compared with the column alone on one side: `now - queued_at > 10` is `queued_at < now - 10`."""
    match test.field.kind:
        case "age":
            return sa.or_(*(_COMPARE[_TURNED[op]](column, NOW - number) for op, number in test.tests))
        case "ahead":
            return sa.or_(*(_COMPARE[op](column, NOW + number) for op, number in test.tests))
        case _ if column is jobs.c.number and all(op == "=" for op, _ in test.tests):
            numbers = sa.or_(*(requests.c.number == number for _, number in test.tests))
            return jobs.c.request_id.in_(sa.select(requests.c.id).where(numbers))  # there is an index for that
        case _:
            return sa.or_(*(_COMPARE[op](column, number) for op, number in test.tests))


def _contains(column: ColumnElement[Any], key: str, texts: Sequence[str]) -> Condition:
    """The texts in this order, anything between. Events' data is JSON in ASCII, so there the texts are, too."""
    parts: list[str | Wild] = [Wild.ANY]
    for text in texts:
        parts += [json.dumps(text)[1:-1] if key == "data" else text, Wild.ANY]
    return Fits(column, parts, loose=True)


def _planned_by(pattern: str) -> Condition:
    """A request's plan is canonical JSON, in which `source` stands right before the steps, and so only once."""
    parts = [Wild(char) if char in "*?" else json.dumps(char)[1:-1] for char in pattern]
    return Fits(requests.c.plan, (Wild.ANY, '"source":"', *parts, '","steps":[', Wild.ANY), loose=False)


def _label(key: str, value: str) -> Condition:
    """Labels are canonical JSON of words that need no escape, so a part of its text says it exactly."""
    if value == "*":
        return Fits(agents.c.labels, (Wild.ANY, f'"{key}":', Wild.ANY), loose=False)
    if value.endswith("*"):
        return Fits(agents.c.labels, (Wild.ANY, f'"{key}":"{value[:-1]}', Wild.ANY), loose=False)
    return Fits(agents.c.labels, (Wild.ANY, f'"{key}":"{value}"', Wild.ANY), loose=False)
