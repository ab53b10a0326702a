"""hub.core.http_table: where chats post to, as it is printed."""

from __future__ import annotations

from pathlib import Path

from common.values import Address
from hub.core.http_table import HttpTable, exposure, is_public_url


def test_the_url_of_an_inlet() -> None:
    """With the address that chats reach, or with a word that says what to put there."""
    assert HttpTable(public_url="https://hub.example.org/").webhook_url("ops") == "https://hub.example.org/webhook/ops"
    assert HttpTable().webhook_url("ops") == "https://PROXY/webhook/ops"


def test_what_chats_could_be_told() -> None:
    """A scheme, a host, maybe a port and a path; nothing that a person could be led astray with."""
    for good in ("https://hub.example.org", "http://10.0.0.5:8080", "https://h.example/answerback/"):
        assert is_public_url(good), good
    for bad in (
        "hub.example.org",
        "ftp://h",
        "https://",
        "https://u@h",
        "https://h?x=1",
        "https://h/ x",
        "https://h\n",
    ):
        assert not is_public_url(bad), bad


def test_a_listener_without_protection_is_named_with_its_cure() -> None:
    """Trust (A6, forged): beyond this machine it speaks TLS, or somebody has said aloud that a proxy does."""
    pem = Path("x.pem")
    fine = [
        HttpTable(),
        *(HttpTable(listen=Address(host, 80)) for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost")),
        HttpTable(listen=Address("0.0.0.0", 80), behind_proxy=True),  # noqa: S104  not listened on
        HttpTable(listen=Address("10.0.0.1", 443), certificate_file=pem, key_file=pem),
    ]
    assert [exposure(table) for table in fine] == [""] * len(fine)
    for host in ("0.0.0.0", "::", "10.0.0.1", "hub.example.org", "localhost.example.org"):  # noqa: S104
        told = exposure(HttpTable(listen=Address(host, 8080)))
        assert "without TLS" in told, host
        assert "behind_proxy = true" in told, host
    assert exposure(HttpTable(certificate_file=pem)).startswith("key_file is not set")
    assert exposure(HttpTable(key_file=pem, behind_proxy=True)).startswith("certificate_file is not set")
