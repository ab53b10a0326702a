"""The commands of `answerback-hub keys`: what people and scripts get, and that no key is shown."""

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
from hub.identity.key_ring import read_ring
from hub.store.conversion import PAGES

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    return load_config(summary.folder.config)


def run(config: HubConfig, *argv: str) -> tuple[int, str]:
    """Exit status and all that was said."""
    done = CliRunner().invoke(hub, ["keys", "--config", str(config.path), *argv], standalone_mode=False)
    if isinstance(done.exception, UserError):
        return done.exception.exit_code, done.output + str(done.exception)
    assert done.exception is None, done.exception
    return 0, done.output


def secrets(config: HubConfig) -> list[str]:
    return [line for line in config.store.seal_key_file.read_text().splitlines() if not line.startswith("#")]


def test_a_rotation_from_the_command_line(config: HubConfig) -> None:
    """Lesson A7: list, rotate, list, retire; ids and never keys, also as JSON."""
    (old,) = read_ring(config.store).ids
    known = secrets(config)
    code, said = run(config, "list")
    assert (code, said.split("\n")[0].split()) == (0, ["KEY", "STATE", "LAST", "USED", "WRAPS"])
    assert f"{old}  primary" in said
    told = [said]
    code, said = run(config, "rotate")
    new = read_ring(config.store).ids[0]
    assert (code, said.splitlines()[0]) == (0, f"sealed under {new} from now on (instead of {old})")
    told.append(said)
    known += secrets(config)
    code, said = run(config, "list", "--json")
    report = json.loads(said)
    assert (code, report["source"], report["tables_not_sealed_yet"]) == (0, "file", [])
    assert {row["id"]: row["state"] for row in report["keys"]} == {old: "decrypt", new: "primary"}
    told.append(said)
    assert run(config, "retire", new)[0] == 2
    told.append(run(config, "retire", old)[1])
    assert told[-1] == f"{old} is out of the ring\n"
    code, said = run(config, "rotate", "--json")
    assert (code, json.loads(said)["before"]) == (0, new)
    assert not any(key in text for key in known for text in [*told, said])


def test_pages_and_rows(config: HubConfig) -> None:
    """`clean` waits until all rows are sealed, which `seal` does at once; `list` tells what is left."""
    with admin.open_store(config, NOW) as store:
        store.write_now(lambda txn: (txn.put_meta(PAGES, ""), txn.put_meta("sealing:jobs", "")))
    assert "left: jobs" in run(config, "list")[1]
    code, said = run(config, "clean")
    assert (code, "not all rows are sealed yet: jobs" in said) == (2, True)
    assert run(config, "seal") == (0, "sealed 0 values\n")
    assert "keys clean" in run(config, "list")[1]
    assert run(config, "clean") == (0, "clean\n")
    assert "clean" not in run(config, "list")[1]
