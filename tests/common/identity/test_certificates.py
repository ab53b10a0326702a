from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from common.identity.certificates import (
    AUTHORITY_LIFETIME,
    BACKDATE_SECONDS,
    LABELS_OID,
    LIFETIME,
    MAX_CERTIFICATE,
    MAX_LABELS,
    Authority,
    BadAuthority,
    BadIdentity,
    BadRequest,
    Identity,
    IdentityKind,
    identity_from_der,
    identity_from_pem,
    make_request,
    new_key,
    request_key,
)
from common.identity.tls import compute_pin, identity_uri

NOW = 1_800_000_000.0
AUTHORITY = Authority.create("hub-3f9a1c", NOW)
KEY = new_key()
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
Extension = tuple[x509.ExtensionType, bool]


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def issued(kind: IdentityKind, name: str, now: float = NOW, lifetime: float | None = None) -> bytes:
    return AUTHORITY.issue(make_request(KEY, kind, name), kind=kind, name=name, now=now, lifetime=lifetime)


def test_labels_are_carried() -> None:
    """The most and longest that a machine has fit; a certificate without them says nothing of them."""
    longest = {f"{'k' * 62}{index:02}": "v" * 63 for index in range(MAX_LABELS)}
    for labels in ({}, {"site": "fra", "role": "web"}, longest):
        pem = AUTHORITY.issue(make_request(KEY, "agent", "web-1"), kind="agent", name="web-1", now=NOW, labels=labels)
        assert len(pem) <= MAX_CERTIFICATE
        assert identity_from_pem(pem, NOW).labels == labels
    assert identity_from_pem(issued("agent", "web-1"), NOW).labels is None


@pytest.mark.parametrize(
    "text", ["role", "role=", "=web", "a=b=c", "a=b  c=d", "a=\xe9", " ", "a=b\n", "x=1 " * 33 + "y=2"]
)
def test_labels_that_do_not_read_are_no_identity(text: str) -> None:
    """Only this hub's CA writes them."""
    with pytest.raises(BadIdentity):
        identity_from_der(forged(labels=(x509.UnrecognizedExtension(LABELS_OID, text.encode("latin-1")), False)), NOW)


def usage(**changes: bool) -> x509.KeyUsage:
    """Digital signature and nothing else, but for the changes."""
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**({"digital_signature": True} | dict.fromkeys((*names, *more), False) | changes))


def uris(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names])


GOOD: dict[str, Extension] = {
    "constraints": (x509.BasicConstraints(ca=False, path_length=None), True),
    "usage": (usage(), True),
    "side": (x509.ExtendedKeyUsage([CLIENT]), False),
    "names": (uris("answerback://agent/web-1"), False),
}


def forged(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None, **changes: Extension | None) -> bytes:
    """A certificate the authority would not issue: `changes` to the extensions of a good one, None leaves one out."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web-1")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(NOW - 60, UTC))
        .not_valid_after(datetime.fromtimestamp(NOW + 60, UTC))
    )
    for extension in (GOOD | changes).values():
        if extension is not None:
            builder = builder.add_extension(extension[0], critical=extension[1])
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(("kind", "name"), [("agent", "web-1"), ("operator", "alice"), ("hub", "hub-3f9a1c")])
def test_an_issued_certificate_names_its_holder(kind: IdentityKind, name: str) -> None:
    """IdentityKind, name, fingerprint and end are read back; the lifetime is the kind's."""
    pem = issued(kind, name)
    identity = identity_from_der(der(pem), NOW, kind)
    fingerprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
    assert identity == Identity(kind, name, fingerprint, NOW + LIFETIME[kind])
    assert identity_from_pem(pem, NOW, kind) == identity
    assert identity.not_before == NOW - BACKDATE_SECONDS
    assert identity.renew_at == (identity.not_before + identity.not_after) / 2
    with pytest.raises(BadIdentity, match="expired"):
        identity_from_der(der(pem), NOW + LIFETIME[kind], kind)
    assert identity_from_der(der(pem), None, kind) == identity


