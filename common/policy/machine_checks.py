"""What a policy cannot know by itself and asks the machine to look at, right before the start. Pure.

A verdict is about words. Which file a program's name leads to, what a path's links lead to and what a file holds is
only known where the program starts, so the verdict's `checks` travel in the signed order (`Order.checks`, JSON), and
the machine applies them beside those of its own policy. They only narrow: they are no part of the plan's hash, and are
those of the policy in force when the order is handed out.

    {"denied": {"names": […], "programs": […]},   what the file behind a link may not be called or be
     "real_names": […],                           what it may be called all the same
     "sha256": […],                               the digests that it may have
     "types": [{"beneath": […], …}], "paths": [["/var/log/x", [0]], …],
     "by_descriptor": "always" | "single"}

Each part is left out where it says nothing. A type has the fields of `PathType` that differ from their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any, Final, Literal

from common.plan import MAX_CHECKS, BadPlan, canonical_json
from common.policy.types import MAX_VALUE, InvalidValue, ListType, PathType, UnionType, ValueType

ByDescriptor = Literal["", "single", "always"]
"""When a program gets the descriptor of a checked path instead of its name: never, where it is the only one, always."""

RunAs = Literal["", "root"]
"""Whom a command needs to be: whoever the runner is, or root. A machine starts one that needs root only where its own
policy says so too and its runner is root."""

MAX_DENIED: Final = 4_096
"""Names and programs that all denials of one policy may have together: they travel in every order."""
MAX_PERSONS: Final = 10
"""As many approvals as a rule may want."""
MAX_PATHS: Final = 1_024
_MAX_LIST: Final = 512
_DIGEST_CHARS: Final = 64
_KEYS: Final = frozenset({"denied", "real_names", "sha256", "types", "paths", "by_descriptor", "run_as", "persons"})


@dataclass(frozen=True, slots=True)
class DeniedPrograms:
    """What a policy denies, whatever the arguments: lower-case names in any folder, and absolute programs."""

    names: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.names or self.programs)


@dataclass(frozen=True, slots=True)
class PathCheck:
    """A path in an argument vector, in normal form, and the types of which one must hold for where it really leads."""

    path: str
    types: tuple[PathType, ...]


@dataclass(frozen=True, slots=True)
class MachineChecks:
    denied: DeniedPrograms = DeniedPrograms()
    real_names: frozenset[str] = frozenset()  # names and absolute programs
    sha256: frozenset[str] = frozenset()  # hex; empty: any content
    paths: tuple[PathCheck, ...] = ()
    by_descriptor: ByDescriptor = ""
    run_as: RunAs = ""
    persons: int = 0  # approvals that must be signed with keys of people, which the machine knows (`critical`)


NO_CHECKS: Final = MachineChecks()


def find_paths(kind: ValueType, value: str) -> Iterator[PathCheck]:
    """The paths in a word that has been normalised by its type."""
    if isinstance(kind, PathType):
        yield PathCheck(value, (kind,))
    elif isinstance(kind, ListType):
        for item in value.split(","):
            yield from find_paths(kind.item_type, item)
    elif isinstance(kind, UnionType):
        fitting = [member for member in kind.types if _accepts(member, value)]
        paths = tuple(member for member in fitting if isinstance(member, PathType))
        if fitting and not isinstance(fitting[0], PathType):
            yield from find_paths(fitting[0], value)
        elif paths:
            yield PathCheck(value, paths)


def _accepts(kind: ValueType, value: str) -> bool:
    try:
        return kind.normalize(value, "") == value
    except InvalidValue:
        return False


# ---- in the order


def write_checks(checks: MachineChecks) -> str:
    """As it stands in an order; "" where there is nothing to check."""
    types = list(dict.fromkeys(kind for check in checks.paths for kind in check.types))
    body: dict[str, Any] = {
        "denied": _without_empty(names=sorted(checks.denied.names), programs=sorted(checks.denied.programs)),
        "real_names": sorted(checks.real_names),
        "sha256": sorted(checks.sha256),
        "types": [_type_to_json(kind) for kind in types],
        "paths": [[check.path, [types.index(kind) for kind in check.types]] for check in checks.paths],
        "by_descriptor": checks.by_descriptor,
        "run_as": checks.run_as,
        "persons": checks.persons,
    }
    found = _without_empty(**body)
    return canonical_json(found).decode() if found else ""


@lru_cache(maxsize=16)
def read_checks(text: str) -> MachineChecks:
    """What `write_checks` wrote; raises BadPlan on anything else, also on a check that this version does not know."""
    if not text:
        return NO_CHECKS
    if len(text) > MAX_CHECKS:
        raise BadPlan(f"checks: longer than {MAX_CHECKS} characters")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise BadPlan("checks: not JSON") from None
    if not isinstance(body, dict) or not set(body) <= _KEYS:
        raise BadPlan("checks: one that this machine's agent does not know; upgrade it")
    denied = body.get("denied", {})
    if not isinstance(denied, dict) or not set(denied) <= {"names", "programs"}:
        raise BadPlan("checks: denied is not of the form")
    types = [_type_from_json(each) for each in _list("types", body, MAX_PATHS)]
    how = body.get("by_descriptor", "")
    if how not in ("", "single", "always"):
        raise BadPlan("checks: by_descriptor is not of the form")
    run_as = body.get("run_as", "")
    if run_as not in ("", "root"):
        raise BadPlan("checks: run_as is not of the form")
    persons = body.get("persons", 0)
    if type(persons) is not int or not 0 <= persons <= MAX_PERSONS:
        raise BadPlan("checks: persons is not of the form")
    return MachineChecks(
        DeniedPrograms(_texts("names", denied, MAX_DENIED), _texts("programs", denied, MAX_DENIED)),
        _texts("real_names", body, _MAX_LIST),
        _digests(_texts("sha256", body, _MAX_LIST)),
        tuple(_path_from_json(each, types) for each in _list("paths", body, MAX_PATHS)),
        how,
        run_as,
        persons,
    )


def is_digest(text: str) -> bool:
    """A SHA-256 in lower-case hex."""
    return len(text) == _DIGEST_CHARS and set(text) <= set("0123456789abcdef")


def _without_empty(**parts: Any) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value}


def _type_to_json(kind: PathType) -> dict[str, Any]:
    values = {field.name: getattr(kind, field.name) for field in fields(kind)}
    return {name: value for name, value in values.items() if value != _default(name)}


def _type_from_json(body: Any) -> PathType:
    """By the types of the defaults: a list of texts, a text, or true and false."""
    if not isinstance(body, dict):
        raise BadPlan("checks: a type is not of the form")
    values: dict[str, Any] = {}
    for name, value in body.items():
        default = _default(name)
        if isinstance(default, tuple):
            values[name] = tuple(_texts_in_order(name, value))
        elif type(value) is not type(default):
            raise BadPlan("checks: a kind of path that this machine's agent does not know; upgrade it")
        else:
            values[name] = value
    return PathType(**values)


def _default(name: str) -> Any:
    found = {field.name: field.default for field in fields(PathType)}.get(name)
    return None if found is MISSING else found


def _path_from_json(body: Any, types: list[PathType]) -> PathCheck:
    match body:
        case [str(path), list(indexes)] if path.startswith("/") and len(path) <= MAX_VALUE and indexes:
            if all(type(index) is int and 0 <= index < len(types) for index in indexes):
                return PathCheck(path, tuple(types[index] for index in indexes))
    raise BadPlan("checks: a path is not of the form")


def _list(key: str, body: dict[str, Any], most: int) -> list[Any]:
    value = body.get(key, [])
    if not isinstance(value, list) or len(value) > most:
        raise BadPlan(f"checks: {key} is not a list of at most {most}")
    return value


def _texts(key: str, body: dict[str, Any], most: int) -> frozenset[str]:
    return frozenset(_texts_in_order(key, _list(key, body, most)))


def _texts_in_order(key: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and len(item) <= MAX_VALUE for item in value):
        raise BadPlan(f"checks: {key} is not a list of texts")
    return value


def _digests(found: frozenset[str]) -> frozenset[str]:
    if not all(map(is_digest, found)):
        raise BadPlan("checks: sha256 is not a digest")
    return found
