"""answerback-hub as a person uses it: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hub.cli.main
from common.version import VERSION
from tests.run_main import CommandResult, run_main

ROOT = Path(__file__).resolve().parents[3]


def answerback_hub(*argv: str, stdin: bytes = b"") -> CommandResult:
    ended = run_main(hub.cli.main.main, *argv, stdin=stdin)
    assert "Traceback" not in ended.err
    return ended


class Made:
    """A hub's folder; its commands end with --config."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "hub.toml"

    def __call__(self, *argv: str, stdin: bytes = b"") -> CommandResult:
        at = argv.index("--") if "--" in argv else len(argv)
        return answerback_hub(*argv[:at], "--config", str(self.config), *argv[at:], stdin=stdin)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The tests of this module change nothing that another relies on."""
    folder = tmp_path_factory.mktemp("made") / "hub"
    ended = answerback_hub(
        "init", str(folder), "--admin", "alice", "--http", "127.0.0.1:18080", "--links", "127.0.0.1:18443"
    )
    assert ended.code == 0, ended.err
    with (folder / "hub.toml").open("a") as config:
        config.write('\n[people.vera]\nroles = ["viewer"]\n')
    return Made(folder)


# ---- init


def test_init_says_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    """Where webhooks and machines come in, where the secret and the profile are, the two next commands."""
    folder = tmp_path / "hub"
    ended = answerback_hub("init", str(folder), "--admin", "alice", "--links", "127.0.0.1:9443")
    assert (ended.code, ended.err) == (0, "")
    for words in (
        "http://127.0.0.1:8080/webhook/ops",
        str(folder / "secrets" / "ops"),
        "wss://127.0.0.1:9443",
        "sha256:",
        str(folder / "profile"),
        f"answerback-hub serve --config {folder / 'hub.toml'}",
        f"answerback-hub token --agent NAME --config {folder / 'hub.toml'}",
    ):
        assert words in ended.text
    assert answerback_hub("check", "--config", str(folder / "hub.toml")).code == 0


def test_init_with_a_public_address(tmp_path: Path) -> None:
    """Machines and people are told that; the admin's profile, on this machine, goes the short way."""
    hub = Made(tmp_path / "hub")
    words = ["--admin", "alice", "--links", "0.0.0.0:9443", "--public", "hub.example.org:443"]
    assert "wss://hub.example.org:443" in answerback_hub("init", str(hub.folder), *words).text
    assert tomllib.loads(hub.config.read_text())["links"]["public"] == "hub.example.org:443"
    assert "wss://hub.example.org:443 " in hub("token", "--agent", "web-1").text
    assert "wss://hub.example.org:443 " in hub("operator", "add", "bob", "--role", "viewer").text
    profile = tomllib.loads((hub.folder / "profile" / "profile.toml").read_text())
    assert profile["url"] == "wss://127.0.0.1:9443"


def test_init_never_replaces_a_hub(made: Made) -> None:
    """A second init names the file that is there, changes nothing, and exits 2."""
    before = made.config.read_bytes()
    ended = answerback_hub("init", str(made.folder))
    assert ended.code == 2
    assert str(made.config) in ended.err
    assert made.config.read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--admin", "al ice"], "is not a name"),
        (["--http", "8080"], "--http 8080: that is no address: write HOST:PORT"),
        (["--links", "nowhere"], "--links nowhere"),
        (["--public", "hub.example.org"], "--public hub.example.org"),
    ],
)
def test_init_refuses_what_cannot_be(flags: list[str], told: str, tmp_path: Path) -> None:
    """The option and what is wanted, status 2, and nothing is made."""
    ended = answerback_hub("init", str(tmp_path / "hub"), *flags)
    assert (ended.code, ended.out) == (2, b"")
    assert told in ended.err
    assert not (tmp_path / "hub").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_init_where_one_may_not_write(tmp_path: Path) -> None:
    """The folder is named."""
    tmp_path.chmod(0o500)
    assert str(tmp_path) in answerback_hub("init", str(tmp_path / "hub")).err


def test_init_in_the_place_of_a_file(tmp_path: Path) -> None:
    """The path is named, status 2."""
    (tmp_path / "file").write_text("mine")
    ended = answerback_hub("init", str(tmp_path / "file"))
    assert ended.code == 2
    assert str(tmp_path / "file") in ended.err
    assert (tmp_path / "file").read_text() == "mine"


# ---- help, and where the configuration is


