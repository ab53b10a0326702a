"""common.read_file: bounds, rights, and errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import UserError
from common.read_file import MAX_FILE, MAX_SECRET, parse_toml, read_bytes, read_secret, read_toml, suggest_key
from tests.common.test_config import problems, written


def test_bounds_on_what_a_file_may_hold(tmp_path: Path) -> None:
    """Long strings, long lists, many tables and large files are refused."""
    assert "was expected, not" in problems(tmp_path, f"[web]\npassword = '{'x' * 5000}'")[0]
    assert len(problems(tmp_path, f"[web]\npassword = '{'x' * 5000}'")[0]) < 250
    assert "list of strings" in problems(tmp_path, f"[web]\nhosts = {['x'] * 1001}")[0]
    many = "".join(f"[inlets.i{number}]\nfile='x'\n" for number in range(1001))
    assert problems(tmp_path, many) == ["[inlets]: 1001 tables, at most 1000 are taken"]
    with pytest.raises(UserError, match=f"larger than {MAX_FILE} bytes"):
        read_toml(written(tmp_path, "#" * (MAX_FILE + 1)))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a = 1\nb = \n", r"not TOML.*line 2"),
        (b"a = 1\na = 2\n", r"not TOML.*line 2"),
        (b'a = 1\nb = "\xff"\n', "line 2 is not UTF-8"),
        (b"a = " + b"[" * 5000, "not TOML: nested too deep"),
        (b"\x00", "not TOML"),
    ],
)
def test_a_file_that_is_not_toml_names_the_line(tmp_path: Path, data: bytes, told: str) -> None:
    """Not TOML, a key twice, not UTF-8, too deep: the file, the line and what to do."""
    path = tmp_path / "bad.toml"
    path.write_bytes(data)
    with pytest.raises(UserError, match=told) as caught:
        read_toml(path)
    assert str(path) in caught.value.problem
    assert caught.value.cure


def test_text_that_is_no_file_is_parsed_the_same() -> None:
    """A byte order mark, either kind of line ends; the caller's name and cure in the error."""
    assert parse_toml(b'\xef\xbb\xbfa = """x\r\ny"""\r\n', "name") == {"a": "x\ny"}
    with pytest.raises(UserError, match=r"^name: not TOML: .*: look at it again$"):
        parse_toml(b"a = 1\na = 2", "name", "look at it again")


def test_an_unknown_key_is_answered_with_the_nearest_or_all() -> None:
    """In the order that the caller gives."""
    assert suggest_key("tiem", ("time", "place")) == "did you mean time?"
    assert suggest_key("xyzzy", ("time", "place")) == "known here: time, place"


def test_files_that_are_none(tmp_path: Path) -> None:
    """Missing, a folder, a FIFO (which must not hang), a name that cannot be: a UserError each."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, told in (
        (tmp_path / "none", "no such file"),
        (tmp_path / "none" / "deeper", "no such file"),
        (tmp_path, "not"),
        (fifo, "not a regular file"),
        (tmp_path / ("x" * 300), "not readable"),
        (tmp_path / "a\0b", "NUL"),
    ):
        with pytest.raises(UserError, match=told):
            read_bytes(path)
    with pytest.raises(UserError, match="run init"):
        read_bytes(tmp_path / "none", cure="run init")


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without rights, where the tests run as root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """No permission is told as such, with the user who has none."""
    path = written(tmp_path, "a = 1")
    path.chmod(0)
    with nobody(), pytest.raises(UserError, match="not readable by user") as caught:
        read_toml(path)
    assert str(path) in caught.value.problem


def test_a_secret_is_its_owners(tmp_path: Path) -> None:
    """Others may not read it, nor the group write it; the cure is the command."""
    path = written(tmp_path, "secret")
    for mode in (0o604, 0o602, 0o601, 0o620, 0o666, 0o777):
        path.chmod(mode)
        with pytest.raises(UserError, match=f"chmod 600 {path}"):
            read_secret(path)
    for mode in (0o600, 0o400, 0o640, 0o440):
        path.chmod(mode)
        assert read_secret(path) == b"secret"


def test_an_empty_or_huge_secret_is_refused(tmp_path: Path) -> None:
    """An empty secret would sign for everyone."""
    path = written(tmp_path, " \n\t")
    path.chmod(0o600)
    with pytest.raises(UserError, match="empty"):
        read_secret(path)
    path.write_bytes(b"x" * (MAX_SECRET + 1))
    with pytest.raises(UserError, match="larger than"):
        read_secret(path)


def test_what_somebody_else_could_have_written_is_refused(tmp_path: Path) -> None:
    """Trust (B15, config as an escape hatch): a policy, a key or a secret that others may write, or that lies where
    they may replace it, or that is another user's, is refused by name and with the cure.
    """
    folder = tmp_path / "hub"
    folder.mkdir(mode=0o755)
    file = folder / "policy.toml"
    file.write_bytes(b"a = 1")
    readers = (lambda: read_bytes(file, trusted=True), lambda: read_toml(file, trusted=True), lambda: read_secret(file))

    def refused(mode: int, of_folder: int, told: str) -> None:
        file.chmod(mode)
        folder.chmod(of_folder)
        for read in readers:
            with pytest.raises(UserError, match=told) as caught:
                read()
            assert caught.value.cure.startswith("chmod")
        assert read_bytes(file) == b"a = 1"  # what decides nothing is read as before

    refused(0o602, 0o755, "changed by others|lets others")
    refused(0o600, 0o777, f"{folder} can be changed by others")
    folder.chmod(0o1777)  # sticky: there nobody replaces another's file
    assert [read() for read in readers] == [b"a = 1", {"a": 1}, b"a = 1"]
    if os.geteuid() == 0:
        os.chown(file, 12345, 0)
        for read in readers:
            with pytest.raises(UserError, match="belongs to user 12345"):
                read()
        folder.chmod(0o755)
        os.chown(folder, 12345, 0)  # root looks after another user's hub: all of it is that user's
        assert read_secret(file) == b"a = 1"
        os.chown(file, 54321, 0)
        with pytest.raises(UserError, match="belongs to user 54321"):
            read_secret(file)


def test_a_file_of_a_group_of_its_own(tmp_path: Path) -> None:
    """A user's private group, as many systems set up, is no other user; a group of others is."""
    file = tmp_path / "policy.toml"
    file.write_bytes(b"a = 1")
    file.chmod(0o664)
    assert read_bytes(file, trusted=True) == b"a = 1"
    if os.geteuid() == 0:
        os.chown(file, 0, 12345)
        with pytest.raises(UserError, match="changed by others"):
            read_bytes(file, trusted=True)
