"""answerback-hub as a person uses it: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def hub(*argv: str, stdin: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "hub", *argv],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hub's folder; the tests of this module change nothing another relies on."""
    folder = tmp_path_factory.mktemp("made") / "hub"
    done = hub("init", str(folder), "--admin", "alice", "--http", "127.0.0.1:18080", "--links", "127.0.0.1:18443")
    assert done.returncode == 0, done.stderr
    assert "answerback-hub serve --config" in done.stdout
    assert (folder / "secrets" / "ops").stat().st_mode & 0o077 == 0
    return str(folder / "hub.toml")


def test_init_never_replaces_a_hub(config: str) -> None:
    """A second init names the file that is there, changes nothing, and exits 2."""
    before = Path(config).read_bytes()
    done = hub("init", str(Path(config).parent))
    assert done.returncode == 2
    assert config in done.stderr
    assert Path(config).read_bytes() == before


def test_help_teaches() -> None:
    """Every command says what it does; the first screen shows how to begin."""
    first = hub("--help").stdout
    assert "answerback-hub init" in first
    for words in (["token"], ["policy", "check"], ["operator", "totp"], ["audit", "verify"], ["agent", "revoke"]):
        done = hub(*words, "--help")
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) > 4


def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    """Named by option or by variable: the file and the cure, status 2."""
    missing = str(tmp_path / "none.toml")
    for done in (hub("check", "--config", missing), hub("check", env={"ANSWERBACK_CONFIG": missing})):
        assert done.returncode == 2
        assert missing in done.stderr
        assert "init" in done.stderr


def test_check(config: str) -> None:
    """Lines for people, one object for scripts."""
    assert "rules" in hub("check", "--config", config).stdout
    assert json.loads(hub("check", "--json", "--config", config).stdout)["inlets"] == ["ops"]


def test_token_prints_the_one_command(config: str) -> None:
    """As text and as JSON, with the pin; wrong usage is status 2."""
    done = hub("token", "--agent", "web-1", "--label", "role=web", "--config", config)
    assert done.stdout.startswith("answerback-agent join wss://127.0.0.1:18443 --token web-1.")
    assert json.loads(hub("token", "--agent", "web-1", "--json", "--config", config).stdout)["name"] == "web-1"
    for wrong in (["--agent", "a/b"], ["--agent", "web-1", "--ttl", "soon"], ["--agent", "web-1", "--label", "x"], []):
        assert hub("token", *wrong, "--config", config).returncode == 2


@pytest.mark.parametrize(
    ("command", "verdict", "status"), [("df -h", "allow", 0), ("rm -rf /", "deny", 3), ("a; b", "deny", 3)]
)
def test_policy_check_of_one_command(config: str, command: str, verdict: str, status: int) -> None:
    """Verdict, reason and rule; a refusal is status 3."""
    done = hub("policy", "check", "--config", config, "--", command)
    assert (done.returncode, done.stdout.split(":")[0]) == (status, verdict)
    row = json.loads(hub("policy", "check", "--json", "--config", config, "--", command).stdout)
    assert set(row) == {"command", "verdict", "reason", "rule"}


def test_policy_check_of_hostile_lines(config: str) -> None:
    """A line each, whatever stands there; the lot is status 0, for each line tells its own."""
    lines = "df -h\n$(id)\n\x1b[31mls\n\n" + "x" * 100_000 + "\n'\n"
    done = hub("policy", "check", "--lines", "-", "--config", config, stdin=lines)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["verdict"] for row in rows] == ["allow"] + ["deny"] * 5
    assert all(row["reason"] for row in rows)
    assert hub("policy", "check", "--config", config).returncode == 2


def test_operators_come_and_go(config: str) -> None:
    """add prints a login command, totp a picture and a URI, remove ends it; nobody is nobody."""
    assert "answerback login wss://" in hub("operator", "add", "bob", "--role", "approver", "--config", config).stdout
    assert "otpauth://" in hub("operator", "totp", "bob", "--config", config).stdout
    assert hub("operator", "remove", "bob", "--config", config).returncode == 0
    gone = hub("operator", "remove", "nobody", "--config", config)
    assert gone.returncode in (1, 2)
    assert "nobody" in gone.stderr
    assert hub("operator", "add", "eve", "--role", "king", "--config", config).returncode == 2


def test_audit_verify_and_export(config: str, tmp_path: Path) -> None:
    """The exported file verifies; a damaged one is status 1 and names what is wrong."""
    file = tmp_path / "audit.jsonl"
    assert hub("audit", "export", "-o", str(file), "--config", config).returncode == 0
    assert "holds" in hub("audit", "verify", "--file", str(file), "--config", config).stdout
    file.write_text(file.read_text().replace("hub.created", "hub.credted", 1))
    done = hub("audit", "verify", "--json", "--file", str(file), "--config", config)
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