def commands(group: click.Group, *before: str) -> list[tuple[str, ...]]:
    """Every command by its words."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found += commands(command, *before, name) if isinstance(command, click.Group) else [(*before, name)]
    return found


@pytest.mark.parametrize("words", commands(hub.cli.main.hub), ids=" ".join)
def test_help_teaches(words: tuple[str, ...]) -> None:
    """Every command shows an example or more of itself."""
    told = answerback_hub(*words, "--help")
    assert told.code == 0
    assert f"answerback-hub {' '.join(words)}" in told.text.split("\n", 1)[1].split("Options:")[0]


def test_the_first_help_shows_how_to_begin() -> None:
    """From init to the first machine, and what the exit statuses mean; every command is listed uncut."""
    told = answerback_hub("--help").text
    for words in ("answerback-hub init", "answerback-hub serve", "answerback-hub token", "Exit status"):
        assert words in told
    assert "..." not in told.split("Commands:")[1]
    assert answerback_hub("--version").text.split()[-1] == VERSION


@pytest.mark.parametrize("words", [("check",), ("token", "--agent", "x"), ("policy", "check", "--", "df"), ("serve",)])
def test_a_configuration_that_is_not_there(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by option or by variable: the file and the cure, status 2."""
    missing = str(tmp_path / "none.toml")
    at = words.index("--") if "--" in words else len(words)
    monkeypatch.delenv("ANSWERBACK_CONFIG", raising=False)
    by_option = answerback_hub(*words[:at], "--config", missing, *words[at:])
    monkeypatch.setenv("ANSWERBACK_CONFIG", missing)
    for ended in (by_option, answerback_hub(*words)):
        assert ended.code == 2
        assert missing in ended.err
        assert "answerback-hub init" in ended.err


