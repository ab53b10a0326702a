"""What chat tells of one request in detail, and of many in a line each: show, jobs, history. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from common.catalogue import Language, translate
from common.lifecycle import RequestState
from hub.chat.approval_text import fits_chat, plan_lines
from hub.chat.reply_text import MAX_LINES, NOBODY, fit_lines, job_line, status_line, status_text
from hub.core.approval import approval_code
from hub.core.chat_text import command_text, inline_text, time_text
from hub.core.records import Approval, Job, Request

MAX_TEXT: Final = 300  # characters of what was asked for


def details_text(
    request: Request,
    jobs: Sequence[Job],
    approvals: Sequence[Approval],
    now: float,
    language: Language,
    away: Mapping[str, float] = NOBODY,
) -> str:
    """A request with what it asked for, its exact plan, who decided, and how its jobs are."""
    lines = [status_text(request, jobs, now, language, away)]
    lines.append(translate(language, "show_text", text=inline_text(request.text, MAX_TEXT)))
    if request.plan is not None:
        shown = fits_chat(request.plan)
        lines.append(plan_lines(request.plan, language) if shown else translate(language, "show_too_long"))
        if request.plan_hash:
            lines.append(translate(language, "ask_plan", hash=request.plan_hash[:8]))
    for one in approvals:
        key = "show_approved" if one.granted else "show_rejected"
        lines.append(translate(language, key, person=inline_text(one.person), at=time_text(one.at, now, language)))
    if request.state is RequestState.ASKING:
        how = {"number": request.number, "code": approval_code(request)}
        lines.append(translate(language, "ask_how_code" if request.second_factor else "ask_how", **how))
    elif request.reason and request.state is not RequestState.DONE:
        lines.append(translate(language, "show_why", reason=inline_text(request.reason)))
    return fit_lines(lines, language)


def jobs_text(
    jobs: Sequence[Job], more: bool, now: float, language: Language, away: Mapping[str, float] = NOBODY
) -> str:
    """Jobs that have not ended, the newest first."""
    if not jobs:
        return translate(language, "jobs_none")
    lines = [translate(language, "jobs_head_more" if more else "jobs_head", count=len(jobs))]
    for job in jobs[:MAX_LINES]:
        values = {"number": job.number, "job": job_line(job, now, language, away)}
        lines.append(translate(language, "jobs_line", command=inline_text(job.command or "…", 80), **values))
    return fit_lines(lines, language)


def history_text(requests: Sequence[Request], now: float, language: Language) -> str:
    """The last requests of a conversation, the newest first."""
    if not requests:
        return translate(language, "history_none")
    lines = [translate(language, "history_head")]
    for request in requests[:MAX_LINES]:
        at = time_text(request.received_at, now, language)
        lines.append(translate(language, "history_line", at=at, line=status_line(_told(request), (), now, language)))
    lines.append(translate(language, "history_how", number=requests[0].number))
    return fit_lines(lines, language)


def _told(request: Request) -> Request:
    """The request in its sender's words; by its command where those were one word, such as a machine's name."""
    if request.plan is None or len(request.plan.steps) != 1 or " " in request.text.strip():
        return request
    step = request.plan.steps[0]
    return replace(request, text=f"@{','.join(step.targets[:3])} {command_text(step.argv, step.filters)}")
