"""Changes of approvers' keys in the store, and what machines told of theirs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.core.records import KeyAnswer, MachineKeys, OfferedKeyChange
from hub.store.errors import Conflict
from hub.store.store import Store

CHANGE = OfferedKeyChange("a" * 16, b'{"x": 1}', "bob", 1.0, 100.0)
ANSWER = KeyAnswer(CHANGE.id, "web-1", False, "why", 2, 5.0)


def test_changes(store: Store) -> None:
    """Found while they are under way, saved where nobody else did meanwhile, and dropped with their answers."""
    later = replace(CHANGE, id="b" * 16, proposed_at=2.0, expires_at=200.0)
    for one in (later, CHANGE):
        store.write_now(lambda txn, one=one: txn.add_key_change(one))  # type: ignore[misc]
    assert store.read_now(lambda txn: txn.key_change(CHANGE.id)) == CHANGE
    assert store.read_now(lambda txn: txn.key_change("c" * 16)) is None
    assert store.read_now(lambda txn: txn.live_key_changes(50.0)) == [CHANGE, later]
    assert store.read_now(lambda txn: txn.live_key_changes(150.0)) == [later]
    assert store.read_now(lambda txn: txn.recent_key_changes(1)) == [later]
    signed = replace(CHANGE, body=b"{}")
    store.write_now(lambda txn: txn.save_key_change(CHANGE, signed))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_key_change(CHANGE, replace(CHANGE, ended_at=3.0, ended_by="ann")))
    store.write_now(lambda txn: txn.save_key_change(signed, replace(signed, ended_at=3.0, ended_by="ann")))
    assert store.read_now(lambda txn: txn.live_key_changes(50.0)) == [later]
    store.write_now(lambda txn: txn.put_key_answer(ANSWER))
    store.write_now(lambda txn: txn.drop_key_changes(150.0))
    assert store.read_now(lambda txn: txn.recent_key_changes(9)) == [later]
    assert store.read_now(lambda txn: txn.key_answers(CHANGE.id)) == []


def test_answers_and_keys_of_machines(store: Store) -> None:
    """The last word of each."""
    done = replace(ANSWER, done=True, reason="", at=6.0)
    other = replace(ANSWER, agent="db-1")
    for one in (ANSWER, done, other):
        store.write_now(lambda txn, one=one: txn.put_key_answer(one))  # type: ignore[misc]
    assert store.read_now(lambda txn: txn.key_answers(CHANGE.id)) == [other, done]
    assert store.read_now(lambda txn: txn.key_answer(CHANGE.id, "web-1")) == done
    assert store.read_now(lambda txn: txn.key_answer(CHANGE.id, "web-9")) is None
    first = MachineKeys("web-1", {"ab" * 32: "bob"}, 2, 1.0)
    now = replace(first, keys={}, needed=3, at=2.0)
    db = replace(first, agent="db-1")
    for keys in (first, now, db):
        store.write_now(lambda txn, keys=keys: txn.put_keys_of(keys))  # type: ignore[misc]
    assert store.read_now(lambda txn: txn.machine_keys("", 9)) == [db, now]
    assert store.read_now(lambda txn: txn.machine_keys("db-1", 9)) == [now]
    assert store.read_now(lambda txn: txn.machine_keys("", 1)) == [db]
    assert store.read_now(lambda txn: txn.keys_of("db-1")) == db
