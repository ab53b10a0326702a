"""answerback-hub doctor: on a hub that is well, and on hubs with one fault each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

import hub.cli.main
from common.values import Address
from tests.each import each_of
from tests.run_main import CommandResult, run_main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's folder; nobody serves it. Tests put back what they change."""
    folder = tmp_path_factory.mktemp("doctor") / "hub"
    ended = run_main(
        hub.cli.main.main, "init", str(folder), "--admin", "alice", "--http", "127.0.0.1:2", "--links", "127.0.0.1:3"
    )
    assert ended.code == 0, ended.err
    return folder


def doctor(folder: Path, *flags: str) -> CommandResult:
    return run_main(hub.cli.main.main, "doctor", "--config", str(folder / "hub.toml"), *flags)


def test_a_hub_that_nobody_serves_is_well(made: Path) -> None:
    """Everything is looked at, the ports want a serving hub, and nothing is bad; the store keeps its bytes."""
    store = made / "data" / "answerback.sqlite"
    before = store.read_bytes()
    found = doctor(made, "--json").json
    states = {check["check"]: check["state"] for check in found["checks"]}
    assert found["ok"] is True
    assert {states[name] for name in ("configuration", "files", "permissions", "store", "inlets", "name")} == {"ok"}
    assert states.get("user", "none") == ("warn" if os.geteuid() == 0 else "none")
    assert (states["webhooks"], states["links"]) == ("warn", "warn")
    assert {"version", "disk", "time service", "proxy", "certificate of the authority"} <= set(states)
    assert {"certificate of the hub", "certificate of the admin"} <= set(states)
    assert store.read_bytes() == before
    told = doctor(made)
    assert (told.code, told.err) == (0, "")
    assert f"{len(found['checks'])} checks:" in told.text.splitlines()[-1]


def spoil(path: Path, data: bytes) -> Callable[[], None]:
    before = path.read_bytes()
    path.write_bytes(data)
    return lambda: void(path.write_bytes(before))


def void(result: object) -> None:
    return None


def open_to_all(path: Path) -> Callable[[], None]:
    path.chmod(0o644)
    return lambda: path.chmod(0o600)


def take_away(path: Path) -> Callable[[], None]:
    path.rename(path.with_suffix(".away"))
    return lambda: void(path.with_suffix(".away").rename(path))


@each_of(
    ("fault", "check", "words"),
    [
        (lambda made: spoil(made / "policy.toml", b"x"), "files", "policy.toml"),
        (lambda made: open_to_all(made / "ca" / "ca.key"), "permissions", "chmod 600"),
        (lambda made: take_away(made / "data" / "answerback.sqlite"), "store", "is not there"),
        (lambda made: spoil(made / "data" / "answerback.sqlite", b"x" * 4096), "store", "not an SQLite file"),
        (lambda made: spoil(made / "tls" / "hub.pem", b"x"), "certificate of the hub", "restore it"),
        (lambda made: spoil(made / "hub.toml", b"x"), "configuration", "not TOML"),
    ],
)
def test_a_fault_is_found(fault: Callable[[Path], Callable[[], None]], check: str, words: str, made: Path) -> None:
    """The check is bad with a cure, and the status is 1."""
    undo = fault(made)
    try:
        ended = doctor(made, "--json")
    finally:
        undo()
    (found,) = [one for one in ended.json["checks"] if one["check"] == check]
    assert (ended.code, found["state"]) == (1, "bad")
    assert words in found["found"] + found["cure"]
    assert found["cure"]


def test_a_running_hub_tells_of_its_inlets(made: Path) -> None:
    """A wrong token is a warning here too; what it says of files is looked at by a check of its own."""
    lines = ["inlet far: the token is wrong\x1b[31m", "policy.toml: mend it", "disk budget: the store fills 21.0 GiB"]
    page = {"ready": True, "reasons": [], "warnings": lines}

    async def ask(place: Address, request: bytes, *rest: object) -> bytes | None:
        return b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(page).encode() if b"readyz" in request else None

    with patch("hub.cli.doctor.ask", ask):
        ended = doctor(made, "--json")
    found = [one for one in ended.json["checks"] if one["check"] in ("webhooks", "running inlets")]
    assert [(one["check"], one["state"]) for one in found] == [("webhooks", "ok"), ("running inlets", "warn")]
    assert found[1]["found"].startswith("inlet far: the token is wrong")
    assert "\x1b" not in found[1]["found"]
    budget = [one["state"] for one in ended.json["checks"] if one["check"] == "disk budget"]
    assert budget == ["warn"]
    assert ended.code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user(made: Path) -> None:
    """What a command that was run as another user leaves behind."""
    path = made / "data" / "answerback.sqlite"
    os.chown(path, 65534, 65534)
    try:
        assert f"chown 0 {path}" in doctor(made).text
    finally:
        os.chown(path, 0, 0)


def test_json_is_json(made: Path) -> None:
    """Also where hub.toml is not there."""
    ended = doctor(made / "none", "--json")
    assert (ended.code, json.loads(ended.text)["ok"]) == (1, False)
