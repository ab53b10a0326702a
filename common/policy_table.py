"""Reading the tables of a policy file: each key once, of its kind, within its bounds; unknown keys refused by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from common.errors import UserError
from common.grammar import is_showable

MAX_LIST: Final = 400
MAX_TEXT: Final = 512
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class Table:
    """One table of the file. `done()` after the last key refuses the keys that nobody asked for."""

    def __init__(self, file: str, where: str, data: object) -> None:
        self.file = file
        self.where = where
        if not isinstance(data, Mapping):
            self.refuse("", "not a table", "write it as key = value pairs")
        self.data: Mapping[str, Any] = data
        self.asked: set[str] = set()

    def refuse(self, key: str, problem: str, cure: str) -> NoReturn:
        place = ": ".join(part for part in (self.file, self.where, key) if part)
        raise UserError(f"{place}: {problem}", cure)

    def has(self, key: str) -> bool:
        self.asked.add(key)
        return key in self.data

    def raw(self, key: str) -> Any:
        if not self.has(key):
            self.refuse(key, "missing", "add it")
        return self.data[key]

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and not self.has(key):
            return default
        value = self.raw(key)
        if not isinstance(value, str) or not value or len(value) > MAX_TEXT or not is_showable(value):
            self.refuse(key, "not a text", f"write 1 to {MAX_TEXT} printable characters in quotes")
        return value

    def name(self, key: str) -> str:
        value = self.text(key)
        if not _KEY.fullmatch(value):
            self.refuse(key, f"{value!r} is not a name", "use letters, digits, - and _")
        return value

    def one_of(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices:
            self.refuse(key, f"{value!r} is not known", f"use one of {', '.join(choices)}")
        return value

    def flag(self, key: str) -> bool:
        if not self.has(key):
            return False
        value = self.raw(key)
        if not isinstance(value, bool):
            self.refuse(key, "not a boolean", "write true or false")
        return value

    def integer(self, key: str, minimum: int, maximum: int, default: int | None = None) -> int:
        if default is not None and not self.has(key):
            return default
        value = self.raw(key)
        if type(value) is not int or not minimum <= value <= maximum:
            self.refuse(key, f"not a whole number from {minimum} to {maximum}", "write such a number")
        return value

    def number(self, key: str, minimum: float, maximum: float) -> float:
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not minimum <= value <= maximum:
            self.refuse(key, f"not a number from {minimum:g} to {maximum:g}", "write such a number")
        return float(value)

    def texts(self, key: str, default: tuple[str, ...] | None = ()) -> tuple[str, ...]:
        """A list of texts without repeats; `default=None` makes it required and not empty."""
        if default is not None and not self.has(key):
            return default
        value = self.raw(key)
        good = isinstance(value, list) and len(value) <= MAX_LIST and (value or default is not None)
        if not good or not all(
            isinstance(item, str) and 0 < len(item) <= MAX_TEXT and is_showable(item) for item in value
        ):
            self.refuse(key, "not a list of texts", f'write ["…", "…"], 1 to {MAX_LIST} of them')
        for item in value:
            if value.count(item) > 1:
                self.refuse(key, f"{item!r} stands there twice", "leave one of them out")
        return tuple(value)

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts in which repeats are meant: a piece of an argument vector."""
        if not self.has(key):
            return ()
        value = self.raw(key)
        if not isinstance(value, list) or len(value) > MAX_LIST:
            self.refuse(key, "not a list of texts", 'write ["…", "…"]')
        if not all(isinstance(item, str) and 0 < len(item) <= MAX_TEXT and is_showable(item) for item in value):
            self.refuse(key, "not a list of texts", 'write ["…", "…"]')
        return tuple(value)

    def table(self, key: str) -> Table:
        """The table below `key`, empty where there is none."""
        return Table(self.file, f"{self.where}: {key}" if self.where else key, self.data[key] if self.has(key) else {})

    def tables(self, key: str) -> list[Table]:
        if not self.has(key):
            return []
        value = self.raw(key)
        if not isinstance(value, list) or len(value) > MAX_LIST:
            self.refuse(key, "not a list of tables", f"write at most {MAX_LIST} tables [[{key}]]")
        place = f"{self.where}: {key}" if self.where else key
        return [Table(self.file, f"{place} {index}", item) for index, item in enumerate(value, start=1)]

    def items(self) -> list[tuple[str, Any]]:
        """All keys with their values, for tables whose keys are the author's to choose."""
        return [(key, self.data[key]) for key in self.names()]

    def names(self) -> list[str]:
        self.asked.update(self.data)
        if len(self.data) > MAX_LIST:
            self.refuse("", f"more than {MAX_LIST} entries", "leave some out")
        return list(self.data)

    def done(self) -> None:
        for key in self.data:
            if key not in self.asked:
                close = difflib.get_close_matches(str(key), self.asked, n=1)
                known = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(self.asked))}"
                self.refuse(str(key)[:80], "unknown key", known)