def test_the_form_of_a_leaf() -> None:
    """No CA, signs TLS and nothing else, one side, one URI, a random serial, backdated five minutes for slow clocks."""
    first, second = (x509.load_pem_x509_certificate(issued("agent", "web-1")) for _ in range(2))
    extensions = first.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert extensions.get_extension_for_class(x509.BasicConstraints).critical
    assert extensions.get_extension_for_class(x509.KeyUsage).value == usage()
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [CLIENT]
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("answerback://agent/web-1")]
    assert first.not_valid_before_utc.timestamp() == NOW - 300
    assert first.serial_number != second.serial_number
    hub = x509.load_pem_x509_certificate(issued("hub", "hub-3f9a1c"))
    assert list(hub.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [SERVER]


def test_the_form_of_the_authority() -> None:
    """A CA with path length 0 that may sign certificates only, for ten years; its pin is its DER's digest."""
    root = x509.load_pem_x509_certificate(AUTHORITY.certificate)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.value.path_length, constraints.critical) == (True, 0, True)
    signing = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert signing.value == usage(digital_signature=False, key_cert_sign=True)
    assert signing.critical
    assert root.not_valid_after_utc.timestamp() == NOW + AUTHORITY_LIFETIME
    assert compute_pin(AUTHORITY.certificate) == AUTHORITY.pin == "sha256:" + root.fingerprint(hashes.SHA256()).hex()
    assert AUTHORITY.hub == "hub-3f9a1c"


def test_a_leaf_verifies_against_its_authority_and_no_other() -> None:
    """The chain is by an independent verifier's word; another CA of the same name is another CA."""
    leaf = x509.load_pem_x509_certificate(issued("agent", "web-1"))
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.certificate))
    other = Authority.create("hub-3f9a1c", NOW)
    with pytest.raises(InvalidSignature):
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(other.certificate))


def test_the_authority_survives_its_files() -> None:
    """What is loaded issues as before, under the same pin."""
    again = Authority.load(AUTHORITY.certificate, AUTHORITY.key_pem)
    pem = again.issue(make_request(KEY, "agent", "web-1"), kind="agent", name="web-1", now=NOW)
    assert (again.pin, again.hub) == (AUTHORITY.pin, AUTHORITY.hub)
    leaf = x509.load_pem_x509_certificate(pem)
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.certificate))


def test_an_authority_needs_its_own_key_and_a_ca_certificate() -> None:
    """Another key, a leaf in the CA's place, two certificates, rubbish, a key of another kind."""
    leaf_key = new_key()
    leaf = AUTHORITY.issue(make_request(leaf_key, "hub", "hub-1"), kind="hub", name="hub-1", now=NOW)
    foreign = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for certificate, key, told in (
        (AUTHORITY.certificate, new_key(), "not the certificate's"),
        (leaf, leaf_key, "not of a hub's CA"),
        (AUTHORITY.certificate + leaf, AUTHORITY.key_pem, "exactly one"),
        (b"rubbish", AUTHORITY.key_pem, "exactly one"),
        (AUTHORITY.certificate, b"rubbish", "private key"),
        (AUTHORITY.certificate, foreign, "P-256"),
    ):
        with pytest.raises(BadAuthority, match=told):
            Authority.load(certificate, key)


# ---- what identity_of refuses


def test_the_forger_can_make_a_good_one() -> None:
    """The certificate that the refusals below differ from in one thing each is taken."""
    good = forged()
    assert identity_from_der(good, NOW) == Identity("agent", "web-1", hashlib.sha256(good).hexdigest(), NOW + 60)


