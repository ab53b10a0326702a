"""The files under the state folder, and who owns which.

    STATE/                    0755, or 0700 where one user runs everything
        uplink/               0700, the uplink's user; what faces the network can read nothing else
            agent.toml        where the hub is and who we are; written last by `join`, so its presence means "joined"
            key.pem …         our credential: key, certificate, authority, a renewal (see common/credential.py)
            lock              held by the one uplink of this folder
        runner/               0700, the runner's user
            trust.json        our name, the hub's id and the keys that orders are signed with
            policy.toml       what this machine refuses whatever the hub says; yours to edit
            lock, journal …   the runner's own
        run/                  0700; the runner's socket and log, where systemd does not provide a better place

Under systemd the two folders belong to different users; `join` runs as root and gives each file to the owner of its
folder.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.config import load, parse_url, required
from common.credential import Credential
from common.errors import UserError
from common.ids import is_name

DEFAULT_STATE: Final = Path("/var/lib/answerback-agent")
SOCKET_VARIABLE: Final = "ANSWERBACK_RUNNER_SOCKET"
_MAX_SOCKET_PATH: Final = 107  # sun_path in unix(7) without its final NUL
REJOIN: Final = "join again: `answerback-agent join … --force` with a new token"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `agent.toml` says; written by `join`."""

    url: str = required("the hub's address, wss://HOST:PORT")
    name: str = required("this machine's name, as its certificate has it")
    hub: str = required("the hub's id, as its certificate has it")


@dataclass(frozen=True, slots=True)
class State:
    """The state folder; nothing is read or made until it is asked for."""

    path: Path

    @property
    def uplink(self) -> Path:
        return self.path / "uplink"

    @property
    def runner(self) -> Path:
        return self.path / "runner"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def settings_file(self) -> Path:
        return self.uplink / "agent.toml"

    @property
    def credential(self) -> Credential:
        return Credential(self.uplink, REJOIN)

    @property
    def lock(self) -> Path:
        return self.uplink / "lock"

    @property
    def trust(self) -> Path:
        return self.runner / "trust.json"

    @property
    def policy(self) -> Path:
        return self.runner / "policy.toml"

    @property
    def runner_lock(self) -> Path:
        return self.runner / "lock"

    @property
    def runner_log(self) -> Path:
        return self.run / "runner.log"

    @property
    def socket(self) -> Path:
        """The runner's socket: $ANSWERBACK_RUNNER_SOCKET, else in the state folder. Raises UserError if too long."""
        named = os.environ.get(SOCKET_VARIABLE, "")
        path = Path(named) if named else self.run / "runner.sock"
        check_socket_path(path)
        return path

    def joined(self) -> bool:
        return self.settings_file.exists()

    def settings(self) -> Settings:
        """What `join` wrote; raises UserError where it is missing or not of its form."""
        if not self.joined():
            raise UserError(f"{self.settings_file} is missing", "run `answerback-agent join` first")
        settings = load(self.settings_file, Settings)
        for key, value in (("name", settings.name), ("hub", settings.hub)):
            if not is_name(value):
                raise UserError(f"{self.settings_file}: {key}: not a name", REJOIN)
        parse_url(settings.url, f"{self.settings_file}: url")
        return settings

    def hold_lock(self) -> int:
        """Makes this process the folder's one uplink for as long as it lives; raises UserError if there is another."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            whose = f" (process {holder})" if holder.isdigit() else ""
            raise UserError(
                f"another uplink{whose} serves {self.path}", "stop it first, or name another --state"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return descriptor


def check_socket_path(path: Path) -> None:
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise UserError(
            f"{path} is too long for a socket ({_MAX_SOCKET_PATH} bytes at most)",
            f"name a shorter one with --socket or ${SOCKET_VARIABLE}",
        )
