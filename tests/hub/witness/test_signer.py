"""What is signed, and what is refused: the key never signs two histories without a person's word."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from common.audit.verification import Verification, Witness
from common.identity.signing import SigningKey
from hub.core.audit_chain import Checkpoint, fork_data
from hub.core.recovery import Recovery
from hub.witness import signer as module
from hub.witness.signer import TREE, CheckpointSigner, Refused, load_tree
from tests.hub.hub_harness import NOW, FakeClock, HubHarness

KEY = SigningKey.generate()


class Bench:
    """A signer on a harness's store, and the notes that left it."""

    def __init__(self, harness: HubHarness) -> None:
        self.inside, self.hub = harness, harness.keys.hub_id
        self.notes: list[Checkpoint] = []
        self.signer = self.fresh()

    def fresh(self, key: SigningKey = KEY) -> CheckpointSigner:
        """As another start."""
        self.signer = CheckpointSigner(key, self.hub, lambda: self.notes[-1] if self.notes else None)
        return self.signer

    def add(self, count: int = 3) -> None:
        for number in range(count):
            self.inside.write(lambda txn, n=number: txn.audit("test.row", f"r{n}", "t", {}, self.inside.clock.now))

    def sign(self) -> Checkpoint | None:
        self.inside.write(lambda txn: self.signer.announce(txn, self.inside.keys.job_key, NOW))
        while self.inside.read(self.signer.advance):
            pass
        mark: Checkpoint | None = self.inside.write(lambda txn: self.signer.sign(txn, self.inside.clock.now))
        if mark is not None and mark not in self.notes:
            self.notes.append(mark)
        return mark

    def verify(self) -> str:
        def unit(txn: object) -> str:
            own = Witness("notes", [(self.hub, note) for note in self.notes], True)
            run = Verification(self.hub, {KEY.id: KEY.public}, [own], now=self.inside.clock.now)
            report = run.run(iter(txn.chain(limit=100_000)), txn.checkpoints())  # type: ignore[attr-defined]
            return report.code

        return self.inside.read(unit)

    def tamper(self, *statements: str) -> None:
        """As somebody who can write the database."""
        with closing(sqlite3.connect(self.inside.database)) as db:
            for table in ("events", "checkpoints"):
                for act in ("update", "delete"):
                    db.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}")
            db.execute("DROP TRIGGER IF EXISTS events_in_order")
            for statement in statements:
                db.execute(statement)
            db.commit()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Whose log may be spoilt: nothing is asserted of it afterwards."""
    made = HubHarness(tmp_path, FakeClock())
    yield Bench(made)
    made.store.close()


def test_each_signature_covers_what_was_added(bench: Bench) -> None:
    """Nothing twice; the one before is named; another start goes on where this one was."""
    assert bench.sign() is None
    bench.add()
    first = bench.sign()
    assert first is not None
    assert (first.seq, first.previous) == (3, 0)  # a log that had nothing needs no announcement
    assert bench.sign() == first
    bench.add(module.PAGE // 1000)
    bench.fresh()
    second = bench.sign()
    assert second is not None
    assert (second.seq, second.previous) == (5, 3)
    assert bench.verify() == ""


def test_a_log_of_before_is_handed_to_the_new_key(bench: Bench) -> None:
    """The job key, which signed until now, says so; once."""
    bench.add()
    bench.sign()
    bench.sign()
    (event,) = bench.inside.events("audit.key")
    assert event.data["before"] == bench.inside.keys.job_key.id
    assert event.data["key"] == KEY.id
    assert bench.verify() == ""


def test_the_tree_is_made_again_where_what_was_kept_does_not_fit(bench: Bench) -> None:
    """Trust: A7, whoever changes the kept nodes gets no wrong signature, at most a slower start."""
    bench.add()
    bench.sign()
    kept = json.loads(bench.inside.read(lambda txn: txn.get_meta(TREE)) or "")
    for spoilt in ({}, {**kept, "hash": "0" * 64}, {**kept, "nodes": []}, {**kept, "size": 10**9}):
        bench.inside.write(lambda txn, s=spoilt: txn.put_meta(TREE, json.dumps(s)))
        assert bench.inside.read(lambda txn: load_tree(txn)[0].size) == 0
        bench.fresh()
        bench.add()
        assert bench.sign() is not None
        assert bench.verify() == ""


REFUSALS: dict[str, tuple[str, Callable[[Bench], None], bool]] = {
    "rows behind what was read": (
        "rewritten",
        lambda b: b.tamper("UPDATE events SET previous = 'x' WHERE seq = 5"),
        False,
    ),
    "a row that was added": ("edited", lambda b: b.tamper("UPDATE events SET actor = 'm' WHERE seq = 5"), False),
    "a row that is no row": ("unreadable", lambda b: b.tamper("UPDATE events SET data = x'00' WHERE seq = 5"), False),
    "a store of before": ("cut", lambda b: b.tamper("DELETE FROM events WHERE seq > 2"), False),
    "after a start, a store of before": ("cut", lambda b: b.tamper("DELETE FROM events WHERE seq > 2"), True),
    "after a start, another history": (
        "rewritten",
        lambda b: b.tamper("UPDATE events SET hash = 'f' || hash WHERE seq = 4"),
        True,
    ),
    "after a start, checkpoints and rows gone": (
        "cut",
        lambda b: b.tamper("DELETE FROM events", "DELETE FROM checkpoints", "DELETE FROM meta WHERE key <> 'epoch'"),
        True,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_past_that_changed_is_not_signed(name: str, bench: Bench) -> None:
    """Trust: A7, the hub itself does not vouch for what does not follow from what it signed before."""
    code, spoil, restart = REFUSALS[name]
    bench.add()
    bench.sign()
    assert bench.notes[-1].seq == 4
    bench.add()
    spoil(bench)
    if restart:
        bench.fresh()
    with pytest.raises(Refused) as refused:
        bench.sign()
    assert refused.value.code == code, refused.value.reason


def test_an_admin_ends_the_doubt_after_a_restore(bench: Bench) -> None:
    """Trust: A7, only the recovery's end with this key's word lets it sign again, and then the log holds."""
    bench.add()
    bench.sign()
    lost = bench.notes[-1]
    bench.tamper("DELETE FROM events WHERE seq > 2", "DELETE FROM checkpoints")
    bench.inside.clock.advance(100)
    now = bench.inside.clock.now
    record = Recovery(now, "store", "w", "", 2, 1, 1)
    bench.inside.write(lambda txn: txn.save_recovery(record))
    bench.fresh()
    with pytest.raises(Refused):
        bench.sign()
    bench.add()
    ended = replace(record, ended_at=now)

    def end(key: SigningKey, kept: int, at: float) -> None:
        bench.inside.write(lambda txn: txn.save_recovery(ended))
        data = fork_data(key, bench.hub, kept, at)
        bench.inside.write(lambda txn: txn.audit("audit.forked", "store", "terminal", data, now))
        bench.inside.write(lambda txn: txn.audit("hub.recovered", "store", "terminal", {}, now))

    for key, kept, at in ((SigningKey.generate(), 2, now), (KEY, lost.seq, now), (KEY, 2, lost.at - 1)):
        end(key, kept, at)
        with pytest.raises(Refused):
            bench.sign()
    end(KEY, 2, now)
    assert bench.sign() is not None
    assert bench.verify() == ""


def test_a_serving_hub_stops_signing_with_a_key_that_was_renewed(bench: Bench) -> None:
    """Trust: A7, beside `audit new-key` it would else sign as the old key beyond its time."""
    bench.add()
    bench.sign()
    bench.add()
    while bench.inside.read(bench.signer.advance):
        pass
    bench.inside.write(lambda txn: txn.put_meta(module.ANNOUNCED, "another"))
    with pytest.raises(Refused, match="start the hub again"):
        bench.inside.write(lambda txn: bench.signer.sign(txn, NOW))


def test_a_key_that_the_log_was_not_handed_to_signs_nothing(bench: Bench) -> None:
    """Trust: A7, keys/audit.key was replaced by hand."""
    bench.add()
    bench.sign()
    bench.fresh(SigningKey.generate())
    bench.add()
    with pytest.raises(Refused) as refused:
        bench.sign()
    assert refused.value.code == "key_replaced"
