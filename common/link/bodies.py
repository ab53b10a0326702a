"""A message as the body of its frame, and back: who may send which type, and what each field may hold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, get_type_hints

from common.confirmation import MAX_ENDED, MAX_STAMP
from common.fields import BadField, Validator, build_validator, is_time, with_rule
from common.identity.trust import DIGEST_LENGTH, MAX_BUNDLE
from common.ids import is_name
from common.key_change import MAX_BYTES, is_key
from common.link.lineage import MAX_LINEAGE
from common.link.marks import MAX_MARK
from common.link.messages import (
    CHUNK_BYTES,
    MAX_CHANGE_ID,
    MAX_KNOWN,
    MAX_NETWORK,
    MAX_REASON,
    MAX_RENEW,
    MAX_WAKE_ID,
    MAX_WAKE_REASON,
    REFUSAL_CODES,
    Accepted,
    Ack,
    Answer,
    BadMessage,
    Beat,
    Bye,
    Call,
    Cancel,
    Confirm,
    Credit,
    Dispatch,
    Ended,
    Forget,
    Heartbeat,
    Hello,
    Join,
    Joined,
    KeyChange,
    KnownKeys,
    Message,
    Output,
    Push,
    Refuse,
    Refused,
    Renew,
    Renewed,
    Report,
    Resync,
    Sender,
    Stamp,
    Started,
    Trust,
    Trusted,
    Unsure,
    Wake,
    Welcome,
    Woken,
)
from common.machine.end_notes import are_valid_notes
from common.machine.interfaces import is_mac

_SENDERS: Final[Mapping[type[Message], frozenset[Sender]]] = {
    Hello: frozenset({"agent", "console"}),
    Welcome: frozenset({"hub"}),
    Refuse: frozenset({"hub"}),
    Bye: frozenset({"hub", "agent", "console", "runner"}),
    Heartbeat: frozenset({"agent", "console"}),
    Beat: frozenset({"hub"}),
    Stamp: frozenset({"runner"}),
    Ack: frozenset({"hub", "agent", "console", "runner"}),
    Dispatch: frozenset({"hub"}),
    Confirm: frozenset({"hub"}),
    Cancel: frozenset({"hub"}),
    Credit: frozenset({"hub"}),
    Forget: frozenset({"hub"}),
    Resync: frozenset({"hub"}),
    KeyChange: frozenset({"hub"}),
    KnownKeys: frozenset({"agent", "runner"}),
    Report: frozenset({"agent", "runner"}),
    Accepted: frozenset({"agent", "runner"}),
    Refused: frozenset({"agent", "runner"}),
    Started: frozenset({"agent", "runner"}),
    Output: frozenset({"agent", "runner"}),
    Ended: frozenset({"agent", "runner"}),
    Unsure: frozenset({"agent", "runner"}),
    Renew: frozenset({"agent", "console"}),
    Renewed: frozenset({"hub"}),
    Trust: frozenset({"hub"}),
    Trusted: frozenset({"agent", "console"}),
    Wake: frozenset({"hub"}),
    Woken: frozenset({"agent"}),
    Join: frozenset({"anyone"}),
    Joined: frozenset({"hub"}),
    Call: frozenset({"console"}),
    Answer: frozenset({"hub"}),
    Push: frozenset({"hub"}),
}
_UNNUMBERED: Final = frozenset(
    {
        Hello,
        Welcome,
        Refuse,
        Bye,
        Heartbeat,
        Beat,
        Stamp,
        Ack,
        Trust,
        Trusted,
        Wake,
        Woken,
        Join,
        Joined,
        Call,
        Answer,
        Push,
    }
)

_REPORT_STATES: Final = frozenset({"accepted", "started", "ended", "refused", "unsure"})
_OUTCOMES: Final = frozenset({"succeeded", "failed", "timed_out", "cancelled"})

# Rules beyond a field's type.
_FIELD_RULES: Final[Mapping[tuple[type[Message], str], Callable[[Any], bool]]] = {
    (Hello, "role"): frozenset({"agent", "console"}).__contains__,
    (Hello, "heard"): lambda mark: len(mark) <= MAX_MARK,
    (Welcome, "mark"): lambda mark: len(mark) <= MAX_MARK,
    (Beat, "mark"): lambda mark: len(mark) <= MAX_MARK,
    (Trust, "bundle"): lambda pem: len(pem) <= MAX_BUNDLE,
    (Trust, "digest"): lambda digest: len(digest) == DIGEST_LENGTH,
    (Trust, "renew"): lambda seconds: 0.0 <= seconds <= MAX_RENEW,
    (Trusted, "digest"): lambda digest: len(digest) == DIGEST_LENGTH,
    (Trusted, "holds"): lambda holds: len(holds) == DIGEST_LENGTH,
    (Wake, "id"): lambda text: len(text) <= MAX_WAKE_ID,
    (Wake, "mac"): is_mac,
    (Wake, "network"): lambda text: len(text) <= MAX_NETWORK,
    (Woken, "id"): lambda text: len(text) <= MAX_WAKE_ID,
    (Woken, "reason"): lambda text: len(text) <= MAX_WAKE_REASON,
    (Report, "open"): lambda jobs: _REPORT_STATES.issuperset(jobs.values()),
    (Report, "life"): lambda life: len(life) <= MAX_LINEAGE,
    (Report, "ended"): lambda stamps: _are_stamps(stamps),
    (Stamp, "id"): lambda stamp: len(stamp) <= MAX_STAMP,
    (Stamp, "ended"): lambda stamps: _are_stamps(stamps),
    (Heartbeat, "stamp"): lambda stamp: len(stamp) <= MAX_STAMP,
    (Dispatch, "stamp"): lambda stamp: len(stamp) <= MAX_STAMP,
    (Refused, "code"): REFUSAL_CODES.__contains__,
    (Output, "seq"): lambda seq: bool(seq >= 1),
    (Output, "stream"): frozenset({1, 2}).__contains__,
    (Output, "data"): lambda data: len(data) <= CHUNK_BYTES,
    (KeyChange, "change"): lambda change: len(change) <= MAX_BYTES,
    (KnownKeys, "change"): lambda change: len(change) <= MAX_CHANGE_ID,
    (KnownKeys, "reason"): lambda reason: len(reason) <= MAX_REASON,
    (KnownKeys, "keys"): lambda keys: (
        len(keys) <= MAX_KNOWN and all(is_key(key) and is_name(name) for key, name in keys.items())
    ),
    (Ended, "outcome"): _OUTCOMES.__contains__,
    (Ended, "notes"): are_valid_notes,
}
_TIMES: Final = frozenset({"at", "now", "started_at", "ended_at"})


def _are_stamps(stamps: tuple[str, ...]) -> bool:
    return len(stamps) <= MAX_ENDED and all(len(stamp) <= MAX_STAMP for stamp in stamps)


def _field_validator(kind: type[Message], name: str, hint: Any) -> Validator:
    rule = _FIELD_RULES.get((kind, name)) or (is_time if hint is float and name in _TIMES else None)
    return build_validator(hint) if rule is None else with_rule(build_validator(hint), rule)


@dataclass(frozen=True, slots=True)
class _MessageSpec:
    kind: type[Message]
    senders: frozenset[Sender]
    checkers: Mapping[str, Validator]
    required: frozenset[str]
    defaults: Mapping[str, Any]


def _message_spec(kind: type[Message], senders: frozenset[Sender]) -> _MessageSpec:
    hints = get_type_hints(kind)
    own = fields(kind)
    return _MessageSpec(
        kind,
        senders,
        {field.name: _field_validator(kind, field.name, hints[field.name]) for field in own},
        frozenset(field.name for field in own if field.default is MISSING and field.default_factory is MISSING),
        {field.name: field.default for field in own if field.default is not MISSING},
    )


MESSAGE_TYPES: Final[Mapping[str, type[Message]]] = {kind.__name__.lower(): kind for kind in _SENDERS}
_SPECS: Final[dict[str, _MessageSpec]] = {}  # of the types that have been sent or received: most programs know few
_NAMES: Final[Mapping[type[Message], str]] = {kind: name for name, kind in MESSAGE_TYPES.items()}


def _build_spec(name: str) -> _MessageSpec:
    kind = MESSAGE_TYPES[name]
    spec = _SPECS[name] = _message_spec(kind, _SENDERS[kind])
    return spec


def type_name(message: Message) -> str:
    return _NAMES[type(message)]


def is_numbered(message: Message) -> bool:
    """Whether the message is a fact: numbered, and kept until acknowledged. The others are sent once."""
    return type(message) not in _UNNUMBERED


def is_allowed_sender(name: str, sender: Sender) -> bool:
    kind = MESSAGE_TYPES.get(name)
    return kind is not None and sender in _SENDERS[kind]


def to_body(message: Message) -> dict[str, Any]:
    """The message's fields as a map; raises BadMessage where the peer would refuse one. A field that was added later
    is left out where it says nothing, so that an older peer takes the message.

    Outgoing messages are checked too: a fact that the peer refuses would be sent again with every resume.
    """
    name = _NAMES[type(message)]
    body: dict[str, Any] = {}
    spec = _SPECS.get(name) or _build_spec(name)
    defaults = spec.defaults
    for key, check in spec.checkers.items():
        value = getattr(message, key)
        if key in defaults and value == defaults[key] and type(value) is type(defaults[key]):
            continue
        try:
            body[key] = check(value)
        except BadField as error:
            raise BadMessage(f"{name}.{key}: {error}") from None
    return body


def from_body(name: str, body: Any, sender: Sender) -> Message:
    """The typed message; raises BadMessage where the type is unknown, the sender may not send it, or a field is
    malformed.
    """
    if not isinstance(name, str) or name not in MESSAGE_TYPES:
        raise BadMessage("unknown message type")
    spec = _SPECS.get(name) or _build_spec(name)
    if sender not in spec.senders:
        raise BadMessage(f"{name}: not for {sender} to send")
    if not isinstance(body, dict):
        raise BadMessage(f"{name}: the body is not a map")
    values: dict[str, Any] = {}
    for key, value in body.items():
        check = spec.checkers.get(key)
        if check is None:
            raise BadMessage(f"{name}: unknown field")
        try:
            values[key] = check(value)
        except BadField as error:
            raise BadMessage(f"{name}.{key}: {error}") from None
    if missing := spec.required - values.keys():
        raise BadMessage(f"{name}: without {', '.join(sorted(missing))}")
    return spec.kind(**values)
