"""approvers.json: whose own signatures this machine counts where a rule is `critical`; the hub cannot change it.

The file is a JSON object: `people`, each person's name to a list of keys, an Ed25519 public key in hex or the line of a
passkey (`common.identity.passkey`); `needed`, how many of them have to sign a change from afar (`common.key_change`),
two at least; and `changes`, the last change of each key, before which no other is taken any more. Whoever has the
machine adds people (`answerback-agent approvers add NAME KEY`, or `join --approver NAME:KEY`), from what the person's
`answerback whoami --approval-key` printed, or `answerback passkey list`; later the people whose consoles' keys are here
may add such keys, and take out any, from afar.

A console signs what it has shown itself. A passkey signs what a page of the hub shows: whoever has that hub in their
hands can show its person another plan than the one that is signed. So none counts that was not added here, by name, and
none signs a change from afar.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from agent.lock import hold_lock
from common.errors import UserError
from common.files import write_file
from common.identity.passkey import (
    PREFIX,
    ApproverKey,
    BadPasskey,
    Passkey,
    approver_key_text,
    parse_passkey,
)
from common.ids import is_name
from common.key_change import MAX_LIFETIME, NEEDED, is_key
from common.read_file import read_bytes

Approvers = Mapping[str, tuple[ApproverKey, ...]]
"""A person's name to their public keys."""

MAX_PEOPLE: Final = 256
MAX_KEYS: Final = 8
"""Keys of one person: of each console they use."""
MAX_ALL_KEYS: Final = 256
MAX_NEEDED: Final = 16
MAX_CHANGES: Final = 1024
"""Changes that are remembered; where so many are, no further one is taken until the oldest is of no use any more."""
KEPT_BEYOND: Final = 86_400
"""Seconds that a change is remembered beyond its last use, for a clock that is set back."""
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
ADD_HINT: Final = (
    "answerback-agent approvers add NAME KEY, with the line that `answerback whoami --approval-key` prints, or the"
    " passkey that `answerback passkey list` shows"
)
PASSKEY_TRUST: Final = (
    "a passkey signs what a page of the hub shows, so whoever holds the hub can have another plan signed than its"
    " person sees; a console's key signs what the console shows"
)
"""What the trust in a passkey rests on; for whoever has the machine."""


class BadApprovers(ValueError):
    """A malformed approvers.json; `str()` says what is wrong."""


@dataclass(frozen=True, slots=True)
class LastChange:
    """Of one key: no change is taken that was made before it."""

    made_at: int  # milliseconds since the epoch
    id: str = ""  # "" where somebody made it here

    @property
    def order(self) -> tuple[int, str]:
        return self.made_at, self.id

    def is_needed(self, now: float) -> bool:
        """Whether a change that was made before it could still be carried out."""
        return self.made_at / 1000 + MAX_LIFETIME + KEPT_BEYOND > now


@dataclass(frozen=True, slots=True)
class KnownKeys:
    people: Approvers = field(default_factory=dict)
    needed: int = NEEDED
    changes: Mapping[str, LastChange] = field(default_factory=dict)  # by key

    @property
    def signers(self) -> frozenset[str]:
        """Who may sign a change from afar: the people with a console's key."""
        return frozenset(name for name, keys in self.people.items() if any(isinstance(key, bytes) for key in keys))

    def owner_of(self, key: str) -> str:
        """Whose the key is; "" where it is nobody's here."""
        return next((name for name, keys in self.people.items() if key in map(approver_key_text, keys)), "")

    def by_key(self) -> dict[str, str]:
        """Each key to whose it is."""
        return {approver_key_text(key): name for name, keys in sorted(self.people.items()) for key in keys}

    def with_key(self, name: str, key: str) -> KnownKeys:
        """Raises BadApprovers where the key is none."""
        keys, added = self.people.get(name, ()), _key(name, key)
        return replace(self, people={**self.people, name: keys if added in keys else (*keys, added)})

    def without_key(self, name: str, key: str) -> KnownKeys:
        left = tuple(one for one in self.people.get(name, ()) if approver_key_text(one) != key)
        others = {who: keys for who, keys in self.people.items() if who != name}
        return replace(self, people={**others, name: left} if left else others)

    def noted(self, keys: Iterable[str], last: LastChange, now: float) -> KnownKeys:
        """With the last change of these keys; what is of no use any more is dropped."""
        kept = {key: one for key, one in self.changes.items() if one.is_needed(now)}
        return replace(self, changes={**kept, **dict.fromkeys(keys, last)})


# ---- the file


