"""The chain of planners that answer at once: the first with an outcome wins; a fallback always has one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from common.catalogue import Sentence
from common.command.lookalikes import find_oddity, find_suspicious, plain_twin, with_oddity
from hub.core.authorization import may
from hub.core.chat_text import inline_text
from hub.core.inventory import Inventory, sample_machine
from hub.core.outcome import CannotPlan, ChatCommand, PlainAnswer, Planned, Planner, PlanningContext, PlanningOutcome
from hub.planning.bare_command import BareCommandPlanner
from hub.planning.chat_commands import ChatCommandPlanner, redact
from hub.planning.completion import CompletionPlanner
from hub.planning.confirmation import ConfirmationPlanner
from hub.planning.explicit import ExplicitPlanner
from hub.planning.followup import FollowUpPlanner
from hub.planning.machine_commands import MachineCommandPlanner
from hub.planning.reading import is_quotation, read_message
from hub.planning.runbooks.matcher import RunbookMatcher
from hub.planning.runbooks.runbook import Runbook
from hub.planning.runbooks.suggest import Suggestion

MAX_SUGGESTIONS: Final = 4
MAX_QUOTED: Final = 200  # characters of a message, in an answer
MAX_READ: Final = 2_000  # characters in which names are looked for
_DOES: Final = (Planned, ChatCommand, PlainAnswer)
_REQUEST_NAMED: Final = re.compile(r"(?<![A-Za-z0-9_-])[rR]#?(?P<number>[0-9]{1,12})(?![0-9A-Za-z_-])")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def first_outcome(context: PlanningContext, planners: Iterable[Planner]) -> PlanningOutcome | None:
    """The outcome of the first planner that has one."""
    return next((outcome for one in planners if (outcome := one.plan(context)) is not None), None)


class PlannerChain:
    """The hub's planners around its runbooks; `others` are asked after the runbooks.

    None of them waits for anything. What none understands may go to a model (`hub.planning.service`) before the
    fallback.
    """

    def __init__(self, runbooks: RunbookMatcher, others: Sequence[Planner] = ()) -> None:
        self.runbooks = runbooks
        words = WordsPlanner(runbooks)
        # Follow-ups first: to a runbook "what about memory?" is a question without a machine.
        self._planners: tuple[Planner, ...] = (
            ConfirmationPlanner(self.plan),
            ChatCommandPlanner(),
            MachineCommandPlanner(),
            CompletionPlanner(words.plan, runbooks.runbooks),
            ExplicitPlanner(),
            FollowUpPlanner(runbooks),
            words,
            *others,
        )
        self._fallback = FallbackPlanner(runbooks)

    def plan(self, context: PlanningContext) -> PlanningOutcome:
        return self.plan_fast(context) or self.plan_fallback(context)

    def plan_fast(self, context: PlanningContext) -> PlanningOutcome | None:
        """The outcome of the planners that answer at once; None where a model may be asked."""
        text = read_message(context.text, context.inventory, context.bot)
        if not text.strip():
            return None
        quoted = is_quotation(context.text)
        context = context if text == context.text else replace(context, text=text)
        outcome = first_outcome(context, self._planners)
        if quoted and isinstance(outcome, Planned) and self._changes(outcome):
            return _meant("runbook_meant", "phrase", text, "near")
        if (text.isascii() and text.isprintable()) or isinstance(outcome, _DOES):
            return outcome
        return self._name_oddity(context, outcome)

    def _changes(self, outcome: Planned) -> bool:
        """Whether a runbook's plan changes a machine: such a phrase in quotation marks may be a report."""
        named = {runbook.name: runbook for runbook in self.runbooks.runbooks}
        runbook = named.get(outcome.plan.source.removeprefix("runbook:"))
        return runbook is not None and runbook.changes

    def plan_fallback(self, context: PlanningContext) -> PlanningOutcome:
        return self._fallback.plan(replace(context, text=read_message(context.text, context.inventory, context.bot)))

    def _name_oddity(self, context: PlanningContext, outcome: PlanningOutcome | None) -> PlanningOutcome | None:
        """The outcome, with the character named that is not what it seems and stands in the way. What the message looks
        like is offered and not done without a yes to it: nobody knows who put the character there.
        """
        oddity = find_oddity(redact(context.text))  # the sentence has the word beside it, which may be a code
        if oddity is None:
            return outcome
        plain = plain_twin(context.text)
        if isinstance(first_outcome(replace(context, text=plain), self._planners), _DOES):
            return _meant("odd_message", "plain", plain, "characters", found=oddity.sentence)
        suspicious = find_suspicious(redact(context.text))
        if isinstance(outcome, CannotPlan) and suspicious is not None:
            return replace(outcome, sentence=with_oddity(outcome.sentence, suspicious))
        return outcome


