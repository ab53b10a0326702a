"""The files under the state folder, and who owns which.

    STATE/                    0755, or 0700 where one user runs everything
        uplink/               0700, the uplink's user; what faces the network can read nothing else
            agent.toml        where the hub is and who we are; written last by `join`, so its presence means "joined"
            key.pem           the private key; made here, never leaves
            cert.pem          our certificate
            certificate.json  its generation and until when it is good
            ca.pem            the pinned authority
            *.next            a renewal under way: key, signing request, then the certificate (see `settle_renewal`)
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
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from common.config import is_host, load, read_bytes, read_secret, required
from common.errors import UserError
from common.ids import is_name

DEFAULT_STATE: Final = Path("/var/lib/answerback-agent")
SOCKET_VARIABLE: Final = "ANSWERBACK_RUNNER_SOCKET"
_MAX_SOCKET_PATH: Final = 107  # sun_path in unix(7) without its final NUL
REJOIN: Final = "join again: `answerback-agent join … --force` with a new token"
DEFAULT_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Settings:
    """What `agent.toml` says; written by `join`."""

    url: str = required("the hub's address, wss://HOST:PORT")
    name: str = required("this machine's name, as its certificate has it")
    hub: str = required("the hub's id, as its certificate has it")


@dataclass(frozen=True, slots=True)
class Validity:
    """What the uplink must know of its certificate without reading X.509; `certificate.json`."""

    generation: int  # counts renewals, from 1
    not_before: float
    not_after: float

    def to_json(self) -> dict[str, float]:
        return {"generation": self.generation, "not_before": self.not_before, "not_after": self.not_after}


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
    def key(self) -> Path:
        return self.uplink / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.uplink / "cert.pem"

    @property
    def authority(self) -> Path:
        return self.uplink / "ca.pem"

    @property
    def next_key(self) -> Path:
        return self.uplink / "key.pem.next"

    @property
    def next_request(self) -> Path:
        return self.uplink / "request.pem.next"

    @property
    def next_certificate(self) -> Path:
        return self.uplink / "cert.pem.next"

    @property
    def validity_file(self) -> Path:
        return self.uplink / "certificate.json"

    @property
    def next_validity(self) -> Path:
        return self.uplink / "certificate.json.next"

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

    def validity(self) -> Validity:
        """How long the certificate is good for; raises UserError.

        A generation that is not known is never guessed: a wrong one looks like a copied key and locks the machine.
        """
        try:
            body = json.loads(read_bytes(self.validity_file, 1024, REJOIN))
            return Validity(int(body["generation"]), float(body["not_before"]), float(body["not_after"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise UserError(f"{self.validity_file}: not of its form", REJOIN) from None

    def check_key(self) -> None:
        """Raises UserError where the private key is missing or can be read by others."""
        read_secret(self.key, REJOIN)

    def settle_renewal(self) -> bool:
        """Finishes a renewal that a crash cut in half; True if a new certificate came into use.

        A renewal writes the new key, then the new certificate, each synced under its `.next` name; the certificate is
        the point of no return, and the renames that follow can be repeated.
        """
        if not self.next_certificate.exists():
            return False
        for new, current in ((self.next_key, self.key), (self.next_validity, self.validity_file)):
            if new.exists():
                os.replace(new, current)
        os.replace(self.next_certificate, self.certificate)
        self.next_request.unlink(missing_ok=True)
        sync_folder(self.uplink)
        return True

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


def parse_url(url: str, what: str = "the hub's address") -> tuple[str, int]:
    """Host and port of `wss://HOST:PORT`; raises UserError on anything else."""
    cure = "give it as wss://HOST:PORT"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UserError(f"{what} is not an address", cure) from None
    if parts.scheme != "wss":
        raise UserError(f"{what} does not begin with wss://", cure)
    if not host or parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UserError(f"{what} is more or less than a host and a port", cure)
    if not is_host(host, bracketed=":" in host) or port == 0:
        raise UserError(f"{what} names no host that could be", cure)
    return host, DEFAULT_PORT if port is None else port


def check_socket_path(path: Path) -> None:
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise UserError(
            f"{path} is too long for a socket ({_MAX_SOCKET_PATH} bytes at most)",
            f"name a shorter one with --socket or ${SOCKET_VARIABLE}",
        )


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Makes the folder, and those above it, where they are missing; what exists is left as it is."""
    if not path.parent.exists():
        make_folder(path.parent, 0o755)
    try:
        path.mkdir(mode=mode)
        path.chmod(mode)  # whatever the umask
    except FileExistsError:
        if not path.is_dir():
            raise UserError(f"{path} is not a folder", "move it away, or name another --state") from None
    except OSError as error:
        raise UserError(
            f"cannot make {path} ({error.strerror})", "run this as the user who may, or name --state"
        ) from None


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces a file whole: readers see the old bytes or the new ones, also after a power cut.

    As root the file goes to the owner of its folder: the uplink cannot read root's. Raises UserError.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if os.geteuid() == 0:
                    owner = path.parent.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror})", "make room or give this user the right to") from None


def sync_folder(path: Path) -> None:
    """Makes the folder's names durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