@pytest.mark.parametrize(
    ("told", "changes"),
    [
        ("CA certificate", {"constraints": (x509.BasicConstraints(ca=True, path_length=None), True)}),
        ("CA certificate", {"constraints": (x509.BasicConstraints(ca=False, path_length=None), False)}),
        ("expected form", {"constraints": None}),
        ("other uses", {"usage": (usage(key_cert_sign=True), True)}),
        ("other uses", {"usage": (usage(), False)}),
        ("expected form", {"usage": None}),
        ("agent's side", {"side": (x509.ExtendedKeyUsage([SERVER]), False)}),
        ("agent's side", {"side": (x509.ExtendedKeyUsage([CLIENT, SERVER]), False)}),
        ("agent's side", {"side": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)}),
        ("expected form", {"side": None}),
        ("hub's side", {"names": (uris("answerback://hub/hub-1"), False)}),
        ("exactly one URI", {"names": (uris("answerback://agent/web-1", "answerback://agent/web-2"), False)}),
        ("exactly one URI", {"names": (uris("answerback://agent/web-1", "https://example.org"), False)}),
        ("exactly one URI", {"names": (x509.SubjectAlternativeName([x509.DNSName("web-1")]), False)}),
        ("expected form", {"names": None}),
    ],
)
def test_a_leaf_of_another_form_is_refused(told: str, changes: dict[str, Extension | None]) -> None:
    """CA as leaf, wrong or missing uses, wrong side, no URI, two URIs (security-lessons A2)."""
    with pytest.raises(BadIdentity, match=told):
        identity_from_der(forged(**changes), NOW)


@pytest.mark.parametrize(
    "uri",
    [
        "answerback://agent/",
        "answerback://agent/web-1/x",
        "answerback://agent/../hub",
        "answerback://agent/we b",
        "answerback://agent/web-1?x",
        "answerback://agent/web%2d1",
        "answerback://agent/web-1\0",
        "answerback://agent/web-1\n",
        "answerback://agent/" + "a" * 65,
        "answerback://root/web-1",
        "answerback:/agent/web-1",
        "Answerback://agent/web-1",
        "xanswerback://agent/web-1",
        "",
    ],
)
def test_an_odd_name_is_refused(uri: str) -> None:
    """Separators, spaces, escapes, control bytes, too long, unknown kinds: no identity."""
    with pytest.raises(BadIdentity, match="none of ours"):
        identity_from_der(forged(names=(uris(uri), False)), NOW)


def test_an_agent_is_no_operator() -> None:
    """The kind that an entrance asks for must be the certificate's."""
    pem = issued("agent", "alice")
    with pytest.raises(BadIdentity, match="for agent where one for operator"):
        identity_from_der(der(pem), NOW, "operator")


def test_the_times_are_kept() -> None:
    """Before its time and from its last second on a certificate names nobody."""
    certificate = der(issued("agent", "web-1"))
    end = NOW + LIFETIME["agent"]
    assert identity_from_der(certificate, NOW - 300).name == identity_from_der(certificate, end - 1).name == "web-1"
    with pytest.raises(BadIdentity, match="not valid yet"):
        identity_from_der(certificate, NOW - 301)
    with pytest.raises(BadIdentity, match="expired"):
        identity_from_der(certificate, end)


def test_a_weak_or_foreign_key_is_refused() -> None:
    """Only P-256: neither RSA nor another curve."""
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(BadIdentity, match="P-256"):
            identity_from_der(forged(key), NOW)


def test_the_authority_itself_is_no_identity() -> None:
    """The CA's certificate opens no link."""
    with pytest.raises(BadIdentity):
        identity_from_der(der(AUTHORITY.certificate), NOW)


def test_an_oversized_certificate_is_not_parsed() -> None:
    """The bound comes before the parser."""
    for read in (identity_from_der, identity_from_pem):
        with pytest.raises(BadIdentity, match="longer than"):
            read(bytes(8_193), NOW)


@given(st.binary(max_size=200))
def test_rubbish_is_a_bad_identity(data: bytes) -> None:
    """No bytes make the reader raise anything else."""
    for read in (identity_from_der, identity_from_pem):
        with pytest.raises(BadIdentity):
            read(data, NOW)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # the library says so, and the reader refuses it
