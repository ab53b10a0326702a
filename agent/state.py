"""The files under the state folder, and who owns which.

    STATE/                    0755, or 0700 where one user runs everything
        uplink/               0700, the uplink's user; what faces the network can read nothing else
            agent.toml        the hub's address and our name; written last by `join`, so its presence means "joined"
            key.pem …         our credential: key, certificate, authority, a renewal (see common/identity/credential.py)
            link.json         what the uplink last knew of its link
            hub-position      the position that the hub told last (agent/uplink/hub_position.py)
            links             the links there were, as the hub is told them (agent/uplink/link_chain.py)
            moved-here        a person's word that this folder goes on here (agent/place.py); in runner/ too
            lock              held by the one uplink of this folder
            credential.lock   held for a moment by whoever changes the credential or reads it as a pair
        runner/               0700, the runner's user
            trust.json        our name, the hub's id and the keys that orders are signed with
            policy.toml       the machine's own policy, which the hub cannot overrule; for its owner to edit
            approvers.json    whose own signatures count where a rule is critical (agent/approvers.py)
            job-user          as whom jobs run, in words, since the runner was started last
            lock, journal …   the runner's own
        run/                  0700; the runner's socket and log, where systemd does not provide a better place

Under systemd the two folders belong to different users; `join` runs as root and gives each file to the owner of its
folder.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.lock import acquire_lock, hold_lock
from common.config import load, required
from common.errors import UserError
from common.identity.credential import CredentialFiles
from common.ids import is_name
from common.values import parse_url

DEFAULT_STATE: Final = Path("/var/lib/answerback-agent")
JOB_USER_FILE: Final = "job-user"
SOCKET_VARIABLE: Final = "ANSWERBACK_RUNNER_SOCKET"
_MAX_SOCKET_PATH: Final = 107  # sun_path in unix(7) without its final NUL
REJOIN_HINT: Final = "run `answerback-hub token --agent NAME` on the hub, and here the command that it prints"


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The contents of `agent.toml`, written by `join`."""

    url: str = required("the hub's address, wss://HOST:PORT")
    name: str = required("this machine's name, as its certificate has it")
    hub: str = required("the hub's id, as its certificate has it")


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths of a state folder. Constructing it touches no file."""

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
    def credential(self) -> CredentialFiles:
        return CredentialFiles(self.uplink, REJOIN_HINT)

    @property
    def link_report(self) -> Path:
        return self.uplink / "link.json"

    @property
    def lock(self) -> Path:
        return self.uplink / "lock"

    def hold_credential(self) -> AbstractContextManager[None]:
        """Held by `join` while it writes, and by the uplink while it reads or renews: they may run at the same time."""
        return hold_lock(self.uplink / "credential.lock")

    def identity_stamp(self) -> tuple[int, ...]:
        """Changes when `join` has written a new identity into the folder; () while there is none."""
        try:
            found = os.stat(self.settings_file)
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino

    @property
    def hub_position(self) -> Path:
        return self.uplink / "hub-position"

    @property
    def links(self) -> Path:
        return self.uplink / "links"

    @property
    def trust(self) -> Path:
        return self.runner / "trust.json"

    @property
    def policy(self) -> Path:
        return self.runner / "policy.toml"

    @property
    def approvers(self) -> Path:
        return self.runner / "approvers.json"

    @property
    def job_user(self) -> Path:
        return self.runner / JOB_USER_FILE

    @property
    def runner_lock(self) -> Path:
        return self.runner / "lock"

    @property
    def runner_log(self) -> Path:
        return self.runtime_folder / "runner.log"

    @property
    def socket(self) -> Path:
        """The runner's socket: $ANSWERBACK_RUNNER_SOCKET, else in the state folder. Raises UserError if too long."""
        named = os.environ.get(SOCKET_VARIABLE, "")
        path = Path(named) if named else self.runtime_folder / "runner.sock"
        check_socket_path(path)
        return path

    @property
    def runtime_folder(self) -> Path:
        """`run`; on a file system that is read-only, as after an error of the disk, a folder of this state's own
        beneath /run or $XDG_RUNTIME_DIR.
        """
        if not is_read_only(self.path):
            return self.run
        base = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or "/run")
        own = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return base / f"answerback-agent-{own}"

    def is_joined(self) -> bool:
        return self.settings_file.exists()

    def settings(self) -> AgentSettings:
        """The contents of `agent.toml`; raises UserError where it is missing or malformed."""
        if not self.is_joined():
            raise UserError(f"{self.settings_file} is missing", "run `answerback-agent join` first")
        settings = load(self.settings_file, AgentSettings)
        for key, value in (("name", settings.name), ("hub", settings.hub)):
            if not is_name(value):
                raise UserError(f"{self.settings_file}: {key}: not a name", REJOIN_HINT)
        parse_url(settings.url, f"{self.settings_file}: url")
        return settings

    def acquire_lock(self) -> int:
        """Makes this process the folder's one uplink for as long as it lives; raises UserError if there is another."""
        return acquire_lock(self.lock, "uplink", self.path, "stop it first, or name another --state")


def moved_here_file(folder: Path) -> Path:
    """There for one start of `folder`'s process after a person has said that the state folder goes on here."""
    return folder / "moved-here"


def is_read_only(path: Path) -> bool:
    """Whether the file system of `path` takes no writes; False where that cannot be told."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def check_socket_path(path: Path) -> None:
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise UserError(
            f"{path} is too long for a socket ({_MAX_SOCKET_PATH} bytes at most)",
            f"name a shorter one with --socket or ${SOCKET_VARIABLE}",
        )


def refusing_file(socket: Path) -> Path:
    """There while the runner refuses every order, since it cannot use its own policy or trust; why is in it."""
    return socket.with_name(socket.name + ".refusing")


def version_file(socket: Path) -> Path:
    """Where a runner says its version: it may be another one than the uplink's, as long as jobs outlive an upgrade."""
    return socket.with_name(socket.name + ".version")


def protocol_file(socket: Path) -> Path:
    """Where a runner says which protocol's orders it takes, for the same reason."""
    return socket.with_name(socket.name + ".protocol")


def life_file(socket: Path) -> Path:
    """Where a runner says its life (common/link/lineage.py), behind its version: `0.1.0 JOURNAL:17:ID,ID`."""
    return socket.with_name(socket.name + ".life")
