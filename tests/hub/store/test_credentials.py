"""Invitations and credentials in the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.core.records import EnrolmentToken, IssuedCertificate
from hub.store.database import Database
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


# ---- tokens that this hub did not make

TOKEN_COLUMNS = "kind, name, labels, created_at, expires_at, created_by, used_at, mac"
FORGED = [
    "UPDATE tokens SET hash = 'f' WHERE hash = 'a'",
    "UPDATE tokens SET mac = '' WHERE hash = 'a'",
    "UPDATE tokens SET kind = 'operator' WHERE hash = 'a'",
    "UPDATE tokens SET name = 'db-1' WHERE hash = 'a'",
    "UPDATE tokens SET labels = '{\"role\":\"db\"}' WHERE hash = 'a'",
    "UPDATE tokens SET labels = '[1]' WHERE hash = 'a'",
    "UPDATE tokens SET labels = 'no JSON' WHERE hash = 'a'",
    "UPDATE tokens SET created_at = created_at + 1 WHERE hash = 'a'",
    "UPDATE tokens SET expires_at = expires_at + 1 WHERE hash = 'a'",
    "UPDATE tokens SET created_by = 'bob' WHERE hash = 'a'",
    "UPDATE tokens SET used_at = 1 WHERE hash = 'a'",
    f"INSERT INTO tokens (hash, {TOKEN_COLUMNS}) SELECT 'f', {TOKEN_COLUMNS} FROM tokens WHERE hash = 'a'",  # noqa: S608
]


@pytest.mark.parametrize("statement", FORGED)
def test_a_token_of_somebody_else_is_not_there(
    store: Store, url: str, tmp_path: Path, make: Any, statement: str
) -> None:
    """Trust: each column changed, the MAC deleted, a row copied under another hash: nobody joins with it, no list has
    it, it is noted once; the hub's own changes of all tokens do not make it good.
    """
    for hash_ in ("a", "b"):
        store.write_now(lambda txn, h=hash_: txn.add_token(token(make, hash=h)))
    database = Database(url, tmp_path)
    with database.engine.connect() as connection:
        assert connection.execute(sa.text(statement)).rowcount == 1
    database.engine.dispose()
    forged = "f" if "'f'" in statement else "a"
    for _ in range(2):
        assert store.read_now(lambda txn: txn.token(forged)) is None
    ((place, cure),) = store.broken.take(9)
    assert place.startswith("tokens|")
    assert "make another" in cure
    assert not store.write_now(lambda txn: txn.use_token(forged, make.now))
    store.write_now(lambda txn: txn.void_token(forged, make.now))
    store.write_now(lambda txn: txn.void_tokens_of("agent", "web-1", make.now + 2))
    store.write_now(lambda txn: txn.void_tokens(make.now))
    assert store.read_now(lambda txn: txn.token(forged)) is None
    assert forged not in {one.hash for one in store.read_now(lambda txn: txn.tokens(9))}
    assert store.read_now(lambda txn: txn.token("b")) == token(
        make, hash="b", expires_at=make.now + 2, used_at=make.now
    )


def test_what_the_hub_does_to_a_token_keeps_it_the_hubs(store: Store, make: Any) -> None:
    """Used, voided, voided with all: told from one that is not there."""
    for hash_ in ("a", "b", "c"):
        store.write_now(lambda txn, h=hash_: txn.add_token(token(make, hash=h, name=h)))
    assert store.write_now(lambda txn: txn.use_token("a", make.now))
    store.write_now(lambda txn: txn.void_token("a", make.now))
    assert store.write_now(lambda txn: txn.void_tokens_of("agent", "b", make.now)) == 1
    assert store.write_now(lambda txn: txn.void_tokens(make.now + 1)) == 2
    found = {one.hash: (one.used_at, one.expires_at) for one in store.read_now(lambda txn: txn.tokens(9))}
    later = make.now + 600
    assert found == {"a": (make.now, later), "b": (make.now + 1, make.now), "c": (make.now + 1, later)}
    assert store.broken.take(9) == []
