"""Synonyms and other word tables in English and Chinese, from `hub/defaults/words.toml`, whose comments explain
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from common.read_file import parse_toml
from hub.planning.runbooks.tokens import word_set

Phrase = tuple[str, ...]
END: Final = "\n"
"""Marks the end of a message, for phrases that count only there; `$` in the tables."""


def _read() -> Mapping[str, Any]:
    return parse_toml(resources.files("hub").joinpath("defaults", "words.toml").read_bytes(), "words.toml")


def _rows(table: Mapping[str, str]) -> dict[str, tuple[Phrase, ...]]:
    """Meaning -> its phrases, of rows `english, … | Chinese …`."""
    found = {}
    for meaning, row in table.items():
        english, _, chinese = row.partition("|")
        found[meaning] = (*_english(english), *_chinese(chinese))
    return found


def _english(text: str) -> tuple[Phrase, ...]:
    return tuple(tuple(phrase.split()) for phrase in text.replace("\n", " ").split(",") if phrase.strip())


def _chinese(text: str) -> tuple[Phrase, ...]:
    """One word a character, as `tokens.tokenize` splits it; a run of letters (内网ip) is one word."""
    found: list[Phrase] = []
    for phrase in text.split():
        words: list[str] = []
        for char in phrase:
            if char.isascii() and words and words[-1].isascii():
                words[-1] += char
            else:
                words.append(char)
        found.append(tuple(END if word == "$" else word for word in words))
    return tuple(found)


_TABLES: Final = _read()
_WORDS: Final[Mapping[str, str]] = _TABLES["words"]

MEANINGS: Final = _rows(_TABLES["meanings"])
LIGHT: Final = _rows(_TABLES["light"])
BESIDE: Final = {meaning: word_set(row) for meaning, row in _TABLES["beside"].items()}
UNITS: Final = _rows(_TABLES["units"])
SPANS: Final = _rows(_TABLES["spans"])
NUMERALS: Final = _rows(_TABLES["numerals"])
HARMLESS: Final = (*_english(_TABLES["harmless"]["en"]), *_chinese(_TABLES["harmless"]["zh"]))
VERBS: Final = frozenset((*_english(_TABLES["verbs"]["en"]), *_chinese(_TABLES["verbs"]["zh"])))
BLOCKS: Final = (*_english(_TABLES["blocks"]["en"]), *_chinese(_TABLES["blocks"]["zh"]))
WEAK: Final = word_set(_WORDS["weak"])
SERVICES: Final = word_set(_WORDS["services"])
COMMON: Final = word_set(_WORDS["common"])
TRADITIONAL: Final = str.maketrans(_WORDS["traditional"], _WORDS["simplified"])
