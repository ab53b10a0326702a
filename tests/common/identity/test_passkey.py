"""common.identity.passkey: the line of a passkey, and whether an assertion answers a challenge."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.approval_proof import PAGE, PASSKEY, ApprovalProof
from common.identity.passkey import (
    MAX_CLIENT_DATA,
    OBJECTIONS,
    BadPasskey,
    Passkey,
    approval_challenge,
    approver_key_id,
    approver_key_text,
    check_assertion,
    check_authenticator_data,
    check_client_data,
    decode_base64,
    encode_base64,
    is_signed,
    origin_of,
    parse_passkey,
)
from common.identity.signing import PERSON_APPROVAL_PURPOSE, key_id
from tests.each import each_of
from tests.software_authenticator import AT, ED, ORIGIN, UP, UV, SoftwareAuthenticator

CHALLENGE = hashlib.sha256(b"a plan").digest()

# W3C Web Authentication Level 3, 16.2 "ES256 Credential with No Attestation", the authentication
ES256 = Passkey(
    "es256",
    bytes.fromhex("02afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61"),  # y is even
    "https://example.org",
)
ES256_CHALLENGE = bytes.fromhex("39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408")
ES256_DATA = bytes.fromhex("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000")
ES256_CLIENT = bytes.fromhex(
    "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a55585430"
    "49393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c"
    "2263726f73734f726967696e223a66616c73657d"
)
ES256_SIGNATURE = bytes.fromhex(
    "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d"
    "78c6e486013f937295ea13653e331e87"
)
# 16.11 "Packed Attestation with Ed25519 Credential", the authentication
EDDSA = Passkey(
    "eddsa",
    bytes.fromhex("44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832"),
    "https://example.org",
)
EDDSA_CHALLENGE = bytes.fromhex("895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2")
EDDSA_DATA = bytes.fromhex("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50100000000")
EDDSA_CLIENT = bytes.fromhex(
    "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2269566c583442786a4f6d6d44534b4c596f787055"
    "7439736e364d48454f7943413135726947514a6e763949222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c"
    "2263726f73734f726967696e223a66616c73657d"
)
EDDSA_SIGNATURE = bytes.fromhex(
    "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223a0"
    "dc0d453993dae00b"
)
VECTORS = [
    (ES256, ES256_CHALLENGE, ES256_CLIENT, ES256_DATA, ES256_SIGNATURE),
    (EDDSA, EDDSA_CHALLENGE, EDDSA_CLIENT, EDDSA_DATA, EDDSA_SIGNATURE),
]


@each_of("vector", VECTORS)
def test_the_specification_s_own_vectors(vector: Any) -> None:
    """Signature, client data and site are as published; both say that nobody was verified, which is refused here."""
    passkey, challenge, client_data, data, signature = vector
    assert is_signed(passkey, client_data, data, signature)
    assert check_client_data(client_data, "webauthn.get", challenge, passkey.origin) == ""
    assert check_authenticator_data(data, passkey.site, attested=False) == "verification"
    assert check_assertion(passkey, challenge, client_data, data, signature) == "verification"
    assert not is_signed(passkey, client_data, data[:-1] + b"\x01", signature)
    assert not is_signed(passkey, client_data + b" ", data, signature)
    assert not is_signed(passkey, client_data, data, signature[:-1] + bytes([signature[-1] ^ 1]))
    assert parse_passkey(passkey.line) == passkey


@each_of("algorithm", ["es256", "eddsa"])
def test_what_answers_the_challenge_and_what_does_not(algorithm: str) -> None:
    """Each thing that could be another one, by the name of its refusal; all of it signed by the right key."""
    device = SoftwareAuthenticator(algorithm)

    def judge(challenge: bytes = CHALLENGE, key: Passkey = device.passkey, **changes: Any) -> str:
        made = device.get(challenge, **changes)
        return check_assertion(key, CHALLENGE, made.client_data, made.authenticator_data, made.signature)

    assert judge() == ""
    assert judge(crossOrigin=None) == ""  # browsers of Level 1 do not say it
    assert judge(extra="of a later specification") == ""
    assert judge(flags=UP | UV | 0x18) == ""  # a passkey that is kept in a cloud
    assert judge(hashlib.sha256(b"another plan").digest()) == "challenge"
    assert judge(challenge=b"") == "challenge"
    assert judge(type="webauthn.create") == "type"
    assert judge(type="payment.get") == "type"
    assert judge(origin="https://hub.example.evil") == "origin"
    assert judge(origin="http://hub.example") == "origin"
    assert judge(origin=ORIGIN + ":8443") == "origin"
    assert judge(crossOrigin=True) == "embedded"
    assert judge(crossOrigin="false") == "embedded"
    assert judge(topOrigin=ORIGIN) == "embedded"
    assert judge(site="example") == "site"
    assert judge(flags=UV) == "presence"
    assert judge(flags=UP) == "verification"
    assert judge(flags=UP | UV | ED) == "authenticator_data"
    assert judge(flags=UP | UV | AT) == "authenticator_data"
    assert judge(extensions=b"\xa0") == "authenticator_data"
    assert judge(key=SoftwareAuthenticator(algorithm).passkey) == "signature"
    other = {"es256": "eddsa", "eddsa": "es256"}[algorithm]
    assert judge(key=SoftwareAuthenticator(other).passkey) == "signature"


@each_of(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"nonsense",
        b"\xff",
        b"[" * 1_000,
        b'{"a":' * 200 + b"1" + b"}" * 200 + b"x",
        b'{"type":"webauthn.get","type":"webauthn.get"}',
        b'{"x":"' + b"y" * MAX_CLIENT_DATA + b'"}',
        b'[["type","webauthn.get"]]',
    ],
)
def test_client_data_of_another_form(data: bytes) -> None:
    """Lesson A3 E2: no name twice, no more than its bound, nothing but one object; never an exception."""
    assert check_client_data(data, "webauthn.get", CHALLENGE, ORIGIN) in ("client_data", "type")


def test_client_data_in_its_bound() -> None:
    """As long as it may be, and one byte more."""
    device = SoftwareAuthenticator()
    fill = MAX_CLIENT_DATA - len(device.get(CHALLENGE, x="").client_data)
    for size, said in ((fill, ""), (fill + 1, "client_data")):
        made = device.get(CHALLENGE, x="y" * size)
        assert check_client_data(made.client_data, "webauthn.get", CHALLENGE, ORIGIN) == said


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_nothing_raises(client_data: bytes, data: bytes, signature: bytes) -> None:
    """Whatever comes in is refused by name."""
    for key in (ES256, EDDSA):
        assert check_assertion(key, CHALLENGE, client_data, data, signature) in OBJECTIONS
        assert not is_signed(key, client_data, data, signature)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_members_of_other_types(value: Any) -> None:
    """A challenge, type or origin that is no text is another one."""
    good = {"type": "webauthn.get", "challenge": encode_base64(CHALLENGE), "origin": ORIGIN}
    for name in good:
        body = json.dumps({**good, name: value}).encode()
        assert check_client_data(body, "webauthn.get", CHALLENGE, ORIGIN) in ("type", "challenge", "origin")


@each_of("algorithm", ["es256", "eddsa"])
def test_a_line_names_one_key_for_one_page(algorithm: str) -> None:
    """It comes back as it was; the id is another one for another page; a console's key keeps its own."""
    passkey = SoftwareAuthenticator(algorithm).passkey
    assert parse_passkey(passkey.line) == passkey
    assert passkey.site == "hub.example"
    elsewhere = Passkey(passkey.algorithm, passkey.public, "https://hub.example:8443")
    assert elsewhere.id != passkey.id
    assert elsewhere.site == passkey.site
    assert (approver_key_text(passkey), approver_key_id(passkey)) == (passkey.line, passkey.id)
    assert (approver_key_text(b"\xab" * 32), approver_key_id(b"\xab" * 32)) == ("ab" * 32, key_id(b"\xab" * 32))


