"""The ring of sealing keys from a file, a systemd credential or a command; read again where a key is missing."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import UserError
from common.identity.sealing import Sealer, UnsealError
from hub.chat.inlets import load_config
from hub.cli.init import init
from hub.config import HubConfig, StoreTable
from hub.identity import key_ring
from hub.identity.key_ring import load_sealer, read_ring, source_of

RING = Sealer((b"a" * 32, b"b" * 32))


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    return load_config(init(tmp_path / "hub", now=0.0, admin="alice").folder.config)


def script(folder: Path, text: str) -> str:
    path = folder / "unseal"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def test_the_three_places_give_the_same_ring(tmp_path: Path) -> None:
    """Issue of keys: a file, a credential that systemd hands over, and what a command prints."""
    file = tmp_path / "seal.key"
    file.write_text(RING.to_text())
    file.chmod(0o600)
    credential = StoreTable(seal_key_credential="seal.key")
    command = StoreTable(seal_key_command=(script(tmp_path, f"cat '{file}'"), "an argument"))
    assert read_ring(StoreTable(seal_key_file=file)).ids == RING.ids
    assert read_ring(credential, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).ids == RING.ids
    assert read_ring(command).ids == RING.ids
    assert [source_of(one) for one in (StoreTable(), credential, command)] == ["file", "credential", "command"]


def test_what_is_wrong_is_told_and_nothing_of_a_key(tmp_path: Path) -> None:
    """Lesson A7: place and cure by name; neither a key nor what a failing command wrote is quoted."""
    secret = "5e" * 32
    wrong = {
        "not an absolute path": ("unseal",),
        "ended with 3": (script(tmp_path, f"echo {secret}; echo {secret} >&2; exit 3"),),
        "No such file": ("/nowhere/unseal",),
    }
    for words, command in wrong.items():
        with pytest.raises(UserError, match=words) as found:
            read_ring(StoreTable(seal_key_command=command))
        assert secret not in str(found.value)
        assert found.value.cure
    for text in (f"echo '{secret} x'", "true", "head -c 70000 /dev/zero", f"echo {secret}; echo {secret}"):
        with pytest.raises(UserError, match="seal_key_command") as found:
            read_ring(StoreTable(seal_key_command=(script(tmp_path, text),)))
        assert secret not in str(found.value)
    with pytest.raises(UserError, match="no credentials"):
        read_ring(StoreTable(seal_key_credential="seal.key"), {})
    with pytest.raises(UserError, match="no such file"):
        read_ring(StoreTable(seal_key_credential="other"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    for name in ("../seal.key", "a/b", ".", "", "a\n"):
        with pytest.raises(UserError):
            read_ring(StoreTable(seal_key_credential=name or "/"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(UserError, match="both set"):
        read_ring(StoreTable(seal_key_credential="a", seal_key_command=("/bin/true",)))


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for as long as the bound says, and no longer; it reads nothing from the terminal."""
    monkeypatch.setattr(key_ring, "COMMAND_SECONDS", 0.2)
    with pytest.raises(UserError, match="no answer within"):
        read_ring(StoreTable(seal_key_command=("/bin/sleep", "60")))
    monkeypatch.undo()
    with pytest.raises(UserError, match="0 keys"):
        read_ring(StoreTable(seal_key_command=("/bin/cat",)))


def test_a_file_that_others_can_read_is_refused(config: HubConfig) -> None:
    """The key of everything is its owner's alone."""
    file = config.store.seal_key_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    os.chmod(file, 0o644)
    with pytest.raises(UserError, match="chmod 600"):
        read_ring(config.store)


def test_a_key_that_is_missing_is_looked_for_once(config: HubConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotated by another process: the ring is read again when a value needs it, and then not again at once, so that
    values that were planted start no command at will.
    """
    now = [100.0]
    monkeypatch.setattr(key_ring.time, "monotonic", lambda: now[0])
    sealer = load_sealer(config)
    newer = sealer.with_new_key()
    blob = newer.seal(b"x", "place")
    config.store.seal_key_file.write_text(newer.to_text())
    with pytest.raises(UnsealError, match="not in the ring"):
        sealer.open(blob, "place")
    now[0] += key_ring.REREAD_AFTER
    assert sealer.open(blob, "place") == b"x"
    assert sealer.ids == newer.ids
    reads = 0

    def counted(*_: object) -> Sealer:
        nonlocal reads
        reads += 1
        return newer

    monkeypatch.setattr(key_ring, "read_ring", counted)
    stranger = Sealer.generate().seal(b"x", "place")
    for _ in range(50):
        with pytest.raises(UnsealError):
            sealer.open(stranger, "place")
        now[0] += key_ring.REREAD_AFTER / 10
    assert reads <= 6


def test_hub_toml_names_the_place(config: HubConfig, tmp_path: Path) -> None:
    """Written as hub.toml's own text says, and read by `check` like any file."""
    from hub.cli.file_check import check_all

    assert check_all(config.path).problems == []
    text = config.path.read_text().replace("# seal_key_command = []", 'seal_key_command = ["/bin/false"]')
    assert text != config.path.read_text()
    config.path.write_text(text)
    assert any("seal_key_command /bin/false: ended with 1" in one for one in check_all(config.path).problems)
    assert replace(config.store).seal_key_command == ()
