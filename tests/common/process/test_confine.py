"""Confinement, in processes of its own: what another process of the same user sees, and which calls fail."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINUX = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="Linux on x86-64 or AArch64"
)
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")

CHILD = """
import ctypes, errno, os, sys
sys.path.insert(0, {root!r})
from common.process.confine import become_nobody, forbid_inspection, forbid_system_calls
libc = ctypes.CDLL(None, use_errno=True)
secret = ctypes.create_string_buffer(b"canary-canary")
{body}
"""

TRIED = """
import socket, threading
assert forbid_system_calls()
def refused(call):
    try:
        call()
    except PermissionError:
        return True
    return False
def in_thread(done=[]):
    worker = threading.Thread(target=lambda: done.append(refused(lambda: open("/etc/hostname"))))
    worker.start(); worker.join()
    return done == [True]
calls = {
    "file": lambda: open("/etc/hostname"), "socket": socket.socket, "program": lambda: os.execv("/bin/true", ["true"]),
    "signal": lambda: os.kill(os.getppid(), 0), "pidfd": lambda: os.pidfd_open(os.getppid()), "memory": os.memfd_create,
}
print({name: refused(lambda call=call: call() if name != "memory" else call("x")) for name, call in calls.items()})
buffer = ctypes.create_string_buffer(8)
class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))
near, far = Vector(ctypes.addressof(buffer), 8), Vector(ctypes.addressof(buffer), 8)
read = libc.process_vm_readv(os.getppid(), ctypes.byref(near), 1, ctypes.byref(far), 1, 0)
print(read, ctypes.get_errno() == errno.EPERM, libc.ptrace(16, os.getppid(), 0, 0), in_thread(), sum(range(10)))
"""


def run(body: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", CHILD.format(root=str(ROOT), body=body)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@LINUX
def test_what_is_forbidden_fails_and_the_rest_goes_on() -> None:
    """Trust (A6, bombs): a reader of strangers' pictures opens nothing, starts nothing, looks into nobody and signals
    nobody, in no thread; it still computes, starts threads and writes to its pipe.
    """
    tried, rest = run(TRIED).splitlines()
    assert tried == str(dict.fromkeys(("file", "socket", "program", "signal", "pidfd", "memory"), True))
    assert rest == "-1 True -1 True 45"


@LINUX
@AS_ROOT
def test_root_becomes_nobody_for_good() -> None:
    """All three ids of user and group, no other groups, and no way back."""
    told = run("""
print(become_nobody(), os.getresuid(), os.getresgid(), os.getgroups())
try:
    os.setuid(0)
except PermissionError:
    print("for good")
print(become_nobody())
""")
    assert told.splitlines() == [f"True {(65534,) * 3} {(65534,) * 3} []", "for good", "False"]


@LINUX
@AS_ROOT
def test_the_memory_of_a_process_is_closed_to_others_of_its_user() -> None:
    """Trust: another process of the same user reads a plain process's memory, and not one that forbade it."""
    body = """
become_nobody()
libc.prctl(4, 1, 0, 0, 0)
if {closed}:
    assert forbid_inspection()
print(ctypes.addressof(secret), flush=True)
sys.stdin.read()
"""

    reader = """
become_nobody()
class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))
buffer = ctypes.create_string_buffer(13)
near, far = Vector(ctypes.addressof(buffer), 13), Vector({address}, 13)
print(libc.process_vm_readv({pid}, ctypes.byref(near), 1, ctypes.byref(far), 1, 0), buffer.value.decode())
"""
    for closed, seen in ((False, "13 canary-canary"), (True, "-1 ")):
        code = CHILD.format(root=str(ROOT), body=body.format(closed=closed))
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
            assert held.stdout is not None
            address = int(held.stdout.readline())
            told = run(reader.format(address=address, pid=held.pid))
            assert held.stdin is not None
            held.stdin.close()
        yama = Path("/proc/sys/kernel/yama/ptrace_scope")
        if closed or not yama.exists() or yama.read_text().strip() == "0":
            assert told.rstrip("\n") == seen, closed
