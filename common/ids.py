"""The form of names and ids. An id becomes part of a path only after it has been checked here."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_LABEL_VALUE = re.compile(r"[A-Za-z0-9._-]{1,63}", re.ASCII)


def is_name(value: str) -> bool:
    """A machine, person, inlet or runbook name: 1 to 64 of `A-Za-z0-9._-`, no separator at either end, no `..`."""
    return _NAME.fullmatch(value) is not None and ".." not in value


def is_ulid(value: str) -> bool:
    """A canonical upper-case ULID (26 characters, Crockford base 32), as job ids are."""
    return _ULID.fullmatch(value) is not None


def is_label_value(value: str) -> bool:
    return _LABEL_VALUE.fullmatch(value) is not None