@example(at=2395, flip=211)
@given(st.integers(0, 8 * 480), st.integers(1, 255))
def test_a_mutated_certificate_never_escapes(at: int, flip: int) -> None:
    """A byte changed anywhere is either still an identity (signatures are TLS's to check) or a BadIdentity."""
    changed = bytearray(der(issued("agent", "web-1")))
    changed[at % len(changed)] ^= flip
    try:
        assert identity_from_der(bytes(changed), NOW).kind in ("agent", "operator", "hub")
    except BadIdentity:
        pass


# ---- what the authority refuses


def test_the_name_is_the_callers() -> None:
    """A request that asks for more, a CA or another name, gets what the caller says and nothing of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(uris(identity_uri("operator", "root")), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    pem = AUTHORITY.issue(greedy, kind="agent", name="web-1", now=NOW)
    assert identity_from_pem(pem, NOW, "agent").name == "web-1"
    leaf = x509.load_pem_x509_certificate(pem)
    assert leaf.subject.rfc4514_string() == "CN=web-1"
    assert leaf.public_key() == key.public_key()


def test_a_request_must_be_signed_by_its_own_key() -> None:
    """A public key that somebody saw somewhere does not get a certificate."""
    request = x509.load_pem_x509_csr(make_request(KEY, "agent", "web-1"))
    raw = bytearray(request.public_bytes(serialization.Encoding.DER))
    raw[-1] ^= 1
    broken = x509.load_der_x509_csr(bytes(raw)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(BadRequest, match="own key"):
        AUTHORITY.issue(broken, kind="agent", name="web-1", now=NOW)


def test_a_request_with_another_kind_of_key_is_refused() -> None:
    """RSA, Ed25519 and other curves get no certificate."""
    keys = (
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
    )
    for key in keys:
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        with pytest.raises(BadRequest, match="P-256"):
            AUTHORITY.issue(request, kind="agent", name="web-1", now=NOW)


@given(st.one_of(st.binary(max_size=300), st.integers(0, 400).map(lambda at: make_request(KEY, "agent", "a")[:at])))
def test_a_rubbish_request_is_a_bad_request(data: bytes) -> None:
    """What comes with a token may be anything."""
    with pytest.raises(BadRequest):
        AUTHORITY.issue(data, kind="agent", name="web-1", now=NOW)


def test_an_oversized_request_is_not_parsed() -> None:
    """The bound comes before the parser."""
    padded = make_request(KEY, "agent", "web-1") + b"\n" * 8_192
    with pytest.raises(BadRequest, match="longer than"):
        AUTHORITY.issue(padded, kind="agent", name="web-1", now=NOW)


@pytest.mark.parametrize(("kind", "name"), [("agent", ""), ("agent", "a/b"), ("agent", "a" * 65), ("root", "web-1")])
def test_no_certificate_for_what_is_no_name(kind: IdentityKind, name: str) -> None:
    """The authority checks its caller too."""
    with pytest.raises(ValueError, match="no identity"):
        AUTHORITY.issue(make_request(KEY, "agent", "x"), kind=kind, name=name, now=NOW)


def test_no_leaf_outlives_its_authority() -> None:
    """The end of a leaf is the CA's at the latest; a CA that has expired issues nothing."""
    late = AUTHORITY.not_after - 60
    assert identity_from_pem(issued("agent", "web-1", now=late), late).not_after == AUTHORITY.not_after
    with pytest.raises(BadAuthority, match="expired"):
        issued("agent", "web-1", now=AUTHORITY.not_after)


def test_the_key_of_a_request_has_a_digest() -> None:
    """The same key asked for twice has one digest, another key another; an unsound request has none."""
    assert request_key(make_request(KEY, "agent", "a")) == request_key(make_request(KEY, "agent", "b"))
    assert request_key(make_request(KEY, "agent", "a")) != request_key(make_request(new_key(), "agent", "a"))
    with pytest.raises(BadRequest):
        request_key(b"rubbish")


def test_a_request_needs_a_key_of_ours() -> None:
    """A key file that was replaced by something else is named, not a traceback."""
    with pytest.raises(BadRequest, match="private key"):
        make_request(b"rubbish", "agent", "web-1")
