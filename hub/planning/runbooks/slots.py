"""The typed slots of a runbook: which words fit, and the text that goes into the command.

A value is checked as a whole and is never split or read as an option: none begins with `-`. `machine` stands for the
targets and is not a slot (see `runbook`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from common.values import parse_whole_seconds
from hub.planning.runbooks.tokens import word_set

MAX_VALUE: Final = 1_024
MACHINE: Final = "machine"

_PATH: Final = re.compile(r"/[A-Za-z0-9._@%+=:,~/-]*", re.ASCII)
_UNIT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,254}", re.ASCII)
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*\.?", re.ASCII
)
_INT: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIZE: Final = re.compile(r"([0-9]{1,7})([kmg]?)(?:i?b)?", re.I | re.A)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}", re.ASCII)
_BINARY: Final = {"k": "k", "m": "M", "g": "G"}

NEVER_VALUES: Final = word_set(
    "a after again ago all already also although always an and another any anybody anymore anyone anything are "
    "asap at because been before being both but by can cannot could despite did didn't do does doesn't don't done "
    "dont down each else eventually ever everything except few first for from had has hasn't have he her here his "
    "how i if immediately in instead into is isn't it it's its just later like many maybe me might more most much "
    "must my myself never next no nobody none not nothing now of off often on once only or other otherwise our "
    "out over perhaps please quickly rather really same several shall she should shouldn't since so some "
    "something soon sooner still such than that the their them then there these they thing things this those "
    "though through till to today together tomorrow tonight too twice unless until up us very was wasn't we were "
    "what when whenever where whether which while who why will with without won't would wouldn't yes yesterday "
    "yet you your"
)
"""English words that are never the name of a service, a host or the like."""
ACTION_WORDS: Final = word_set(
    "add attach block bounce cancel change check clean clear close compress configure copy create cut delete deploy "
    "detach disable download drain drop edit empty enable erase export extend failover find fix flush format free "
    "get grep halt import increase install kill launch limit list lock make migrate mount move mute open pause "
    "print prune pull purge push read rebuild recover reduce reinstall reload remove rename renew repair replace "
    "reset resize restore resume revoke roll rollback rotate run save scale send set show shutdown shrink start "
    "stop suspend switch tail test throttle trim truncate tune unblock undo uninstall unlock unmount update upgrade "
    "upload verify wait wipe write"
)
"""Verbs, which are never a name: "delete logs" does not mean the logs of a service "delete"."""


@dataclass(frozen=True, slots=True)
class RunbookSlot:
    """One typed slot. `low` and `high` bound `int`, `port` and `duration` (seconds); `pattern` narrows `word`."""

    name: str
    type: str
    default: str | None = None  # already in its final form
    sample: str = ""  # shown in examples
    values: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    low: int = 0
    high: int = 1_000_000_000

    def convert(self, word: str) -> str | None:
        """The text that goes into the command, or None where `word` does not fit."""
        if not word or len(word) > MAX_VALUE:
            return None
        return CONVERTERS[self.type](self, word)


def _path(slot: RunbookSlot, word: str) -> str | None:
    """An absolute path without `..`; policy decides whether it may be used."""
    if _PATH.fullmatch(word) is None or ".." in word.split("/"):
        return None
    return word if word == "/" else word.rstrip("/")


def _unit(slot: RunbookSlot, word: str) -> str | None:
    """A systemd unit's name, with or without its suffix (systemd.unit(5))."""
    return word if _UNIT.fullmatch(word) is not None and word.casefold() not in NEVER_VALUES else None


def _host(slot: RunbookSlot, word: str) -> str | None:
    """A host name (RFC 1123) or an address."""
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        return word if _HOST.fullmatch(word) is not None and word.casefold() not in NEVER_VALUES else None


def _int(slot: RunbookSlot, word: str) -> str | None:
    if _INT.fullmatch(word) is None or not slot.low <= int(word) <= slot.high:
        return None
    return str(int(word))


def _enum(slot: RunbookSlot, word: str) -> str | None:
    return next((value for value in slot.values if value.casefold() == word.casefold()), None)


def _duration(slot: RunbookSlot, word: str) -> str | None:
    """Seconds."""
    found = parse_whole_seconds(word, slot.low, slot.high)
    return None if found is None else str(found)


def _size(slot: RunbookSlot, word: str) -> str | None:
    """A size with its unit, as find and journalctl take it: `500M`, `2G`; mebibytes where none is written."""
    found = _SIZE.fullmatch(word)
    return f"{int(found[1])}{_BINARY[found[2].lower() or 'm']}" if found else None


def _word(slot: RunbookSlot, word: str) -> str | None:
    if slot.pattern is not None:
        return word if not word.startswith("-") and slot.pattern.fullmatch(word) is not None else None
    return word if _WORD.fullmatch(word) is not None and word.casefold() not in NEVER_VALUES else None


CONVERTERS: Final[Mapping[str, Callable[[RunbookSlot, str], str | None]]] = {
    "path": _path,
    "unit": _unit,
    "port": _int,
    "host": _host,
    "int": _int,
    "enum": _enum,
    "duration": _duration,
    "size": _size,
    "word": _word,
}
SLOT_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "port": (1, 65_535),
    "int": (0, 1_000_000),
    "duration": (1, 7 * 86_400),
}
DEFAULT_SAMPLES: Final[Mapping[str, str]] = {
    "path": "/srv/app",
    "unit": "nginx",
    "port": "8080",
    "host": "db.example",
    "int": "20",
    "duration": "5m",
    "size": "100M",
    "word": "main",
}
