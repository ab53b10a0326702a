"""Invitations and credentials in the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hub.core.records import EnrolmentToken, IssuedCertificate
from hub.store.errors import Conflict
from hub.store.store import Store


def token(make: Any, **more: Any) -> EnrolmentToken:
    values: dict[str, Any] = {
        "hash": "a" * 64,
        "kind": "agent",
        "name": "web-1",
        "labels": {"role": "web"},
        "created_at": make.now,
        "expires_at": make.now + 600,
        "created_by": "alice",
    }
    return EnrolmentToken(**{**values, **more})


def test_a_token_comes_back_as_it_was(store: Store, make: Any) -> None:
    """Every field survives; the same hash is not taken twice."""
    made = token(make)
    store.write_now(lambda txn: txn.add_token(made))
    assert store.read_now(lambda txn: txn.token(made.hash)) == made
    assert store.read_now(lambda txn: txn.token("b" * 64)) is None
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.add_token(made))


async def test_a_token_is_used_once(store: Store, make: Any) -> None:
    """Of many that use one token at the same time exactly one may."""
    made = token(make)
    await store.write(lambda txn: txn.add_token(made))
    async with asyncio.TaskGroup() as group:
        uses = [group.create_task(store.write(lambda txn: txn.use_token(made.hash, make.now + 1))) for _ in range(20)]
    assert sorted(use.result() for use in uses) == [False] * 19 + [True]
    assert (await store.read(lambda txn: txn.token(made.hash))).used_at == make.now + 1


def test_a_token_ends_and_is_purged(store: Store, make: Any) -> None:
    """An expired or unknown token is not good; expired ones can be forgotten."""
    short, long = token(make, hash="s", expires_at=make.now + 1), token(make, hash="l")
    for made in (short, long):
        store.write_now(lambda txn, t=made: txn.add_token(t))
    assert store.write_now(lambda txn: txn.use_token("s", make.now + 1)) is False
    assert store.write_now(lambda txn: txn.use_token("nothing", make.now)) is False
    assert store.write_now(lambda txn: txn.purge_tokens(make.now + 1)) == 1
    assert store.read_now(lambda txn: (txn.token("s"), txn.token("l"))) == (None, long)


def test_credentials_are_found_and_revoked(store: Store, make: Any) -> None:
    """By fingerprint, kind and name; revoking says which were good until then, once."""
    made = [
        IssuedCertificate(f"f{n}", kind, name, generation, make.now, make.now + 99, key_hash=f"k{n}")
        for n, (kind, name, generation) in enumerate(
            [("agent", "web-1", 2), ("agent", "web-1", 1), ("agent", "web-2", 1), ("operator", "web-1", 1)]
        )
    ]
    for credential in made:
        store.write_now(lambda txn, c=credential: txn.add_credential(c))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.add_credential(made[0]))
    assert store.read_now(lambda txn: txn.credential("f2")) == made[2]
    assert store.read_now(lambda txn: txn.credential("f9")) is None
    assert store.read_now(lambda txn: txn.credentials()) == [made[1], made[0], made[2], made[3]]
    assert store.read_now(lambda txn: txn.credentials("agent", "web-1")) == [made[1], made[0]]
    assert store.read_now(lambda txn: txn.credentials(name="web-1")) == [made[1], made[0], made[3]]
    assert store.write_now(lambda txn: txn.revoke_credentials("agent", "web-1", make.now + 5)) == ["f0", "f1"]
    assert store.write_now(lambda txn: txn.revoke_credentials("agent", "web-1", make.now + 6)) == []
    assert store.read_now(lambda txn: txn.credential("f0")) == replace(made[0], revoked_at=make.now + 5)
    assert store.read_now(lambda txn: txn.credential("f3")) == made[3]
    assert sorted(store.read_now(lambda txn: txn.revoked_since(make.now + 5))) == ["f0", "f1"]
    assert store.read_now(lambda txn: txn.revoked_since(make.now + 5.5)) == []


def test_certificates_long_expired_are_forgotten(store: Store, make: Any) -> None:
    """Those that had expired by then go, revoked or not; the others stay."""
    for number in range(3):
        made = IssuedCertificate(f"f{number}", "agent", "web-1", number + 1, make.now, make.now + number)
        store.write_now(lambda txn, c=made: txn.add_credential(c))
    assert store.write_now(lambda txn: txn.purge_credentials(make.now + 1)) == 2
    assert [one.fingerprint for one in store.read_now(lambda txn: txn.credentials())] == ["f2"]


def test_who_trusts_what_is_noted(store: Store, make: Any) -> None:
    """Of a certificate of that very holder, and once; the CA of those of a version before is filled in; each CA's last
    use is known.
    """
    made = [
        IssuedCertificate(f"f{n}", "agent", "web-1", n + 1, make.now + n, make.now + 99, issuer=issuer)
        for n, issuer in enumerate(["", "old", "new"])
    ]
    for credential in made:
        store.write_now(lambda txn, c=credential: txn.add_credential(c))
    assert store.write_now(lambda txn: txn.note_trust("agent", "web-1", "f1", "d"))
    assert not store.write_now(lambda txn: txn.note_trust("agent", "web-1", "f1", "d"))
    for kind, name, fingerprint in (("agent", "web-2", "f2"), ("operator", "web-1", "f2"), ("agent", "web-1", "f9")):
        assert not store.write_now(lambda txn, a=(kind, name, fingerprint): txn.note_trust(*a, "d"))
    store.write_now(lambda txn: txn.note_successor("f1", "f2"))
    assert store.read_now(lambda txn: txn.credential("f1")) == replace(made[1], trusts="d", successor="f2")
    assert store.read_now(lambda txn: txn.credential("f2")) == made[2]
    assert store.write_now(lambda txn: txn.fill_issuer("old")) == 1
    assert store.read_now(lambda txn: txn.last_issued()) == {"old": make.now + 1, "new": make.now + 2}
