"""The set of trusted CAs as text: bounded, strict, and the same whatever its order."""

from __future__ import annotations

import hashlib
import ssl
import time

import pytest

from common.identity.certificates import Authority
from common.identity.tls import compute_pin
from common.identity.trust import (
    MAX_AUTHORITIES,
    MAX_BUNDLE,
    bundle_pins,
    fingerprint,
    has_pin,
    split_bundle,
    trust_digest,
)

ONE, OTHER = (Authority.create("hub-1", time.time()).certificate for _ in range(2))


def test_a_bundle_is_its_certificates() -> None:
    """Each with its pin, as `compute_pin` has it for one alone."""
    assert bundle_pins(ONE + OTHER) == (compute_pin(ONE), compute_pin(OTHER))
    assert split_bundle(ONE) == (ssl.PEM_cert_to_DER_cert(ONE.decode()),)
    assert fingerprint(ONE) == hashlib.sha256(split_bundle(ONE)[0]).hexdigest()
    assert has_pin(ONE + OTHER, compute_pin(OTHER))
    assert not has_pin(ONE, compute_pin(OTHER))
    assert not has_pin(ONE, "sha256:\ud800")


def test_the_digest_is_of_the_set() -> None:
    """Order and repetition change nothing; another member does."""
    assert trust_digest(ONE + OTHER) == trust_digest(OTHER + ONE + ONE)
    assert len({trust_digest(pem) for pem in (ONE, OTHER, ONE + OTHER)}) == 3


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"rubbish",
        b"x" + ONE,
        ONE + b"trailing",
        ONE.replace(b"END", b"XXX"),
        ONE.replace(b"M", b"*", 1),
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        ONE * (MAX_AUTHORITIES + 1),
        ONE + b"\n" * MAX_BUNDLE,
    ],
    ids=range(9),
)
def test_anything_else_is_refused(pem: bytes) -> None:
    """Nothing, something else, something beside, one certificate or one byte too many."""
    with pytest.raises(ValueError, match="certificates"):
        trust_digest(pem)


def test_the_most_that_is_taken() -> None:
    assert len(split_bundle(ONE * MAX_AUTHORITIES)) == MAX_AUTHORITIES
