"""A script that is shipped with a plan: which word of the command it is, and its content by digest.

A command such as `python3 -I backup.py --full` may name a script of the hub. What people approve is the digest (part of
the step's hash); the order carries the text behind it, and the machine runs that text and no file of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

MAX_SCRIPT: Final = 64 * 1024
"""Bytes of a script: it travels in the order."""
_HEX: Final = frozenset("0123456789abcdef")


class BadScript(ValueError):
    """`str()` says what is wrong with a script, or with what an order says of one."""


@dataclass(frozen=True, slots=True)
class ScriptWord:
    """The word of the argument vector in whose place the script's content runs."""

    word: int
    sha256: str

    def check(self, argv: Sequence[str]) -> None:
        """Raises BadScript unless it is of this vector."""
        if type(self.word) is not int or not 1 <= self.word < len(argv):
            raise BadScript("word: not one of the arguments")
        if not isinstance(self.sha256, str) or len(self.sha256) != 64 or not _HEX.issuperset(self.sha256):
            raise BadScript("sha256: not a digest")

    def check_text(self, text: str) -> None:
        """Raises BadScript unless this is the content."""
        if script_digest(text) != self.sha256:
            raise BadScript("the text is not the one whose digest was approved")


def script_digest(text: str) -> str:
    """SHA-256 of a script's text, in hex; raises BadScript where it is none."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise BadScript("not a text") from None
    if not data or len(data) > MAX_SCRIPT or b"\0" in data:
        raise BadScript(f"not a text of 1 to {MAX_SCRIPT} bytes")
    return hashlib.sha256(data).hexdigest()


def script_to_json(script: ScriptWord | None) -> dict[str, Any]:
    """As a field of a plan or an order: absent where there is none, so that all others keep their bytes and hashes."""
    return {} if script is None else {"script": {"word": script.word, "sha256": script.sha256}}


def script_from_json(body: Any) -> ScriptWord | None:
    """The inverse, for the field's value; raises BadScript."""
    if body is None:
        return None
    if not isinstance(body, dict) or set(body) != {"word", "sha256"}:
        raise BadScript("not of the form")
    return ScriptWord(body["word"], body["sha256"])
