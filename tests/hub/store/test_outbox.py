"""The outbox: every reply goes, those of one request in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.core.records import Reply
from hub.store.errors import Conflict
from hub.store.store import Store


def add(store: Store, reply: Reply) -> Reply:
    return replace(reply, id=store.write_now(lambda txn: txn.add_reply(reply)))


def due(store: Store, now: float, **more: Any) -> list[Reply]:
    return store.read_now(lambda txn: txn.due_replies(now, **more))


def test_a_reply_comes_back_as_it_was(store: Store, make: Any) -> None:
    """Every field survives and the id is the store's."""
    reply = add(store, make.reply("R1", id=77, body='{"text":"磁盘"}', attempts=2, error="e"))
    assert due(store, make.now) == [reply]
    assert reply.id != 77


def test_only_the_oldest_of_a_request_is_due(store: Store, make: Any) -> None:
    """A reply waits until the one before it, to the same request, is done or given up, retries included."""
    one, two, three = (add(store, make.reply("R1")) for _ in range(3))
    other = add(store, make.reply("R2", next_at=make.now - 1))
    assert due(store, make.now) == [other, one]
    assert due(store, make.now, skip_ids={one.id}) == [other]
    store.write_now(lambda txn: txn.schedule_reply_retry(one.id, make.now + 60, 1, "refused"))
    assert due(store, make.now) == [other]
    later = due(store, make.now + 60)
    assert later == [other, replace(one, next_at=make.now + 60, attempts=1, error="refused")]
    store.write_now(lambda txn: txn.mark_reply_done(one.id, make.now))
    assert due(store, make.now) == [other, two]
    store.write_now(lambda txn: txn.mark_reply_dead(two.id, make.now, "gone"))
    assert due(store, make.now) == [other, three]


def test_words_about_no_request_do_not_wait_for_each_other(store: Store, make: Any) -> None:
    """Replies without a request are all due."""
    assert len([add(store, make.reply("")) for _ in range(3)]) == len(due(store, make.now)) == 3


def test_what_is_due_is_bounded_and_oldest_first(store: Store, make: Any) -> None:
    """The limit holds with and without replies that are being sent, and what is not yet due is not there."""
    replies = [add(store, make.reply(f"R{n}", next_at=make.now - n)) for n in range(6)]
    add(store, make.reply("R9", next_at=make.now + 0.5))
    assert due(store, make.now, limit=3) == replies[:2:-1]
    assert due(store, make.now, limit=3, skip_ids={replies[5].id, replies[4].id}) == [
        replies[3],
        replies[2],
        replies[1],
    ]


def test_a_request_has_one_final_reply(store: Store, make: Any) -> None:
    """The database refuses a second final answer; late news may follow."""
    add(store, make.reply("R1", kind="final"))
    with pytest.raises(Conflict, match="R1"):
        add(store, make.reply("R1", kind="final"))
    add(store, make.reply("R1", kind="late"))
    add(store, make.reply("R2", kind="final"))
    add(store, make.reply("", kind="final"))
    add(store, make.reply("", kind="final"))
    with pytest.raises(Exception, match="ck_outbox_kind"):
        add(store, make.reply("R3", kind="other"))


def test_what_waits_for_each_inlet(store: Store, make: Any) -> None:
    """How many replies, since when, and why one was not posted yet; what is done waits no more."""
    assert store.read_now(lambda txn: txn.waiting_replies()) == {}
    first = add(store, make.reply("R1", created_at=make.now - 5))
    add(store, make.reply("R2", inlet="far", created_at=make.now - 1))
    add(store, make.reply("R1"))
    store.write_now(lambda txn: txn.schedule_reply_retry(first.id, make.now + 60, 1, "refused"))
    waiting = store.read_now(lambda txn: txn.waiting_replies())
    assert waiting == {first.inlet: (2, make.now - 5, "refused"), "far": (1, make.now - 1, "")}
    store.write_now(lambda txn: txn.mark_reply_done(first.id, make.now))
    assert store.read_now(lambda txn: txn.waiting_replies())[first.inlet].pending == 1


def test_an_end_is_not_changed(store: Store, make: Any) -> None:
    """What is done or dead stays so, whatever comes after; the counts follow."""
    one, two = add(store, make.reply("R1", created_at=make.now - 5)), add(store, make.reply("R2"))
    assert store.read_now(lambda txn: (txn.count_pending_replies(), txn.oldest_reply_at())) == (2, make.now - 5)
    store.write_now(lambda txn: txn.mark_reply_done(one.id, make.now))
    store.write_now(lambda txn: txn.mark_reply_dead(one.id, make.now, "late"))
    store.write_now(lambda txn: txn.schedule_reply_retry(one.id, make.now, 9, "late"))
    assert due(store, make.now) == [two]
    store.write_now(lambda txn: txn.mark_reply_done(two.id, make.now))
    assert store.read_now(lambda txn: (txn.count_pending_replies(), txn.oldest_reply_at())) == (0, None)
