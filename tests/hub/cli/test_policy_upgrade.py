"""`policy upgrade`: later defaults in an edited policy.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

import hub.cli.main
from common.errors import UserError
from hub.cli import policy_upgrade
from hub.cli.policy_upgrade import base_file, plan_upgrade
from tests.run_main import CommandResult, run_main

EARLIER = ("time_limit = 30\n", "time_limit = 29\n")  # what an earlier version's defaults had


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hub that was set up with defaults of an earlier version."""
    made = tmp_path / "hub"
    assert run_main(hub.cli.main.main, "init", str(made), "--admin", "alice").code == 0
    for file in (made / "policy.toml", base_file(made / "policy.toml")):
        file.write_text(file.read_text().replace(*EARLIER, 1))
    return made


def upgrade(folder: Path, *argv: str) -> CommandResult:
    return run_main(hub.cli.main.main, "policy", "upgrade", *argv, "--config", str(folder / "hub.toml"))


def test_an_edited_file_gets_the_new_defaults(folder: Path) -> None:
    """Shown first, written on demand; people's own rule and change stay, the file from before is kept, and a second
    upgrade finds nothing to do.
    """
    file = folder / "policy.toml"
    mine = file.read_text().replace('id = "uptime"\n', 'id = "uptime"\nroles = ["viewer"]\n', 1)
    mine += '\n[[rule]]\nid = "own"\nabout = "mine"\nprogram = "/opt/bin/own"\nverdict = "allow"\n'
    file.write_text(mine)
    shown = upgrade(folder)
    assert (shown.code, file.read_text()) == (0, mine)
    assert "-time_limit = 29" in shown.text
    assert "+time_limit = 30" in shown.text
    assert "new text: rule disk-free" in shown.text
    assert upgrade(folder, "--write").code == 0
    merged = file.read_text()
    assert "time_limit = 29" not in merged
    assert 'roles = ["viewer"]' in merged
    assert 'id = "own"' in merged
    assert (folder / "policy.toml.before").read_text() == mine
    assert file.stat().st_mode & 0o777 == 0o600
    assert upgrade(folder).text == "nothing to merge\n"


def test_what_both_changed_is_left_to_decide(folder: Path) -> None:
    """Exit 1, the table by name, and both texts for programs; the rest is merged all the same."""
    file = folder / "policy.toml"
    file.write_text(file.read_text().replace("time_limit = 29", "time_limit = 11", 1))
    told = upgrade(folder, "--json")
    (conflict,) = told.json["conflicts"]
    assert (told.code, conflict["table"]) == (1, "rule disk-free")
    assert "time_limit = 11" in conflict["mine"]
    assert "time_limit = 30" in conflict["defaults"]
    done = upgrade(folder, "--write")
    assert (done.code, "time_limit = 11" in file.read_text()) == (1, True)
    assert "left as it is, to decide: rule disk-free (you changed it, and so did the defaults)" in done.text


def test_a_hub_from_before_has_no_base(folder: Path) -> None:
    """There a table that differs is left, and said so; the first --write makes a base."""
    base_file(folder / "policy.toml").unlink()
    told = upgrade(folder, "--write")
    assert "rule disk-free (it differs from the defaults)" in told.text
    assert base_file(folder / "policy.toml").read_bytes() == policy_upgrade.defaults()


def test_nothing_is_written_that_does_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that does not read is named; and so is a merge that would not."""
    file = folder / "policy.toml"
    monkeypatch.setattr(policy_upgrade, "defaults", lambda: b'default = "perhaps"\n')
    with pytest.raises(UserError, match="would not read"):
        plan_upgrade(file)
    file.write_text("default = ")
    before = file.read_bytes()
    assert upgrade(folder, "--write").code == 2
    assert file.read_bytes() == before
