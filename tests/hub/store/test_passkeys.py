"""Passkeys in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hub.core.passkeys import MAX_PASSKEYS
from hub.core.records import PersonPasskey
from hub.store.store import Store


def test_a_passkey_comes_back_as_it_was(store: Store, make: Any) -> None:
    """Each once, the oldest first, of one person; the bound holds; nobody removes another's."""
    first = PersonPasskey("k1", "bob", "passkey:es256:x:https://hub.example", "AAAA", "phone", make.now + 1)
    older, anns = replace(first, id="k0", created_at=make.now), replace(first, id="k2", person="ann", label="")
    for one in (first, older, anns):
        assert store.write_now(lambda txn, one=one: txn.add_passkey(one))
    assert not store.write_now(lambda txn: txn.add_passkey(first))
    assert store.read_now(lambda txn: txn.passkeys("bob")) == [older, first]
    assert store.read_now(lambda txn: txn.passkeys("ann")) == [anns]
    assert not store.write_now(lambda txn: txn.remove_passkey("ann", "k1"))
    assert store.write_now(lambda txn: txn.remove_passkey("bob", "k1"))
    assert not store.write_now(lambda txn: txn.remove_passkey("bob", "k1"))
    added = [
        store.write_now(lambda txn, number=number: txn.add_passkey(replace(first, id=f"n{number}")))
        for number in range(MAX_PASSKEYS)
    ]
    assert added == [True] * (MAX_PASSKEYS - 1) + [False]
    assert store.write_now(lambda txn: txn.remove_passkeys("bob")) == MAX_PASSKEYS
    assert store.read_now(lambda txn: txn.passkeys("bob")) == []
    assert store.read_now(lambda txn: txn.passkeys("ann")) == [anns]
