"""The few single facts in the store."""

from __future__ import annotations

from typing import Any

from hub.store.store import Store


def test_the_queue_is_paused_and_goes_on(store: Store, make: Any) -> None:
    """Who paused the queue, when and why is told; the last one counts; resuming twice is nothing wrong."""
    assert store.read_now(lambda txn: txn.queue_paused()) is None
    store.write_now(lambda txn: txn.pause_queue("alice", make.now, "deploy"))
    store.write_now(lambda txn: txn.pause_queue("bob", make.now + 1, "维护"))
    assert store.read_now(lambda txn: txn.queue_paused()) == ("bob", make.now + 1, "维护")
    assert store.read_now(lambda txn: txn.queue_paused_until()) is None
    store.write_now(lambda txn: txn.pause_queue("bob", make.now + 1, "维护", make.now + 60))
    assert store.read_now(lambda txn: txn.queue_paused_until()) == make.now + 60
    store.write_now(lambda txn: txn.resume_queue())
    store.write_now(lambda txn: txn.resume_queue())
    assert store.read_now(lambda txn: txn.queue_paused()) is None


def test_named_values_are_kept(store: Store) -> None:
    """A value is None until put, and the last one put is kept."""
    assert store.read_now(lambda txn: txn.get_meta("k")) is None
    for value in ("one", "zwei"):
        store.write_now(lambda txn, v=value: txn.put_meta("k", v))
    assert store.read_now(lambda txn: txn.get_meta("k")) == "zwei"
