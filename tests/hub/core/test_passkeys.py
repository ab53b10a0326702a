"""hub.core.passkeys: what a browser is asked for, and what its answer must be."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.identity.passkey import decode_base64, encode_base64, parse_passkey
from hub.core.passkeys import (
    MAX_CREDENTIAL_ID,
    MAX_EXTENSIONS,
    BadRegistration,
    PasskeyAnswer,
    creation_options,
    read_answer,
    read_registration,
    request_options,
)
from tests.each import each_of
from tests.software_authenticator import AT, ED, ORIGIN, UP, UV, SoftwareAuthenticator

CHALLENGE = hashlib.sha256(b"a link").digest()

# W3C Web Authentication Level 3, 16.3 "ES256 Credential with Self Attestation", the registration
SPEC_DATA = bytes.fromhex(
    "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b55d00000000df850e09db6afbdfab51697791506cfc0020"
    "455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58ca5010203262001215820eb151c8176b225cc651559fecf"
    "07af450fd85802046656b34c18f6cf193843c5225820927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2"
)


def test_the_specification_s_own_vector() -> None:
    """Its authenticator data brings the key and the credential that are published with it."""
    challenge = bytes.fromhex("00" * 32)
    client_data = SoftwareAuthenticator(origin="https://example.org").create(challenge).client_data
    made = read_registration(client_data, SPEC_DATA, challenge, "https://example.org")
    assert made.credential_id == encode_base64(
        bytes.fromhex("455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c")
    )
    x = bytes.fromhex("eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5")
    assert (made.passkey.algorithm, made.passkey.public) == ("es256", b"\x02" + x)  # y ends in f2, which is even
    assert parse_passkey(made.passkey.line) == made.passkey


@each_of("algorithm", ["es256", "eddsa"])
def test_what_a_browser_answers_and_what_it_must_not(algorithm: str) -> None:
    """Each thing that could be another one, by the name of its refusal."""
    device = SoftwareAuthenticator(algorithm)

    def judge(challenge: bytes = CHALLENGE, **changes: Any) -> str:
        made = device.create(challenge, **changes)
        try:
            found = read_registration(made.client_data, made.authenticator_data, CHALLENGE, ORIGIN)
        except BadRegistration as error:
            return error.code
        assert found.passkey == device.passkey
        assert found.credential_id == encode_base64(device.credential_id)
        return ""

    assert judge() == ""
    assert judge(b"another link") == "challenge"
    assert judge(type="webauthn.get") == "type"
    assert judge(origin="https://hub.evil") == "origin"
    assert judge(crossOrigin=True) == "embedded"
    assert judge(site="hub.evil") == "site"
    assert judge(flags=UV | AT) == "presence"
    assert judge(flags=UP | AT) == "verification"
    assert judge(flags=UP | UV) == "authenticator_data"
    assert judge(flags=UP | UV | AT | ED, extensions=bytes.fromhex("a16b6372656450726f7465637402")) == ""
    assert judge(flags=UP | UV | AT | ED, extensions=b"x" * MAX_EXTENSIONS) == ""
    assert judge(flags=UP | UV | AT | ED, extensions=b"x" * (MAX_EXTENSIONS + 1)) == "algorithm"
    assert judge(flags=UP | UV | AT | ED) == "algorithm"
    assert judge(extensions=b"\xa0") == "algorithm"  # more behind the key than its flags say
    key = device.cose_key
    for wrong in (
        b"",
        key[:-1],
        key + b"\x00",
        b"\xbf" + key[1:] + b"\xff",  # the same map, of indefinite length
        key.replace(bytes.fromhex("0326"), bytes.fromhex("0327")),  # -8 with a point of P-256
        key.replace(bytes.fromhex("0327"), bytes.fromhex("0326")),
        bytes.fromhex("a401030339010020590100") + bytes(256) + bytes.fromhex("2143010001"),  # RS256
    ):
        if wrong != key:
            assert judge(cose_key=wrong) == "algorithm", wrong.hex()


def test_a_point_that_is_none_is_refused() -> None:
    """An attacker's choice of a point off the curve."""
    device = SoftwareAuthenticator()
    key = bytearray(device.cose_key)
    key[-1] ^= 1
    made = device.create(CHALLENGE, cose_key=bytes(key))
    with pytest.raises(BadRegistration, match="algorithm"):
        read_registration(made.client_data, made.authenticator_data, CHALLENGE, ORIGIN)


