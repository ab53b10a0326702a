"""Real handshakes over loopback: who gets through, who does not, and what they are told."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from common.identity.certificates import DAY, Authority, IdentityKind, identity_from_der, make_request, new_key
from common.identity.tls import (
    WrongHub,
    check_hub,
    client_context,
    compute_pin,
    explain_tls_error,
    is_pin,
    is_untimely,
    pins_equal,
    server_context,
    unverified_context,
)

NOW = time.time()
HUB = "hub-3f9a1c"


@dataclass
class Pki:
    """An authority and the files of whoever it certified."""

    authority: Authority
    folder: Path

    def files(
        self, kind: IdentityKind, name: str, now: float = NOW, lifetime: float | None = None
    ) -> tuple[Path, Path]:
        key = new_key()
        request = make_request(key, kind, name)
        certificate = self.authority.issue(request, kind=kind, name=name, now=now, lifetime=lifetime)
        return self.save(f"{kind}-{name}-{now}", certificate, key)

    def save(self, stem: str, certificate: bytes, key: bytes) -> tuple[Path, Path]:
        cert_file, key_file = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        cert_file.write_bytes(certificate)
        key_file.write_bytes(key)
        return cert_file, key_file

    @property
    def ca(self) -> Path:
        file = self.folder / "ca.pem"
        file.write_bytes(self.authority.certificate)
        return file

    def server(self, name: str = HUB, now: float = NOW) -> ssl.SSLContext:
        return server_context(*self.files("hub", name, now), self.ca)

    def client(self, *files: Path) -> ssl.SSLContext:
        return client_context(self.authority.certificate, *files)


@pytest.fixture
def make_pki(tmp_path: Path) -> Callable[[], Pki]:
    def make() -> Pki:
        folder = tmp_path / os.urandom(4).hex()
        folder.mkdir()
        return Pki(Authority.create(HUB, NOW - DAY), folder)

    return make


@pytest.fixture
def pki(make_pki: Callable[[], Pki]) -> Pki:
    return make_pki()


@dataclass
class Met:
    """What both ends saw: the TLS version, whom the server saw, and what went wrong at either."""

    version: str = ""
    seen: bytes | None = None
    client_error: OSError | None = None
    server_error: OSError | None = None


def meet(server: ssl.SSLContext, client: ssl.SSLContext, hub: str = "") -> Met:
    """One connection: the server answers one line, since in TLS 1.3 a client learns only then whether it was taken."""
    met = Met()

    def serve(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        plain.settimeout(10)
        try:
            with server.wrap_socket(plain, server_side=True) as connection:
                met.seen = connection.getpeercert(binary_form=True)
                connection.sendall(b"hello\n")
        except OSError as error:
            met.server_error = error
            plain.close()

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain) as connection,
            ):
                if hub:
                    check_hub(connection, hub)
                if connection.recv(100) == b"hello\n":
                    met.version = connection.version() or ""
        except OSError as error:
            met.client_error = error
        served.result(10)
    return met


def test_hub_and_agent_meet(pki: Pki) -> None:
    """Both certificates are of the hub's CA: TLS 1.3, and the hub sees who came."""
    met = meet(pki.server(), pki.client(*pki.files("agent", "web-1")), HUB)
    assert met.version == "TLSv1.3"
    assert met.seen is not None
    assert identity_from_der(met.seen, NOW, "agent").name == "web-1"


def test_someone_without_a_certificate_gets_as_far_as_the_handshake(pki: Pki) -> None:
    """`/ca` and `/join` are for those who have none yet; the hub sees that there is none."""
    met = meet(pki.server(), pki.client(), HUB)
    assert (met.version, met.seen) == ("TLSv1.3", None)


def test_another_ca_is_refused_by_the_client(make_pki: Callable[[], Pki]) -> None:
    """A hub under another CA, even of the same name, is not talked to, and the cure is told."""
    met = meet(make_pki().server(), make_pki().client())
    assert met.version == ""
    assert met.client_error is not None
    assert "another CA" in str(explain_tls_error(met.client_error))


def test_another_ca_is_refused_by_the_hub(make_pki: Callable[[], Pki]) -> None:
    """A client's certificate of another CA does not get in as if there were none."""
    pki, other = make_pki(), make_pki()
    met = meet(pki.server(), pki.client(*other.files("agent", "web-1")))
    assert met.version == ""
    assert met.seen is None
    assert met.client_error is not None
    assert "does not know this certificate's CA" in str(explain_tls_error(met.client_error))


@pytest.mark.parametrize("away", [-3600, 3600])
def test_the_hubs_side_leaves_the_time_to_the_application(pki: Pki, away: float) -> None:
    """A certificate that has run out, or is from the future, passes the handshake, so that its holder is known; for
    hub.links, whose tests show what it opens: nothing."""
    met = meet(pki.server(), pki.client(*pki.files("agent", "web-1", now=NOW + away, lifetime=1800)))
    assert met.client_error is None
    assert met.seen is not None
    assert identity_from_der(met.seen, None).name == "web-1"


