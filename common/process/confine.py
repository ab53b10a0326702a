"""What a process gives up for good, while it holds keys or before it works on what strangers made. Linux only;
elsewhere each says that it did nothing.

    forbid_inspection    other processes of the same user can neither read this one's memory nor attach to it, and it
                         leaves no core file: prctl(2), PR_SET_DUMPABLE
    become_nobody        root becomes the user that owns nothing; for everybody else nothing changes
    forbid_system_calls  starting programs, opening files and sockets, looking into or signalling other processes, and
                         the parts of the kernel that a reader of pictures has no use for: seccomp(2)

The filter names what is forbidden and lets the rest through: libraries for numbers start threads and map memory in
their own ways. Numbers of calls are those of the kernel's tables, arch/x86/entry/syscalls and include/uapi/asm-generic.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from typing import Final

NOBODY: Final = 65_534
_SET_DEATH_SIGNAL, _SET_DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38  # prctl(2)
_SET_MODE_FILTER, _ALL_THREADS = 1, 1  # seccomp(2)
_LOAD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # linux/seccomp.h: an error, here EPERM
_X32: Final = 0x40000000  # calls of x86-64's other ABI begin here

# call: its number on x86-64, on AArch64; -1 where there is none
_FORBIDDEN: Final = {
    "open": (2, -1), "openat": (257, 56), "openat2": (437, 437), "creat": (85, -1),
    "open_by_handle_at": (304, 265), "memfd_create": (319, 279),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "accept4": (288, 242),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, -1), "vfork": (58, -1),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51),
}  # fmt: skip
# machine: what seccomp(2) calls its ABI (linux/audit.h), the number of seccomp itself, the column above
_MACHINES: Final = {"x86_64": (0xC000003E, 317, 0), "aarch64": (0xC00000B7, 277, 1)}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def forbid_inspection() -> bool:
    """Whether the kernel took it. Tools that look into this process need root from then on."""
    return sys.platform == "linux" and bool(_libc().prctl(_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def end_with_parent() -> None:
    """This process gets SIGKILL when its parent ends. A change of user takes that back: call it again then."""
    if sys.platform == "linux":
        _libc().prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def forbid_new_privileges() -> None:
    """No program that is started from here on gains rights by its file's mode or capabilities."""
    if sys.platform == "linux":
        _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def become_nobody() -> bool:
    """Whether this process was root and is nobody now, in all its threads; raises OSError where it cannot become so."""
    if os.geteuid() != 0:
        return False
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    return True


def forbid_system_calls() -> bool:
    """Whether the filter is in force, for all threads of this process: what it forbids fails with EPERM."""
    found = _MACHINES.get(platform.machine()) if sys.platform == "linux" else None
    if found is None:
        return False
    abi, number, column = found
    forbid_new_privileges()
    instructions = _filter(abi, [numbers[column] for numbers in _FORBIDDEN.values() if numbers[column] >= 0])
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    return int(_libc().syscall(number, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program))) == 0


def _filter(abi: int, numbers: list[int]) -> list[_Instruction]:
    """Classic BPF over struct seccomp_data: the ABI at byte 4, the call's number at byte 0."""
    refuse_at = len(numbers) + 5  # of the last two instructions the second
    checks = [_Instruction(_LOAD_WORD, 0, 0, 4), _Instruction(_JUMP_EQUAL, 0, refuse_at - 2, abi)]
    checks += [_Instruction(_LOAD_WORD, 0, 0, 0), _Instruction(_JUMP_AT_LEAST, refuse_at - 4, 0, _X32)]
    for at, number in enumerate(numbers, start=len(checks)):
        checks.append(_Instruction(_JUMP_EQUAL, refuse_at - at - 1, 0, number))
    return [*checks, _Instruction(_RETURN, 0, 0, _ALLOW), _Instruction(_RETURN, 0, 0, _REFUSE)]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
