"""From the values that were seen in one place of a command, the type that lets those through and little more. Pure.

    a few            a choice of exactly these; of paths, `exactly` these
    many numbers     an integer from the least to the greatest, where they lie close
    many paths       beneath their common folder, at a component's end and two folders deep at least
    many units       `unit`, where each has a suffix of systemd's

Anything else is not learned: a place where everything was seen is free text, and free text is for people to allow. Nor
is a secret path, the name of a program that runs what it is told, or a path hidden within a word (`if=/etc/shadow`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from common.policy.real_names import plain_names
from common.policy.runs_anything import NAMES
from common.policy.secrets import is_secret
from common.policy.types import ListType, PathType, UnionType, ValueType

MAX_CHOICES: Final = 8
"""Values that a choice has where more of them may be a kind."""
MAX_EXACT: Final = 32
"""Values that a choice has where nothing but what was seen is to run."""
SPREAD: Final = 10
"""How many numbers a range may have for each that was seen."""
MIN_DEPTH: Final = 2
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,127}", re.ASCII)
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_UNIT: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9:_.@-]{0,240}\.(?:service|socket|timer|mount|target|path|slice)", re.ASCII
)


class NotLearned(ValueError):
    """Why no rule is proposed for a command; `str()` is for people."""


def exact_type(values: Iterable[str], kind: ValueType | None) -> dict[str, Any]:
    """The values that were seen, of a place whose type in a rule is `kind`, and no others."""
    seen = sorted(set(values))
    _check_names(seen)
    if len(seen) > MAX_EXACT:
        raise NotLearned(f"{len(seen)} different values in one place")
    paths = list(_path_types(kind)) if kind is not None else []
    if seen and all(value.startswith("/") for value in seen) and paths:
        return _like(paths[0], {"exactly": seen})
    if any("/" in value for value in seen) and paths:
        raise NotLearned("paths and other words in one place")
    return {"type": "choice", "of": seen}


def general_type(values: Iterable[str]) -> dict[str, Any]:
    """The narrowest type of a place that no rule knows."""
    seen = sorted(set(values))
    _check_names(seen)
    if any("/" in value for value in seen):
        return _of_paths(seen)
    if any(not _WORD.fullmatch(value) and not _INTEGER.fullmatch(value) for value in seen):
        raise NotLearned("a value is no plain word")
    if len(seen) <= MAX_CHOICES:
        return {"type": "choice", "of": seen}
    if all(map(_INTEGER.fullmatch, seen)):
        numbers = sorted(map(int, seen))
        if numbers[-1] - numbers[0] >= SPREAD * len(numbers):
            raise NotLearned(f"{len(seen)} numbers far apart in one place")
        return {"type": "integer", "minimum": numbers[0], "maximum": numbers[-1]}
    if all(map(_UNIT.fullmatch, seen)):
        return {"type": "unit"}
    raise NotLearned(f"{len(seen)} different values in one place")


def _check_names(values: Iterable[str]) -> None:
    for value in values:
        if not value or not value.isprintable() or len(value) > 512:
            raise NotLearned("a value is empty, long or not printable")
        if names := sorted(plain_names(value) & NAMES):
            raise NotLearned(f"a value is the name of what runs anything it is told ({names[0]})")


def _of_paths(seen: list[str]) -> dict[str, Any]:
    for path in seen:
        if not path.startswith("/") or path.startswith("//") or posixpath.normpath(path) != path or path == "/":
            raise NotLearned("a path is relative, within a word, or not in its shortest form")
        if is_secret(path) or any(part.startswith(".") for part in path.split("/")):
            raise NotLearned("a path is hidden, or of where secrets are")
    if len(seen) <= MAX_CHOICES:
        return {"type": "path", "exactly": seen}
    root = posixpath.commonpath([posixpath.dirname(path) for path in seen])
    if root.count("/") < MIN_DEPTH or is_secret(root) or root == "/":
        raise NotLearned(f"{len(seen)} paths whose only common folder is {root}")
    return {"type": "path", "beneath": [root]}


def _path_types(kind: ValueType) -> Iterator[PathType]:
    if isinstance(kind, PathType):
        yield kind
    elif isinstance(kind, UnionType):
        for member in kind.types:
            yield from _path_types(member)
    elif isinstance(kind, ListType):
        yield from _path_types(kind.item_type)


def _like(kind: PathType, more: dict[str, Any]) -> dict[str, Any]:
    """A path type as strict as that one in all but where."""
    found: dict[str, Any] = {"type": "path", **more}
    if kind.endings:
        found["except_endings"] = list(kind.endings)
    for name in ("hidden", "secrets"):
        if getattr(kind, name):
            found[name] = True
    return found
