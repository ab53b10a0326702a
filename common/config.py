"""TOML files into frozen dataclasses, strictly: a key that the dataclass does not have is an error.

A field made with `setting`, `required` or `custom` is a key of the file; its type says what may stand there:

    str  bool  int  float        themselves; numbers and strings within the field's bounds
    Duration                     seconds, written "90s", "10m", "1h30m", "7d" (the grammar of `common.values`), or 0
    Size                         bytes, written "256KiB", "8MiB", "10k" or a whole number
    Address                      "127.0.0.1:8080", "[::1]:8443", "hub.example.org:8443"
    Path                         relative to the folder of the file
    Literal["a", "b"]            one of these strings
    tuple[str, ...]              an array of strings
    a dataclass                  a table
    Mapping[str, a dataclass]    a table of tables that people name: [inlets.ops]
    X | None                     X, or left out

A file is checked to its end: one ConfigError carries every problem, one a line, each with file, table, key and cure.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from common.errors import UserError
from common.ids import is_name
from common.read_file import read_toml, suggest_key
from common.values import (
    ADDRESS_FORM,
    DURATION_FORM,
    SIZE_FORM,
    Address,
    Duration,
    Size,
    format_duration,
    format_size,
    parse_address,
    parse_duration,
    parse_size,
)

T = TypeVar("T")

MAX_STRING: Final = 4_096
MAX_ITEMS: Final = 1_000


class ConfigError(UserError):
    """All problems of one file or of several; each is a whole sentence with its cure."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))


def setting(
    default: T,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
    ask: bool = False,
) -> T:
    """A key that may be left out. `doc` is its comment in the file that is written for people; `low` and `high` are
    inclusive bounds; a `secret` value stays out of the dataclass's `repr`; `ask`: a dialog that makes such a table asks
    for it all the same.
    """
    metadata = {"doc": doc, "low": low, "high": high, "ask": ask}
    made: T = field(default=default, repr=not secret, metadata=metadata)
    return made


