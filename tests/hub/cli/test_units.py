"""answerback-hub units: the units of this installation, for this hub's folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import hub.cli.main
from hub.chat.inlets import load_config
from hub.cli.units import UNITS, fit_unit, next_steps, unit_texts, warnings
from tests.run_main import run_main

ANALYZE = shutil.which("systemd-analyze")
STANDARD = Path("/var/lib/answerback/hub.toml")


def test_the_standard_places_are_left_as_they_are() -> None:
    """/opt/answerback and /var/lib/answerback: not a byte is changed."""
    for text in unit_texts().values():
        assert fit_unit(text, "/opt/answerback/bin", STANDARD, []) == text


def test_another_folder_and_other_programs() -> None:
    """Programs, hub.toml, the condition, and what may be written; a blank and a percent sign are systemd's to quote."""
    text = unit_texts()["answerback-hub.service"]
    fitted = fit_unit(text, "/srv/venv/bin", Path("/etc/answer back/hub.toml"), [Path("/data/50%")])
    assert "ExecStart=/srv/venv/bin/answerback-hub serve --config /etc/answer back/hub.toml" in fitted
    assert "ConditionPathExists=/etc/answer back/hub.toml" in fitted
    assert 'ReadWritePaths="/etc/answer back" /data/50%%' in fitted
    assert "StateDirectory" not in fitted
    assert "/var/lib/answerback" not in fitted
    lines = fitted.splitlines()
    pairs = zip(["", *lines], lines, strict=False)
    assert [line for before, line in pairs if re.match(r"[A-Z]\w+=", line) and before[:1] != "#"] == []


def test_a_store_elsewhere_may_be_written() -> None:
    """Also where the folder is the standard one."""
    text = unit_texts()["answerback-hub.service"]
    assert "ReadWritePaths=/data" in fit_unit(text, "/opt/answerback/bin", STANDARD, [Path("/data")])


def test_what_the_sandbox_would_hide_is_told() -> None:
    """A virtual environment or a hub in a home folder."""
    assert warnings("/opt/answerback/bin", STANDARD) == []
    assert "install into /opt/answerback" in warnings("/home/alice/venv/bin", STANDARD)[0]
    assert "move the hub" in warnings("/opt/answerback/bin", Path("/root/hub/hub.toml"))[0]


def test_the_command_writes_them(tmp_path: Path) -> None:
    """Three files of mode 0644, and what is left to do; systemd takes them."""
    made = tmp_path / "hub"
    assert run_main(hub.cli.main.main, "init", str(made), "--admin", "alice").code == 0
    ended = run_main(hub.cli.main.main, "units", str(tmp_path / "units"), "--config", str(made / "hub.toml"))
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == sorted(UNITS)
    assert (tmp_path / "units" / UNITS[0]).stat().st_mode & 0o777 == 0o644
    for words in ("useradd", f"chown -R answerback: {made}", "operator profile", "enable --now answerback-hub"):
        assert words in ended.text
    assert load_config(made / "hub.toml").path == made / "hub.toml"
    if ANALYZE:
        copy = tmp_path / UNITS[0]
        copy.write_text(re.sub(r"/\S+/bin/answerback-hub", "/bin/true", (tmp_path / "units" / UNITS[0]).read_text()))
        found = subprocess.run([ANALYZE, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60)
        assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_next_steps_name_the_folder() -> None:
    """Written elsewhere, the unit is copied first."""
    programs = "/opt/answerback/bin"
    assert not any("cp " in step for step in next_steps(Path("/etc/systemd/system"), programs, STANDARD))
    assert any("cp /u/answerback-hub.service" in step for step in next_steps(Path("/u"), programs, STANDARD))


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_is_found(name: str) -> None:
    """In the checkout here; tests/test_wheel.py looks into the wheel."""
    assert "ExecStart=/opt/answerback/bin/" in unit_texts()[name]
