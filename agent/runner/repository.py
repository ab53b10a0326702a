"""Whether git may be started in a folder: only within a repository whose files are trusted, and that names no programs.

A repository's own files are code to git: its configuration names filters, monitors and differs, links in it lead git to
print other files, and outside of any repository `git diff` compares whatever files it is given. What can be turned off
is turned off by the options and variables that the policy inserts; the rest is looked at here, before the start.

Asked for by the variable of `REPOSITORY` in the order, which a program with `repository = true` in a policy sets.
Trusted is what belongs to root or to the runner's user and cannot be written by others: nobody else can change it
between this look and git's own.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from agent.runner.programs import CannotRun
from common.policy.rules import REPOSITORY

MAX_CONFIG: Final = 1 << 20  # bytes of a repository's configuration
MAX_ENTRIES: Final = 10_000  # files looked at in one repository
_MAX_LINK: Final = 4_096  # bytes of a file that only says where the repository is
_TREE_KEYS: Final = frozenset({"core.worktree"})
_LOOKED_INTO: Final = ("", "info", "objects", "objects/info", "rebase-merge", "rebase-apply", "sequencer")
"""Folders of a repository whose files git reads by themselves and tells of when they are not as they should be."""

_HEADER: Final = re.compile(r'\s*\[([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_KEY: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=(.*))?$")
_PLAIN_PATH: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9._][A-Za-z0-9._/@+-]*", re.ASCII)
_FILE_KEYS: Final = frozenset(
    {"core.attributesfile", "core.excludesfile", "mailmap.file", "diff.orderfile", "blame.ignorerevsfile"}
)
"""Files that git reads, and quotes where they are not as they should be: plain files of the checkout, or none."""


def verify_repository(argv: Sequence[str], env: Collection[tuple[str, str]], cwd: str, uid: int) -> None:
    """Raises CannotRun with the reason where the order asks for a verified repository and there is none."""
    if REPOSITORY not in env:
        return
    start = folder_of(argv, cwd)
    try:
        if os.path.realpath(start, strict=True) != start:
            raise CannotRun(f"{start} lies behind a symbolic link; name the folder itself")
        _Repository(start, uid).verify()
    except (OSError, ValueError) as error:
        raise CannotRun(f"{start}: {getattr(error, 'strerror', None) or error}".lower()) from None


def folder_of(argv: Sequence[str], cwd: str) -> str:
    """Where git is told to go: the last `-C`, else the job's directory. Pure."""
    folder, words = cwd, list(argv[1:])
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-c", "-C") and words:
            value = words.pop(0)
            folder = value if word == "-C" else folder
        elif word not in ("--no-pager", "-P"):
            raise CannotRun(f"git with {word} could read from elsewhere than from the folder it is started in")
    if not folder.startswith("/"):
        raise CannotRun("git needs a checkout: name one with -C /PATH")
    return os.path.normpath(folder)


def config_problem(text: str) -> str:
    """What a repository's configuration has that keeps git from being started: the key, "" for nothing. Pure.

    Whatever is not understood is a problem; what continues a line is read as if it were a line of its own.
    """
    section, goes_on = "", False
    for line in text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"):
        rest, begun = line, False
        while header := _HEADER.match(rest):
            section = header[1].lower() + (f".{header[2]}" if header[2] is not None else "")
            rest, begun = rest[header.end() :], True
        bare = rest.strip()
        if bare and not bare.startswith(("#", ";")):
            key = _KEY.match(rest)
            if key is None and not goes_on:
                return f"line {line.strip()[:60]!r}"
            if key is not None and _is_refused(section, key[1].lower(), (key[2] or "").strip()):
                return f"{section}.{key[1]}"
        goes_on = rest.endswith("\\") and not (begun and not bare)
    return ""


def _is_refused(section: str, key: str, value: str) -> bool:
    kind = section.partition(".")[0]
    if kind in ("include", "includeif") or (kind == "filter" and key != "required"):
        return True
    if (kind, key) in (("extensions", "partialclone"), ("remote", "promisor"), ("remote", "partialclonefilter")):
        return True
    return f"{section}.{key}" in _FILE_KEYS and _PLAIN_PATH.fullmatch(value) is None