GOOD = ES256.line
KEY = GOOD.split(":")[2]


@each_of(
    "line",
    [
        "",
        "passkey:",
        GOOD + "/",
        GOOD + " ",
        GOOD.upper(),
        GOOD.replace("es256", "rs256"),
        GOOD.replace("es256", "eddsa"),
        GOOD.replace(KEY, KEY[:-1]),
        GOOD.replace(KEY, KEY + "A"),
        GOOD.replace(KEY, encode_base64(b"\x02" + b"\xff" * 32)),  # beyond the field
        GOOD.replace(KEY, encode_base64(b"\x05" + bytes(32))),
        GOOD.replace(KEY, base64.b64encode(ES256.public).decode()),
        GOOD.replace("https", "http"),
        GOOD.replace("example.org", "example.org:443"),
        GOOD.replace("example.org", "192.0.2.1"),
        GOOD.replace("example.org", "example.org:99999"),
        GOOD.replace("example.org", "x" * 400),
        EDDSA.line.replace(":https", "A:https"),
        EDDSA.line.replace("-DI:", "-DJ:"),  # bits that no 32 bytes have
    ],
)
def test_lines_that_are_none(line: str) -> None:
    """Lesson A3 E2: one spelling, one size, a point of the curve, a page that can have passkeys."""
    with pytest.raises(BadPasskey):
        parse_passkey(line)


