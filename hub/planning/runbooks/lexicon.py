"""A message as meanings: classifies its words as meanings, values, and words without content.

`Lexicon.tokenize` cuts the words of a message into the longest known phrases and gives each a kind. It knows the tables
of `vocabulary`, and the words of every example that it was built with: a word of an example that no table has is a
meaning of its own. Nothing is dropped silently: an unclassified word is `unknown` or a `name`, and callers must account
for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from hub.planning.runbooks import vocabulary
from hub.planning.runbooks.phrases import AND, COURTESY, EVERY, NOUNS, remove_phrases
from hub.planning.runbooks.runbook import PLACEHOLDER
from hub.planning.runbooks.slots import ACTION_WORDS
from hub.planning.runbooks.spelling import Speller
from hub.planning.runbooks.tokens import MessageWord
from hub.planning.runbooks.vocabulary import COMMON, END, TRADITIONAL, VERBS, Phrase

TokenKind = Literal[
    "meaning", "harmless", "noun", "block", "and", "machine", "path", "number", "count", "name", "place", "unknown"
]  # fmt: skip
_NUMBER: Final = re.compile(r"[0-9]{1,12}[A-Za-z]{0,7}", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.:@\\+-]*", re.ASCII | re.IGNORECASE)
_PLAIN: Final = re.compile(r"-?[a-z][a-z'._-]*", re.ASCII)
_ARTICLES: Final = frozenset({"the", "a", "an", "this", "that", "these", "those", "my", "our", "all", "every", "it"})
_ACTS: Final = frozenset({"restart", "reboot"})  # meanings that are actions in any case
_SIZES: Final = frozenset("kMG")
_MEASURE_WORDS: Final = (
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
class MeaningToken:
    """One phrase of a message. `text` is the meaning, the value as written, or the name of a slot."""

    kind: TokenKind
    text: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class _PhraseTable:
    """Phrases with their kind and meaning; and for each first word the lengths of its phrases, the longest first."""

    senses: Mapping[Phrase, tuple[TokenKind, str]]
    lengths: Mapping[str, tuple[int, ...]]

    @classmethod
    def build(cls, senses: Mapping[Phrase, tuple[TokenKind, str]]) -> _PhraseTable:
        lengths: dict[str, tuple[int, ...]] = {}
        for phrase in senses:
            known = lengths.get(phrase[0], ())
            if len(phrase) not in known:
                lengths[phrase[0]] = tuple(sorted((*known, len(phrase)), reverse=True))
        return cls(senses, lengths)

    def longest_match(self, keys: Sequence[str], at: int) -> tuple[int, tuple[TokenKind, str] | None]:
        for length in self.lengths.get(keys[at], ()):
            if (sense := self.senses.get(tuple(keys[at : at + length]))) is not None:
                return length, sense
        return 0, None


class Lexicon:
    """The phrases of the tables and of the examples, with what each means."""

    def __init__(self, examples: Iterable[Sequence[MessageWord]] = ()) -> None:
        learned = _example_phrases(examples)
        self.acts = frozenset(text for _, text in learned.values() if text in ACTION_WORDS)
        """Words of the examples that may be an action on the word beside them: "is {path} clean"."""
        self._phrases = _PhraseTable.build({**_base_phrases().senses, **learned})
        single = {phrase[0]: kind for phrase, (kind, _) in self._phrases.senses.items() if len(phrase) == 1}
        self._speller = Speller((word for word, kind in single.items() if kind in ("meaning", "harmless")), COMMON)

    def tokenize(self, words: Sequence[MessageWord]) -> list[MeaningToken]:
        """The message as tokens, from left to right; a unit is joined to its number."""
        tokens: list[MeaningToken] = []
        started = False
        keys = lookup_keys(words)
        at = 0
        while at < len(words):
            length, sense = self._phrases.longest_match(keys, at)
            kind, text = sense or _classify_by_form(words[at])
            if not started and (tuple(keys[at : at + length]) in VERBS or _is_command(kind, text, words, at)):
                kind = "block"
            started = started or kind != "harmless"
            raw = words[at].raw.removeprefix("@") if length <= 1 else ""
            at += length or 1
            if kind == "count":
                if tokens and tokens[-1].kind == "number" and tokens[-1].text.isdigit():
                    tokens[-1] = MeaningToken("number", tokens[-1].text + text)
                    continue
                # "how many gigabytes are free" has no number; "minutes" alone mean something else.
                kind = "harmless" if text in _SIZES else "unknown"
            tokens.append(MeaningToken(kind, text or raw.casefold(), raw))
        if "把" in keys and "看" not in keys:
            tokens.append(
                MeaningToken("block", "把")
            )  # 把 marks the object of an action, unless something is to be shown (看)
        return tokens

    def correct_spelling(self, word: str) -> MeaningToken | None:
        """The known word that `word` is a misspelling of, as a token; None where there is none or several."""
        senses = {self._phrases.senses[(known,)] for known in self._speller.corrections(word.casefold())}
        return MeaningToken(*senses.pop()) if len(senses) == 1 else None


def lookup_keys(words: Sequence[MessageWord]) -> list[str]:
    """The keys to look phrases up by: Chinese in simplified characters, and END after the last."""
    return [*(word.key if word.key.isascii() else word.key.translate(TRADITIONAL) for word in words), END]


def _is_command(kind: TokenKind, text: str, words: Sequence[MessageWord], at: int) -> bool:
    """Whether a noun is used as a verb: "please partition the disk"."""
    if kind != "meaning" or text in _ACTS or at + 1 >= len(words) or words[at + 1].key not in _ARTICLES:
        return False
    return not remove_phrases(words[:at], COURTESY)


def _classify_by_form(word: MessageWord) -> tuple[TokenKind, str]:
    """Kind and text of a word that no table has, by its form."""
    raw = word.raw.removeprefix("@")
    if place := PLACEHOLDER.fullmatch(raw):
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


def _example_phrases(examples: Iterable[Sequence[MessageWord]]) -> dict[Phrase, tuple[TokenKind, str]]:
    """A new meaning for every word of the examples that no table has: an English word, or a run of Chinese."""
    found: dict[Phrase, tuple[TokenKind, str]] = {}
    for words in examples:
        keys = lookup_keys(words)
        run: list[str] = []
        at = 0
        while at < len(keys):
            length, _ = _base_phrases().longest_match(keys, at)
            if not length and not keys[at].isascii():
                run.append(keys[at])
            elif run:
                found.setdefault(tuple(run), ("meaning", "".join(run)))
                run = []
            if not length and _PLAIN.fullmatch(keys[at]):
                stem = _stem(keys[at])
                for form in (stem, stem + "s"):
                    if (form,) not in _base_phrases().senses:
                        found.setdefault((form,), ("meaning", stem))
            at += length or 1
    return found


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word


@cache
def _base_phrases() -> _PhraseTable:
    """The phrases of the tables in `vocabulary` and `phrases`."""
    senses: dict[Phrase, tuple[TokenKind, str]] = {}

    def add(phrases: Iterable[Phrase], kind: TokenKind, text: str = "") -> None:
        senses.update((phrase, (kind, text)) for phrase in phrases)

    def every(groups: Mapping[str, Iterable[Phrase]]) -> Iterable[Phrase]:
        return (phrase for phrases in groups.values() for phrase in phrases)

    add(vocabulary.HARMLESS, "harmless")
    add(every(NOUNS), "noun")
    add(every(EVERY), "machine", "*")
    # A comma separates anything, and 还有 also means "there is left".
    add((phrase for phrase in every(AND) if phrase not in ((",",), ("还", "有"))), "and")
    add([("还", "有")], "noun")
    for text, phrases in vocabulary.MEANINGS.items():
        add(phrases, "meaning", text)
    for text, phrases in vocabulary.LIGHT.items():
        add(phrases, "meaning", text)
    for text, phrases in vocabulary.UNITS.items():
        add(phrases, "count", text)
    for text, phrases in vocabulary.SPANS.items():
        add(phrases, "number", text)
    for text, phrases in vocabulary.NUMERALS.items():
        add((phrase for phrase in phrases if phrase[0].isascii()), "number", text)
        for measure, unit in _MEASURE_WORDS:
            add(((*phrase, *measure) for phrase in phrases if not phrase[0].isascii()), "number", text + unit)
    add(vocabulary.BLOCKS, "block")
    add((verb + tuple(end) for verb in VERBS if not verb[0].isascii() for end in ("一下", "下")), "block")
    return _PhraseTable.build(senses)
