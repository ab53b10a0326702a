"""common.files: whole or not there, and nobody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from common.errors import UserError
from common.files import create_folder, write_file


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """0600 and 0700 under a umask that would hide or show more."""
    for mask in (0o000, 0o777):
        before = os.umask(mask)
        try:
            folder = tmp_path / f"made{mask:o}"
            create_folder(folder)
            write_file(folder / "key", b"secret")
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_a_file_to_the_owner_of_its_folder(tmp_path: Path) -> None:
    """What root writes can be read by whom the folder is for."""
    os.chown(tmp_path, 12345, 12346)
    write_file(tmp_path / "key", b"key")
    found = (tmp_path / "key").stat()
    assert (found.st_uid, found.st_gid) == (12345, 12346)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told of, and neither the file nor a temporary one is left half written."""
    file = tmp_path / "key"
    write_file(file, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_file(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """make_folder says what is in the way."""
    (tmp_path / "state").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        create_folder(tmp_path / "state")


def test_folders_above_are_passable(tmp_path: Path) -> None:
    """Only the folder itself is private; those made on the way to it are for all to pass."""
    create_folder(tmp_path / "a" / "b" / "c")
    modes = [stat.S_IMODE((tmp_path / part).stat().st_mode) for part in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    """Its owner may have given it another mode."""
    (tmp_path / "mine").mkdir(mode=0o750)
    create_folder(tmp_path / "mine")
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o750


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    """What the link points to stays as it was."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "key").symlink_to("theirs")
    write_file(tmp_path / "key", b"ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "key").is_symlink()
