"""What a gated port says of a failed opening, and what it may take; with real peers in tests/hub/links/test_listener.py
and test_http_server.py.
"""

from __future__ import annotations

import resource
import ssl

import pytest

from hub.chat.gated_port import limits_here, tls_problem


def test_what_waits_takes_no_more_than_a_quarter_of_the_files() -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, most))
        assert limits_here().total == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ssl.SSLError(1, "bad certificate"), "tls"),
        (ssl.SSLEOFError(8, "gone"), ""),
        (ConnectionResetError(), ""),
        (ConnectionAbortedError("SSL handshake is taking longer than 10 seconds"), "slow"),
        (TimeoutError(), "slow"),
    ],
)
def test_who_only_went_away_has_done_nothing_wrong(error: OSError, code: str) -> None:
    assert tls_problem(error) == code
