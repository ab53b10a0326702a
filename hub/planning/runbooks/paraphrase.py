"""Matching by meaning: examples as sets of meanings, and the messages with the same set. Pure.

Where no example matches word for word, a message still matches one with the same meanings, whatever their order,
synonyms and language, and the same kinds of values. It is precise because every word must be accounted for: a word that
no table and no example has, a conjunction between two things, or an extra machine, and there is no match. Light words
(`usage`, `情况`) are optional. Typing errors are corrected in words, never in a name, a path or a number.

The penalty of a match decides what `matcher` does with it: what changes a machine is never run from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from hub.planning.runbooks.lexicon import Lexicon, MeaningToken
from hub.planning.runbooks.pattern import ExamplePattern, PatternMatch, is_name_of_machine
from hub.planning.runbooks.phrases import NormalizedMessage
from hub.planning.runbooks.slots import MACHINE
from hub.planning.runbooks.tokens import tokenize, word_set
from hub.planning.runbooks.vocabulary import BESIDE, COMMON, LIGHT, SERVICES, WEAK

MAX_TOKENS: Final = 16
MAX_NAMES: Final = 4
MAX_SLIPS: Final = 2

_LIGHT: Final = frozenset(LIGHT)
_BE_VERBS: Final = frozenset({"is", "are"})
_QUESTION_WORDS: Final = word_set(
    "what whats which how hows who whos whose where when if whether does do can could 看 查"
)
_WEAK_MEANINGS: Final = _LIGHT | WEAK
_NAME_TYPES: Final = frozenset({"unit", "host", "word"})
_NUMBER_TYPES: Final = frozenset({"int", "port", "duration", "size"})
_NAME_CHARS: Final = frozenset("0123456789._@-")

MeaningKey = tuple[frozenset[str], str]
"""Meanings, and the kinds of values that come with them (`_signature`)."""


@dataclass(frozen=True, slots=True)
class _ExampleEntry:
    """An example as meanings. It has each kind of slot at most once, so that order does not matter."""

    pattern: ExamplePattern
    name: str = ""  # the slot for a name, a path, a number; "" where there is none
    path: str = ""
    number: str = ""
    light: bool = False  # the example has light words
    neighbours: tuple[str, str] = ("", "")  # the meanings on either side of the name


class MatchPenalty(NamedTuple):
    """The doubts about a match, the gravest first; compared as a tuple."""

    unsure: bool  # the word taken for a name may be none
    slips: int  # corrected typing errors
    light: int  # 1: light words of the message were left out, 2: of the example too


@dataclass(frozen=True, slots=True)
class ParaphraseMatch:
    """A message that means the same as an example; the higher `penalty`, the less certain."""

    hit: PatternMatch  # without a machine where the message names none
    penalty: MatchPenalty


@dataclass(frozen=True, slots=True)
class _MessageMeanings:
    """A message without words that carry no content, its machines separated."""

    tokens: tuple[MeaningToken, ...]  # meanings, names, paths, numbers
    machines: str  # an expression
    asked: bool


class ParaphraseIndex:
    """An index of all examples by their meanings."""

    def __init__(self, patterns: Sequence[ExamplePattern]) -> None:
        examples = [(pattern, found.words) for pattern in patterns if (found := tokenize(pattern.example)) is not None]
        self.lexicon = Lexicon(words for _, words in examples)
        self._exact: dict[MeaningKey, list[_ExampleEntry]] = {}
        self._light: dict[MeaningKey, list[_ExampleEntry]] = {}
        for pattern, words in examples:
            self._add(pattern, self.lexicon.tokenize(words))
        for index in (self._exact, self._light):
            for key, entries in index.items():
                index[key] = _dominant(entries)

    def _add(self, pattern: ExamplePattern, tokens: Sequence[MeaningToken]) -> None:
        relevant = [
            token
            for token in tokens
            if token.kind not in ("harmless", "noun") and (token.kind, token.text) != ("place", MACHINE)
        ]
        meanings = frozenset(token.text for token in relevant if token.kind == "meaning")
        entry = _entry(pattern, relevant, bool(meanings & _LIGHT))
        if entry is None or meanings & self.lexicon.acts:
            return
        signature = _signature(bool(entry.name), bool(entry.path), bool(entry.number))
        if _is_specific(meanings) or (meanings and signature):
            self._exact.setdefault((meanings, signature), []).append(entry)
        bare = _without_light(meanings)
        if _is_specific(bare) or (bare and signature) or (not bare and signature == "name"):
            self._light.setdefault((bare, signature), []).append(entry)

    def find(self, message: NormalizedMessage, is_machine: Callable[[str], bool]) -> list[ParaphraseMatch]:
        """Every example that means the same, the least penalty first."""
        meant = self._meanings_of(message, is_machine)
        return [] if meant is None else sorted(self._matches(meant), key=lambda match: match.penalty)

    def _meanings_of(self, message: NormalizedMessage, is_machine: Callable[[str], bool]) -> _MessageMeanings | None:
        """The message's meanings and machines; None where a word is not accounted for."""
        tokens: list[MeaningToken] = []
        machines: list[str] = []
        last = ""  # the kind of token before, `and` and nouns looked through
        between = False  # an `and` is open
        before = 0  # tokens before the machines
        asks = message.question or not _QUESTION_WORDS.isdisjoint(word.key for word in message.words)
        for token in self.lexicon.tokenize(message.words):
            kind = token.kind
            if token.text in _BE_VERBS and tokens and not asks:
                return None  # "the disk on web-1 is full" is a statement
            if kind in ("name", "number") and is_machine(token.text):
                kind = "machine"
            if kind == "noun" or (kind == "harmless" and token.text == ","):
                continue
            if kind == "and":
                if last != "machine" or between:
                    return None
                between = True
            elif kind == "machine":
                if machines and last != "machine":
                    return None
                machines.append(token.text)
                before = len(tokens) if len(machines) == 1 else before
                last, between = kind, False
            elif kind in ("meaning", "name", "path", "number", "harmless") and not between:
                if kind != "harmless":
                    tokens.append(token)
                last = kind
            else:
                return None
        if len(machines) > 1 and _has_specific(tokens[:before]) and _has_specific(tokens[before:]):
            return None  # "memory on web-1, db-1 ports": two requests rather than two machines
        if between or len(tokens) > MAX_TOKENS or sum(token.kind == "name" for token in tokens) > MAX_NAMES:
            return None
        return _MessageMeanings(tuple(tokens), ",".join(machines), message.is_request)

    def _matches(self, meant: _MessageMeanings) -> Iterator[ParaphraseMatch]:
        names = [index for index, token in enumerate(meant.tokens) if token.kind == "name"]
        paths = [token.text for token in meant.tokens if token.kind == "path"]
        numbers = [token.text for token in meant.tokens if token.kind == "number"]
        if len(paths) > 1 or len(numbers) > 1:
            return
        fixes = {index: self.lexicon.correct_spelling(meant.tokens[index].text) for index in names}
        for name, machine in self._name_candidates(meant, names):
            slips = [index for index in names if index not in (name, machine)]
            fixed = [fixes[index] for index in slips]
            if len(slips) > MAX_SLIPS or not all(fixed):
                continue
            used = [token for index, token in enumerate(meant.tokens) if token.kind == "meaning" and index != name]
            used += [token for token in fixed if token is not None and token.kind == "meaning"]
            meanings = frozenset(token.text for token in used)
            signature = _signature(name is not None, bool(paths), bool(numbers))
            for light, key, index in ((0, meanings, self._exact), (1, _without_light(meanings), self._light)):
                entries = index.get((key, signature), ())
                for entry in entries:
                    sure = name is None or _is_sure(meant, name, entry, bool(key), fixes.get(name) is not None)
                    if not sure and not key:
                        continue
                    words = {entry.path: "".join(paths), entry.number: "".join(numbers)}
                    if name is not None:
                        words[entry.name] = meant.tokens[name].raw
                    words[MACHINE] = meant.machines or (meant.tokens[machine].text if machine is not None else "")
                    hit = PatternMatch(
                        entry.pattern, {place: word for place, word in words.items() if place and word}, True
                    )
                    yield ParaphraseMatch(hit, MatchPenalty(not sure, len(slips), light and 1 + entry.light))
                if entries:
                    break

    def _name_candidates(
        self, meant: _MessageMeanings, names: Sequence[int]
    ) -> Iterator[tuple[int | None, int | None]]:
        """Which token may be the value of a name slot, and which the name of an unknown machine."""
        values = [None, *names]
        values += [
            index
            for index, token in enumerate(meant.tokens)
            if token.kind == "meaning" and token.raw.casefold() in SERVICES
        ]
        for value in values:
            yield value, None
            if not meant.machines:
                for index in names:
                    if index != value and is_name_of_machine(meant.tokens[index].text):
                        yield value, index


