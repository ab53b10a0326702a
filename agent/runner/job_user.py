"""As whom a job runs where the runner is root: a user who may look and change nothing, unless a rule says root.

A runner that is root (the drop-in answerback-runner.root.conf) gives its rights to the jobs of those rules alone that
say `run_as = "root"`. All others run as the user that it was told (`--job-user`), with that user's groups, home and
name. So what is looked at before such a start is looked at with that user's rights (`acting_as`): a folder, a path or a
program that they may not reach is not reached through root's eyes either. Where the runner was told of the user of its
unit and that is gone, those jobs are refused. One that root started by hand, on a machine where nobody made that user,
was told of nobody: all its jobs are root's, and `describe`, status and doctor say so.

Only the file-system rights of this thread change meanwhile (setfsuid(2)), never its user ids: whoever is that user
could send signals to a process that has theirs.
"""

from __future__ import annotations

import ctypes
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from common.errors import UserError

DEFAULT_USER: Final = "answerback-runner"
"""The user that the runner's unit names, and that systemd/README.md makes."""
USER_VARIABLE: Final = "ANSWERBACK_JOB_USER"
NOBODY: Final = "nobody is known"
EVERYTHING: Final = "root, all of them"
"""What `JobUsers.describe` says, and doctor looks for."""
MAKE_HINT: Final = (
    f"useradd --system --shell /usr/sbin/nologin {DEFAULT_USER}, and restart the runner; or name another with"
    " --job-user"
)


@dataclass(frozen=True, slots=True)
class JobUser:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]  # supplementary
    home: str


@dataclass(frozen=True, slots=True)
class JobUsers:
    """As whom jobs run here."""

    own: JobUser  # the runner's: who runs what needs root, if that is root
    others: JobUser | None  # who runs all else; None where nobody is known for that

    @classmethod
    def of(cls, name: str) -> JobUsers:
        """`name` is what the runner was told; "": nothing but perhaps by $ANSWERBACK_JOB_USER. Raises UserError where
        that is nobody here and not the user of the unit, without whom the jobs that need root still run.
        """
        own, name = own_user(), name or os.environ.get(USER_VARIABLE, "")
        if own.uid != 0:
            return cls(own, own)
        found = find_user(name or DEFAULT_USER)
        if found is None and not name:
            return cls(own, own)
        if found is None and name != DEFAULT_USER:
            raise UserError(f"there is no user {name}", MAKE_HINT)
        return cls(own, own if found is not None and not found.uid else found)

    @property
    def differ(self) -> bool:
        return self.others is not None and self.others != self.own

    def describe(self) -> str:
        """One line for people."""
        if self.own.uid != 0:
            return f"{self.own.name}, all of them"
        if self.others is None:
            return f"root where a rule says so; {NOBODY} for all else, which is refused: {MAKE_HINT}"
        if not self.differ:
            return f"{EVERYTHING}: no other user is known for those that need no root: {MAKE_HINT}"
        return f"{self.others.name}; root where a rule of this machine says run_as"


def find_user(name: str) -> JobUser | None:
    """None where this machine has no such user."""
    try:
        found = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
    groups = tuple(os.getgrouplist(found.pw_name, found.pw_gid))
    return JobUser(found.pw_name, found.pw_uid, found.pw_gid, groups, found.pw_dir)


def own_user() -> JobUser:
    """The runner's own."""
    uid = os.geteuid()
    try:
        found = pwd.getpwuid(uid)
        name, home = found.pw_name, found.pw_dir
    except KeyError:
        name, home = str(uid), "/"
    return JobUser(name, uid, os.getegid(), (), home)


_libc: Final = ctypes.CDLL(None, use_errno=True)
_NO_CHANGE: Final = -1


@contextmanager
def acting_as(user: JobUser) -> Iterator[None]:
    """This thread, which is root, opens and looks at files with the rights of `user` meanwhile, and begins no other
    thread, which would keep them; nothing where that is who we are. Its groups are theirs already (`sharing_groups`).
    """
    uid, gid = os.geteuid(), os.getegid()
    if user.uid == uid:
        yield
        return
    try:
        _set(_libc.setfsgid, user.gid)
        _set(_libc.setfsuid, user.uid)
        yield
    finally:
        _set(_libc.setfsuid, uid)
        _set(_libc.setfsgid, gid)


def _set(call: ctypes._NamedFuncPointer, value: int) -> None:
    """setfsuid(2) tells the value of before and no error: asked again with what is none, it tells what holds."""
    call(ctypes.c_uint(value))
    if call(ctypes.c_int(_NO_CHANGE)) & 0xFFFF_FFFF != value:
        raise PermissionError(f"the rights of user {value} cannot be taken on")


@contextmanager
def sharing_groups(users: JobUsers) -> Iterator[None]:
    """This process has the supplementary groups of whose jobs are that need no root: it is root and needs none of its
    own, and looks with theirs for them.
    """
    if users.others is None or not users.differ:
        yield
        return
    before = os.getgroups()
    os.setgroups(users.others.groups)
    try:
        yield
    finally:
        os.setgroups(before)
