"""approvers.json: whose own signatures this machine counts where a rule is `critical`; the hub cannot change it.

The file is a JSON object, each person's name to a list of Ed25519 public keys in hex. Whoever has the machine adds them
(`answerback-agent approvers add NAME KEY`, or `join --approver NAME:KEY`), from what the person's `answerback whoami
--approval-key` printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from common.errors import UserError
from common.files import write_file
from common.ids import is_name
from common.read_file import read_bytes

Approvers = Mapping[str, tuple[bytes, ...]]
"""A person's name to their public keys, raw Ed25519."""

MAX_PEOPLE: Final = 256
MAX_KEYS: Final = 8
"""Keys of one person: of each console they use."""
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
ADD_HINT: Final = (
    "answerback-agent approvers add NAME KEY, with the line that `answerback whoami --approval-key` prints"
)


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


def _keys(name: str, keys: object) -> tuple[bytes, ...]:
    if not is_name(name):
        raise BadApprovers(f"{name[:60]!r} is no person's name")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise BadApprovers(f"{name}: a list of 1 to {MAX_KEYS} keys was expected")
    if not all(isinstance(key, str) and _KEY.fullmatch(key) for key in keys):
        raise BadApprovers(f"{name}: a key is not 64 hex digits")
    return tuple(map(bytes.fromhex, keys))


def parse_approver(text: str) -> tuple[str, str]:
    """NAME:KEY, as `join --approver` takes it; raises UserError."""
    name, _, key = text.partition(":")
    try:
        _keys(name, [key.lower()])
    except BadApprovers as error:
        raise UserError(f"--approver: {error}", ADD_HINT) from None
    return name, key.lower()


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
    keys = [one.hex() for one in known.get(name, ())]
    if key.lower() not in keys:
        keys.append(key.lower())
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
        name: [key.hex() if isinstance(key, bytes) else key for key in keys]
        for name, keys in people.items()
        if isinstance(keys, (tuple, list))
    }
    data = json.dumps(body, indent=1, sort_keys=True).encode() + b"\n"
    try:
        parse_approvers(data)
    except BadApprovers as error:
        raise UserError(str(error), ADD_HINT) from None
    write_file(path, data)
