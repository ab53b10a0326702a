"""The audit: a chain of hashes over every event, signed checkpoints of its end, and the export a stranger can verify.

    hash(n) = SHA-256("answerback event 1\n" + canonical JSON of [seq, at, kind, subject, actor, data, hash(n - 1)])

hash(0) is 64 zeros; canonical JSON is as in common/plan.py. The chain alone proves order only to someone who kept its
end: whoever can write the table can link it anew. So the hub signs checkpoints (Ed25519) over hub, seq, hash and time,
and shows them outside. What lies behind the last checkpoint is whole but unsigned, and the report says from where.

An export is JSON lines: a header with the hub's id, the public keys and the count; the events; the checkpoints; a last
line with both counts. Every line is canonical, byte for byte. The keys in the header prove nothing by themselves:
compare their ids with the hub's, or pass the keys you trust.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from common.identity.signing import CHECKPOINT_PURPOSE, key_id
from common.identity.signing import verify as verify_signature
from common.plan import canonical_json
from hub.core.records import AuditEvent

MAX_FIELD: Final = 256
MAX_DATA: Final = 262_144
MAX_LINE: Final = MAX_DATA + 8_192
_DOMAIN: Final = b"answerback event 1\n"
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


class ChainHead(NamedTuple):
    """The end of a chain."""

    seq: int
    hash: str


GENESIS: Final = ChainHead(0, "0" * 64)


class AuditRow(NamedTuple):
    """An event as it is stored: `data` is its canonical JSON."""

    seq: int
    at: float
    kind: str
    subject: str
    actor: str
    data: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The hub's signed word that the chain had this hash at this seq."""

    seq: int
    hash: str
    signature: bytes
    key: str  # key id
    at: float


@dataclass(frozen=True, slots=True)
class VerificationReport:
    ok: bool
    checked: int  # events found good, from the first
    signed_to: int  # the last seq that a good checkpoint vouches for
    first_bad_seq: int | None = None
    problem: str = ""


def extend(head: ChainHead, at: float, kind: str, subject: str, actor: str, data: Mapping[str, Any]) -> AuditRow:
    """The event that follows `head`. Raises ValueError where `data` is not JSON, is larger than MAX_DATA, or has keys
    that are not strings. Words may come from strangers: they are cut to MAX_FIELD and made storable, never refused.
    """
    _check_keys(data)
    text = _encode(data)
    if len(text) > MAX_DATA:
        raise ValueError(f"event data: {len(text)} characters, at most {MAX_DATA}")
    kind, subject, actor = _bounded_text(kind), _bounded_text(subject), _bounded_text(actor)
    seq, at = head.seq + 1, float(at)
    return AuditRow(
        seq, at, kind, subject, actor, text, head.hash, _hash(seq, at, kind, subject, actor, text, head.hash)
    )


def chain_event(head: ChainHead, at: float, kind: str, subject: str, actor: str, data: Mapping[str, Any]) -> AuditEvent:
    """`extend`, as the record."""
    return to_event(extend(head, at, kind, subject, actor, data))


def to_event(row: AuditRow) -> AuditEvent:
    return AuditEvent(row.seq, row.at, row.kind, row.subject, row.actor, json.loads(row.data), row.previous, row.hash)


def to_row(event: AuditEvent) -> AuditRow:
    """Raises ValueError where the event's data is not JSON."""
    text = _encode(event.data)
    return AuditRow(event.seq, event.at, event.kind, event.subject, event.actor, text, event.previous, event.hash)


def checkpoint_bytes(hub: str, seq: int, hash: str, at: float) -> bytes:  # noqa: A002 - the record's word
    """What a checkpoint's signature is over."""
    return canonical_json({"hub": hub, "seq": seq, "hash": hash, "at": float(at)})


class ChainBroken(Exception):
    """What is wrong, and the first bad row where it is a row."""

    def __init__(self, problem: str, seq: int | None = None) -> None:
        super().__init__(problem, seq)
        self.problem = problem
        self.seq = seq


