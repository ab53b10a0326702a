"""People and agents in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.core.records import Agent, Person
from hub.store.database import Database
from hub.store.errors import Conflict
from hub.store.people import is_refused, refused
from hub.store.store import Store


def test_a_person_comes_back_as_they_were(store: Store, make: Any) -> None:
    """Every field survives; a name is taken once; the list is by name."""
    carol = Person("carol", ("approver", "admin"), make.now)
    alice = Person("alice", (), make.now, b"\x00\xffsealed", 3, 2, make.now + 9, make.now + 10)
    for person in (carol, alice):
        store.write_now(lambda txn, p=person: txn.add_person(p))
    assert store.read_now(lambda txn: txn.people()) == [alice, carol]
    assert store.read_now(lambda txn: txn.person("carol")) == carol
    assert store.read_now(lambda txn: txn.person("Carol")) is None
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.add_person(carol))


@pytest.mark.parametrize(
    "moved_on", [{"totp_last_step": 8}, {"totp_failures": 1}, {"totp_locked_until": 5.0}, {"revoked_at": 5.0}]
)
def test_a_code_is_taken_once(store: Store, make: Any, moved_on: dict[str, Any]) -> None:
    """Of two entrances that check a code against the same view of a person only one can save what it found."""
    seen = Person("alice", ("operator",), make.now, b"s", totp_last_step=7)
    store.write_now(lambda txn: txn.add_person(seen))
    store.write_now(lambda txn: txn.save_person(seen, replace(seen, **moved_on)))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_person(seen, replace(seen, totp_last_step=8, roles=("admin",))))
    assert store.read_now(lambda txn: txn.person("alice")) == replace(seen, **moved_on)


def test_an_agent_comes_back_as_it_was(store: Store, make: Any) -> None:
    """Every field survives; a name is taken once; the list is by name."""
    plain = Agent("web-2", {}, "active", make.now)
    full = Agent(
        "web-1", {"role": "web", "os": "Débian"}, "locked", make.now, 4, make.now + 1, "0.1", "j", "b", {"cpu": "2"},
        make.now + 2, "bob", "broken",
    )  # fmt: skip
    for agent in (plain, full):
        store.write_now(lambda txn, a=agent: txn.add_agent(a))
    assert store.read_now(lambda txn: txn.agents()) == [full, plain]
    assert store.read_now(lambda txn: txn.agent("web-2")) == plain
    assert store.read_now(lambda txn: txn.agent("web-3")) is None
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.add_agent(plain))
    with pytest.raises(Exception, match="ck_agents_state"):
        store.write_now(lambda txn: txn.add_agent(Agent("web-3", {}, "asleep", make.now)))


@pytest.mark.parametrize("moved_on", [{"state": "locked"}, {"generation": 2}])
def test_an_agent_that_was_locked_stays_locked(store: Store, make: Any, moved_on: dict[str, Any]) -> None:
    """A save on a view from before a lock or a renewal conflicts."""
    seen = Agent("web-1", {}, "active", make.now)
    store.write_now(lambda txn: txn.add_agent(seen))
    store.write_now(lambda txn: txn.save_agent(seen, replace(seen, **moved_on)))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_agent(seen, replace(seen, version="9")))


def test_many_agents_are_touched_at_once(store: Store, make: Any) -> None:
    """Heartbeats are saved together: the time always, the facts where they are told; strangers are passed over."""
    agents = [Agent(f"web-{n}", {}, "active", make.now, facts={"kernel": "6"}) for n in range(3)]
    store.write_now(lambda txn: [txn.add_agent(agent) for agent in agents])
    seen = [("web-0", make.now + 1, None), ("web-1", make.now + 2, {"kernel": "7"}), ("web-9", make.now, {})]
    store.write_now(lambda txn: txn.touch_agents(seen))
    assert store.read_now(lambda txn: txn.agents()) == [
        replace(agents[0], last_seen=make.now + 1),
        replace(agents[1], last_seen=make.now + 2, facts={"kernel": "7"}),
        agents[2],
    ]
    store.write_now(lambda txn: txn.touch_agents([]))


# ---- rows that this hub did not write


def written(url: str, folder: Path, statement: str) -> None:
    """Beside the hub."""
    database = Database(url, folder)
    with database.engine.connect() as connection:
        assert connection.execute(sa.text(statement)).rowcount == 1
    database.engine.dispose()


COLUMNS = "roles, created_at, totp_secret, totp_last_step, totp_failures, totp_locked_until, revoked_at, totp_pending,"
COLUMNS += " totp_pending_until, chat, totp_console_failures, totp_console_locked_until, mac"
FORGED = [
    "UPDATE people SET roles = '[\"admin\"]' WHERE name = 'bob'",
    "UPDATE people SET chat = '[\"ops:eve\"]' WHERE name = 'bob'",
    "UPDATE people SET revoked_at = NULL WHERE name = 'bob'",
    "UPDATE people SET mac = '' WHERE name = 'bob'",
    "UPDATE people SET name = 'eve' WHERE name = 'bob'",
    "UPDATE people SET created_at = created_at + 1 WHERE name = 'bob'",
    "UPDATE people SET totp_secret = totp_pending WHERE name = 'bob'",
    "UPDATE people SET totp_pending = totp_secret WHERE name = 'bob'",
    *(
        f"UPDATE people SET {column} = {column} + 1 WHERE name = 'bob'"  # noqa: S608
        for column in ("totp_last_step", "totp_failures", "totp_locked_until", "totp_pending_until")
    ),
    "UPDATE people SET totp_console_failures = 1 WHERE name = 'bob'",
    "UPDATE people SET totp_console_locked_until = 1 WHERE name = 'bob'",
    "UPDATE people SET roles = 'no JSON' WHERE name = 'bob'",
    "UPDATE people SET roles = '{\"a\":[1]}', chat = '7' WHERE name = 'bob'",
    "UPDATE people SET roles = (SELECT roles FROM people WHERE name = 'alice'), mac = (SELECT mac FROM people WHERE"
    " name = 'alice') WHERE name = 'bob'",
    f"INSERT INTO people (name, {COLUMNS}) SELECT 'eve', {COLUMNS} FROM people WHERE name = 'alice'",  # noqa: S608
]


@pytest.mark.parametrize("statement", FORGED)
def test_a_row_of_somebody_else_gives_no_access(
    store: Store, url: str, tmp_path: Path, make: Any, statement: str
) -> None:
    """Trust: each column changed, the MAC deleted, a row copied under another name: the person has no access, whoever
    asks; the others stand as they did; it is noted once, with the cure; no save makes it this hub's.
    """
    alice = Person("alice", ("admin",), make.now, chat=("ops:alice",))
    bob = Person("bob", ("viewer",), make.now, b"a", 3, 1, 5.0, make.now, b"b", 6.0, ("ops:bob",))
    for person in (alice, bob):
        store.write_now(lambda txn, p=person: txn.add_person(p))
    written(url, tmp_path, statement)
    name = "eve" if "eve'" in statement.replace("ops:eve", "") else "bob"
    for _ in range(2):
        rows = {person.name: person for person in store.read_now(lambda txn: txn.people())}
        assert rows["alice"] == alice
        assert rows[name] == store.read_now(lambda txn: txn.person(name)) == refused(name)
    assert (rows[name].roles, rows[name].chat, rows[name].totp_secret) == ((), (), b"")
    assert rows[name].revoked_at is not None
    ((place, cure),) = store.broken.take(9)
    assert place == f"people|{name}"
    assert "operator add" in cure
    with pytest.raises(Conflict, match="did not write it"):
        store.write_now(lambda txn: txn.save_person(refused(name), replace(refused(name), revoked_at=None)))
    store.write_now(lambda txn: txn.use_up_steps(10_000))
    assert store.read_now(lambda txn: txn.person(name)) == refused(name)
    fresh = Person(name, ("operator",), make.now)
    store.write_now(lambda txn: txn.replace_person(fresh))
    assert store.read_now(lambda txn: txn.person(name)) == fresh
    assert store.broken.take(9) == []


def test_a_save_is_of_what_is_there(store: Store, make: Any) -> None:
    """A role that was given since `before` was read stays, and the row is this hub's: the MAC is of both changes."""
    seen = Person("alice", ("viewer",), make.now)
    store.write_now(lambda txn: txn.add_person(seen))
    store.write_now(lambda txn: txn.save_person(seen, replace(seen, roles=("admin",))))
    store.write_now(lambda txn: txn.save_person(seen, replace(seen, totp_last_step=4)))
    assert store.read_now(lambda txn: txn.person("alice")) == replace(seen, roles=("admin",), totp_last_step=4)
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_person(replace(seen, name="x"), replace(seen, name="x", roles=("admin",))))


def test_steps_that_are_used_up_leave_people_in(store: Store, make: Any) -> None:
    """Only those behind; each row stays this hub's."""
    for name, step in (("alice", 3), ("bob", 90)):
        store.write_now(lambda txn, n=name, s=step: txn.add_person(Person(n, ("admin",), 1.0, totp_last_step=s)))
    store.write_now(lambda txn: txn.use_up_steps(50))
    found = store.read_now(lambda txn: txn.people())
    assert [(one.totp_last_step, is_refused(one)) for one in found] == [(50, False), (90, False)]
