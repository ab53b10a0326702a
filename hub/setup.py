"""What `answerback-hub init` does, and the keys that `serve` starts with.

`init` makes everything a hub needs in a folder that has none of it, or nothing: files are created, never replaced,
and taken away again where a later step fails. hub.toml is written last, so a folder that has one is whole.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Final

from common.certificate import check_certificate
from common.config import Address, read_bytes, read_secret
from common.errors import UserError
from common.files import sync_folder
from common.identity import (
    Authority,
    BadAuthority,
    BadIdentity,
    BadRequest,
    identity_in,
    make_request,
    new_key,
    request_key,
)
from common.ids import is_name
from common.seal import BadRing, Sealer
from common.sign import BadKey, SigningKey
from hub.config import WILDCARDS, Folder, HttpTable, HubConfig, LinksTable
from hub.config_file import hub_toml
from hub.records import Credential, Person

INLET: Final = "ops"
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  replaced, not listened on


@dataclass(frozen=True, slots=True)
class Summary:
    """What `init` has made, for people to be told."""

    folder: Folder
    hub_id: str
    pin: str  # of the CA's certificate
    http: Address
    links: Address
    reach: Address  # of the links, as machines are told to dial it
    secret_file: Path  # of the inlet `ops`
    admin: str = ""
    credential: Credential | None = None  # the admin's, to be recorded in the store with `person`
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """What `serve` needs of the folder's secrets."""

    authority: Authority
    job_key: SigningKey
    sealer: Sealer

    @property
    def hub_id(self) -> str:
        return self.authority.hub

    @property
    def job_keys(self) -> dict[str, bytes]:
        """Key id -> raw public key, as machines are told when they join."""
        return {self.job_key.id: self.job_key.public}