def test_clocks_can_be_compared_with_a_hub_that_is_out_of_time(pki: Pki) -> None:
    """Without the check of the time the handshake is done, with it the reason is known as one of time; another CA is
    refused either way."""
    expired = server_context(*pki.files("hub", HUB, now=NOW - 3600, lifetime=1800), pki.ca)
    met = meet(expired, pki.client())
    assert met.client_error is not None
    assert is_untimely(met.client_error)
    untimed = client_context(pki.ca.read_bytes(), check_time=False)
    assert meet(expired, untimed).client_error is None
    foreign = client_context(Authority.create(HUB, NOW).certificate, check_time=False)
    refused = meet(expired, foreign).client_error
    assert refused is not None
    assert not is_untimely(refused)


def test_an_expired_hub_is_refused(pki: Pki) -> None:
    """A hub that slept through its renewal is not trusted."""
    expired = server_context(*pki.files("hub", HUB, now=NOW - 3600, lifetime=1800), pki.ca)
    met = meet(expired, pki.client())
    assert met.client_error is not None
    assert "hub's certificate has expired" in str(explain_tls_error(met.client_error))


def test_a_clock_that_is_behind_is_named(pki: Pki) -> None:
    """A certificate from the future, as one whose clock is behind sees it, points to the clock."""
    met = meet(pki.server(now=NOW + 3600), pki.client())
    assert met.client_error is not None
    assert "not valid yet" in str(explain_tls_error(met.client_error))
    assert "clock" in str(explain_tls_error(met.client_error))


def test_an_agents_certificate_is_no_hubs(pki: Pki) -> None:
    """A machine with a good certificate of its own cannot play the hub."""
    fake = server_context(*pki.files("agent", "web-1"), pki.ca)
    met = meet(fake, pki.client())
    assert met.version == ""
    assert met.client_error is not None
    assert "not a hub" in str(explain_tls_error(met.client_error))


def test_the_hubs_certificate_is_no_clients(pki: Pki) -> None:
    """The other way round: what is for the server's side does not open a link."""
    met = meet(pki.server(), pki.client(*pki.files("hub", HUB)))
    assert met.version == ""
    assert met.server_error is not None


def test_a_certificate_cannot_be_used_as_a_ca(pki: Pki) -> None:
    """An agent that signs a certificate for another name with its own key gets nowhere with it (CVE-2025-49825)."""
    cert_file, key_file = pki.files("agent", "web-1")
    signer = x509.load_pem_x509_certificate(cert_file.read_bytes())
    signer_key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    victim = x509.load_pem_x509_certificate(pki.files("operator", "alice")[0].read_bytes())
    own = new_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(victim.subject)
        .issuer_name(signer.subject)
        .public_key(serialization.load_pem_private_key(own, None).public_key())  # type: ignore[arg-type]
        .serial_number(7)
        .not_valid_before(datetime.fromtimestamp(NOW - 60, UTC))
        .not_valid_after(datetime.fromtimestamp(NOW + 600, UTC))
    )
    for extension in victim.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    forged = builder.sign(signer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]
    chain = pki.save("forged", forged + cert_file.read_bytes(), own)
    met = meet(pki.server(), pki.client(*chain))
    assert met.version == ""
    assert met.seen is None
    assert met.server_error is not None


def test_tls_1_2_is_refused(pki: Pki) -> None:
    """Neither end goes below 1.3: an old client and an old server are both turned away."""
    old_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old_client.check_hostname, old_client.verify_mode = False, ssl.CERT_NONE
    old_client.maximum_version = ssl.TLSVersion.TLSv1_2
    met = meet(pki.server(), old_client)
    assert met.version == ""
    assert met.client_error is not None
    assert "TLS version" in str(explain_tls_error(met.client_error))
    old_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old_server.load_cert_chain(*pki.files("hub", HUB))
    old_server.maximum_version = ssl.TLSVersion.TLSv1_2
    assert meet(old_server, pki.client()).version == ""


def test_another_hub_of_the_same_ca_is_told_apart(pki: Pki) -> None:
    """The chain is right and the URI is another hub's: WrongHub."""
    with pytest.raises(WrongHub, match="not the hub hub-3f9a1c"):
        meet(pki.server("hub-other"), pki.client(), HUB)


def test_nothing_is_believed_of_an_unverified_peer(make_pki: Callable[[], Pki]) -> None:
    """The context for fetching the CA connects to anyone, and check_hub takes nobody from it."""
    assert meet(make_pki().server(), unverified_context()).version == "TLSv1.3"
    with pytest.raises(WrongHub):
        meet(make_pki().server(), unverified_context(), HUB)


