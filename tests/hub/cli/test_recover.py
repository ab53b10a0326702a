"""`answerback-hub recover`: what it shows, and what it changes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli import admin, recover, register
from hub.cli.init import init
from hub.cli.main import hub
from hub.config import HubConfig
from hub.core.records import Agent
from hub.core.recovery import Recovery
from hub.store.database import Database
from hub.store.row_key import key_file
from hub.store.store import Store
from hub.store.transaction import Txn

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub with an admin and three machines, of which one is revoked."""
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    config = load_config(summary.folder.config)

    def unit(txn: Txn) -> None:
        for name, state in (("web-1", "active"), ("web-2", "active"), ("web-3", "revoked")):
            txn.add_agent(Agent(name, {}, state, NOW))

    with admin.open_store(config, NOW) as store:
        store.write_now(unit)
    return config


def ended_open(config: HubConfig) -> None:
    """As the hub's next start does."""
    with admin.open_store(config, NOW) as store:

        def unit(txn: Txn) -> None:
            record = txn.recovery()
            assert record is not None
            txn.save_recovery(Recovery(**{**json.loads(record.to_json()), "voided": True}))

        store.write_now(unit)


def run(config: HubConfig, *argv: str) -> tuple[int, str]:
    done = CliRunner().invoke(hub, ["recover", "--config", str(config.path), *argv], standalone_mode=False)
    if isinstance(done.exception, UserError):
        return done.exception.exit_code, str(done.exception)
    assert done.exception is None, done.exception
    return 0, done.output


def test_without_a_restore_there_is_nothing_to_do(config: HubConfig) -> None:
    assert run(config) == (0, "this hub is not in recovery: nothing to do\n")
    assert json.loads(run(config, "--json")[1]) == {"recovery": False}
    code, text = run(config, "--yes", "--revoke", "web-1")
    assert code == 2
    assert "agent revoke" in text
    with pytest.raises(UserError, match="not in recovery"):
        recover.finish(config, (), NOW)


def test_what_is_in_doubt_is_shown_and_confirmed(config: HubConfig) -> None:
    """Nothing changes without a yes; a name that must not come back is revoked in the same transaction."""
    code, text = run(config, "--begin")
    assert code == 2
    assert "add --yes" in text
    ended_open(config)
    doubt = json.loads(run(config, "--json")[1])
    assert doubt["recovery"]
    assert [row["name"] for row in doubt["machines"]] == ["web-1", "web-2"]
    assert [row["name"] for row in doubt["people"]] == ["alice"]
    code, text = run(config, "--revoke", "nobody", "--yes")
    assert code == 2
    assert "nobody" in text
    code, text = run(config, "--revoke", "web-2", "--yes")
    assert code == 0
    assert "web-1" in text
    assert "goes on within two seconds" in text
    with admin.open_store(config, NOW) as store:
        agent = store.read_now(lambda txn: txn.agent("web-2"))
        kinds = [event.kind for event in store.read_now(lambda txn: txn.events())]
    assert agent is not None
    assert agent.state == "revoked"
    assert kinds[-3:] == ["agent.revoked", "audit.forked", "hub.recovered"]
    assert run(config)[1] == "this hub is not in recovery: nothing to do\n"


def test_the_labels_of_newer_certificates_are_shown(config: HubConfig) -> None:
    """Rules may go by them, so an admin sees them before they count; where a certificate says none, it is said."""
    run(config, "--begin")

    def unit(txn: Txn) -> None:
        txn.add_agent(Agent("db-8", {}, "active", NOW))
        txn.add_agent(Agent("db-9", {"role": "db", "site": "fra"}, "active", NOW))
        for name, data in (
            ("db-8", {"new": "joined", "labels": None}),
            ("db-9", {"new": "joined", "labels": {"role": "db"}}),
            ("web-1", {}),
        ):
            txn.audit("recovery.certificate", name, "hub", data, NOW)

    with admin.open_store(config, NOW) as store:
        store.write_now(unit)
    notes = {row["name"]: row["note"] for row in json.loads(run(config, "--json")[1])["machines"]}
    assert notes["db-8"].endswith("says no labels: set them with answerback-hub agent label")
    assert notes["db-9"] == "joined after the backup; labels of its certificate: role=db site=fra"
    assert notes["web-1"] == "has linked, with a newer certificate"


def test_the_hub_has_to_have_seen_it(config: HubConfig) -> None:
    """What was open in the backup is ended by the hub, which has replies for it; not before that does it go on."""
    run(config, "--begin")
    code, text = run(config, "--yes")
    assert code == 2
    assert "start the hub" in text


def test_a_lost_row_key_locks_nobody_out(config: HubConfig) -> None:
    """`--new-row-key` beside a running hub is refused; after it the admin is one, and what is forged later is not."""
    key_file(config.folder.path).unlink()
    with pytest.raises(UserError, match="--new-row-key"):
        register.list_people(config, NOW)
    look = Store.open(config.store.url, folder=config.folder.path, clock=lambda: NOW, look_only=True)
    look.acquire()
    code, text = run(config, "--new-row-key")
    assert (code, "a hub is running" in text) == (2, True)
    assert not key_file(config.folder.path).exists()
    look.close()
    assert run(config, "--new-row-key")[0] == 0
    (alice,) = register.list_people(config, NOW)
    assert (alice.roles, alice.forged) == (("admin",), False)
    database = Database(config.store.url, config.folder.path)
    with database.engine.connect() as connection:
        connection.execute(sa.text("UPDATE people SET mac = ''"))
    database.engine.dispose()
    (alice,) = register.list_people(config, NOW)
    assert (alice.roles, alice.forged) == ((), True)
