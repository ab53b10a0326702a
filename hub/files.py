"""policy.toml and runbooks.toml while the hub runs: read again when they change, kept as they were when the new text
is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from common.config import read_toml
from common.errors import UserError
from common.policy import Policy
from common.policy_file import parse_policy
from hub.plan.chain import Chain
from hub.plan.runbook_file import read_runbooks

T = TypeVar("T")


class Watched(Generic[T]):
    """A file's meaning. `look` costs one stat where nothing changed."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path = path
        self._read = read
        self._mark = self._stat()
        self.value: T = read(path)

    def look(self) -> str:
        """Reads the file again if it changed; the problem, or "". A wrong file is complained of once a change."""
        mark = self._stat()
        if mark == self._mark:
            return ""
        self._mark = mark
        try:
            self.value = self._read(self.path)
        except UserError as error:
            return str(error)
        return ""

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def read_policy(path: Path) -> Policy:
    return parse_policy(read_toml(path), str(path))


def read_chain(path: Path) -> Chain:
    return Chain(read_runbooks(path))
