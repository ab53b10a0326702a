"""The message catalogue: every sentence that people read, in English and Chinese, from `common/sentences/*.toml`.

A sentence is a key with `en` and `zh`, and `{name}` placeholders (str.format, no attribute or index access). Sentences
are whole and never assembled from parts. What is put in may come from anybody, so no value brings an invisible
character, a control or a change of direction into a sentence: such are shown as escapes. A missing key is a programming
error and raises KeyError in tests and code alike; a test compares the sources with the files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from common.text import clean_lines

if TYPE_CHECKING:  # no cycle: a library that takes long to load, named here alone
    from importlib.resources.abc import Traversable

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_HAN = re.compile(r"[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence not yet in a language: a catalogue key and its values. Pure code returns these; shells render them."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return translate("en", self.key, **self.values)

    def render(self, language: Language) -> str:
        return translate(language, self.key, **self.values)


@cache
def sentences() -> dict[str, dict[str, str]]:
    """key -> language -> text, of the whole catalogue."""
    from importlib import resources  # most programs load the catalogue and say none of its sentences

    return load(resources.files("common").joinpath("sentences"))


def load(folder: Traversable) -> dict[str, dict[str, str]]:
    """The sentences of a folder's TOML files; raises ValueError for a key in two of them."""
    from common.read_file import parse_toml

    found: dict[str, dict[str, str]] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        for key, texts in parse_toml(file.read_bytes(), file.name).items():
            if key in found:
                raise ValueError(f"{file.name}: {key} is in another file of the catalogue already")
            found[key] = texts
    return found


def translate(language: Language, key: str, /, **values: Any) -> str:
    """The sentence `key` in `language`; values that are Sentences are rendered in the same language."""
    return sentences()[key][language].format(**{name: _rendered(value, language) for name, value in values.items()})


def _rendered(value: Any, language: Language) -> Any:
    if isinstance(value, Sentence):
        return value.render(language)
    return clean_lines(value) if isinstance(value, str) else value


def detect_language(text: str) -> Language:
    """Chinese where the text has a Han character, else English."""
    return "zh" if _HAN.search(text) else "en"
