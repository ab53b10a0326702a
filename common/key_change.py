"""A change from afar of whose own signatures machines count where a rule is critical: a key added, or removed.

It is written by a person's console, signed by people with the keys that the machines know already
(`agent.approvers`), and carried by the hub, which can neither make one nor change it: the statement names the hub's id,
what is done with which key of whom, the machines by name or pattern, when it was made and until when it may be carried
out. Each machine counts the signatures itself (`agent.runner.key_changes`), and takes of one key no change that was
made before the last that it took: so none comes twice, and none that was held back comes after a later one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from common.ids import is_name

Action = Literal["add", "remove"]

MAX_MACHINES: Final = 64
"""Names and patterns of one change; `*` is every machine."""
MAX_SIGNATURES: Final = 16
MAX_BYTES: Final = 16 * 1024
"""Of a change with its signatures."""
MAX_LIFETIME: Final = 30 * 86_400
"""Seconds from when it was made to when it may be carried out at the latest."""
MAX_AHEAD: Final = 300
"""Seconds that it may have been made in the future, by the clock of whoever reads it."""
NEEDED: Final = 2
"""People who have to sign, at least; a machine may want more."""
_ID: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PASSKEY: Final = re.compile(r"passkey:[a-z0-9]{1,16}:[A-Za-z0-9_:./-]{1,375}", re.ASCII)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)
_PATTERN: Final = re.compile(r"[A-Za-z0-9._*?-]{1,64}", re.ASCII)


class BadKeyChange(ValueError):
    """A malformed change; `str()` names the field."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    id: str  # 16 hex digits, random
    hub: str  # the hub's id, as machines know it
    action: Action
    person: str  # whose key it is
    key: str  # raw Ed25519, 64 hex digits; to take one out also the line of a passkey
    machines: tuple[str, ...]  # names or patterns, sorted
    made_at: int  # milliseconds since the epoch, by the clock of whoever made it
    expires: int  # seconds since the epoch

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or not is_name(self.hub):
            raise BadKeyChange("id, hub: not of the form")
        if self.action not in ("add", "remove"):
            raise BadKeyChange("action: add or remove was expected")
        if not is_name(self.person):
            raise BadKeyChange("person: not a name")
        if not (is_console_key(self.key) if self.action == "add" else is_key(self.key)):
            raise BadKeyChange("key: 64 hex digits were expected; a passkey is added on the machine")
        if not 1 <= len(self.machines) <= MAX_MACHINES:
            raise BadKeyChange(f"machines: 1 to {MAX_MACHINES} names or patterns were expected")
        if list(self.machines) != sorted(set(self.machines)) or not all(map(_PATTERN.fullmatch, self.machines)):
            raise BadKeyChange("machines: names, or patterns with * and ?, sorted and each once, were expected")
        if not (0 < self.made_at <= 2**53 and 0 < self.expires <= 2**53):
            raise BadKeyChange("made_at, expires: not of the form")
        if not 0 < self.expires - self.made_at / 1000 <= MAX_LIFETIME:
            raise BadKeyChange(f"expires: within {MAX_LIFETIME // 86_400} days of when it was made was expected")

    @property
    def order(self) -> tuple[int, str]:
        """By which of two changes of one key the later is known."""
        return self.made_at, self.id

    def statement(self) -> bytes:
        """What people sign, under KEY_CHANGE_PURPOSE."""
        return _canonical(_change_json(self))

    def is_for(self, machine: str) -> bool:
        return any(fnmatchcase(machine, pattern) for pattern in self.machines)


@dataclass(frozen=True, slots=True)
class KeySignature:
    person: str
    key: str  # the public key it is by, 64 hex digits
    signature: bytes  # Ed25519, 64 bytes


@dataclass(frozen=True, slots=True)
class SignedKeyChange:
    change: KeyChange
    signatures: tuple[KeySignature, ...] = ()

    def with_signature(self, signature: KeySignature) -> SignedKeyChange:
        """With one more, in place of one by the same key; raises BadKeyChange where there are too many."""
        others = tuple(one for one in self.signatures if one.key != signature.key)
        if len(others) >= MAX_SIGNATURES:
            raise BadKeyChange(f"signatures: at most {MAX_SIGNATURES}")
        return replace(self, signatures=(*others, signature))

    @property
    def people(self) -> tuple[str, ...]:
        """Who has signed, each once, sorted."""
        return tuple(sorted({one.person for one in self.signatures}))

    @property
    def is_offered(self) -> bool:
        """Whether there are signatures enough for any machine: two people's, or the owner's who removes their own."""
        own = self.change.action == "remove" and self.change.person in self.people
        return own or len(self.people) >= NEEDED

    def to_bytes(self) -> bytes:
        signed = [{"person": one.person, "key": one.key, "signature": one.signature.hex()} for one in self.signatures]
        return _canonical({"change": _change_json(self.change), "signatures": signed})

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedKeyChange:
        """Parses exactly what `to_bytes` writes; raises BadKeyChange on anything else."""
        if len(data) > MAX_BYTES:
            raise BadKeyChange(f"longer than {MAX_BYTES} bytes")
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            raise BadKeyChange("not JSON") from None
        match body:
            case {"change": dict(change), "signatures": list(signatures)} if len(body) == 2:
                if len(signatures) > MAX_SIGNATURES:
                    raise BadKeyChange(f"signatures: at most {MAX_SIGNATURES}")
                found = cls(change_from_json(change), tuple(map(_signature, signatures)))
            case _:
                raise BadKeyChange("not of the form")
        if found.to_bytes() != data:  # one change, one spelling
            raise BadKeyChange("not in canonical form")
        return found


def is_console_key(text: str) -> bool:
    """A raw Ed25519 public key in lower-case hex."""
    return _KEY.fullmatch(text) is not None


def is_key(text: str) -> bool:
    """That, or what may be the line of a passkey (`common.identity.passkey`)."""
    return is_console_key(text) or _PASSKEY.fullmatch(text) is not None


def change_from_json(body: Mapping[str, Any]) -> KeyChange:
    """Raises BadKeyChange."""
    match body:
        case {
            "v": 1,
            "id": str(change_id),
            "hub": str(hub),
            "action": ("add" | "remove") as action,
            "person": str(person),
            "key": str(key),
            "machines": list(machines),
            "made_at": int(made_at),
            "expires": int(expires),
        } if len(body) == 9 and all(isinstance(one, str) for one in machines[: MAX_MACHINES + 1]):
            return KeyChange(change_id, hub, action, person, key, tuple(machines), made_at, expires)
    raise BadKeyChange("change: not of the form")


def _change_json(change: KeyChange) -> dict[str, Any]:
    return {
        "v": 1,
        "id": change.id,
        "hub": change.hub,
        "action": change.action,
        "person": change.person,
        "key": change.key,
        "machines": list(change.machines),
        "made_at": change.made_at,
        "expires": change.expires,
    }


def _signature(value: Any) -> KeySignature:
    match value:
        case {"person": str(person), "key": str(key), "signature": str(signature)} if len(value) == 3:
            if is_name(person) and is_console_key(key) and _SIGNATURE.fullmatch(signature):
                return KeySignature(person, key, bytes.fromhex(signature))
    raise BadKeyChange("signatures: not of the form")


def sorted_machines(names: Iterable[str]) -> tuple[str, ...]:
    """As a change has them."""
    return tuple(sorted(set(names)))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
