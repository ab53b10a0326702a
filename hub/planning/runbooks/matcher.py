"""Matches a message to a runbook. Precision first: a wrong match is worse than a question.

A message is compared with the examples in two ways. Word for word (`pattern`): a match is planned. By meaning
(`paraphrase`): synonyms, the other language, typing errors; a match is planned where the runbook only reads; where it
changes a machine the answer is the exact phrase to send, and nothing runs. A message that matches in neither way is
left to the next planner; `suggest` offers what it may have meant.

Candidates are found through each pattern's rarest word, so that the work grows with the words in common and not with
the number of examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from common.catalogue import LANGUAGES, Language, Sentence
from hub.core.inventory import Inventory, NoTarget, resolve, sample_machine
from hub.core.outcome import CannotPlan, Planned, PlanningContext, PlanningOutcome
from hub.planning.runbooks import phrases
from hub.planning.runbooks.paraphrase import ParaphraseIndex, ParaphraseMatch
from hub.planning.runbooks.pattern import (
    BadExample,
    ExamplePattern,
    PatternMatch,
    bare_patterns,
    compile_example,
    is_name_of_machine,
    match_pattern,
    render_example,
)
from hub.planning.runbooks.phrases import NormalizedMessage
from hub.planning.runbooks.runbook import PLACEHOLDER, Runbook
from hub.planning.runbooks.slots import ACTION_WORDS, MACHINE, NEVER_VALUES, RunbookSlot
from hub.planning.runbooks.spelling import Speller
from hub.planning.runbooks.suggest import Suggestion, SuggestionIndex
from hub.planning.runbooks.vocabulary import SERVICES

__all__ = ["BadExample", "RunbookMatcher", "Suggestion", "compile_example", "is_name_of_machine"]

_EXPLAINED_TYPES: Final = frozenset({"path", "port", "int", "duration", "size", "enum"})
"""Slot types for which a value that does not fit is explained: the rest of the match can hardly be a coincidence."""
_NAME_TYPES: Final = frozenset({"unit", "host", "word"})


class _TargetResolver:
    """The machines of matches; resolves each expression once, since there may be many machines."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[str, tuple[str, ...] | NoTarget] = {}

    def __call__(self, hit: PatternMatch) -> tuple[str, ...] | NoTarget:
        expression = hit.words[MACHINE]
        if expression not in self._known:
            try:
                self._known[expression] = resolve(expression, self._inventory)
            except NoTarget as error:
                self._known[expression] = error
        return self._known[expression]


