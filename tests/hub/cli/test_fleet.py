"""Machines and invitations as the commands read and change them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import UserError
from common.values import Duration
from hub.chat.inlets import load_config
from hub.cli import admin, fleet
from hub.cli.init import init
from hub.config import HubConfig
from hub.core.records import Agent, IssuedCertificate
from hub.store.transaction import Txn

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub with the machine web-1, and db-1 that was revoked."""
    summary = init(tmp_path / "hub", now=NOW, admin="", record=lambda made: admin.record_init(made, NOW))
    made = load_config(summary.folder.config)

    def unit(txn: Txn) -> None:
        web = Agent("web-1", {"role": "web"}, "active", NOW, version="0.2.0", facts={"runner": "0.1.0"})
        txn.add_agent(replace(web, last_seen=NOW - 60))
        txn.add_agent(Agent("db-1", {}, "revoked", NOW))
        txn.add_credential(IssuedCertificate("a" * 64, "agent", "web-1", 1, NOW, NOW + 100))
        txn.add_credential(IssuedCertificate("b" * 64, "agent", "web-1", 2, NOW, NOW + 200))
        txn.add_credential(IssuedCertificate("c" * 64, "agent", "db-1", 1, NOW, NOW + 300, revoked_at=NOW))

    with admin.open_store(made, NOW) as store:
        store.write_now(unit)
    return made


def test_machines_with_certificates_and_versions(config: HubConfig) -> None:
    """Both versions, the end of the newest certificate that counts; revoked ones where all are asked for."""
    (web,) = fleet.list_agents(config, False, NOW)
    assert (web["certificate_until"], web["uplink_version"], web["runner_version"]) == (NOW + 200, "0.2.0", "0.1.0")
    db, _ = fleet.list_agents(config, True, NOW)
    assert (db["name"], db["state"], db["certificate_until"], db["runner_version"]) == ("db-1", "revoked", None, "")


def test_a_machine_whose_certificate_ran_out_is_not_active(config: HubConfig) -> None:
    """Expired from the end of its newest certificate on, with the end of the grace; a revoked one stays revoked."""
    for now, state in ((NOW + 199, "active"), (NOW + 200, "expired"), (NOW + 400 * 86_400, "expired")):
        db, web = fleet.list_agents(config, True, now)
        assert (web["state"], web["certificate_until"], db["state"]) == (state, NOW + 200, "revoked")
        assert web["renewable_until"] == NOW + 200 + 90 * 86_400
    never = replace(config, links=replace(config.links, agent_grace=Duration(0.0)))
    assert fleet.list_agents(never, False, NOW + 300)[0]["renewable_until"] is None


def test_labels_are_set_and_taken_away(config: HubConfig) -> None:
    """Several at once, all or none."""
    assert fleet.label(config, "web-1", ["site=fra", "role-"], NOW) == {"site": "fra"}
    for changes in (["site=a b"], ["role-"], ["x"], ["-"], ["ok=yes", "=x"]):
        with pytest.raises(UserError):
            fleet.label(config, "web-1", changes, NOW)
    with pytest.raises(UserError, match="32"):
        fleet.label(config, "web-1", [f"k{n}=v" for n in range(40)], NOW)
    (web,) = fleet.list_agents(config, False, NOW)
    assert web["labels"] == {"site": "fra"}
    with pytest.raises(UserError, match="no machine web-9") as caught:
        fleet.label(config, "web-9", ["a=b"], NOW)
    assert "db-1, web-1" in caught.value.cure


def test_only_a_revoked_machine_is_forgotten(config: HubConfig) -> None:
    """Its row goes, its certificate stays revoked in the store, and the audit has it."""
    with pytest.raises(UserError, match="web-1 is active") as caught:
        fleet.forget(config, "web-1", NOW)
    assert "agent revoke web-1" in caught.value.cure
    fleet.forget(config, "db-1", NOW)
    assert [agent["name"] for agent in fleet.list_agents(config, True, NOW)] == ["web-1"]
    with admin.open_store(config, NOW) as store:
        credential = store.read_now(lambda txn: txn.credential("c" * 64))
        (event,) = store.read_now(lambda txn: txn.events(kind_prefix="agent.forgotten"))
    assert credential is not None
    assert credential.revoked_at == NOW
    assert event.subject == "db-1"
    with pytest.raises(UserError, match="no machine db-1"):
        fleet.forget(config, "db-1", NOW)


def test_invitations_are_listed_and_voided(config: HubConfig) -> None:
    """By name or by id; a used or voided one no more; the token itself is nowhere."""
    one = admin.invite_agent(config, "web-2", [], 600, NOW)
    admin.invite_agent(config, "web-3", ["role=web"], 600, NOW + 1)
    found = fleet.list_tokens(config, NOW + 2)
    assert [(token["name"], token["state"]) for token in found] == [("web-3", "open"), ("web-2", "open")]
    assert not any(str(token["id"]) in one["token"] for token in found)
    assert fleet.revoke_tokens(config, str(found[0]["id"]), NOW + 2) == 1
    assert fleet.revoke_tokens(config, "web-2", NOW + 2) == 1
    assert {token["state"] for token in fleet.list_tokens(config, NOW + 3)} == {"expired"}
    for name in ("web-2", "nobody", "a"):
        with pytest.raises(UserError, match="no open invitation"):
            fleet.revoke_tokens(config, name, NOW + 3)
