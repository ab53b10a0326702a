"""Which runbook a message means. Precision first: a wrong match is worse than a question.

A message is compared with the examples twice. Word for word (`match_pattern`): what fits is planned. By its meanings
(`fuzzy_match`): synonyms, the other language, slips of the fingers. What fits so is planned where it only reads; where
it changes a machine the answer is the exact phrase for it, and nothing runs. What fits neither way is for the next
planner; `near` offers what it may have meant (`match_near`).

A message finds its candidates through each pattern's rarest word, so that the work grows with what it shares with the
examples and not with their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from common.catalogue import LANGUAGES, Language, Sentence
from hub.machines import Inventory, NoTarget, resolve
from hub.plan import phrases
from hub.plan.fuzzy_match import FuzzyPatterns, Match
from hub.plan.fuzzy_typo import Speller
from hub.plan.fuzzy_words import SERVICES
from hub.plan.match_near import Near, NearIndex
from hub.plan.match_pattern import (
    Hit,
    Pattern,
    Unreadable,
    compile_example,
    fit,
    is_name_of_machine,
    said,
    without_machine,
)
from hub.plan.outcome import Cannot, Context, Outcome, Planned
from hub.plan.phrases import Message
from hub.plan.runbook import PLACE, Runbook
from hub.plan.slots import ACTS, MACHINE, NEVER_VALUES, Slot

__all__ = ["Near", "Runbooks", "Unreadable", "compile_example", "is_name_of_machine", "sample_machine"]

_TELLING: Final = frozenset({"path", "port", "int", "duration", "size", "enum"})
"""Types whose misfit is worth an answer: the words around it can hardly mean something else."""
_NAMES: Final = frozenset({"unit", "host", "word"})


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
        self._never = NEVER_VALUES | {word.casefold() for word in never}
        self._slips = Speller(self._never)
        self._patterns: list[Pattern] = []
        for runbook in self.all:
            for examples in runbook.examples.values():
                for example in examples:
                    full = compile_example(runbook, example)
                    self._patterns += [full, *without_machine(full)]
        self._fuzzy = FuzzyPatterns([pattern for pattern in self._patterns if not pattern.bare])
        self._near = NearIndex(self._patterns, self._fuzzy.lexicon)
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
        hits, found = list(self.hits(message)), _Found(context.inventory)
        if (outcome := self._best(hits, found, message, context)) is not None:
            return outcome
        alike = self._alike(message, context)
        return (
            self._planned(alike, found, context)
            or self._answer(hits, found, context)
            or self._asked(alike, found, message, context)
        )

    def plan_exactly(self, context: Context) -> Outcome | None:
        """What is planned word for word, or the choice between two that fit alike."""
        message = phrases.read(context.text)
        if message is None:
            return None
        return self._best(list(self.hits(message)), _Found(context.inventory), message, context)

    def hits(self, message: Message) -> Iterator[Hit]:
        """Every way in which the message fits an example, word for word."""
        present = {word.key for word in message.loose} | {word.key for word in message.strict}
        for key in sorted(present):  # in the same order in every process
            for pattern in self._index.get(key, ()):
                if pattern.literals <= present:
                    words = message.strict if pattern.runbook.changes else message.loose
                    yield from fit(pattern, words)

    def rivals(self, text: str) -> set[str]:
        """The names of all runbooks with an example that `text` fits word for word, a machine named."""
        message = phrases.read(text)
        hits = self.hits(message) if message is not None else ()
        return {hit.pattern.runbook.name for hit in hits if not hit.pattern.bare and isinstance(self.values(hit), dict)}

    def near(self, text: str, language: Language, machine: str) -> list[Near]:
        """Up to three runbooks that `text` may have meant, the nearest first, and how to say them for `machine`."""
        message = phrases.read(text)
        return [] if message is None else self._near.find(message, language, machine)

    def values(self, hit: Hit) -> dict[str, str] | Slot | None:
        """The values of a hit's slots; the slot whose word tells that it was meant and does not fit; or None."""
        values: dict[str, str] = {}
        wrong: Slot | None = None
        for name, word in hit.words.items():
            if name == MACHINE:
                continue
            slot = hit.pattern.runbook.slots[name]
            value = None if slot.type in _NAMES and self._is_no_name(word) else slot.value(word)
            if value is not None:
                values[name] = value
            elif slot.type in _TELLING:
                wrong = wrong or slot
            else:
                return None
        return wrong or values

    def _is_no_name(self, word: str) -> bool:
        """Whether it is a word of the language, or a slip of one of ours: no service is called "memmory"."""
        key = word.casefold()
        if key in SERVICES:
            return False
        meant = self._fuzzy.lexicon.corrected(key)
        return (
            key in self._never
            or key in ACTS
            or bool(self._slips.near(key))
            or (meant is not None and meant.kind == "meaning")
        )

    def _best(self, hits: Sequence[Hit], found: _Found, message: Message, context: Context) -> Outcome | None:
        """The plan of the most telling example that fits in every respect; a choice where two runbooks fit alike."""
        good: list[tuple[Hit, dict[str, str], tuple[str, ...]]] = []
        for hit in _full(hits):
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
            choices = dict.fromkeys(said(hit) for hit, _, _ in best.values())
            return Cannot(Sentence("runbook_choice", {"choices": " / ".join(choices)}), "ambiguous")
        ((hit, values, targets),) = best.values()
        if message.question and hit.pattern.runbook.changes:
            return Cannot(Sentence("runbook_question", {"phrase": said(hit)}), "question")
        return Planned(hit.pattern.runbook.plan(values, targets, context.language))

    def _alike(self, message: Message, context: Context) -> list[tuple[Match, dict[str, str]]]:
        """What means the same as the message, with the values of its slots; of those of the least doubt, one for each
        way to plan it."""
        machines = context.inventory.machines
        found: dict[object, tuple[Match, dict[str, str]]] = {}
        least = None
        for match in self._fuzzy.find(message, lambda word: word in machines or word.lower() in machines):
            if least is not None and match.doubt > least:
                break
            values = self.values(match.hit)
            if isinstance(values, dict):
                least = match.doubt
                found.setdefault((match.hit.pattern.runbook.name, *sorted(values.items())), (match, values))
        return list(found.values())

    def _planned(
        self, alike: Sequence[tuple[Match, dict[str, str]]], found: _Found, context: Context
    ) -> Planned | None:
        """The plan of the one runbook that is meant, if it only reads."""
        if len(alike) != 1:
            return None
        ((match, values),) = alike
        runbook = match.hit.pattern.runbook
        if runbook.changes or match.doubt.unsure or MACHINE not in match.hit.words:
            return None
        targets = found(match.hit)
        return None if isinstance(targets, NoTarget) else Planned(runbook.plan(values, targets, context.language))

    def _asked(
        self, alike: Sequence[tuple[Match, dict[str, str]]], found: _Found, message: Message, context: Context
    ) -> Cannot | None:
        """What is asked back where something is meant that is not planned as it was said."""
        if not alike or (message.negated and any(match.hit.pattern.runbook.changes for match, _ in alike)):
            return None
        hits = [match.hit for match, _ in alike]
        named = [hit for hit in hits if MACHINE in hit.words]
        for hit in named:
            targets = found(hit)
            if isinstance(targets, NoTarget):
                return Cannot(targets.sentence, "target")
        if not named and len(hits) == 1 and (machine := sample_machine(context.inventory)):
            phrase = self._exact(hits[0], context, {MACHINE: machine})
            return Cannot(Sentence("runbook_which_machine", {"phrase": phrase}), "target") if phrase else None
        known = [phrase for hit in named if (phrase := self._exact(hit, context, {}))]
        if len(known) > 1:
            return Cannot(Sentence("runbook_choice", {"choices": " / ".join(dict.fromkeys(known))}), "ambiguous")
        if not known:
            return None
        asks = message.question and named[0].pattern.runbook.changes
        return Cannot(Sentence("runbook_question" if asks else "runbook_meant", {"phrase": known[0]}), "near")

    def _exact(self, hit: Hit, context: Context, more: dict[str, str]) -> str | None:
        """The runbook's own way to say what `hit` says, in the person's language if it has one; planned if sent."""
        runbook, words = hit.pattern.runbook, {**hit.words, **more}
        for language in (context.language, *LANGUAGES):
            for example in runbook.examples.get(language, ()):
                if set(PLACE.findall(example)) == words.keys():
                    phrase = runbook.fill_example(example, words)
                    outcome = self.plan_exactly(replace(context, text=phrase))
                    if isinstance(outcome, Planned) and outcome.plan.source == f"runbook:{runbook.name}":
                        return phrase
        return None

    def _answer(self, hits: Sequence[Hit], found: _Found, context: Context) -> Outcome | None:
        """Why the example that fits word for word still gives no plan."""
        full = _full(hits)
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
                values = {"word": hit.words[wrong.name], "example": said(hit, leave=wrong.name)}
                return Cannot(
                    Sentence(
                        f"slot_{wrong.type}",
                        {**values, "low": wrong.low, "high": wrong.high, "values": ", ".join(wrong.values)},
                    ),
                    "value",
                )
        return None


def _full(hits: Sequence[Hit]) -> list[Hit]:
    """Those that name a machine."""
    return [hit for hit in hits if not hit.pattern.bare]


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
