"""A plain yes to our own "Did you mean “reject r31”?": what was meant is read as if it had been written out. Pure.

    aprove r31      nothing was done, for I am not quite sure. Did you mean “approve r31”?
    yes             -> approve r31

It counts only where nothing else can be meant: the question was the last that was said or told in this conversation,
it answered this person, it named exactly one thing, and it would be asked in the same words now. What comes of it is
judged like the typed words, with the same rights, codes and policy. Where something came between, or the question
named several things, a yes decides nothing by another rule either: whoever was asked "did you mean “reject r31”?" must
not approve r31 by a yes. Then the answer is to write it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence, detect_language
from hub.core.outcome import CannotPlan, ChatCommand, Exchange, Planned, PlanningContext, PlanningOutcome
from hub.planning.chat_words import alone_verb
from hub.planning.runbooks.tokens import fold_width

WITHIN: Final = 300.0
"""Seconds for which a yes answers the question before it."""
_OFFERING: Final = frozenset({"act", "question", "near", "ambiguous", "characters"})
"""Codes of refusals that name what to write (`CannotPlan.code`)."""


class ConfirmationPlanner:
    """The planner of a yes to a question of ours. The context has the conversation only in slow planning."""

    def __init__(self, plan_alone: Callable[[PlanningContext], PlanningOutcome]) -> None:
        """`plan_alone` plans a message without those before it."""
        self._plan_alone = plan_alone

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        if not context.history or alone_verb(fold_width(context.text.strip())) != "yes":
            return None
        last = next((one for one in reversed(context.history) if one.own), None)
        if last is None or last.asks or not last.refused:
            return None
        meant = self._meant(last, context)
        if not meant:
            return CannotPlan(Sentence("yes_outright"), "question") if last.refused in _OFFERING else None
        outcome = self._plan_alone(replace(context, text=meant, history=()))
        if isinstance(outcome, ChatCommand) and outcome.verb in ("yes", "no"):
            return None
        if last.is_newest and context.now - last.told_at <= WITHIN:
            return outcome
        if isinstance(outcome, ChatCommand) and outcome.verb == "approve":
            return ChatCommand("yes", outcome.number)  # as a yes to the only plan that waits, where it is this one
        does = isinstance(outcome, Planned | ChatCommand)
        return CannotPlan(Sentence("yes_late", {"phrase": meant}), "question") if does else outcome

    def _meant(self, asked: Exchange, context: PlanningContext) -> str:
        """The one thing that was suggested; "" where there was none, or the same question would not be asked now."""
        language = detect_language(asked.text)
        again = self._plan_alone(replace(context, text=asked.text, language=language, history=()))
        if not isinstance(again, CannotPlan) or not again.meant:
            return ""
        if asked.reason not in (str(again.sentence), str(Sentence("model_none", {"said": again.sentence}))):
            return ""
        return again.meant.render(language) if isinstance(again.meant, Sentence) else again.meant
