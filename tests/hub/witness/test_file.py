"""The file that is always there: added to, never begun anew, read from its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.audit.checkpoint import read_witness
from common.errors import UserError
from hub.witness.file import WitnessFile
from tests.common.audit.logs import HUB, KEY, a_log

MARKS = a_log().marks


def test_notes_are_added_and_the_last_is_found(tmp_path: Path) -> None:
    """Private, with the key at its head; a line that a crash left half is ended; junk is not read."""
    file = WitnessFile(tmp_path / "audit.witness", HUB)
    assert file.last() is None
    file.append(MARKS[0], KEY.public)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert "Key: answerback/hub-1+" in file.path.read_text().splitlines()[0]
    with file.path.open("ab") as raw:
        raw.write(b"answerback-checkpoint answerback/hub-1 7 half")
    file.append(MARKS[1], KEY.public)
    with file.path.open("ab") as raw:
        raw.write(b"\xff" * 100_000 + b"\n")
    file.append(MARKS[2], KEY.public)
    last = file.last()
    assert last is not None
    assert (last.seq, last.root) == (9, MARKS[2].root)
    assert [mark.seq for _, mark in read_witness(file.path)] == [3, 7, 9]


def test_what_cannot_be_the_file_is_refused(tmp_path: Path) -> None:
    """Another hub's, a link, a pipe."""
    other = WitnessFile(tmp_path / "other", "hub-2")
    other.append(a_log().marks[0], KEY.public)
    with pytest.raises(UserError, match="it is of hub-2"):
        WitnessFile(other.path, HUB).last()
    (tmp_path / "link").symlink_to(other.path)
    with pytest.raises(OSError, match=r"[Ll]ink|levels"):
        WitnessFile(tmp_path / "link", HUB).append(MARKS[0], KEY.public)
    with pytest.raises(UserError):
        WitnessFile(tmp_path / "link", HUB).last()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):
        WitnessFile(tmp_path / "pipe", HUB).append(MARKS[0], KEY.public)


def test_append_only_holds_against_the_owner(tmp_path: Path) -> None:
    """Trust: A7, where the disk and the user allow it: no rewriting, shortening or removing, and adding goes on."""
    file = WitnessFile(tmp_path / "audit.witness", HUB)
    assert file.is_append_only() is None
    file.append(MARKS[0], KEY.public)
    try:
        file.set_append_only(True)
    except OSError as error:
        pytest.skip(f"no such attribute here: {error.strerror}")
    try:
        assert file.is_append_only() is True
        file.append(MARKS[1], KEY.public)
        for harm in (
            lambda: os.truncate(file.path, 10),
            lambda: file.path.write_text("x"),
            lambda: file.path.unlink(),
            lambda: os.replace(file.path, tmp_path / "away"),
        ):
            with pytest.raises(PermissionError):
                harm()
        last = file.last()
        assert last is not None
        assert last.seq == 7
    finally:
        file.set_append_only(False)
    assert file.is_append_only() is False
