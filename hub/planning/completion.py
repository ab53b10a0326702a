"""The answer to "on which machine?": a message that names only machines completes the one before. Pure.

    disk            on which machine? For example: disk on web-1
    web-1           -> disk on web-1

It completes only the sender's own last message in this conversation, only where that was refused for want of a machine,
and only to what reads: for what changes a machine the answer is the phrase to send. Without such a message the name of
a machine alone is answered with what can be asked of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from hub.core.inventory import Inventory, NoTarget, resolve
from hub.core.outcome import CannotPlan, ChatCommand, Exchange, Planned, PlanningContext, PlanningOutcome
from hub.planning.chat_words import COURTESY, END
from hub.planning.followup import with_machines
from hub.planning.reading import read_message
from hub.planning.runbooks.runbook import Runbook
from hub.planning.runbooks.tokens import fold_width

WANTED: Final = "machine"
"""The code of a refusal that a machine's name completes (`CannotPlan.code`)."""
MAX_LENGTH: Final = 200
_PART: Final = r"@?[A-Za-z0-9*][A-Za-z0-9._*?=-]{0,127}"
_IS_COMMAND: Final = re.compile(r"@[^\s,]+\s+[^@\s]")
_ONLY: Final = re.compile(
    rf"(?:(?:on|at|for|the|machine|server|host)\s{{1,3}}|在\s?|机器\s?){{0,3}}"
    rf"(?P<where>{_PART}(?:\s{{0,2}}(?:,|\s(?:and|und)\s|[和与及、])\s{{0,2}}{_PART}){{0,40}})\s{{0,2}}(?:上面|上|的|那台|这台)?",
    re.IGNORECASE,
)


def only_machines(text: str, inventory: Inventory) -> str:
    """The machines that a message names where it says nothing else; "" where it does, or they do not exist."""
    if len(text) > MAX_LENGTH or _IS_COMMAND.match(text):
        return ""
    folded = COURTESY.sub("", fold_width(text.strip()), count=1)
    found = _ONLY.fullmatch(END.sub("", folded.rstrip("? "), count=1))
    if found is None:
        return ""
    where = re.sub(r"\s*(?:,|\s(?:and|und)\s|[和与及、])\s*", ",", found["where"]).replace("@", "")
    try:
        resolve(where, inventory)
    except NoTarget:
        return ""
    return where


def _was_answered(exchange: Exchange) -> bool:
    """Whether it was answered at once and left nothing open: "machines", "help"."""
    return exchange.plan is None and not exchange.refused and not exchange.asks


class CompletionPlanner:
    def __init__(
        self, plan_words: Callable[[PlanningContext], PlanningOutcome | None], runbooks: tuple[Runbook, ...]
    ) -> None:
        self._plan_words = plan_words
        self._changes = {runbook.name: runbook.changes for runbook in runbooks}

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        where = only_machines(context.text, context.inventory)
        if not where:
            return None
        last = next((one for one in reversed(context.history) if one.own and not _was_answered(one)), None)
        if last is None or last.refused != WANTED:
            return None if last is not None and last.asks else ChatCommand("hello", phrase=where)
        targets = resolve(where, context.inventory)
        found: dict[object, tuple[Planned, str]] = {}
        said = read_message(last.text, context.inventory, context.bot)
        for written in with_machines(said.strip().rstrip("?？.。!！ "), where):
            outcome = self._plan_words(replace(context, text=written, history=()))
            if isinstance(outcome, Planned) and outcome.plan.targets == targets:
                found.setdefault((outcome.plan.source, outcome.plan.steps), (outcome, written))
        if len(found) != 1:
            return ChatCommand("hello", phrase=where)
        ((outcome, written),) = found.values()
        if self._changes.get(outcome.plan.source.removeprefix("runbook:"), False):
            return CannotPlan(Sentence("followup_changes", {"phrase": written}), "question")
        return outcome
