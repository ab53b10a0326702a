"""Who people are: hub.toml and the store as one directory."""

from __future__ import annotations

from dataclasses import replace

from hub.records import Person
from tests.hub.house import House


def stored(inside: House, name: str, *roles: str, revoked_at: float | None = None) -> None:
    """As `operator add` and `operator remove` do it, in another process."""
    before = inside.read(lambda txn: txn.person(name))
    after = Person(name, roles, inside.clock.now, revoked_at=revoked_at)
    if before is None:
        inside.write(lambda txn: txn.add_person(after))
    else:
        inside.write(lambda txn: txn.save_person(before, replace(before, roles=roles, revoked_at=revoked_at)))


async def test_a_chat_user_is_the_person_that_hub_toml_says(inside: House) -> None:
    """The identity is inlet and user together; the same user of another inlet is nobody."""
    assert inside.people.of_chat("ops", "carol") == "carol"
    assert inside.people.of_chat("quiet", "carol") == ""
    assert inside.people.of_chat("ops", "Carol") == ""
    assert inside.people.of_chat("ops", "mallory") == ""


async def test_a_person_has_the_roles_of_both_places(inside: House) -> None:
    """Roles of the file and of the store add up; they come in rank, each once."""
    stored(inside, "carol", "approver", "operator")
    stored(inside, "zoe", "viewer")
    assert inside.people.roles("zoe") == ()
    await inside.people.refresh()
    assert inside.people.roles("carol") == ("operator", "approver")
    assert inside.people.roles("zoe") == ("viewer",)
    assert inside.people.roles("vera") == ("viewer",)
    assert inside.people.roles("nobody") == ()
    assert inside.people.names() == sorted({"alice", "ann", "bob", "carol", "dave", "kim", "vera", "zoe"})


async def test_a_revoked_person_has_no_role_whatever_the_file_says(inside: House) -> None:
    """Revoked is stronger than hub.toml, and `operator add` takes it back."""
    stored(inside, "bob", "admin", revoked_at=inside.clock.now)
    await inside.people.refresh()
    assert inside.people.roles("bob") == ()
    assert inside.people.revoked() == {"bob"}
    stored(inside, "bob", "viewer")
    await inside.people.refresh()
    assert inside.people.roles("bob") == ("viewer", "approver")
    assert inside.people.revoked() == set()


async def test_an_unknown_role_in_the_store_holds_nothing(inside: House) -> None:
    """A role that no version of this program knows is not carried on."""
    stored(inside, "zoe", "owner")
    await inside.people.refresh()
    assert inside.people.roles("zoe") == ()
    row = inside.people.row("zoe")
    assert row is not None
    assert row.roles == ("owner",)
    assert inside.people.row("carol") is None
