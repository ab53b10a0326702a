"""Passkeys as keys of approvers: the line that names one, and whether an assertion is its signature of a challenge.

W3C Web Authentication Level 3; the sections are named where they are followed. An assertion signs `authenticatorData`
and the SHA-256 of `clientDataJSON` (7.2); those two say to which site and page the person answered, with which
challenge, and whether the authenticator knew them. Strict on purpose: no extensions are asked for, so none are taken,
and authenticator data then is 37 bytes in which nothing is left to decode.

Pure. The elliptic curve of ES256 is loaded when the first such signature is verified: most runners never see one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from common.approval_proof import ApprovalProof
from common.identity.signing import PERSON_APPROVAL_PURPOSE, key_id

Algorithm = Literal["es256", "eddsa"]
Ceremony = Literal["webauthn.create", "webauthn.get"]
Objection = Literal[
    "", "client_data", "type", "challenge", "origin", "embedded", "authenticator_data", "site", "presence",
    "verification", "signature",
]  # fmt: skip

PREFIX: Final = "passkey:"
MAX_LINE: Final = 400
MAX_CLIENT_DATA: Final = 1_024
"""Bytes of clientDataJSON; browsers send about 150, and may add members (5.8.1)."""
ASSERTION_BYTES: Final = 37
"""Of authenticator data without attested credential and extensions (6.1)."""
_SIZES: Final = {"es256": 33, "eddsa": 32}  # a compressed point of P-256 (SEC 1, 2.3.3); RFC 8032
_LINE: Final = re.compile(r"passkey:(es256|eddsa):([\w-]{43,44}):(https?://[a-z0-9.:-]{1,270})", re.ASCII)
_PRESENT, _VERIFIED, _ATTESTED, _EXTENDED = 0x01, 0x04, 0x40, 0x80  # flags (6.1)

OBJECTIONS: Final[dict[Objection, str]] = {
    "client_data": "its client data is not of the form",
    "type": "what they signed is not an answer to a question but something else of their passkey",
    "challenge": "its signature is not of this plan",
    "origin": "they signed it on another page than the one that the key was made on",
    "embedded": "they signed it on a page within another site's",
    "authenticator_data": "its authenticator data is not of the form",
    "site": "they signed it for another site than the key is for",
    "presence": "signed without anybody there",
    "verification": "their passkey signed it without knowing that it was them",
    "signature": "its signature is not by that passkey",
}
"""What an objection means, in the words of a machine's refusals."""


class BadPasskey(ValueError):
    """A line, an address or a key that cannot be used; `str()` says what is wrong."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """The public key of a credential, and the page that it answers to."""

    algorithm: Algorithm
    public: bytes  # es256: the compressed point, 33 bytes; eddsa: raw Ed25519, 32 bytes
    origin: str  # https://HOST[:PORT], as browsers write it

    @property
    def line(self) -> str:
        """As people hand it on: passkey:ALGORITHM:KEY:ORIGIN; `parse_passkey` is the inverse."""
        return f"{PREFIX}{self.algorithm}:{encode_base64(self.public)}:{self.origin}"

    @property
    def id(self) -> str:
        """Of the whole line, so that the same key for another page is another one."""
        return key_id(self.line.encode())

    @property
    def site(self) -> str:
        """The RP ID: the whole host, no parent of it."""
        return site_of(self.origin)


ApproverKey = bytes | Passkey
"""A key by which a machine knows an approver: raw Ed25519 of a console, or a passkey."""


def approver_key_id(key: ApproverKey) -> str:
    return key.id if isinstance(key, Passkey) else key_id(key)


def approver_key_text(key: ApproverKey) -> str:
    return key.line if isinstance(key, Passkey) else key.hex()


def parse_passkey(line: str) -> Passkey:
    """Raises BadPasskey."""
    found = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
    if found is None:
        raise BadPasskey("not of the form passkey:ALGORITHM:KEY:ORIGIN")
    algorithm, key, origin = found.groups()
    public = decode_base64(key)
    if public is None or len(public) != _SIZES[algorithm] or encode_base64(public) != key:
        raise BadPasskey("its key is not of the algorithm's size")
    if origin_of(origin) != origin:
        raise BadPasskey("its page is not written as browsers do")
    passkey = Passkey("es256" if algorithm == "es256" else "eddsa", public, origin)
    if not _is_key(passkey):
        raise BadPasskey("its key is no point of the curve")
    return passkey


def origin_of(url: str) -> str:
    """The origin of a page's address as browsers write it (HTML, 7.1.1.1); raises BadPasskey where pages there can have
    no passkeys (5.1.3, 5.1.4.1): not HTTPS, or an address instead of a name. HTTP is for localhost alone.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise BadPasskey("no address of a page") from None
    if parts.scheme != "https" and (parts.scheme, host) != ("http", "localhost"):
        raise BadPasskey("passkeys need an https:// address")
    if not host or _is_address(host):
        raise BadPasskey("passkeys need a host with a name, not an IP address")
    default = 443 if parts.scheme == "https" else 80
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def site_of(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.rpartition(".")[2].isdigit()  # what URLs take for IPv4 besides (URL, 3.5)
    return True


def has_extensions(authenticator_data: bytes) -> bool:
    return bool(authenticator_data[32] & _EXTENDED)


def approval_challenge(proof: ApprovalProof, request: str, plan_hash: str) -> bytes:
    """What a passkey is asked to sign for this yes: the SHA-256 of what a person's own Ed25519 key would sign."""
    return hashlib.sha256(PERSON_APPROVAL_PURPOSE + proof.statement(request, plan_hash)).digest()


def check_assertion(
    passkey: Passkey, challenge: bytes, client_data: bytes, authenticator_data: bytes, signature: bytes
) -> Objection:
    """Why this is not the passkey's answer to `challenge`, "" where it is (7.2). Never raises on malformed input.

    The signature counter (6.1.1) is not looked at: machines see some of a passkey's signatures, in any order, and each
    is good for one start anyway.
    """
    why = check_client_data(client_data, "webauthn.get", challenge, passkey.origin)
    why = why or check_authenticator_data(authenticator_data, passkey.site, attested=False)
    if why:
        return why
    return "" if is_signed(passkey, client_data, authenticator_data, signature) else "signature"


def check_client_data(data: bytes, ceremony: Ceremony, challenge: bytes, origin: str) -> Objection:
    """What a browser says of the page (5.8.1): 7.1 and 7.2, the steps on type, challenge, origin, crossOrigin."""
    body = _members(data)
    if body is None:
        return "client_data"
    if body.get("type") != ceremony:
        return "type"
    given = body.get("challenge")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), encode_base64(challenge).encode()):
        return "challenge"
    if body.get("origin") != origin:
        return "origin"
    return "embedded" if body.get("crossOrigin", False) is not False or "topOrigin" in body else ""


