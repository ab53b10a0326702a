"""A script that came with its order: its text in a file of memory that nobody can change, for the interpreter to read.

The file has no name on any disk, so nothing has to be removed, and it is sealed (memfd_create(2), F_ADD_SEALS) before
the program is started. The interpreter opens it as /proc/self/fd/N, which stands in the argument vector in place of the
script's name; a script that looks for its own place finds none.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final

from agent.runner.programs import CannotRun, error_text
from common.plan import Order

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def place_script(order: Order, argv: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """The vector with the script in place of its name, and the script's descriptor, which the caller closes; -1 where
    the order has none. The text was checked against its digest with the order. Raises CannotRun.
    """
    if order.script is None:
        return argv, -1
    word = order.script.word
    if not os.path.exists("/proc/self/fd"):
        raise CannotRun(f"{argv[word]} is a script of the hub, for which this machine needs /proc")
    try:
        descriptor = _sealed(argv[word], order.script_text.encode())
    except OSError as error:
        raise CannotRun(
            f"{argv[word]}, a script of the hub, could not be kept in memory: {error_text(error)}"
        ) from None
    return (*argv[:word], f"/proc/self/fd/{descriptor}", *argv[word + 1 :]), descriptor


def _sealed(name: str, data: bytes) -> int:
    descriptor = os.memfd_create(name[:64], os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
