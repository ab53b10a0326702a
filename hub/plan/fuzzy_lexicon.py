"""A message as meanings: which of its words mean something, which stand for a value, which only ask.

`Lexicon.read` cuts the words of a message into the longest phrases that it knows, and says of each what it is. It knows
the tables of `fuzzy_words`, and the words of every example that it was made with: what an example says and no table
knows is a meaning of its own. Nothing is dropped silently: a word of no kind is `unknown` or a `name`, and who reads
must account for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from hub.plan import fuzzy_words
from hub.plan.fuzzy_typo import Speller
from hub.plan.fuzzy_words import COMMON, END, TRADITIONAL, VERBS, Phrase
from hub.plan.phrases import AND, COURTESY, EVERY, NOUNS, drop
from hub.plan.runbook import PLACE
from hub.plan.slots import ACTS
from hub.plan.words import Word

Kind = Literal[
    "meaning", "harmless", "noun", "block", "and", "machine", "path", "number", "count", "name", "place", "unknown"
]  # fmt: skip
_NUMBER: Final = re.compile(r"[0-9]{1,12}[A-Za-z]{0,7}", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.:@\\+-]*", re.ASCII | re.IGNORECASE)
_PLAIN: Final = re.compile(r"-?[a-z][a-z'._-]*", re.ASCII)
_ARTICLES: Final = frozenset({"the", "a", "an", "this", "that", "these", "those", "my", "our", "all", "every", "it"})
_ACTS: Final = frozenset({"restart", "reboot"})  # meanings that are acts anyway
_SIZES: Final = frozenset("kMG")
_MEASURES: Final = (
    ("次", ""),
    ("条", ""),
    ("行", ""),
    ("个", ""),
    ("分钟", "m"),
    ("小时", "h"),
    ("个小时", "h"),
    ("天", "d"),
)
_SIGNS: Final = frozenset(".:!?-,")


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a message. `text` is the meaning, or the value as it was written, or the name of a place."""

    kind: Kind
    text: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class _Book:
    """Phrases, what each is, and how long those are that begin with a word, the longest first."""

    senses: Mapping[Phrase, tuple[Kind, str]]
    lengths: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, senses: Mapping[Phrase, tuple[Kind, str]]) -> _Book:
        lengths: dict[str, tuple[int, ...]] = {}
        for phrase in senses:
            known = lengths.get(phrase[0], ())
            if len(phrase) not in known:
                lengths[phrase[0]] = tuple(sorted((*known, len(phrase)), reverse=True))
        return cls(senses, lengths)

    def longest(self, keys: Sequence[str], at: int) -> tuple[int, tuple[Kind, str] | None]:
        for length in self.lengths.get(keys[at], ()):
            if (sense := self.senses.get(tuple(keys[at : at + length]))) is not None:
                return length, sense
        return 0, None


class Lexicon:
    """Phrases and what they are."""

    def __init__(self, examples: Iterable[Sequence[Word]] = ()) -> None:
        learnt = _learnt(examples)
        self.acts = frozenset(text for _, text in learnt.values() if text in ACTS)
        """Words of the examples that may be an act upon what stands beside them: "is {path} clean"."""
        self._book = _Book.of({**_base().senses, **learnt})
        single = {phrase[0]: kind for phrase, (kind, _) in self._book.senses.items() if len(phrase) == 1}
        self._speller = Speller((word for word, kind in single.items() if kind in ("meaning", "harmless")), COMMON)

    def read(self, words: Sequence[Word]) -> list[Token]:
        """The message from left to right; a number's unit is put to it."""
        tokens: list[Token] = []
        begun = False
        keys = keys_of(words)
        at = 0
        while at < len(words):
            length, sense = self._book.longest(keys, at)
            kind, text = sense or _by_form(words[at])
            if not begun and (tuple(keys[at : at + length]) in VERBS or _commands(kind, text, words, at)):
                kind = "block"
            begun = begun or kind != "harmless"
            raw = words[at].raw.removeprefix("@") if length <= 1 else ""
            at += length or 1
            if kind == "count":
                if tokens and tokens[-1].kind == "number" and tokens[-1].text.isdigit():
                    tokens[-1] = Token("number", tokens[-1].text + text)
                    continue
                # "how many gigabytes are free" counts nothing yet; "minutes" alone say something else.
                kind = "harmless" if text in _SIZES else "unknown"
            tokens.append(Token(kind, text or raw.casefold(), raw))
        if "把" in keys and "看" not in keys:
            tokens.append(Token("block", "把"))  # something is to be done to it, and not to be shown
        return tokens

    def corrected(self, word: str) -> Token | None:
        """What a name may be a slip of: a meaning, or something harmless; None where it may be one of several."""
        senses = {self._book.senses[(known,)] for known in self._speller.near(word.casefold())}
        return Token(*senses.pop()) if len(senses) == 1 else None


