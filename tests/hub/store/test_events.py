"""The audit in the store: one chain, append-only, whoever writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from common.audit.verification import Verification, Witness
from common.identity.signing import CHECKPOINT_PURPOSE, SigningKey
from hub.core.audit_chain import GENESIS, Checkpoint, checkpoint_bytes, export, verify, verify_file
from hub.store.database import Database
from hub.store.errors import Conflict
from hub.store.store import Store
from hub.witness.signer import CheckpointSigner, load_tree


def tell(store: Store, make: Any, *kinds: str, subject: str = "r1") -> None:
    def unit(txn: Any) -> None:
        for kind in kinds:
            txn.audit(kind, subject, "alice", {"kind": kind, "more": [1, 2.5, "世界"]}, make.now)

    store.write_now(unit)


def test_events_are_read_back_as_they_were_told(store: Store, make: Any) -> None:
    """By subject, kind and page, forwards and backwards; the head is the last one's."""
    assert store.read_now(lambda txn: txn.audit_head()) == GENESIS
    tell(store, make, "message.accepted", "plan.made", subject="r1")
    tell(store, make, "job.started", "job_x", "job.ended", subject="j1")
    events = store.read_now(lambda txn: txn.events())
    assert [(event.seq, event.kind, event.subject, event.actor, event.at) for event in events] == [
        (1, "message.accepted", "r1", "alice", make.now),
        (2, "plan.made", "r1", "alice", make.now),
        (3, "job.started", "j1", "alice", make.now),
        (4, "job_x", "j1", "alice", make.now),
        (5, "job.ended", "j1", "alice", make.now),
    ]
    assert events[0].data == {"kind": "message.accepted", "more": [1, 2.5, "世界"]}
    assert store.read_now(lambda txn: txn.audit_head()) == (5, events[-1].hash)

    def seqs(**asked: Any) -> list[int]:
        return [event.seq for event in store.read_now(lambda txn: txn.events(**asked))]

    assert seqs(subject="j1") == [3, 4, 5]
    assert seqs(kind_prefix="job.") == [3, 5]
    assert seqs(kind_prefix="job_") == [4]
    assert seqs(kind_prefix="%") == []
    assert seqs(newest_first=True, limit=2) == [5, 4]
    assert seqs(after_seq=2, limit=2) == [3, 4]
    assert seqs(after_seq=3, newest_first=True) == [5, 4]


def test_a_unit_sees_what_it_has_told(store: Store, make: Any) -> None:
    """Events told in a unit are there for the same unit, before its commit."""

    def unit(txn: Any) -> tuple[int, list[int]]:
        txn.audit("a.b", "r", "alice", {}, make.now)
        seen = [event.seq for event in txn.events()]
        txn.audit("a.c", "r", "alice", {}, make.now)
        return txn.audit_head().seq, seen

    assert store.write_now(unit) == (2, [1])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'mallory' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 2",
        "DELETE FROM events",
        "INSERT INTO events SELECT seq + 9, at, kind, subject, actor, data, previous, hash FROM events WHERE seq = 2",
        "INSERT INTO events SELECT * FROM events WHERE seq = 2",
        "UPDATE checkpoints SET hash = 'x'",
        "DELETE FROM checkpoints",
        "REPLACE INTO events SELECT seq, at, kind, subject, 'mallory', data, previous, hash FROM events WHERE seq = 2",
        "REPLACE INTO checkpoints SELECT seq, 'x', signature, key, at FROM checkpoints",
        "TRUNCATE events",
    ],
)
def test_the_database_refuses_to_change_the_past(
    store: Store, make: Any, url: str, tmp_path: Path, statement: str
) -> None:
    """No statement changes, removes or squeezes in an event, on a connection as the hub's own."""
    tell(store, make, "a.a", "a.b", "a.c")
    store.write_now(lambda txn: txn.add_checkpoint(Checkpoint(2, "h", b"s", "k", make.now)))
    before = store.read_now(lambda txn: (txn.chain(), txn.checkpoints()))
    database = Database(url, tmp_path)
    with database.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.exec_driver_sql(statement)
    assert store.read_now(lambda txn: (txn.chain(), txn.checkpoints())) == before


