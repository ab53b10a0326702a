"""People and agents in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.core.records import Agent, Person
from hub.store.errors import Conflict
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
