"""The types that a policy gives to option values and positional arguments.

A type says whether one word fits and how it is written when it runs: `normalize(word, cwd)` returns the word,
normalised, or raises InvalidValue with the reason. Every type is a closed grammar matched against the whole word; none
looks at the file system, and a word that begins with `-` fits only a type that says so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from common.catalogue import Sentence
from common.command.grammar import is_printable_text
from common.policy.secrets import is_secret
from common.text import clean

MAX_VALUE: Final = 4_096  # characters of any value


class InvalidValue(ValueError):
    """A word that is not of its type."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence.key)
        self.sentence = sentence


class ValueType(Protocol):
    @property
    def shape(self) -> str:
        """How usage lines show a value of this type."""

    def normalize(self, word: str, cwd: str) -> str:
        """The word as it will run; raises InvalidValue. `cwd` is the step's directory, "" where it has none."""


def display_word(word: str) -> str:
    """A word of hostile origin, safe and short enough to stand in a sentence."""
    return clean(word, limit=80)


def _invalid(key: str, word: str, **values: object) -> InvalidValue:
    return InvalidValue(Sentence(key, {"value": display_word(word), **values}))


@dataclass(frozen=True)
class NamedType:
    """A built-in type: one fixed grammar, known by its name."""

    name: str
    shape: str
    accepts: Callable[[str], bool]

    def normalize(self, word: str, cwd: str) -> str:
        if len(word) > MAX_VALUE or not self.accepts(word):
            raise _invalid("policy_value_misfit", word, expected=Sentence(_EXPECTED_KEYS[self.name]))
        return word


@dataclass(frozen=True)
class IntegerType:
    """A whole number in plain decimal: no plus sign, no leading zero, no blanks."""

    minimum: int
    maximum: int

    @property
    def shape(self) -> str:
        return "N"

    def normalize(self, word: str, cwd: str) -> str:
        if not _INTEGER.fullmatch(word) or not self.minimum <= int(word) <= self.maximum:
            raise _invalid("policy_value_integer", word, minimum=self.minimum, maximum=self.maximum)
        return word


@dataclass(frozen=True)
class NumberType:
    """A decimal number such as 2 or 0.5; no exponent, no sign."""

    minimum: float
    maximum: float

    @property
    def shape(self) -> str:
        return "N"

    def normalize(self, word: str, cwd: str) -> str:
        if not _NUMBER.fullmatch(word) or not self.minimum <= float(word) <= self.maximum:
            raise _invalid("policy_value_number", word, minimum=f"{self.minimum:g}", maximum=f"{self.maximum:g}")
        return word


@dataclass(frozen=True)
class ChoiceType:
    """One of a fixed list of words."""

    choices: tuple[str, ...]

    @property
    def shape(self) -> str:
        return "|".join(self.choices) if len(self.choices) <= 4 else "|".join(self.choices[:3]) + "|…"

    def normalize(self, word: str, cwd: str) -> str:
        if word not in self.choices:
            raise _invalid("policy_value_choice", word, choices=clean(", ".join(self.choices), limit=200))
        return word


@dataclass(frozen=True)
class ListType:
    """Several values of one type in one word, separated by commas."""

    item_type: ValueType
    maximum: int = 32

    @property
    def shape(self) -> str:
        return f"{self.item_type.shape},…"

    def normalize(self, word: str, cwd: str) -> str:
        items = word.split(",")
        if len(items) > self.maximum:
            raise _invalid("policy_value_items", word, maximum=self.maximum)
        return ",".join(self.item_type.normalize(item, cwd) for item in items)


@dataclass(frozen=True)
class UnionType:
    """The first of several types that the word fits."""

    types: tuple[ValueType, ...]

    @property
    def shape(self) -> str:
        return "|".join(dict.fromkeys(kind.shape for kind in self.types))

    def normalize(self, word: str, cwd: str) -> str:
        for kind in self.types[:-1]:
            try:
                return kind.normalize(word, cwd)
            except InvalidValue:
                continue
        return self.types[-1].normalize(word, cwd)


