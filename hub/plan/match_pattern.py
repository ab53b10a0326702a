"""An example as a pattern, and the ways in which a message fits it word for word. Pure.

An example is compiled once: its words in order, courtesy aside (`phrases`), with places between them. A message fits
where every one of its words is accounted for, in order: "do not restart nginx on web-1" has two words too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.machines import is_expression
from hub.plan import phrases
from hub.plan.phrases import AND, HOLLOW, LINKS, NOUNS, fits
from hub.plan.runbook import PLACE, Runbook
from hub.plan.slots import MACHINE
from hub.plan.words import Word, split


@dataclass(frozen=True, slots=True)
class Place:
    name: str


Element = str | Place


@dataclass(frozen=True, slots=True)
class Pattern:
    runbook: Runbook
    example: str
    elements: tuple[Element, ...]
    literals: frozenset[str]
    bare: bool = False  # made from an example by leaving the machine out


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that fits a pattern word for word; the values may still be wrong."""

    pattern: Pattern
    words: Mapping[str, str]  # place -> what was written there; the machine's is an expression
    linked: bool  # a link word ties the machine's name


class Unreadable(ValueError):
    """An example that cannot become a pattern; `str()` says why."""


def compile_example(runbook: Runbook, example: str) -> Pattern:
    """Raises Unreadable."""
    found = split(example)
    if found is None:
        raise Unreadable("it must be one line of plain words without quotation marks")
    message = phrases.prepare(found)
    elements: list[Element] = []
    for word in message.strict if runbook.changes else message.loose:
        if place := PLACE.fullmatch(word.raw):
            elements.append(Place(place[1]))
        elif "{" in word.raw or "}" in word.raw:
            raise Unreadable(f"{word.raw}: a place must be a word of its own, such as {{path}}")
        else:
            elements.append(word.key)
    literals = frozenset(element for element in elements if isinstance(element, str))
    if not literals:
        raise Unreadable("courtesy aside it has no word of its own, so it would fit anything")
    return Pattern(runbook, example, tuple(elements), literals)


def is_name_of_machine(word: str) -> bool:
    """Whether a word looks like a machine's name or expression and not like a word of a sentence."""
    return any(char in "0123456789*=@" or char == "-" for char in word)


def without_machine(full: Pattern) -> list[Pattern]:
    """The example with no machine named: "disk on {machine}" gives "disk"."""
    at = full.elements.index(Place(MACHINE))
    before, after = list(full.elements[:at]), list(full.elements[at + 1 :])
    if before and before[-1] in LINKS:
        before.pop()
    elif after and after[0] in LINKS:
        after.pop(0)
    literals = frozenset(element for element in before + after if isinstance(element, str))
    if not literals - HOLLOW:
        return []
    return [Pattern(full.runbook, full.example, (*before, *after), literals, bare=True)]


def fit(pattern: Pattern, words: Sequence[Word]) -> Iterator[Hit]:
    """Every assignment of the message's words to the pattern's places that uses up both."""

    def step(element: int, at: int, found: dict[str, str], linked: bool) -> Iterator[Hit]:
        if element == len(pattern.elements):
            if at == len(words):
                yield Hit(pattern, found, linked)
            return
        wanted = pattern.elements[element]
        if isinstance(wanted, str):
            if at < len(words) and words[at].key == wanted:
                yield from step(element + 1, at + 1, found, linked)
        elif wanted.name == MACHINE:
            ties = at > 0 and words[at - 1].key in LINKS
            for end, expression in _machines(words, at):
                tied = ties or (end < len(words) and words[end].key in LINKS)
                yield from step(element + 1, end, {**found, MACHINE: expression}, tied)
        elif at < len(words):
            yield from step(element + 1, at + 1, {**found, wanted.name: words[at].raw}, linked)

    return step(0, 0, {}, False)


def _machines(words: Sequence[Word], start: int) -> list[tuple[int, str]]:
    """Where an expression that begins at `start` may end, and what it is; the longest first.

    "web-1", "the server web-1", "web-1, web-2 and db-1", "web-1 和 web-2 这台机器", "role=web"
    """
    ends: list[tuple[int, str]] = []
    parts: list[str] = []
    at = start
    while True:
        at += fits(words, at, NOUNS)
        part = words[at].raw.removeprefix("@") if at < len(words) else ""
        if not is_expression(part):
            return ends[::-1]
        parts.append(part)
        at += 1
        ends.append((at, ",".join(parts)))
        if noun := fits(words, at, NOUNS):
            ends.append((at + noun, ",".join(parts)))
        connector = fits(words, at, AND)
        if not connector:
            return ends[::-1]
        at += connector


def said(hit: Hit, leave: str = "") -> str:
    """The example as the person would have written it; `leave` names a place that gets a sample instead."""
    return hit.pattern.runbook.fill_example(
        hit.pattern.example, {name: word for name, word in hit.words.items() if name != leave}
    )
