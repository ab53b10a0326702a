"""Signs checkpoints of the audit: reads what was added, extends the tree, and refuses where the past has changed.

The key never signs two histories without a person's word. What this process has read it has in memory, down to the
hash of the last event; and before the first signature the store is compared with the newest note of the file outside
it. Where they contradict (a backup put in place, rows rewritten, another hub's database) nothing is signed until an
admin has ended the recovery: `answerback-hub recover` writes the event that says from where the history was given up.

Reading goes in shares of PAGE events, in a reader's thread; the writer's unit is a row and a few hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from common.audit.checkpoint import fork_bytes, is_signed
from common.audit.event import event_bytes
from common.audit.tree import Tree
from common.identity.signing import SigningKey
from hub.core.audit_chain import GENESIS, AuditRow, ChainHead, Checkpoint, sign_checkpoint, succession_data
from hub.store.transaction import Txn

PAGE: Final = 2_000
TREE: Final = "audit.tree"
"""What the store keeps of the tree, so that a start need not read everything again: rebuilt where it does not fit."""
ANNOUNCED: Final = "audit.key"
"""The id of the key that the log has announced last."""


class Refused(Exception):
    """Why nothing is signed: `code` of `common.audit.verification.CURES`, and the reason in words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class CheckpointSigner:
    """`last_note` gives the newest note outside the store, None where there is none."""

    def __init__(self, key: SigningKey, hub: str, last_note: Callable[[], Checkpoint | None]) -> None:
        self._key = key
        self._hub = hub
        self._last_note = last_note
        self._tree: Tree | None = None
        self._head = GENESIS
        self._compared = False
        self._announced = False

    @property
    def needs_announcing(self) -> bool:
        return not self._announced

    def is_ahead_of(self, mark: Checkpoint | None) -> bool:
        """Whether more was read than this checkpoint says."""
        return self._tree is not None and self._tree.size > (0 if mark is None else mark.seq)

    def announce(self, txn: Txn, before: SigningKey | None, now: float) -> None:
        """Says in the log who signs it from here on, once; raises Refused where another key was announced."""
        known = txn.get_meta(ANNOUNCED)
        if known == self._key.id:
            self._announced = True
            return
        if known is not None:
            raise Refused("key_replaced", f"the log was handed to the key {known}, and {self._key.id} is in keys/")
        if txn.audit_head().seq:
            txn.audit("audit.key", self._hub, "hub", succession_data(self._key, self._hub, before), now)
        txn.put_meta(ANNOUNCED, self._key.id)

    def advance(self, txn: Txn) -> bool:
        """Reads the next share; True where there is more. Raises Refused where it does not follow."""
        if self._tree is None:
            self._tree, self._head = load_tree(txn)
        if not self._compared:
            self._compare(txn)
        rows = txn.chain(after_seq=self._head.seq, limit=PAGE)
        tree, head = Tree(self._tree.size, self._tree.nodes), self._head
        for row in rows:
            tree.append(_following(row, head))
            head = ChainHead(row.seq, row.hash)
        if not rows and txn.audit_head().seq < head.seq:
            raise Refused("cut", f"the log ends at {txn.audit_head().seq}, this hub has signed it at {head.seq}")
        self._tree, self._head = tree, head
        return len(rows) == PAGE

    def sign(self, txn: Txn, now: float) -> Checkpoint | None:
        """The checkpoint of what was read, in the store; the newest one where there is nothing new; None where there
        is none at all. Raises Refused where the log was handed to another key since (`audit new-key`).
        """
        known = txn.get_meta(ANNOUNCED)
        if known != self._key.id:
            raise Refused("key_replaced", f"the log was handed to the key {known}: start the hub again")
        last, tree = txn.last_checkpoint(), self._tree
        if tree is None or not tree.size or (last is not None and last.seq >= tree.size):
            return last if last is not None and last.root else None
        previous = last.seq if last is not None else 0
        mark = sign_checkpoint(self._key, self._hub, self._head, tree.root(), now, previous)
        txn.add_checkpoint(mark)
        save_tree(txn, tree, self._head)
        return mark

    def _compare(self, txn: Txn) -> None:
        """The store against the newest note outside it."""
        note = self._last_note()
        if note is not None and not is_same_history(txn, note) and not self._is_given_up(txn, note):
            end = txn.audit_head().seq
            if note.seq > end:
                raise Refused("cut", f"the log ends at {end}, its witness has seen it at {note.seq}")
            raise Refused("rewritten", f"the log's event {note.seq} is another one than its witness has seen")
        self._compared = True

    def _is_given_up(self, txn: Txn, note: Checkpoint) -> bool:
        """Whether an admin said so: the event is signed with this key, which the database does not have."""
        record = txn.recovery()
        if record is None or record.active:
            return False
        for event in txn.events(after_seq=record.seq, limit=100, kind_prefix="audit.forked"):
            data = event.data
            try:
                word = fork_bytes(self._hub, data["kept"], data["at"])
                given_up = data["kept"] < note.seq and note.at <= data["at"]
                if given_up and is_signed(self._key.public, word, bytes.fromhex(data["signature"])):
                    return True
            except (KeyError, TypeError, ValueError):
                continue
        return False


def is_same_history(txn: Txn, note: Checkpoint) -> bool:
    """Whether the store's event at the note's size has the note's hash, which stands for all before it."""
    if note.seq < txn.first_event():  # it is in the archive: the checkpoint that the note is of stays
        mark = txn.checkpoint_at(note.seq)
        return mark is not None and (mark.hash, mark.signature) == (note.hash, note.signature)
    rows = txn.chain(after_seq=note.seq - 1, limit=1)
    return bool(rows) and rows[0].seq == note.seq and rows[0].hash == note.hash


def _following(row: AuditRow, head: ChainHead) -> bytes:
    """The bytes of an event that follows `head`; raises Refused."""
    seq = head.seq + 1
    try:
        body = event_bytes(row)
    except (TypeError, ValueError, RecursionError):
        raise Refused("unreadable", f"event {seq} cannot be read") from None
    if (row.seq, row.previous) != (seq, head.hash):
        raise Refused("rewritten", f"event {seq} does not follow what this hub has read before")
    if row.hash != hashlib.sha256(body).hexdigest():
        raise Refused("edited", f"event {seq} is not what its hash says")
    return body


def load_tree(txn: Txn) -> tuple[Tree, ChainHead]:
    """What was kept of the tree where it fits the log, else an empty one."""
    try:
        kept: dict[str, Any] = json.loads(txn.get_meta(TREE) or "{}")
        tree = Tree(kept["size"], [bytes.fromhex(node) for node in kept["nodes"]])
        head = ChainHead(tree.size, kept["hash"])
    except (KeyError, TypeError, ValueError):
        return Tree(), GENESIS
    row = txn.chain(after_seq=tree.size - 1, limit=1) if tree.size else []
    last = txn.last_checkpoint()
    if not row or ChainHead(row[0].seq, row[0].hash) != head or last is None or last.root == "":
        return Tree(), GENESIS
    return tree, head


def save_tree(txn: Txn, tree: Tree, head: ChainHead) -> None:
    kept = {"size": tree.size, "hash": head.hash, "nodes": [node.hex() for node in tree.nodes]}
    txn.put_meta(TREE, json.dumps(kept, separators=(",", ":")))
