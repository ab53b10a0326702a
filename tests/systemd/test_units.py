"""systemd/: the units are accepted by systemd, explain themselves, and start what exists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.cli import _parser
from agent.state import SOCKET_VARIABLE
from hub.cli.main import hub

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
DROP_IN = FOLDER / "answerback-runner.root.conf"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")


def settings(unit: Path) -> dict[str, list[str]]:
    """Every directive of a unit with its values, sections aside."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if match := re.fullmatch(r"([A-Z]\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def test_the_three_units_are_there() -> None:
    """Hub, uplink and runner, and instructions beside them."""
    names = ["answerback-agent.service", "answerback-hub.service", "answerback-runner.service"]
    assert [unit.name for unit in UNITS] == names
    assert (FOLDER / "README.md").exists()


@pytest.mark.parametrize("unit", [*UNITS, DROP_IN], ids=lambda unit: unit.stem)
def test_every_line_has_its_reason(unit: Path) -> None:
    """Each directive stands under a comment of its own."""
    lines = unit.read_text().splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"[A-Z]\w+=", line) and not re.match(r"# .{8,}", before)
    ]
    assert bare == []


@needs_systemd
@pytest.mark.parametrize("level", ["system"])
def test_systemd_finds_nothing_to_say(level: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` on all three together, silent.

    The programs are not installed on the machine that tests, and verify wants them to exist: in the copies that it is
    given /opt/answerback/bin/… is a program that does. The next test holds the true command lines to the commands.
    """
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        copy.write_text(re.sub(r"/opt/answerback/bin/[\w-]+", "/bin/true", unit.read_text()))
        copies.append(str(copy))
    done = subprocess.run(
        [ANALYZE or "", "verify", "--man=no", f"--{level}", *copies], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_runner_is_root_by_a_drop_in_alone(tmp_path: Path) -> None:
    """Trust: what a machine joins with only reads, and needs no root; the drop-in gives back what the unit takes."""
    runner = settings(FOLDER / "answerback-runner.service")
    assert runner["User"] == ["answerback-runner"]
    assert (runner["NoNewPrivileges"], runner["CapabilityBoundingSet"]) == (["yes"], [""])
    drop_in = settings(DROP_IN)
    assert drop_in["User"] == ["root"]
    assert (drop_in["NoNewPrivileges"], drop_in["CapabilityBoundingSet"]) == (["no"], ["~"])
    assert drop_in["ProtectSystem"] == ["no"]
    if ANALYZE is None:
        return
    unit = tmp_path / "answerback-runner.service"
    unit.write_text(
        re.sub(r"/opt/answerback/bin/[\w-]+", "/bin/true", (FOLDER / "answerback-runner.service").read_text())
    )
    (tmp_path / "answerback-runner.service.d").mkdir()
    shutil.copy(DROP_IN, tmp_path / "answerback-runner.service.d" / "root.conf")
    done = subprocess.run([ANALYZE, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_verify_would_find_a_mistake(tmp_path: Path) -> None:
    """The check above can fail: a misspelt directive is reported."""
    copy = tmp_path / "answerback-agent.service"
    text = (FOLDER / "answerback-agent.service").read_text().replace("WatchdogSec=", "WatchdogSecs=")
    copy.write_text(text.replace("/opt/answerback/bin/answerback-agent", "/bin/true"))
    done = subprocess.run([ANALYZE or "", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60)
    assert "WatchdogSecs" in done.stderr


@pytest.mark.parametrize("name", ["agent", "runner"])
def test_the_agent_s_command_lines_are_taken(name: str) -> None:
    """ExecStart of uplink and runner parses, and both mean the same folder and socket."""
    (line,) = settings(FOLDER / f"answerback-{name}.service")["ExecStart"]
    program, *arguments = shlex.split(line)
    assert program == "/opt/answerback/bin/answerback-agent"
    options = _parser().parse_args(arguments)
    assert options.command == {"agent": "uplink", "runner": "runner"}[name]
    assert options.state == "/var/lib/answerback-agent"
    assert options.socket == "/run/answerback-runner/runner.sock"


@pytest.mark.parametrize(("unit", "which"), [("agent", "uplink"), ("runner", "runner")])
def test_a_reload_goes_on_as_the_installed_version(unit: str, which: str) -> None:
    """ExecReload of uplink and runner parses, and upgrades that one alone, which the unit's user may signal."""
    (line,) = settings(FOLDER / f"answerback-{unit}.service")["ExecReload"]
    program, *arguments = shlex.split(line)
    assert program == "/opt/answerback/bin/answerback-agent"
    options = _parser().parse_args(arguments)
    assert (options.command, options.only, options.state) == ("upgrade", which, "/var/lib/answerback-agent")


def test_the_hub_s_command_line_is_taken() -> None:
    """ExecStart of the hub parses down to `serve`, and means the folder that the unit lets it write."""
    unit = settings(FOLDER / "answerback-hub.service")
    (line,) = unit["ExecStart"]
    program, *arguments = shlex.split(line)
    assert program == "/opt/answerback/bin/answerback-hub"
    assert arguments[0] == "serve"
    with hub.commands["serve"].make_context("serve", arguments[1:]) as context:
        assert context.params == {"config_file": "/var/lib/answerback/hub.toml"}
    assert unit["StateDirectory"] == ["answerback"]
    assert unit["ConditionPathExists"] == ["/var/lib/answerback/hub.toml"]


def test_nothing_ties_the_runner_to_the_uplink() -> None:
    """A restart of the uplink must not touch the jobs: no dependency that would stop the runner, no shared group."""
    uplink, runner = (settings(FOLDER / f"answerback-{name}.service") for name in ("agent", "runner"))
    for unit in (uplink, runner):
        assert not unit.keys() & {"BindsTo", "PartOf", "Requires", "Requisite", "Upholds", "Slice"}
    assert uplink["Wants"] == ["answerback-runner.service"]
    assert runner["KillMode"] == ["mixed"]
    assert "WatchdogSec" not in runner or runner["WatchdogSec"] == ["0"]
    assert runner["OOMPolicy"] == ["continue"]


def test_the_uplink_has_no_privilege() -> None:
    """The process that faces the network: no root, no capability, no writable system, no set-user-ID."""
    uplink = settings(FOLDER / "answerback-agent.service")
    assert uplink["User"] == ["answerback-agent"]
    assert uplink["CapabilityBoundingSet"] == [""]
    assert uplink["NoNewPrivileges"] == ["yes"]
    assert uplink["ProtectSystem"] == ["strict"]
    assert "ReadWritePaths" not in uplink
    assert uplink["StateDirectory"] == ["answerback-agent/uplink"]
    assert settings(FOLDER / "answerback-runner.service")["StateDirectory"] == ["answerback-agent/runner"]


@needs_systemd
@pytest.mark.parametrize(("name", "most"), [("agent", 1.5), ("hub", 1.5)])
def test_exposure_stays_low(name: str, most: float) -> None:
    """systemd's own estimate of what a break-in would reach, 0 to 10, for the two that face the network."""
    unit = FOLDER / f"answerback-{name}.service"
    done = subprocess.run(
        [ANALYZE or "", "security", "--offline=true", "--no-pager", f"--threshold={most * 10:.0f}", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-300:]


def test_the_instructions_name_what_the_units_use() -> None:
    """Users, folders and units of the README are the units' own, and the variable for the socket is told."""
    text = (FOLDER / "README.md").read_text()
    for unit in UNITS:
        assert unit.name.removesuffix(".service") in text
        for user in settings(unit).get("User", []):
            assert user in text
    assert "/var/lib/answerback-agent" in text
    assert SOCKET_VARIABLE in text
    assert json.dumps("/opt/answerback")[1:-1] in text
