"""answerback itself: logging in, whom one is, exit statuses, errors without a traceback."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

import tui.cli.main
from common.version import VERSION
from tests.end_to_end.system import ROOT
from tests.run_main import CommandResult, run_main
from tests.tui import rows
from tests.tui.live_hub import LiveHub
from tui.model.actions import ACTIONS, Action, Kind, cli_command_for
from tui.model.window import Row

pytestmark = pytest.mark.xdist_group("live")
NO_PIN = "sha256:" + "0" * 64


def invited(answerback: LiveHub, name: str, *flags: str) -> list[str]:
    """The words of the login command for a new person, as they are printed."""
    ended = answerback.hub("operator", "add", name, "--role", "viewer", *flags)
    assert ended.code == 0, ended.err
    words = ended.text.split()
    assert words[0] == "answerback"
    return words[1:]


def answerback_alone(*argv: str, stdin: bytes = b"") -> CommandResult:
    return run_main(tui.cli.main.main, *argv, stdin=stdin)


def test_the_printed_command_logs_in(answerback: LiveHub, tmp_path: Path) -> None:
    """Pasted as it is, it makes a profile that works; whose it is and what comes next is said."""
    ended = answerback_alone(*invited(answerback, "dora"), "--profile", str(tmp_path / "dora"))
    assert (ended.code, ended.err) == (0, "")
    said, following = ended.text.splitlines()
    assert "you are dora at hub hub-" in said
    command = following.split("next: ")[1].split()
    assert command == ["answerback", "--profile", str(tmp_path / "dora"), "agents"]
    assert "web-1" in answerback_alone(*command[1:]).text


@pytest.mark.parametrize("way", ["group", "variable", "home"])
def test_where_the_profile_goes(way: str, answerback: LiveHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--profile before the command, $ANSWERBACK_PROFILE, or the home folder; later commands look in the same places."""
    words, before = invited(answerback, f"erik-{way}"), []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    folder = tmp_path / ".config" / "answerback" if way == "home" else tmp_path / way
    if way == "group":
        before = ["--profile", str(folder)]
    elif way == "variable":
        monkeypatch.setenv("ANSWERBACK_PROFILE", str(folder))
    ended = answerback_alone(*before, *words)
    assert ended.code == 0, ended.err
    assert (folder / "profile.toml").exists()
    assert answerback_alone(*before, "agents").code == 0
    assert ("--profile" in ended.text) == (way == "group")


