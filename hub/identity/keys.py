"""The hub's own keys on disk: its CA, the key that signs orders, the sealing keys, and its TLS certificate."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from common.errors import UserError
from common.files import sync_folder
from common.identity.certificates import (
    Authority,
    BadAuthority,
    BadIdentity,
    BadRequest,
    identity_from_pem,
    make_request,
    new_key,
)
from common.identity.sealing import Sealer
from common.identity.signing import BadKey, SigningKey
from common.read_file import read_bytes, read_secret
from hub.config import Folder, HubConfig
from hub.identity.audit_keys import AuditKeys, load_audit_keys
from hub.identity.key_files import create_file as create_file
from hub.identity.key_files import make_folder as make_folder
from hub.identity.key_ring import load_sealer


@dataclass(frozen=True, slots=True)
class HubKeys:
    """The secrets that `serve` needs."""

    authority: Authority
    job_key: SigningKey
    sealer: Sealer
    audit: AuditKeys = field(default_factory=lambda: AuditKeys(None, {}))

    @property
    def hub_id(self) -> str:
        return self.authority.hub

    @property
    def job_keys(self) -> dict[str, bytes]:
        """Key id -> raw public key, as sent to machines when they join."""
        return {self.job_key.id: self.job_key.public}

    @property
    def audit_trusted(self) -> dict[str, bytes]:
        """The keys that the audit is verified with; the job key until there is one of its own."""
        return self.audit.trusted or self.job_keys


def load_keys(config: HubConfig) -> HubKeys:
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
    return HubKeys(authority, job_key, load_sealer(config), load_audit_keys(folder, authority.hub))


def refresh_certificate(folder: Folder, authority: Authority, now: float) -> bool:
    """Issues the hub a TLS certificate where it has none for its id or the time to renew has come; True where it did.

    The key stays the same, so that a crash between two files cannot leave a certificate without its key. Called at
    start and once a day: load the new one into a live `SSLContext` with `load_cert_chain`.
    """
    try:
        if not folder.key.exists():
            make_folder(folder.key.parent, [])
            create_file(folder.key, new_key(), [])
        key = read_secret(folder.key)
        if _is_current(folder, authority.hub, now):
            return False
        request = make_request(key, "hub", authority.hub)
        certificate = authority.issue(request, kind="hub", name=authority.hub, now=now)
        fresh = folder.certificate.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        create_file(fresh, certificate, [])
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


def _is_current(folder: Folder, hub_id: str, now: float) -> bool:
    """Whether the certificate is this hub's and not due for renewal. False where it is missing, expired or
    another's.
    """
    try:
        identity = identity_from_pem(read_bytes(folder.certificate), now, "hub")
    except (UserError, BadIdentity):
        return False
    return identity.name == hub_id and now < identity.renew_at
