"""Which runbook a message means. Precision first: a wrong match is worse than none.

An example is compiled once into a pattern: its words in order, with places between them. A message fits where, courtesy
aside (`phrases`), every one of its words is accounted for, in order: "do not restart nginx on web-1" has two words too
many. Nothing is guessed: a message that nearly fits is answered with what would (`near`), and nothing runs.

A message finds its candidates through each pattern's rarest word, so that the work grows with what it shares with the
examples and not with their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.catalogue import Language, Sentence
from hub.machines import Inventory, NoTarget, is_expression, resolve
from hub.plan import phrases
from hub.plan.outcome import Cannot, Context, Outcome, Planned
from hub.plan.phrases import AND, HOLLOW, LINKS, NOUNS, Message, fits
from hub.plan.runbook import PLACE, Runbook
from hub.plan.slots import MACHINE, NEVER_VALUES, Slot
from hub.plan.words import Word, split

MOST_NEAR: Final = 3
_TELLING: Final = frozenset({"path", "port", "int", "duration", "enum"})
"""Types whose misfit is worth an answer: the words around it can hardly mean something else."""


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


@dataclass(frozen=True, slots=True)
class Near:
    """A runbook that a message may have meant, and how to say it."""

    runbook: Runbook
    phrase: str
    score: float


class Unreadable(ValueError):
    """An example that cannot become a pattern; `str()` says why."""


class _Found:
    """The machines of hits; each expression is looked up once, for there may be many machines."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[str, tuple[str, ...] | NoTarget] = {}

    def __call__(self, hit: Hit) -> tuple[str, ...] | NoTarget:
        expression = hit.words[MACHINE]
        if expression not in self._known:
            try:
                self._known[expression] = resolve(expression, self._inventory)
            except NoTarget as error:
                self._known[expression] = error
        return self._known[expression]


