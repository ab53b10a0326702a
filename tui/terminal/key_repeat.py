"""A key that is held down is one press. Terminals send it again and again and never say that it was let go. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(slots=True)
class KeyRepeat:
    REPEAT_WITHIN: ClassVar[float] = 0.75
    """Seconds: longer than the pause that terminals make before the first repeat (0.25 to 0.66 by default)."""

    _key: str = ""
    _at: float = float("-inf")

    def is_repeat(self, key: str, now: float) -> bool:
        """Whether the key that comes at `now` may be the one before, still held down; another key in between is
        enough to know that it is not.
        """
        held = key == self._key and now - self._at < self.REPEAT_WITHIN
        self._key, self._at = key, now
        return held

    def reset(self) -> None:
        """The hand was at the mouse."""
        self._key = ""
