"""approvers.json: whose own signatures this machine counts where a rule is `critical`; the hub cannot change it.

The file is a JSON object, each person's name to a list of keys: an Ed25519 public key in hex, or the line of a passkey
(`common.identity.passkey`). Whoever has the machine adds them (`answerback-agent approvers add NAME KEY`, or `join
--approver NAME:KEY`), from what the person's `answerback whoami --approval-key` printed, or `answerback passkey list`.

A console signs what it has shown itself. A passkey signs what a page of the hub shows: whoever has that hub in their
hands can show its person another plan than the one that is signed. So none counts that was not added here, by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
from common.read_file import read_bytes

Approvers = Mapping[str, tuple[ApproverKey, ...]]
"""A person's name to their public keys."""

MAX_PEOPLE: Final = 256
MAX_KEYS: Final = 8
"""Keys of one person: of each console they use."""
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


def parse_approvers(data: bytes) -> Approvers:
    """Raises BadApprovers."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise BadApprovers("not JSON") from None
    if not isinstance(body, dict) or len(body) > MAX_PEOPLE:
        raise BadApprovers(f"an object of at most {MAX_PEOPLE} people was expected")
    return {name: _keys(name, keys) for name, keys in body.items()}


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


def load_approvers(path: Path) -> Approvers:
    """Those of the file, nobody where there is none; raises UserError."""
    if not path.exists():
        return {}
    try:
        return parse_approvers(read_bytes(path, trusted=True))
    except BadApprovers as error:
        raise UserError(f"{path}: {error}", f"correct it, or remove it and add the people again: {ADD_HINT}") from None


def add_approver(path: Path, name: str, key: str) -> Approvers:
    """Raises UserError where the name or the key is none, or there are too many."""
    known = dict(load_approvers(path))
    keys = [approver_key_text(one) for one in known.get(name, ())]
    if _as_given(key) not in keys:
        keys.append(_as_given(key))
    _save(path, {**known, name: keys})
    return load_approvers(path)


def remove_approver(path: Path, name: str) -> Approvers:
    """Takes a person out with all their keys; raises UserError where there is none of the name."""
    known = dict(load_approvers(path))
    if name not in known:
        raise UserError(f"{name[:60]!r} is no approver here", "see answerback-agent approvers list")
    del known[name]
    _save(path, known)
    return known


def _save(path: Path, people: Mapping[str, object]) -> None:
    body = {
        name: [key if isinstance(key, str) else approver_key_text(key) for key in keys]
        for name, keys in people.items()
        if isinstance(keys, (tuple, list))
    }
    data = json.dumps(body, indent=1, sort_keys=True).encode() + b"\n"
    try:
        parse_approvers(data)
    except BadApprovers as error:
        raise UserError(str(error), ADD_HINT) from None
    write_file(path, data)


def with_passkeys(people: Approvers) -> list[str]:
    """Whose passkeys count here, by name."""
    return sorted(name for name, keys in people.items() if any(isinstance(key, Passkey) for key in keys))