@each_of(
    ("url", "origin"),
    [
        ("https://hub.example.org", "https://hub.example.org"),
        ("https://HUB.Example.org/", "https://hub.example.org"),
        ("https://hub.example.org:443/answerback", "https://hub.example.org"),
        ("https://hub.example.org:8443/x", "https://hub.example.org:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_the_origin_of_a_page(url: str, origin: str) -> None:
    """As browsers write it."""
    assert origin_of(url) == origin


@each_of(
    "url",
    ["http://hub.example.org", "https://192.0.2.1", "https://[2001:db8::1]", "https://", "ftp://hub.example.org",
     "https://hub.example.org:x", "http://127.0.0.1:8080", "https://0x7f.1", "", "https://[x"],
)  # fmt: skip
def test_pages_that_can_have_no_passkeys(url: str) -> None:
    """No HTTPS, no name: the error says which."""
    with pytest.raises(BadPasskey, match=r"https|name|address"):
        origin_of(url)


def test_what_a_passkey_is_asked_to_sign_is_what_a_person_s_own_key_would_sign() -> None:
    """The same bytes: each word of the statement is in the challenge."""
    proof = ApprovalProof("bob", 1.0, False, 2.0, PAGE, PASSKEY + ES256.id)
    data = PERSON_APPROVAL_PURPOSE + proof.statement("R", "hash")
    assert approval_challenge(proof, "R", "hash") == hashlib.sha256(data).digest()
    others = [
        ApprovalProof("ann", 1.0, False, 2.0, PAGE, PASSKEY + ES256.id),
        ApprovalProof("bob", 1.5, False, 2.0, PAGE, PASSKEY + ES256.id),
        ApprovalProof("bob", 1.0, True, 2.0, PAGE, PASSKEY + ES256.id),
        ApprovalProof("bob", 1.0, False, 2.5, PAGE, PASSKEY + ES256.id),
        ApprovalProof("bob", 1.0, False, 2.0, "console", PASSKEY + ES256.id),
    ]
    challenges = {approval_challenge(one, "R", "hash") for one in (proof, *others)}
    challenges |= {approval_challenge(proof, "S", "hash"), approval_challenge(proof, "R", "other")}
    assert len(challenges) == 8


@given(st.binary(max_size=70))
def test_base64_has_one_spelling(data: bytes) -> None:
    """No padding, no other alphabet."""
    text = encode_base64(data)
    assert decode_base64(text) == data
    for other in (text + "=", text + "+", text + " ", text + "é", text + "\n"):
        assert decode_base64(other) is None
