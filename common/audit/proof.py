"""Proofs that go with a signed checkpoint: one event is in the log; the log of an older checkpoint only grew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from common.audit.checkpoint import Checkpoint, key_hint, read_notes
from common.audit.event import Row, event_bytes
from common.audit.tree import is_consistent, is_included, leaf_hash


class ProofFailed(Exception):
    """Why a proof proves nothing."""


def check_proof(text: str, trusted: Mapping[str, bytes]) -> str:
    """What the proof shows, in words; raises ProofFailed. `trusted` are public keys by id."""
    try:
        body = json.loads(text)
        hub, proof = str(body["hub"]), [str(node) for node in body["proof"]]
        newest = _note(body["checkpoint"], hub, trusted)
        if "before" in body:
            return _grown(_note(body["before"], hub, trusted), newest, proof)
        seq, at, kind, subject, actor, data, previous = body["event"]
        return _included(Row(seq, at, kind, subject, actor, data, previous, ""), newest, proof)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ProofFailed("that is no proof of an audit") from None


def _note(text: Any, hub: str, trusted: Mapping[str, bytes]) -> Checkpoint:
    for named, mark in read_notes(str(text).encode().splitlines()):
        for public in trusted.values():
            if named == hub and mark.key == key_hint(hub, public).hex() and mark.is_by(hub, public):
                return mark
    raise ProofFailed("its checkpoint is not signed with a key that is trusted")


def _included(row: Row, newest: Checkpoint, proof: list[str]) -> str:
    if not is_included(newest.root, newest.seq, row.seq - 1, leaf_hash(event_bytes(row)), proof):
        raise ProofFailed(f"event {row.seq} is not in the log that was signed at {newest.seq}")
    return f"event {row.seq} ({row.kind} of {row.subject} by {row.actor}) is in the log that was signed at {newest.seq}"


def _grown(old: Checkpoint, newest: Checkpoint, proof: list[str]) -> str:
    if not is_consistent(old.seq, old.root, newest.seq, newest.root, proof):
        raise ProofFailed(f"the log that was signed at {newest.seq} is not the one that was signed at {old.seq}")
    return f"the log up to {old.seq} is unchanged in the one that was signed at {newest.seq}"
