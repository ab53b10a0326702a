"""agent.runner.start_failure: what people are told where the kernel says "No such file" of a file that is there."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest

from agent.runner.start_failure import elf_loader, explain_start_failure


def reason(file: Path) -> str:
    """Starts the file, as the runner does, and explains why that failed."""
    try:
        pid = os.posix_spawn(str(file), ["shown-name"], {})
    except OSError as error:
        return explain_start_failure(str(file), "/shown/name", error)
    os.waitpid(pid, 0)
    raise AssertionError("it was started")


def program(folder: Path, content: bytes) -> Path:
    file = folder / "program"
    file.write_bytes(content)
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"#!/bin/sh\r\necho hi\r\n", ["'/bin/sh\\r'", "Windows line end", "dos2unix"]),
        (b"#! /usr/bin/env\r\n", ["'/usr/bin/env\\r'", "Windows line end"]),
        (b"#!/no/such/python3 -u\nprint()\n", ["'/no/such/python3'", "does not exist on this machine"]),
        (b"#!\t/no/such/thing\targument\n", ["'/no/such/thing'", "does not exist"]),
        (b"#!/no/such/\x1b[31mred\n", ["'/no/such/\\x1b[31mred'", "does not exist"]),
        (b"#!/etc/passwd\n", ["'/etc/passwd'", "not executable"]),
        (b"#!\n", ["names no interpreter"]),
        (b"#!/bin/" + b"x" * 400 + b"\n", ["could not be started", "#!"]),
        (b"echo no first line\n", ["no script with a #! line"]),
        (b"", ["is empty"]),
        (b"\x7fELF" + b"\0" * 60, ["another kind of processor"]),
    ],
)
def test_what_is_missing_is_named(content: bytes, expected: list[str], tmp_path: Path) -> None:
    """Each way in which a file that is there cannot be started, through the kernel itself."""
    found = reason(program(tmp_path, content))
    assert found.startswith("/shown/name could not be started: ")
    for part in expected:
        assert part in found
    assert found.isprintable()


def test_an_interpreter_that_is_a_script_itself(tmp_path: Path) -> None:
    """The one that is missing is one further, and the sentence says where to look."""
    inner = tmp_path / "inner"
    inner.write_bytes(b"#!/no/such/interpreter\n")
    inner.chmod(0o755)
    assert f"'{inner}', itself a script" in reason(program(tmp_path, f"#!{inner}\n".encode()))


def test_a_binary_of_another_c_library(tmp_path: Path) -> None:
    """A real program whose loader is not on this machine: the loader is named, not the program."""
    data = Path(shutil.which("true") or "/bin/true").read_bytes()
    loader = elf_loader(shutil.which("true") or "/bin/true", data[:4096])
    assert loader.startswith("/lib")
    strange = data.replace(loader.encode() + b"\0", b"/no" + loader.encode()[3:] + b"\0", 1)
    found = reason(program(tmp_path, strange))
    assert f"'/no{loader[3:]}'" in found
    assert "does not exist" in found


def test_hostile_headers_name_no_loader(tmp_path: Path) -> None:
    """Offsets that lead anywhere are no crash."""
    for offset in (0, 4_000, 2**63, 2**64 - 1):
        head = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q", offset) + b"\0" * 14 + struct.pack("<HH", 56, 9)
        file = program(tmp_path, head)
        assert elf_loader(str(file), head) == ""


def test_what_is_not_about_the_file(tmp_path: Path) -> None:
    """Other errors stay as the kernel says them; a file that cannot be read leaves no more to say."""
    file = program(tmp_path, b"#!/bin/sh\r\n")
    assert explain_start_failure(str(file), "x", OSError(12, "Cannot allocate memory")) == (
        "x could not be started: Cannot allocate memory"
    )
    assert "arguments are longer" in explain_start_failure(str(file), "x", OSError(7, "Argument list too long"))
    gone = str(tmp_path / "gone")
    assert explain_start_failure(gone, "x", OSError(2, "No such file or directory")).endswith(
        "No such file or directory"
    )
