"""Our own key, signing request and certificate. The only file of the agent's network side that loads `cryptography`.

`join` uses it directly. The long-lived uplink runs it in a short child process (`python -m agent make-request`, then
`take-certificate`), so that eight megabytes of library are in memory for a second a day and not for all of it.

A renewal's key and request stay on disk under `.next` names until the certificate for them is here: after a crash, or
when the answer was lost on the way, the same request is sent again, and the hub can see that it is the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from agent.state import State, Validity, write_file
from common.errors import WorkFailed
from common.identity import BadIdentity, identity_in, make_request, new_key

_CURE: Final = "tell the hub's operator"


@dataclass(frozen=True, slots=True)
class KeyAndRequest:
    key: bytes  # PEM
    request: bytes  # PEM


def new_request(name: str) -> KeyAndRequest:
    key = new_key()
    return KeyAndRequest(key, make_request(key, "agent", name))


def prepare_renewal(state: State) -> None:
    """Makes `key.pem.next` and `request.pem.next`, unless a renewal under way left both."""
    if state.next_key.exists() and state.next_request.exists():
        return
    made = new_request(state.settings().name)
    state.next_request.unlink(missing_ok=True)  # never one request with another key
    write_file(state.next_key, made.key)
    write_file(state.next_request, made.request)


def take_certificate(state: State, pem: bytes, generation: int, now: float) -> Validity:
    """Puts the answer to a renewal beside its key, checked and durable; `settle_renewal` then brings it into use."""
    settings = state.settings()
    validity = check_certificate(
        pem, state.next_key.read_bytes(), state.authority.read_bytes(), settings.name, generation, now
    )
    write_file(state.next_validity, json.dumps(validity.to_json()).encode())
    write_file(state.next_certificate, pem)
    return validity


def check_certificate(
    pem: bytes, key_pem: bytes, authority_pem: bytes, name: str, generation: int, now: float
) -> Validity:
    """How long `pem` is good for; raises WorkFailed unless it is ours: our key, our name, signed by our authority."""
    try:
        identity = identity_in(pem, now, "agent")
    except BadIdentity as error:
        raise WorkFailed(f"the hub sent {error}", _CURE) from None
    if identity.name != name:
        raise WorkFailed(f"the hub sent a certificate for another name than {name}", _CURE)
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_pem))
    except (ValueError, TypeError, InvalidSignature):
        raise WorkFailed("the hub sent a certificate of another authority", _CURE) from None
    if certificate.public_key() != serialization.load_pem_private_key(key_pem, password=None).public_key():
        raise WorkFailed("the hub sent a certificate for another key", _CURE)
    return Validity(
        generation, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    )
