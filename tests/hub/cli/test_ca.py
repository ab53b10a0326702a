"""The commands of `answerback-hub ca`: what people and scripts get, and that no key is shown."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli import admin
from hub.cli.init import init
from hub.cli.main import hub
from hub.config import HubConfig
from hub.identity.authorities import load_authorities

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    return load_config(summary.folder.config)


def run(config: HubConfig, *argv: str) -> tuple[int, str]:
    """Exit status and all that was said."""
    done = CliRunner().invoke(hub, ["ca", "--config", str(config.path), *argv], standalone_mode=False)
    if isinstance(done.exception, UserError):
        return done.exception.exit_code, done.output + str(done.exception)
    assert done.exception is None, done.exception
    return 0, done.output


def test_a_whole_rotation_as_people_see_it(config: HubConfig) -> None:
    """Where it stands, who is not through and what they do, the next command and the way back; the end says what to do
    after it.
    """
    code, said = run(config, "status")
    assert (code, said.splitlines()[0]) == (0, "phase   standby: one CA; no hub serves")
    old = load_authorities(config.folder).current
    assert old.pin in said
    code, said = run(config, "rotate")
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == "init: a new CA is made, and everybody is told to trust both"
    assert "through 0 of 1, not yet:" in lines
    assert any(line.startswith("  person alice: is told as soon as it links") for line in lines)
    assert lines[-2:] == ["next    answerback-hub ca rotate", "back    answerback-hub ca rollback"]
    assert run(config, "rotate")[0] == run(config, "rotate")[0] == 0
    code, said = run(config, "rotate")
    assert code != 0
    assert "1 would be shut out by this step: alice" in said
    assert "--force" in said
    code, said = run(config, "rotate", "--force")
    assert code == 0
    assert "1 hold a certificate of a CA that is gone:" in said
    assert "answerback-hub operator add alice --role ROLE" in said
    assert "make a backup now" in said
    new = load_authorities(config.folder).current
    assert f"need the pin {new.pin}" in said


def test_for_scripts(config: HubConfig) -> None:
    """One object, the same after a step as from `status`."""
    stepped = json.loads(run(config, "rotate", "--json")[1])
    assert stepped == json.loads(run(config, "status", "--json")[1])
    assert (stepped["phase"], stepped["holders"], stepped["through"]) == ("init", 1, 0)
    assert [row["role"] for row in stepped["authorities"]] == ["current", "new"]
    assert [row["holders"] for row in stepped["authorities"]] == [1, 0]
    assert [(row["kind"], row["name"], row["why"]) for row in stepped["behind"]] == [
        ("operator", "alice", "not_linked")
    ]
    back = json.loads(run(config, "rollback", "--json")[1])
    assert (back["phase"], back["behind"], back["next"]) == ("rollback", [], "answerback-hub ca rollback")
    assert json.loads(run(config, "rollback", "--json")[1])["phase"] == "standby"


def test_the_way_back_asks_for_nothing_anew(config: HubConfig) -> None:
    """The pin and the backups of before are good as they were."""
    run(config, "rotate")
    said = run(config, "rollback", "--within", "5s")[1]
    assert "standby: one CA" in said
    assert "backup" not in said
    assert "pin " not in said


def test_no_key_is_ever_shown(config: HubConfig) -> None:
    said = "".join(run(config, *words)[1] for words in (("rotate",), ("status",), ("status", "--json"), ("rollback",)))
    for line in config.folder.ca_key.read_text().splitlines() + config.folder.next_ca_key.read_text().splitlines():
        assert line not in said


@pytest.mark.parametrize("within", ["soon", "-1s", "30d", "0s"])
def test_a_time_that_is_none(config: HubConfig, within: str) -> None:
    code, said = run(config, "rotate", f"--within={within}")
    assert code == 2
    assert "--within" in said
    assert load_authorities(config.folder).phase == "standby"
