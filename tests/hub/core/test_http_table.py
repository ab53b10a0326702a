"""hub.core.http_table: where chats post to, as it is printed."""

from __future__ import annotations

from hub.core.http_table import HttpTable, is_public_url


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
