"""The commands `backup` and `restore`: where the passphrase comes from, and what they print."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import UserError
from hub.cli import admin
from hub.cli.init import init
from hub.cli.main import hub

NOW = time.time()
WORDS = "correct horse battery"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    return summary.folder.config


def run(*argv: str, **env: str) -> str:
    done = CliRunner().invoke(hub, list(argv), standalone_mode=False, env=env)
    if done.exception is not None:
        raise done.exception
    return done.output


def test_a_passphrase_comes_from_a_file_or_the_environment(config: Path, tmp_path: Path) -> None:
    """Never from an argument; a file that others can read is refused; both at once are too many."""
    secret = tmp_path / "passphrase"
    secret.write_text(WORDS + "\n")
    secret.chmod(0o644)
    where = ["--config", str(config)]
    file = ["--passphrase-file", str(secret)]
    with pytest.raises(UserError, match="lets others at a secret"):
        run("backup", str(tmp_path / "a.tar"), *file, *where)
    secret.chmod(0o600)
    made = json.loads(run("backup", str(tmp_path / "a.tar"), *file, "--json", *where))
    assert made["sealed"]
    with pytest.raises(UserError, match="exclude each other"):
        run("backup", str(tmp_path / "b.tar"), *file, "--passphrase-env", "WORDS", *where, WORDS=WORDS)
    with pytest.raises(UserError, match="WORDS is not set"):
        run("backup", str(tmp_path / "b.tar"), "--passphrase-env", "WORDS", *where)
    with pytest.raises(UserError, match="no passphrase"):
        run("backup", str(tmp_path / "b.tar"), *where)
    with pytest.raises(UserError, match="too short"):
        run("backup", str(tmp_path / "b.tar"), "--passphrase-env", "WORDS", *where, WORDS="short")
    back = run("restore", str(tmp_path / "a.tar"), str(tmp_path / "new"), "--passphrase-env", "WORDS", WORDS=WORDS)
    assert f"answerback-hub recover --config {tmp_path / 'new' / 'hub.toml'}" in back
    text = run("recover", "--config", str(tmp_path / "new" / "hub.toml"), "--json")
    assert json.loads(text)["cause"] == "restore"


def test_without_secrets_no_passphrase_is_asked_for(config: Path, tmp_path: Path) -> None:
    text = run("backup", str(tmp_path / "a.tar"), "--no-secrets", "--config", str(config))
    assert "left out" in text
    back = json.loads(run("restore", str(tmp_path / "a.tar"), str(tmp_path / "new"), "--json"))
    assert back["store"]