def verify(
    events: Iterable[AuditEvent | AuditRow],
    checkpoints: Iterable[Checkpoint],
    public_keys: Mapping[str, bytes],
    *,
    hub: str,
) -> VerificationReport:
    """Whether the events, from the first on, are one unbroken chain that every checkpoint vouches for.

    Both come in the order of their seq and are read once, side by side. `public_keys` has the raw Ed25519 keys that are
    trusted, by key id. The report names the first bad row; where the chain was linked anew only a checkpoint tells, and
    the first row that may be bad is the one behind the last good checkpoint.
    """
    head, signed_to = GENESIS, 0
    marks = _verified_checkpoints(checkpoints, public_keys, hub)
    due = next(marks, None)
    try:
        for event in events:
            head = _next_head(head, event)
            while isinstance(due, Checkpoint) and due.seq == head.seq:
                if due.hash != head.hash:
                    raise ChainBroken(
                        f"a checkpoint at {due.seq} signed another chain: linked anew since", signed_to + 1
                    )
                signed_to, due = due.seq, next(marks, None)
        if isinstance(due, ChainBroken):
            raise due  # after the events: a bad row is named before a bad checkpoint
        if due is not None:
            raise ChainBroken(f"the chain ends at {head.seq}, a checkpoint was signed at {due.seq}", head.seq + 1)
    except ChainBroken as broken:
        return VerificationReport(False, head.seq, signed_to, broken.seq, broken.problem)
    return VerificationReport(True, head.seq, signed_to)


def _next_head(head: ChainHead, event: AuditEvent | AuditRow) -> ChainHead:
    """The new end of the chain; raises ChainBroken where the event does not follow."""
    seq = head.seq + 1
    try:
        row = event if isinstance(event, AuditRow) else to_row(event)
        if row.seq != seq:
            raise ChainBroken(f"event {seq} is not in its place: {row.seq} is", seq)
        if row.previous != head.hash:
            raise ChainBroken(f"event {seq} does not follow the event before it", seq)
        if row.hash != _hash(*row[:7]):
            raise ChainBroken(f"event {seq} is not what its hash says", seq)
    except (TypeError, ValueError, RecursionError):
        raise ChainBroken(f"event {seq} cannot be read", seq) from None
    return ChainHead(row.seq, row.hash)


def _verified_checkpoints(
    checkpoints: Iterable[Checkpoint], keys: Mapping[str, bytes], hub: str
) -> Iterator[Checkpoint | ChainBroken]:
    """The checkpoints, each looked at when its turn comes, up to the first that is no good."""
    last = 0
    try:
        for mark in checkpoints:
            if mark.seq <= last:
                raise ChainBroken(f"the checkpoint at {mark.seq} is not in its place")
            last = mark.seq
            if mark.key not in keys:
                raise ChainBroken(f"the checkpoint at {mark.seq} is signed with a key that is not trusted: {mark.key}")
            data = checkpoint_bytes(hub, mark.seq, mark.hash, mark.at)
            if not verify_signature(keys[mark.key], data, mark.signature, CHECKPOINT_PURPOSE):
                raise ChainBroken(f"the checkpoint at {mark.seq} has a bad signature")
            yield mark
    except ChainBroken as broken:
        yield broken


def export(
    events: Iterable[AuditEvent | AuditRow],
    checkpoints: Iterable[Checkpoint],
    public_keys: Mapping[str, bytes],
    *,
    hub: str,
    count: int,
) -> Iterator[str]:
    """The lines of an export, each with its newline: the first `count` events and all checkpoints.

    A checkpoint beyond `count` is written too: it is the evidence that a tail is missing.
    """
    keys = {name: public.hex() for name, public in public_keys.items()}
    yield _encode({"answerback_audit": 1, "hub": hub, "keys": keys, "events": count}) + "\n"
    for event in islice(events, count):
        row = event if isinstance(event, AuditRow) else to_row(event)
        yield _encode(_export_row(row)) + "\n"
    signed = 0
    for mark in checkpoints:
        yield _encode({"checkpoint": {**asdict(mark), "signature": mark.signature.hex()}}) + "\n"
        signed += 1
    yield _encode({"end": {"events": count, "checkpoints": signed}}) + "\n"


