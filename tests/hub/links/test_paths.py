"""What is answered before a connection becomes a link; over real sockets in test_server.py."""

from __future__ import annotations

from hub.links.paths import AUTHORITY, PATHS, WITHOUT_CERTIFICATE


def test_the_paths_are_a_closed_set() -> None:
    assert sorted(PATHS) == ["/agent", "/console", "/copied", "/join", "/renew"]
    assert AUTHORITY not in PATHS
    assert WITHOUT_CERTIFICATE in PATHS
