"""`answerback-hub audit` on a real hub's folder, and what is done to it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.audit.verifier import main
from common.errors import UserError, WorkFailed
from common.identity.signing import SigningKey
from hub.archive.archiver import Archiver
from hub.chat.inlets import load_config
from hub.cli import admin, recover
from hub.cli.backup import backup, restore
from hub.cli.init import init
from hub.cli.main import hub
from hub.config import HubConfig
from hub.core.recovery import Recovery
from hub.identity.keys import load_keys
from hub.witness.file import WitnessFile

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    return made(tmp_path / "hub")


def made(folder: Path) -> HubConfig:
    """A stopped hub with a few commands' rows."""
    summary = init(folder, now=NOW, admin="alice", record=lambda created: admin.record_init(created, NOW))
    config = load_config(summary.folder.config)
    for name in ("web-1", "web-2", "web-3"):
        admin.invite_agent(config, name, [], 600, NOW)
    return config


def run(config: HubConfig, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(hub, ["audit", *words, "--config", str(config.path)], standalone_mode=False)
    if isinstance(done.exception, UserError | WorkFailed):
        return done.exception.exit_code, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def verified(config: HubConfig, *words: str) -> tuple[bool, str, int | None]:
    code, text = run(config, "verify", "--json", *words)
    told: dict[str, Any] = json.loads(text)
    assert code == (0 if told["ok"] else 1)
    return told["ok"], told["code"], told["first_bad_seq"]


def database(config: HubConfig) -> Path:
    return config.folder.path / "data" / "answerback.sqlite"


def tamper(config: HubConfig, *statements: str) -> None:
    with closing(sqlite3.connect(database(config))) as db:
        for name in ("events_no_update", "events_no_delete", "checkpoints_no_update", "checkpoints_no_delete"):
            db.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            db.execute(statement)
        db.commit()


def test_a_new_and_a_stopped_hub_hold(config: HubConfig) -> None:
    """Trust: A7, the first checkpoint is there at once, every command's too, in the database and outside."""
    assert verified(config) == (True, "", None)
    code, text = run(config, "verify")
    assert code == 0
    assert "4 rows" in text
    assert "seen outside up to row 4" in text


def other_hub(config: HubConfig) -> None:
    other = made(config.folder.path.parent / "other")
    shutil.copy(database(other), database(config))


def old_backup(config: HubConfig) -> None:
    shutil.copy(database(config), kept := config.folder.path.parent / "kept.sqlite")
    admin.invite_agent(config, "web-9", [], 600, NOW)
    shutil.copy(kept, database(config))


def replaced_key(config: HubConfig) -> None:
    """Key and public keys both: the witness still tells."""
    for path in (config.folder.audit_key, config.folder.audit_pins):
        path.unlink()
    config.folder.audit_key.write_bytes(SigningKey.generate().to_pem())
    config.folder.audit_key.chmod(0o600)


DONE: dict[str, tuple[Callable[[HubConfig], None], str, int | None]] = {
    "a row edited": (lambda c: tamper(c, "UPDATE events SET actor = 'm' WHERE seq = 2"), "edited", 2),
    "a row deleted": (lambda c: tamper(c, "DELETE FROM events WHERE seq = 2"), "deleted", 2),
    "the end cut": (lambda c: tamper(c, "DELETE FROM events WHERE seq > 2"), "cut", 3),
    "end and checkpoints cut": (
        lambda c: tamper(c, "DELETE FROM events WHERE seq > 2", "DELETE FROM checkpoints WHERE seq > 2"),
        "cut",
        3,
    ),
    "all checkpoints deleted": (lambda c: tamper(c, "DELETE FROM checkpoints"), "checkpoint_missing", None),
    "one checkpoint deleted": (
        lambda c: tamper(c, "DELETE FROM checkpoints WHERE seq = 3"),
        "checkpoint_missing",
        None,
    ),
    "a checkpoint replaced": (
        lambda c: tamper(c, "UPDATE checkpoints SET at = at + 1 WHERE seq = 3"),
        "checkpoint_replaced",
        None,
    ),
    "another hub's database": (other_hub, "other_hub", 1),
    "an old backup": (old_backup, "cut", 5),
    "the key replaced": (replaced_key, "key_replaced", None),
    "the witness taken away": (lambda c: c.audit.file.unlink(), "witness_missing", None),
    "the witness emptied": (lambda c: c.audit.file.write_text(""), "witness_missing", None),
    "the witness of another hub": (
        lambda c: shutil.copy(made(c.folder.path.parent / "other").audit.file, c.audit.file) and None,
        "other_hub",
        None,
    ),
}


@pytest.mark.parametrize("name", DONE)
def test_each_thing_that_is_done_is_named(name: str, config: HubConfig) -> None:
    """Trust: A7, on the hub itself, with its own keys and the file beside the database."""
    act, code, seq = DONE[name]
    act(config)
    assert verified(config) == (False, code, seq)
    assert "does NOT hold" in run(config, "verify")[1]


def test_a_key_put_in_by_hand_is_told_before_anything_is_verified(config: HubConfig) -> None:
    config.folder.audit_key.write_bytes(SigningKey.generate().to_pem())
    code, text = run(config, "verify")
    assert code == 2
    assert "it was replaced" in text


def test_a_restore_that_an_admin_ended_holds(config: HubConfig, tmp_path: Path) -> None:
    """Trust: A7, an old database put back: found; and after `recover` it holds, and says what was given up. Not before
    that does any command sign it.
    """
    old_backup(config)
    assert verified(config) == (False, "cut", 5)
    with admin.open_store(config, 0.0) as store:
        store.write_now(lambda txn: txn.save_recovery(Recovery(NOW, "store", "w", "", 4, 1, 1, voided=True)))
    admin.invite_agent(config, "web-7", [], 600, time.time())
    assert not verified(config)[0]
    recover.finish(config, (), time.time())
    assert verified(config) == (True, "", None)
    assert "a backup was restored: event 6 says that what followed 4 was given up" in run(config, "verify")[1]


def test_an_export_a_verifier_and_a_proof_for_a_stranger(config: HubConfig, tmp_path: Path) -> None:
    """The verifier runs with nothing of Answerback on its path; a changed byte and another key are found."""
    export, pyz, proof = tmp_path / "audit.jsonl", tmp_path / "verify.pyz", tmp_path / "proof.json"
    assert run(config, "export", "-o", str(export))[0] == 0
    code, key = run(config, "key")
    assert code == 0
    done = CliRunner().invoke(hub, ["audit", "verifier", "-o", str(pyz)])
    assert done.exit_code == 0, done.output

    def stranger(*words: str) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-I", str(pyz), *words], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert ended.stderr == ""
        return ended.returncode, ended.stdout

    witness = str(config.audit.file)
    code, text = stranger(str(export), "--key", key.strip(), "--witness", witness)
    assert code == 0, text
    assert "4 rows" in text
    assert verified(config, "--export", str(export)) == (True, "", None)
    assert verified(config, "--export", str(export), "--key", key.strip(), "--witness", witness)[0]
    assert run(config, "prove", "2")[0] == 0
    proof.write_text(run(config, "prove", "2")[1])
    assert stranger("--proof", str(proof), "--key", key.strip()) == (
        0,
        "proven: event 2 (token.made of web-1 by terminal) is in the log that was signed at 4\n",
    )
    proof.write_text(run(config, "prove", "3", "--grown")[1])
    assert stranger("--proof", str(proof), "--key", key.strip())[1].startswith("proven: the log up to 3 is unchanged")
    export.write_bytes(export.read_bytes().replace(b"web-2", b"web-x", 1))
    assert stranger(str(export), "--key", key.strip())[0] == 1
    assert verified(config, "--export", str(export)) == (False, "edited", 3)


def test_an_export_from_a_store_without_the_last_checkpoints_gets_one(config: HubConfig) -> None:
    """What is exported is signed up to its end."""
    with admin.open_store(config, 0.0) as store:
        store.write_now(lambda txn: txn.audit("test.row", "r", "t", {}, NOW))
    export = config.folder.path / "x"
    run(config, "export", "-o", str(export))
    code, text = run(config, "verify", "--json", "--export", str(export))
    assert (code, json.loads(text)["signed_to"]) == (0, 5)


def test_a_new_key(config: HubConfig) -> None:
    """The old one hands on, and all holds; where the old one is lost, that is what verify says, but to who has both
    keys by other means.
    """
    old = run(config, "key")[1].strip()
    assert run(config, "new-key")[0] == 0
    admin.invite_agent(config, "web-5", [], 600, time.time())
    assert verified(config) == (True, "", None)
    assert verified(config, "--key", old) == (True, "", None)
    config.folder.audit_key.unlink()
    code, text = run(config, "verify")
    assert code == 2
    assert "audit new-key" in text
    assert run(config, "new-key")[0] == 0
    keys = run(config, "key")[1].split()
    assert len(keys) == 3
    assert verified(config, "--key", keys[2])[:2] == (False, "key_replaced")
    assert verified(config, "--key", keys[1], "--key", keys[2])[0]


def test_what_is_asked_wrongly(config: HubConfig, tmp_path: Path) -> None:
    """No key, a file that is not there, a proof of what is not signed."""
    for words, told in (
        (("verify", "--key", "nonsense"), "no key of an audit"),
        (("verify", "--witness", str(tmp_path / "none")), "cannot read"),
        (("verify", "--file", str(tmp_path / "none")), "cannot read"),
        (("prove", "99"), "name an event up to there"),
    ):
        code, text = run(config, *words)
        assert code == 2, words
        assert told in text
    done = CliRunner().invoke(hub, ["audit", "verifier", "-o", str(config.path)], standalone_mode=False)
    assert "cannot write" in str(done.exception)
    keys = load_keys(config)
    assert keys.audit.key is not None
    assert replace(keys, audit=replace(keys.audit, key=None)).audit_trusted == keys.audit.pins


def test_the_witness_file_is_made_append_only(config: HubConfig) -> None:
    """Where the disk and the user allow it; else the cure is told. Either way the file goes on."""
    code, text = run(config, "protect")
    file = WitnessFile(config.audit.file, load_keys(config).hub_id)
    if code:
        assert "chattr" in text or "no such attribute" in text
        return
    try:
        assert file.is_append_only()
        admin.invite_agent(config, "web-6", [], 600, time.time())
        assert verified(config) == (True, "", None)
    finally:
        assert run(config, "protect", "--off")[0] == 0
    config.audit.file.unlink()
    assert "it makes it" in run(config, "protect")[1]


def archived(config: HubConfig, rows: int = 60) -> list[Path]:
    """The first events are moved into files, as a serving hub does it; the newest stay."""
    keys = load_keys(config)
    with admin.open_store(config, NOW) as store:
        for number in range(rows):
            store.write_now(lambda txn, n=number: txn.audit("test.row", f"r{n}", "t", {"text": f"canary-{n}"}, NOW))
            if number % 10 == 9:
                admin.sign_changes(store, config, NOW)
        archive = admin.archive_of(config, keys)
        archiver = Archiver(store, archive, keys.audit.key, lambda: NOW, _no_pause, 20)
        assert asyncio.run(archiver.run(NOW + 1)) > 0
    return [file.path for file in archive.files()]


async def _no_pause(seconds: float) -> None: ...


def test_the_archive_and_the_database_are_one_log(config: HubConfig, tmp_path: Path) -> None:
    """Verified, exported, proven and read as before; an export of it needs no archive to be verified."""
    files = archived(config)
    assert len(files) >= 2
    assert verified(config) == (True, "", None)
    code, text = run(config, "read", "--kind", "test.", "--from", "10")
    assert code == 0
    seqs = [json.loads(line)["seq"] for line in text.splitlines()]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    first = int(files[1].name.split("-")[1])
    code, text = run(config, "read", "--from", "2", "--to", str(first))
    assert [json.loads(line)["seq"] for line in text.splitlines()] == list(range(2, first + 1))
    export = tmp_path / "audit.jsonl"
    assert run(config, "export", "-o", str(export))[0] == 0
    assert export.read_text().count('"kind":"test.row"') == 60
    assert verified(config, "--export", str(export)) == (True, "", None)
    proof = tmp_path / "proof.json"
    code, text = run(config, "prove", "5")
    proof.write_text(text)
    assert code == 0
    assert main(["--proof", str(proof), "--key", _key(config)]) == 0


def _key(config: HubConfig) -> str:
    return run(config, "key")[1].split()[-1]


def test_a_file_of_the_archive_that_is_gone_is_named_by_every_command(config: HubConfig, tmp_path: Path) -> None:
    files = archived(config)
    kept = files[0].read_bytes()
    files[0].unlink()
    assert verified(config) == (False, "archive_missing", 1)
    for words in (["export", "-o", str(tmp_path / "e")], ["prove", "5"], ["read"]):
        code, text = run(config, *words)
        assert (code, "is missing: put the file back" in text) == (1, True), text
    files[0].write_bytes(kept[:-1])
    ok, code_of, _ = verified(config)
    assert (ok, code_of) == (False, "archive_changed")
    files[0].write_bytes(kept)
    assert verified(config) == (True, "", None)


def test_a_backup_names_the_archive(config: HubConfig, tmp_path: Path) -> None:
    """It is not in it: the chain in it holds with the files, and one that is put back without them says so."""
    files = archived(config)
    done = backup(config, tmp_path / "b.tar", "pass phrase of some length", NOW)
    assert any(f"{len(files)} files of the audit's archive in" in line for line in done.advice)
    restore(tmp_path / "b.tar", tmp_path / "new", "pass phrase of some length", NOW)
    new = load_config(tmp_path / "new" / "hub.toml")
    assert verified(new)[1] == "archive_missing"
    shutil.copytree(config.audit.archive, new.audit.archive)
    assert verified(new)[1] != "archive_missing"