@dataclass(frozen=True)
class PatternType:
    """A word matched as a whole by a regular expression in the dialect of `check_pattern`."""

    pattern: str
    maximum: int = 256
    shape: str = "VALUE"

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.ASCII)

    def normalize(self, word: str, cwd: str) -> str:
        if len(word) > self.maximum or not is_printable_text(word) or not self._compiled.fullmatch(word):
            raise _invalid("policy_value_pattern", word, shape=self.shape)
        return word


@dataclass(frozen=True)
class PathType:
    """An absolute path, or a relative one where the step has a directory; never with `..`. Made absolute and normal.

    Lexical only: where a path really leads is judged by the same type on the machine (`machine_checks`).
    """

    beneath: tuple[str, ...] = ()  # these and everything beneath them
    exactly: tuple[str, ...] = ()  # these alone
    excluding: tuple[str, ...] = ()  # not these, nor anything beneath them
    endings: tuple[str, ...] = ()  # not where a component ends like this
    hidden: bool = False  # whether components may begin with a dot
    shape: str = "PATH"
    secrets: bool = False  # whether it may be a secret by its name or place: for what tells names alone

    def normalize(self, word: str, cwd: str) -> str:
        if not word or len(word) > MAX_VALUE or word.startswith("-") or not is_printable_text(word):
            raise _invalid("policy_value_misfit", word, expected=Sentence("policy_expected_path"))
        if not word.startswith("/") and not cwd:
            raise _invalid("policy_path_relative", word)
        full = word if word.startswith("/") else f"{cwd}/{word}"
        parts = [part for part in full.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise _invalid("policy_path_up", word)
        path = "/" + "/".join(parts)
        allowed = path in self.exactly or any(is_beneath(path, root) for root in self.beneath)
        if not allowed or any(is_beneath(path, root) for root in self.excluding):
            raise _invalid(
                "policy_path_outside", path, roots=clean(", ".join((*self.beneath, *self.exactly)), limit=200)
            )
        if not self.hidden and any(part.startswith(".") for part in parts):
            raise _invalid("policy_path_hidden", path)
        if any(part.endswith(self.endings) for part in parts) or (not self.secrets and is_secret(path)):
            raise _invalid("policy_path_ending", path)
        return path


def is_beneath(path: str, root: str) -> bool:
    """Whether the normal path is `root` or lies beneath it, component by component."""
    return root == "/" or path == root or path.startswith(root + "/")


# The built-in types

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,9})?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9@^][A-Za-z0-9._@{}^~/+-]{0,254}", re.ASCII)