def keys_of(words: Sequence[Word]) -> list[str]:
    """What phrases are looked up by: Chinese in simplified characters, and the end."""
    return [*(word.key if word.key.isascii() else word.key.translate(TRADITIONAL) for word in words), END]


def _commands(kind: Kind, text: str, words: Sequence[Word], at: int) -> bool:
    """Whether a thing is made an act by what follows: "please partition the disk"."""
    if kind != "meaning" or text in _ACTS or at + 1 >= len(words) or words[at + 1].key not in _ARTICLES:
        return False
    return not drop(words[:at], COURTESY)


def _by_form(word: Word) -> tuple[Kind, str]:
    """What a word is that no table knows."""
    raw = word.raw.removeprefix("@")
    if place := PLACE.fullmatch(raw):
        return "place", place[1]
    if raw in _SIGNS:
        return "harmless", raw
    if raw.startswith("/"):
        return "path", raw
    if _NUMBER.fullmatch(raw):
        return "number", raw
    if "=" in raw or "*" in raw or (raw.endswith("?") and len(raw) > 1):
        return "machine", raw
    return ("name" if _NAME.fullmatch(raw) else "unknown"), raw


def _learnt(examples: Iterable[Sequence[Word]]) -> dict[Phrase, tuple[Kind, str]]:
    """A meaning of its own for every word of the examples that no table knows: an English word, a run of Chinese."""
    found: dict[Phrase, tuple[Kind, str]] = {}
    for words in examples:
        keys = keys_of(words)
        run: list[str] = []
        at = 0
        while at < len(keys):
            length, _ = _base().longest(keys, at)
            if not length and not keys[at].isascii():
                run.append(keys[at])
            elif run:
                found.setdefault(tuple(run), ("meaning", "".join(run)))
                run = []
            if not length and _PLAIN.fullmatch(keys[at]):
                stem = _stem(keys[at])
                for form in (stem, stem + "s"):
                    if (form,) not in _base().senses:
                        found.setdefault((form,), ("meaning", stem))
            at += length or 1
    return found


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word


@cache
def _base() -> _Book:
    """The tables."""
    senses: dict[Phrase, tuple[Kind, str]] = {}

    def add(phrases: Iterable[Phrase], kind: Kind, text: str = "") -> None:
        senses.update((phrase, (kind, text)) for phrase in phrases)

    def every(groups: Mapping[str, Iterable[Phrase]]) -> Iterable[Phrase]:
        return (phrase for phrases in groups.values() for phrase in phrases)

    add(fuzzy_words.HARMLESS, "harmless")
    add(every(NOUNS), "noun")
    add(every(EVERY), "machine", "*")
    # A comma alone parts anything, and 还有 means "there is left" as well.
    add((phrase for phrase in every(AND) if phrase not in ((",",), ("还", "有"))), "and")
    add([("还", "有")], "noun")
    for text, phrases in fuzzy_words.MEANINGS.items():
        add(phrases, "meaning", text)
    for text, phrases in fuzzy_words.LIGHT.items():
        add(phrases, "meaning", text)
    for text, phrases in fuzzy_words.UNITS.items():
        add(phrases, "count", text)
    for text, phrases in fuzzy_words.SPANS.items():
        add(phrases, "number", text)
    for text, phrases in fuzzy_words.NUMERALS.items():
        add((phrase for phrase in phrases if phrase[0].isascii()), "number", text)
        for measure, unit in _MEASURES:
            add(((*phrase, *measure) for phrase in phrases if not phrase[0].isascii()), "number", text + unit)
    add(fuzzy_words.BLOCKS, "block")
    add((verb + tuple(end) for verb in VERBS if not verb[0].isascii() for end in ("一下", "下")), "block")
    return _Book.of(senses)
