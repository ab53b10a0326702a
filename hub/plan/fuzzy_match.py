"""Examples as sets of meanings, and the messages that mean the same. Pure.

Where no example fits word for word, a message still fits one where both have the same meanings, whatever their order,
their synonyms and their language, and the same kinds of values. What makes this precise is that every word must be
accounted for: a word that no table and no example knows, a conjunction between two things, or a machine too many, and
there is no match. Light words (`usage`, `情况`) may be there or not. A slip of the fingers is seen through in words,
never in a name, a path or a number.

How sure a match is decides what becomes of it (`match`): what changes a machine is never run from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from hub.plan.fuzzy_lexicon import Lexicon, Token
from hub.plan.fuzzy_words import BESIDE, COMMON, LIGHT, SERVICES, WEAK
from hub.plan.match_pattern import Hit, Pattern, is_name_of_machine
from hub.plan.phrases import Message
from hub.plan.slots import MACHINE
from hub.plan.words import split, word_set

MAX_TOKENS: Final = 16
MAX_NAMES: Final = 4
MAX_SLIPS: Final = 2

_LIGHT: Final = frozenset(LIGHT)
_BEING: Final = frozenset({"is", "are"})
_ASKING: Final = word_set("what whats which how hows who whos whose where when if whether does do can could 看 查")
_FAINT: Final = _LIGHT | WEAK
_NAMED: Final = frozenset({"unit", "host", "word"})
_NUMERIC: Final = frozenset({"int", "port", "duration", "size"})
_SHAPED: Final = frozenset("0123456789._@-")

Key = tuple[frozenset[str], str]
"""Meanings, and the kinds of values beside them (`_signature`)."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An example by its meanings. Each kind of place is there at most once, so that order tells nothing."""

    pattern: Pattern
    name: str = ""  # the place of a name, a path, a number; "" where there is none
    path: str = ""
    number: str = ""
    light: bool = False  # it has light words itself
    beside: tuple[str, str] = ("", "")  # the meanings on either side of the name


class Doubt(NamedTuple):
    """What speaks against a match, the weightiest first."""

    unsure: bool  # what was taken for a name may be none
    slips: int  # seen through
    light: int  # 1: light words of the message were left out, 2: of the example too


@dataclass(frozen=True, slots=True)
class Match:
    """A message that means what an example means. Less sure than a `Hit`, the more so the higher `doubt` is."""

    hit: Hit  # its words are without a machine where none was named
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class _Gist:
    """What is left of a message when harmless words are gone and its machines are found."""

    tokens: tuple[Token, ...]  # meanings, names, paths, numbers
    machines: str  # an expression
    asked: bool


