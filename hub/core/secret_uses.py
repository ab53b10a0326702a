"""Secrets that change without a gap: since when each one holds, when it was used last, and whether it can go. Pure.

A secret is one line of a secret file. It is named by its fingerprint, the first eight hex digits of its SHA-256, and
belongs to a table of hub.toml, `inlets.NAME` or `models.NAME`. Fingerprints stand in the store and are shown to admins;
they are in no metric, since whoever guesses a secret could check the guess against one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

FINGERPRINT: Final = 8  # hex digits
QUIET_SECONDS: Final = 3_600.0
"""For how long a secret must not have been used before it is retired."""
WRITE_EVERY: Final = 30.0  # seconds between two writes of one secret's last use


@dataclass(frozen=True, slots=True)
class SecretTimes:
    """Seconds since the epoch; 0 where nobody knows."""

    since: float = 0.0
    used: float = 0.0


SecretBook = dict[str, dict[str, SecretTimes]]
"""Table of hub.toml -> fingerprint -> times."""


def fingerprint(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:FINGERPRINT]


def book_to_json(book: Mapping[str, Mapping[str, SecretTimes]]) -> str:
    told = {owner: {mark: [one.since, one.used] for mark, one in marks.items()} for owner, marks in book.items()}
    return json.dumps(told)


def book_from_json(text: str) -> SecretBook:
    """The inverse; what cannot be read is an empty book."""
    try:
        told: Any = json.loads(text or "{}")
        return {
            str(owner): {str(mark): SecretTimes(float(one[0]), float(one[1])) for mark, one in marks.items()}
            for owner, marks in told.items()
        }
    except (ValueError, TypeError, LookupError, AttributeError):
        return {}


def retire_problem(mark: str, others: Sequence[str], times: Mapping[str, SecretTimes], now: float) -> str:
    """Why a secret is still needed, as far as is known; "" where nothing speaks against its end. `others` are the
    fingerprints of those that would be left in its file.
    """
    used = times.get(mark, SecretTimes()).used
    if used and now - used < QUIET_SECONDS:
        return f"it was used {max(0.0, now - used):.0f} s ago"
    if used and all(times.get(other, SecretTimes()).used <= used for other in others):
        return "none of the others was used since, so its sender may not have changed yet"
    return ""


class SecretUses:
    """When each secret was used last, in the hub that serves. Bounded by `keep`: lines of secret files alone."""

    def __init__(self, book: SecretBook | None = None) -> None:
        """`book` is what was written before."""
        self._used = {
            (owner, mark): one.used for owner, marks in (book or {}).items() for mark, one in marks.items() if one.used
        }
        self._written = dict(self._used)

    def note(self, owner: str, line: bytes, now: float) -> None:
        """It proved a delivery, or was accepted."""
        self._used[owner, fingerprint(line)] = now

    def latest(self, owner: str, lines: Sequence[bytes]) -> bytes:
        """The one of `lines` that was used last; empty where none is known to have been."""
        known = [line for line in lines if (owner, fingerprint(line)) in self._used]
        return max(known, key=lambda line: self._used[owner, fingerprint(line)], default=b"")

    def due(self, now: float) -> dict[tuple[str, str], float]:
        """Last uses that are to be written now: (table, fingerprint) -> when."""
        return {
            key: at
            for key, at in self._used.items()
            if at > (before := self._written.get(key, 0.0)) and (not before or now - before >= WRITE_EVERY)
        }

    def written(self, uses: Mapping[tuple[str, str], float]) -> None:
        self._written.update(uses)

    def keep(self, kind: str, lines: Mapping[str, Iterable[bytes]]) -> None:
        """Forgets the secrets that went; `lines` are all that hold in the tables of a kind, such as "inlets"."""
        held = {(owner, fingerprint(line)) for owner, some in lines.items() for line in some}
        for kept in (self._used, self._written):
            for key in [one for one in kept if one[0].startswith(f"{kind}.") and one not in held]:
                del kept[key]
