"""The CAs that a machine or console trusts: one, or two while the hub's is replaced. Standard library only.

`ca.pem` beside the credential has them, each certificate self-signed, one after the other. Their digest is how the two
ends compare what is trusted; the order does not count. `common/identity/trust_check.py` decides what may be added.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

MAX_AUTHORITIES: Final = 4
"""Certificates in one bundle, proofs included: two CAs and one proof in every rotation."""
MAX_BUNDLE: Final = 16_384  # bytes
DIGEST_LENGTH: Final = 64
_PEM: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]{1,8192})-----END CERTIFICATE-----\s*", re.ASCII
)


def split_bundle(pem: bytes) -> tuple[bytes, ...]:
    """The DER of each certificate in `pem`; raises ValueError where there is anything else in it, none, or too much."""
    if len(pem) > MAX_BUNDLE:
        raise ValueError(f"more than {MAX_BUNDLE} bytes of certificates")
    found: list[bytes] = []
    at = 0
    while at < len(pem):
        match = _PEM.match(pem, at)
        if match is None or len(found) == MAX_AUTHORITIES:
            raise ValueError(f"not 1 to {MAX_AUTHORITIES} certificates in PEM")
        try:
            found.append(base64.b64decode(b"".join(match[1].split()), validate=True))
        except binascii.Error:
            raise ValueError(f"not 1 to {MAX_AUTHORITIES} certificates in PEM") from None
        at = match.end()
    if not found:
        raise ValueError(f"not 1 to {MAX_AUTHORITIES} certificates in PEM")
    return tuple(found)


def bundle_pins(pem: bytes) -> tuple[str, ...]:
    """The pin of each certificate; raises ValueError as `split_bundle` does."""
    return tuple("sha256:" + hashlib.sha256(der).hexdigest() for der in split_bundle(pem))


def fingerprint(pem: bytes) -> str:
    """The hex SHA-256 of the one certificate in `pem`; raises ValueError as `split_bundle` does."""
    return hashlib.sha256(split_bundle(pem)[0]).hexdigest()


def has_pin(pem: bytes, pin: str) -> bool:
    """Whether one of the certificates has this pin; raises ValueError as `split_bundle` does."""
    wanted = pin.encode("utf-8", "replace")
    return any(hmac.compare_digest(found.encode(), wanted) for found in bundle_pins(pem))


def trust_digest(pem: bytes) -> str:
    """The hex digest of a set of CAs, whatever their order; raises ValueError as `split_bundle` does."""
    return hashlib.sha256("\n".join(sorted(set(bundle_pins(pem)))).encode()).hexdigest()
