"""Hypothesis strategies: messages of every type, with every field anywhere within its bounds."""

from __future__ import annotations

import types
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from common.confirmation import MAX_ENDED, MAX_STAMP
from common.fields import MAX_INT, MAX_TIME
from common.identity.trust import MAX_BUNDLE
from common.link.bodies import MESSAGE_TYPES
from common.link.messages import (
    CHUNK_BYTES,
    MAX_NETWORK,
    MAX_RENEW,
    MAX_WAKE_ID,
    REFUSAL_CODES,
    Dispatch,
    Ended,
    Heartbeat,
    Hello,
    KeyChange,
    KnownKeys,
    Message,
    Output,
    Refused,
    Report,
    Stamp,
    Trust,
    Trusted,
    Wake,
    Woken,
)
from common.machine.end_notes import MAX_NOTE, MAX_NOTES

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
"""What may stand where a field takes anything: JSON's values."""

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bytes: st.binary(max_size=200),
    int: st.integers(0, MAX_INT) | st.integers(0, 300),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    Any: JSON_VALUES,
}
_FIELDS: dict[tuple[type[Message], str], st.SearchStrategy[Any]] = {
    (Hello, "role"): st.sampled_from(["agent", "console"]),
    (Trust, "bundle"): st.binary(max_size=200) | st.just(b"\x00" * MAX_BUNDLE),
    (Trust, "digest"): st.text("0123456789abcdef", min_size=64, max_size=64),
    (Trust, "renew"): st.floats(0.0, MAX_RENEW),
    (Trusted, "digest"): st.text("0123456789abcdef", min_size=64, max_size=64),
    (Trusted, "holds"): st.text("0123456789abcdef", min_size=64, max_size=64),
    (Wake, "id"): st.text(st.characters(codec="utf-8"), max_size=MAX_WAKE_ID),
    (Wake, "mac"): st.binary(min_size=5, max_size=5).map(lambda rest: f"52:{rest.hex(':')}"),
    (Wake, "network"): st.text(st.characters(codec="utf-8"), max_size=MAX_NETWORK),
    (Woken, "id"): st.text(st.characters(codec="utf-8"), max_size=MAX_WAKE_ID),
    (Refused, "code"): st.sampled_from(sorted(REFUSAL_CODES)),
    (Output, "seq"): st.integers(1, MAX_INT),
    (Output, "stream"): st.sampled_from([1, 2]),
    (Output, "data"): st.binary(max_size=200) | st.just(b"\x00" * CHUNK_BYTES),
    (Ended, "outcome"): st.sampled_from(["succeeded", "failed", "timed_out", "cancelled"]),
    (Ended, "notes"): st.lists(TEXTS.filter(lambda text: 0 < len(text) <= MAX_NOTE), max_size=MAX_NOTES).map(tuple),
    (KeyChange, "change"): st.binary(max_size=200),
    (KnownKeys, "change"): st.sampled_from(["", "0123456789abcdef"]),
    (KnownKeys, "reason"): TEXTS,
    (KnownKeys, "keys"): st.dictionaries(
        st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}"), st.sampled_from(["ann", "bob"]), max_size=5
    ),
    **{
        (kind, "stamp" if kind is not Stamp else "id"): st.text(st.characters(codec="utf-8"), max_size=MAX_STAMP)
        for kind in (Heartbeat, Dispatch, Stamp)
    },
    **{
        (kind, "ended"): st.lists(st.text("0123456789abcdef", max_size=MAX_STAMP), max_size=MAX_ENDED).map(tuple)
        for kind in (Report, Stamp)
    },
    (Report, "open"): st.dictionaries(
        TEXTS, st.sampled_from(["accepted", "started", "ended", "refused", "unsure"]), max_size=5
    ),
}


def _strategy_for(hint: Any) -> st.SearchStrategy[Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of(st.none(), *(_strategy_for(arg) for arg in args if arg is not type(None)))
    if origin is tuple:
        return st.lists(_strategy_for(args[0]), max_size=5).map(tuple)
    if origin is dict:
        return st.dictionaries(_strategy_for(args[0]), _strategy_for(args[1]), max_size=5)
    return _SCALARS[hint]


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of one type."""
    hints = get_type_hints(kind)
    drawn = {}
    for field in fields(kind):
        is_time = field.name in ("at", "now", "started_at", "ended_at")
        usual = st.floats(0, MAX_TIME) if is_time else _strategy_for(hints[field.name])
        drawn[field.name] = _FIELDS.get((kind, field.name), usual)
    return st.builds(kind, **drawn)


MESSAGES = st.sampled_from(sorted(MESSAGE_TYPES)).flatmap(lambda name: messages_of(MESSAGE_TYPES[name]))
"""Messages of every type."""