def _without_light(meanings: frozenset[str]) -> frozenset[str]:
    """The meanings without the light words that the others allow to be left out."""
    telling = meanings - _WEAK_MEANINGS
    return frozenset(one for one in meanings if one not in _LIGHT or not telling <= BESIDE.get(one, telling))


def _is_specific(meanings: frozenset[str]) -> bool:
    """Whether they contain a specific meaning, or at least two weak ones: who is logged in."""
    return bool(meanings - _WEAK_MEANINGS) or len(meanings & WEAK) > 1


def _has_specific(tokens: Sequence[MeaningToken]) -> bool:
    """Whether a token is a path or a specific meaning."""
    return any(
        token.kind == "path" or (token.kind == "meaning" and token.text not in _WEAK_MEANINGS) for token in tokens
    )


def _dominant(entries: list[_ExampleEntry]) -> list[_ExampleEntry]:
    """The entries of the runbook that has three times as many as any other; all entries where none has."""
    counts = Counter(entry.pattern.runbook.name for entry in entries).most_common(2)
    if len(counts) > 1 and counts[0][1] < 3 * counts[1][1]:
        return entries
    return [entry for entry in entries if entry.pattern.runbook.name == counts[0][0]]


def _signature(name: bool, path: bool, number: bool) -> str:
    return "+".join(kind for kind, there in (("name", name), ("path", path), ("number", number)) if there)


