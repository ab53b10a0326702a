"""Suggestions for a message that matches no example: offered as phrases, never planned. Pure.

Examples and message are compared as sets of meanings, each weighted by how few runbooks have it (IDF): "磁盘坏了" is
near the runbook for the disk. A word without meaning counts as the known word with the most similar trigrams, at less
weight, and otherwise against every example.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.catalogue import LANGUAGES, Language
from hub.planning.runbooks.lexicon import Lexicon, MeaningToken
from hub.planning.runbooks.pattern import ExamplePattern, is_name_of_machine
from hub.planning.runbooks.phrases import NormalizedMessage
from hub.planning.runbooks.runbook import Runbook
from hub.planning.runbooks.slots import MACHINE
from hub.planning.runbooks.tokens import tokenize
from hub.planning.runbooks.vocabulary import COMMON, LIGHT, SERVICES, WEAK

MAX_SUGGESTIONS: Final = 3
MAX_MEANINGS: Final = 12  # of a message; the most specific
MAX_POSTINGS: Final = 400  # examples considered for one meaning
MIN_SCORE: Final = 0.34
_WEAK_WEIGHT: Final = 0.3  # the weight of a light or weak meaning
_MIN_GUESSED: Final = 4  # letters of a word that may count as one that looks like it
_MIN_SIMILARITY: Final = 0.45  # the least share of common trigrams for a word to count as another
_GUESS_WEIGHT: Final = 0.6  # its weight then
_UNKNOWN_WEIGHT: Final = 0.35  # the weight of an unknown word against an example

_WEAK_MEANINGS: Final = frozenset(LIGHT) | WEAK | {"it", "this", "that", "there", "them", "what"}
_NAME_TYPES: Final = frozenset({"unit", "host", "word"})


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A runbook that a message may have meant, with a phrase for it."""

    runbook: Runbook
    phrase: str
    score: float  # up to 1


@dataclass(frozen=True, slots=True)
class _Example:
    runbook: Runbook
    meanings: frozenset[str]
    named: bool  # it has slots besides the machine


