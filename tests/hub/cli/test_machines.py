"""`agent …` and `token …` as a person uses them."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import hub.cli.main
from hub.chat.inlets import load_config
from hub.cli.admin import open_store
from hub.core.records import Agent, IssuedCertificate
from tests.run_main import CommandResult, run_main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hub"
    ended = run_main(hub.cli.main.main, "init", str(made))
    assert ended.code == 0, ended.err
    with open_store(load_config(made / "hub.toml"), 1_790_000_000.0) as store:
        store.write_now(lambda txn: txn.add_agent(Agent("web-1", {"role": "web"}, "active", 1.0, version="0.2.0")))
    return made


def command(folder: Path, *words: str) -> CommandResult:
    return run_main(hub.cli.main.main, *words, "--config", str(folder / "hub.toml"))


def test_a_machine_from_its_list_to_being_forgotten(folder: Path) -> None:
    """Labelled, revoked, listed with --all alone, forgotten; JSON where a script would read it."""
    told = command(folder, "agent", "list").text.splitlines()
    assert told[0].split()[:3] == ["NAME", "STATE", "HEARD"]
    assert told[1].split() == ["web-1", "active", "never", "-", "0.2.0", "-", "role=web"]
    assert command(folder, "agent", "label", "web-1", "site=fra", "role-").text == "web-1: site=fra\n"
    assert command(folder, "agent", "forget", "web-1").code == 2
    assert "web-1 is revoked" in command(folder, "agent", "revoke", "web-1").text
    assert command(folder, "agent", "list", "--json").json == []
    assert [agent["state"] for agent in command(folder, "agent", "list", "--all", "--json").json] == ["revoked"]
    assert command(folder, "agent", "forget", "web-1").text == "web-1 is forgotten\n"
    assert command(folder, "agent", "list", "--all", "--json").json == []


def test_a_certificate_that_ran_out_is_told(folder: Path) -> None:
    """In the list, with what helps once the hub does not renew it any more; in JSON."""
    day, until = 86_400.0, time.time() - 86_400.0
    for name, end in (("web-1", until), ("db-1", until - 91 * day)):
        with open_store(load_config(folder / "hub.toml"), end) as store:
            row = IssuedCertificate(name[0] * 64, "agent", name, 1, end - day, end)
            store.write_now(lambda txn, row=row: txn.add_credential(row))
            if name == "db-1":
                store.write_now(lambda txn: txn.add_agent(Agent("db-1", {}, "active", 1.0)))
    db, web = command(folder, "agent", "list").text.splitlines()[1:]
    assert web.split()[:2] == ["web-1", "expired"]
    assert re.search(r"expired since 20.* renewable until 20", web)
    assert "not renewable: answerback-hub token --agent db-1" in db
    assert [agent["state"] for agent in command(folder, "agent", "list", "--json").json] == ["expired"] * 2


def test_invitations(folder: Path) -> None:
    """The old form makes one; list and revoke are beside it."""
    assert command(folder, "token", "--agent", "web-2").code == 0
    rows = command(folder, "token", "list").text.splitlines()
    assert rows[0].split() == ["ID", "FOR", "NAME", "STATE", "UNTIL", "BY"]
    assert rows[1].split()[1:4] == ["agent", "web-2", "open"]
    assert command(folder, "token", "revoke", "web-2").text == "1 invitation of web-2 void\n"
    assert command(folder, "token", "list", "--json").json[0]["state"] == "expired"
    ended = command(folder, "token", "revoke", "web-2")
    assert (ended.code, ended.out) == (2, b"")
    assert "token list" in ended.err