def test_checkpoints_are_kept_and_the_store_verifies(store: Store, make: Any, tmp_path: Path) -> None:
    """What the store keeps verifies with the hub's key, in place and as a file; one seq has one checkpoint."""
    key = SigningKey.generate()
    assert store.read_now(lambda txn: txn.last_checkpoint()) is None
    for kind in ("a.a", "a.b", "a.c"):
        tell(store, make, kind, kind)

        def sign(txn: Any) -> None:
            seq, digest = txn.audit_head()
            signature = key.sign(CHECKPOINT_PURPOSE, checkpoint_bytes("hub-1", seq, digest, make.now))
            txn.add_checkpoint(Checkpoint(seq, digest, signature, key.id, make.now))

        store.write_now(sign)
    marks = store.read_now(lambda txn: txn.checkpoints())
    assert [mark.seq for mark in marks] == [2, 4, 6]
    assert store.read_now(lambda txn: txn.checkpoints(after_seq=2, limit=1)) == [marks[1]]
    assert store.read_now(lambda txn: txn.last_checkpoint()) == marks[2]
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.add_checkpoint(Checkpoint(6, "h", b"s", "k", make.now)))
    rows = store.read_now(lambda txn: txn.chain())
    keys = {key.id: key.public}
    report = verify(rows, marks, keys, hub="hub-1")
    assert (report.ok, report.signed_to) == (True, 6), report.problem
    file = tmp_path / "export.jsonl"
    file.write_text("".join(export(rows, marks, keys, hub="hub-1", count=len(rows))))
    assert verify_file(file, keys).ok
    assert isinstance(marks[0], Checkpoint)


def test_checkpoints_are_signed_as_the_log_grows(store: Store, make: Any) -> None:
    """Trust: A7, on both databases: the tree goes on from what was kept, also in another process, and what is signed
    verifies whole; a past that was changed meanwhile is not signed.
    """
    key = SigningKey.generate()
    tell(store, make, *["a.a"] * 5)
    notes: list[Checkpoint] = []
    for number in range(4):
        signer = CheckpointSigner(key, "hub-1", lambda: notes[-1] if notes else None)
        store.write_now(lambda txn, s=signer: s.announce(txn, None, make.now))
        while store.read_now(signer.advance):
            pass
        mark = store.write_now(lambda txn, s=signer: s.sign(txn, make.now + 1))
        assert mark is not None
        notes.append(mark)
        assert store.write_now(lambda txn, s=signer: s.sign(txn, make.now + 2)) == mark
        tell(store, make, *["a.b"] * (number + 1))

    def verified(txn: Any) -> Any:
        own = Witness("notes", [("hub-1", note) for note in notes], True)
        run = Verification("hub-1", {key.id: key.public}, [own], now=make.now + 3)
        return run.run(iter(txn.chain()), txn.checkpoints())

    report = store.read_now(verified)
    assert (report.ok, report.signed_to, report.checked) == (True, 12, 16), report.problem
    assert store.read_now(lambda txn: load_tree(txn)[0].root()) == notes[-1].root


def test_a_tampered_database_is_found(tmp_path: Path, make: Any) -> None:
    """Who drops the triggers and changes rows in the file is found, at the row."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=lambda: 0.0)
    tell(store, make, "a.a", "a.b", "a.c", "a.d")
    for statement, bad in (
        ("UPDATE events SET data = '{}' WHERE seq = 3", 3),
        ("UPDATE events SET kind = x'00ff' WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 1", 1),
    ):
        with Database("sqlite:///a.sqlite", tmp_path).engine.connect() as connection:
            for trigger in ("events_no_update", "events_no_delete"):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}")
            connection.exec_driver_sql(statement)
        report = verify(store.read_now(lambda txn: txn.chain()), [], {}, hub="")
        assert (report.ok, report.first_bad_seq) == (False, bad)
    store.close()
