"""What lies beside a request: sealed records, what was said before, drafts of runbooks. On both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.lifecycle import RequestState
from hub.core.records import Draft, Request
from hub.store.errors import Conflict
from hub.store.store import Store

NOW = 1_800_000_000.0


def request(number: int, **more: object) -> Request:
    values = {
        "id": f"r-{number}",
        "number": 0,
        "state": RequestState.RECEIVED,
        "inlet": "ops",
        "event_id": f"e-{number}",
        "conversation": "room",
        "chat_user": "carol",
        "person": "carol",
        "text": f"message {number}",
        "language": "en",
        "reply_url": "",
        "received_at": NOW + number,
    }
    return Request(**{**values, **more})  # type: ignore[arg-type]


def draft(**more: object) -> Draft:
    values = {"number": 0, "request_id": "r-1", "name": "disk", "body": "[runbooks.disk]", "state": "proposed"}
    return Draft(**{**values, "by": "carol", "at": NOW, **more})  # type: ignore[arg-type]


def test_sealed_records_are_kept_in_order_and_dropped_by_kind(store: Store) -> None:
    """Bytes come back as they were; dropping the pictures leaves what was read in them."""
    store.write_now(lambda txn: txn.add_request(request(1)))
    for kind, data in (("picture", b"\x00\xff"), ("picture", b"two"), ("reading", b"text")):
        store.write_now(lambda txn, k=kind, d=data: txn.add_sealed("r-1", k, d, NOW))
    found = store.read_now(lambda txn: txn.sealed_of("r-1"))
    assert [(one.kind, one.data) for one in found] == [
        ("picture", b"\x00\xff"),
        ("picture", b"two"),
        ("reading", b"text"),
    ]
    store.write_now(lambda txn: txn.add_sealed("r-1", "prompt", b"-", NOW))
    assert store.read_now(lambda txn: txn.count_pictures("r-1")) == 3
    assert store.write_now(lambda txn: txn.drop_sealed("r-1", "picture")) == 2
    assert store.read_now(lambda txn: (txn.count_pictures("r-1"), txn.count_pictures("r-2"))) == (1, 0)
    assert [one.kind for one in store.read_now(lambda txn: txn.sealed_of("r-1"))] == ["reading", "prompt"]


def test_old_sealed_records_go_some_at_a_time(store: Store) -> None:
    """As many as was said, of those before the time; then none."""
    store.write_now(lambda txn: txn.add_request(request(1)))
    for at in range(5):
        store.write_now(lambda txn, at=at: txn.add_sealed("r-1", "prompt", b"-", NOW + at))
    assert [store.write_now(lambda txn: txn.drop_old_sealed(NOW + 3, limit=2)) for _ in range(3)] == [2, 1, 0]
    assert [one.at for one in store.read_now(lambda txn: txn.sealed_of("r-1"))] == [NOW + 3, NOW + 4]


def test_what_was_said_before_is_of_the_same_conversation(store: Store) -> None:
    """Newest first, not later ones, not other rooms or inlets, not beyond the time or the count."""
    others = {3: {"conversation": "lobby"}, 4: {"inlet": "other"}}
    made = [store.write_now(lambda txn, n=n: txn.add_request(request(n, **others.get(n, {})))) for n in range(1, 8)]
    now = made[5]
    assert now is not None
    earlier = store.read_now(lambda txn: txn.earlier_requests(now, NOW + 2, 10))
    assert [one.text for one in earlier] == ["message 5", "message 2"]
    assert [one.text for one in store.read_now(lambda txn: txn.earlier_requests(now, NOW, 2))] == [
        "message 5",
        "message 2",
    ]


def test_a_draft_is_decided_once(store: Store) -> None:
    """It gets a number, waits among the proposed, and the second decision is a conflict."""
    store.write_now(lambda txn: txn.add_request(request(1)))
    made = store.write_now(lambda txn: txn.add_draft(draft()))
    assert made.number == 1
    assert store.read_now(lambda txn: txn.proposed_drafts()) == [made]
    taken = replace(made, state="accepted", decided_by="alice", decided_at=NOW + 1)
    store.write_now(lambda txn: txn.save_draft(made, taken))
    assert store.read_now(lambda txn: txn.draft(1)) == taken
    assert store.read_now(lambda txn: txn.proposed_drafts()) == []
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_draft(made, replace(made, state="rejected")))


@pytest.mark.parametrize("number", [0, -1, 2**70])
def test_a_number_that_no_draft_can_have_is_nothing(store: Store, number: int) -> None:
    """Whatever a person types."""
    assert store.read_now(lambda txn: txn.draft(number)) is None
