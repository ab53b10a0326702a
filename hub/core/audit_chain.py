"""The audit as the hub writes it: the chain of hashes over every event, signed checkpoints of its end, the export.

The form and the verifier are `common.audit`; here is what adds to it. The chain alone proves order only to someone who
kept its end: whoever can write the table can link it anew. So the hub signs checkpoints, with a key that signs nothing
else, over the chain's hash and the root of a tree over all events, and `hub.witness` shows them outside.

An export is JSON lines: a header with the hub's id, the public keys and the count; the events; the checkpoints; a last
line with both counts. Every line is canonical, byte for byte. The keys in the header prove nothing by themselves:
compare their ids with the hub's, or pass the keys you trust.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from common.audit.checkpoint import Checkpoint, fork_bytes, origin, succession_bytes
from common.audit.event import GENESIS_HASH, MAX_DATA, MAX_LINE, encode, event_bytes, export_line
from common.audit.event import Row as AuditRow
from common.audit.export import verify_export as verify_file
from common.audit.verification import Verification, VerificationReport
from common.identity.signing import SigningKey
from common.plan import canonical_json
from hub.core.records import AuditEvent

__all__ = ["MAX_DATA", "MAX_LINE", "AuditRow", "Checkpoint", "VerificationReport", "verify_file"]
MAX_FIELD: Final = 256


class ChainHead(NamedTuple):
    """The end of a chain."""

    seq: int
    hash: str


GENESIS: Final = ChainHead(0, GENESIS_HASH)


def extend(head: ChainHead, at: float, kind: str, subject: str, actor: str, data: Mapping[str, Any]) -> AuditRow:
    """The event that follows `head`. Raises ValueError where `data` is not JSON, is larger than MAX_DATA, or has keys
    that are not strings. Words may come from strangers: they are cut to MAX_FIELD and made storable, never refused.
    """
    _check_keys(data)
    text = encode(data)
    if len(text) > MAX_DATA:
        raise ValueError(f"event data: {len(text)} characters, at most {MAX_DATA}")
    kind, subject, actor = _bounded_text(kind), _bounded_text(subject), _bounded_text(actor)
    row = AuditRow(head.seq + 1, float(at), kind, subject, actor, text, head.hash, "")
    return row._replace(hash=hashlib.sha256(event_bytes(row)).hexdigest())


def chain_event(head: ChainHead, at: float, kind: str, subject: str, actor: str, data: Mapping[str, Any]) -> AuditEvent:
    """`extend`, as the record."""
    return to_event(extend(head, at, kind, subject, actor, data))


def to_event(row: AuditRow) -> AuditEvent:
    return AuditEvent(row.seq, row.at, row.kind, row.subject, row.actor, json.loads(row.data), row.previous, row.hash)


def to_row(event: AuditEvent) -> AuditRow:
    """Raises ValueError where the event's data is not JSON."""
    text = encode(event.data)
    return AuditRow(event.seq, event.at, event.kind, event.subject, event.actor, text, event.previous, event.hash)


def checkpoint_bytes(hub: str, seq: int, hash: str, at: float) -> bytes:  # noqa: A002 - the record's word
    """What a checkpoint's signature was over before there were trees."""
    return canonical_json({"hub": hub, "seq": seq, "hash": hash, "at": float(at)})


def sign_checkpoint(
    key: SigningKey,
    hub: str,
    head: ChainHead,
    root: str,
    at: float,
    previous: int,
) -> Checkpoint:
    """The hub's word on the log up to `head`; `root` of the tree over its events, `previous` the checkpoint before."""
    mark = Checkpoint(head.seq, head.hash, b"", key.id, float(at), root, previous)
    name = f"{origin(hub)}\n"  # the first line of the text, which is as good as a purpose
    signature = key.sign(name.encode(), mark.text(hub).removeprefix(name).encode())
    return Checkpoint(head.seq, head.hash, signature, key.id, float(at), root, previous)


def fork_data(key: SigningKey, hub: str, kept: int, at: float) -> dict[str, Any]:
    """Of the event `audit.forked`: the history beyond `kept` was given up for a backup, says the holder of the key."""
    return {"kept": kept, "at": float(at), "key": key.id, "signature": _sign(key, fork_bytes(hub, kept, at)).hex()}


def succession_data(key: SigningKey, hub: str, before: SigningKey | None) -> dict[str, Any]:
    """Of the event `audit.key`: who signs from here on; the holder of the key before says so, where there was one."""
    data: dict[str, Any] = {"key": key.id, "public": key.public.hex(), "before": "", "signature": ""}
    if before is not None:
        word = succession_bytes(hub, before.id, key.public)
        data |= {"before": before.id, "before_public": before.public.hex(), "signature": _sign(before, word).hex()}
    return data


def _sign(key: SigningKey, word: bytes) -> bytes:
    purpose, _, rest = word.partition(b"\n")
    return key.sign(purpose + b"\n", rest)


def verify(
    events: Iterable[AuditEvent | AuditRow],
    checkpoints: Iterable[Checkpoint],
    public_keys: Mapping[str, bytes],
    *,
    hub: str,
) -> VerificationReport:
    """Whether the events, from the first on, are one unbroken chain that every checkpoint vouches for; not whether
    there are checkpoints, for which `common.audit.verification` asks.

    Both come in the order of their seq and are read once, side by side. `public_keys` has the raw Ed25519 keys that are
    trusted, by key id. The report names the first bad row; where the chain was linked anew only a checkpoint tells, and
    the first row that may be bad is the one behind the last good checkpoint.
    """
    return Verification(hub, public_keys, strict=False).run(map(_row, events), checkpoints)


def _row(event: AuditEvent | AuditRow) -> AuditRow:
    return event if isinstance(event, AuditRow) else to_row(event)


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
    yield encode({"answerback_audit": 2, "hub": hub, "keys": keys, "events": count}) + "\n"
    for event in islice(events, count):
        row = _row(event)
        try:
            yield export_line(row)
        except (TypeError, ValueError):
            yield encode(_spoilt_row(row)) + "\n"
    signed = 0
    for mark in checkpoints:
        yield encode({"checkpoint": _checkpoint_body(mark)}) + "\n"
        signed += 1
    yield encode({"end": {"events": count, "checkpoints": signed}}) + "\n"


def _checkpoint_body(mark: Checkpoint) -> dict[str, Any]:
    names = ("seq", "hash", "key", "at", "root", "previous")
    return {**{name: getattr(mark, name) for name in names}, "signature": mark.signature.hex()}


def _spoilt_row(row: AuditRow) -> dict[str, Any]:
    """A row that was tampered with, written as well as can be: it will not verify there either."""
    return {
        name: value if isinstance(value, (str, int, float)) else str(value) for name, value in row._asdict().items()
    }


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