def _matcher(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda word: compiled.fullmatch(word) is not None


def _is_address(word: str) -> bool:
    if "%" in word or len(word) > 64:
        return False  # a scope id is free text
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _is_network(word: str) -> bool:
    address, slash, bits = word.partition("/")
    return _is_address(address) and (not slash or (_INTEGER.fullmatch(bits) is not None and 0 <= int(bits) <= 128))


def _is_host(word: str) -> bool:
    if ":" in word:
        return _is_address(word)
    name = word.removesuffix(".")
    return 0 < len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def _is_text(word: str) -> bool:
    return 0 < len(word) <= 256 and word[0] != "-" and is_printable_text(word)


def _is_revision(word: str) -> bool:
    """A git revision or range. Nothing that git could take for a path out of the checkout: it compares such files."""
    return _REVISION.fullmatch(word) is not None and "/." not in word and "//" not in word and not word.endswith("/")


def _is_object(word: str) -> bool:
    """A revision, or a file of one: `HEAD:docs/index.md`."""
    revision, colon, path = word.partition(":")
    return _is_revision(revision) and (not colon or _is_relative_path(path))


def _is_relative_path(word: str) -> bool:
    parts = word.split("/")
    return (
        0 < len(word) <= MAX_VALUE
        and word[0] not in "-:/"  # git gives a leading colon a meaning
        and is_printable_text(word)
        and ".." not in parts
        and "" not in parts[:-1]
    )


_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_SPAN_UNIT: Final = r"(?:us|ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|months?|y|years?)"
_SPAN: Final = rf"[0-9]{{1,9}} ?{_SPAN_UNIT}(?: ?[0-9]{{1,9}} ?{_SPAN_UNIT}){{0,3}}"
_TIME: Final = (
    rf"now|today|yesterday|tomorrow|@[0-9]{{1,12}}|{_CLOCK}|{_DATE}(?:[ T]{_CLOCK})?(?: UTC|Z)?"
    rf"|(?:today|yesterday) {_CLOCK}|[-+]{_SPAN}|{_SPAN} ago"
)
_SIGNALS: Final = ("HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "TERM", "CONT", "STOP", "KILL", "WINCH")

BUILT_IN_TYPES: Final[Mapping[str, NamedType]] = {
    kind.name: kind
    for kind in (
        NamedType("word", "WORD", _matcher(r"[A-Za-z0-9_][A-Za-z0-9_.:@%+,=-]{0,127}")),
        NamedType("text", "TEXT", _is_text),
        NamedType("host", "HOST", _is_host),
        NamedType("address", "ADDRESS", _is_address),
        NamedType("network", "ADDRESS[/BITS]", _is_network),
        NamedType("interface", "INTERFACE", _matcher(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,31}")),
        NamedType("unit", "UNIT", _matcher(r"[A-Za-z0-9_][A-Za-z0-9:_.@-]{0,254}")),
        NamedType("unit-pattern", "UNIT", _matcher(r"[A-Za-z0-9_*][A-Za-z0-9:_.@*-]{0,254}")),
        NamedType("package", "PACKAGE", _matcher(r"[A-Za-z0-9][A-Za-z0-9+.:~_-]{0,127}")),
        NamedType("package-pattern", "PACKAGE", _matcher(r"[A-Za-z0-9*][A-Za-z0-9+.:~_*-]{0,127}")),
        NamedType("user", "USER", _matcher(r"[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}")),
        NamedType("signal", "SIGNAL", _matcher(rf"(?:SIG)?(?:{'|'.join(_SIGNALS)})|1|2|3|9|15")),
        NamedType("port", "PORT", lambda word: _INTEGER.fullmatch(word) is not None and 1 <= int(word) <= 65_535),
        NamedType("time", "TIME", _matcher(_TIME)),
        NamedType("duration", "DURATION", _matcher(r"(?:[0-9]{1,6}(?:\.[0-9]{1,3})?[smhd]?)")),
        NamedType("size", "SIZE", _matcher(r"[0-9]{1,9}(?:[KMGTPE](?:i?B)?|[kmgtpe]B?|B)?|[KMGTPE](?:i?B)?")),
        NamedType("revision", "REVISION", _is_revision),
        NamedType("object", "OBJECT", _is_object),
        NamedType("relative-path", "PATH", _is_relative_path),
    )
}

_EXPECTED_KEYS: Final[Mapping[str, str]] = {
    "word": "policy_expected_word",
    "text": "policy_expected_text",
    "host": "policy_expected_host",
    "address": "policy_expected_address",
    "network": "policy_expected_network",
    "interface": "policy_expected_interface",
    "unit": "policy_expected_unit",
    "unit-pattern": "policy_expected_unit_pattern",
    "package": "policy_expected_package",
    "package-pattern": "policy_expected_package_pattern",
    "user": "policy_expected_user",
    "signal": "policy_expected_signal",
    "port": "policy_expected_port",
    "time": "policy_expected_time",
    "duration": "policy_expected_duration",
    "size": "policy_expected_size",
    "revision": "policy_expected_revision",
    "object": "policy_expected_object",
    "relative-path": "policy_expected_relative_path",
}
