"""The private CA: the form of its certificates, issuing them, and reading the identity out of one.

X.509 (RFC 5280), ECDSA over P-256 with SHA-256. The authority's certificate is a CA with path length 0 that may sign
certificates and nothing else, good for ten years. A leaf is no CA, may sign (TLS) and nothing else, serves one side
of TLS (client for agents and operators, server for the hub), and carries its identity as its only subject alternative
name, the URI `answerback://KIND/NAME`. The subject's common name repeats the name for people with other
tools; nothing reads it. A machine's carries the labels that it had when it was issued, in an extension of our own
that is not critical: a hub restored from a backup of before the machine joined has them nowhere else.

Chains and signatures are OpenSSL's to verify in the handshake (`common/identity/tls.py`). `identity_from_der` then
accepts only a leaf of exactly the form above: lenient reading of certificates has been the hole in other systems. It
checks the time too, unless it is asked not to: only the hub's entrance asks that, to know who comes too late.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, cast, get_args

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.identity import tls
from common.identity.credential import RENEWAL_DUE
from common.ids import is_label_value, is_name

IdentityKind = Literal["agent", "operator", "hub"]
IDENTITY_KINDS: Final[tuple[IdentityKind, ...]] = get_args(IdentityKind)
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
LIFETIME: Final[Mapping[IdentityKind, float]] = {"agent": 24 * HOUR, "operator": 7 * DAY, "hub": 90 * DAY}
"""An agent's is short on purpose: each renewal is when a copied key shows (hub/identity/certificates.py), and one that
ran out during an absence costs a round trip to the renewal entrance and nothing else.
"""
AUTHORITY_LIFETIME: Final = 3653 * DAY
CROSS_LIFETIME: Final = 30 * DAY
"""Of a cross-certificate: as long as a rotation is under way it is made anew well before (hub/identity/keys.py)."""
BACKDATE_SECONDS: Final = 300.0  # seconds: for machines whose clock is a little behind
MAX_CERTIFICATE: Final = 8_192  # bytes of DER or PEM; ours are below 1 KiB, with MAX_LABELS long labels below 7 KiB
MAX_LABELS: Final = 32
"""Labels of a machine."""
_MAX_KEY_ID: Final = 32  # bytes; ours have 20
LABELS_OID: Final = x509.ObjectIdentifier("2.25.211087283417254087624963027423962190357")
"""The extension of a machine's labels, of a UUID as ITU-T X.667 has it: `role=web site=fra` in ASCII, sorted."""
_URI: Final = re.compile(re.escape(tls.URI_SCHEME) + r"(agent|operator|hub)/([^/]+)", re.ASCII)
_EXTENDED_KEY_USAGE: Final = {
    "agent": ExtendedKeyUsageOID.CLIENT_AUTH,
    "operator": ExtendedKeyUsageOID.CLIENT_AUTH,
    "hub": ExtendedKeyUsageOID.SERVER_AUTH,
}
# What the parser raises on a certificate or request that is not one; some of these are no ValueError.
_PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class BadIdentity(ValueError):
    """A certificate that is not valid now or not of our form; `str()` says why."""


class BadRequest(ValueError):
    """A signing request that the authority does not accept; `str()` says why."""


class BadAuthority(ValueError):
    """A CA certificate or key that cannot be used; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    kind: IdentityKind
    name: str
    fingerprint: str  # hex SHA-256 of the DER
    not_after: float
    not_before: float = field(default=0.0, compare=False)
    labels: dict[str, str] | None = field(default=None, compare=False)
    """A machine's when the certificate was issued; None where it does not say, as those of older hubs."""
    issuer: str = field(default="", compare=False)  # the key id of the CA that the certificate names, in hex

    @property
    def renew_at(self) -> float:
        return self.not_before + RENEWAL_DUE * (self.not_after - self.not_before)


def identity_from_der(der: bytes, now: float | None, kind: IdentityKind | None = None) -> Identity:
    """The identity in a leaf that the handshake has verified; raises BadIdentity, also where it is not of `kind`.

    With `now` None the caller checks the time.
    """
    if len(der) > MAX_CERTIFICATE:
        raise BadIdentity(f"a certificate longer than {MAX_CERTIFICATE} bytes")
    try:
        identity = _read_leaf(x509.load_der_x509_certificate(der), hashlib.sha256(der).hexdigest(), now)
    except BadIdentity:
        raise
    except _PARSE_ERRORS:
        raise BadIdentity("not a readable certificate of the expected form") from None
    if kind is not None and identity.kind != kind:
        raise BadIdentity(f"a certificate for {identity.kind} where one for {kind} was expected")
    return identity


def identity_from_pem(pem: bytes, now: float, kind: IdentityKind | None = None) -> Identity:
    """The same for a PEM file, such as one's own certificate before it is used."""
    if len(pem) > MAX_CERTIFICATE:
        raise BadIdentity(f"a certificate longer than {MAX_CERTIFICATE} bytes")
    try:
        der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    except _PARSE_ERRORS:
        raise BadIdentity("not a certificate in PEM") from None
    return identity_from_der(der, now, kind)


