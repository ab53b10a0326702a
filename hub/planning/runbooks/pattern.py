"""Matching word for word: an example as a pattern, and its matches with a message. Pure.

An example is compiled once: its words in order, without courtesy (`phrases`), and slots between them. A message matches
where all its words are accounted for, in order: "do not restart nginx on web-1" has two words too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.core.inventory import is_selector_part
from hub.planning.runbooks import phrases
from hub.planning.runbooks.phrases import AND, LINKS, NO_CONTENT, NOUNS, match_length
from hub.planning.runbooks.runbook import PLACEHOLDER, Runbook
from hub.planning.runbooks.slots import MACHINE
from hub.planning.runbooks.tokens import MessageWord, tokenize


@dataclass(frozen=True, slots=True)
class PatternSlot:
    name: str


PatternElement = str | PatternSlot


@dataclass(frozen=True, slots=True)
class ExamplePattern:
    runbook: Runbook
    example: str
    elements: tuple[PatternElement, ...]
    literals: frozenset[str]
    without_machine: bool = False  # derived from an example by leaving the machine out


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """A message that matches a pattern word for word; its values are not checked yet."""

    pattern: ExamplePattern
    words: Mapping[str, str]  # slot -> the text in its place; for the machine an expression
    linked: bool  # a link word such as "on" precedes or follows the machine's name


class BadExample(ValueError):
    """An example that cannot become a pattern; `str()` says why."""


def compile_example(runbook: Runbook, example: str) -> ExamplePattern:
    """The pattern of an example; raises BadExample."""
    found = tokenize(example)
    if found is None:
        raise BadExample("it must be one line of plain words without quotation marks")
    message = phrases.normalize(found)
    elements: list[PatternElement] = []
    for word in message.strict if runbook.changes else message.loose:
        if place := PLACEHOLDER.fullmatch(word.raw):
            elements.append(PatternSlot(place[1]))
        elif "{" in word.raw or "}" in word.raw:
            raise BadExample(f"{word.raw}: a place must be a word of its own, such as {{path}}")
        else:
            elements.append(word.key)
    literals = frozenset(element for element in elements if isinstance(element, str))
    if not literals:
        raise BadExample("courtesy aside it has no word of its own, so it would fit anything")
    return ExamplePattern(runbook, example, tuple(elements), literals)


def is_name_of_machine(word: str) -> bool:
    """Whether a word has the form of a machine's name or expression rather than of an ordinary word."""
    return any(char in "0123456789*=@" or char == "-" for char in word)


def bare_patterns(full: ExamplePattern) -> list[ExamplePattern]:
    """The pattern without its machine: "disk on {machine}" gives "disk"; [] where nothing specific is left."""
    at = full.elements.index(PatternSlot(MACHINE))
    before, after = list(full.elements[:at]), list(full.elements[at + 1 :])
    if before and before[-1] in LINKS:
        before.pop()
    elif after and after[0] in LINKS:
        after.pop(0)
    literals = frozenset(element for element in before + after if isinstance(element, str))
    if not literals - NO_CONTENT:
        return []
    return [ExamplePattern(full.runbook, full.example, (*before, *after), literals, without_machine=True)]


def match_pattern(pattern: ExamplePattern, words: Sequence[MessageWord]) -> Iterator[PatternMatch]:
    """Every assignment of the message's words to the pattern that leaves no word and no element over."""

    def step(element: int, at: int, found: dict[str, str], linked: bool) -> Iterator[PatternMatch]:
        if element == len(pattern.elements):
            if at == len(words):
                yield PatternMatch(pattern, found, linked)
            return
        expected = pattern.elements[element]
        if isinstance(expected, str):
            if at < len(words) and words[at].key == expected:
                yield from step(element + 1, at + 1, found, linked)
        elif expected.name == MACHINE:
            ties = at > 0 and words[at - 1].key in LINKS
            for end, expression in _machine_expressions(words, at):
                tied = ties or (end < len(words) and words[end].key in LINKS)
                yield from step(element + 1, end, {**found, MACHINE: expression}, tied)
        elif at < len(words):
            yield from step(element + 1, at + 1, {**found, expected.name: words[at].raw}, linked)

    return step(0, 0, {}, False)


def _machine_expressions(words: Sequence[MessageWord], start: int) -> list[tuple[int, str]]:
    """(end, expression) of every machine expression that begins at `start`, the longest first.

    "web-1", "the server web-1", "web-1, web-2 and db-1", "web-1 和 web-2 这台机器", "role=web"
    """
    ends: list[tuple[int, str]] = []
    parts: list[str] = []
    at = start
    while True:
        at += match_length(words, at, NOUNS)
        part = words[at].raw.removeprefix("@") if at < len(words) else ""
        if not is_selector_part(part):
            return ends[::-1]
        parts.append(part)
        at += 1
        ends.append((at, ",".join(parts)))
        if noun := match_length(words, at, NOUNS):
            ends.append((at + noun, ",".join(parts)))
        connector = match_length(words, at, AND)
        if not connector:
            return ends[::-1]
        at += connector


def render_example(hit: PatternMatch, sample_for: str = "") -> str:
    """The example with the match's values; the slot `sample_for` gets its sample instead."""
    return hit.pattern.runbook.fill_example(
        hit.pattern.example, {name: word for name, word in hit.words.items() if name != sample_for}
    )
