"""What an invocation may do beside reading what it was asked for, program by program; all else is a finding. Pure.

Each exception is a program's own way of reading: a second program that comes with it, the file of its own database that
it opens, the server that it is there to ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from tests.canaries.machine import Tried

SECOND_PROGRAMS = {
    "sar": r"/usr/lib(?:64|exec)?/(?:sysstat|sa)/sadc",  # reads the kernel's figures
    "git": r"/usr/(?:lib|libexec)/git-core/git|/usr/bin/git",  # itself: `stash list` is `log` of the stash
    "dpkg": r"/usr/bin/dpkg-query",  # reads the database; dpkg becomes it
    "apt": r"/usr/bin/dpkg",  # tells the architectures
    "apt-cache": r"/usr/bin/dpkg",
    "apt-get": r"/usr/bin/dpkg",
}
WRITES = {
    "rpm": r"\w+ /(?:var/lib|usr/lib/sysimage)/rpm/rpmdb\.sqlite(?:-shm|-wal)?",  # opens its database as if to write
}
_RESOLVER = r"127\.0\.0\.1:53"
_ANY_SERVER = r"[0-9a-f.:]+:53"
CONNECTIONS = {
    "hostname": _RESOLVER,  # the machine's name in DNS
    "getent": _RESOLVER,
    "ss": _RESOLVER,  # a host's name in a filter
    "ping": r"[0-9a-f.:]+:\d+",  # the host that is named
    "dig": _ANY_SERVER,
    "host": _ANY_SERVER,
    "nslookup": _ANY_SERVER,
    "chronyc": r"(?:127\.0\.0\.1|::1):323|unix /(?:var/)?run/chrony/chronyd\.sock",
    "docker": r"unix /(?:var/)?run/docker\.sock",
}
_EVERYWHERE = (
    r"unix /(?:var/)?run/(?:nscd/socket|systemd/.*|dbus/.*|sssd/.*|udev/.*)|unix /var/lib/sss/.*|[0-9a-f.:]+:0"
)
"""Who the users and services of this machine are; and an address that is compared without a packet being sent."""


@dataclass(frozen=True)
class Finding:
    kind: str  # leak | program | write | connection | hang
    what: str
    tried: Tried

    def __str__(self) -> str:
        return f"{self.kind}: {self.tried}: {self.what[:200]}"


def findings(tried: Tried) -> Iterator[Finding]:
    """Everything that this invocation must not have done."""
    program = PurePath(tried.made.verdict.argv[0]).name
    if tried.leak:
        yield Finding("leak", tried.leak, tried)
    if tried.hung:
        yield Finding("hang", tried.head, tried)
    for kind, acts, known in (
        ("program", tried.acts.programs, SECOND_PROGRAMS.get(program)),
        ("write", tried.acts.writes, WRITES.get(program)),
    ):
        yield from (Finding(kind, act, tried) for act in acts if not _is_known(act, known))
    for connection in tried.acts.connections:
        if not _is_known(connection, CONNECTIONS.get(program)) and not _is_known(connection, _EVERYWHERE):
            yield Finding("connection", connection, tried)


def all_findings(tried: Iterable[Tried]) -> list[Finding]:
    return [finding for each in tried for finding in findings(each)]


def _is_known(act: str, pattern: str | None) -> bool:
    return pattern is not None and re.fullmatch(pattern, act) is not None
