"""What a program did, from strace's record: programs, writes, connections. Pure.

1234  execve("/usr/bin/ls", ["ls"], 0x7ff /* 5 vars */) = 0
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_FILE_CALLS: Final = (
    *("unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "link", "linkat",
      "symlink"),
    *("symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "truncate", "ftruncate"),
    *("utime", "utimes", "utimensat", "futimesat", "mknod", "mknodat", "setxattr", "lsetxattr", "fsetxattr", "creat"),
    *("mount", "umount2", "sethostname", "settimeofday", "clock_settime", "kill", "tkill", "tgkill", "ptrace",
      "reboot"),
)  # fmt: skip
_OPEN_CALLS: Final = ("open", "openat", "openat2")
_NET_CALLS: Final = ("connect", "sendto", "sendmsg", "sendmmsg")
TRACED: Final = ",".join(f"?{name}" for name in ("execve", "execveat", *_OPEN_CALLS, *_NET_CALLS, *_FILE_CALLS))
"""For `strace -e trace=`; a call that this processor does not have is passed over."""

_CALL: Final = re.compile(r"^(?P<pid>\d+) +(?P<name>[a-z0-9_]+)\((?P<rest>.*)$")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PORT: Final = re.compile(r"sin6?_port=htons\((\d+)\)")
_PLACE: Final = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
_UNIX: Final = re.compile(r'sun_path=@?"([^"]*)"')
_HARMLESS: Final = re.compile(
    r"/dev/(?:null|tty|full|zero|urandom|random)|/proc/(?:self|thread-self|\d+)/(?:task/\d+/)?(?:comm|attr/.*|fd/\d+)"
)
_NOTHING_THERE: Final = re.compile(r"= -1 (?:ENOENT|ENOTDIR)\b")


@dataclass(frozen=True)
class Acts:
    """What was done, beside reading; each as text that can be read."""

    programs: tuple[str, ...] = ()  # paths, the first one left out: that is the program itself
    writes: tuple[str, ...] = ()  # "openat /tmp/x"
    connections: tuple[str, ...] = ()  # "127.0.0.1:53", "unix /run/nscd/socket"


def read_trace(text: str) -> Acts:
    programs: list[str] = []
    writes: list[str] = []
    connections: list[str] = []
    own: set[str] = set()  # the program and its threads, which may signal one another
    for line in text.splitlines():
        call = _CALL.match(line)
        if call is None or _NOTHING_THERE.search(line):
            continue
        name, rest = call["name"], call["rest"]
        own.add(call["pid"])
        if name in ("kill", "tgkill", "tkill") and rest.partition(",")[0] in own:
            continue
        quoted = _QUOTED.search(rest)
        path = quoted[1] if quoted else ""
        if name in ("execve", "execveat"):
            programs.append(path)
        elif name in _OPEN_CALLS:
            if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", rest) and not _HARMLESS.fullmatch(path):
                writes.append(f"{name} {path}")
        elif name in _NET_CALLS:
            connections += _connections(rest)
        elif name in _FILE_CALLS:
            writes.append(f"{name} {rest[:120]}")
    return Acts(tuple(programs[1:]), tuple(dict.fromkeys(writes)), tuple(dict.fromkeys(connections)))


def _connections(rest: str) -> list[str]:
    found = [f"unix {path}" for path in _UNIX.findall(rest)]
    ports, places = _PORT.findall(rest), _PLACE.findall(rest)
    found += [f"{v4 or v6}:{port}" for port, (v4, v6) in zip(ports, places, strict=False)]
    return found