class RunbookMatcher:
    """All runbooks, compiled; the planner of natural language without a model."""

    def __init__(self, runbooks: Sequence[Runbook], never_values: Collection[str] = ()) -> None:
        """`never_values` are words that are never taken for the name of a service, a host or the like. Raises
        BadExample.
        """
        self.runbooks = tuple(runbooks)
        self._never_values = NEVER_VALUES | {word.casefold() for word in never_values}
        self._speller = Speller(self._never_values)
        self._patterns: list[ExamplePattern] = []
        for runbook in self.runbooks:
            for examples in runbook.examples.values():
                for example in examples:
                    full = compile_example(runbook, example)
                    self._patterns += [full, *bare_patterns(full)]
        self._paraphrase_index = ParaphraseIndex([pattern for pattern in self._patterns if not pattern.without_machine])
        self._suggestions = SuggestionIndex(self._patterns, self._paraphrase_index.lexicon)
        self._index: dict[str, list[ExamplePattern]] = {}
        counts = Counter(literal for pattern in self._patterns for literal in pattern.literals)
        for pattern in self._patterns:
            rarest = min(sorted(pattern.literals), key=lambda literal: counts[literal])
            self._index.setdefault(rarest, []).append(pattern)

    def __len__(self) -> int:
        return len(self.runbooks)

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        message = phrases.parse_message(context.text)
        if message is None:
            return None
        hits, found = list(self.exact_matches(message)), _TargetResolver(context.inventory)
        if (outcome := self._best_exact(hits, found, message, context)) is not None:
            return outcome
        alike = self._paraphrases(message, context)
        return (
            self._plan_paraphrase(alike, found, context)
            or self._explain_misfit(hits, found, context)
            or self._ask_back(alike, found, message, context)
        )

    def plan_exactly(self, context: PlanningContext) -> PlanningOutcome | None:
        """The outcome of exact matches alone: a plan, or the choice between two equal ones."""
        message = phrases.parse_message(context.text)
        if message is None:
            return None
        return self._best_exact(list(self.exact_matches(message)), _TargetResolver(context.inventory), message, context)

    def exact_matches(self, message: NormalizedMessage) -> Iterator[PatternMatch]:
        """Every exact match of the message with an example."""
        present = {word.key for word in message.loose} | {word.key for word in message.strict}
        for key in sorted(present):  # in the same order in every process
            for pattern in self._index.get(key, ()):
                if pattern.literals <= present:
                    words = message.strict if pattern.runbook.changes else message.loose
                    yield from match_pattern(pattern, words)

    def clashing_runbooks(self, text: str) -> set[str]:
        """The names of all runbooks that `text`, which names a machine, matches exactly."""
        message = phrases.parse_message(text)
        hits = self.exact_matches(message) if message is not None else ()
        return {
            hit.pattern.runbook.name
            for hit in hits
            if not hit.pattern.without_machine and isinstance(self.slot_values(hit), dict)
        }

    def suggest(self, text: str, language: Language, machine: str) -> list[Suggestion]:
        """Up to three runbooks that `text` may have meant, the nearest first, with a phrase for `machine`."""
        message = phrases.parse_message(text)
        return [] if message is None else self._suggestions.find(message, language, machine)

    def slot_values(self, hit: PatternMatch) -> dict[str, str] | RunbookSlot | None:
        """The values of a match's slots; or the slot whose value does not fit, where that is worth explaining; or
        None.
        """
        values: dict[str, str] = {}
        wrong: RunbookSlot | None = None
        for name, word in hit.words.items():
            if name == MACHINE:
                continue
            slot = hit.pattern.runbook.slots[name]
            value = None if slot.type in _NAME_TYPES and self._is_no_name(word) else slot.convert(word)
            if value is not None:
                values[name] = value
            elif slot.type in _EXPLAINED_TYPES:
                wrong = wrong or slot
            else:
                return None
        return wrong or values

    def _is_no_name(self, word: str) -> bool:
        """Whether it is an English word or a misspelling of a known one, and so no name: no service is called
        "memmory".
        """
        key = word.casefold()
        if key in SERVICES:
            return False
        meant = self._paraphrase_index.lexicon.correct_spelling(key)
        return (
            key in self._never_values
            or key in ACTION_WORDS
            or bool(self._speller.corrections(key))
            or (meant is not None and meant.kind == "meaning")
        )

    def _best_exact(
        self, hits: Sequence[PatternMatch], found: _TargetResolver, message: NormalizedMessage, context: PlanningContext
    ) -> PlanningOutcome | None:
        """The plan of the match with the most literal words and valid values; a choice where two runbooks match
        equally.
        """
        valid: list[tuple[PatternMatch, dict[str, str], tuple[str, ...]]] = []
        for hit in _with_machine(hits):
            values, targets = self.slot_values(hit), found(hit)
            if isinstance(values, dict) and not isinstance(targets, NoTarget):
                valid.append((hit, values, targets))
        if not valid:
            return None
        weight = max(len(hit.pattern.literals) for hit, _, _ in valid)
        best: dict[object, tuple[PatternMatch, dict[str, str], tuple[str, ...]]] = {}
        for hit, values, targets in valid:
            if len(hit.pattern.literals) == weight:
                best.setdefault((hit.pattern.runbook.name, *sorted(values.items()), targets), (hit, values, targets))
        if len(best) > 1:
            choices = dict.fromkeys(render_example(hit) for hit, _, _ in best.values())
            return CannotPlan(Sentence("runbook_choice", {"choices": " / ".join(choices)}), "ambiguous")
        ((hit, values, targets),) = best.values()
        if message.question and hit.pattern.runbook.changes:
            return CannotPlan(Sentence("runbook_question", {"phrase": render_example(hit)}), "question")
        return Planned(hit.pattern.runbook.plan(values, targets, context.language))

    def _paraphrases(
        self, message: NormalizedMessage, context: PlanningContext
    ) -> list[tuple[ParaphraseMatch, dict[str, str]]]:
        """The paraphrases of the message with the least penalty, with their slot values, one for each distinct plan."""
        machines = context.inventory.machines
        found: dict[object, tuple[ParaphraseMatch, dict[str, str]]] = {}
        least = None
        for match in self._paraphrase_index.find(message, lambda word: word in machines or word.lower() in machines):
            if least is not None and match.penalty > least:
                break
            values = self.slot_values(match.hit)
            if isinstance(values, dict):
                least = match.penalty
                found.setdefault((match.hit.pattern.runbook.name, *sorted(values.items())), (match, values))
        return list(found.values())

    def _plan_paraphrase(
        self, alike: Sequence[tuple[ParaphraseMatch, dict[str, str]]], found: _TargetResolver, context: PlanningContext
    ) -> Planned | None:
        """The plan of the only matching runbook, if it only reads."""
        if len(alike) != 1:
            return None
        ((match, values),) = alike
        runbook = match.hit.pattern.runbook
        if runbook.changes or match.penalty.unsure or MACHINE not in match.hit.words:
            return None
        targets = found(match.hit)
        return None if isinstance(targets, NoTarget) else Planned(runbook.plan(values, targets, context.language))

    def _ask_back(
        self,
        alike: Sequence[tuple[ParaphraseMatch, dict[str, str]]],
        found: _TargetResolver,
        message: NormalizedMessage,
        context: PlanningContext,
    ) -> CannotPlan | None:
        """The question back where a runbook is meant but not planned from this wording."""
        if not alike or (message.negated and any(match.hit.pattern.runbook.changes for match, _ in alike)):
            return None
        hits = [match.hit for match, _ in alike]
        named = [hit for hit in hits if MACHINE in hit.words]
        for hit in named:
            targets = found(hit)
            if isinstance(targets, NoTarget):
                return CannotPlan(targets.sentence, "target")
        if not named and len(hits) == 1 and (machine := sample_machine(context.inventory)):
            phrase = self._exact_phrase(hits[0], context, {MACHINE: machine})
            return CannotPlan(Sentence("runbook_which_machine", {"phrase": phrase}), "machine") if phrase else None
        known = [phrase for hit in named if (phrase := self._exact_phrase(hit, context, {}))]
        if len(known) > 1:
            return CannotPlan(Sentence("runbook_choice", {"choices": " / ".join(dict.fromkeys(known))}), "ambiguous")
        if not known:
            return None
        if message.question and named[0].pattern.runbook.changes:
            return CannotPlan(Sentence("runbook_question", {"phrase": known[0]}), "near")
        return CannotPlan(Sentence("runbook_meant", {"phrase": known[0]}), "near", meant=known[0])

    def _exact_phrase(self, hit: PatternMatch, context: PlanningContext, more: dict[str, str]) -> str | None:
        """An example of the runbook with the match's values, in the person's language if possible, that would be
        planned.
        """
        runbook, words = hit.pattern.runbook, {**hit.words, **more}
        for language in (context.language, *LANGUAGES):
            for example in runbook.examples.get(language, ()):
                if set(PLACEHOLDER.findall(example)) == words.keys():
                    phrase = runbook.fill_example(example, words)
                    outcome = self.plan_exactly(replace(context, text=phrase))
                    if isinstance(outcome, Planned) and outcome.plan.source == f"runbook:{runbook.name}":
                        return phrase
        return None

    def _explain_misfit(
        self, hits: Sequence[PatternMatch], found: _TargetResolver, context: PlanningContext
    ) -> PlanningOutcome | None:
        """Why an exact match leads to no plan: unknown machine, no machine, a value that does not fit."""
        full = _with_machine(hits)
        for hit in full:
            targets = found(hit)
            meant = hit.linked or is_name_of_machine(hit.words[MACHINE])
            if meant and isinstance(targets, NoTarget) and isinstance(self.slot_values(hit), dict):
                return CannotPlan(targets.sentence, "target")
        for hit in hits:
            values = self.slot_values(hit)
            if hit.pattern.without_machine and isinstance(values, dict):
                if any(word in context.inventory.machines for word in hit.words.values()):
                    continue
                return _which_machine(hit, context)
        for hit in full:
            wrong = self.slot_values(hit)
            if isinstance(wrong, RunbookSlot):
                values = {"word": hit.words[wrong.name], "example": render_example(hit, sample_for=wrong.name)}
                return CannotPlan(
                    Sentence(
                        f"slot_{wrong.type}",
                        {**values, "low": wrong.low, "high": wrong.high, "values": ", ".join(wrong.values)},
                    ),
                    "value",
                )
        return None


def _with_machine(hits: Sequence[PatternMatch]) -> list[PatternMatch]:
    """The matches that name a machine."""
    return [hit for hit in hits if not hit.pattern.without_machine]


def _which_machine(hit: PatternMatch, context: PlanningContext) -> CannotPlan:
    machine = sample_machine(context.inventory)
    if not machine:
        return CannotPlan(Sentence("target_no_machines"), "target")
    phrase = hit.pattern.runbook.fill_example(hit.pattern.example, {**hit.words, MACHINE: machine})
    return CannotPlan(Sentence("runbook_which_machine", {"phrase": phrase}), "machine")