def required(doc: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A key that must be there."""
    return field(metadata={"doc": doc, "low": low, "high": high})


def custom(doc: str, read: Callable[[Any], Any], form: str) -> Any:
    """A key that must be there and whose value `read` turns into what the field holds, or into None where it does not
    fit. `form` is the whole sentence then, and where the key is missing.
    """
    return field(metadata={"doc": doc, "low": None, "high": None, "read": read, "form": form})


def table(kind: type[T]) -> T:
    """A table that may be left out: it is then made of its defaults."""
    made: T = field(default_factory=kind, metadata={"doc": ""})
    return made


def tables() -> Any:
    """A table of tables with names of people's choosing; left out it is empty."""
    return field(default_factory=dict, metadata={"doc": ""})


def config_fields(kind: type[Any]) -> list[Field[Any]]:
    """The fields of a dataclass that are keys of the file, in order."""
    return [entry for entry in fields(kind) if "doc" in entry.metadata]


def load(path: Path, kind: type[T]) -> T:
    """The file as a `kind`; raises UserError where it cannot be read and ConfigError where it is not of the form."""
    return build(read_toml(path), kind, path)


Choose = tuple[str, Callable[[str], type[Any]]]
"""A key, and which dataclass a table is read into by the string that stands there; raises UserError."""


def build(body: Mapping[str, Any], kind: type[T], path: Path, choose: Mapping[str, Choose] | None = None) -> T:
    """A parsed file as a `kind`. `path` names the file in problems, and its folder is what paths are relative to.

    `choose`: for tables of tables that come in several kinds, by the name of their field; each kind is a subclass of
    the one that the field names.
    """
    reader = _Reader(path, choose or {})
    built = reader.table(body, kind, ())
    if reader.problems:
        raise ConfigError(reader.problems)
    return cast(T, built)


def unwrap_optional(hint: Any) -> Any:
    """X of `X | None`, and of X itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(arg for arg in get_args(hint) if arg is not type(None))
    return hint


_FIELD_TYPES: Final[dict[type[Any], Mapping[str, Any]]] = {}


def field_types(kind: type[Any]) -> Mapping[str, Any]:
    """The type of each field of a class, read from its annotations once."""
    if kind not in _FIELD_TYPES:
        _FIELD_TYPES[kind] = get_type_hints(kind)
    return _FIELD_TYPES[kind]


class _Reader:
    """Walks tables and dataclasses side by side and collects the problems."""

    def __init__(self, path: Path, choose: Mapping[str, Choose]) -> None:
        self.path = path
        self.choose = choose
        self.problems: list[str] = []

    def add_problem(self, trail: Sequence[str], key: str, text: str) -> None:
        where = f" [{'.'.join(trail)}]" if trail else ""
        self.problems.append(f"{self.path}:{where} {key}: {text}" if key else f"{self.path}:{where}: {text}")

    def table(self, body: Mapping[str, Any], kind: type[Any], trail: tuple[str, ...]) -> Any:
        """An instance of `kind`, or None after a problem was noted."""
        known = {entry.name: entry for entry in config_fields(kind)}
        hints, values, before = field_types(kind), {}, len(self.problems)
        for key, value in body.items():
            if key not in known:
                self.add_unknown(trail, key, value, known)
                continue
            read = self.value(value, hints[key], known[key], trail, key)
            if read is not None:
                values[key] = read
        for key, entry in known.items():
            if key not in body and entry.default is MISSING and entry.default_factory is MISSING:
                missing = f"missing; it is needed here: {entry.metadata['doc']}"
                self.add_problem(trail, key, entry.metadata.get("form", missing))
        return kind(**values) if len(self.problems) == before else None

    def add_unknown(self, trail: Sequence[str], key: str, value: Any, known: Mapping[str, Any]) -> None:
        what = "table" if isinstance(value, dict) else "key"
        shown = _format_value(key, 64).strip('"')
        self.add_problem(trail, shown, f"unknown {what}; {suggest_key(key, known)}")

    def value(self, value: Any, hint: Any, entry: Field[Any], trail: tuple[str, ...], key: str) -> Any:
        """The value in its Python form, or None after a problem was noted."""
        if "read" in entry.metadata:
            if (read := entry.metadata["read"](value)) is None:
                self.add_problem(trail, key, entry.metadata["form"])
            return read
        hint = unwrap_optional(hint)
        origin = get_origin(hint)
        if is_dataclass(hint) or (isinstance(origin, type) and issubclass(origin, Mapping)):
            if not isinstance(value, dict):
                self.add_problem(
                    trail, key, f"a table was expected: write [{'.'.join((*trail, key))}] on a line of its own"
                )
                return None
            if is_dataclass(hint):
                return self.table(value, cast(type, hint), (*trail, key))
            return self.named_tables(value, get_args(hint)[1], (*trail, key))
        try:
            return _scalar(value, hint, entry, self.path.parent)
        except ValueError as error:
            shown = _format_value(value) if entry.repr else "what is there"  # a secret is not shown
            self.add_problem(trail, key, f"{error} was expected, not {shown}")
            return None

    def chosen(self, body: Mapping[str, Any], kind: type[Any], trail: tuple[str, ...]) -> type[Any] | None:
        key, find = self.choose.get(trail[0], ("", None)) if len(trail) == 2 else ("", None)
        value = body.get(key)
        if find is None or not isinstance(value, str):
            return kind  # a key that is missing or no string is found when the table is read
        try:
            return find(value)
        except UserError as error:
            self.add_problem(trail, key, str(error))
            return None

    def named_tables(self, body: Mapping[str, Any], kind: type[Any], trail: tuple[str, ...]) -> dict[str, Any] | None:
        before, found = len(self.problems), {}
        for name, value in body.items():
            if not is_name(name):
                self.add_problem(
                    trail, _format_value(name, 64), "a name is 1 to 64 letters, digits, dots, dashes or underscores"
                )
            elif not isinstance(value, dict):
                self.add_problem(
                    trail, name, f"a table was expected: write [{'.'.join((*trail, name))}] on a line of its own"
                )
            elif (chosen := self.chosen(value, kind, (*trail, name))) is not None:
                found[name] = self.table(value, chosen, (*trail, name))
        if len(found) > MAX_ITEMS:
            self.add_problem(trail, "", f"{len(found)} tables, at most {MAX_ITEMS} are taken")
        return found if len(self.problems) == before else None


def _scalar(value: Any, hint: Any, entry: Field[Any], folder: Path) -> Any:
    """Raises ValueError with what was expected."""
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if value not in choices:
            raise ValueError("one of " + ", ".join(f'"{choice}"' for choice in choices))
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or len(value) > MAX_ITEMS or not all(_is_text(item) for item in value):
            raise ValueError('a list of strings such as ["one", "two"]')
        return tuple(value)
    if hint is bool:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    if hint in _PARSERS:
        what, parse = _PARSERS[hint]
        if hint is Size and type(value) is int:
            read: Any = value
        elif hint is Duration and (value == "0" or (type(value) is int and value == 0)):
            read = Duration(0.0)  # none needs no unit
        elif not _is_text(value):
            raise ValueError(what)
        else:
            read = parse(value)
        if hint is not Address:
            _check_bounds(read, entry, format_duration if hint is Duration else format_size)
        return read
    if hint in (int, float):
        if type(value) is not int and not (hint is float and type(value) is float):
            raise ValueError("a whole number" if hint is int else "a number")
        _check_bounds(value, entry, str)
        return hint(value)
    if not _is_text(value) or not value.strip():
        raise ValueError("a path" if hint is Path else "a string that is not empty")
    return folder / value if hint is Path else value


_PARSERS: Final[Mapping[Any, Any]] = {
    Duration: (DURATION_FORM, parse_duration),
    Size: (SIZE_FORM, parse_size),
    Address: (ADDRESS_FORM, parse_address),
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_STRING and value.isprintable()


def _check_bounds(value: Any, entry: Field[Any], show: Any) -> None:
    low, high = entry.metadata["low"], entry.metadata["high"]
    if value != value or (low is not None and value < low) or (high is not None and value > high):
        if high is None:
            raise ValueError(f"{show(low)} or more")
        raise ValueError(f"{show(low or 0)} to {show(high)}")


def _format_value(value: Any, most: int = 80) -> str:
    """A value from a file as a message may hold it: its JSON-like form, printable and cut."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= most else text[: most - 1] + "…"
