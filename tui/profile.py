"""Who I am and where my hub is: the folder that `answerback-hub init` or `answerback login` writes.

PROFILE/              0700; --profile, else $ANSWERBACK_PROFILE, else ~/.config/answerback
    profile.toml      name, url (wss://HOST:PORT), hub (its id)
    key.pem           the private key; made here, never leaves
    cert.pem          my certificate
    ca.pem            the hub's authority, pinned when I logged in
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from common.config import load, read_bytes, required
from common.errors import UserError

VARIABLE: Final = "ANSWERBACK_PROFILE"


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """profile.toml."""

    name: str = required("Who I am.")
    url: str = required("Where the hub's links are: wss://HOST:PORT.")
    hub: str = required("The hub's id, as its certificate carries it.")


@dataclass(frozen=True, slots=True)
class Profile:
    path: Path
    name: str
    url: str
    hub: str

    @property
    def key(self) -> Path:
        return self.path / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.path / "cert.pem"

    @property
    def authority(self) -> Path:
        return self.path / "ca.pem"


def default_path() -> Path:
    if given := os.environ.get(VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "answerback"


def read_profile(path: Path | None) -> Profile:
    """Raises UserError that says how to get one."""
    folder = (path or default_path()).absolute()
    file = folder / "profile.toml"
    if not file.exists():
        cure = "ask an admin for a login command (answerback-hub operator add), or name it with --profile"
        raise UserError(f"there is no profile in {folder}", cure)
    found = load(file, ProfileFile)
    parts = urlsplit(found.url)
    if parts.scheme != "wss" or not parts.hostname:
        raise UserError(f"{file}: url: {found.url!r} is not wss://HOST:PORT", "log in again")
    for needed in (folder / "key.pem", folder / "cert.pem", folder / "ca.pem"):
        read_bytes(needed, cure="log in again")
    return Profile(folder, found.name, found.url.rstrip("/"), found.hub)
