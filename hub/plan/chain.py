"""The order of the planners: the first that answers is heard; the last resort always has an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from common.catalogue import Sentence
from hub.plan.acts import Acts
from hub.plan.explicit import Explicit
from hub.plan.followup import FollowUps
from hub.plan.match import Runbooks, sample_machine
from hub.plan.outcome import Cannot, Context, Outcome, Planner
from hub.plan.runbook import Runbook

MOST_OFFERED: Final = 4


def plan(context: Context, planners: Iterable[Planner]) -> Outcome:
    """What the first planner with an answer says."""
    for planner in planners:
        if (outcome := planner.plan(context)) is not None:
            return outcome
    return Cannot(Sentence("not_understood"), "not_understood")


class Chain:
    """The hub's planners around its runbooks; `others` are asked after the runbooks.

    These answer at once. What none of them understands may go to a model (`hub.thinking`) before the last resort.
    """

    def __init__(self, runbooks: Runbooks, others: Sequence[Planner] = ()) -> None:
        self.runbooks = runbooks
        # Follow-ups first: "what about memory?" is to a runbook a question without a machine.
        self._planners: tuple[Planner, ...] = (Acts(), Explicit(), FollowUps(runbooks), runbooks, *others)
        self._last = LastResort(runbooks)

    def plan(self, context: Context) -> Outcome:
        return plan(context, (*self._planners, self._last))

    def at_once(self, context: Context) -> Outcome | None:
        """What is understood without thinking; None where a model is worth asking."""
        if not context.text.strip():
            return None
        return next((outcome for one in self._planners if (outcome := one.plan(context)) is not None), None)

    def last_resort(self, context: Context) -> Outcome:
        return self._last.plan(context)


class LastResort:
    """ "I did not understand", with what would be: phrases that are known to work on machines that exist."""

    def __init__(self, runbooks: Runbooks) -> None:
        self._runbooks = runbooks

    def plan(self, context: Context) -> Outcome:
        if not context.text.strip():
            return Cannot(Sentence("not_understood_empty"), "not_understood")
        machine = sample_machine(context.inventory)
        if not machine:
            return Cannot(Sentence("not_understood_no_machines"), "not_understood")
        near = self._runbooks.near(context.text, context.language, machine)
        if near:
            phrases = _quoted([one.phrase for one in near], context)
            return Cannot(Sentence("not_understood_near", {"phrases": phrases}), "not_understood")
        offered = [one.phrase(context.language, machine) for one in _offered(self._runbooks.all, context)]
        values = {"phrases": _quoted(offered, context), "machine": machine}
        key = "not_understood_offer" if offered else "not_understood"
        return Cannot(Sentence(key, values), "not_understood")


def _offered(runbooks: Sequence[Runbook], context: Context) -> list[Runbook]:
    """A few that only read: in the person's language where there is one, and simple before particular."""
    reading = [one for one in runbooks if not one.changes]
    return sorted(reading, key=lambda one: (not one.examples.get(context.language), len(one.slots)))[:MOST_OFFERED]


def _quoted(phrases: Sequence[str], context: Context) -> str:
    left, right, between = ("“", "”", "、") if context.language == "zh" else ("`", "`", ", ")
    return between.join(f"{left}{phrase}{right}" for phrase in phrases)