class Runbooks:
    """All runbooks, compiled; the planner of plain words."""

    def __init__(self, runbooks: Sequence[Runbook], never: Collection[str] = ()) -> None:
        """`never` are words that are never taken for the name of a service, a host or the like. Raises Unreadable."""
        self.all = tuple(runbooks)
        self._place = {runbook.name: index for index, runbook in enumerate(self.all)}
        self._never = NEVER_VALUES | {word.casefold() for word in never}
        self._patterns: list[Pattern] = []
        for runbook in self.all:
            for examples in runbook.examples.values():
                for example in examples:
                    full = compile_example(runbook, example)
                    self._patterns += [full, *_without_machine(full)]
        self._index: dict[str, list[Pattern]] = {}
        counts = Counter(literal for pattern in self._patterns for literal in pattern.literals)
        for pattern in self._patterns:
            rarest = min(sorted(pattern.literals), key=lambda literal: counts[literal])
            self._index.setdefault(rarest, []).append(pattern)

    def __len__(self) -> int:
        return len(self.all)

    def plan(self, context: Context) -> Outcome | None:
        message = phrases.read(context.text)
        if message is None:
            return None
        hits = list(self.hits(message))
        full = [hit for hit in hits if not hit.pattern.bare]
        found = _Found(context.inventory)
        return self._best(full, found, message, context) or self._answer(full, found, hits, context)

    def hits(self, message: Message) -> Iterator[Hit]:
        """Every way in which the message fits an example, word for word."""
        present = {word.key for word in message.loose} | {word.key for word in message.strict}
        for key in sorted(present):  # in the same order in every process
            for pattern in self._index.get(key, ()):
                if pattern.literals <= present:
                    words = message.strict if pattern.runbook.changes else message.loose
                    yield from _fit(pattern, words)

    def rivals(self, text: str) -> set[str]:
        """The names of all runbooks with an example that `text` fits word for word, a machine named."""
        message = phrases.read(text)
        hits = self.hits(message) if message is not None else ()
        return {hit.pattern.runbook.name for hit in hits if not hit.pattern.bare and isinstance(self.values(hit), dict)}

    def near(self, text: str, language: Language, machine: str) -> list[Near]:
        """Up to three runbooks whose examples share most of their telling words with `text`, the nearest first."""
        message = phrases.read(text)
        if message is None:
            return []
        said = {word.key for word in message.loose if not is_name_of_machine(word.raw)} - HOLLOW
        best: dict[str, Near] = {}
        for key in sorted(said):
            for pattern in self._index.get(key, ()):
                telling = pattern.literals - HOLLOW
                shared = len(telling & said)
                score = shared / max(1, len(telling | said))
                if pattern.bare or (message.negated and pattern.runbook.changes):
                    continue
                if shared * 4 < len(telling) * 3 or score < 0.2:
                    continue
                known = best.get(pattern.runbook.name)
                if known is None or score > known.score:
                    best[pattern.runbook.name] = Near(pattern.runbook, pattern.runbook.phrase(language, machine), score)
        return sorted(best.values(), key=lambda near: (-near.score, self._place[near.runbook.name]))[:MOST_NEAR]

    def values(self, hit: Hit) -> dict[str, str] | Slot | None:
        """The values of a hit's slots; the slot whose word tells that it was meant and does not fit; or None."""
        values: dict[str, str] = {}
        wrong: Slot | None = None
        for name, word in hit.words.items():
            if name == MACHINE:
                continue
            slot = hit.pattern.runbook.slots[name]
            value = (
                None if slot.type in ("unit", "host", "word") and word.casefold() in self._never else slot.value(word)
            )
            if value is not None:
                values[name] = value
            elif slot.type in _TELLING:
                wrong = wrong or slot
            else:
                return None
        return wrong or values

    def _best(self, full: Sequence[Hit], found: _Found, message: Message, context: Context) -> Outcome | None:
        """The plan of the most telling example that fits in every respect; a choice where two runbooks fit alike."""
        good: list[tuple[Hit, dict[str, str], tuple[str, ...]]] = []
        for hit in full:
            values, targets = self.values(hit), found(hit)
            if isinstance(values, dict) and not isinstance(targets, NoTarget):
                good.append((hit, values, targets))
        if not good:
            return None
        weight = max(len(hit.pattern.literals) for hit, _, _ in good)
        best: dict[object, tuple[Hit, dict[str, str], tuple[str, ...]]] = {}
        for hit, values, targets in good:
            if len(hit.pattern.literals) == weight:
                best.setdefault((hit.pattern.runbook.name, *sorted(values.items()), targets), (hit, values, targets))
        if len(best) > 1:
            choices = dict.fromkeys(_said(hit) for hit, _, _ in best.values())
            return Cannot(Sentence("runbook_choice", {"choices": " / ".join(choices)}), "ambiguous")
        ((hit, values, targets),) = best.values()
        if message.question and hit.pattern.runbook.changes:
            return Cannot(Sentence("runbook_question", {"phrase": _said(hit)}), "question")
        return Planned(hit.pattern.runbook.plan(values, targets, context.language))

    def _answer(self, full: Sequence[Hit], found: _Found, hits: Sequence[Hit], context: Context) -> Outcome | None:
        """Why the example that fits word for word still gives no plan."""
        for hit in full:
            targets = found(hit)
            meant = hit.linked or is_name_of_machine(hit.words[MACHINE])
            if meant and isinstance(targets, NoTarget) and isinstance(self.values(hit), dict):
                return Cannot(targets.sentence, "target")
        for hit in hits:
            values = self.values(hit)
            if hit.pattern.bare and isinstance(values, dict):
                if any(word in context.inventory.machines for word in hit.words.values()):
                    continue
                return _which_machine(hit, context)
        for hit in full:
            wrong = self.values(hit)
            if isinstance(wrong, Slot):
                values = {"word": hit.words[wrong.name], "example": _said(hit, leave=wrong.name)}
                return Cannot(
                    Sentence(
                        f"slot_{wrong.type}",
                        {**values, "low": wrong.low, "high": wrong.high, "values": ", ".join(wrong.values)},
                    ),
                    "value",
                )
        return None


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


def _without_machine(full: Pattern) -> list[Pattern]:
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


def _fit(pattern: Pattern, words: Sequence[Word]) -> Iterator[Hit]:
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


def _said(hit: Hit, leave: str = "") -> str:
    """The example as the person would have written it; `leave` names a place that gets a sample instead."""
    return hit.pattern.runbook.fill_example(
        hit.pattern.example, {name: word for name, word in hit.words.items() if name != leave}
    )


def sample_machine(inventory: Inventory) -> str:
    """A machine for an example: one that is online, if any is."""
    names = (name for name, machine in inventory.machines.items() if machine.online)
    return next(names, "") or next(iter(inventory.machines), "")


def _which_machine(hit: Hit, context: Context) -> Cannot:
    machine = sample_machine(context.inventory)
    if not machine:
        return Cannot(Sentence("target_no_machines"), "target")
    phrase = hit.pattern.runbook.fill_example(hit.pattern.example, {**hit.words, MACHINE: machine})
    return Cannot(Sentence("runbook_which_machine", {"phrase": phrase}), "target")
