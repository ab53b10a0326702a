"""Strict, bounded JSON for bodies from outside: what is not RFC 8259 to the letter, or too much, is a BadBody and
nothing else.

Stricter than `json.loads`: no byte order mark, no NaN or Infinity, no key twice, no number that 64 bits cannot hold,
no lone surrogate. Bounds on depth, nodes and string length are checked on the raw bytes before anything is built
wherever building it could already hurt. A BadBody never quotes the body: it says what is wrong and where.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Any, Final

MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000
MAX_STRING: Final = 65_536
_MAX_INT_DIGITS: Final = 20  # with the sign; 64 bits need no more
_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1

# Possessive, so that a string of megabytes costs no backtracking state. An unterminated string stays: parsing refuses
# it.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class BadBody(ValueError):
    """A body that is not acceptable; `str()` says why without quoting it."""


def parse(data: bytes, *, long_keys: Collection[str] = (), long_chars: int = 0) -> Any:
    """The value of `data`; raises BadBody. Strings directly under one of `long_keys` may have `long_chars`
    characters.
    """
    _check_shape(data)
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadBody(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise BadBody(f"the body is not JSON: {_describe(error)}") from None
    except RecursionError:
        raise BadBody(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    _check_strings(value, long_keys, long_chars)
    return value


def _check_shape(data: bytes) -> None:
    """Depth and node count on the raw bytes: four million empty lists fit in twelve megabytes, and 300 in memory."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise BadBody("the body starts with a byte order mark: send plain UTF-8")
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH and data.count(b",") < MAX_NODES - MAX_DEPTH:
        return  # the usual case: too few brackets and commas, even if all were outside strings
    skeleton = _STRING.sub(b"", data)
    nodes = skeleton.count(b",") + skeleton.count(b"[") + skeleton.count(b"{")
    if nodes > MAX_NODES:
        raise BadBody(f"the body has more than {MAX_NODES} values")
    depth = 0
    for bracket in _BRACKET.findall(skeleton):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise BadBody(f"the body is nested deeper than {MAX_DEPTH} levels")


def _check_strings(value: Any, long_keys: Collection[str], long_chars: int) -> None:
    pending: list[tuple[Any, bool]] = [(value, False)]
    while pending:
        item, long = pending.pop()
        if type(item) is str:
            _check_string(item, long_chars if long else MAX_STRING)
        elif type(item) is list:
            pending.extend((each, long) for each in item)
        elif type(item) is dict:
            for key, each in item.items():
                _check_string(key, MAX_STRING)
                pending.append((each, key in long_keys))


def _check_string(text: str, limit: int) -> None:
    if len(text) > limit:
        raise BadBody(f"a string is longer than {limit} characters")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadBody("a string has half of a surrogate pair") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadBody("an object has the same key twice")
    return found


def _int(digits: str) -> int:
    if len(digits) > _MAX_INT_DIGITS or not _MIN_INT <= (number := int(digits)) <= _MAX_INT:
        raise BadBody("an integer does not fit in 64 bits")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise BadBody("a number does not fit in a 64-bit float")
    return number


def _constant(name: str) -> Any:
    raise BadBody(f"{name} is not JSON")


def _describe(error: json.JSONDecodeError) -> str:
    # The messages of the decoder are fixed texts; none of them quotes the document.
    return f"{error.msg} (line {error.lineno}, column {error.colno})"


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant, strict=True
)
