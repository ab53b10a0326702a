"""Why a program that exists could not be started, in words that name what is really missing.

The kernel answers "No such file or directory" for a script whose interpreter is missing and for a binary whose loader
is: the file that it names is there, and people look in the wrong place. So the file's first bytes are read, and the
sentence names the interpreter or the loader, and a Windows line end where that is what made it another name.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import Final

_HEAD: Final = 4096
_MAX_LINE: Final = 255
"""Bytes of a first line that the kernel takes (execve(2))."""
_ELF: Final = b"\x7fELF"
_PT_INTERP: Final = 3
_MAX_SHOWN: Final = 120


def explain_start_failure(program: str, name: str, error: OSError) -> str:
    """The reason for people. `program` is the file that was to be started, `name` what the command calls it."""
    plain = f"{name} could not be started: {(error.strerror or str(error))}"
    if error.errno == errno.E2BIG:
        return f"{name} could not be started: its arguments are longer than this machine takes"
    if error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ELIBBAD, errno.ENOTDIR, errno.ELOOP):
        return plain
    head = _read_head(program)
    if head is None:
        return plain
    if head.startswith(b"#!"):
        return _explain_script(name, head, error)
    if head.startswith(_ELF):
        return _explain_binary(program, name, head, error)
    if error.errno == errno.ENOEXEC:
        what = "the file is empty" if not head else "it is no program for this machine, and no script with a #! line"
        cure = "" if not head else "; a script begins with a line such as #!/bin/sh"
        return f"{name} could not be started: {what}{cure}"
    return plain


def _explain_script(name: str, head: bytes, error: OSError) -> str:
    line = head.partition(b"\n")[0]
    rest = line[2:].lstrip(b" \t")
    interpreter = rest.split(b" ", 1)[0].split(b"\t", 1)[0]
    shown = _show(interpreter)
    first = f"its first line asks for the interpreter {shown}"
    if interpreter.endswith(b"\r"):
        real = _show(interpreter.rstrip(b"\r"))
        return (
            f"{name} could not be started: {first}, {real} with a Windows line end behind it (\\r). "
            "Save the script with Unix line ends (dos2unix)"
        )
    if not interpreter:
        return f"{name} could not be started: its first line, #!, names no interpreter"
    if len(line) > _MAX_LINE:
        return f"{name} could not be started: its #! line is longer than the {_MAX_LINE} bytes that the kernel reads"
    path = os.fsdecode(interpreter)
    if not os.path.exists(path):
        return f"{name} could not be started: {first}, which does not exist on this machine"
    if error.errno == errno.EACCES and not os.access(path, os.X_OK):
        return f"{name} could not be started: {first}, which is not executable"
    deeper = _read_head(path)
    if deeper is not None and deeper.startswith(b"#!"):
        return f"{name} could not be started: {first}, itself a script ({(error.strerror or '').lower()})"
    return f"{name} could not be started: {first}: {(error.strerror or str(error)).lower()}"


def _explain_binary(program: str, name: str, head: bytes, error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return f"{name} could not be started: it is a program for another kind of processor than this machine's"
    loader = elf_loader(program, head)
    if loader and not os.path.exists(loader):
        return (
            f"{name} could not be started: it needs the loader {_show(os.fsencode(loader))}, which does not exist on "
            "this machine; it was built for another C library or architecture"
        )
    return f"{name} could not be started: {error.strerror or error}"


def elf_loader(program: str, head: bytes) -> str:
    """The loader (PT_INTERP) that a binary names, "" where it names none or cannot be read. `head` is its beginning."""
    try:
        wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
        if wide:
            (table,) = struct.unpack_from(order + "Q", head, 32)
            size, count = struct.unpack_from(order + "HH", head, 54)
        else:
            (table,) = struct.unpack_from(order + "I", head, 28)
            size, count = struct.unpack_from(order + "HH", head, 42)
        for index in range(min(count, 64)):
            at = table + index * size
            (kind,) = struct.unpack_from(order + "I", head, at)
            if kind == _PT_INTERP:
                offset = struct.unpack_from(order + ("Q" if wide else "I"), head, at + (8 if wide else 4))[0]
                return _read_string(program, offset)
    except (struct.error, IndexError, OverflowError):
        pass
    return ""


def _read_string(program: str, offset: int) -> str:
    try:
        with open(program, "rb") as file:
            file.seek(offset)
            return os.fsdecode(file.read(_MAX_LINE).partition(b"\0")[0])
    except (OSError, ValueError, OverflowError):
        return ""


def _read_head(path: str) -> bytes | None:
    """The first bytes of a regular file; None where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    try:
        return os.read(descriptor, _HEAD)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _show(path: bytes) -> str:
    """A path in quotes, with escapes for what cannot be seen."""
    text = path[:_MAX_SHOWN].decode("utf-8", "replace")
    return "'" + "".join(char if char.isprintable() else repr(char)[1:-1] for char in text) + "'"
