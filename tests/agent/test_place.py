"""Where a state folder is, and when it is not where it was."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent import place
from agent.place import (
    Place,
    end_word,
    leave_word,
    machine_hash,
    moved_error,
    parse_place,
    place_of,
    read_word,
    why_moved,
)

DISK, OTHER_DISK, NO_DISK, NO_OTHER = os.makedev(8, 1), os.makedev(8, 2), os.makedev(0, 40), os.makedev(0, 41)
HERE = Place("m1", 77, DISK, "boot1")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No container; the file of the machine's id."""
    monkeypatch.setattr(place, "CONTAINER_FILES", ())
    monkeypatch.setattr(place, "MACHINE_ID", tmp_path / "machine-id")
    return tmp_path / "machine-id"


def test_when_a_folder_was_moved() -> None:
    """Trust: one holder of a name. Each kind of change, and whether it is another place."""
    machine, folder = "it was last used on another machine", "it is another folder than the one that was last used here"
    cases = {
        "nothing": (HERE, HERE, ""),
        "a reboot": (HERE, replace(HERE, boot="boot2"), ""),
        "a reboot that numbers disks anew": (HERE, replace(HERE, boot="boot2", device=OTHER_DISK), ""),
        "mounted anew, no disk": (replace(HERE, device=NO_DISK), replace(HERE, device=NO_OTHER), ""),
        "another disk in the same boot": (HERE, replace(HERE, device=OTHER_DISK), folder),
        "a copy beside it": (HERE, replace(HERE, folder=78), folder),
        "a copy elsewhere": (HERE, Place("m2", 78, OTHER_DISK, "boot2"), machine),
        "a disk that was moved or cloned": (HERE, Place("m2", 77, DISK, "boot2"), machine),
        "a machine whose id is gone": (HERE, replace(HERE, machine=""), machine),
        "a container made anew with its volume": (replace(HERE, machine=""), replace(HERE, machine="", boot="b2"), ""),
        "a container with a copied volume": (replace(HERE, machine=""), Place("", 78, DISK, "boot1"), folder),
        "an id where there was none": (replace(HERE, machine=""), HERE, ""),
        "a file system without inodes of its own": (replace(HERE, folder=0), replace(HERE, folder=99), ""),
    }
    assert {name: why_moved(before, now) for name, (before, now, _) in cases.items()} == {
        name: why for name, (_, _, why) in cases.items()
    }


def test_a_machine_is_known_by_a_hash_of_its_id(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id leaves no machine (machine-id(5)); without one, and in a container, nothing is known."""
    assert machine_hash() == ""
    seen = set()
    for text in ("4c6f72656d20697073756d20646f6c6f\n", "00000000000000000000000000000001"):
        bare.write_text(text)
        seen.add(machine_hash())
        assert text.strip() not in machine_hash()
    assert len(seen) == 2
    assert all(len(found) == 32 for found in seen)
    for empty in ("", "\n", "uninitialized\n"):
        bare.write_text(empty)
        assert machine_hash() == ""
    bare.write_text("x" * 10_000)
    assert len(machine_hash()) == 32
    monkeypatch.setattr(place, "CONTAINER_FILES", (bare,))
    assert machine_hash() == ""


def test_a_folder_keeps_its_place_and_a_copy_has_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in it does not matter. On a file system that numbers anew with every mount the inode counts nothing."""
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    before = place_of(first, "b")
    (first / "file").write_text("x")
    first.rename(tmp_path / "c")
    assert place_of(tmp_path / "c", "b") == before
    assert why_moved(before, place_of(second, "b"))
    assert parse_place(before.to_json()) == before
    assert parse_place(["m", "1", 2, "b"]) is None
    mounts = tmp_path / "mounts"
    device = second.stat().st_dev
    for kind, folder in (("ext4", second.stat().st_ino), ("fuse.sshfs", 0), ("9p", 0)):
        mounts.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / / rw,noatime - {kind} x rw\n")
        monkeypatch.setattr(place, "_MOUNTS", mounts)
        assert place_of(second, "b").folder == folder
    monkeypatch.setattr(place, "_MOUNTS", tmp_path / "nothing")
    assert place_of(second, "b").folder


def test_a_persons_word_counts_where_it_was_given(tmp_path: Path) -> None:
    """Once, and not in a copy that has the file too; whatever else the file says is no word."""
    file = tmp_path / "moved-here"
    here = place_of(tmp_path)
    assert read_word(file, here) == ""
    for word in ("moved", "anew"):
        leave_word(tmp_path, file, word)  # type: ignore[arg-type]
        assert read_word(file, here) == word
        assert read_word(file, replace(here, folder=here.folder + 1)) == ""
        assert read_word(file, replace(here, machine="other")) == ""
    for text in ("", "anew", f"{here}", f"{here} always", "x" * 500):
        file.write_text(text)
        assert read_word(file, here) == ""
    end_word(file)
    assert not file.exists()
    end_word(file)


def test_both_ways_out_are_said() -> None:
    """A name of its own, or to go on in its place."""
    error = moved_error(Path("/var/lib/x"), "because")
    assert error.problem == "/var/lib/x is a copy, or was moved: because"
    assert "answerback-hub token --agent NAME" in error.cure
    assert "answerback-agent take-over --state /var/lib/x" in error.cure
