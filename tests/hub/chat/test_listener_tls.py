"""The webhooks' port with TLS of its own: real handshakes, a certificate renewed while it serves, wrong files."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send

from common.errors import UserError
from common.identity.tls import local_context
from hub.chat import http_server
from hub.chat.http_server import HttpLimits
from hub.chat.listener_tls import ListenerTls
from hub.core.http_table import HttpTable
from hub.core.rate_limits import LOOPBACK, Network


def write_pair(folder: Path, name: str) -> HttpTable:
    """A self-signed certificate of `name` with its key, in the files that the table names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    table = HttpTable(certificate_file=folder / "http.pem", key_file=folder / "http.key")
    assert table.certificate_file is not None
    assert table.key_file is not None
    table.certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    table.key_file.touch(mode=0o600)
    table.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return table


def listener(table: HttpTable) -> ListenerTls:
    made = ListenerTls.of(table)
    assert made is not None
    return made


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()[-2:]})


@asynccontextmanager
async def serving(
    tls: ListenerTls, limits: HttpLimits | None = None, proxies: Collection[Network] = LOOPBACK
) -> AsyncIterator[int]:
    """The port of a server with this listener."""
    listening = http_server.bind("127.0.0.1:0")
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        run = http_server.serve(
            application,
            listening,
            started=started,
            stop=stop,
            limits=limits,
            tls=tls.context,
            trusted_proxies=proxies,
        )
        tasks.create_task(run)
        await started.wait()
        yield listening.getsockname()[1]
        stop.set()


async def shown(port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    """The common name that the server shows, and its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    certificate = x509.load_der_x509_certificate(der)
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value), answer


async def test_it_serves_https_and_takes_a_renewed_certificate(tmp_path: Path) -> None:
    """Trust: the port speaks TLS 1.2 or later by itself, and shows a new certificate without a restart; a client that
    pins the old one is refused from then on.
    """
    table = write_pair(tmp_path, "first")
    assert table.certificate_file is not None
    tls = listener(table)
    async with serving(tls) as port:
        before = local_context(table.certificate_file)
        name, answer = await shown(port, before)
        assert name == "first"
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"ps")
        write_pair(tmp_path, "second")
        assert (await shown(port, before))[0] == "first"
        tls.reload()
        assert (await shown(port, local_context(table.certificate_file)))[0] == "second"
        with pytest.raises(ssl.SSLCertVerificationError):
            await shown(port, before)
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_a_handshake_that_does_not_come_is_ended(tmp_path: Path) -> None:
    """Trust (A6, slow): who connects and says nothing is gone after the time for headers, not after a minute."""
    async with serving(listener(write_pair(tmp_path, "hub")), HttpLimits(head_seconds=0.2)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = time.monotonic()
        async with asyncio.timeout(45):
            assert await reader.read() == b""
        assert time.monotonic() - begun < 30
        writer.close()


async def test_a_crowd_that_does_not_begin_is_bounded_by_address(tmp_path: Path) -> None:
    """Trust (A6, slow): what is beyond an address's share is closed at once, without TLS; a trusted proxy has none."""
    table = write_pair(tmp_path, "hub")
    assert table.certificate_file is not None
    limits = HttpLimits(head_seconds=30.0, address=4)
    for proxies, closed in (((), 2), (LOOPBACK, 0)):
        async with serving(listener(table), limits, proxies) as port, asyncio.timeout(45):
            crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
            for reader, _ in crowd[len(crowd) - closed :]:
                assert await reader.read() == b""
            if not closed:
                assert (await shown(port, local_context(table.certificate_file)))[0] == "hub"
            for _, writer in crowd:
                writer.close()


def test_files_that_do_not_fit_are_named_and_change_nothing(tmp_path: Path) -> None:
    """Each error has the file and the cure; what was in force stays, and an open key is refused."""
    table = write_pair(tmp_path, "hub")
    assert table.certificate_file is not None
    assert table.key_file is not None
    assert ListenerTls.of(HttpTable()) is None
    tls = listener(table)
    good, key = table.certificate_file.read_bytes(), table.key_file.read_bytes()
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    other = write_pair(elsewhere, "other")
    assert other.key_file is not None
    wrong = [
        (table.certificate_file, b"rubbish", "no certificate with its key"),
        (table.key_file, other.key_file.read_bytes(), "KEY_VALUES_MISMATCH"),
        (table.key_file, b"", "empty"),
    ]
    for file, data, told in wrong:
        file.write_bytes(data)
        with pytest.raises(UserError, match=told) as caught:
            tls.reload()
        assert str(file) in str(caught.value)
        assert caught.value.cure
        table.certificate_file.write_bytes(good)
        table.key_file.write_bytes(key)
    table.key_file.chmod(0o644)
    with pytest.raises(UserError, match="lets others at a secret"):
        tls.reload()
    table.key_file.unlink()
    with pytest.raises(UserError, match="there is no such file"):
        listener(replace(table))
