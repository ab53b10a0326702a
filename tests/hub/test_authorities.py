"""The CA while the hub serves: a step is taken up from the files, told once, and a damaged one changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from common.errors import UserError
from common.identity.certificates import DAY, identity_from_pem
from common.identity.trust import split_bundle
from hub import authorities as module
from hub.authorities import AuthorityTasks
from hub.identity.authorities import make_next, write_phase
from hub.identity.ca_steps import CA_LOADED
from hub.links.live_tls import LinkTls
from tests.hub.hub_harness import HubHarness


class Rig:
    def __init__(self, harness: HubHarness) -> None:
        self.harness = harness
        self.folder = harness.config.folder
        self.told = 0
        self.tls = LinkTls(self.folder, harness.authorities.now)
        self.tasks = AuthorityTasks(
            store=harness.store,
            folder=self.folder,
            live=harness.authorities,
            tls=self.tls,
            tell=self.tell,
            clock=harness.clock,
        )

    def tell(self) -> None:
        self.told += 1

    def loaded(self) -> str | None:
        return self.harness.read(lambda txn: txn.get_meta(CA_LOADED))

    def issuer(self) -> str:
        return identity_from_pem(self.folder.certificate.read_bytes(), self.harness.clock.now, "hub").issuer


@pytest.fixture
def rig(harness: HubHarness) -> Rig:
    return Rig(harness)


async def test_each_phase_is_taken_up_once(rig: Rig) -> None:
    """The hub's own certificate is of the right CA in each, with the cross-certificate behind it where somebody may not
    know the new one; the command that waits reads what is loaded.
    """
    await rig.tasks.watch()
    old = rig.harness.authorities.now.current
    assert (rig.told, rig.loaded()) == (0, f"standby {old.key_id}")
    new = make_next(rig.folder, rig.harness.clock.now)
    shown = {}
    for phase in ("init", "update_clients", "update_servers", "rollback", "finished"):
        write_phase(rig.folder, phase, rig.harness.clock.now)  # type: ignore[arg-type]
        before = rig.tls.context
        await rig.tasks.watch()
        await rig.tasks.watch()
        assert rig.tls.context is not before
        shown[phase] = (rig.issuer() == new.key_id, len(split_bundle(rig.folder.certificate.read_bytes())))
    assert shown == {
        "init": (False, 1),
        "update_clients": (False, 1),
        "update_servers": (True, 2),
        "rollback": (False, 1),
        "finished": (True, 1),
    }
    assert (rig.told, rig.loaded()) == (5, f"standby {new.key_id}")
    assert not rig.folder.ca_rotation.exists()  # what a killed command left is put in order
    rows = [event.data["phase"] for event in rig.harness.events("ca.rotated")]
    assert rows == ["init", "update_clients", "update_servers", "rollback", "standby"]


async def test_certificates_of_before_are_of_the_ca_there_was(rig: Rig) -> None:
    rig.harness.tamper("UPDATE credentials SET issuer = ''")
    await rig.tasks.watch()
    rows = rig.harness.read(lambda txn: txn.credentials())
    assert {row.issuer for row in rows} <= {rig.harness.authorities.now.current.key_id}


async def test_a_damaged_state_changes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub goes on with what it has, and takes the step up once the file reads."""
    monkeypatch.setattr(module, "WATCH_EVERY", 0.01)
    await rig.tasks.watch()
    before = rig.harness.authorities.now
    make_next(rig.folder, rig.harness.clock.now)
    rig.folder.ca_rotation.write_text("{")
    with pytest.raises(UserError, match="not of its form"):
        await rig.tasks.watch()
    taken = asyncio.Event()
    rig.tasks._tell = taken.set
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(rig.tasks.run())
        assert rig.harness.authorities.now is before
        write_phase(rig.folder, "init", rig.harness.clock.now)
        await asyncio.wait_for(taken.wait(), 45)
        running.cancel()
    assert rig.harness.authorities.now.phase == "init"


async def test_the_hubs_certificate_is_renewed_in_a_long_phase(rig: Rig) -> None:
    """Well before the cross-certificate behind it runs out."""
    make_next(rig.folder, rig.harness.clock.now)
    write_phase(rig.folder, "update_servers", rig.harness.clock.now)
    await rig.tasks.watch()
    before = rig.tls.context
    rig.harness.clock.advance(14 * DAY)
    assert not rig.tasks.renew()
    assert rig.tls.context is before
    rig.harness.clock.advance(2 * DAY)
    assert rig.tasks.renew()
    assert rig.tls.context is not before
