"""What this machine was told last of its hub's position (common/link/marks.py), kept on disk from before it obeys.

A hub that was put back from a backup does not know the position that it told: it asks for it with every new link, and
recognises by it that it was. A hub that is behind that position, or at another start of the same epoch, is not obeyed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from agent import log
from common.errors import UserError
from common.files import write_file
from common.link.marks import MAX_MARK, Mark, parse_mark

NOTHING: Final = "-"
"""What a machine says that knows of positions and was told none yet."""


class HubPosition:
    """The file. A new start of the hub is on disk when `note` returns; a step further in the same one is written
    without a sync, since it may come with every order: after a power failure the file may be a little behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = _read(path)
        self._failed = False

    @property
    def text(self) -> str:
        return self._text or NOTHING

    @property
    def mark(self) -> Mark | None:
        found = parse_mark(self._text)
        return None if found is None else found[0]

    def is_obeyed(self, told: str) -> bool:
        """Whether a hub that is at `told` goes on from what was heard. One that tells nothing is an older version."""
        heard, found = self.mark, parse_mark(told)
        return heard is None or not told or (found is not None and found[0].supersedes(heard))

    def goes_on(self, told: str) -> bool:
        """Whether `told` is of the start of the hub that was heard last."""
        heard, found = self.mark, parse_mark(told)
        if heard is None or found is None:
            return False
        return (heard.epoch, heard.start) == (found[0].epoch, found[0].start)

    def note(self, told: str) -> None:
        """Keeps a position of a hub that is obeyed. Where the disk refuses, the log says so once."""
        if told == self._text or parse_mark(told) is None:
            return
        try:
            if not self.goes_on(told):
                write_file(self._path, told.encode("ascii").ljust(MAX_MARK))
            else:
                _overwrite(self._path, told)
            self._failed = False
        except (OSError, UserError) as error:  # a machine without room must still answer
            if not self._failed:
                log.warning("hub_position.unwritten", reason=str(error), cure="make room, or mend the folder's rights")
            self._failed = True
        self._text = told


def _read(path: Path) -> str:
    try:
        text = path.read_bytes()[: MAX_MARK + 1].decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if parse_mark(text) is not None else ""


def _overwrite(path: Path, told: str) -> None:
    """In place, at one length: a reader finds the one or the other."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.pwrite(file, told.encode("ascii").ljust(MAX_MARK), 0)
    finally:
        os.close(file)