def parse_known(data: bytes) -> KnownKeys:
    """Raises BadApprovers. A file of before has the people alone."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise BadApprovers("not JSON") from None
    if not isinstance(body, dict):
        raise BadApprovers("an object was expected")
    if not isinstance(body.get("people"), dict):
        return KnownKeys(_people(body))
    needed, changes = body.get("needed", NEEDED), body.get("changes", {})
    if body.keys() - {"people", "needed", "changes"}:
        raise BadApprovers("people, needed and changes are all that it may have")
    if type(needed) is not int or not NEEDED <= needed <= MAX_NEEDED:
        raise BadApprovers(f"needed: {NEEDED} to {MAX_NEEDED} was expected")
    if not isinstance(changes, dict) or len(changes) > MAX_CHANGES:
        raise BadApprovers(f"changes: an object of at most {MAX_CHANGES} was expected")
    return KnownKeys(_people(body["people"]), needed, {key: _last(key, one) for key, one in changes.items()})


def parse_approvers(data: bytes) -> Approvers:
    """Raises BadApprovers."""
    return parse_known(data).people


def _people(body: Mapping[str, object]) -> Approvers:
    if len(body) > MAX_PEOPLE:
        raise BadApprovers(f"an object of at most {MAX_PEOPLE} people was expected")
    people = {name: _keys(name, keys) for name, keys in body.items()}
    every = [key for keys in people.values() for key in keys]
    if len(every) > MAX_ALL_KEYS:
        raise BadApprovers(f"more than {MAX_ALL_KEYS} keys")
    if len(set(every)) < len(every):
        raise BadApprovers("one key stands twice: whoever has it would be two people")
    return people


def _keys(name: str, keys: object) -> tuple[ApproverKey, ...]:
    if not is_name(name):
        raise BadApprovers(f"{name[:60]!r} is no person's name")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise BadApprovers(f"{name}: a list of 1 to {MAX_KEYS} keys was expected")
    return tuple(_key(name, key) for key in keys)


def _key(name: str, key: object) -> ApproverKey:
    if isinstance(key, str) and key.startswith(PREFIX):
        try:
            return parse_passkey(key)
        except BadPasskey as error:
            raise BadApprovers(f"{name}: a passkey: {error}") from None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise BadApprovers(f"{name}: a key is neither 64 hex digits nor the line of a passkey")
    return bytes.fromhex(key)


def _last(key: str, value: Any) -> LastChange:
    match value:
        case [int(made_at), str(change)] if is_key(key) and 0 <= made_at <= 2**53 and len(change) <= 16:
            return LastChange(made_at, change)
    raise BadApprovers("changes: a key with when it was changed last, and by which change, was expected")


def known_bytes(known: KnownKeys) -> bytes:
    """`parse_known` is the inverse."""
    body = {
        "people": {name: [approver_key_text(key) for key in keys] for name, keys in known.people.items()},
        "needed": known.needed,
        "changes": {key: [one.made_at, one.id] for key, one in known.changes.items()},
    }
    return json.dumps(body, indent=1, sort_keys=True).encode() + b"\n"


def load_known(path: Path) -> KnownKeys:
    """What the file says, nobody where there is none; raises UserError."""
    if not path.exists():
        return KnownKeys()
    try:
        return parse_known(read_bytes(path, trusted=True))
    except BadApprovers as error:
        raise UserError(f"{path}: {error}", f"correct it, or remove it and add the people again: {ADD_HINT}") from None


def load_approvers(path: Path) -> Approvers:
    """Those of the file, nobody where there is none; raises UserError."""
    return load_known(path).people


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Held from reading the file to writing it: the runner and whoever has the machine may both change it."""
    with hold_lock(path.with_name("approvers.lock")):
        yield


def save_known(path: Path, known: KnownKeys) -> None:
    """Whole or not at all; raises UserError where it is out of bounds or cannot be written."""
    data = known_bytes(known)
    try:
        parse_known(data)
    except BadApprovers as error:
        raise UserError(str(error), ADD_HINT) from None
    write_file(path, data)


# ---- by whoever has the machine


def _as_given(key: str) -> str:
    """As people paste it: hex in capitals is the same key."""
    return key if key.lower().startswith(PREFIX) else key.lower()


def parse_approver(text: str) -> tuple[str, str]:
    """NAME:KEY, as `join --approver` takes it; raises UserError."""
    name, _, key = text.partition(":")
    try:
        _keys(name, [_as_given(key)])
    except BadApprovers as error:
        raise UserError(f"--approver: {error}", ADD_HINT) from None
    return name, _as_given(key)


def add_approver(path: Path, name: str, key: str, wall: Callable[[], float] = time.time) -> Approvers:
    """Raises UserError where the name or the key is none, or there are too many."""
    key = _as_given(key)
    try:
        _keys(name, [key])
    except BadApprovers as error:
        raise UserError(str(error), ADD_HINT) from None
    with changing(path):
        known, now = load_known(path), wall()
        owner = known.owner_of(key)
        if owner not in ("", name):
            raise UserError(f"that key is known as {owner}'s", f"one key is one person's: ask {name} for theirs")
        save_known(path, known.with_key(name, key).noted([key], LastChange(int(now * 1000)), now))
        return load_approvers(path)


def remove_approver(path: Path, name: str, key: str = "", wall: Callable[[], float] = time.time) -> Approvers:
    """Takes a person out with all their keys, or with the one; raises UserError where there is none of the name."""
    with changing(path):
        known, now = load_known(path), wall()
        keys = [one for one in map(approver_key_text, known.people.get(name, ())) if _as_given(key) in ("", one)]
        if not keys:
            what = f"a key of {name[:60]!r}" if name in known.people else f"{name[:60]!r}"
            raise UserError(f"{what} is no approver here", "see answerback-agent approvers list")
        left = known.noted(keys, LastChange(int(now * 1000)), now)
        for one in keys:
            left = left.without_key(name, one)
        save_known(path, left)
        return left.people


def set_needed(path: Path, needed: int) -> None:
    """How many people have to sign a change from afar; raises UserError."""
    if not NEEDED <= needed <= MAX_NEEDED:
        raise UserError(f"{needed} is not {NEEDED} to {MAX_NEEDED}", "two people at least change whose word counts")
    with changing(path):
        save_known(path, replace(load_known(path), needed=needed))


def with_passkeys(people: Approvers) -> list[str]:
    """Whose passkeys count here, by name."""
    return sorted(name for name, keys in people.items() if any(isinstance(key, Passkey) for key in keys))