def test_no_session_tickets(pki: Pki) -> None:
    """A session cannot be resumed past a revocation: the hub gives no ticket to do it with."""
    server, client = pki.server(), pki.client(*pki.files("agent", "web-1"))
    assert (server.num_tickets, server.verify_mode) == (0, ssl.CERT_OPTIONAL)
    meet(server, client)
    assert client.session_stats()["hits"] == 0
    assert server.session_stats()["number"] == 0


def test_a_renewed_certificate_is_taken_up(pki: Pki) -> None:
    """The live context serves the new certificate to those who come after, without a restart."""
    server = pki.server("hub-before")
    server.load_cert_chain(*pki.files("hub", HUB))
    assert meet(server, pki.client(), HUB).version == "TLSv1.3"


def test_missing_and_mismatched_files_are_named(pki: Pki) -> None:
    """No certificate, another one's key, no CA: the file and the cure, no traceback."""
    cert, key = pki.files("hub", HUB)
    _, other_key = pki.files("agent", "web-1")
    for files in (
        (pki.folder / "none.pem", key, pki.ca),
        (cert, other_key, pki.ca),
        (cert, key, pki.folder / "none.pem"),
    ):
        with pytest.raises(UserError) as caught:
            server_context(*files)
        assert str(pki.folder) in caught.value.problem
        assert caught.value.cure
    with pytest.raises(UserError, match="log in again"):
        client_context("rubbish")


def test_a_locked_key_does_not_ask_at_the_terminal(pki: Pki) -> None:
    """A key behind a passphrase is an error at once, at a terminal too: a service that waits for typing hangs."""
    cert, key = pki.files("hub", HUB)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    code = (
        "import fcntl, pathlib, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "from common.errors import UserError; from common.identity.tls import server_context\n"
        "try: server_context(*map(pathlib.Path, sys.argv[1:]))\n"
        "except UserError as error: sys.exit(str(error))"
    )
    ours, terminal = os.openpty()
    try:
        command = [sys.executable, "-c", code, str(cert), str(key), str(pki.ca)]
        done = subprocess.run(
            command, stdin=terminal, capture_output=True, text=True, start_new_session=True, timeout=30
        )
    finally:
        os.close(ours)
        os.close(terminal)
    assert "no certificate with its key" in done.stderr


def test_the_pin_is_of_one_certificate_and_nothing_else(make_pki: Callable[[], Pki]) -> None:
    """A second certificate, or any text around, that would be trusted along with the pinned one is refused."""
    one, two = make_pki().authority, make_pki().authority
    pin = compute_pin(one.certificate)
    assert (
        pin == one.pin == compute_pin(one.certificate.decode()) == compute_pin(one.certificate.replace(b"\n", b"\r\n"))
    )
    assert is_pin(pin)
    for text in (
        one.certificate + two.certificate,
        two.certificate + one.certificate,
        b"x" + one.certificate,
        one.certificate + b"x",
        one.certificate[:-30],
        one.certificate.replace(b"BEGIN CERTIFICATE", b"BEGIN TRUSTED CERTIFICATE"),
        one.certificate.replace(b"MII", b"M-I", 1),
        one.certificate.replace(b"MII", b"MII==", 1),
        one.certificate + b"\n" * 20_000,
        b"",
    ):
        with pytest.raises(ValueError, match="exactly one certificate"):
            compute_pin(text)


@given(st.text(max_size=200))
def test_rubbish_has_no_pin(text: str) -> None:
    """Whatever answered at /ca: a pin or a ValueError."""
    with pytest.raises(ValueError):
        compute_pin(text)
    assert not pins_equal(text, text)


def test_pins_are_compared_whole() -> None:
    """Equal is equal in every digit; what is no pin equals nothing, not even itself."""
    pin = "sha256:" + "0a" * 32
    assert pins_equal(pin, pin)
    assert not pins_equal(pin, pin[:-1] + "b")
    assert not pins_equal(pin[:-2], pin[:-2])
    assert not pins_equal("sha256:" + "０" * 64, "sha256:" + "０" * 64)


def test_an_unknown_failure_keeps_its_words() -> None:
    """What is not in the table is passed on, not hidden."""
    assert "no route to host" in str(explain_tls_error(OSError(113, "No route to host")))


def test_a_hub_that_hangs_up_points_to_the_certificate() -> None:
    """asyncio closes on a bad client certificate without sending the alert: the cure is told all the same."""
    assert "certificate" in str(explain_tls_error(ConnectionResetError()))
    assert "nothing listens" in str(explain_tls_error(ConnectionRefusedError(111, "Connection refused")))


def test_the_uplink_needs_no_cryptography() -> None:
    """Contexts and pins load without the library."""
    code = "import sys, common.identity.tls; print(any(name.startswith('cryptography') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
