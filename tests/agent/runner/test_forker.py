"""agent.runner.forker: programs of another user, for a runner that is root."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from agent.runner.forker import Forker
from agent.runner.job_user import find_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts programs of others")


def forked(folder: Path, path: str, *argv: bytes, kept: tuple[int, ...] = ()) -> tuple[int, bytes]:
    """The exit code and what was printed."""
    user = find_user("nobody")
    assert user is not None
    forker = Forker(user, str(folder), {"HOME": "/x"})
    null = os.open(os.devnull, os.O_RDWR)
    out, end = os.pipe()
    try:
        pid = forker.fork(path, argv, forker.environment, (null, end, null, *kept))
        os.close(end)
        data = os.read(out, 65536)
        _, status = os.waitpid(pid, 0)  # which `subprocess` has left to us
        return os.waitstatus_to_exitcode(status), data
    finally:
        forker.close()
        for descriptor in (null, out):
            os.close(descriptor)


LIBC_SIGNALS = 1 << 31 | 1 << 32
"""32 and 33, the C library's own (nptl(7)): no program can set them, and make(1) hands them on ignored."""


def test_it_is_theirs_and_gains_nothing(tmp_path: Path) -> None:
    """Trust: their ids, no rights, none to be gained, no signal ignored, a session of its own; and it is ours to
    reap. The folder of names is reached by descriptor.
    """
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        code, data = forked(tmp_path, "/bin/cat", b"cat", b"/proc/self/status")
    finally:
        signal.signal(signal.SIGUSR1, before)
    found = dict(line.split(":\t", 1) for line in data.decode().splitlines())
    assert code == 0
    assert found["Uid"].split() == ["65534"] * 4
    assert found["NoNewPrivs"] == "1"
    assert [int(found[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "SigBlk")] == [0] * 5
    assert int(found["SigIgn"], 16) & ~LIBC_SIGNALS == 0
    assert tmp_path.stat().st_mode & 0o777 == 0o711


def test_what_is_kept_and_what_cannot_start(tmp_path: Path) -> None:
    """Descriptors by their numbers and no others; an error of the exec is told, and leaves no child."""
    kept = os.open("/etc/hostname", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open("/etc/hostname", os.O_RDONLY | os.O_CLOEXEC)
    try:
        code, data = forked(tmp_path, "/bin/ls", b"ls", b"/proc/self/fd", kept=(kept,))
        assert code == 0
        numbers = {int(word) for word in data.split()}
        assert kept in numbers
        assert other not in numbers
        assert not os.get_inheritable(kept)
    finally:
        os.close(kept)
        os.close(other)
    before = {child.pid for child in psutil.Process().children()}  # of other tests
    with pytest.raises(FileNotFoundError):
        forked(tmp_path, "/nothing/there", b"x")
    assert {child.pid for child in psutil.Process().children()} <= before
