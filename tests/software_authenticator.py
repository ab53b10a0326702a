"""An authenticator and its browser in software, for tests: the bytes of WebAuthn as the specification has them.

W3C Web Authentication Level 3: authenticator data 6.1, attested credential data 6.5.1, COSE keys 6.5.1.1, client data
5.8.1, what an assertion signs 6.3.3. It does what it is told, right or wrong.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.identity.passkey import Passkey, encode_base64, site_of

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
ORIGIN = "https://hub.example"


@dataclass(frozen=True)
class Attestation:
    """What navigator.credentials.create() gives a page."""

    client_data: bytes
    authenticator_data: bytes


@dataclass(frozen=True)
class Assertion:
    """What navigator.credentials.get() gives a page."""

    client_data: bytes
    authenticator_data: bytes
    signature: bytes


@dataclass
class SoftwareAuthenticator:
    """One credential of ES256 or EdDSA for one page."""

    algorithm: str = "es256"
    origin: str = ORIGIN
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self._ed = Ed25519PrivateKey.generate()

    @property
    def passkey(self) -> Passkey:
        if self.algorithm == "eddsa":
            return Passkey("eddsa", self._ed.public_key().public_bytes_raw(), self.origin)
        point = self._ec.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return Passkey("es256", point, self.origin)

    @property
    def cose_key(self) -> bytes:
        """In the canonical CBOR of CTAP2: 1 kty, 3 alg, -1 crv, -2 x, -3 y (RFC 9053)."""
        if self.algorithm == "eddsa":
            return bytes.fromhex("a4010103272006215820") + self._ed.public_key().public_bytes_raw()
        point = self._ec.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return bytes.fromhex("a5010203262001215820") + point[1:33] + bytes.fromhex("225820") + point[33:]

    def create(self, challenge: bytes, *, flags: int = UP | UV | AT, **changes: Any) -> Attestation:
        """`changes`: site, cose_key, extensions, and members of the client data."""
        cose_key = changes.pop("cose_key", self.cose_key)
        length = len(self.credential_id).to_bytes(2, "big")
        attested = bytes(16) + length + self.credential_id + cose_key + changes.pop("extensions", b"")
        data = self._data(flags, changes.pop("site", None)) + attested
        return Attestation(self._client_data("webauthn.create", challenge, changes), data)

    def get(self, challenge: bytes, *, flags: int = UP | UV, **changes: Any) -> Assertion:
        """`changes`: site, extensions, and members of the client data."""
        data = self._data(flags, changes.pop("site", None)) + changes.pop("extensions", b"")
        client_data = self._client_data("webauthn.get", challenge, changes)
        return Assertion(client_data, data, self.sign(data + hashlib.sha256(client_data).digest()))

    def sign(self, data: bytes) -> bytes:
        return self._ed.sign(data) if self.algorithm == "eddsa" else self._ec.sign(data, ec.ECDSA(SHA256()))

    def _data(self, flags: int, site: str | None) -> bytes:
        site = site_of(self.origin) if site is None else site
        return hashlib.sha256(site.encode()).digest() + bytes([flags]) + bytes(4)

    def _client_data(self, kind: str, challenge: bytes, changes: dict[str, Any]) -> bytes:
        """In the order in which browsers write it (5.8.1.1); None takes a member out."""
        members = {"type": kind, "challenge": encode_base64(challenge), "origin": self.origin, "crossOrigin": False}
        members |= changes
        body = {name: value for name, value in members.items() if value is not None}
        return json.dumps(body, separators=(",", ":")).encode()