def _members(data: bytes) -> dict[str, Any] | None:
    """Those of one JSON object with no name twice."""
    if len(data) > MAX_CLIENT_DATA:
        return None
    try:
        pairs = json.loads(data.decode("utf-8"), object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        return None
    body: dict[str, Any] = dict(pairs)
    return body if len(body) == len(pairs) else None


def check_authenticator_data(data: bytes, site: str, *, attested: bool) -> Objection:
    """What an authenticator says of itself (6.1): 7.1 and 7.2, the steps on rpIdHash and flags. `attested`: a new
    credential follows the 37 bytes, and perhaps extensions.
    """
    if len(data) < ASSERTION_BYTES or (not attested and len(data) > ASSERTION_BYTES):
        return "authenticator_data"
    flags = data[32]
    if bool(flags & _ATTESTED) != attested or (flags & _EXTENDED and not attested):
        return "authenticator_data"
    if not hmac.compare_digest(data[:32], hashlib.sha256(site.encode()).digest()):
        return "site"
    if not flags & _PRESENT:
        return "presence"
    return "" if flags & _VERIFIED else "verification"


def is_signed(passkey: Passkey, client_data: bytes, authenticator_data: bytes, signature: bytes) -> bool:
    """Whether the passkey has signed the two (6.3.3, step 11). Never raises on malformed input."""
    from cryptography.exceptions import InvalidSignature

    signed = authenticator_data + hashlib.sha256(client_data).digest()
    try:
        if passkey.algorithm == "eddsa":
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

            Ed25519PublicKey.from_public_bytes(passkey.public).verify(signature, signed)
        else:
            from cryptography.hazmat.primitives.asymmetric import ec
            from cryptography.hazmat.primitives.hashes import SHA256

            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), passkey.public)
            key.verify(signature, signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_key(passkey: Passkey) -> bool:
    if passkey.algorithm == "eddsa":
        return True  # any 32 bytes are read as one; of what is none no signature verifies
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), passkey.public)
    except ValueError:
        return False
    return True


def passkey_of_point(x: bytes, y: bytes, origin: str) -> Passkey:
    """That of ES256 with this point of P-256, 32 bytes each; raises BadPasskey where it is none."""
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
    except ValueError:
        raise BadPasskey("its key is no point of the curve") from None
    return Passkey("es256", bytes([2 + (y[-1] & 1)]) + x, origin)  # SEC 1, 2.3.3


def encode_base64(data: bytes) -> str:
    """base64url without padding (RFC 4648, 5), as browsers write challenges."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64(text: str) -> bytes | None:
    """None where it is anything else."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return data if encode_base64(data) == text else None
