"""The key that signs the audit's checkpoints and nothing else, and the public keys of all that ever did.

keys/audit.key   the private key
keys/audit.pub   the public keys, one a line as strangers take them away (`common.audit.checkpoint.verifier_key`);
                 the newest is the last
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.audit.checkpoint import key_id, parse_key, verifier_key
from common.errors import UserError
from common.files import write_file
from common.identity.signing import BadKey, SigningKey
from common.read_file import read_bytes, read_secret
from hub.config import Folder
from hub.identity.key_files import create_file, make_folder

MAX_PINS: Final = 100
_LOST: Final = "restore it from a backup; where it is lost for good: answerback-hub audit new-key"


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """`key` is None where there is none yet: before the first start of a hub that was set up without one."""

    key: SigningKey | None
    pins: dict[str, bytes] = field(default_factory=dict)  # key id -> raw public key, the newest last

    @property
    def trusted(self) -> dict[str, bytes]:
        return dict(self.pins)


def load_audit_keys(folder: Folder, hub: str) -> AuditKeys:
    """Raises UserError where one file is there without the other, or they do not fit."""
    has_key, has_pins = os.path.lexists(folder.audit_key), os.path.lexists(folder.audit_pins)
    if not has_key and not has_pins:
        return AuditKeys(None)
    if not has_key:
        raise UserError(
            f"{folder.audit_key}: there is no such file, though {folder.audit_pins.name} has its key", _LOST
        )
    try:
        key = SigningKey.from_pem(read_secret(folder.audit_key, _LOST))
    except BadKey as error:
        raise UserError(f"{folder.audit_key}: {error}", _LOST) from None
    pins = read_pins(folder.audit_pins) if has_pins else {}
    if has_pins and key.id not in pins:
        cure = "put back the key that it was; if it was to be a new one: answerback-hub audit new-key"
        raise UserError(f"{folder.audit_key}: another key than {folder.audit_pins.name} has: it was replaced", cure)
    return AuditKeys(key, pins or {key.id: key.public})


def read_pins(path: Path) -> dict[str, bytes]:
    """The public keys in keys/audit.pub by id; raises UserError."""
    cure = "put back the file that it was: one public key of the audit a line"
    lines = read_bytes(path).decode("utf-8", "replace").splitlines()
    words = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not 0 < len(words) <= MAX_PINS:
        raise UserError(f"{path}: {len(words)} keys", cure)
    try:
        keys = [parse_key(word) for word in words]
    except ValueError:
        raise UserError(f"{path}: a line is no public key of an audit", cure) from None
    return {key_id(public): public for public in keys}


def make_audit_key(folder: Folder, hub: str) -> None:
    """Makes both files where neither is there; raises UserError."""
    if os.path.lexists(folder.audit_key) or os.path.lexists(folder.audit_pins):
        return
    key = SigningKey.generate()
    try:
        make_folder(folder.audit_key.parent, [])
        create_file(folder.audit_key, key.to_pem(), [])
    except OSError as error:
        raise UserError(f"{folder.audit_key}: {error.strerror}", "let the hub's user write there") from None
    write_file(folder.audit_pins, pins_text(hub, {key.id: key.public}))


def renew_audit_key(folder: Folder, hub: str, pins: dict[str, bytes]) -> SigningKey:
    """Puts a new key in the place of the old one, whether that is there or lost; returns it. Raises UserError."""
    key = SigningKey.generate()
    write_file(folder.audit_pins, pins_text(hub, {**pins, key.id: key.public}))
    write_file(folder.audit_key, key.to_pem())
    return key


def pins_text(hub: str, pins: dict[str, bytes]) -> bytes:
    """The text of keys/audit.pub."""
    head = (
        "# Answerback: the public keys that this audit is signed with, the newest last. Take a copy away from here.\n"
    )
    return (head + "".join(f"{verifier_key(hub, public)}\n" for public in pins.values())).encode()
