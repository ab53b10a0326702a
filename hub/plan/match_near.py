"""What a message may have meant that fits no example: offered to be said, never planned. Pure.

Examples and message are compared as sets of meanings, each weighted by how few runbooks have it (IDF): "磁盘坏了" is
near what asks for the disk. A word of no meaning counts for the known word whose letters (trigrams) are most like it,
at less weight, and otherwise against every example.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.catalogue import Language
from hub.plan.fuzzy_lexicon import Lexicon, Token
from hub.plan.fuzzy_words import LIGHT, SERVICES, WEAK
from hub.plan.match_pattern import Pattern, is_name_of_machine
from hub.plan.phrases import Message
from hub.plan.runbook import Runbook
from hub.plan.slots import MACHINE
from hub.plan.words import split

MOST_NEAR: Final = 3
MAX_MEANINGS: Final = 12  # of a message; the most telling
MAX_POSTINGS: Final = 400  # examples looked at for one meaning
LEAST: Final = 0.34
_FAINT: Final = 0.3  # the weight of a light or weak meaning
_ALIKE: Final = 0.45  # the least share of trigrams for a word to count for another
_GUESSED: Final = 0.6  # what it then counts
_UNKNOWN: Final = 0.35  # what a word that nobody knows counts against

_FAINT_ONES: Final = frozenset(LIGHT) | WEAK


@dataclass(frozen=True, slots=True)
class Near:
    """A runbook that a message may have meant, and how to say it."""

    runbook: Runbook
    phrase: str
    score: float  # up to 1


@dataclass(frozen=True, slots=True)
class _Example:
    runbook: Runbook
    meanings: frozenset[str]
    named: bool  # it has a place for more than the machine


class NearIndex:
    """All examples by their meanings, for comparing."""

    def __init__(self, patterns: Sequence[Pattern], lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._examples: list[_Example] = []
        seen: set[tuple[str, frozenset[str], bool]] = set()
        for pattern in patterns:
            words = split(pattern.example)
            tokens = lexicon.read(words.words) if words is not None and not pattern.bare else []
            meanings = frozenset(token.text for token in tokens if token.kind == "meaning")
            named = any(token.kind == "place" and token.text != MACHINE for token in tokens)
            if meanings and (pattern.runbook.name, meanings, named) not in seen:
                seen.add((pattern.runbook.name, meanings, named))
                self._examples.append(_Example(pattern.runbook, meanings, named))
        self._place = {one.runbook.name: index for index, one in reversed(list(enumerate(self._examples)))}
        self._weight = _weights(self._examples)
        self._postings: dict[str, list[int]] = {}
        for index, example in enumerate(self._examples):
            for meaning in example.meanings:
                self._postings.setdefault(meaning, []).append(index)
        self._trigrams: dict[str, list[str]] = {}
        for meaning in self._weight:
            for trigram in _trigrams(meaning):
                self._trigrams.setdefault(trigram, []).append(meaning)

    def find(self, message: Message, language: Language, machine: str) -> list[Near]:
        """Up to three runbooks, the nearest first; no change of a machine where the message says not to."""
        tokens = self._lexicon.read(message.words)
        said, unknown = self._said(tokens)
        named = any(token.kind in ("path", "number") or token.text.casefold() in SERVICES for token in tokens)
        scores: dict[str, float] = {}
        runbooks: dict[str, Runbook] = {}
        for index in {index for meaning in said for index in self._postings.get(meaning, ())[:MAX_POSTINGS]}:
            example = self._examples[index]
            name = example.runbook.name
            if example.runbook.changes and message.negated:
                continue
            score = self._score(said, unknown + _UNKNOWN * (named and not example.named), example.meanings)
            if score >= LEAST and score > scores.get(name, 0.0):
                scores[name], runbooks[name] = score, example.runbook
        best = sorted(scores, key=lambda name: (-scores[name], self._place[name]))[:MOST_NEAR]
        return [Near(runbooks[name], runbooks[name].phrase(language, machine), scores[name]) for name in best]

    def _said(self, tokens: Sequence[Token]) -> tuple[Mapping[str, float], float]:
        """Meanings and how surely each is said; and the weight of what is not understood."""
        said: dict[str, float] = {}
        unknown = 0.0
        for token in tokens[: 2 * MAX_MEANINGS]:
            if token.kind == "meaning" or (token.kind == "block" and token.text in self._weight):
                said[token.text] = 1.0
            elif token.kind == "name" and not _is_machine(token) and token.text.casefold() not in SERVICES:
                guess = self._lexicon.corrected(token.text)
                meaning = guess.text if guess is not None and guess.kind == "meaning" else self._alike(token.text)
                if meaning:
                    said.setdefault(meaning, _GUESSED)
                else:
                    unknown += _UNKNOWN
            elif token.kind in ("unknown", "block", "and"):
                unknown += _UNKNOWN / 2
        telling = sorted(said, key=lambda meaning: (-self._weight.get(meaning, 0.0), meaning))[:MAX_MEANINGS]
        return {meaning: said[meaning] for meaning in telling}, min(unknown, 2.0)

    def _alike(self, word: str) -> str:
        """The meaning whose letters are most like those of `word`; "" where none is."""
        mine = _trigrams(word.casefold()[:32])
        shared = Counter(meaning for trigram in mine for meaning in self._trigrams.get(trigram, ()))
        best, score = "", _ALIKE
        for meaning, count in shared.most_common(8):
            share = count / len(mine | _trigrams(meaning))
            if share >= score and meaning not in _FAINT_ONES:
                best, score = meaning, share
        return best

    def _score(self, said: Mapping[str, float], unknown: float, meanings: frozenset[str]) -> float:
        """The weight that both share among all that either has; 0 where all they share is faint."""
        shared = meanings & said.keys()
        if not shared - _FAINT_ONES:
            return 0.0
        both = sum(self._weight[meaning] * said[meaning] for meaning in shared)
        every = sum(self._weight.get(meaning, _FAINT) for meaning in meanings | said.keys())
        return both / (every + unknown)


def _is_machine(token: Token) -> bool:
    """Whether it looks like a machine's name."""
    return token.kind == "name" and is_name_of_machine(token.text)


def _weights(examples: Sequence[_Example]) -> dict[str, float]:
    """How telling each meaning is: 1 where one runbook has it, less the more have it."""
    runbooks: dict[str, set[str]] = {}
    for example in examples:
        for meaning in example.meanings:
            runbooks.setdefault(meaning, set()).add(example.runbook.name)
    count = len({example.runbook.name for example in examples})
    top = math.log(1 + count) or 1.0
    return {
        meaning: (_FAINT if meaning in _FAINT_ONES else 1.0) * math.log(1 + count / len(having)) / top
        for meaning, having in runbooks.items()
    }


def _trigrams(word: str) -> set[str]:
    padded = f" {word} "
    return {padded[at : at + 3] for at in range(len(padded) - 2)}
