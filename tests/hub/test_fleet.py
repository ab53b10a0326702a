"""The machines as the hub knows them: rows, links, one inventory."""

from __future__ import annotations

import pytest

from hub import fleet as module
from hub.machines import Machine
from tests.hub.house import House


async def test_the_inventory_has_rows_and_links(inside: House) -> None:
    """Labels and facts come from the row, online from the link; a machine that left is still there."""
    await inside.machine("db-1", online=False, labels={"role": "db"}, facts={"os": "linux"}, paused_by="bob")
    machines = inside.fleet.inventory.machines
    assert machines["db-1"] == Machine("db-1", {"role": "db"}, False, "bob", {"os": "linux"})
    assert machines["web-1"].online
    assert inside.fleet.count_online() == 1
    inside.fleet.vitals["web-1"] = {"load1": 1.0}
    inside.fleet.left("web-1")
    assert not inside.fleet.inventory.machines["web-1"].online
    assert (inside.fleet.online("web-1"), inside.fleet.vitals, inside.fleet.count_online()) == (False, {}, 0)


async def test_a_revoked_machine_is_not_meant_by_anybody(inside: House) -> None:
    """It is no target any more; its row is there for those who look. A locked one may come back."""
    await inside.machine("db-1", state="revoked")
    await inside.machine("db-2", state="locked")
    assert sorted(inside.fleet.inventory.machines) == ["db-2", "web-1"]
    assert [agent.name for agent in inside.fleet.agents()] == ["db-1", "db-2", "web-1"]


async def test_what_another_process_changed_is_seen_with_a_refresh(inside: House) -> None:
    """And those who watch hear the names of the machines that changed, of those alone."""
    await inside.machine("db-1")
    heard: list[str] = []
    inside.fleet.on_change = heard.append
    await inside.fleet.refresh()
    assert heard == []
    before = inside.fleet.inventory
    assert inside.fleet.inventory is before  # made once while nothing changes
    await inside.change_machine("db-1", labels={"role": "db"})
    assert heard == ["db-1"]
    assert inside.fleet.inventory.machines["db-1"].labels == {"role": "db"}
    inside.fleet.left("db-1")
    inside.fleet.came("db-1")
    assert heard == ["db-1"] * 3


async def test_one_row_is_learnt_without_reading_the_others(inside: House) -> None:
    """A machine that has just joined or greeted is known at once."""
    row = inside.fleet.agent("web-1")
    assert row is not None
    await inside.machine("db-1", online=False)
    inside.write(lambda txn: txn.save_agent(row, module.Agent("web-1", {"role": "web"}, "active", row.joined_at)))
    await inside.fleet.look_at("web-1")
    await inside.fleet.look_at("nobody")
    assert inside.fleet.inventory.machines["web-1"].labels == {"role": "web"}
    assert sorted(inside.fleet.inventory.machines) == ["db-1", "web-1"]


async def test_an_inventory_that_was_overtaken_while_it_was_made_is_not_kept(
    inside: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's thread may be making it while a machine leaves: the next who asks gets a new one."""

    def slow(**fields: object) -> Machine:
        made = Machine(**fields)  # type: ignore[arg-type]
        inside.fleet.left("web-1")
        return made

    inside.fleet.came("web-1")
    with monkeypatch.context() as patched:
        patched.setattr(module, "Machine", slow)
        assert inside.fleet.inventory.machines["web-1"].online  # as it was a moment ago
    assert not inside.fleet.inventory.machines["web-1"].online
