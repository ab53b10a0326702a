"""Every sentence a person reads, in English and Chinese, from one catalogue: the files of `common/sentences/`.

A sentence is a key with `en` and `zh`, and `{name}` placeholders (str.format, no attribute or index access). Sentences
are whole: they are never glued together from parts. A missing key is a programming error and raises KeyError in tests
and code alike; a test walks the sources and the files and holds them together.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final, Literal

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_HAN = re.compile(r"[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence not yet in a language: a catalogue key and its values. Pure code returns these, shells say them."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return say("en", self.key, **self.values)

    def say(self, language: Language) -> str:
        return say(language, self.key, **self.values)


@cache
def sentences() -> dict[str, dict[str, str]]:
    """key -> language -> text, of the whole catalogue."""
    return load(resources.files("common").joinpath("sentences"))


def load(folder: Traversable) -> dict[str, dict[str, str]]:
    """The sentences of a folder's TOML files; raises ValueError for a key in two of them."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        for key, texts in tomllib.loads(file.read_text(encoding="utf-8")).items():
            if key in found:
                raise ValueError(f"{file.name}: {key} is in another file of the catalogue already")
            found[key] = texts
    return found


def say(language: Language, key: str, /, **values: Any) -> str:
    """The sentence `key` in `language`; Sentence values are said in the same language."""
    spoken = {name: value.say(language) if isinstance(value, Sentence) else value for name, value in values.items()}
    return sentences()[key][language].format(**spoken)


def language_of(text: str) -> Language:
    """Chinese where the text has a Han character, else English."""
    return "zh" if _HAN.search(text) else "en"
