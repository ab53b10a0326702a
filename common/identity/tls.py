"""The TLS contexts: 1.3 only, mutual, one pinned private CA. Standard library only.

A hub is trusted by its CA and the URI in its certificate, `answerback://hub/HUBID`; host names and public CAs are not
used. The CA's pin is `sha256:` and the hex SHA-256 of its DER. An unverified connection has one purpose: to fetch the
CA's PEM, whose pin is checked before anything else is sent.

Chain, signature, purpose and possession of the key are OpenSSL's to verify. The time is not, at the hub's side: OpenSSL
would end the handshake of a client whose certificate has run out, and the hub would never learn whose it was. So the
hub's context leaves the time to the application, which checks it for every path (`hub.links.peer`), and a certificate
that has run out opens nothing but the renewal entrance. Nor at the dialling side of a link: a machine whose clock is
behind would take the hub's certificate for one of the future, and be offline for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import ssl
from pathlib import Path
from typing import Final

from common.errors import UserError

URI_SCHEME: Final = "answerback://"
MAX_PEM: Final = 16_384
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for
_UNTIMELY: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_PIN: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_ONE_PEM: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----\s*", re.ASCII
)


class WrongHub(UserError):
    """A certificate of the right CA that is not the expected hub's."""


def identity_uri(kind: str, name: str) -> str:
    """The identity that a certificate carries as its only subject alternative name."""
    return f"{URI_SCHEME}{kind}/{name}"


def server_context(cert: Path, key: Path, ca: Path | bytes) -> ssl.SSLContext:
    """The hub's side; `ca` is the file of the CA, or the PEM of one or more. A client certificate is verified if given
    and not required here, since `/ca` and `/join` are for clients that have none yet; every other path refuses a
    connection without one. Whether it is valid *now* is for the caller to check.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME
    # Links live for hours: a ticket would save nothing, and would carry an identity past its revocation.
    context.num_tickets = 0
    _load_chain(context, cert, key)
    try:
        if isinstance(ca, bytes):
            context.load_verify_locations(cadata=_text(ca))
        else:
            context.load_verify_locations(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        file = "the CA" if isinstance(ca, bytes) else ca
        raise UserError(f"{file}: no CA certificate can be read from it ({_reason(error)})", "restore it") from None
    return context


def client_context(
    ca_pem: str | bytes, cert: Path | None = None, key: Path | None = None, *, check_time: bool = True
) -> ssl.SSLContext:
    """The dialling side: trusts only the CA given, or while the hub's is replaced the two, presents `cert` if given.
    Call `check_hub` after the handshake.

    Without `check_time` the caller looks at the time too, with `has_run_out` (`common.link.dial`).
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if not check_time:
        context.verify_flags |= _NO_CHECK_TIME
    context.check_hostname = False  # the hub's URI is checked instead
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata=_text(ca_pem))
    except (ssl.SSLError, ValueError):
        raise UserError("the CA certificate is not readable", "join or log in again") from None
    if cert is not None and key is not None:
        _load_chain(context, cert, key)
    return context


