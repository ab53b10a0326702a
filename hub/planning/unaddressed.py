"""What a message is that is not addressed to the bot, where `answer = "commands"`. Pure.

command   it says by itself that it is one: `@web-1 df -h` of a machine that there is, `approve r42`, a link's code
answer    it may answer a question of ours: "yes", the name of a machine
other     people talking to each other
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hub.core.outcome import CannotPlan, ChatCommand, PlanningContext
from hub.planning.chat_commands import ChatCommandPlanner
from hub.planning.completion import only_machines
from hub.planning.explicit import ExplicitPlanner
from hub.planning.link_words import link_code
from hub.planning.reading import read_message

Unaddressed = Literal["command", "answer", "other"]
_EXPLICIT, _CHAT = ExplicitPlanner(), ChatCommandPlanner()


def classify(context: PlanningContext) -> Unaddressed:
    """Whatever the message is, nothing is done and nobody is told."""
    text = read_message(context.text, context.inventory, context.bot)
    if not text.strip():
        return "other"
    context = replace(context, text=text)
    if link_code(text) is not None:
        return "command"
    explicit = _EXPLICIT.plan(context)
    if explicit is not None:
        if not isinstance(explicit, CannotPlan):
            return "command"
        if only_machines(text, context.inventory):
            return "answer"
        return "other" if explicit.code == "target" else "command"  # what follows a machine's name is meant for it
    said = _CHAT.plan(context)
    if isinstance(said, ChatCommand):
        if said.number is not None:
            return "command"
        return "answer" if said.verb in ("yes", "no") else "other"
    if isinstance(said, CannotPlan) and "number" in said.sentence.values:
        return "command"  # "reject r42?" is answered with what to write
    return "answer" if only_machines(text, context.inventory) else "other"
