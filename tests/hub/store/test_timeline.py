"""The store's own history."""

from __future__ import annotations

from typing import Any

from hub.core.records import EnrolmentToken, Person
from hub.core.recovery import MAX_STARTS, Start
from hub.store.store import Store


def test_starts_are_kept_in_order_and_bounded(store: Store) -> None:
    """Each with its epoch; the oldest are forgotten."""
    for epoch in range(1, MAX_STARTS + 3):
        store.write_now(lambda txn, e=epoch: txn.add_start(Start(e, f"{e:016x}", e * 10)))
        if epoch == 2:
            assert store.read_now(lambda txn: txn.starts()) == [Start(1, f"{1:016x}", 10), Start(2, f"{2:016x}", 20)]
    starts = store.read_now(lambda txn: txn.starts())
    assert (len(starts), starts[0].epoch, starts[-1].epoch) == (MAX_STARTS, 3, MAX_STARTS + 2)
    assert store.read_now(lambda txn: txn.epoch()) == MAX_STARTS + 2


def test_numbers_are_raised_and_never_lowered(store: Store, make: Any) -> None:
    """Before the first request and after some; a lower number than the next changes nothing."""
    store.write_now(lambda txn: txn.raise_numbers(2_000))
    first = store.write_now(lambda txn: txn.add_request(make.request()))
    store.write_now(lambda txn: txn.raise_numbers(500))
    second = store.write_now(lambda txn: txn.add_request(make.request()))
    store.write_now(lambda txn: txn.raise_numbers(5_000))
    third = store.write_now(lambda txn: txn.add_request(make.request()))
    assert [one.number for one in (first, second, third)] == [2_000, 2_001, 5_000]
    assert store.read_now(lambda txn: txn.highest_number()) == 5_000


def test_what_can_be_used_once_is_used(store: Store, make: Any) -> None:
    """Invitations, and one-time codes up to a step; what was used before keeps its time."""
    hour = make.now + 3600
    store.write_now(lambda txn: txn.add_token(EnrolmentToken("a", "agent", "web-1", {}, make.now, hour, "t")))
    store.write_now(lambda txn: txn.add_token(EnrolmentToken("b", "agent", "web-2", {}, make.now, hour, "t", 5.0)))
    store.write_now(lambda txn: txn.add_person(Person("bob", (), make.now, totp_last_step=7)))
    store.write_now(lambda txn: txn.add_person(Person("ann", (), make.now, totp_last_step=99)))
    assert store.write_now(lambda txn: txn.void_tokens(make.now)) == 1
    assert not store.write_now(lambda txn: txn.use_token("a", make.now))
    token = store.read_now(lambda txn: txn.token("b"))
    assert token is not None
    assert token.used_at == 5.0
    store.write_now(lambda txn: txn.use_up_steps(50))
    people = {person.name: person.totp_last_step for person in store.read_now(lambda txn: txn.people())}
    assert people == {"bob": 50, "ann": 99}
