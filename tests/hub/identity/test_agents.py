"""The machines as the hub knows them: rows, links, one inventory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.machine.absence import Absence
from hub.core.inventory import Machine
from hub.identity import agents as module
from tests.hub.hub_harness import HubHarness


async def test_the_inventory_has_rows_and_links(harness: HubHarness) -> None:
    """Labels and facts come from the row, online from the link; a machine that left is still there."""
    await harness.add_machine("db-1", online=False, labels={"role": "db"}, facts={"os": "linux"}, paused_by="bob")
    machines = harness.fleet.inventory.machines
    assert machines["db-1"] == Machine(
        "db-1", {"role": "db"}, False, "bob", {"os": "linux"}, Absence("never_linked", harness.clock.now)
    )
    assert machines["web-1"].online
    assert harness.fleet.count_online() == 1
    harness.fleet.vitals["web-1"] = {"load1": 1.0}
    harness.fleet.set_offline("web-1")
    assert not harness.fleet.inventory.machines["web-1"].online
    assert (harness.fleet.online("web-1"), harness.fleet.vitals, harness.fleet.count_online()) == (False, {}, 0)


async def test_a_revoked_machine_is_not_meant_by_anybody(harness: HubHarness) -> None:
    """It is no target any more; its row is there for those who look. A locked one may come back."""
    await harness.add_machine("db-1", state="revoked")
    await harness.add_machine("db-2", state="locked")
    assert sorted(harness.fleet.inventory.machines) == ["db-2", "web-1"]
    assert [agent.name for agent in harness.fleet.agents()] == ["db-1", "db-2", "web-1"]


async def test_what_another_process_changed_is_seen_with_a_refresh(harness: HubHarness) -> None:
    """And those who watch hear the names of the machines that changed, of those alone."""
    await harness.add_machine("db-1")
    heard: list[str] = []
    harness.fan_out.subscribe_agents(heard.append)
    await harness.fleet.refresh()
    assert heard == []
    before = harness.fleet.inventory
    assert harness.fleet.inventory is before  # made once while nothing changes
    await harness.change_machine("db-1", labels={"role": "db"})
    assert heard == ["db-1"]
    assert harness.fleet.inventory.machines["db-1"].labels == {"role": "db"}
    harness.fleet.set_offline("db-1")
    harness.fleet.set_online("db-1")
    assert heard == ["db-1"] * 3


async def test_one_row_is_learnt_without_reading_the_others(harness: HubHarness) -> None:
    """A machine that has just joined or greeted is known at once."""
    row = harness.fleet.agent("web-1")
    assert row is not None
    await harness.add_machine("db-1", online=False)
    harness.write(lambda txn: txn.save_agent(row, module.Agent("web-1", {"role": "web"}, "active", row.joined_at)))
    await harness.fleet.reload("web-1")
    await harness.fleet.reload("nobody")
    assert harness.fleet.inventory.machines["web-1"].labels == {"role": "web"}
    assert sorted(harness.fleet.inventory.machines) == ["db-1", "web-1"]


async def test_an_inventory_that_was_overtaken_while_it_was_made_is_not_kept(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's thread may be making it while a machine leaves: the next who asks gets a new one."""

    def slow(**fields: object) -> Machine:
        made = Machine(**fields)  # type: ignore[arg-type]
        harness.fleet.set_offline("web-1")
        return made

    harness.fleet.set_online("web-1")
    with monkeypatch.context() as patched:
        patched.setattr(module, "Machine", slow)
        assert harness.fleet.inventory.machines["web-1"].online  # as it was a moment ago
    assert not harness.fleet.inventory.machines["web-1"].online


async def test_a_machine_whose_runner_does_not_answer_says_since_when(harness: HubHarness) -> None:
    """It is linked, so it may be meant; whoever looks is told, and those who watch hear of it once."""
    fleet, now = harness.fleet, harness.clock.now
    version = fleet.version
    fleet.record_vitals("web-1", {"at": now, "runner_silent": 15.0}, now)
    machine = fleet.inventory.machines["web-1"]
    assert (machine.online, machine.away) == (True, Absence("runner", now - 15.0))
    fleet.record_vitals("web-1", {"at": now + 15, "runner_silent": 30.0}, now + 15)
    assert fleet.version == version + 1
    fleet.record_vitals("web-1", {"at": now + 30}, now + 30)
    assert fleet.inventory.machines["web-1"].away is None
    fleet.record_vitals("web-1", {"at": now, "runner_silent": 15.0}, now)
    fleet.set_offline("web-1", now)
    fleet.set_online("web-1")
    assert fleet.inventory.machines["web-1"].away is None


async def test_only_rows_that_have_changed_are_decoded_again(harness: HubHarness) -> None:
    """Ten thousand are looked at every two seconds; what is known is kept, and what is gone is forgotten."""
    await harness.add_machine("db-1", online=False)
    await harness.fleet.refresh()
    seen = harness.fleet._rows
    assert seen.keys() == {"web-1", "db-1"}
    assert harness.read(lambda txn: txn.changed_agents(seen)) == ([], seen)
    row = harness.fleet.agent("db-1")
    assert row is not None
    harness.write(lambda txn: txn.save_agent(row, replace(row, paused_by="bob")))
    changed, now = harness.read(lambda txn: txn.changed_agents(seen))
    assert [agent.paused_by for agent in changed] == ["bob"]
    assert now.keys() == seen.keys()
    harness.write(lambda txn: txn.delete_agent("db-1"))
    await harness.fleet.refresh()
    assert [agent.name for agent in harness.fleet.agents()] == ["web-1"]
    assert harness.fleet.agents() is not harness.fleet.agents()  # the caller's to change


async def test_what_changes_during_a_look_is_newer_than_what_was_read(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that links or joins meanwhile stays as it is now; the next look agrees."""
    row = harness.fleet.agent("web-1")
    assert row is not None
    read = harness.store.read

    async def overtaken(unit: Any) -> Any:
        found = await read(unit)
        harness.fleet.update(replace(row, version="9"))
        harness.fleet.update(replace(row, name="db-1"))
        return found

    harness.write(lambda txn: txn.save_agent(row, replace(row, version="8")))
    with monkeypatch.context() as patched:
        patched.setattr(harness.store, "read", overtaken)
        await harness.fleet.refresh()
    assert [(agent.name, agent.version) for agent in harness.fleet.agents()] == [("db-1", ""), ("web-1", "9")]


async def test_the_parts_of_an_inventory_outlive_it(harness: HubHarness) -> None:
    """Of ten thousand machines one has changed: the others are not made again."""
    await harness.add_machine("db-1", online=False)
    before = harness.fleet.inventory.machines
    harness.fleet.set_online("db-1")
    after = harness.fleet.inventory.machines
    assert after["web-1"] is before["web-1"]
    assert (before["db-1"].online, after["db-1"].online) == (False, True)
