"""The form of a backup file: what is damaged, forged or of another version is refused."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import UserError
from hub.cli.backup_file import (
    MANIFEST,
    SECRETS,
    BackupWriter,
    Manifest,
    check_name,
    open_backup,
    seal,
    unseal,
)

SECRET = {"keys/job.key": b"\x00\xffkey", "secrets/ops": b"s"}


def written(path: Path, **members: bytes) -> Manifest:
    with path.open("wb") as file:
        writer = BackupWriter(file)
        for name, data in members.items():
            writer.add(name, data)
        manifest = Manifest("hub-1", 5.0, "0.1.0", "data/s.sqlite", writer.digests)
        writer.finish(manifest)
    return manifest


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    with (tmp_path / "b.tar").open("wb") as file:
        writer = BackupWriter(file)
        writer.add("a", b"1")
        writer.add_file("big", tmp_path / "big")
        manifest = Manifest("hub-1", 5.0, "0.1.0", "", writer.digests)
        writer.finish(manifest)
    with open_backup(tmp_path / "b.tar") as reader:
        reader.verify()
        assert reader.manifest == manifest
        assert not reader.manifest.sealed
        assert reader.read("a") == b"1"
        copy = io.BytesIO()
        reader.copy("big", copy)
    assert copy.getvalue() == b"x" * 3_000_000


def test_one_byte_that_differs_is_found(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    written(path, a=b"hello", b=b"world")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"hello", b"hallo"))
    with open_backup(path) as reader, pytest.raises(UserError, match="is damaged: a"):
        reader.verify()


def test_a_member_that_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    manifest = written(path, a=b"1")
    with path.open("wb") as file:
        writer = BackupWriter(file)
        writer.add("a", b"1")
        writer.add("extra", b"2")
        writer.finish(manifest)
    with open_backup(path) as reader, pytest.raises(UserError, match="is damaged: extra"):
        reader.verify()


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no tar file")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("x"))
    with (tmp_path / "broken.tar").open("wb") as file:
        writer = BackupWriter(file)
        writer.add(MANIFEST, b"{}")
        writer._tar.close()
    with (tmp_path / "newer.tar").open("wb") as file:
        writer = BackupWriter(file)
        writer.finish(replace(Manifest("h", 1.0, "9", "", {}), version=9))
    for name in ("text", "other.tar", "broken.tar", "newer.tar", "missing"):
        with pytest.raises(UserError), open_backup(tmp_path / name):
            pass


def test_secrets_open_to_their_passphrase_alone() -> None:
    data = seal(SECRET, "a long passphrase")
    assert unseal(data, "a long passphrase") == SECRET
    assert data != seal(SECRET, "a long passphrase")
    for other, changed in (("a long passphrasE", data), ("a long passphrase", data[:-1] + bytes([data[-1] ^ 1]))):
        with pytest.raises(UserError, match="do not open"):
            unseal(changed, other)
    assert SECRETS in Manifest("h", 1.0, "1", "", {SECRETS: ""}).digests


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a\x00b", "x" * 501])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(UserError):
        check_name(name)
    with pytest.raises(UserError):
        unseal(seal({name: b""}, "a long passphrase"), "a long passphrase")
