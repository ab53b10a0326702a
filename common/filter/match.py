"""A filter on rows in memory. Pure. Rows are those of `common.api`, typed or as maps; the clock is an argument.

Says the same as the condition that the hub makes for its database; a test holds the two together.
"""

from __future__ import annotations

import json
import operator
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from common.filter.fields import SEARCH_KEYS, ViewName
from common.filter.parser import (
    Compare,
    Contains,
    Filter,
    Fuzzy,
    HasFlag,
    HasLabel,
    MatchesAny,
    Op,
    Predicate,
    pattern_regex,
    subsequence_regex,
)
from common.filter.paths import getter
from common.lifecycle import BAD_JOBS, JOB_TERMINAL, REQUEST_TERMINAL, STUCK_AFTER
from common.plan import canonical_json

Row = Any
RowPredicate = Callable[[Row, float], bool]

_COMPARE: Final[Mapping[Op, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_JOBS_ENDED: Final = frozenset(state.value for state in JOB_TERMINAL)
_REQUESTS_ENDED: Final = frozenset(state.value for state in REQUEST_TERMINAL)


_state, _started_at, _leased_at, _time_limit = map(getter, ("state", "started_at", "leased_at", "time_limit"))
_not_before, _cancel_asked_at, _behalf = map(getter, ("not_before", "cancel_asked_at", "behalf"))
_online, _paused_by, _draining, _running = map(getter, ("online", "paused_by", "draining", "running"))


def is_stuck(row: Row, now: float) -> bool:
    """Running past its time limit, or handed out and not taken up, for longer than is in order."""
    state = _state(row)
    if state == "running":
        since, limit = _started_at(row), _time_limit(row)
        return since is not None and bool(limit) and since + limit + STUCK_AFTER < now
    since = _leased_at(row)
    return state in ("leased", "accepted") and since is not None and since + STUCK_AFTER < now


FLAG_PREDICATES: Final[Mapping[ViewName, Mapping[str, RowPredicate]]] = {
    "jobs": {
        "open": lambda row, now: _state(row) not in _JOBS_ENDED,
        "ended": lambda row, now: _state(row) in _JOBS_ENDED,
        "bad": lambda row, now: _state(row) in BAD_JOBS,
        "stuck": is_stuck,
        "held": lambda row, now: _state(row) == "queued" and (_not_before(row) or 0) > now,
        "cancelling": lambda row, now: _cancel_asked_at(row) is not None and _state(row) not in _JOBS_ENDED,
    },
    "requests": {
        "open": lambda row, now: _state(row) not in _REQUESTS_ENDED,
        "ended": lambda row, now: _state(row) in _REQUESTS_ENDED,
        "edited": lambda row, now: bool(_behalf(row)),
    },
    "agents": {
        "online": lambda row, now: bool(_online(row)),
        "offline": lambda row, now: not _online(row),
        "paused": lambda row, now: bool(_paused_by(row)),
        "draining": lambda row, now: bool(_draining(row)),
        "busy": lambda row, now: bool(_running(row)),
        "active": lambda row, now: _state(row) == "active",
        "locked": lambda row, now: _state(row) == "locked",
        "revoked": lambda row, now: _state(row) == "revoked",
        "bad": lambda row, now: not _online(row) or _state(row) != "active",
    },
    "audit": {},
    "activity": {},
}


def compile_filter(filter: Filter) -> RowPredicate:  # noqa: A002 - it is one
    """A function that says whether a row fits at a moment; made once, called for each row."""
    parts = [(_compile_predicate(term.predicate, filter.view), term.negated) for term in filter.terms]
    return lambda row, now: all(test(row, now) is not negated for test, negated in parts)


def row_value(row: Row, key: str) -> Any:
    """The value of a key, in which a dot goes one step deeper; None where there is none."""
    return getter(key)(row)


def _compile_predicate(test: Predicate, view: ViewName) -> RowPredicate:
    match test:
        case MatchesAny(field, patterns):
            fits, read = [pattern_regex(pattern).fullmatch for pattern in patterns], getter(field.key)
            return lambda row, now: (text := read(row)) is not None and any(fit(text) for fit in fits)
        case HasFlag(_, names):
            flags = [FLAG_PREDICATES[view][name] for name in names]
            return lambda row, now: any(flag(row, now) for flag in flags)
        case Compare():
            return _compile_compare(test)
        case HasLabel(key, value):
            return _compile_label(key, value)
        case Contains(text):
            return _compile_search((text,), view)
        case Fuzzy(letters):
            return _compile_search(letters, view)


def _compile_compare(test: Compare) -> RowPredicate:
    read, kind = getter(test.field.key), test.field.kind
    tests = [(_COMPARE[op], number) for op, number in test.tests]

    def fits(row: Row, now: float) -> bool:
        value = read(row)
        if value is None:
            return False
        if kind == "age":
            value = now - value
        elif kind == "ahead":
            value = value - now
        return any(compare(value, number) for compare, number in tests)

    return fits


def _compile_label(key: str, value: str) -> RowPredicate:
    start = value.removesuffix("*")
    exact, labels = start == value, getter("labels")

    def fits(row: Row, now: float) -> bool:
        found = (labels(row) or {}).get(key)
        return found is not None and (found == value if exact else str(found).startswith(start))

    return fits


def _compile_search(texts: Sequence[str], view: ViewName) -> RowPredicate:
    """The texts in this order, anything between, in one of the view's keys. An event's data is searched as JSON."""
    plain = subsequence_regex([ascii_lower(text) for text in texts]).match
    escaped = subsequence_regex([ascii_lower(json.dumps(text)[1:-1]) for text in texts]).match
    searches = [(key, getter(key), escaped if key == "data" else plain) for key in SEARCH_KEYS[view]]
    return lambda row, now: any(search(ascii_lower(search_text(key, read(row)))) for key, read, search in searches)


def search_text(key: str, value: Any) -> str:
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
    return canonical_json(value).decode()


_UPPER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def ascii_lower(text: str) -> str:
    """Lower case for ASCII alone, as SQLite compares."""
    return text.lower() if text.isascii() else text.translate(_UPPER)
