"""`answerback-hub init`: creates a new hub's files.

It makes everything a hub needs in a folder that has none of it, or nothing: files are created, never replaced, and
removed again where a later step fails. hub.toml is written last, so a folder that has one is complete.
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

from common.errors import UserError
from common.files import sync_folder
from common.identity.certificates import (
    Authority,
    identity_from_pem,
    make_request,
    new_key,
    request_key,
)
from common.identity.csr import check_certificate
from common.identity.sealing import Sealer
from common.identity.signing import SigningKey
from common.ids import is_name
from common.values import Address
from hub.cli.config_template import hub_toml
from hub.cli.options import local_address
from hub.cli.policy_upgrade import base_file
from hub.config import Folder, LinksTable
from hub.core.http_table import HttpTable
from hub.core.records import IssuedCertificate, Person
from hub.identity.audit_keys import pins_text
from hub.identity.key_files import create_file, make_folder

FIRST_INLET: Final = "ops"


@dataclass(frozen=True, slots=True)
class InitSummary:
    """What `init` has created, for its messages."""

    folder: Folder
    hub_id: str
    pin: str  # of the CA's certificate
    http: Address
    links: Address
    dial_address: Address  # of the links, as machines dial it
    secret_file: Path  # of the inlet `ops`
    admin: str = ""
    credential: IssuedCertificate | None = None  # the admin's, to be recorded in the store with `person`
    person: Person | None = None


def init(
    path: Path,
    *,
    now: float,
    admin: str = "",
    http: Address = HttpTable().listen,  # noqa: B008  a constant
    links: Address = LinksTable().listen,  # noqa: B008
    public: Address | None = None,
    store: str | None = None,
    record: Callable[[InitSummary], None] = lambda summary: None,
) -> InitSummary:
    """Makes a hub in the folder `path`, which may exist; raises UserError where it holds a hub, or any file of one.

    `public` is where machines reach `links`, if that is another place than it listens on.
    `store` is the [store] url, where it is not the SQLite file in the folder.
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
    audit_key = SigningKey.generate()
    files = {
        folder.path / "secrets" / FIRST_INLET: secrets.token_hex(32).encode(),
        folder.seal_key: Sealer.generate().to_text().encode(),
        folder.ca_certificate: authority.certificate,
        folder.ca_key: authority.key_pem,
        folder.key: (key := new_key()),
        folder.certificate: authority.issue(make_request(key, "hub", hub_id), kind="hub", name=hub_id, now=now),
        folder.job_key: SigningKey.generate().to_pem(),
        folder.audit_key: audit_key.to_pem(),
        folder.audit_pins: pins_text(hub_id, {audit_key.id: audit_key.public}),
        folder.path / "policy.toml": _default("policy.toml"),
        base_file(folder.path / "policy.toml"): _default("policy.toml"),
        folder.path / "runbooks.toml": _default("runbooks.toml"),
    }
    reach = LinksTable(listen=links, public=public).dial_address
    summary = InitSummary(folder, hub_id, authority.pin, http, links, reach, folder.path / "secrets" / FIRST_INLET)
    if admin:
        profile, credential = _profile(authority, admin, links, now)
        files |= {folder.profile / name: data for name, data in profile.items()}
        summary = replace(summary, admin=admin, credential=credential, person=Person(admin, ("admin",), now))
    files[folder.config] = hub_toml(http=http, links=links, public=public, admin=admin, store=store).encode()
    with _remove_on_error(folder.path, (*files, folder.path / "data")) as created:
        make_folder(folder.path / "data", created)
        for file, data in files.items():
            make_folder(file.parent, created)
            create_file(file, data, created)
        record(summary)
    return summary


def _profile(
    authority: Authority, admin: str, links: Address, now: float
) -> tuple[dict[str, bytes], IssuedCertificate]:
    """The files of a console profile on the hub's own machine, and the credential in it."""
    key = new_key()
    request = make_request(key, "operator", admin)
    certificate = authority.issue(request, kind="operator", name=admin, now=now)
    validity = check_certificate(certificate, key, authority.certificate, "operator", admin, 1, now)
    identity = identity_from_pem(certificate, now, "operator")
    near = local_address(links)
    text = f'# {admin}\'s way to the hub: answerback --profile THIS_FOLDER\nname = "{admin}"\nurl = "wss://{near}"\n'
    files = {
        "profile.toml": f'{text}hub = "{authority.hub}"\n'.encode(),
        "key.pem": key,
        "cert.pem": certificate,
        "certificate.json": validity.to_bytes(),
        "ca.pem": authority.certificate,
    }
    credential = IssuedCertificate(
        identity.fingerprint,
        "operator",
        admin,
        1,
        issued_at=now,
        not_after=identity.not_after,
        key_hash=request_key(request),
        issuer=identity.issuer,
    )
    return files, credential


def _default(name: str) -> bytes:
    return resources.files("hub").joinpath("defaults", name).read_bytes()


# ---- files


@contextmanager
def _remove_on_error(root: Path, paths: tuple[Path, ...]) -> Iterator[list[Path]]:
    """Raises UserError where one of the paths exists; removes what was created where the block raises. Yields the list
    that the block appends created paths to.
    """
    for path in paths:
        if os.path.lexists(path):
            raise UserError(
                f"{path} exists already and is not this hub's to replace", "move it away, or choose another folder"
            )
    created: list[Path] = []
    try:
        make_folder(root, created)
        yield created
        for folder in {path.parent for path in created}:
            sync_folder(folder)
    except BaseException as error:
        for path in reversed(created):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # it was not there before: all in it is of this run
            else:
                path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(
                f"{error.filename or root}: {error.strerror}", "make room, or choose another folder"
            ) from None
        raise
