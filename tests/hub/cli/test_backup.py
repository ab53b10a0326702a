"""`answerback-hub backup` and `restore`: a hub in one file, and put back."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from common.errors import UserError, WorkFailed
from hub.chat.inlets import load_config
from hub.cli import admin
from hub.cli.backup import backup, check_passphrase, is_sealed, restore
from hub.cli.init import init
from hub.config import HubConfig
from hub.identity.keys import load_keys
from hub.store.restored import CODE_STEP
from hub.store.store import Store

NOW = time.time()
WORDS = "correct horse battery"


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    return load_config(summary.folder.config)


def contents(folder: Path) -> dict[str, bytes]:
    """What `init` has made and people edit."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "data/" not in path.as_posix() and not path.name.startswith(("store.", "audit.witness"))
    }


def test_a_hub_is_put_back_whole_and_comes_up_in_recovery(config: HubConfig, tmp_path: Path) -> None:
    """While it serves; its files, modes and store; private throughout; the copy is of the moment."""
    store = Store.open(config.store.url, folder=config.folder.path, clock=lambda: NOW)
    store.acquire()
    store.write_now(lambda txn: txn.audit("test.row", "x", "t", {}, NOW))
    (config.folder.path / "store.taken").write_bytes(b"messages of before the backup")
    done = backup(config, tmp_path / "b.tar", WORDS, NOW)
    store.write_now(lambda txn: txn.audit("test.late", "x", "t", {}, NOW))
    store.close()
    assert (done.sealed, done.rows, done.advice) == (True, 2, ())
    assert done.path.stat().st_mode & 0o777 == 0o600
    assert is_sealed(done.path)
    data = done.path.read_bytes()
    assert load_keys(config).authority.key_pem[30:80] not in data
    assert (config.folder.path / "secrets" / "ops").read_bytes() not in data
    back = restore(done.path, tmp_path / "new", WORDS, NOW)
    assert back.advice == ()
    assert not (tmp_path / "new" / "store.taken").exists()
    assert contents(tmp_path / "new") == contents(config.folder.path)
    for path in (tmp_path / "new").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    again = load_config(tmp_path / "new" / "hub.toml")
    assert load_keys(again).hub_id == load_keys(config).hub_id == back.hub
    with admin.open_store(again, NOW) as restored:
        record = restored.read_now(lambda txn: txn.recovery())
        kinds = [event.kind for event in restored.read_now(lambda txn: txn.events())]
        alice = restored.read_now(lambda txn: txn.person("alice"))
        assert alice is not None
        assert (alice.roles, alice.revoked_at) == (("admin",), None)
        assert alice.totp_last_step > NOW // CODE_STEP  # codes of before count no more, and her row is this hub's
    assert record is not None
    assert (record.active, record.cause, record.witness) == (True, "restore", "b.tar")
    assert kinds == ["hub.created", "test.row", "hub.restored"]


def test_nothing_is_written_over(config: HubConfig, tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    backup(config, target, WORDS, NOW)
    before = target.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        backup(config, target, WORDS, NOW)
    assert target.read_bytes() == before
    with pytest.raises(UserError, match="is not empty"):
        restore(target, config.folder.path, WORDS, NOW)
    with pytest.raises(UserError, match="sealed secrets"):
        restore(target, tmp_path / "new", None, NOW)
    with pytest.raises(UserError, match="do not open"):
        restore(target, tmp_path / "new", WORDS + "x", NOW)
    assert not (tmp_path / "new").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "hub"]


def test_without_secrets_it_says_what_is_missing(config: HubConfig, tmp_path: Path) -> None:
    done = backup(config, tmp_path / "b.tar", None, NOW)
    assert not done.sealed
    assert "join anew" in done.advice[0]
    back = restore(tmp_path / "b.tar", tmp_path / "new", None, NOW)
    assert "by hand" in back.advice[-1]
    assert not (tmp_path / "new" / "secrets").exists()
    assert not (tmp_path / "new" / "profile" / "key.pem").exists()
    # Put back by hand: then people are who they were, and no code counts twice.
    missing = shutil.ignore_patterns("data", "store.*", "audit.*")
    shutil.copytree(config.folder.path, tmp_path / "new", dirs_exist_ok=True, ignore=missing)
    with admin.open_store(load_config(tmp_path / "new" / "hub.toml"), NOW) as store:
        store.acquire()
        alice = store.read_now(lambda txn: txn.person("alice"))
    assert alice is not None
    assert (alice.roles, alice.totp_last_step > NOW // CODE_STEP) == (("admin",), True)


def test_what_lies_elsewhere_is_named(config: HubConfig, tmp_path: Path) -> None:
    """Files outside the folder, a store outside it, a database that is no file."""
    policy = tmp_path / "policy.toml"
    policy.write_bytes(config.policy.file.read_bytes())
    text = config.path.read_text()
    config.path.write_text(text.replace("[policy]\n", f'[policy]\nfile = "{policy}"\n', 1))
    done = backup(load_config(config.path), tmp_path / "b.tar", WORDS, NOW)
    assert any(str(policy) in line for line in done.advice)


def test_a_store_that_is_damaged_is_no_backup(config: HubConfig, tmp_path: Path) -> None:
    """It is told, and no file is left that looks like one."""
    with admin.open_store(config, NOW) as store:
        for row in range(200):
            store.write_now(lambda txn, r=row: txn.audit("test.row", f"{r}", "t", {"x": "y" * 500}, NOW))
    path = config.folder.path / "data" / "answerback.sqlite"
    data = bytearray(path.read_bytes())
    at = data.rfind(b"test.row")
    data[at : at + 8] = b"test.cow"
    path.write_bytes(data)
    with pytest.raises((WorkFailed, UserError)):
        backup(config, tmp_path / "b.tar", WORDS, NOW)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["hub"]


def test_a_short_passphrase_is_refused() -> None:
    assert check_passphrase("0123456789") == "0123456789"
    with pytest.raises(UserError, match="at least 10"):
        check_passphrase("012345678")