def _read_leaf(leaf: x509.Certificate, fingerprint: str, now: float | None) -> Identity:
    if leaf.serial_number <= 0:
        raise BadIdentity("a certificate without a positive serial number")  # RFC 5280, 4.1.2.2
    not_before, not_after = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    if now is not None and now < not_before:
        raise BadIdentity("a certificate that is not valid yet")
    if now is not None and now >= not_after:
        raise BadIdentity("a certificate that has expired")
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    if constraints.value.ca or not constraints.critical:
        raise BadIdentity("a CA certificate, or one that does not say it is none")
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    if usage.value != _key_usage(digital_signature=True) or not usage.critical:
        raise BadIdentity("a certificate for other uses")
    names = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier):
        raise BadIdentity("a certificate that does not carry exactly one URI")
    match = _URI.fullmatch(names[0].value)
    if match is None or not is_name(match[2]):
        raise BadIdentity("a certificate whose URI names none of ours")
    kind = cast(IdentityKind, match[1])
    if list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) != [_EXTENDED_KEY_USAGE[kind]]:
        raise BadIdentity(f"a certificate that is not for the {kind}'s side of TLS")
    if not _is_p256(leaf.public_key()):
        raise BadIdentity("a certificate whose key is not on P-256")
    return Identity(kind, match[2], fingerprint, not_after, not_before, _read_labels(leaf), _read_issuer(leaf))


def _read_issuer(leaf: x509.Certificate) -> str:
    found = [one.value for one in leaf.extensions if isinstance(one.value, x509.AuthorityKeyIdentifier)]
    return ((found[0].key_identifier if found else None) or b"")[:_MAX_KEY_ID].hex()


def _read_labels(leaf: x509.Certificate) -> dict[str, str] | None:
    found = [one.value for one in leaf.extensions if one.oid == LABELS_OID]
    if not found:
        return None
    value = found[0].value if isinstance(found[0], x509.UnrecognizedExtension) else b"?"
    words = value.decode("ascii", "replace").split(" ") if value else []
    pairs = [word.partition("=") for word in words]
    if len(words) > MAX_LABELS or not all(is_name(key) and is_label_value(label) for key, _, label in pairs):
        raise BadIdentity("a certificate whose labels do not read")
    return {key: label for key, _, label in pairs}


def new_key() -> bytes:
    """A fresh P-256 private key as unencrypted PKCS#8 PEM; it stays on the machine it was made on."""
    return _private_pem(ec.generate_private_key(ec.SECP256R1()))


def make_request(key_pem: bytes, kind: IdentityKind, name: str) -> bytes:
    """A signing request (PKCS#10, PEM) for the key. The name in it is for people: the authority ignores it.
    Raises BadRequest where the key is not one of `new_key`."""
    key = _private_key(key_pem, BadRequest)
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(name))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(tls.identity_uri(kind, name))]), critical=False
        )
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def request_key(request_pem: bytes) -> str:
    """The hex SHA-256 of a request's public key (SubjectPublicKeyInfo); raises BadRequest where the request is
    malformed or not signed by that key.
    """
    return _key_digest(_requested_key(request_pem))


