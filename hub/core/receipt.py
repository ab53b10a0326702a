"""What became of a message that an inlet took, as its webhook answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message. `accepted`, `duplicate` and `changed` exist only after a commit; `rate`, `busy`,
    `echo` and `ignored` are about what was not stored.
    """

    status: Literal["accepted", "duplicate", "changed", "rate", "busy", "echo", "ignored"]
    request: str = ""  # ULID
    number: int = 0
    limited: str = ""  # whose rate it was: person, conversation or stranger
    wait: float = 0.0  # seconds until there is room, of `rate` and `busy`
