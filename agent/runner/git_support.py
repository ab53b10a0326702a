"""Whether a git reads its settings from variables, which is how the policy takes away what a checkout could have it do.

A git before 2.31 does not, and would run without them: it is not started. Which git it is is read from the file that
would be started, where the variable's name stands if it is known; nothing is run for it, and what was found of a file
is kept for as long as it is the same.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection
from typing import Final

from agent.runner.programs import CannotRun, OpenProgram
from common.policy.protections import GIT_COUNT

MAX_FILES: Final = 8
MAX_BYTES: Final = 256 << 20
_known: dict[tuple[int, int, int, int], bool] = {}


def verify_git(program: OpenProgram, env: Collection[tuple[str, str]]) -> None:
    """Raises CannotRun where the order has settings of git and the program would not read them."""
    if all(name != GIT_COUNT for name, _ in env):
        return
    found = program.status
    identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    if identity not in _known:
        if len(_known) >= MAX_FILES:
            _known.clear()
        _known[identity] = _reads_variables(program)
    if not _known[identity]:
        raise CannotRun(
            f"{program.asked} is a git before 2.31 or no git itself, which would not read the settings that keep a "
            "checkout from running programs: upgrade git"
        )


def _reads_variables(program: OpenProgram) -> bool:
    if not 0 < program.status.st_size <= MAX_BYTES:
        return False
    try:
        descriptor = os.open(f"/proc/self/fd/{program.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CannotRun(f"{program.asked} cannot be read: {error.strerror}") from None
    try:
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as data:
            return data.find(GIT_COUNT.encode() + b"\0") >= 0
    finally:
        os.close(descriptor)