class FuzzyPatterns:
    """All examples by their meanings."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        examples = [(pattern, found.words) for pattern in patterns if (found := split(pattern.example)) is not None]
        self.lexicon = Lexicon(words for _, words in examples)
        self._exact: dict[Key, list[_Entry]] = {}
        self._light: dict[Key, list[_Entry]] = {}
        for pattern, words in examples:
            self._add(pattern, self.lexicon.read(words))
        for index in (self._exact, self._light):
            for key, entries in index.items():
                index[key] = _owned(entries)

    def _add(self, pattern: Pattern, tokens: Sequence[Token]) -> None:
        kept = [
            token
            for token in tokens
            if token.kind not in ("harmless", "noun") and (token.kind, token.text) != ("place", MACHINE)
        ]
        meanings = frozenset(token.text for token in kept if token.kind == "meaning")
        entry = _entry(pattern, kept, bool(meanings & _LIGHT))
        if entry is None or meanings & self.lexicon.acts:
            return
        signature = _signature(bool(entry.name), bool(entry.path), bool(entry.number))
        if _tells(meanings) or (meanings and signature):
            self._exact.setdefault((meanings, signature), []).append(entry)
        bare = _without_light(meanings)
        if _tells(bare) or (bare and signature) or (not bare and signature == "name"):
            self._light.setdefault((bare, signature), []).append(entry)

    def find(self, message: Message, is_machine: Callable[[str], bool]) -> list[Match]:
        """Every example that means the same, the least doubtful first."""
        gist = self._gist(message, is_machine)
        return [] if gist is None else sorted(self._matches(gist), key=lambda match: match.doubt)

    def _gist(self, message: Message, is_machine: Callable[[str], bool]) -> _Gist | None:
        """None where a word is not accounted for."""
        tokens: list[Token] = []
        machines: list[str] = []
        last = ""  # the kind of token before, `and` and nouns looked through
        between = False  # an `and` is open
        before = 0  # tokens before the machines
        asks = message.question or not _ASKING.isdisjoint(word.key for word in message.words)
        for token in self.lexicon.read(message.words):
            kind = token.kind
            if token.text in _BEING and tokens and not asks:
                return None  # "the disk on web-1 is full": nobody asked
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
        if len(machines) > 1 and _telling(tokens[:before]) and _telling(tokens[before:]):
            return None  # "memory on web-1, db-1 ports": two requests rather than two machines
        if between or len(tokens) > MAX_TOKENS or sum(token.kind == "name" for token in tokens) > MAX_NAMES:
            return None
        return _Gist(tuple(tokens), ",".join(machines), message.asked)

    def _matches(self, gist: _Gist) -> Iterator[Match]:
        names = [index for index, token in enumerate(gist.tokens) if token.kind == "name"]
        paths = [token.text for token in gist.tokens if token.kind == "path"]
        numbers = [token.text for token in gist.tokens if token.kind == "number"]
        if len(paths) > 1 or len(numbers) > 1:
            return
        fixes = {index: self.lexicon.corrected(gist.tokens[index].text) for index in names}
        for name, machine in self._readings(gist, names):
            slips = [index for index in names if index not in (name, machine)]
            fixed = [fixes[index] for index in slips]
            if len(slips) > MAX_SLIPS or not all(fixed):
                continue
            kept = [token for index, token in enumerate(gist.tokens) if token.kind == "meaning" and index != name]
            kept += [token for token in fixed if token is not None and token.kind == "meaning"]
            meanings = frozenset(token.text for token in kept)
            signature = _signature(name is not None, bool(paths), bool(numbers))
            for light, key, index in ((0, meanings, self._exact), (1, _without_light(meanings), self._light)):
                entries = index.get((key, signature), ())
                for entry in entries:
                    sure = name is None or _is_sure(gist, name, entry, bool(key), fixes.get(name) is not None)
                    if not sure and not key:
                        continue
                    words = {entry.path: "".join(paths), entry.number: "".join(numbers)}
                    if name is not None:
                        words[entry.name] = gist.tokens[name].raw
                    words[MACHINE] = gist.machines or (gist.tokens[machine].text if machine is not None else "")
                    hit = Hit(entry.pattern, {place: word for place, word in words.items() if place and word}, True)
                    yield Match(hit, Doubt(not sure, len(slips), light and 1 + entry.light))
                if entries:
                    break

    def _readings(self, gist: _Gist, names: Sequence[int]) -> Iterator[tuple[int | None, int | None]]:
        """Which token may be the value of a place for names, and which the name of a machine that is not there."""
        values = [None, *names]
        values += [
            index
            for index, token in enumerate(gist.tokens)
            if token.kind == "meaning" and token.raw.casefold() in SERVICES
        ]
        for value in values:
            yield value, None
            if not gist.machines:
                for index in names:
                    if index != value and is_name_of_machine(gist.tokens[index].text):
                        yield value, index


def _without_light(meanings: frozenset[str]) -> frozenset[str]:
    """What is left when the light words go that may go beside the others."""
    telling = meanings - _FAINT
    return frozenset(one for one in meanings if one not in _LIGHT or not telling <= BESIDE.get(one, telling))


def _tells(meanings: frozenset[str]) -> bool:
    """Whether they name a thing of their own, or at least two that do in part: who is logged in."""
    return bool(meanings - _FAINT) or len(meanings & WEAK) > 1


def _telling(tokens: Sequence[Token]) -> bool:
    """Whether something is said that names a thing of its own."""
    return any(token.kind == "path" or (token.kind == "meaning" and token.text not in _FAINT) for token in tokens)


def _owned(entries: list[_Entry]) -> list[_Entry]:
    """Those of the runbook that has three times as many as any other; all of them where none has."""
    counts = Counter(entry.pattern.runbook.name for entry in entries).most_common(2)
    if len(counts) > 1 and counts[0][1] < 3 * counts[1][1]:
        return entries
    return [entry for entry in entries if entry.pattern.runbook.name == counts[0][0]]


def _signature(name: bool, path: bool, number: bool) -> str:
    return "+".join(kind for kind, there in (("name", name), ("path", path), ("number", number)) if there)


def _entry(pattern: Pattern, tokens: Sequence[Token], light: bool) -> _Entry | None:
    """None where an example cannot be told by its meanings alone: order matters, or something in it blocks."""
    places: dict[str, str] = {}
    beside = ("", "")
    for index, token in enumerate(tokens):
        if token.kind == "place":
            slot = pattern.runbook.slots[token.text]
            kind = "name" if slot.type in _NAMED else "number" if slot.type in _NUMERIC else slot.type
            if kind in places or kind not in ("name", "path", "number"):
                return None
            places[kind] = token.text
            if kind == "name":
                beside = _beside(tokens, index)
        elif token.kind != "meaning":
            return None
    return _Entry(pattern, light=light, beside=beside, **places)


def _beside(tokens: Sequence[Token], at: int) -> tuple[str, str]:
    """The meanings on either side of a token."""

    def meaning(index: int) -> str:
        token = tokens[index] if 0 <= index < len(tokens) else None
        return token.text if token is not None and token.kind == "meaning" else ""

    return meaning(at - 1), meaning(at + 1)


def _is_sure(gist: _Gist, name: int, entry: _Entry, said: bool, slipped: bool) -> bool:
    """Whether the word that is taken for a name is one; `said` where something else was said beside it, `slipped`
    where it may be another word misspelt."""
    word = gist.tokens[name].raw.casefold()
    kind = entry.pattern.runbook.slots[entry.name].type
    known = word.removesuffix(".service") in SERVICES
    if not said:
        return known and gist.asked
    if kind == "host":
        return "." in word or ":" in word or word == "localhost"
    if known:
        return True
    if slipped or not COMMON.isdisjoint((word, *word.split("-"))):
        return False  # "last-week"
    if any(char in _SHAPED for char in word):
        return True
    shared = [
        mine for mine, theirs in zip(_beside(gist.tokens, name), entry.beside, strict=True) if mine and mine == theirs
    ]
    return bool(shared) and (kind == "word" or "service" in shared)
