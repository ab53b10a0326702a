"""Seals the positions that the hub tells its machines (common/link/marks.py), so that none can be made up.

The key is derived from the hub's own signing key, whose signatures are deterministic: it is the same after a restore,
and is kept nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from common.identity.signing import SigningKey
from common.link.marks import Mark, parse_mark

_PURPOSE: Final = b"answerback mark 1\n"
_SEAL_CHARS: Final = 32


class MarkSealer:
    def __init__(self, key: SigningKey) -> None:
        self._key = hashlib.sha256(key.sign(_PURPOSE, b"")).digest()
        self._last: tuple[str, str] = ("", "")  # machines are told the same position many times over

    def seal(self, mark: Mark) -> str:
        text = str(mark)
        if text != self._last[0]:
            self._last = (text, f"{text}.{self._seal_of(text)}")
        return self._last[1]

    def open(self, text: str) -> Mark | None:
        """The position that this hub has told; None where it has not."""
        found = parse_mark(text)
        if found is None or not hmac.compare_digest(found[1], self._seal_of(str(found[0]))):
            return None
        return found[0]

    def _seal_of(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("ascii"), "sha256").hex()[:_SEAL_CHARS]
