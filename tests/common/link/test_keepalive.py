"""The kernel's watch over a link, on real sockets."""

from __future__ import annotations

import socket

from common.link.keepalive import EVERY, IDLE, PROBES, UNHEARD, watch_peer


def test_a_peer_that_is_gone_is_noticed_within_45_seconds() -> None:
    assert IDLE + PROBES * EVERY == UNHEARD == 45
    with socket.socket() as sock:
        watch_peer(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for name, value in (("IDLE", IDLE), ("INTVL", EVERY), ("CNT", PROBES)):
            assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}")) == value
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNHEARD * 1000


def test_a_socket_that_knows_nothing_of_it_is_left_alone() -> None:
    one, other = socket.socketpair()
    with one, other:
        watch_peer(one)
