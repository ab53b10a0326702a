"""The keys of [audit]: what is wrong with each is told by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.core.audit_table import AuditTable, audit_problems, witness_target

KEY = Path("k")
GOOD: list[dict[str, Any]] = [
    {},
    {"syslog": "/dev/log"},
    {"syslog": "logs.example.org:514"},
    {"chat": "ops:C024BE91L"},
    {"webhook": "https://witness.example.org/x"},
    {"webhook": "http://127.0.0.1:9000/"},
    {"s3": "https://s3.example.org/bucket/pre/fix", "s3_key_file": KEY},
]
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"syslog": "logs.example.org"}, "syslog", "neither"),
    ({"chat": "ops"}, "chat", "INLET:CONVERSATION"),
    ({"chat": "slack:C1"}, "chat", "inlets here: ops"),
    ({"webhook": "http://witness.example.org/"}, "webhook", "without TLS"),
    ({"webhook": "https://169.254.169.254/latest"}, "webhook", "not an address that is called"),
    ({"webhook": "ftp://x"}, "webhook", "not a URL"),
    ({"webhook": "https://user@x.org/"}, "webhook", "user name"),
    ({"s3": "https://s3.example.org", "s3_key_file": KEY}, "s3", "no bucket"),
    ({"s3": "https://s3.example.org/b?x=1", "s3_key_file": KEY}, "s3", "no bucket"),
    ({"s3": "https://s3.example.org/bucket"}, "s3_key_file", "missing"),
]


@pytest.mark.parametrize("values", GOOD)
def test_what_fits(values: dict[str, Any]) -> None:
    assert list(audit_problems(AuditTable(**values), ["ops"])) == []


@pytest.mark.parametrize(("values", "key", "text"), BAD)
def test_what_does_not_fit_is_named(values: dict[str, Any], key: str, text: str) -> None:
    """No address of a metadata service, nothing without TLS but on this machine (SSRF)."""
    (found,) = audit_problems(AuditTable(**values), ["ops"])
    assert found[0] == key
    assert text in found[1]


def test_a_witness_is_called_as_it_was_checked() -> None:
    target = witness_target("https://EXAMPLE.org:443/a?b")
    assert not isinstance(target, str)
    assert target.url == "https://example.org/a?b"
