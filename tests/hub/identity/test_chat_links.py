"""Codes by which people link themselves, and links by command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import UserError
from hub.identity import chat_links
from hub.identity.people import snapshot
from tests.hub.hub_harness import HubHarness


def test_a_code_is_good_once_for_ten_minutes(harness: HubHarness) -> None:
    """For its person; a new one ends the one before; the store has only a hash."""
    now = harness.clock.now
    code, ends = harness.write(lambda txn: chat_links.create_code(txn, "carol", now))
    other, _ = harness.write(lambda txn: chat_links.create_code(txn, "bob", now))
    assert ends == now + 600
    assert len(code) == 11
    stored = b"".join(file.read_bytes() for file in harness.database.parent.iterdir())
    assert code.encode() not in stored
    assert code.replace("-", "").encode() not in stored

    def use(said: str, at: float = now) -> str:
        return harness.write(lambda txn: chat_links.use_code(txn, said, at))

    assert use("22222-22222") == ""
    assert use("") == ""
    assert use(code, ends) == ""
    assert [use(code.upper()), use(code)] == ["carol", ""]
    newer, _ = harness.write(lambda txn: chat_links.create_code(txn, "bob", now))
    assert [use(other), use(newer)] == ["", "bob"]


def test_one_chat_user_is_one_person(harness: HubHarness) -> None:
    """Of hub.toml or of the store; nobody unknown, nobody revoked, and not any number of them."""
    people = harness.people.snapshot

    def link(name: str, identity: str) -> None:
        harness.write(lambda txn: chat_links.link(txn, people, name, identity, "terminal", 1.0))

    link("carol", "quiet:c1")
    row = harness.read(lambda txn: txn.person("carol"))
    assert row is not None
    assert (row.roles, row.chat) == ((), ("quiet:c1",))
    fresh = snapshot({}, harness.read(lambda txn: txn.people()))
    assert fresh.chat == {"quiet:c1": "carol"}
    for name, identity, problem in (
        ("bob", "quiet:c1", "carol already"),
        ("bob", "ops:carol", "carol already"),
        ("zoe", "ops:z", "no person zoe"),
    ):
        with pytest.raises(UserError, match=problem):
            link(name, identity)
    for number in range(chat_links.MAX_IDENTITIES - 1):
        link("carol", f"ops:c{number}")
    with pytest.raises(UserError, match="32 chat users already"):
        link("carol", "ops:more")
    harness.write(lambda txn: txn.save_person(txn.person("carol"), replace(txn.person("carol"), revoked_at=2.0)))  # type: ignore[arg-type, type-var]
    with pytest.raises(UserError, match="revoked"):
        link("carol", "ops:c")