def _entry(pattern: ExamplePattern, tokens: Sequence[MeaningToken], light: bool) -> _ExampleEntry | None:
    """An example's entry; None where meanings alone do not identify it: order matters, or a word blocks."""
    places: dict[str, str] = {}
    beside = ("", "")
    for index, token in enumerate(tokens):
        if token.kind == "place":
            slot = pattern.runbook.slots[token.text]
            kind = "name" if slot.type in _NAME_TYPES else "number" if slot.type in _NUMBER_TYPES else slot.type
            if kind in places or kind not in ("name", "path", "number"):
                return None
            places[kind] = token.text
            if kind == "name":
                beside = _neighbours(tokens, index)
        elif token.kind != "meaning":
            return None
    return _ExampleEntry(pattern, light=light, neighbours=beside, **places)


def _neighbours(tokens: Sequence[MeaningToken], at: int) -> tuple[str, str]:
    """The meanings on either side of a token."""

    def meaning(index: int) -> str:
        token = tokens[index] if 0 <= index < len(tokens) else None
        return token.text if token is not None and token.kind == "meaning" else ""

    return meaning(at - 1), meaning(at + 1)


def _is_sure(meant: _MessageMeanings, name: int, entry: _ExampleEntry, has_meanings: bool, misspelt: bool) -> bool:
    """Whether the word taken for a name is one. `has_meanings`: the message has other meanings; `misspelt`: the word
    may be a misspelling of a known one.
    """
    word = meant.tokens[name].raw.casefold()
    kind = entry.pattern.runbook.slots[entry.name].type
    known = word.removesuffix(".service") in SERVICES
    if not has_meanings:
        return known and meant.asked
    if kind == "host":
        return "." in word or ":" in word or word == "localhost"
    if known:
        return True
    if misspelt or not COMMON.isdisjoint((word, *word.split("-"))):
        return False  # "last-week"
    if any(char in _NAME_CHARS for char in word):
        return True
    shared = [
        mine
        for mine, theirs in zip(_neighbours(meant.tokens, name), entry.neighbours, strict=True)
        if mine and mine == theirs
    ]
    return bool(shared) and (kind == "word" or "service" in shared)