class SuggestionIndex:
    """An index of all examples by their meanings."""

    def __init__(self, patterns: Sequence[ExamplePattern], lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._examples: list[_Example] = []
        indexed: set[tuple[str, frozenset[str], bool]] = set()
        for pattern in patterns:
            words = tokenize(pattern.example)
            tokens = lexicon.tokenize(words.words) if words is not None and not pattern.without_machine else []
            meanings = frozenset(token.text for token in tokens if token.kind == "meaning")
            named = any(token.kind == "place" and token.text != MACHINE for token in tokens)
            if meanings and (pattern.runbook.name, meanings, named) not in indexed:
                indexed.add((pattern.runbook.name, meanings, named))
                self._examples.append(_Example(pattern.runbook, meanings, named))
        self._place = {one.runbook.name: index for index, one in reversed(list(enumerate(self._examples)))}
        self._idf = _idf_weights(self._examples)
        self._postings: dict[str, list[int]] = {}
        for index, example in enumerate(self._examples):
            for meaning in example.meanings:
                self._postings.setdefault(meaning, []).append(index)
        self._trigrams: dict[str, list[str]] = {}
        for meaning in self._idf:
            for trigram in _trigrams(meaning):
                self._trigrams.setdefault(trigram, []).append(meaning)

    def find(self, message: NormalizedMessage, language: Language, machine: str) -> list[Suggestion]:
        """Up to three runbooks, the nearest first; none that changes a machine where the message is negated."""
        tokens = self._lexicon.tokenize(message.words)
        weights, unknown = self._message_weights(tokens)
        named = any(token.kind in ("path", "number") or token.text.casefold() in SERVICES for token in tokens)
        other = named or any(token.kind == "name" and not _is_machine(token) for token in tokens)
        scores: dict[str, float] = {}
        runbooks: dict[str, Runbook] = {}
        for index in {index for meaning in weights for index in self._postings.get(meaning, ())[:MAX_POSTINGS]}:
            example = self._examples[index]
            name = example.runbook.name
            if example.runbook.changes and (message.negated or not _is_asked(example, weights, other)):
                continue
            score = self._score(weights, unknown + _UNKNOWN_WEIGHT * (named and not example.named), example.meanings)
            if score >= MIN_SCORE and score > scores.get(name, 0.0):
                scores[name], runbooks[name] = score, example.runbook
        best = sorted(scores, key=lambda name: (-scores[name], self._place[name]))[:MAX_SUGGESTIONS]
        names = list(dict.fromkeys(token.text for token in tokens if token.kind == "name" and not _is_machine(token)))
        found = [(name, _phrase(runbooks[name], names, language, machine)) for name in best]
        return [Suggestion(runbooks[name], phrase, scores[name]) for name, phrase in found if phrase]

    def _message_weights(self, tokens: Sequence[MeaningToken]) -> tuple[Mapping[str, float], float]:
        """Meaning -> certainty, and the weight of what is not understood."""
        certainty: dict[str, float] = {}
        unknown = 0.0
        for token in tokens[: 2 * MAX_MEANINGS]:
            if token.kind == "meaning" or (token.kind == "block" and token.text in self._idf):
                certainty[token.text] = 1.0
            elif token.kind == "name" and not _is_machine(token) and token.text.casefold() not in SERVICES:
                guess = self._lexicon.correct_spelling(token.text)
                meaning = (
                    guess.text if guess is not None and guess.kind == "meaning" else self._most_similar(token.text)
                )
                if meaning:
                    certainty.setdefault(meaning, _GUESS_WEIGHT)
                else:
                    unknown += _UNKNOWN_WEIGHT
            elif token.kind in ("unknown", "block", "and"):
                unknown += _UNKNOWN_WEIGHT / 2
        specific = sorted(certainty, key=lambda meaning: (-self._idf.get(meaning, 0.0), meaning))[:MAX_MEANINGS]
        return {meaning: certainty[meaning] for meaning in specific}, min(unknown, 2.0)

    def _most_similar(self, word: str) -> str:
        """The meaning with the trigrams most similar to those of `word`; "" where none is similar."""
        if len(word) < _MIN_GUESSED or word.casefold() in COMMON:
            return ""
        own = _trigrams(word.casefold()[:32])
        shared = Counter(meaning for trigram in own for meaning in self._trigrams.get(trigram, ()))
        best, score = "", _MIN_SIMILARITY
        for meaning, count in shared.most_common(8):
            share = count / len(own | _trigrams(meaning))
            if share >= score and meaning not in _WEAK_MEANINGS:
                best, score = meaning, share
        return best

    def _score(self, weights: Mapping[str, float], unknown: float, meanings: frozenset[str]) -> float:
        """The weight of common meanings relative to all of both; 0 where they have only weak ones in common."""
        shared = meanings & weights.keys()
        if not shared - _WEAK_MEANINGS:
            return 0.0
        both = sum(self._idf[meaning] * weights[meaning] for meaning in shared)
        every = sum(self._idf.get(meaning, _WEAK_WEIGHT) for meaning in meanings | weights.keys())
        return both / (every + unknown)


def _phrase(runbook: Runbook, names: Sequence[str], language: Language, machine: str) -> str:
    """A phrase for the runbook. One that changes something is about what the message names, and never about a sample:
    "" where that is not clear.
    """
    places = {name: slot for name, slot in runbook.slots.items() if slot.default is None}
    if not runbook.changes or not places:
        return runbook.sample_phrase(language, machine)
    ((name, slot), *others) = places.items()
    names = [one for one in names if one.casefold() in SERVICES] or names
    if others or len(names) != 1 or slot.type not in _NAME_TYPES or slot.convert(names[0]) is None:
        return ""
    examples = next(iter(found for one in (language, *LANGUAGES) if (found := runbook.examples.get(one))), ())
    return runbook.fill_example(examples[0], {MACHINE: machine, name: names[0]}) if examples else ""


def _is_asked(example: _Example, weights: Mapping[str, float], other: bool) -> bool:
    """Whether a message asks for no less than an example that changes a machine: all that the example means was said,
    in words that are known. `other` tells that the message names something beside the machine: "restart nginx" asks
    for less than a reboot.
    """
    return all(weights.get(meaning, 0.0) == 1.0 for meaning in example.meanings) and (example.named or not other)


def _is_machine(token: MeaningToken) -> bool:
    """Whether a token has the form of a machine's name."""
    return token.kind == "name" and is_name_of_machine(token.text)


def _idf_weights(examples: Sequence[_Example]) -> dict[str, float]:
    """The specificity of each meaning: 1 where one runbook has it, less the more have it."""
    runbooks: dict[str, set[str]] = {}
    for example in examples:
        for meaning in example.meanings:
            runbooks.setdefault(meaning, set()).add(example.runbook.name)
    count = len({example.runbook.name for example in examples})
    top = math.log(1 + count) or 1.0
    return {
        meaning: (_WEAK_WEIGHT if meaning in _WEAK_MEANINGS else 1.0) * math.log(1 + count / len(having)) / top
        for meaning, having in runbooks.items()
    }


def _trigrams(word: str) -> set[str]:
    padded = f" {word} "
    return {padded[at : at + 3] for at in range(len(padded) - 2)}
