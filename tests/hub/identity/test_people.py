"""Who people are: hub.toml and the store as one directory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.config import PersonTable
from hub.core.records import Person
from hub.identity.people import narrowed
from tests.hub.hub_harness import HubHarness


def stored(harness: HubHarness, name: str, *roles: str, revoked_at: float | None = None) -> None:
    """As `operator add` and `operator remove` do it, in another process."""
    before = harness.read(lambda txn: txn.person(name))
    after = Person(name, roles, harness.clock.now, revoked_at=revoked_at)
    if before is None:
        harness.write(lambda txn: txn.add_person(after))
    else:
        harness.write(lambda txn: txn.save_person(before, replace(before, roles=roles, revoked_at=revoked_at)))


async def test_a_chat_user_is_the_person_that_hub_toml_says(harness: HubHarness) -> None:
    """The identity is inlet and user together; the same user of another inlet is nobody."""
    assert harness.people.find_by_chat("ops", "carol") == "carol"
    assert harness.people.find_by_chat("quiet", "carol") == ""
    assert harness.people.find_by_chat("ops", "Carol") == ""
    assert harness.people.find_by_chat("ops", "mallory") == ""


async def test_a_person_of_hub_toml_has_the_roles_that_stand_there(harness: HubHarness) -> None:
    """Whatever the store says; others have the store's. Roles come in rank, each once."""
    stored(harness, "carol", "admin")
    stored(harness, "zoe", "approver", "viewer")
    assert harness.people.roles("zoe") == ()
    await harness.people.refresh()
    assert harness.people.roles("carol") == ("operator",)
    assert harness.people.roles("zoe") == ("viewer", "approver")
    assert harness.people.roles("vera") == ("viewer",)
    assert harness.people.roles("nobody") == ()
    assert harness.people.names() == sorted({"alice", "ann", "bob", "carol", "dave", "kim", "vera", "zoe"})
    assert harness.people.holders("admin") == ("alice",)
    assert {"alice", "bob", "zoe"} <= set(harness.people.holders("approver"))
    assert harness.people.holders("king") == ()


async def test_a_revoked_person_has_no_role_whatever_the_file_says(harness: HubHarness) -> None:
    """Revoked is stronger than hub.toml, and `operator add` takes it back."""
    stored(harness, "bob", "admin", revoked_at=harness.clock.now)
    await harness.people.refresh()
    assert harness.people.roles("bob") == ()
    assert "bob" not in harness.people.holders("viewer")
    assert harness.people.revoked() == {"bob"}
    stored(harness, "bob", "viewer")
    await harness.people.refresh()
    assert harness.people.roles("bob") == ("approver",)
    assert harness.people.revoked() == set()


async def test_chat_names_of_the_store_and_a_file_that_was_read_again(harness: HubHarness) -> None:
    """A person who was added by command has theirs in the store; hub.toml's come first, and may change."""
    zoe = Person("zoe", ("operator",), 0.0, chat=("ops:zoe", "ops:carol"))
    harness.write(lambda txn: txn.add_person(zoe))
    await harness.people.refresh()
    assert harness.people.find_by_chat("ops", "zoe") == "zoe"
    assert harness.people.find_by_chat("ops", "carol") == "carol"
    harness.people.configure({"carol": PersonTable(("viewer",), ("quiet:carol",))})
    assert harness.people.roles("carol") == ("viewer",)
    assert harness.people.find_by_chat("quiet", "carol") == "carol"
    assert harness.people.find_by_chat("ops", "carol") == "zoe"
    assert harness.people.roles("bob") == ()


async def test_an_unknown_role_in_the_store_holds_nothing(harness: HubHarness) -> None:
    """A role that no version of this program knows is not carried on."""
    stored(harness, "zoe", "owner")
    await harness.people.refresh()
    assert harness.people.roles("zoe") == ()
    row = harness.people.row("zoe")
    assert row is not None
    assert row.roles == ("owner",)
    assert harness.people.row("carol") is None


@pytest.mark.parametrize(
    ("written", "roles", "chat"),
    [
        ({"bob": {"roles": ["approver"], "chat": ["ops:bob"]}}, ("approver",), ("ops:bob",)),
        ({"bob": {"roles": ["admin"], "chat": ["ops:bob", "ops:x"]}}, ("approver",), ("ops:bob",)),
        ({"bob": {"roles": ["operator"], "chat": ["ops:bob"]}}, ("viewer", "operator"), ("ops:bob",)),
        ({"bob": {"roles": ["aprover"]}}, (), ()),
        ({"bob": {"roles": "approver"}}, (), ()),
        ({"bob": 7}, None, None),
        ({}, None, None),
        (None, None, None),
    ],
)
def test_a_file_with_a_mistake_gives_nobody_more(
    written: object, roles: tuple[str, ...] | None, chat: tuple[str, ...] | None
) -> None:
    """What it takes away is taken; what cannot be read gives nothing."""
    found = narrowed({"bob": PersonTable(("approver",), ("ops:bob",))}, written)
    assert found == ({} if roles is None else {"bob": PersonTable(roles, chat or ())})
