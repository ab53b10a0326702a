"""A new passkey: what a browser is asked for, and what its answer must be. Pure.

W3C Web Authentication Level 3, 7.1. No attestation is asked for: what a key is good for is said by whoever has a
machine and adds it there, not by its maker. Without one, authenticator data is all that counts of the answer, and
browsers hand it out as it is (`getAuthenticatorData()`, 5.2.1.1). The public key in it has one encoding for each
algorithm that is asked for (6.5.1.1, in the canonical CBOR of CTAP2), so it is compared with that byte by byte, and
nothing is decoded. Some authenticators say of a new credential how it is protected, unasked: such extensions stand
behind the key, and are not looked at (7.1 leaves that open).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.identity.passkey import (
    ASSERTION_BYTES,
    BadPasskey,
    Objection,
    Passkey,
    check_authenticator_data,
    check_client_data,
    decode_base64,
    encode_base64,
    has_extensions,
    passkey_of_point,
    site_of,
)

MAX_PASSKEYS: Final = 8
"""Of one person: as many as a machine takes of them."""
MAX_CREDENTIAL_ID: Final = 1_023
"""Bytes of a credential's id (7.1)."""
MAX_EXTENSIONS: Final = 128
MAX_ATTESTED: Final = ASSERTION_BYTES + 16 + 2 + MAX_CREDENTIAL_ID + 77 + MAX_EXTENSIONS
TIMEOUT_MS: Final = 300_000
_AAGUID_BYTES: Final = 16
_ES256: Final = -7  # COSE algorithms (RFC 9053)
_EDDSA: Final = -8
# COSE keys up to their values: {1: 2, 3: -7, -1: 1, -2: x, -3: y} and {1: 1, 3: -8, -1: 6, -2: x}
_ES256_X: Final = bytes.fromhex("a5010203262001215820")
_ES256_Y: Final = bytes.fromhex("225820")
_EDDSA_X: Final = bytes.fromhex("a4010103272006215820")


class BadRegistration(ValueError):
    """An answer that makes no passkey; `code` says why."""

    def __init__(self, code: Objection | str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Registered:
    passkey: Passkey
    credential_id: str  # base64url


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """What a page got from a passkey: `signature` and `credential` are empty where it is a new one."""

    credential: str  # base64url
    client_data: bytes
    authenticator_data: bytes
    signature: bytes = b""


def creation_options(person: str, origin: str, challenge: bytes, hub: str, known: Sequence[str] = ()) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptions (5.4) as JSON, bytes in base64url. `known` are credentials of the person.

    Discoverable ones are not needed, since the page names those that it asks. The user handle says nothing of the
    person to whoever reads it (14.6.1).
    """
    handle = hashlib.sha256(f"answerback passkey\n{hub}\n{person}".encode()).digest()
    return {
        "rp": {"id": site_of(origin), "name": "Answerback"},
        "user": {"id": encode_base64(handle), "name": person, "displayName": person},
        "challenge": encode_base64(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (_ES256, _EDDSA)],
        "timeout": TIMEOUT_MS,
        "excludeCredentials": [{"type": "public-key", "id": one} for one in known],
        "authenticatorSelection": {
            "residentKey": "discouraged",
            "requireResidentKey": False,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def request_options(origin: str, challenge: bytes, credentials: Sequence[str]) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptions (5.5) as JSON."""
    return {
        "challenge": encode_base64(challenge),
        "timeout": TIMEOUT_MS,
        "rpId": site_of(origin),
        "allowCredentials": [{"type": "public-key", "id": one} for one in credentials],
        "userVerification": "required",
    }


def read_registration(client_data: bytes, authenticator_data: bytes, challenge: bytes, origin: str) -> Registered:
    """The passkey that an answer brings; raises BadRegistration."""
    why = check_client_data(client_data, "webauthn.create", challenge, origin)
    if not why and len(authenticator_data) > MAX_ATTESTED:
        why = "authenticator_data"
    why = why or check_authenticator_data(authenticator_data, site_of(origin), attested=True)
    if why:
        raise BadRegistration(why)
    rest = authenticator_data[ASSERTION_BYTES + _AAGUID_BYTES :]
    length = int.from_bytes(rest[:2], "big")
    credential_id, key = rest[2 : 2 + length], rest[2 + length :]
    if len(rest) < 2 or not 1 <= length <= MAX_CREDENTIAL_ID or len(credential_id) != length:
        raise BadRegistration("authenticator_data")
    most = MAX_EXTENSIONS if has_extensions(authenticator_data) else 0
    return Registered(_read_key(key, origin, most), encode_base64(credential_id))


def read_answer(fields: Mapping[str, str]) -> PasskeyAnswer | None:
    """What a page's form has of a passkey; None where it has nothing. What is no base64url is empty, which is no
    answer to anything.
    """
    if "client_data" not in fields:
        return None
    found = (decode_base64(fields.get(name, "")) or b"" for name in ("client_data", "authenticator_data", "signature"))
    return PasskeyAnswer(fields.get("credential", ""), *found)


def _read_key(key: bytes, origin: str, extensions: int) -> Passkey:
    """Of its one encoding; where there may be `extensions`, one to so many bytes of them stand behind it."""
    x_end = len(_ES256_X) + 32
    y_at = x_end + len(_ES256_Y)
    is_eddsa = key.startswith(_EDDSA_X)
    size = len(_EDDSA_X) + 32 if is_eddsa else y_at + 32
    if not (min(extensions, 1) <= len(key) - size <= extensions):
        raise BadRegistration("algorithm")
    if is_eddsa:
        return Passkey("eddsa", key[len(_EDDSA_X) : size], origin)
    if not key.startswith(_ES256_X) or key[x_end:y_at] != _ES256_Y:
        raise BadRegistration("algorithm")
    try:
        return passkey_of_point(key[len(_ES256_X) : x_end], key[y_at:size], origin)
    except BadPasskey:
        raise BadRegistration("algorithm") from None