class Authority:
    """The private CA of one hub: its certificate and key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key
        self.certificate: bytes = certificate.public_bytes(serialization.Encoding.PEM)
        self.pin: str = tls.compute_pin(self.certificate)
        self.hub: str = _common_name(certificate.subject)  # the id of the hub that this CA belongs to
        self.not_after: float = certificate.not_valid_after_utc.timestamp()
        self.not_before: float = certificate.not_valid_before_utc.timestamp()
        self.key_id: str = _key_identifier(certificate).digest.hex()  # as `Identity.issuer` names it

    @classmethod
    def create(cls, hub_id: str, now: float) -> Authority:
        """A new CA for one hub, with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Answerback"),
                x509.NameAttribute(NameOID.COMMON_NAME, hub_id),
            ]
        )
        builder = _builder(subject, subject, key.public_key(), now, now + AUTHORITY_LIFETIME)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return cls(_as_authority(builder, identifier, identifier).sign(key, hashes.SHA256()), key)

    def cross_sign(self, new: Authority, now: float) -> bytes:
        """The certificate (PEM) of another CA of the same hub, signed by this one: for whoever trusts this one, proof
        of the other. It is good for CROSS_LIFETIME seconds; raises BadAuthority where this CA itself has expired.
        """
        if now >= self.not_after:
            raise BadAuthority("the CA's certificate has expired")
        public = cast(ec.EllipticCurvePublicKey, new._certificate.public_key())
        until = min(now + CROSS_LIFETIME, self.not_after, new.not_after)
        builder = _builder(new._certificate.subject, self._certificate.subject, public, now, until)
        built = _as_authority(builder, _key_identifier(new._certificate), _key_identifier(self._certificate))
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def has_issued(self, certificate_pem: bytes) -> bool:
        """Whether the (first) certificate is signed by this CA."""
        try:
            x509.load_pem_x509_certificate(certificate_pem).verify_directly_issued_by(self._certificate)
        except (*_PARSE_ERRORS, InvalidSignature):
            return False
        return True

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> Authority:
        """The authority of the two files' bytes; raises BadAuthority where they are not a CA and its key."""
        key = _private_key(key_pem, BadAuthority)
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            tls.compute_pin(certificate_pem)
            is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            public = certificate.public_key()
            _key_identifier(certificate)
        except _PARSE_ERRORS:
            raise BadAuthority("the certificate is not exactly one CA certificate in PEM") from None
        if not is_ca or not is_name(_common_name(certificate.subject)):
            raise BadAuthority("the certificate is not of a hub's CA")
        if public != key.public_key():
            raise BadAuthority("the key is not the certificate's")
        return cls(certificate, key)

    @property
    def key_pem(self) -> bytes:
        return _private_pem(self._key)

    def issue(
        self,
        request_pem: bytes,
        *,
        kind: IdentityKind,
        name: str,
        now: float,
        lifetime: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> bytes:
        """A leaf (PEM) for the public key in the request, which must be signed by its own key and be on P-256; else
        raises BadRequest.

        Kind, name, labels and lifetime (seconds, by default the kind's) come from the caller, never from the request.
        Raises BadAuthority where the CA itself has expired.
        """
        if kind not in IDENTITY_KINDS or not is_name(name):
            raise ValueError(f"no identity: {kind} {name!r}")
        if now >= self.not_after:
            raise BadAuthority("the CA's certificate has expired")
        public = _requested_key(request_pem)
        until = min(now + (LIFETIME[kind] if lifetime is None else lifetime), self.not_after)
        issuer = _key_identifier(self._certificate)
        builder = (
            _builder(_subject(name), self._certificate.subject, public, now, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_EXTENDED_KEY_USAGE[kind]]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(tls.identity_uri(kind, name))]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        )
        if labels is not None:
            text = " ".join(f"{key}={value}" for key, value in sorted(labels.items()))
            builder = builder.add_extension(
                x509.UnrecognizedExtension(LABELS_OID, text.encode("ascii")), critical=False
            )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def authority_hub(certificate_pem: str | bytes) -> str:
    """The id of the hub that a CA's certificate is of; "" where that cannot be read."""
    try:
        pem = certificate_pem.encode() if isinstance(certificate_pem, str) else certificate_pem
        return _common_name(x509.load_pem_x509_certificate(pem).subject)
    except _PARSE_ERRORS:
        return ""


def check_authority(certificate: x509.Certificate, hub: str, now: float) -> None:
    """Raises BadAuthority unless it is a CA certificate of this hub in our form, valid now; who signed it is for the
    caller to check.
    """
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        right = constraints.ca and constraints.path_length == 0 and usage == _key_usage(key_cert_sign=True)
        ours = _common_name(certificate.subject) == hub and _is_p256(certificate.public_key())
    except _PARSE_ERRORS:
        raise BadAuthority("a certificate that does not read") from None
    if not right:
        raise BadAuthority("a certificate that is no CA's")
    if not ours:
        raise BadAuthority("a CA that is not this hub's")
    if not certificate.not_valid_before_utc.timestamp() <= now < certificate.not_valid_after_utc.timestamp():
        raise BadAuthority("a CA that is not valid now")


def _as_authority(
    builder: x509.CertificateBuilder, own: x509.SubjectKeyIdentifier, issuer: x509.SubjectKeyIdentifier
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
    )


def _key_identifier(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: float, until: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(now - BACKDATE_SECONDS), UTC))
        .not_valid_after(datetime.fromtimestamp(int(until), UTC))
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _common_name(subject: x509.Name) -> str:
    return "".join(str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _requested_key(request_pem: bytes) -> ec.EllipticCurvePublicKey:
    if len(request_pem) > MAX_CERTIFICATE:
        raise BadRequest(f"the signing request is longer than {MAX_CERTIFICATE} bytes")
    try:
        request = x509.load_pem_x509_csr(request_pem)
        public = request.public_key()
        proven = request.is_signature_valid
    except (*_PARSE_ERRORS, InvalidSignature):
        raise BadRequest("not a readable signing request in PEM") from None
    if not proven:
        raise BadRequest("the signing request is not signed by its own key")
    if not _is_p256(public):
        raise BadRequest("the key of the signing request is not on P-256")
    return cast(ec.EllipticCurvePublicKey, public)


def _is_p256(public: object) -> bool:
    return isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)


def _key_digest(public: ec.EllipticCurvePublicKey) -> str:
    info = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()


def _private_key(pem: bytes, error: type[ValueError]) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except _PARSE_ERRORS:
        raise error("not an unencrypted private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not _is_p256(key.public_key()):
        raise error("a private key, but not on P-256")
    return key


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
