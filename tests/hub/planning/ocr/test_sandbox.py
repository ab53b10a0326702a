"""The process that decodes strangers' files has little to lose."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hub.planning.ocr.reader import is_installed
from hub.planning.ocr.worker import running_worker, worker_argv
from tests.hub.planning.ocr import bombs
from tests.hub.planning.ocr.scripted import SETTINGS, gone

ROOT = Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bounds of Linux processes")


def ran(program: str) -> subprocess.CompletedProcess[str]:
    text = "from hub.planning.ocr import sandbox\n" + program
    return subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)


def test_once_closed_in_nothing_can_be_opened() -> None:
    """No file, no socket, no pipe, no program, no look at the hub and no signal to it; standard output still works.

    Trust (A6, bombs): a library that a picture has taken over is nobody's process, and cannot get at the hub's keys.
    """
    ended = ran(
        "import ctypes, os, socket, subprocess\n"
        "libc, hub = ctypes.CDLL(None, use_errno=True), os.getppid()\n"
        "sandbox.forbid_all_else()\n"
        "def refused(act):\n"
        "    try:\n"
        "        act()\n"
        "    except OSError as error:\n"
        "        return error.errno in (1, 24)\n"
        "    return False\n"
        "print(refused(lambda: open('/etc/hostname')), refused(socket.socket),\n"
        "      refused(os.pipe), refused(lambda: subprocess.run(['true'])), refused(lambda: os.kill(hub, 0)),\n"
        "      libc.ptrace(16, hub, 0, 0) == -1, libc.process_vm_readv(hub, 0, 0, 0, 0, 0) == -1, os.geteuid() != 0)\n"
    )
    assert ended.stdout.split() == ["True"] * 8, ended.stderr


def test_confined_it_writes_no_file_and_takes_no_more_memory_than_it_may(tmp_path: Path) -> None:
    """A file stays empty, an allocation fails as MemoryError, and no privilege can be gained."""
    ended = ran(
        "sandbox.restrict_process(256 * 1024 * 1024)\n"
        f"file = open({str(tmp_path / 'file')!r}, 'wb', buffering=0)\n"
        "try:\n"
        "    file.write(b'x')\n"
        "except OSError:\n"
        "    print('no file')\n"
        "try:\n"
        "    bytearray(512 * 1024 * 1024)\n"
        "except MemoryError:\n"
        "    print('no memory')\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('NoNewPrivs')).split()[1])\n"
    )
    assert ended.stdout.split("\n") == ["no file", "no memory", "1", ""], ended.stderr
    assert (tmp_path / "file").read_bytes() == b""


def test_processor_time_runs_out_without_the_hub() -> None:
    """The kernel ends what counts for ever."""
    ended = ran("sandbox.allow_cpu_time(-1.0, 1)\nwhile True: pass\n")
    assert ended.returncode == -signal.SIGXCPU


@pytest.mark.skipif(not is_installed(), reason="the extra `ocr` is not installed")
async def test_the_real_child_is_confined_and_ends_with_its_hub() -> None:
    """It holds four pipes' ends and nothing else, is the leader of its group, and ends when its pipe does."""
    async with running_worker(SETTINGS) as child:
        assert await child.recognise(bombs.png(64, 64)) == "nothing_found"
        assert await child.recognise(bombs.png(64, 64, body=bombs.zeros(9_999))) == "bomb"
        status = Path(f"/proc/{child.pid}")
        limits = {line[:25].strip(): line[25:].split()[0] for line in (status / "limits").read_text().splitlines()}
        assert limits["Max open files"] == limits["Max file size"] == limits["Max core file size"] == "0"
        assert int(limits["Max data size"]) == SETTINGS.memory
        assert len(list((status / "fd").iterdir())) == 4
        assert os.getpgid(child.pid) == os.getsid(child.pid) == child.pid != os.getpgid(0)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        child._target.close()
        await gone(child.pid)
        async with asyncio.timeout(45):
            assert await child._process.wait() == 0


_AS_A_SERVICE = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE, as MemoryDenyWriteExecute; kernels before 6.3 have none
# @resources of systemd.syscall-filter on x86-64: nice is setpriority there.
denied = [141, 142, 144, 160, 203, 237, 238, 251, 256, 279, 314, 450]
program = struct.pack("HBBI", 0x20, 0, 0, 0)  # the call's number
for number in denied:
    program += struct.pack("HBBIHBBI", 0x15, 0, 1, number, 0x06, 0, 0, 0x00050000 | 1)  # equal: EPERM
program += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)  # else: allowed
memory = ctypes.create_string_buffer(program)
filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(memory))
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, filters, 0, 0):
    sys.exit("no filter")
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(not is_installed(), reason="the extra `ocr` is not installed")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls on x86-64")
async def test_it_comes_up_under_the_hub_s_unit() -> None:
    """Which forbids changes of priority and memory that is written and run; its own bounds hold all the same."""
    async with running_worker(SETTINGS, [sys.executable, "-c", _AS_A_SERVICE, *worker_argv(SETTINGS)]) as child:
        assert await child.recognise(bombs.png(64, 64)) == "nothing_found"
        limits = Path(f"/proc/{child.pid}/limits").read_text()
        assert re.search(rf"Max data size +{SETTINGS.memory} ", limits)
        assert re.search(r"Max open files +0 +0 ", limits)
        status = Path(f"/proc/{child.pid}/status").read_text()
        assert re.search(r"Seccomp:\s2", status)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.skipif(not is_installed(), reason="the extra `ocr` is not installed")
async def test_time_that_runs_out_gives_what_was_read() -> None:
    """Here nothing, and that it was the time."""
    from tests.hub.planning.ocr.drawn import DARK, png, terminal

    async with running_worker(replace(SETTINGS, seconds=0.001)) as child:
        child._seconds = 60.0
        assert await child.recognise(png(terminal(["a line"], DARK))) == "slow"
