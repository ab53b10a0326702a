"""What hostile machines, chats and hubs may send, in every string of the data they send; and what a terminal was sent.

`HostileData` walks whatever it is given, so that a new field is covered without anybody thinking of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

CORPUS = (
    "\x1b]0;owned\x07title",
    "\x1b[2J\x1b[31mred\x1b[0m",
    "\x1bP1;2|dcs\x1b\\ \x1b_apc\x1b\\ \x1bX sos \x1b^pm\x1b\\",
    "\x9b31mC1 \x9d0;owned\x9c \x90dcs\x9c \x85nel",
    "\x1b]52;c;b3duZWQ=\x07 \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[?1000h\x1b[?1049l\x1b[6n\x1b[c\x1b[20t\x1bc",
    "bell\x07 back\x08\x08\x08space nul\x00 del\x7f \x0e\x0fshift",
    "return\rfake line feed\nnext\ttab\x0b\x0c",
    "a\u202egpj.exe\u202c \u2066iso\u2069 \u200e\u200f\u061c",
    "ze\u200bro\u200c wid\u2060th\ufeff \u00adsoft \ufe0f\u2028\u2029",
    "z" + "\u0301\u0336\u0489" * 60 + "algo",
    "[red]markup[/red] [bold]b[/bold][/red] [/]",
    "[@click=app.quit]quit[/] [@click=app.owned()]x[/] [@click=screen.owned()]y[/] [link=file:///etc/passwd]l[/link]",
    "$error \\[x] {0} %s ${HOME} `id` $(id) ; rm -rf / | & > <",
    "汉字" * 40,
    "👩\u200d👩\u200d👧\u200d👦🏳\ufe0f\u200d🌈👍🏽🇩🇪",
    "\U000e0041\U000e0042tags \U0001d173 \u3164\uffa0\u115f",
    "-rf --help '\" \\ \\x1b",
    "x" * 3_000,
    " ",
    "",
)
"""What can travel: UTF-8 without lone surrogates."""
UNENCODABLE = ("\ud800lone\udfff", "by\udce9te")
"""What cannot travel, and must not hurt either where it comes up: halves of pairs, bytes that were no UTF-8."""
TRUSTED_KEYS = frozenset(
    {"id", "state", "kind", "stage", "need", "plan_hash", "job", "request", "targets", "cwd", "env"}
)
"""What rows and dialogs go by: kept where the console is to believe them."""
OPEN_KEYS = frozenset({"labels", "facts", "data", "env", "versions", "vitals"})
"""Mappings whose keys come from outside as well."""

# Sequences by shape. The text between them is what anybody may have sent.
_SEQUENCE = re.compile(
    r"\x1b\[[<-?]?[0-9;:]*[ -/]?[@-~]"  # CSI
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC
    r"|\x1bP[^\x1b]*\x1b\\"  # DCS
    r"|\x1b[()][A-Z0-9]|\x1b[=>78cDEHMNOZ]"
)
OWN_SHAPES = re.compile(r"\x1b\[N?[mHCGrLM]|\x1b\[\?N[hl]")
"""Shapes that `tui.terminal.terminal` writes: the pen, moves, lines moved, frames held together."""
_NUMBERS = re.compile(r"[0-9]+(?:[;:][0-9]*)*")


class HostileData:
    """Puts the corpus into data, one string after the other, in every place that holds a string."""

    def __init__(
        self, corpus: Iterable[str] = CORPUS, trusted_keys: frozenset[str] = TRUSTED_KEYS, start: int = 0
    ) -> None:
        corpus = tuple(corpus)
        self._trusted_keys = trusted_keys
        self._next = itertools.islice(itertools.cycle(corpus), start % len(corpus), None)
        self._replacements: dict[str, str] = {}
        self.replaced = 0

    def text(self, before: str) -> str:
        """The same for the same, so that what has not changed does not seem to."""
        if before not in self._replacements:
            self._replacements[before] = next(self._next)
            self.replaced += 1
        return self._replacements[before]

    def value(self, value: Any, key: str = "") -> Any:
        if key in self._trusted_keys:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("latin-1")).encode("utf-8", "surrogateescape") + b"\n"
        if isinstance(value, Mapping):
            if key in OPEN_KEYS:
                return {f"{self.text(name)}{at}": self.value(part) for at, (name, part) in enumerate(value.items())}
            return {name: self.value(part, name) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part, key) for part in value]
        return value


def sequence_shapes(stream: str) -> set[str]:
    """The escape sequences of a stream with their numbers taken out; the harmless text between them is left out, any
    other control is a shape of its own.
    """
    found = {_NUMBERS.sub("N", match[0]) for match in _SEQUENCE.finditer(stream)}
    rest = _SEQUENCE.sub("", stream)
    return found | {repr(char) for char in set(rest) if ord(char) < 32 or 127 <= ord(char) < 160}


def strip_sequences(stream: str) -> str:
    """A stream without its sequences."""
    return _SEQUENCE.sub("", stream)