def unverified_context() -> ssl.SSLContext:
    """For fetching the CA's PEM and nothing else; the caller must check the pin of what comes."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def check_hub(connection: ssl.SSLObject | ssl.SSLSocket, hub_id: str) -> None:
    """Raises WrongHub unless the verified peer certificate names `hub_id` and nothing else."""
    names = (connection.getpeercert() or {}).get("subjectAltName", ())
    if names != (("URI", identity_uri("hub", hub_id)),):
        raise WrongHub(
            f"the machine that answered is not the hub {hub_id}",
            "check the address, or join or log in again if the hub was set up anew",
        )


def has_run_out(connection: ssl.SSLObject | ssl.SSLSocket, now: float) -> bool:
    """Whether the verified peer certificate is over. One that is not valid yet is not asked about: the authority has
    issued it, so it is the clock that is behind, and whoever sees it thus is to get a link and be told.
    """
    until = (connection.getpeercert() or {}).get("notAfter", "")
    try:
        return ssl.cert_time_to_seconds(str(until)) <= now
    except ValueError:
        return True


def compute_pin(ca_pem: str | bytes) -> str:
    """The pin of the one certificate in `ca_pem`; raises ValueError where there is not exactly one and nothing else.

    Strict on purpose: `client_context` would also trust a second certificate in the text, which the pin does not cover.
    """
    text = _text(ca_pem)
    match = _ONE_PEM.fullmatch(text) if len(text) <= MAX_PEM else None
    if match is None:
        raise ValueError("exactly one certificate in PEM was expected")
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True)
    except binascii.Error:
        raise ValueError("exactly one certificate in PEM was expected") from None
    return "sha256:" + hashlib.sha256(der).hexdigest()


def is_pin(text: str) -> bool:
    return _PIN.fullmatch(text) is not None


def pins_equal(one: str, other: str) -> bool:
    """Whether two pins are equal, in constant time; False where either is malformed."""
    return is_pin(one) and is_pin(other) and hmac.compare_digest(one, other)


_EXPLAINED: Final = {
    "certificate is not yet valid": ("a certificate is not valid yet", "check the clock of this machine and the hub's"),
    "certificate has expired": (
        "the hub's certificate has expired",
        "check the clock of this machine; restart the hub, which renews its own",
    ),
    "unable to get local issuer certificate": (
        "the hub's certificate is by another CA",
        "join or log in again with a new token",
    ),
    "self-signed certificate in certificate chain": (
        "the hub's certificate is by another CA",
        "join or log in again with a new token",
    ),
    "unsuitable certificate purpose": ("what answered is not a hub", "check the address"),
    "alert certificate expired": (
        "the hub says that this certificate has expired",
        "check the clock of this machine; if it is right, upgrade the hub, which then renews it",
    ),
    "alert unknown ca": ("the hub does not know this certificate's CA", "join or log in again with a new token"),
    "alert bad certificate": ("the hub does not take this certificate", "join or log in again with a new token"),
    "alert protocol version": (
        "the two ends have no TLS version in common",
        "TLS 1.3 is needed; nothing in between may end it",
    ),
    "wrong version number": ("what answered does not speak TLS", "check the address and the port"),
}


def is_untimely(error: BaseException) -> bool:
    """Whether a handshake failed on the validity of the peer's certificate alone: a clock is off, or it has run out."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _UNTIMELY


def explain_tls_error(error: OSError) -> UserError:
    """A failed handshake as a UserError: what is wrong and what to do; OpenSSL's own text where it is not a known
    one.
    """
    text = f"{getattr(error, 'verify_message', '')} {getattr(error, 'reason', '') or ''} {error}".lower().replace(
        "_", " "
    )
    for sign, (problem, cure) in _EXPLAINED.items():
        if sign in text:
            return UserError(problem, cure)
    if isinstance(error, ConnectionRefusedError):
        return UserError("nothing listens there", "check the address and the port, and that the hub runs")
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        # asyncio, at the hub, hangs up on a certificate it does not take before the alert that says so is sent.
        return UserError(
            "the hub hung up",
            "check this machine's clock; if its certificate has expired, join or log in again with a new token",
        )
    return UserError("no secure connection", _reason(error))


def local_context(certificate: Path) -> ssl.SSLContext:
    """For a program on the hub's own machine that speaks to the webhooks' port: it takes the very certificate that
    hub.toml names there, whatever name stands in it, and no other.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it is dialled at a loopback address, under no name
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=certificate)
    except OSError as error:  # ssl.SSLError is one
        raise UserError(f"{certificate}: no certificate can be read from it ({_reason(error)})", "restore it") from None
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _load_chain(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        # An empty password, since OpenSSL would otherwise stop and ask for one at the terminal.
        context.load_cert_chain(cert, key, password="")
    except OSError as error:
        raise UserError(
            f"{cert} and {key}: no certificate with its key ({_reason(error)})", "restore them, or join or log in again"
        ) from None


def _reason(error: OSError) -> str:
    return (getattr(error, "reason", None) or error.strerror or type(error).__name__).replace("_", " ").lower()


def _text(pem: str | bytes) -> str:
    return pem if isinstance(pem, str) else pem.decode("ascii")
