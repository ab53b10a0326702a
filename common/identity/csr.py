"""Makes a key and its signing request, and checks the certificate that comes back. Loads `cryptography`.

Enrolment uses it directly. The agent's long-lived uplink runs it in a short child process, so that the library's eight
megabytes are in memory for a second a day.

A renewal's key and request stay on disk under `.next` names until their certificate has arrived: after a crash or a
lost answer the same request is sent again, and the hub recognises it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from common.errors import WorkFailed
from common.files import write_file
from common.identity.certificates import BadIdentity, identity_from_pem, make_request, new_key
from common.identity.credential import CredentialFiles, Validity

CredentialKind = Literal["agent", "operator"]
"""The kinds of identity that dial the hub."""
_CURE: Final = "tell the hub's operator"


@dataclass(frozen=True, slots=True)
class KeyAndRequest:
    key: bytes = field(repr=False)  # PEM
    request: bytes  # PEM


def create_key_request(kind: CredentialKind, name: str) -> KeyAndRequest:
    key = new_key()
    return KeyAndRequest(key, make_request(key, kind, name))


def prepare_renewal(credential: CredentialFiles, kind: CredentialKind, name: str) -> None:
    """Makes `key.pem.next` and `request.pem.next`, unless a renewal under way left both."""
    if credential.next_key.exists() and credential.next_request.exists():
        return
    pair = create_key_request(kind, name)
    credential.next_request.unlink(missing_ok=True)  # never one request with another key
    write_file(credential.next_key, pair.key)
    write_file(credential.next_request, pair.request)


def stage_renewal(
    credential: CredentialFiles, kind: CredentialKind, name: str, pem: bytes, generation: int, now: float
) -> Validity:
    """Puts the answer to a renewal beside its key, checked and durable; `CredentialFiles.activate_renewal`
    then puts it into use.
    """
    key, authority = credential.next_key.read_bytes(), credential.authority.read_bytes()
    validity = check_certificate(pem, key, authority, kind, name, generation, now)
    write_file(credential.next_validity, validity.to_bytes())
    write_file(credential.next_certificate, pem)
    return validity


def check_certificate(
    pem: bytes, key_pem: bytes, authority_pem: bytes, kind: CredentialKind, name: str, generation: int, now: float
) -> Validity:
    """The validity of `pem`; raises WorkFailed unless it is for our key and name and signed by an authority of ours,
    which are two while the hub's is replaced.
    """
    try:
        identity = identity_from_pem(pem, now, kind)
    except BadIdentity as error:
        raise WorkFailed(f"the hub sent {error}", _CURE) from None
    if identity.name != name:
        raise WorkFailed(f"the hub sent a certificate for another name than {name}", _CURE)
    certificate = x509.load_pem_x509_certificate(pem)
    if not any(_is_issued_by(certificate, authority) for authority in x509.load_pem_x509_certificates(authority_pem)):
        raise WorkFailed("the hub sent a certificate of another authority", _CURE)
    if certificate.public_key() != serialization.load_pem_private_key(key_pem, password=None).public_key():
        raise WorkFailed("the hub sent a certificate for another key", _CURE)
    return Validity(
        generation, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    )


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