def test_the_variable_names_the_configuration(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as no option does."""
    monkeypatch.setenv("ANSWERBACK_CONFIG", str(made.config))
    assert answerback_hub("check").code == 0


@pytest.mark.parametrize("argv", [["frobnicate"], ["check", "--frob"], ["token"], ["audit", "verify", "extra"]])
def test_wrong_usage(argv: list[str]) -> None:
    """Status 2 and a hint on standard error."""
    ended = answerback_hub(*argv)
    assert (ended.code, ended.out) == (2, b"")
    assert "Usage: " in ended.err


# ---- check


def test_check(made: Made) -> None:
    """Lines for people, one object for scripts."""
    told = made("check").text
    assert "inlets ops; people alice, vera" in told
    assert all(line.startswith("ok  ") for line in told.splitlines())
    found = made("check", "--json").json
    assert (found["inlets"], found["people"]) == (["ops"], ["alice", "vera"])
    assert found["rules"] > 50


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("hub.toml", "[http]\nlisten = 8080\n", "hub.toml: [http] listen"),
        ("hub.toml", "[htp]\n", "htp"),
        ("hub.toml", "[people.bob]\nroles = ['king']\n", "king"),
        ("hub.toml", "not toml", "hub.toml"),
        ("policy.toml", "[[rule]]\nid = 'x'\n", "policy.toml"),
        ("runbooks.toml", "[[runbook]]\n", "runbooks.toml"),
        ("ca/ca.key", "nonsense", "ca.key"),
        ("secrets/seal.key", "nonsense", "seal.key"),
        ("keys/job.key", None, "job.key"),
        ("secrets/ops", None, "ops"),
    ],
)
def test_check_names_what_is_wrong(name: str, text: str | None, told: str, tmp_path: Path) -> None:
    """File and key, on standard error, status 2."""
    hub = Made(tmp_path / "hub")
    assert answerback_hub("init", str(hub.folder)).code == 0
    if text is None:
        (hub.folder / name).unlink()
    else:
        (hub.folder / name).write_text(text)
    ended = hub("check")
    assert ended.code == 2
    assert told in ended.err
    ended = hub("check", "--json")
    assert (ended.code, ended.err) == (2, "")
    assert not ended.json["ok"]
    assert any(told in problem for problem in ended.json["problems"])


# ---- machines and people


def test_token_prints_the_one_command(made: Made) -> None:
    """Alone on standard output; what to do with it beside that; all of it in JSON."""
    ended = made("token", "--agent", "web-1", "--label", "role=web", "--label", "site=fra")
    assert ended.text.startswith("answerback-agent join wss://127.0.0.1:18443 --token web-1.")
    assert len(ended.text.splitlines()) == 1
    assert "on web-1, once, within 10m" in ended.err
    found = made("token", "--agent", "web-1", "--ttl", "1h", "--json")
    assert found.err == ""
    assert set(found.json) == {
        "name",
        "kind",
        "url",
        "token",
        "ca_pin",
        "expires_at",
        "command",
        "replaces",
        "approvers",
    }
    assert found.json["command"].split()[4] == found.json["token"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--agent", "a/b"], "'a/b' is no machine name"),
        (["--agent", "web-1", "--ttl", "soon"], "--ttl soon: that is no duration"),
        (["--agent", "web-1", "--ttl", "8d"], "--ttl 8d is out of range"),
        (["--agent", "web-1", "--label", "role"], "'role' is no label"),
        (["--agent", "web-1", "--label", "role=a b"], "'role=a b' is no label"),
        ([], "--agent"),
    ],
)
def test_token_refuses_what_cannot_be(flags: list[str], told: str, made: Made) -> None:
    """Status 2, the option and what is wanted."""
    ended = made("token", *flags)
    assert (ended.code, ended.out) == (2, b"")
    assert told in ended.err


def test_operators_come_and_go(made: Made) -> None:
    """add prints a login command, remove counts what it took back; whoever is removed may be added again."""
    ended = made("operator", "add", "bob", "--role", "approver")
    assert ended.text.startswith("answerback login wss://127.0.0.1:18443 --token bob.")
    assert "by bob, once" in ended.err
    assert made("operator", "add", "bob", "--role", "viewer", "--json").json["kind"] == "operator"
    assert "bob is revoked (0 certificates)" in made("operator", "remove", "bob").text
    assert made("operator", "add", "bob", "--role", "viewer").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["operator", "remove", "nobody"], "no person nobody"),
        (["operator", "totp", "nobody"], "no person nobody"),
        (["operator", "add", "eve", "--role", "king"], "'king' is not one of"),
        (["operator", "add", "e/e", "--role", "viewer"], "'e/e' is no name"),
        (["operator", "add", "eve"], "--role"),
        (["agent", "revoke", "web-9"], "no machine web-9"),
    ],
)
def test_nobody_is_nobody(words: list[str], told: str, made: Made) -> None:
    """Status 2 and the name."""
    ended = made(*words)
    assert (ended.code, ended.out) == (2, b"")
    assert told in ended.err


def test_totp_shows_a_picture_and_the_uri(made: Made) -> None:
    """For a person of the store or of hub.toml; the URI, and a QR code of blocks; in JSON the URI."""
    told = made("operator", "totp", "alice").text
    assert len([line for line in told.splitlines() if line.startswith("otpauth://totp/")]) == 1
    picture = [line for line in told.splitlines() if set(line) & set("█▀▄")]
    assert len(picture) > 15
    assert len({len(line) for line in picture}) == 1
    found = made("operator", "totp", "vera", "--json").json
    assert found["person"] == "vera"
    assert found["uri"] not in told


# ---- policy


@pytest.mark.parametrize(
    ("words", "verdict", "status"),
    [
        (["df -h"], "allow", 0),
        (["df", "-h"], "allow", 0),
        (["systemctl", "restart", "nginx"], "ask", 0),
        (["rm -rf /"], "deny", 3),
        (["a; b"], "deny", 3),
        (["df", "a; b"], "deny", 3),
    ],
)
def test_policy_check_of_one_command(words: list[str], verdict: str, status: int, made: Made) -> None:
    """Verdict, reason and rule, as a line and as one JSON object; a refusal is status 3."""
    ended = made("policy", "check", "--", *words)
    assert (ended.code, ended.text.split(":")[0]) == (status, verdict)
    row = made("policy", "check", "--json", "--", *words)
    assert row.code == status
    assert set(row.json) == {"command", "verdict", "reason", "rule"}
    assert row.json["verdict"] == verdict


def test_policy_check_as_somebody(made: Made) -> None:
    """A viewer runs nothing; somebody unknown is an error that names who is known."""
    assert made("policy", "check", "--as", "vera", "--", "df", "-h").code == 3
    assert made("policy", "check", "--as", "alice", "--", "df", "-h").code == 0
    ended = made("policy", "check", "--as", "eve", "--", "df")
    assert ended.code == 2
    assert "people here: alice, " in ended.err


def test_policy_check_for_a_machine(made: Made) -> None:
    """One that has not joined is an error."""
    ended = made("policy", "check", "--agent", "web-9", "--", "df")
    assert ended.code == 2
    assert "web-9" in ended.err


def rows_of(ended: CommandResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.out.splitlines()]


def test_policy_check_of_hostile_lines(made: Made, tmp_path: Path) -> None:
    """A line each, whatever stands there; the lot is status 0, for each line tells its own."""
    lines = b"df -h\n$(id)\n\x1b[31mls\n\n" + b"x" * 100_000 + b"\n'\n\xff\xfe\n\x00\n" + "ls \u202e\n".encode()
    given = made("policy", "check", "--lines", "-", stdin=lines)
    assert (given.code, given.err) == (0, "")
    assert given.out.isascii()
    rows = rows_of(given)
    assert [row["verdict"] for row in rows] == ["allow"] + ["deny"] * 8
    assert all(row["reason"] for row in rows)
    (tmp_path / "lines").write_bytes(lines)
    assert made("policy", "check", "--json", "--lines", str(tmp_path / "lines")).out == given.out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(lines=st.lists(st.binary(max_size=200).filter(lambda line: b"\n" not in line), min_size=1, max_size=8))
def test_a_row_comes_for_every_line(lines: list[bytes], made: Made) -> None:
    """Whatever bytes they are, in order, with a verdict."""
    rows = rows_of(made("policy", "check", "--lines", "-", stdin=b"\n".join(lines) + b"\n"))
    assert len(rows) == len(lines)
    assert all(row["command"].encode("utf-8", "surrogateescape") == line for row, line in zip(rows, lines, strict=True))
    assert all(row["verdict"] in ("allow", "ask", "deny") for row in rows)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--lines", "x", "--", "df"], "one command after --, or --lines FILE"),
        (["--lines", "/nonexistent/lines"], "cannot read /nonexistent/lines"),
    ],
)
def test_policy_check_of_nothing(words: list[str], told: str, made: Made) -> None:
    """Status 2, with what is wanted."""
    ended = made("policy", "check", *words)
    assert (ended.code, ended.out) == (2, b"")
    assert told in ended.err


def test_policy_check_without_a_command_checks_the_file(tmp_path: Path) -> None:
    """Right: its rules. Wrong: every problem with its line and cure, status 2, also where a command is asked about."""
    hub = Made(tmp_path / "hub")
    assert answerback_hub("init", str(hub.folder)).code == 0
    assert "rules" in hub("policy", "check").text
    with (hub.folder / "policy.toml").open("a") as file:
        file.write('[[rule]]\nid = "a"\n[[deny]]\nnames = ["Rm"]\n')
    for words in (["policy", "check"], ["policy", "check", "--", "df"]):
        ended = hub(*words)
        assert (ended.code, ended.out) == (2, b"")
        assert ended.err.count("policy.toml: line ") >= 2


def test_a_file_of_lines_has_a_bound(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named and nothing is judged."""
    monkeypatch.setattr("hub.cli.admin.MAX_LINES_FILE", 1000)
    (tmp_path / "lines").write_bytes(b"df\n" * 400)
    ended = made("policy", "check", "--lines", str(tmp_path / "lines"))
    assert (ended.code, ended.out) == (2, b"")
    assert "larger than 1000 bytes" in ended.err


# ---- audit


def test_audit_verify_and_export(made: Made, tmp_path: Path) -> None:
    """The store and the exported file verify; the export is the same on standard output."""
    file = tmp_path / "audit.jsonl"
    assert made("audit", "export", "-o", str(file)).code == 0
    assert made("audit", "export").out == file.read_bytes()
    for flags in ([], ["--file", str(file)]):
        assert "the audit holds" in made("audit", "verify", *flags).text
        assert made("audit", "verify", "--json", *flags).json["ok"] is True


@pytest.mark.parametrize(
    ("before", "after"), [(b"hub.created", b"hub.creat3d"), (b'"admin":"alice"', b'"admin":"malice"'), (b"\n", b"\n\n")]
)
def test_a_damaged_export(before: bytes, after: bytes, made: Made, tmp_path: Path) -> None:
    """Status 1, and what does not hold."""
    file = tmp_path / "audit.jsonl"
    made("audit", "export", "-o", str(file))
    assert before in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(before, after, 1))
    ended = made("audit", "verify", "--file", str(file))
    assert ended.code == 1
    assert "does NOT hold" in ended.text
    assert made("audit", "verify", "--json", "--file", str(file)).json["ok"] is False


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["verify", "--file", "/nonexistent/audit"], "cannot read /nonexistent/audit"),
        (["export", "-o", "/nonexistent/audit"], "cannot write /nonexistent/audit"),
        (["export", "-o", "/dev/full"], "cannot write /dev/full"),
    ],
)
def test_files_that_cannot_be_used(words: list[str], told: str, made: Made) -> None:
    """Status 2 and the name."""
    ended = made("audit", *words)
    assert ended.code == 2
    assert told in ended.err


# ---- the process


def test_a_reader_that_leaves_is_no_error(made: Made) -> None:
    """`answerback-hub audit export | head -0`: no traceback, status 1."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "hub", "audit", "export", "--config", str(made.config)]
    ended = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_the_module_is_the_command() -> None:
    """`python -m hub` is what the wheel installs as answerback-hub; the small commands load no server."""
    program = (
        "import sys, hub.cli.main\n"
        "heavy = {'starlette', 'uvicorn', 'aiohttp', 'uvloop', 'textual'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    ended = subprocess.run([sys.executable, "-m", "hub", "--version"], cwd=ROOT, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
