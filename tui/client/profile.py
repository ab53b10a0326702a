"""Who I am and where my hub is: the folder that `answerback-hub init` or `answerback login` writes.

PROFILE/              0700; --profile, else $ANSWERBACK_PROFILE, else ~/.config/answerback
    profile.toml      name, url, hub (its id); written last by `login`, so its presence means "logged in"
    key.pem …         my credential: key, certificate, authority, a renewal (see common/identity/credential.py)
    approval.pem      the key that signs a yes to what is critical (see tui/client/approval_key.py)
    lock              held for a moment by whoever changes the credential (see tui/client/renewal.py)
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.config import load, required
from common.errors import UserError
from common.identity.credential import CredentialFiles
from common.ids import is_name
from common.read_file import read_bytes
from common.values import parse_url

PROFILE_VARIABLE: Final = "ANSWERBACK_PROFILE"
LOGIN_HINT: Final = "log in with the command that `answerback-hub operator add NAME --role ROLE` prints on the hub"


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
    def credential(self) -> CredentialFiles:
        return CredentialFiles(self.path, LOGIN_HINT)

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    def to_bytes(self) -> bytes:
        """profile.toml. A TOML basic string is a JSON string for the characters that names and addresses have."""
        values = {"name": self.name, "url": self.url, "hub": self.hub}
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()).encode()


def default_path() -> Path:
    if given := os.environ.get(PROFILE_VARIABLE):
        return Path(given)
    if base := os.environ.get("XDG_CONFIG_HOME"):
        return Path(base) / "answerback"
    try:
        return Path.home() / ".config" / "answerback"
    except RuntimeError:  # no $HOME, and no entry in passwd
        raise UserError("this user has no home folder", f"name one with --profile or ${PROFILE_VARIABLE}") from None


def file_in(folder: Path) -> Path:
    return folder / "profile.toml"


def read_profile(path: Path | None) -> Profile:
    """Raises UserError that says how to get one."""
    folder = (path or default_path()).absolute()
    file = file_in(folder)
    try:
        there = file.exists()
    except PermissionError:
        raise UserError(
            f"{folder} is not this user's to read",
            "run this as its owner; `sudo answerback-hub operator profile` gives you the one that `init` made",
        ) from None
    if not there:
        raise UserError(f"there is no profile in {folder}", f"{LOGIN_HINT}, or name another folder with --profile")
    found = load(file, ProfileFile)
    for key, value in (("name", found.name), ("hub", found.hub)):
        if not is_name(value):
            raise UserError(f"{file}: {key}: not a name", LOGIN_HINT)
    parse_url(found.url, f"{file}: url")
    profile = Profile(folder, found.name, found.url.rstrip("/"), found.hub)
    profile.credential.check_key()
    for needed in (profile.credential.certificate, profile.credential.authority):
        read_bytes(needed, cure=LOGIN_HINT)
    return profile