class _Repository:
    """The repository around one folder, file by file; every method raises CannotRun with what is wrong."""

    def __init__(self, start: str, uid: int) -> None:
        self.start = start
        self.uid = uid
        self.groups = {0, os.getegid()}
        self.left = MAX_ENTRIES
        self.top = start  # of the checkout

    def verify(self) -> None:
        self.trust_way(self.start)
        for folder in _upward(self.start):
            if _is_there(f"{folder}/.git"):
                return self.verify_checkout(folder)
            if all(_is_there(f"{folder}/{name}") for name in ("HEAD", "objects", "refs")):
                raise CannotRun(f"{folder} is a repository without a checkout: git is not started in those")
        raise CannotRun(f"{self.start} lies in no git checkout")

    def verify_checkout(self, top: str) -> None:
        self.top, entry = top, f"{top}/.git"
        mode = self.trust(entry).st_mode
        folder = entry if stat.S_ISDIR(mode) else self.linked(entry, top, "gitdir: ")
        self.verify_folder(folder, top)
        if _is_there(f"{folder}/commondir"):
            common = self.linked(f"{folder}/commondir", folder)
            if common != folder:
                self.verify_folder(common, "")

    def linked(self, file: str, folder: str, prefix: str = "") -> str:
        """The folder that a file of one line names."""
        line = self.read(file, _MAX_LINK).removesuffix("\n")
        if not line.startswith(prefix) or "\n" in line:
            raise CannotRun(f"{file} does not say where its repository is")
        target = os.path.normpath(os.path.join(folder, line.removeprefix(prefix)))
        if os.path.realpath(target, strict=True) != target:
            raise CannotRun(f"{file} leads through a symbolic link")
        self.trust_way(target)
        return target

    def verify_folder(self, folder: str, top: str) -> None:
        """`top` is the folder of the checkout; "" for what several checkouts share."""
        for part in _LOOKED_INTO:
            self.trust_entries(f"{folder}/{part}" if part else folder)
        if _is_there(f"{folder}/objects/info/alternates"):
            raise CannotRun(f"{folder} takes objects from another repository (objects/info/alternates)")
        for name in ("config", "config.worktree"):
            if not _is_there(f"{folder}/{name}"):
                continue
            text = self.read(f"{folder}/{name}", MAX_CONFIG)
            if problem := config_problem(text):
                raise CannotRun(f"{folder}/{name} has {problem}, with which git would run programs or read other files")
            for key, value in _values(text, _FILE_KEYS):
                file = f"{self.top}/{value}"
                if _is_there(file) and os.path.realpath(file) != os.path.normpath(file):
                    raise CannotRun(f"{folder}/{name} has {key}, and {file} is a link")
            for _, tree in _values(text, _TREE_KEYS):
                if not top or os.path.realpath(os.path.join(folder, tree)) != top:
                    raise CannotRun(f"{folder}/{name} names another work tree (core.worktree)")

    def trust_entries(self, folder: str) -> None:
        if not _is_there(folder):
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                self.left -= 1
                if self.left < 0:
                    raise CannotRun(f"{folder} has too many files to look at")
                self.trust(entry.path)

    def trust_way(self, folder: str) -> None:
        for each in _upward(folder):
            found = os.lstat(each)
            if found.st_mode & stat.S_ISVTX and found.st_uid == 0:
                continue  # nobody can replace in it what belongs to another
            self.trust(each)

    def trust(self, path: str) -> os.stat_result:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode) or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise CannotRun(f"{path} is a link or no plain file; git is not started with such a repository")
        if found.st_uid not in (0, self.uid):
            raise CannotRun(f"{path} belongs to user {found.st_uid}, who is neither root nor the runner's")
        if found.st_mode & (0o002 if found.st_gid in self.groups else 0o022):
            raise CannotRun(f"{path} can be written by others than its owner")
        return found

    def read(self, path: str, most: int) -> str:
        self.trust(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise CannotRun(f"{path} is larger than {most} bytes")
        return data.decode("utf-8", "surrogateescape")


def _values(text: str, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """What a configuration gives to these keys, in a form that `config_problem` has accepted. Pure."""
    section = ""
    for line in text.removeprefix("\ufeff").split("\n"):
        rest = line
        while header := _HEADER.match(rest):
            section = header[1].lower()
            rest = rest[header.end() :]
        key = _KEY.match(rest)
        if key is not None and f"{section}.{key[1].lower()}" in keys:
            yield f"{section}.{key[1]}", (key[2] or "").strip().strip('"')


def _upward(folder: str) -> Iterator[str]:
    while True:
        yield folder
        if folder == "/":
            return
        folder = os.path.dirname(folder)


def _is_there(path: str) -> bool:
    return os.path.lexists(path)
