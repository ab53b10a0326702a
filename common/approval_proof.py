"""A yes as whoever signed it said it: what a hub stores of an approval, what an order carries, what a machine counts.

The signature is Ed25519 (`common.identity.signing`) over the statement, canonical JSON of request, plan hash, person,
time, second factor, expiry and entrance, and, where a person signs, of who asked, as that person was shown it. `by`
says whose key it is: `hub:KEYID`, one of the keys that orders are signed with, under APPROVAL_PURPOSE; or
`person:KEYID`, the approver's own, under PERSON_APPROVAL_PURPOSE. A proof is of one plan hash: in another order, or in
the row of another request, it proves nothing.

`passkey:KEYID` is a passkey of the approver's (`common.identity.passkey`): what it has signed, in the form of WebAuthn,
answers the SHA-256 of what their own key would sign.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

HUB: Final = "hub:"
PERSON: Final = "person:"
PASSKEY: Final = "passkey:"
CONSOLE: Final = "console"
"""The entrance of what people sign themselves, at their console."""
PAGE: Final = "page"
"""The entrance of what they sign with a passkey, on a page of the hub's."""
MAX_PROOFS: Final = 64
"""Proofs that one order carries."""
_BY: Final = re.compile(r"(?:hub|person|passkey):[0-9a-f]{16}", re.ASCII)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)
_PASSKEY_SIGNATURE: Final = re.compile(r"(?:[0-9a-f]{2}){8,80}", re.ASCII)  # ES256: DER, at most 72 bytes
_AUTHENTICATOR_DATA: Final = re.compile(r"(?:[0-9a-f]{2}){37}", re.ASCII)
_CLIENT_DATA: Final = re.compile(r"(?:[0-9a-f]{2}){2,1024}", re.ASCII)
MAX_NAME: Final = 256
MAX_ASKED_BY: Final = 64
"""Names of who asked."""


class BadProof(ValueError):
    """A malformed proof; `str()` names the field."""


@dataclass(frozen=True, slots=True)
class ApprovalProof:
    person: str
    at: float  # seconds since the epoch
    second_factor: bool  # a fresh code was given with it
    expires: float  # seconds since the epoch: no start later than this counts it
    via: str  # the inlet's name, or "console"
    by: str  # hub:KEYID, person:KEYID or passkey:KEYID
    signature: bytes = b""  # Ed25519, 64 bytes; a passkey's, of its algorithm
    asked_by: tuple[str, ...] = ()  # who asked and whom it is on behalf of (`askers`); () in the hub's; protocol 5
    authenticator_data: bytes = b""  # of a passkey alone: what it signed besides
    client_data: bytes = b""

    def statement(self, request: str, plan_hash: str) -> bytes:
        """What is signed: this yes, to this plan of this request (a ULID)."""
        body = {
            "v": 1,
            "request": request,
            "plan_hash": plan_hash,
            "person": self.person,
            "at": self.at,
            "second_factor": self.second_factor,
            "expires": self.expires,
            "via": self.via,
            **({"asked_by": self.asked_by} if self.asked_by else {}),
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()

    @property
    def by_hub(self) -> bool:
        return self.by.startswith(HUB)

    @property
    def by_passkey(self) -> bool:
        return self.by.startswith(PASSKEY)

    @property
    def key(self) -> str:
        """The id of the key that signed it."""
        return self.by.partition(":")[2]


def proofs_to_json(proofs: Iterable[ApprovalProof]) -> list[dict[str, Any]]:
    """As JSON values; `proofs_from_json` is the inverse."""
    return [
        {
            "person": proof.person,
            "at": proof.at,
            "second_factor": proof.second_factor,
            "expires": proof.expires,
            "via": proof.via,
            "by": proof.by,
            "signature": proof.signature.hex(),
            **({"asked_by": list(proof.asked_by)} if proof.asked_by else {}),
            **_passkey_fields(proof),
        }
        for proof in proofs
    ]


def _passkey_fields(proof: ApprovalProof) -> dict[str, str]:
    if not proof.by_passkey:
        return {}
    return {"authenticator_data": proof.authenticator_data.hex(), "client_data": proof.client_data.hex()}


def proofs_from_json(values: Any) -> tuple[ApprovalProof, ...]:
    """The proofs of `proofs_to_json`'s value; raises BadProof where it is anything else, or there are too many."""
    if not isinstance(values, list) or len(values) > MAX_PROOFS:
        raise BadProof(f"proofs: a list of at most {MAX_PROOFS} was expected")
    return tuple(map(_proof, values))


def askers(person: str, behalf: Iterable[str]) -> tuple[str, ...]:
    """Who asked, in the one order in which that is signed."""
    return tuple(sorted({person, *behalf}))


def _proof(value: Any) -> ApprovalProof:
    asked_by = _asked_by(value.get("asked_by")) if isinstance(value, dict) and "asked_by" in value else ()
    match value:
        case {
            "person": str(person),
            "at": at,
            "second_factor": bool(second_factor),
            "expires": expires,
            "via": str(via),
            "by": str(by),
            "signature": str(signature),
        } if len(value) == 7 + bool(asked_by) + (2 if by.startswith(PASSKEY) else 0):
            pass
        case _:
            raise BadProof("proofs: not of the form")
    if len(person) > MAX_NAME or len(via) > MAX_NAME:
        raise BadProof(f"proofs: a name longer than {MAX_NAME} characters")
    if not (_is_time(at) and _is_time(expires)):
        raise BadProof("proofs: a finite time was expected")
    by_passkey = by.startswith(PASSKEY)
    form = _PASSKEY_SIGNATURE if by_passkey else _SIGNATURE
    if not _BY.fullmatch(by) or not form.fullmatch(signature):
        raise BadProof("proofs: by or signature is not of the form")
    proof = ApprovalProof(person, at, second_factor, expires, via, by, bytes.fromhex(signature), asked_by)
    return _with_passkey(proof, value) if by_passkey else proof


def _with_passkey(proof: ApprovalProof, value: dict[str, Any]) -> ApprovalProof:
    """With what a passkey signed besides, in its bounds."""
    found = []
    for field, form in (("authenticator_data", _AUTHENTICATOR_DATA), ("client_data", _CLIENT_DATA)):
        text = value.get(field)
        if not isinstance(text, str) or not form.fullmatch(text):
            raise BadProof(f"proofs: {field} is not of the form")
        found.append(bytes.fromhex(text))
    return replace(proof, authenticator_data=found[0], client_data=found[1])


def _asked_by(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ASKED_BY:
        raise BadProof(f"proofs: asked_by is a list of 1 to {MAX_ASKED_BY} names")
    if not all(isinstance(name, str) and len(name) <= MAX_NAME for name in value):
        raise BadProof("proofs: asked_by is not of names")
    return tuple(value)


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 2**53  # so put, it is false for NaN too


def people_of(proofs: Sequence[ApprovalProof]) -> tuple[str, ...]:
    """Who is named, each once, sorted."""
    return tuple(sorted({proof.person for proof in proofs}))
