"""The hub's own keys on disk: its CA, the key that signs orders, the sealing keys, and its TLS certificate."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from common.errors import UserError
from common.files import sync_folder
from common.identity.certificates import (
    CROSS_LIFETIME,
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
from hub.identity.authorities import CURE, Authorities, load_authorities
from hub.identity.key_files import create_file as create_file
from hub.identity.key_files import make_folder as make_folder
from hub.identity.key_ring import load_sealer

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class HubKeys:
    """The secrets that `serve` needs."""

    authorities: Authorities
    job_key: SigningKey
    sealer: Sealer
    audit: AuditKeys = field(default_factory=lambda: AuditKeys(None, {}))

    @property
    def authority(self) -> Authority:
        """The CA that whoever joins is given the pin of; in a rotation the one that everybody trusts already."""
        return self.authorities.current

    @property
    def hub_id(self) -> str:
        return self.authorities.hub

    @property
    def job_keys(self) -> dict[str, bytes]:
        """Key id -> raw public key, as sent to machines when they join."""
        return {self.job_key.id: self.job_key.public}

    @property
    def audit_trusted(self) -> dict[str, bytes]:
        """The keys that the audit is verified with; the job key until there is one of its own."""
        return self.audit.trusted or self.job_keys

    @property
    def audit_known(self) -> dict[str, bytes]:
        """All that the audit was ever signed with."""
        return {**self.job_keys, **self.audit.pins, **self.audit_trusted}


def load_keys(config: HubConfig) -> HubKeys:
    """The hub's keys from its folder; raises UserError that names the file and the cure."""
    folder = config.folder
    authorities = load_authorities(folder)
    try:
        job_key = SigningKey.from_pem(read_secret(folder.job_key, CURE))
    except BadKey as error:
        raise UserError(f"{folder.job_key}: {error}", CURE) from None
    return HubKeys(authorities, job_key, load_sealer(config), load_audit_keys(folder, authorities.hub))


def refresh_certificate(folder: Folder, authorities: Authorities, now: float) -> bool:
    """Issues the hub a TLS certificate where it has none for its id of the CA that it serves with, or the time to renew
    has come; True where it did. Of a CA that is not trusted by everybody yet the cross-certificate stands behind it:
    who trusts only the CA before takes it too.

    The key stays the same, so that a crash between two files cannot leave a certificate without its key. Called at
    start, once an hour and with each step of a rotation.
    """
    authority = authorities.serving
    try:
        if not folder.key.exists():
            make_folder(folder.key.parent, [])
            create_file(folder.key, new_key(), [])
        key = read_secret(folder.key)
        if _is_current(folder, authorities, now):
            return False
        request = make_request(key, "hub", authority.hub)
        certificate = authority.issue(request, kind="hub", name=authority.hub, now=now)
        if authority is not authorities.current:
            certificate += authorities.proof(now)
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


def _is_current(folder: Folder, authorities: Authorities, now: float) -> bool:
    """Whether the certificate is this hub's, of the right CA, and not due for renewal. False where it is missing,
    expired or another's.
    """
    try:
        pem = read_bytes(folder.certificate)
        identity = identity_from_pem(pem, now, "hub")
    except (UserError, BadIdentity):
        return False
    authority = authorities.serving
    if identity.name != authority.hub or now >= identity.renew_at or not authority.has_issued(pem):
        return False
    crossed = authority is not authorities.current and now < authorities.current.not_after
    # The cross-certificate is made together with it and lives for a third of its time.
    return crossed == (pem.count(_BEGIN) > 1) and (not crossed or now < identity.not_before + CROSS_LIFETIME / 2)