def _export_row(row: AuditRow) -> dict[str, Any]:
    """The row for a file. One that was tampered with is written as well as can be: it will not verify there either."""
    body = {
        name: value if isinstance(value, (str, int, float)) else str(value) for name, value in row._asdict().items()
    }
    try:
        body["data"] = json.loads(row.data)
    except (TypeError, ValueError, RecursionError):
        pass
    return body


def verify_file(path: Path, trusted: Mapping[str, bytes] | None = None) -> VerificationReport:
    """Verifies an export without the hub. `trusted` are the public keys by id; without it the header's own are used.

    Raises OSError where the file cannot be read; whatever is wrong in it is in the report.
    """
    # Two readers of one file, so that neither events nor checkpoints are ever all in memory.
    with path.open("rb") as first, path.open("rb") as second:
        try:
            hub, keys, count = _header(first)
        except ChainBroken as broken:
            return VerificationReport(False, 0, 0, None, broken.problem)
        return verify(_events(first, count), _checkpoints(second, count), trusted or keys, hub=hub)


def _header(file: BinaryIO) -> tuple[str, dict[str, bytes], int]:
    try:
        header = _parse(file.readline(MAX_LINE))
        if header.pop("answerback_audit") != 1:
            raise ChainBroken("not an audit export that this program reads: another version")
        keys = {name: bytes.fromhex(public) for name, public in header["keys"].items()}
        hub, count = header["hub"], header["events"]
        if type(hub) is not str or type(count) is not int or any(key_id(keys[name]) != name for name in keys):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ChainBroken("not an audit export: its first line is not the header") from None
    return hub, keys, count


def _events(file: BinaryIO, count: int) -> Iterator[AuditRow]:
    for seq in range(1, count + 1):
        line = file.readline(MAX_LINE)
        if not line:
            raise ChainBroken(f"the file ends before event {seq}", seq)
        try:
            body = _parse(line)
            body["data"] = _encode(body["data"])
            yield AuditRow(**body)
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ChainBroken(f"event {seq} cannot be read", seq) from None


def _checkpoints(file: BinaryIO, count: int) -> Iterator[Checkpoint]:
    for _ in range(count + 1):
        file.readline(MAX_LINE)
    signed = 0
    while True:
        try:
            body = _parse(file.readline(MAX_LINE))
            if "end" in body:
                if body != {"end": {"events": count, "checkpoints": signed}} or file.read(1):
                    raise ValueError
                return
            mark = body["checkpoint"]
            yield Checkpoint(**{**mark, "signature": bytes.fromhex(mark["signature"])})
            signed += 1
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ChainBroken(f"the file's end cannot be read: checkpoint {signed + 1} or the last line") from None


def _parse(line: bytes) -> dict[str, Any]:
    """One line, which must be canonical to the byte; raises ValueError."""
    body = json.loads(line)
    if not isinstance(body, dict) or (_encode(body) + "\n").encode() != line:
        raise ValueError("not canonical")
    return body


def _hash(seq: int, at: float, kind: str, subject: str, actor: str, data: str, previous: str) -> str:
    # Spliced, since `data` is canonical JSON already: the whole is canonical([seq, …, data, previous]).
    body = f"{_encode([seq, at, kind, subject, actor])[:-1]},{data},{_encode(previous)}]"
    return hashlib.sha256(_DOMAIN + body.encode()).hexdigest()


def _bounded_text(word: str) -> str:
    if len(word) <= MAX_FIELD and word.isascii() and word.isprintable():
        return word
    storable = word[:MAX_FIELD].encode("utf-8", "replace").decode()  # no lone surrogates
    return storable.replace("\0", "\ufffd")


def _check_keys(value: Any) -> None:
    """JSON would turn other keys into strings and sort them otherwise: the hash would not be found again."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError(f"event data: the key {key!r} is not a string")
            _check_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_keys(item)