@each_of(("size", "good"), [(0, False), (1, True), (MAX_CREDENTIAL_ID, True), (MAX_CREDENTIAL_ID + 1, False)])
def test_the_credential_s_id_has_its_bounds(size: int, good: bool) -> None:
    """Lesson A3 E2: at the bound and beyond it."""
    made = replace(SoftwareAuthenticator(), credential_id=b"c" * size).create(CHALLENGE)
    if good:
        assert read_registration(made.client_data, made.authenticator_data, CHALLENGE, ORIGIN).credential_id
        return
    with pytest.raises(BadRegistration, match="authenticator_data"):
        read_registration(made.client_data, made.authenticator_data, CHALLENGE, ORIGIN)


def test_every_length_but_the_whole_is_refused() -> None:
    """Cut short anywhere."""
    made = SoftwareAuthenticator().create(CHALLENGE)
    for end in range(len(made.authenticator_data)):
        with pytest.raises(BadRegistration):
            read_registration(made.client_data, made.authenticator_data[:end], CHALLENGE, ORIGIN)


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(data: bytes) -> None:
    """Whatever follows good client data."""
    client_data = SoftwareAuthenticator().create(CHALLENGE).client_data
    with pytest.raises(BadRegistration):
        read_registration(client_data, data, CHALLENGE, ORIGIN)


def test_what_a_browser_is_asked_for() -> None:
    """The person known to their authenticator each time, ES256 or EdDSA and no other, no attestation; the handle says
    nothing of them and is another one on another hub.
    """
    made = creation_options("bob", "https://hub.example:8443", CHALLENGE, "h1", ["AAAA"])
    assert made["rp"]["id"] == "hub.example"
    assert made["challenge"] == encode_base64(CHALLENGE)
    assert [one["alg"] for one in made["pubKeyCredParams"]] == [-7, -8]
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert made["authenticatorSelection"]["residentKey"] == "discouraged"
    assert made["attestation"] == "none"
    assert made["excludeCredentials"] == [{"type": "public-key", "id": "AAAA"}]
    handle = decode_base64(made["user"]["id"])
    assert handle is not None
    assert len(handle) == 32
    others = [
        creation_options(name, ORIGIN, CHALLENGE, hub)["user"]["id"] for name, hub in (("ann", "h1"), ("bob", "h2"))
    ]
    assert len({made["user"]["id"], *others}) == 3
    asked = request_options("https://hub.example:8443", CHALLENGE, ["AAAA", "BBBB"])
    assert (asked["rpId"], asked["userVerification"]) == ("hub.example", "required")
    assert [one["id"] for one in asked["allowCredentials"]] == ["AAAA", "BBBB"]


def test_what_a_form_has_of_a_passkey() -> None:
    """Nothing where it has nothing; what is no base64url is empty, which answers nothing."""
    assert read_answer({"act": "approve"}) is None
    fields = {"credential": "AAAA", "client_data": "e30", "authenticator_data": "AAE", "signature": "AQ"}
    assert read_answer(fields) == PasskeyAnswer("AAAA", b"{}", b"\x00\x01", b"\x01")
    assert read_answer({"client_data": "e30="}) == PasskeyAnswer("", b"", b"", b"")
    assert read_answer({"client_data": "é", "signature": "+/=="}) == PasskeyAnswer("", b"", b"", b"")
