"""Proofs from the store: that an event is in the audit, that the audit only grew. Checked by `common.audit.proof`."""

from __future__ import annotations

from typing import Any

from common.audit.event import event_bytes
from common.audit.tree import consistency_ranges, inclusion_ranges, range_roots
from common.errors import UserError
from hub.archive.reader import AuditArchive
from hub.cli.admin import audit_checkpoints
from hub.identity.keys import HubKeys
from hub.store.transaction import Txn


def prove(txn: Txn, archive: AuditArchive, keys: HubKeys, seq: int, *, grown: bool) -> dict[str, Any]:
    """The proof with its checkpoints as notes; raises UserError. Reads the whole log once: O(log n) of it is kept."""
    last = txn.last_checkpoint()
    key = keys.audit.key
    if last is None or not last.root or key is None:
        raise UserError("there is no checkpoint with a tree yet", "start the hub: it signs one at once")
    if seq > last.seq:
        raise UserError(f"the newest checkpoint is at {last.seq}", "name an event up to there")
    note = last.note(keys.hub_id, key.public)
    leaves = map(event_bytes, archive.rows(txn))
    if not grown:
        proof = range_roots(leaves, inclusion_ranges(seq - 1, last.seq))
        row = next(archive.rows(txn, after=seq - 1))
        return {"hub": keys.hub_id, "checkpoint": note, "event": list(row[:7]), "proof": proof}
    old = next((mark for mark in audit_checkpoints(txn, after=seq - 1) if mark.root), None)
    if old is None or old.seq != seq:
        near = f"; the next is at {old.seq}" if old is not None else ""
        raise UserError(f"there is no checkpoint at {seq}{near}", "name one that a witness has")
    proof = range_roots(leaves, consistency_ranges(seq, last.seq))
    public = keys.audit.pins.get(old.key, key.public)
    return {"hub": keys.hub_id, "checkpoint": note, "before": old.note(keys.hub_id, public), "proof": proof}