@pytest.mark.parametrize("way", ["input", "variable"])
def test_a_token_that_is_in_no_process_list(
    way: str, answerback: LiveHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From standard input or $ANSWERBACK_TOKEN."""
    invitation = answerback.hub("operator", "add", f"fred-{way}", "--role", "viewer", "--json").json
    words = ["login", invitation["url"], "--ca-pin", invitation["ca_pin"], "--profile", str(tmp_path / "fred")]
    if way == "variable":
        monkeypatch.setenv("ANSWERBACK_TOKEN", invitation["token"])
        ended = answerback_alone(*words)
    else:
        ended = answerback_alone(*words, "--token", "-", stdin=invitation["token"].encode() + b"\n")
    assert ended.code == 0, ended.err


def test_a_token_is_good_once(answerback: LiveHub, tmp_path: Path) -> None:
    """The second use is refused with how to get another; a profile is renewed for its own person, and for another one
    only with --force.
    """
    words = invited(answerback, "gina")
    assert answerback_alone(*words, "--profile", str(tmp_path / "one")).code == 0
    again = answerback_alone(*words, "--profile", str(tmp_path / "two"))
    assert again.code == 1
    assert "used already" in again.err
    assert "operator add" in again.err
    assert "used already" in answerback_alone(*words, "--profile", str(tmp_path / "one")).err
    other = invited(answerback, "hugo")
    there = answerback_alone(*other, "--profile", str(tmp_path / "one"))
    assert there.code == 2
    assert "gina's" in there.err
    assert "--force" in there.err
    new = invited(answerback, "gina")
    assert answerback_alone(*new, "--profile", str(tmp_path / "one")).code == 0
    assert answerback_alone("--profile", str(tmp_path / "one"), "agents").code == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["x"], 2, "Missing option '--ca-pin'"),
        (["wss://127.0.0.1:1", "--ca-pin", NO_PIN], 2, "no token: give --token"),
        (["wss://127.0.0.1:1", "--ca-pin", NO_PIN, "--token", "-"], 2, "no token: give --token"),
        (["wss://127.0.0.1:1", "--ca-pin", NO_PIN, "--token", "x"], 2, "that is no token"),
        (["wss://127.0.0.1:1", "--ca-pin", "sha256:0", "--token", "a.canary"], 2, "CA pin"),
        (["http://127.0.0.1:1", "--ca-pin", NO_PIN, "--token", "a.canary"], 2, "wss://HOST:PORT"),
        (["wss://127.0.0.1:1", "--ca-pin", NO_PIN, "--token", "a.canary"], 1, "nobody listens at 127.0.0.1:1"),
        (["{url}", "--ca-pin", NO_PIN, "--token", "a.canary"], 1, "shows another authority"),
        (["{url}", "--ca-pin", "{pin}", "--token", "a.canary"], 1, "has made no such token"),
        (["{web}", "--ca-pin", "{pin}", "--token", "a.canary"], 1, "does not speak TLS"),
    ],
)
def test_what_keeps_one_out(words: list[str], code: int, told: str, answerback: LiveHub, tmp_path: Path) -> None:
    """Each mistake has its message and its status; no token in it, no traceback, no profile."""
    invitation = answerback.hub("token", "--agent", "web-8", "--json").json
    values = {"url": invitation["url"], "pin": invitation["ca_pin"], "web": f"wss://127.0.0.1:{answerback.rig.http}"}
    given = [word.format(**values) for word in words]
    ended = answerback_alone("login", *given, "--profile", str(tmp_path / "p"))
    assert (ended.code, ended.out) == (code, b"")
    assert told in ended.err
    assert "canary" not in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "p" / "profile.toml").exists()


def test_without_a_profile(tmp_path: Path) -> None:
    """Status 2 and how to get one."""
    ended = answerback_alone("--profile", str(tmp_path / "none"), "agents")
    assert ended.code == 2
    assert f"there is no profile in {tmp_path / 'none'}" in ended.err
    assert "operator add" in ended.err


def test_a_hub_that_is_away(answerback: LiveHub, tmp_path: Path) -> None:
    """Status 1, its address, what to look at."""
    assert answerback_alone(*invited(answerback, "hans"), "--profile", str(tmp_path / "hans")).code == 0
    file = tmp_path / "hans" / "profile.toml"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        file.write_text(file.read_text().replace(f":{answerback.rig.links}", f":{port}"))
        ended = answerback_alone("--profile", str(tmp_path / "hans"), "agents")
    assert ended.code == 1
    assert f"nobody listens at 127.0.0.1:{port}" in ended.err


def test_another_port_of_the_hub(answerback: LiveHub, tmp_path: Path) -> None:
    """The webhook port is not where links are."""
    assert answerback_alone(*invited(answerback, "ines"), "--profile", str(tmp_path / "ines")).code == 0
    file = tmp_path / "ines" / "profile.toml"
    file.write_text(file.read_text().replace(f":{answerback.rig.links}", f":{answerback.rig.http}"))
    ended = answerback_alone("--profile", str(tmp_path / "ines"), "agents")
    assert ended.code == 1
    assert "does not speak TLS" in ended.err


def test_somebody_who_was_removed(answerback: LiveHub, tmp_path: Path) -> None:
    """Status 3, what happened and the way back; a new login is a new start."""
    profile = str(tmp_path / "jana")
    assert answerback_alone(*invited(answerback, "jana"), "--profile", profile).code == 0
    assert answerback.hub("operator", "remove", "jana").code == 0
    ended = answerback_alone("--profile", profile, "agents")
    assert ended.code == 3
    assert "refused jana" in ended.err
    assert "revoked" in ended.err
    assert answerback_alone(*invited(answerback, "jana"), "--profile", profile, "--force").code == 0
    assert answerback_alone("--profile", profile, "agents").code == 0


def test_a_certificate_that_is_due_is_renewed_by_the_way(answerback: LiveHub, tmp_path: Path) -> None:
    """By the real hub: the next generation is in use after a plain command, which prints what it always prints."""
    profile = tmp_path / "kurt"
    assert answerback_alone(*invited(answerback, "kurt"), "--profile", str(profile)).code == 0
    file = profile / "certificate.json"
    validity = json.loads(file.read_text())
    file.write_text(json.dumps({**validity, "not_before": validity["not_before"] - 100 * 86_400.0}))
    for expected in (2, 2):  # the second command finds nothing to do
        ended = answerback_alone("--profile", str(profile), "agents")
        assert (ended.code, ended.err) == (0, "")
        assert json.loads(file.read_text())["generation"] == expected
    renewed = [event for event in answerback.rig.events() if event["kind"] == "credential.renewed"]
    assert [event["subject"] for event in renewed] == ["kurt"]


def test_a_renewal_that_is_refused_is_told_beside_the_work(answerback: LiveHub, tmp_path: Path) -> None:
    """A warning on standard error; the command does its work."""
    profile = tmp_path / "lena"
    assert answerback_alone(*invited(answerback, "lena"), "--profile", str(profile)).code == 0
    file = profile / "certificate.json"
    validity = json.loads(file.read_text())
    before = validity["not_before"] - 100 * 86_400.0
    file.write_text(json.dumps({**validity, "not_before": before, "generation": 9}))
    ended = answerback_alone("--profile", str(profile), "agents", "--json")
    assert ended.code == 0
    assert ended.json
    assert "the certificate of lena could not be renewed" in ended.err


@pytest.mark.parametrize("argv", [["frobnicate"], ["agents", "--frob"], ["queue", "extra"], ["jobs", "--limit", "0"]])
def test_wrong_usage(argv: list[str]) -> None:
    """Status 2 and a hint on standard error."""
    ended = answerback_alone(*argv)
    assert (ended.code, ended.out) == (2, b"")
    assert "Usage: " in ended.err


def test_version_and_help() -> None:
    """Status 0, on standard output; the help shows the way in."""
    assert answerback_alone("--version").text.split()[-1] == VERSION
    told = answerback_alone("--help")
    assert told.code == 0
    assert "answerback login" in told.text


def test_the_module_is_the_command() -> None:
    """`python -m tui` is what the wheel installs as answerback."""
    ended = subprocess.run([sys.executable, "-m", "tui", "--version"], cwd=ROOT, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert VERSION in ended.stdout.decode()


# ---- the console's acts from the command line

SAMPLES = {"WHY": "not now", "N": "5", "R": "r42", "done|failed": "done", "COMMAND": "uptime", "SELECTOR": "role=web"}
TWINS = [act for act in ACTIONS if act.cli_command]
ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
ROWS: dict[Kind, Row] = {
    "request": rows.request(42, plan_hash="8f3d" * 16),
    "job": rows.job(42, id=ID, agent="web-1"),
    "agent": rows.agent("web-1"),
    "event": rows.event(42, subject=ID),
}


def test_every_act_that_changes_something_has_a_twin() -> None:
    """What the console does can be done without it."""
    assert not [act.id for act in ACTIONS if act.mutates and not act.cli_command]


@pytest.mark.parametrize(
    ("act", "kind"),
    [(act, kind) for act in TWINS for kind in sorted(act.kinds & ROWS.keys()) or [""]],
    ids=lambda value: getattr(value, "id", value),
)
def test_the_twin_that_help_names_is_a_command_line(act: Action, kind: Kind) -> None:
    """With something in each of its places the command of that name takes every word of it, and its help shows an
    example of itself."""
    words = shlex.split(cli_command_for(act, ROWS.get(kind)))
    assert words[0] == "answerback"
    command = tui.cli.main.answerback.commands[words[1]]
    given = [SAMPLES.get(word, word) for word in words[2:]]
    parsed = command.make_context(words[1], given)
    assert not parsed.args
    assert f"answerback {words[1]} " in command.get_help(click.Context(command)) or not given


def test_every_command_teaches_with_an_example() -> None:
    """Its help has a line that begins as one would type it."""
    for name, command in tui.cli.main.answerback.commands.items():
        if name != "login":
            assert re.search(rf"^ *answerback {name}\b", command.get_help(click.Context(command)), re.MULTILINE), name
