"""The snapshot that a unit of work decides from: of one moment, and never changed afterwards."""

from __future__ import annotations

from dataclasses import replace

from common.plan import Step
from hub.core.records import Person
from tests.hub.hub_harness import NOW, HubHarness

UPTIME = Step(("uptime",), ("web-1",))


async def test_later_changes_do_not_reach_a_snapshot(harness: HubHarness) -> None:
    """Policy, people and machines may all change while the unit runs in its thread."""
    before = harness.world()
    harness.policy = replace(harness.policy, rules=())
    harness.write(lambda txn: txn.add_person(Person("carol", (), NOW, revoked_at=NOW)))
    await harness.people.refresh()
    await harness.change_machine("web-1", labels={"role": "db"})
    await harness.add_machine("web-2")
    harness.fleet.set_offline("web-1")
    assert before.people.roles("carol") == ("operator",)
    assert (before.machines.labels("web-1"), set(before.machines.online)) == ({}, {"web-1"})
    assert list(before.machines.inventory.machines) == ["web-1"]
    assert before.checker("carol", False)(UPTIME, "web-1").kind == "allow"
    after = harness.world()
    assert (after.people.roles("carol"), set(after.machines.online)) == ((), {"web-2"})
    assert after.machines.labels("web-1") == {"role": "db"}
    assert after.checker("carol", False)(UPTIME, "web-1").kind == "deny"


async def test_units_share_what_has_not_changed(harness: HubHarness) -> None:
    """A snapshot copies nothing: of ten thousand machines there is one inventory."""
    first, second = harness.world(), harness.world()
    assert first.machines is second.machines
    assert first.machines.inventory is second.machines.inventory is harness.fleet.inventory
    assert first.people is second.people
