"""Whether the paths of a command really lie where its rule wants them: decided here, not by looking at the text.

The policy has judged `/var/log/x` as it is written. Here its links are followed by hand (`walk`), and where it really
leads is judged by the same type once more: beneath the roots, none of the exceptions, endings and hidden parts. A path
that leads out is refused, with where it leads. What is not there is judged as far as it is.

A root may be reached through a link itself (`/srv/data` to `/mnt/disk`, `/var/run` to `/run`): then beneath it means
beneath what it leads to, if nobody but root or the runner's user can turn that link. Exceptions count in both forms.

    by_descriptor    the program gets /proc/self/fd/N, the file that was judged, whatever its name leads to by then
    without          it gets the name, and opens that itself a moment later. In that moment a folder that somebody else
                     can write may get a link; so give `by_descriptor` to programs that show no names (cat), and keep
                     roots that others write out of rules that matter.

Hard links have no other end, so they are not seen: who may make them is the kernel's to say (fs.protected_hardlinks).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from agent.runner.programs import MAX_SHOWN_PATH, CannotRun, error_text
from agent.runner.walk import Judge, open_exactly, walk
from common.policy.machine_checks import MachineChecks, PathCheck
from common.policy.types import InvalidValue, PathType, is_beneath

_PROC: Final = "/proc"


class PathRefused(CannotRun):
    """A path that leads where its rule does not reach; `str()` names it and where it leads."""


@dataclass(frozen=True, slots=True)
class CheckedPaths:
    """The argument vector to start with, and the descriptors that it names. The caller closes them."""

    argv: tuple[str, ...]
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


def check_paths(
    argv: tuple[str, ...], policies: Iterable[tuple[str, MachineChecks]], uid: int, slow: Container[str] = ()
) -> CheckedPaths:
    """Judges the paths that the policies' rules name, each where it really leads; raises PathRefused, or SlowPlace
    before it looks at one of `slow`.
    """
    real: dict[str, str] = {}
    by_descriptor: set[str] = set()
    judge = _PathJudge(uid, slow)
    for _, check in policies:
        for path in check.paths:
            real[path.path] = judge.real_path(path)
        if check.by_descriptor == "always" or (check.by_descriptor and len({one.path for one in check.paths}) == 1):
            by_descriptor.update(one.path for one in check.paths)
    return _with_descriptors(argv, {path: real[path] for path in by_descriptor})


class _PathJudge:
    def __init__(self, uid: int, slow: Container[str]) -> None:
        self._uid = uid
        self._slow = slow

    def real_path(self, check: PathCheck) -> str:
        """Where the path really leads, if it may."""
        try:
            place = walk(check.path, missing=True, slow=self._slow)
        except (OSError, ValueError) as error:
            raise PathRefused(f"{_show(check.path)}: {error_text(error)}") from None
        if place.descriptor >= 0:
            os.close(place.descriptor)
        why = ""
        for kind in check.types:
            why = self._objection(kind, check.path, place.path)
            if not why:
                return place.path
        raise PathRefused(why)

    def _objection(self, kind: PathType, path: str, real: str) -> str:
        """Why the path must not be used as one of this type, "" where it may."""
        for excluded in kind.excluding:
            if real != excluded and is_beneath(real, self._end_of(excluded)):
                return f"{_show(path)} leads to {_show(real)}, which the rule excepts as {_show(excluded)}"
        if real == path:
            return ""  # as it was judged by its text
        why = ""
        for written in self._as_the_rule_writes(kind, path, real):
            try:
                if kind.normalize(written, "") == written:
                    return ""
            except InvalidValue as misfit:
                why = why or str(misfit.sentence)
        return f"{_show(path)} leads to {_show(real)} on this machine: {why}"

    def _as_the_rule_writes(self, kind: PathType, path: str, real: str) -> Iterable[str]:
        """The real path, and the same from each root on that a link leads to it; a path that the rule names is its
        own.
        """
        yield real
        for root in kind.beneath:
            end = self._end_of(root, self._only_ours)
            if end != root and is_beneath(real, end):
                yield root + real.removeprefix(end)
        if path in kind.exactly and self._end_of(path, self._only_ours) == real:
            yield path

    def _end_of(self, path: str, judge: Judge | None = None) -> str:
        """Where a path of the rule really leads, as far as it is there; itself where the judge refuses the way."""
        try:
            place = walk(path, judge, missing=True, slow=self._slow)
        except (OSError, ValueError):
            return path
        if place.descriptor >= 0:
            os.close(place.descriptor)
        return place.path

    def _only_ours(self, where: str, status: os.stat_result) -> None:
        """Refuses a way on which somebody else could turn a link."""
        shared = status.st_mode & (0o002 if status.st_gid == 0 else 0o022) and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in (0, self._uid) or (shared and not stat.S_ISLNK(status.st_mode)):
            raise PermissionError(where)


def _with_descriptors(argv: tuple[str, ...], real: dict[str, str]) -> CheckedPaths:
    """The vector with a descriptor for each word that is one of the paths. What is not there keeps its name, so that
    the program says so; what is in /proc, too: there a descriptor would be of our own process.
    """
    found: dict[str, int] = {}
    try:
        for path, place in real.items():
            if path in argv[1:] and not is_beneath(place, _PROC):
                descriptor = _open_judged(path, place)
                if descriptor >= 0:
                    found[path] = descriptor
    except BaseException:
        for descriptor in found.values():
            os.close(descriptor)
        raise
    words = (f"/proc/self/fd/{found[word]}" if word in found else word for word in argv[1:])
    return CheckedPaths((argv[0], *words), tuple(found.values()))


def _open_judged(path: str, real: str) -> int:
    """A descriptor of the judged place, in whose path there is no link any more; -1 where it cannot be had."""
    if not os.path.exists("/proc/self/fd"):
        return -1
    try:
        return open_exactly(real)
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return -1
    except OSError as error:
        raise PathRefused(f"{_show(path)} was changed while it was looked at: {error_text(error)}") from None


def _show(path: str) -> str:
    return path[:MAX_SHOWN_PATH]
