"""Reading the tables of a policy file: each key once, of its kind, within its bounds; unknown keys refused by name.

This is a reader of its own beside `common.config` because a policy has no fixed form to write down as dataclasses: what
a key may hold depends on types and programs that the same file defines, names of options are keys, and the first
problem of a table ends its reading (`common.policy.file` goes on with the next). What both have in common lies below
them: the durations and sizes, the hint for an unknown key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from common.command.grammar import is_printable_text
from common.errors import UserError
from common.policy.source import Span
from common.read_file import suggest_key
from common.values import parse_duration, parse_size

MAX_LIST: Final = 400
MAX_TEXT: Final = 512
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class PolicyMistake(UserError):
    """One problem of one key: `table` holds the key, where there is one; `missing` where it should."""

    def __init__(self, problem: str, cure: str, table: Mapping[str, Any], key: str, line: int) -> None:
        super().__init__(problem, cure)
        self.table = table
        self.key = key
        self.line = line

    @property
    def missing(self) -> bool:
        return bool(self.key) and self.key not in self.table


class TableReader:
    """One table of the file. `check_unknown_keys()` after the last key refuses the keys that nobody asked for."""

    def __init__(self, file: str, where: str, data: object, span: Callable[[], Span] = Span) -> None:
        """`span` finds the table's lines in the file; it is asked where there is a mistake to tell."""
        self.file = file
        self.location = where
        self.span = span
        self.data: Mapping[str, Any] = {}
        if not isinstance(data, Mapping):
            self.fail("", "not a table", "write it as key = value pairs")
        self.data = data
        self.read_keys: set[str] = set()

    def fail(self, key: str, problem: str, cure: str) -> NoReturn:
        line = self.span().line_of(key)
        parts = (self.file, f"line {line}" if line else "", self.location, key)
        place = ": ".join(part for part in parts if part)
        raise PolicyMistake(f"{place}: {problem}", cure, self.data, key, line)

    def has(self, key: str) -> bool:
        self.read_keys.add(key)
        return key in self.data

    def value(self, key: str) -> Any:
        if not self.has(key):
            self.fail(key, "missing", "add it")
        return self.data[key]

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and not self.has(key):
            return default
        value = self.value(key)
        if not isinstance(value, str) or not value or len(value) > MAX_TEXT or not is_printable_text(value):
            self.fail(key, "not a text", f"write 1 to {MAX_TEXT} printable characters in quotes")
        return value

    def name(self, key: str) -> str:
        value = self.text(key)
        if not _KEY.fullmatch(value):
            self.fail(key, f"{value!r} is not a name", "use letters, digits, - and _")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices:
            self.fail(key, f"{value!r} is not known", f"use one of {', '.join(choices)}")
        return value

    def boolean(self, key: str) -> bool:
        if not self.has(key):
            return False
        value = self.value(key)
        if not isinstance(value, bool):
            self.fail(key, "not a boolean", "write true or false")
        return value

    def integer(self, key: str, minimum: int, maximum: int, default: int | None = None) -> int:
        if default is not None and not self.has(key):
            return default
        value = self.value(key)
        if type(value) is not int or not minimum <= value <= maximum:
            self.fail(key, f"not a whole number from {minimum} to {maximum}", "write such a number")
        return value

    def seconds(self, key: str, minimum: int, maximum: int) -> int:
        """Whole seconds, as a number or as a duration such as "5m"."""
        return self._counted(key, parse_duration, minimum, maximum, 'write such a number, or a duration such as "5m"')

    def size(self, key: str, minimum: int, maximum: int) -> int:
        """Bytes, as a number or as a size such as "64KiB"."""
        return self._counted(key, parse_size, minimum, maximum, 'write such a number, or a size such as "64KiB"')

    def _counted(self, key: str, parse: Callable[[str], float], minimum: int, maximum: int, cure: str) -> int:
        count = self.value(key)
        if isinstance(count, str):
            try:
                parsed = parse(count)
            except ValueError:
                self.fail(key, f"not a whole number from {minimum} to {maximum}", cure)
            count = int(parsed) if parsed == int(parsed) else None
        if type(count) is not int or not minimum <= count <= maximum:
            self.fail(key, f"not a whole number from {minimum} to {maximum}", cure)
        return count

    def number(self, key: str, minimum: float, maximum: float) -> float:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not minimum <= value <= maximum:
            self.fail(key, f"not a number from {minimum:g} to {maximum:g}", "write such a number")
        return float(value)

    def text_list(self, key: str, default: tuple[str, ...] | None = ()) -> tuple[str, ...]:
        """A list of texts without repeats; `default=None` makes it required and not empty."""
        if default is not None and not self.has(key):
            return default
        value = self.value(key)
        good = isinstance(value, list) and len(value) <= MAX_LIST and (value or default is not None)
        if not good or not all(
            isinstance(item, str) and 0 < len(item) <= MAX_TEXT and is_printable_text(item) for item in value
        ):
            self.fail(key, "not a list of texts", f'write ["…", "…"], 1 to {MAX_LIST} of them')
        for item in value:
            if value.count(item) > 1:
                self.fail(key, f"{item!r} stands there twice", "leave one of them out")
        return tuple(value)

    def word_list(self, key: str) -> tuple[str, ...]:
        """A list of texts in which repeats are meant: a piece of an argument vector."""
        if not self.has(key):
            return ()
        value = self.value(key)
        if not isinstance(value, list) or len(value) > MAX_LIST:
            self.fail(key, "not a list of texts", 'write ["…", "…"]')
        if not all(isinstance(item, str) and 0 < len(item) <= MAX_TEXT and is_printable_text(item) for item in value):
            self.fail(key, "not a list of texts", 'write ["…", "…"]')
        return tuple(value)

    def table(self, key: str) -> TableReader:
        """The table below `key`, empty where there is none."""
        place = f"{self.location}: {key}" if self.location else key
        return TableReader(self.file, place, self.data[key] if self.has(key) else {}, lambda: self.span().below(key))

    def tables(self, key: str) -> list[TableReader]:
        return [self.entry(key, index) for index in range(self.count(key))]

    def count(self, key: str) -> int:
        """How many tables the list `key` has."""
        if not self.has(key):
            return 0
        value = self.value(key)
        if not isinstance(value, list) or len(value) > MAX_LIST:
            self.fail(key, "not a list of tables", f"write at most {MAX_LIST} tables [[{key}]]")
        return len(value)

    def entry(self, key: str, index: int) -> TableReader:
        """One table of the list `key`, from 0."""
        place = f"{self.location}: {key}" if self.location else key
        items = self.data[key]
        return TableReader(
            self.file, f"{place} {index + 1}", items[index], lambda: self.span().each(key, len(items))[index]
        )

    def items(self) -> list[tuple[str, Any]]:
        """All keys with their values, for tables whose keys are the author's to choose."""
        return [(key, self.data[key]) for key in self.names()]

    def names(self) -> list[str]:
        self.read_keys.update(self.data)
        if len(self.data) > MAX_LIST:
            self.fail("", f"more than {MAX_LIST} entries", "leave some out")
        return list(self.data)

    def check_unknown_keys(self) -> None:
        for key in self.data:
            if key not in self.read_keys:
                cure = suggest_key(str(key), sorted(self.read_keys))
                if key == "deny":
                    cure = 'below a table it must be one line, deny = ["NAME", "/PATH"], without a comment inside'
                self.fail(str(key)[:80], "unknown key", cure)
