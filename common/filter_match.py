"""A filter on rows in memory. Pure. Rows are maps as the hub's views show them; the clock is an argument.

Says the same as the condition that the hub makes for its database; a test holds the two together.
"""

from __future__ import annotations

import json
import operator
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from common.filter import (
    Compare,
    Contains,
    Filter,
    Flagged,
    Fuzzy,
    Labelled,
    OneOf,
    Op,
    Test,
    in_order,
    pattern_regex,
)
from common.filter_fields import TEXT, View
from common.lifecycle import JOB_ENDS, REQUEST_ENDS
from common.plan import canonical

STUCK_AFTER: Final = 30.0
"""Seconds past its time limit (or past being handed out) after which a job is stuck: more than the grace of a kill."""

Row = Mapping[str, Any]
Matcher = Callable[[Row, float], bool]

_COMPARE: Final[Mapping[Op, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_JOBS_ENDED: Final = frozenset(state.value for state in JOB_ENDS)
_REQUESTS_ENDED: Final = frozenset(state.value for state in REQUEST_ENDS)
BAD_JOBS: Final = frozenset({"failed", "timed_out", "unknown", "expired", "not_started"})


def is_stuck(row: Row, now: float) -> bool:
    """Running past its time limit, or handed out and not taken up, for longer than is in order."""
    state = row.get("state")
    if state == "running":
        since = row.get("started_at")
        return since is not None and bool(row.get("time_limit")) and since + row["time_limit"] + STUCK_AFTER < now
    since = row.get("leased_at")
    return state in ("leased", "accepted") and since is not None and since + STUCK_AFTER < now


FLAGS: Final[Mapping[View, Mapping[str, Matcher]]] = {
    "jobs": {
        "open": lambda row, now: row.get("state") not in _JOBS_ENDED,
        "ended": lambda row, now: row.get("state") in _JOBS_ENDED,
        "bad": lambda row, now: row.get("state") in BAD_JOBS,
        "stuck": is_stuck,
        "held": lambda row, now: row.get("state") == "queued" and (row.get("not_before") or 0) > now,
        "cancelling": lambda row, now: row.get("cancel_asked_at") is not None and row.get("state") not in _JOBS_ENDED,
    },
    "requests": {
        "open": lambda row, now: row.get("state") not in _REQUESTS_ENDED,
        "ended": lambda row, now: row.get("state") in _REQUESTS_ENDED,
        "edited": lambda row, now: bool(row.get("behalf")),
    },
    "agents": {
        "online": lambda row, now: bool(row.get("online")),
        "offline": lambda row, now: not row.get("online"),
        "paused": lambda row, now: bool(row.get("paused_by")),
        "draining": lambda row, now: bool(row.get("draining")),
        "busy": lambda row, now: bool(row.get("running")),
        "active": lambda row, now: row.get("state") == "active",
        "locked": lambda row, now: row.get("state") == "locked",
        "revoked": lambda row, now: row.get("state") == "revoked",
        "bad": lambda row, now: not row.get("online") or row.get("state") != "active",
    },
    "audit": {},
    "activity": {},
}


def matcher(filter: Filter) -> Matcher:  # noqa: A002 - it is one
    """A function that says whether a row fits at a moment; made once, called for each row."""
    parts = [(_test(term.test, filter.view), term.negated) for term in filter.terms]
    return lambda row, now: all(test(row, now) is not negated for test, negated in parts)


def value_of(row: Row, key: str) -> Any:
    """The value of a key, in which a dot goes into a map; None where there is none."""
    if "." not in key:
        return row.get(key)
    outer, _, inner = key.partition(".")
    found = row.get(outer)
    return found.get(inner) if isinstance(found, Mapping) else None


def _test(test: Test, view: View) -> Matcher:
    match test:
        case OneOf(field, patterns):
            fits = [pattern_regex(pattern).fullmatch for pattern in patterns]
            return lambda row, now: (text := value_of(row, field.key)) is not None and any(fit(text) for fit in fits)
        case Flagged(_, names):
            flags = [FLAGS[view][name] for name in names]
            return lambda row, now: any(flag(row, now) for flag in flags)
        case Compare():
            return _compare(test)
        case Labelled(key, value):
            return _labelled(key, value)
        case Contains(text):
            return _searched((text,), view)
        case Fuzzy(letters):
            return _searched(letters, view)


def _compare(test: Compare) -> Matcher:
    key, kind = test.field.key, test.field.kind
    tests = [(_COMPARE[op], number) for op, number in test.tests]

    def fits(row: Row, now: float) -> bool:
        value = value_of(row, key)
        if value is None:
            return False
        if kind == "age":
            value = now - value
        elif kind == "ahead":
            value = value - now
        return any(compare(value, number) for compare, number in tests)

    return fits


def _labelled(key: str, value: str) -> Matcher:
    start = value.removesuffix("*")
    exact = start == value

    def fits(row: Row, now: float) -> bool:
        found = (row.get("labels") or {}).get(key)
        return found is not None and (found == value if exact else str(found).startswith(start))

    return fits


def _searched(texts: Sequence[str], view: View) -> Matcher:
    """The texts in this order, anything between, in one of the view's keys. An event's data is searched as JSON."""
    plain = in_order([fold(text) for text in texts]).match
    escaped = in_order([fold(json.dumps(text)[1:-1]) for text in texts]).match
    searches = [(key, escaped if key == "data" else plain) for key in TEXT[view]]
    return lambda row, now: any(search(fold(text_of(key, row.get(key)))) for key, search in searches)


def text_of(key: str, value: Any) -> str:
    """A value as the text that is searched: an argument vector as a command line, labels as people write them, other
    maps as canonical JSON.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return shlex.join(map(str, value))
    if key == "labels":
        return " ".join(f"{key}={part}" for key, part in sorted(value.items()))
    return canonical(value).decode()


_UPPER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(text: str) -> str:
    """Lower case for ASCII alone, as SQLite compares."""
    return text.lower() if text.isascii() else text.translate(_UPPER)
