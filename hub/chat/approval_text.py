"""The text of an approval request: the exact plan, its machines, why approval is needed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from common.catalogue import Language, Sentence, translate
from common.command.line import quote_command
from common.command.lookalikes import find_disguised
from common.plan import Plan, Step
from common.policy.protections import told_variables
from common.text import escape_argv
from hub.chat.reply_text import plan_of
from hub.core.approval import approval_code
from hub.core.chat_text import (
    code_block,
    duration_text,
    inline_text,
    join_names,
    neutralize_mentions,
    time_text,
)
from hub.core.records import Request
from hub.core.who_may import names_of

MAX_APPROVAL: Final = 2_000
MAX_MODEL_LINES: Final = 10
MAX_MODEL_LINE: Final = 400


def fits_chat(plan: Plan) -> bool:
    """Whether the plan fits into a chat message uncut; one that does not must not be approved in chat."""
    return all(len(plan_lines(plan, language)) <= MAX_APPROVAL for language in ("en", "zh"))


CodeWay = Literal["form", "page", "words"]
"""How a second factor's code is given, unseen where there is such a way: a form of the chat, the confirm page."""


def approval_request_text(
    request: Request,
    reason: str,
    now: float,
    approvers: Sequence[str] = (),
    code_way: CodeWay = "words",
    *,
    deadline_told: bool = False,
) -> str:
    """What would run exactly, why it needs approval, who must approve, until when, and how.

    `reason` is policy's, in the request's language; `now` in epoch seconds; `approvers` are the names of who may.
    `deadline_told`: until when is said beside the text, by the reader's own clock.
    """
    plan, language = plan_of(request), request.language
    number = {"number": request.number}
    lines = [translate(language, "ask_head", person=request.person, **number)]
    fits = fits_chat(plan)
    if fits:
        lines.append(plan_lines(plan, language))
    else:
        lines.append(translate(language, "ask_too_long", steps=len(plan.steps), count=len(plan.targets)))
    lines += _model_notes(plan, language)
    if reason:
        lines.append(translate(language, "ask_reason", reason=inline_text(reason)))
    key = "ask_needs_one" if request.approvers <= 1 else "ask_needs_more"
    if deadline_told:
        key += "_timed" if request.own_approval else "_other_timed"
    else:
        key += "" if request.own_approval else "_other"
    until = time_text(request.decide_by, now, language) if request.decide_by is not None else "-"
    lines.append(translate(language, key, count=request.approvers, person=request.person, until=until))
    nobody = request.second_factor and not approvers
    names = Sentence("names_no_factor") if nobody else names_of(approvers)
    lines.append(translate(language, "ask_who", names=names))
    if not fits:
        lines.append(translate(language, "ask_how_console", **number))
    else:
        keys = {"form": "ask_how_form", "page": "ask_how_page", "words": "ask_how_code"}
        key = keys[code_way] if request.second_factor else "ask_how"
        lines.append(translate(language, key, code=approval_code(request), **number))
    return neutralize_mentions("\n".join(lines))


def _model_notes(plan: Plan, language: Language) -> Iterable[str]:
    """A model's explanation of its plan: separate, marked as the model's, each of its lines on one line."""
    if plan.source.startswith("model:") and plan.explanation:
        yield translate(language, "ask_model")
        for line in plan.explanation.splitlines()[:MAX_MODEL_LINES]:
            yield f"> {inline_text(line, MAX_MODEL_LINE)}"


def plan_lines(plan: Plan, language: Language) -> str:
    """Every step as it would run; never truncated and unambiguous."""
    lines: list[str] = []
    for index, step in enumerate(plan.steps, 1):
        targets = join_names(step.targets, language, most=None)
        values = {"machines": targets, "count": len(step.targets), "limit": duration_text(step.time_limit, language)}
        if len(plan.steps) == 1:
            lines.append(translate(language, "ask_on", **values))
        else:
            lines.append(translate(language, "ask_on_step", step=index, steps=len(plan.steps), **values))
        lines.append(code_block("\n".join(_step_lines(step, language))))
        if (oddity := find_disguised(step.argv)) is not None:
            lines.append(translate(language, "odd_careful", found=oddity.sentence))
    return "\n".join(lines)


def _step_lines(step: Step, language: Language) -> Iterable[str]:
    yield quote_command(step.argv, step.filters)
    if step.script is not None:
        name = _escaped(step.argv[step.script.word])
        yield translate(language, "ask_script", name=name, digest=step.script.sha256)
    if step.cwd:
        yield translate(language, "ask_folder", folder=_escaped(step.cwd))
    if step.env:
        yield translate(
            language,
            "ask_environment",
            pairs=" ".join(_escaped(f"{key}={value}") for key, value in told_variables(step.env)),
        )


def _escaped(text: str) -> str:
    return escape_argv((text,))[1:-1]
