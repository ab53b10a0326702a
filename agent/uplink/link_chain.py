"""The links of this state folder as a chain of steps (common/link/lineage.py), on disk in uplink/links.

A step is taken, and synced, before the hub is dialled; one that was never welcomed is told again. So a hub that has
seen a step always finds it in what the next link tells, however often either was killed; and a copy of the folder, or
of the whole machine while it ran, goes another way with its first link.

Beside the steps the file has the place of the folder (agent/place.py): one that is found elsewhere is not served.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any, Final

from agent import log
from agent.place import Place, end_word, moved_error, parse_place, place_of, read_word, why_moved
from agent.state import StateFolder, moved_here_file
from common.errors import UserError
from common.files import write_file
from common.link.lineage import Lineage, begin, parse_lineage
from common.read_file import read_bytes

MAX_FILE: Final = 4 * 1024


class LinkChain:
    """The file. Raises Moved where the folder was last used elsewhere and nobody has said that it goes on here."""

    def __init__(self, state: StateFolder) -> None:
        self._path = state.links
        self._here = place_of(state.uplink)
        self._failed = False
        word_file = moved_here_file(state.uplink)
        word = read_word(word_file, self._here)
        self._lineage, recorded, self._welcomed = read_links(self._path)
        why = "" if recorded is None else why_moved(recorded, self._here)
        if why and not word:
            raise moved_error(state.path, why)
        if why or word == "anew":
            log.warning("links.begun_anew", why="a person said that this state folder goes on here")
            self._lineage = None
        self._bound = recorded == self._here and self._lineage is not None
        end_word(word_file)

    def next_link(self) -> str:
        """What is told with the link that is dialled now; on disk when this returns, or nothing new is told: "" where
        there is nothing at all.
        """
        if self._lineage is not None and self._bound and not self._welcomed:
            return str(self._lineage)
        salt = secrets.token_bytes(16)
        fresh = begin(secrets.token_hex(8), salt) if self._lineage is None else self._lineage
        if self._lineage is not None and self._welcomed:
            fresh = fresh.advance(salt)
        try:
            write_file(self._path, self._to_json(fresh, welcomed=False))
        except (OSError, UserError) as error:  # a machine without room must still answer: it tells the last step again
            if not self._failed:
                log.warning("links.unwritten", reason=str(error), cure="make room, or mend the folder's rights")
            self._failed = True
        else:
            self._lineage, self._welcomed, self._bound, self._failed = fresh, False, True, False
        return "" if self._lineage is None else str(self._lineage)

    def note_welcome(self) -> None:
        """The hub knows the step that was told last. Not synced: where this is lost, that step is told once more."""
        if self._welcomed or self._lineage is None or not self._bound:
            return
        self._welcomed = True
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.pwrite(file, self._to_json(self._lineage, welcomed=True), 0)
            finally:
                os.close(file)
        except OSError:
            pass  # as where it is lost

    def _to_json(self, lineage: Lineage, *, welcomed: bool) -> bytes:
        """Of one length for one lineage: it is written in place."""
        body = {"links": str(lineage), "place": self._here.to_json(), "welcomed": int(welcomed)}
        return json.dumps(body).encode() + b"\n"


def read_links(path: Path) -> tuple[Lineage | None, Place | None, bool]:
    """The chain, its folder's place, and whether the hub knows its last step; (None, None, False) where the file is
    missing or cannot be understood: then another chain begins, which the hub notices.
    """
    try:
        body: Any = json.loads(read_bytes(path, MAX_FILE))
        return parse_lineage(str(body["links"])), parse_place(body["place"]), body["welcomed"] == 1
    except (UserError, ValueError, TypeError, KeyError, RecursionError):
        return None, None, False
