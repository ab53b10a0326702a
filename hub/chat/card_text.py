"""The text of a request's card: the state that a reply tells, with what the card has to say at every moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.catalogue import translate
from hub.chat.reply_text import MAX_REPLY, plan_of
from hub.core.chat_text import command_text, inline_code, join_names
from hub.core.records import Approval, Request

MAX_STEPS: Final = 5


def card_text(request: Request, text: str, approvals: Sequence[Approval], *, headed: bool) -> str:
    """`text`, the state that a reply tells; before it, unless it is `headed` by them, the commands that it is about,
    and behind it who approved.
    """
    lines = [text] if headed else [command_lines(request), text]
    names = [approval.person for approval in approvals if approval.granted]
    if names:
        lines.append(translate(request.language, "card_approved", names=join_names(names, request.language)))
    if sum(map(len, lines)) + len(lines) > MAX_REPLY:
        return text  # all of its room is used
    return "\n".join(lines)


def command_lines(request: Request) -> str:
    """Each step as `r12: command` and its machines, one a line."""
    plan, language = plan_of(request), request.language
    lines = []
    for step in plan.steps[:MAX_STEPS]:
        values = {
            "number": request.number,
            "command": inline_code(command_text(step.argv, step.filters)),
            "machines": join_names(step.targets, language),
        }
        lines.append(translate(language, "card_command", **values))
    if len(plan.steps) > MAX_STEPS:
        lines.append(translate(language, "card_more_steps", count=len(plan.steps) - MAX_STEPS))
    return "\n".join(lines)