class WordsPlanner:
    """Plain words: the plan of a runbook, else a command without its `@`, else what the runbooks ask back."""

    def __init__(self, runbooks: RunbookMatcher) -> None:
        self._runbooks = runbooks
        self._bare = BareCommandPlanner()

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        outcome = self._runbooks.plan(context)
        return outcome if isinstance(outcome, Planned) else self._bare.plan(context) or outcome


class FallbackPlanner:
    """Answers "I did not understand" with phrases that are known to work on machines that exist."""

    def __init__(self, runbooks: RunbookMatcher) -> None:
        self._runbooks = runbooks

    def plan(self, context: PlanningContext) -> PlanningOutcome:
        if not context.text.strip():
            return CannotPlan(Sentence("not_understood_empty"), "not_understood")
        if (number := only_request(context.text)) is not None:
            return ChatCommand("status", number)
        machine = named_machine(context.text, context.inventory) or sample_machine(context.inventory)
        if not machine:
            return CannotPlan(Sentence("not_understood_no_machines"), "not_understood")
        near = [
            one for one in self._runbooks.suggest(context.text, context.language, machine) if _may_ask(one, context)
        ]
        if near:
            phrases = _quoted([one.phrase for one in near], context)
            meant = near[0].phrase if len(near) == 1 else ""
            return CannotPlan(Sentence("not_understood_near", {"phrases": phrases}), "not_understood", meant)
        samples = (one.sample_phrase(context.language, machine) for one in _suggested(self._runbooks.runbooks, context))
        offered = list(islice((one for one in samples if self._is_allowed(one, context)), MAX_SUGGESTIONS))
        values = {"phrases": _quoted(offered, context), "machine": machine}
        key = "not_understood_offer" if offered else "not_understood"
        return CannotPlan(Sentence(key, values), "not_understood")

    def _is_allowed(self, phrase: str, context: PlanningContext) -> bool:
        """Whether policy lets this person run it, as far as it is known."""
        outcome = self._runbooks.plan_exactly(replace(context, text=phrase))
        if context.check is None or not isinstance(outcome, Planned):
            return context.check is None
        return all(context.allows(step.argv, step.targets[0]) for step in outcome.plan.steps)


def _meant(key: str, name: str, text: str, code: str, **values: Sentence) -> CannotPlan:
    """Asks whether `text` is meant. What does not stand there whole, as it is, can only be sent."""
    shown = inline_text(redact(text), MAX_QUOTED)
    return CannotPlan(Sentence(key, {name: shown, **values}), code, meant=text if shown == text else "")


def only_request(text: str) -> int | None:
    """The number of the one request that a message speaks of ("is r12 done?"); None where there is none, or several."""
    found = {int(one["number"]) for one in _REQUEST_NAMED.finditer(text[:MAX_READ])}
    return found.pop() if len(found) == 1 else None


def named_machine(text: str, inventory: Inventory) -> str:
    """The first machine that a message names; "" where it names none."""
    for word in _NAME.finditer(text[:MAX_READ]):
        if len(names := inventory.by_casefold.get(word[0].strip(".-_").casefold(), ())) == 1:
            return names[0]
    return ""


def _may_ask(suggestion: Suggestion, context: PlanningContext) -> bool:
    """Whether this person could ask for it at all."""
    return not suggestion.runbook.changes or may(context.roles, "run")


def _suggested(runbooks: Sequence[Runbook], context: PlanningContext) -> list[Runbook]:
    """A few runbooks that only read: those with examples in the person's language first, then those with fewer
    slots.
    """
    reading = [one for one in runbooks if not one.changes]
    return sorted(reading, key=lambda one: (not one.examples.get(context.language), len(one.slots)))[
        : 2 * MAX_SUGGESTIONS
    ]


def _quoted(phrases: Sequence[str], context: PlanningContext) -> str:
    left, right, between = ("“", "”", "、") if context.language == "zh" else ("`", "`", ", ")
    return between.join(f"{left}{phrase}{right}" for phrase in phrases)
