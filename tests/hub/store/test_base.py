"""What all repositories share: whether a person or a token is this hub's, and the MAC of what a save leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.core.records import EnrolmentToken, Person
from hub.store.base import CURES
from hub.store.database import Database
from hub.store.people import refused
from hub.store.store import Store

BOB = Person("bob", ("viewer",), 1.0)


def written(url: str, folder: Path, statement: str) -> None:
    """Beside the hub."""
    database = Database(url, folder)
    with database.engine.connect() as connection:
        assert connection.execute(sa.text(statement)).rowcount == 1
    database.engine.dispose()


@pytest.mark.parametrize("value", ["", "[", "7", "null", "[" * 100_000, '{"a": 1}', '[["admin"]]'])
def test_values_that_make_no_record_stop_no_list(store: Store, url: str, tmp_path: Path, value: str) -> None:
    """Trust (A7): whatever stands in a row, it is a person without access, and the others are listed."""
    for person in (BOB, Person("carol", ("admin",), 1.0)):
        store.write_now(lambda txn, p=person: txn.add_person(p))
    written(url, tmp_path, f"UPDATE people SET roles = '{value}' WHERE name = 'bob'")  # noqa: S608
    found = store.read_now(lambda txn: txn.people())
    assert found == [refused("bob"), Person("carol", ("admin",), 1.0)]
    assert store.broken.take(9) == [("people|bob", CURES["people"])]


def test_an_empty_text_is_an_empty_secret(store: Store, url: str, tmp_path: Path) -> None:
    """Rows of old versions have that in SQLite; it is the same person."""
    store.write_now(lambda txn: txn.add_person(BOB))
    written(url, tmp_path, "UPDATE people SET totp_secret = '', totp_pending = '' WHERE name = 'bob'")
    found = store.read_now(lambda txn: txn.person("bob"))
    assert found is not None
    assert (found.roles, found.revoked_at) == (("viewer",), None)


def test_who_has_no_key_does_not_judge(url: str, tmp_path: Path, store: Store) -> None:
    """Nor does what it writes become this hub's."""
    token = EnrolmentToken("a", "agent", "web-1", {}, 1.0, 9.0, "alice")
    store.write_now(lambda txn: (txn.add_person(BOB), txn.add_token(token)))
    look = Store.open(url, folder=tmp_path, clock=float, look_only=True)
    assert look.read_now(lambda txn: (txn.person("bob"), txn.token("a"))) == (BOB, token)
    assert look.write_now(lambda txn: txn.void_tokens(5.0)) == 1
    assert look.broken.take(9) == []
    look.close()
    assert store.read_now(lambda txn: (txn.person("bob"), txn.token("a"))) == (BOB, None)
