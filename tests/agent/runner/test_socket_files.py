"""agent.runner.socket_files"""

from __future__ import annotations

import os
import socket as sockets
import stat
from pathlib import Path

import pytest

from agent.runner.socket_files import SocketFiles, listen, listen_again
from agent.state import life_file, protocol_file, refusing_file, version_file
from common.errors import UserError
from common.link.lineage import begin
from common.link.messages import PROTOCOL
from common.version import VERSION


def reached(path: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as client:
        try:
            client.connect(os.fspath(path))
        except OSError:
            return False
    return True


def test_owner_and_group_may_connect_and_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """We hold the lock, so nobody serves the one that is there."""
    path = tmp_path / "r.sock"
    first = listen(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    second = listen(path)
    first.close()
    assert reached(path)
    second.close()


def test_a_socket_is_gone_on_with_and_whoever_waits_there_is_served(tmp_path: Path) -> None:
    """It was connected to while nobody accepted."""
    path = tmp_path / "r.sock"
    before = listen(path)
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as client:
        client.connect(os.fspath(path))
        listener = listen_again(path, before.detach())
        accepted, _ = listener.accept()
        accepted.close()
        listener.close()


def test_what_is_no_such_socket_is_replaced(tmp_path: Path) -> None:
    """Another address, a file, or one whose name is gone: this runner listens anew."""
    path = tmp_path / "r.sock"
    other = listen(tmp_path / "other.sock")
    for descriptor in (other.detach(), os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)):
        listener = listen_again(path, descriptor)
        assert reached(path)
        listener.close()
    gone = listen(path)
    path.unlink()
    listener = listen_again(path, gone.detach())
    assert reached(path)
    listener.close()


def test_a_place_that_cannot_be_listened_on_is_named(tmp_path: Path) -> None:
    """With the cure."""
    (tmp_path / "r.sock").write_text("")
    with pytest.raises(UserError, match=r"cannot listen on .*r\.sock"):
        listen(tmp_path / "r.sock")


def test_what_stands_beside_it(tmp_path: Path) -> None:
    """Version, protocol and life while it serves; why orders are refused while they are; nothing afterwards."""
    files = SocketFiles(tmp_path / "r.sock")
    refusing = refusing_file(files.socket)
    refusing.write_text("of a runner before")
    lineage = begin("9f0c2a7be1d35566", b"salt")
    files.begin(lineage)
    assert version_file(files.socket).read_text() == VERSION
    assert protocol_file(files.socket).read_text() == str(PROTOCOL)
    assert life_file(files.socket).read_text() == f"{VERSION} {lineage}"
    assert not refusing.exists()
    files.tell_refusing("policy.toml is broken")
    assert refusing.read_text() == "policy.toml is broken"
    files.tell_refusing("")
    assert not refusing.exists()
    files.begin(None)
    assert not life_file(files.socket).exists()
    files.remove()
    assert list(tmp_path.iterdir()) == []
