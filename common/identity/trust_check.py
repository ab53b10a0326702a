"""Whether the CAs that a hub names may be trusted from now on. Loads `cryptography`.

A hub that replaces its CA sends a bundle: the CAs that are to be trusted, and for each that is new its certificate
signed by the one before (a cross-certificate). Who holds the hub's machine and not the CA's key can make neither, so
nobody else's CA comes in this way. Taken is a bundle

    with a CA in it that is trusted here now, so that no bundle replaces everything at once
    whose other CAs each have a cross-certificate by a CA of the bundle that is trusted here now
    all of whose certificates are valid CAs of this hub

What the bundle leaves out is not trusted any more.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from common.errors import WorkFailed
from common.identity.certificates import BadAuthority, check_authority
from common.identity.trust import split_bundle

_CURE: Final = "what was trusted before still is; tell the hub's operator"


def check_bundle(bundle: bytes, trusted: bytes, hub: str, now: float) -> bytes:
    """The PEM of the CAs to trust from now on, of a `bundle` that the hub with id `hub` sent to somebody who trusts the
    CAs in `trusted`. Raises WorkFailed, and then nothing changes.
    """
    try:
        known = frozenset(split_bundle(trusted))
        certificates = [x509.load_der_x509_certificate(der) for der in split_bundle(bundle)]
        for certificate in certificates:
            check_authority(certificate, hub, now)
    except BadAuthority as error:
        raise WorkFailed(f"the hub's bundle has {error}", _CURE) from None
    except (ValueError, TypeError) as error:
        raise WorkFailed(f"the hub's bundle of CAs does not read ({error})", _CURE) from None
    roots = [certificate for certificate in certificates if _is_issued_by(certificate, certificate)]
    crosses = [certificate for certificate in certificates if certificate not in roots]
    vouching = [root for root in roots if _der(root) in known]
    if not vouching:
        raise WorkFailed("the hub's bundle has no CA that is trusted here", _CURE)
    for root in roots:
        if root not in vouching and not _is_proven(root, crosses, vouching):
            raise WorkFailed("the hub's bundle has a CA that no trusted one has signed", _CURE)
    return b"".join(root.public_bytes(serialization.Encoding.PEM) for root in dict.fromkeys(roots))


def _is_proven(root: x509.Certificate, crosses: list[x509.Certificate], vouching: list[x509.Certificate]) -> bool:
    return any(
        cross.public_key() == root.public_key() and any(_is_issued_by(cross, by) for by in vouching)
        for cross in crosses
    )


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