def init(
    path: Path,
    *,
    now: float,
    admin: str = "",
    http: Address = HttpTable().listen,  # noqa: B008  a constant
    links: Address = LinksTable().listen,  # noqa: B008
    public: Address | None = None,
    record: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Makes a hub in the folder `path`, which may exist; raises UserError where it holds a hub, or any file of one.

    `public` is where machines reach `links`, if that is another place than it listens on.
    `record` puts the admin's credential and person into the store; it is called last, and where it raises nothing is
    left behind.
    """
    if admin and not is_name(admin):
        raise UserError(
            f'--admin "{admin[:64]}" is not a name', "use 1 to 64 letters, digits, dots, dashes or underscores"
        )
    folder = Folder(path.absolute())
    if folder.config.exists():
        raise UserError(f"{folder.config} exists already", "nothing was changed; choose another folder for a new hub")
    hub_id = f"hub-{secrets.token_hex(3)}"
    authority = Authority.create(hub_id, now)
    files = {
        folder.path / "secrets" / INLET: secrets.token_hex(32).encode(),
        folder.seal_key: Sealer.generate().to_text().encode(),
        folder.ca_certificate: authority.certificate,
        folder.ca_key: authority.key_pem,
        folder.key: (key := new_key()),
        folder.certificate: authority.issue(make_request(key, "hub", hub_id), kind="hub", name=hub_id, now=now),
        folder.job_key: SigningKey.generate().to_pem(),
        folder.path / "policy.toml": _default("policy.toml"),
        folder.path / "runbooks.toml": _default("runbooks.toml"),
    }
    reach = LinksTable(listen=links, public=public).reach
    summary = Summary(folder, hub_id, authority.pin, http, links, reach, folder.path / "secrets" / INLET)
    if admin:
        profile, credential = _profile(authority, admin, links, now)
        files |= {folder.profile / name: data for name, data in profile.items()}
        summary = replace(summary, admin=admin, credential=credential, person=Person(admin, ("admin",), now))
    files[folder.config] = hub_toml(http=http, links=links, public=public, admin=admin).encode()
    with _all_or_nothing(folder.path, (*files, folder.path / "data")) as made:
        _make_folder(folder.path / "data", made)
        for file, data in files.items():
            _make_folder(file.parent, made)
            _create(file, data, made)
        record(summary)
    return summary


def _profile(authority: Authority, admin: str, links: Address, now: float) -> tuple[dict[str, bytes], Credential]:
    """The files of a console profile on the hub's own machine, and the credential in it."""
    key = new_key()
    request = make_request(key, "operator", admin)
    certificate = authority.issue(request, kind="operator", name=admin, now=now)
    validity = check_certificate(certificate, key, authority.certificate, "operator", admin, 1, now)
    identity = identity_in(certificate, now, "operator")
    near = links._replace(host=_LOOPBACK[links.host]) if links.host in WILDCARDS else links
    text = f'# {admin}\'s way to the hub: answerback --profile THIS_FOLDER\nname = "{admin}"\nurl = "wss://{near}"\n'
    files = {
        "profile.toml": f'{text}hub = "{authority.hub}"\n'.encode(),
        "key.pem": key,
        "cert.pem": certificate,
        "certificate.json": validity.to_bytes(),
        "ca.pem": authority.certificate,
    }
    credential = Credential(
        identity.fingerprint,
        "operator",
        admin,
        1,
        issued_at=now,
        not_after=identity.not_after,
        key_hash=request_key(request),
    )
    return files, credential


def _default(name: str) -> bytes:
    return resources.files("hub").joinpath("defaults", name).read_bytes()


# ---- at start


def load_keys(config: HubConfig) -> Keys:
    """The hub's keys from its folder; raises UserError that names the file and the cure."""
    folder = config.folder
    cure = "restore it from a backup; without it this hub's machines must join anew"
    try:
        authority = Authority.load(read_bytes(folder.ca_certificate, cure=cure), read_secret(folder.ca_key, cure))
    except BadAuthority as error:
        raise UserError(f"{folder.ca_certificate} and {folder.ca_key}: {error}", cure) from None
    try:
        job_key = SigningKey.from_pem(read_secret(folder.job_key, cure))
    except BadKey as error:
        raise UserError(f"{folder.job_key}: {error}", cure) from None
    file = config.store.seal_key_file
    cure = "restore it from a backup; without it the second factors must be enrolled anew"
    try:
        sealer = Sealer.from_text(read_secret(file, cure).decode("ascii"))
    except (BadRing, UnicodeDecodeError) as error:
        reason = error if isinstance(error, BadRing) else "not ASCII"
        raise UserError(f"{file}: {reason}", cure) from None
    return Keys(authority, job_key, sealer)


def refresh_certificate(folder: Folder, authority: Authority, now: float) -> bool:
    """Gives the hub a certificate where it has none for its id, or little is left of it; True where there is a new one.

    The key stays, so that a crash between two files cannot leave a certificate without its key. For the start, and for
    once a day: a live `SSLContext` takes the new one with `load_cert_chain`.
    """
    try:
        if not folder.key.exists():
            _make_folder(folder.key.parent, [])
            _create(folder.key, new_key(), [])
        key = read_secret(folder.key)
        if _has_time_left(folder, authority.hub, now):
            return False
        request = make_request(key, "hub", authority.hub)
        certificate = authority.issue(request, kind="hub", name=authority.hub, now=now)
        fresh = folder.certificate.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _create(fresh, certificate, [])
        os.replace(fresh, folder.certificate)
        sync_folder(folder.certificate.parent)
    except BadRequest as error:
        raise UserError(f"{folder.key}: {error}", "move it away, and a new one is made") from None
    except BadAuthority as error:
        raise UserError(f"{folder.ca_certificate}: {error}", "set up a new hub, which the machines join anew") from None
    except OSError as error:
        raise UserError(
            f"{error.filename or folder.certificate}: {error.strerror}", "let the hub's user write there"
        ) from None
    return True


def _has_time_left(folder: Folder, hub_id: str, now: float) -> bool:
    """Whether the certificate is this hub's and not due. Missing, expired, another's: all have the same cure."""
    try:
        identity = identity_in(read_bytes(folder.certificate), now, "hub")
    except (UserError, BadIdentity):
        return False
    return identity.name == hub_id and now < identity.renew_at


# ---- files


@contextmanager
def _all_or_nothing(root: Path, paths: tuple[Path, ...]) -> Iterator[list[Path]]:
    """Refuses where one of the paths is taken; takes away what was made where the block raises."""
    for path in paths:
        if os.path.lexists(path):
            raise UserError(
                f"{path} exists already and is not this hub's to replace", "move it away, or choose another folder"
            )
    made: list[Path] = []
    try:
        _make_folder(root, made)
        yield made
        for folder in {path.parent for path in made}:
            sync_folder(folder)
    except BaseException as error:
        for path in reversed(made):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # it was not there before: all in it is of this run
            else:
                path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(
                f"{error.filename or root}: {error.strerror}", "make room, or choose another folder"
            ) from None
        raise


def _make_folder(path: Path, made: list[Path], mode: int = 0o700) -> None:
    """Makes the folder where it is missing, and those above it for all to pass; one that exists is left as it is."""
    if path.is_dir():
        return
    if not path.parent.exists():
        _make_folder(path.parent, made, 0o755)
    path.mkdir(mode=mode)
    made.append(path)


def _create(path: Path, data: bytes, made: list[Path]) -> None:
    """Creates the file, 0600 and synced; never replaces one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    made.append(path)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
