"""Where the ring of sealing keys comes from: a file, a systemd credential, or a command; never the database.

All three give the same text (`common.identity.sealing`): one key of 64 hex digits a line, the first seals, every one
opens. The ring can be read again while the hub serves: when a value turns out to be under a key that is not known yet,
and when `answerback-hub keys rotate` has told the store of a new first key (`hub.sealing`).
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from common.errors import UserError
from common.identity.sealing import BadKeyRing, Sealer
from common.read_file import MAX_SECRET, read_bytes, read_secret
from hub.config import HubConfig, StoreTable

COMMAND_SECONDS: Final = 10.0
"""How long the command may take."""
REREAD_AFTER: Final = 5.0
"""Seconds between two readings for the sake of an unknown key: what is planted in the store starts no command at
will.
"""
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", re.ASCII)
_CURE: Final = "restore it from a backup; without it nothing sealed in the store can be read"

Source = Literal["file", "credential", "command"]


def source_of(store: StoreTable) -> Source:
    """Where the ring comes from. Raises UserError where hub.toml names two places."""
    if store.seal_key_credential is not None and store.seal_key_command:
        raise UserError(
            "[store] seal_key_credential and seal_key_command are both set", "leave one out: a ring has one place"
        )
    if store.seal_key_command:
        return "command"
    return "credential" if store.seal_key_credential is not None else "file"


def load_sealer(config: HubConfig, environment: Mapping[str, str] = os.environ) -> Sealer:
    """The ring, which reads itself again where a key is missing. Raises UserError that names place and cure."""
    store = config.store
    sealer = read_ring(store, environment)
    read_at = [time.monotonic()]

    def again() -> Sealer | None:
        if time.monotonic() - read_at[0] < REREAD_AFTER:
            return None
        read_at[0] = time.monotonic()
        try:
            return read_ring(store, environment)
        except UserError:
            return None  # what is known stays known

    sealer.reread = again
    return sealer


def read_ring(store: StoreTable, environment: Mapping[str, str] = os.environ) -> Sealer:
    """The ring as it is now. Raises UserError."""
    if source_of(store) == "command":
        name, data = f"[store] seal_key_command {store.seal_key_command[0]}", _run(store.seal_key_command)
    elif store.seal_key_credential is not None:
        name, data = _credential(store.seal_key_credential, environment)
    else:
        name, data = str(store.seal_key_file), read_secret(store.seal_key_file, _CURE)
    try:
        return Sealer.from_text(data.decode("ascii"))
    except (BadKeyRing, UnicodeDecodeError) as error:
        raise UserError(f"{name}: {error if isinstance(error, BadKeyRing) else 'not ASCII'}", _CURE) from None


def _credential(name: str, environment: Mapping[str, str]) -> tuple[str, bytes]:
    """What systemd has put into $CREDENTIALS_DIRECTORY, whose modes are systemd's own."""
    if not _CREDENTIAL.fullmatch(name):
        raise UserError(f"[store] seal_key_credential: {name!r} is no name of a credential", "name it as the unit does")
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise UserError(
            f"[store] seal_key_credential {name}: systemd gave this program no credentials",
            f"LoadCredentialEncrypted={name} in the unit; a command: systemd-run --pipe -p LoadCredentialEncrypted=…",
        )
    path = Path(folder, name)
    return str(path), read_bytes(path, MAX_SECRET, f"LoadCredentialEncrypted={name} in the hub's unit")


def _run(command: tuple[str, ...]) -> bytes:
    """What the command prints. Its errors are told by name alone: they may quote a key."""
    name = f"[store] seal_key_command {command[0]}"
    cure = "run it by hand as the hub's user; it is to print the ring and to end with 0"
    if not command[0].startswith("/"):
        raise UserError(f"{name}: not an absolute path", "write the program with its whole path: nothing is looked up")
    try:
        done = subprocess.run(  # an argument vector of the hub's own configuration, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{name}: no answer within {COMMAND_SECONDS:g} seconds", cure) from None
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}", cure) from None
    if done.returncode != 0:
        raise UserError(f"{name}: ended with {done.returncode}", cure)
    if len(done.stdout) > MAX_SECRET:
        raise UserError(f"{name}: more than {MAX_SECRET} bytes", cure)
    return done.stdout
