"""May the file that a program's name leads to be the one that was judged? Pure: names in, the reason out.

A rule judges `/usr/bin/editor`; what runs is the file behind the link, `/usr/bin/vim.basic`. A name that differs from
the judged one is taken where nothing speaks against it:

    the same place       /bin and /usr/bin, /sbin and /usr/sbin are one on most systems
    said by the policy   `real_names` of the program's table or of the whole file has the name, or the absolute program
    otherwise            not one that a denial has of what was not asked for, as a program, or as a name with version or
                         flavour behind it (`python3.11`, `vim.basic`, `bash-static`)
    and in any case      not a program that runs what it is told, unless that is what was asked for: a shell behind
                         `sh`, an awk behind `awk`; and no binary that is many programs (busybox, coreutils): a rule
                         knows the options of the program that the name promises, not those of its stand-in

So links of `update-alternatives`, of versions and of names that are one program's (`reboot` to systemctl, `lsmod` to
kmod) go on working, and a link that was turned to a shell does not.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from common.policy.machine_checks import MachineChecks
from common.policy.runs_anything import FAMILIES

_MERGED: Final = (("/bin/", "/usr/bin/"), ("/sbin/", "/usr/sbin/"))
_FLAVOUR: Final = re.compile(
    r"(.+?)[.-](?:athena|basic|debianutils|extras|full|gtk[0-9]?|huge|nox|openbsd|procps|static|suid|tiny|traditional)",
    re.ASCII,
)
_BEFORE_VERSION: Final = re.compile(r"([a-z_]+(?:-[a-z_]+)*?)[-._]?[0-9][0-9a-z.+_~-]*", re.ASCII)

_MULTI_CALL: Final = frozenset({"busybox", "coreutils", "sbase-box", "toybox", "ubase-box", "uutils"})


def plain_names(program: str) -> frozenset[str]:
    """The names that a file's name may stand for: itself, and without version and flavour; in lower case."""
    base = posixpath.basename(program).lower()
    found = {base, base.rstrip("0123456789.-")}
    if match := _FLAVOUR.fullmatch(base):
        found |= plain_names(match[1])
    if match := _BEFORE_VERSION.fullmatch(base):
        found.add(match[1])
    return frozenset(found - {""})


def same_place(one: str, other: str) -> bool:
    """Whether two absolute programs are one and the same on a system whose /bin is a link to /usr/bin."""
    return _merged(one) == _merged(other)


def real_name_objection(asked: str, real: str, policies: Sequence[tuple[str, MachineChecks]]) -> str:
    """Why the file `real` must not run where `asked` was judged; "" where it may. Both are absolute; of each policy
    its name for people.
    """
    if same_place(asked, real):
        return ""
    names, base = plain_names(real), posixpath.basename(real)
    cure = f'where that is meant, real_names = ["{base[:64]}"] in the policy says so'
    permitted = False
    for policy, checks in policies:
        if real in checks.real_names or base in checks.real_names:
            permitted = True
        elif hit := sorted((names & checks.denied.names) - _let_through(plain_names(asked), checks)):
            return f"which {policy} denies ({hit[0][:64]}); {cure}"
        elif not checks.denied.programs.isdisjoint(_both_places(real)):
            return f"which {policy} denies; {cure}"
    return "" if permitted else _kind_objection(plain_names(asked), names, cure)


def _let_through(asked: frozenset[str], checks: MachineChecks) -> frozenset[str]:
    """Names that a denial has and that were asked for all the same, by a rule that runs a script of the hub: so what
    may stand for them is meant too, as dash for sh.
    """
    known = asked & checks.denied.names
    return known.union(*(family for family in FAMILIES if family & known))


def _kind_objection(asked: frozenset[str], names: frozenset[str], cure: str) -> str:
    if names & _MULTI_CALL and not asked & _MULTI_CALL:
        return f"one file that is many programs, whose options are others than the rule knows; {cure}"
    for family in FAMILIES:
        if names & family and not asked & family:
            return f"which runs whatever it is told; {cure}"
    return ""


def _both_places(path: str) -> frozenset[str]:
    """The path in /usr and out of it, where it is in a folder that is one and the same on most systems."""
    usr = _merged(path)
    return frozenset({usr, *(short + usr.removeprefix(long) for short, long in _MERGED if usr.startswith(long))})


def _merged(path: str) -> str:
    for short, long in _MERGED:
        if path.startswith(short):
            return long + path.removeprefix(short)
    return path
