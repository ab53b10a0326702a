"""Programs that run whatever they are told, in one list: a rule for one of them allows everything. Pure.

The denials of the profile `trust-hub` (`common/defaults/agent-trust-hub.toml`) have these ids and names, which a test
holds them to; the machine asks here which of them may stand behind another's name. Names are lower-case, without a
folder and without a version: `python` is `python3.11` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One denial of the profile. Within a family one program may stand for another; what is alone stands for itself."""

    id: str
    about: str
    families: tuple[frozenset[str], ...]
    alone: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        return self.alone.union(*self.families)


def _kind(kind_id: str, about: str, alone: str, *families: str) -> Kind:
    return Kind(kind_id, about, tuple(frozenset(names.split()) for names in families), frozenset(alone.split()))


KINDS: Final[tuple[Kind, ...]] = (
    _kind(
        "shells",
        "a shell runs whatever it is told",
        "toybox",
        "busybox busybox.static",
        "ash bash bash-static csh dash elvish fish ksh lksh mksh nu posh pwsh rbash rksh rzsh sh static-sh tcsh "
        "xonsh yash zsh zsh-static",
    ),
    _kind(
        "interpreters",
        "an interpreter runs whatever it is told",
        "bc dc mysql psql r sed sqlite",
        "awk gawk mawk nawk original-awk",
        "bpftrace bun deno erl escript expect gdb ghci groovy guile iex irb java jjs jrunscript jshell julia lua "
        "luajit m4 node nodejs octave perl php pry pypy python ruby rscript tclsh wish",
    ),
    _kind(
        "wrappers",
        "it runs another program",
        "cpulimit crontab dbus-run-session fakeroot firejail machinectl perf sg softlimit ssh-agent sudoedit "
        "systemd-inhibit systemd-nspawn torify torsocks unbuffer",
        "at batch capsh chroot chrt doas env flock ionice ltrace nice nohup nsenter parallel pkexec run-parts runuser "
        "script setarch setpriv setsid start-stop-daemon stdbuf strace su sudo systemd-run taskset time timeout "
        "unshare valgrind watch xargs",
    ),
    _kind(
        "screens",
        "it needs a person at a terminal, and there starts other programs",
        "aptitude dialog dtach htop info red screen tmux vipw visudo",
        "ed editor emacs ex joe jstar less lesspipe man mc more most nano nvim pager pg pico rview rvim "
        "sensible-editor sensible-pager vi view vim vim.basic vim.tiny vimdiff",
    ),
    _kind(
        "tunnels",
        "it opens a way into or out of this machine, which is what Answerback is there to make needless",
        "dropbear rlogin rsh scp sftp socat ssh sshd telnet",
        "nc nc.openbsd nc.traditional ncat netcat",
    ),
)

NAMES: Final = frozenset(chain.from_iterable(kind.names for kind in KINDS))
FAMILIES: Final = tuple(
    chain.from_iterable((*kind.families, *(frozenset({name}) for name in sorted(kind.alone))) for kind in KINDS)
)
"""Each set of names that may stand for one another; every name is in exactly one."""
