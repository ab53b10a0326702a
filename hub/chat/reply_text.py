"""The texts of replies about requests, jobs and machines, made from records. Pure.

Each text is in the request's language, at most `MAX_REPLY` characters, and has no active markup or mentions
(`hub.core.chat_text`). The text of a plan that waits for approval is never truncated: a plan too long for it cannot be
approved in chat (`approval_text.fits_chat`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from common.catalogue import Language, Sentence, translate
from common.lifecycle import JOB_SETTLED, JOB_TERMINAL, JobState, RequestState
from common.machine.absence import Absence, absence_text
from common.machine.redelivery import redelivery_sentence
from common.plan import Plan
from common.text import clean_output
from common.times import format_moment, utc
from hub.core.attempts import MAX_ATTEMPTS
from hub.core.chat_text import code_block, duration_text, inline_text, join_names, neutralize_mentions, time_text
from hub.core.inventory import Inventory, Machine
from hub.core.lost_contact import lost_since, waits_until
from hub.core.records import Job, Request
from hub.core.recovery import REASON as RESTORED

MAX_REPLY: Final = 3_500
MAX_GROUPS: Final = 20
MAX_LINES: Final = 40
MAX_REASONS: Final = 3  # machines of which it is said why they are away
PROGRESS_TAIL: Final = 1_200
MAX_SUMMARY: Final = 800
NOBODY: Final[Mapping[str, float]] = MappingProxyType({})
_LINK: Final = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://\S*|\bwww\.\S+|\]\(\S*", re.IGNORECASE)


# ---- a plan before it runs


def refused_text(request: Request, reason: str) -> str:
    """A refusal; `reason`, in the request's language, is policy's with the nearest rule, or a planner's."""
    if request.plan is None:
        return plain_text(reason, request.language)
    return plain_text(translate(request.language, "refused", number=request.number, reason=reason), request.language)


def ended_text(request: Request) -> str:
    """A request that ended and ran nothing: rejected, expired, taken back, or refused for a reason given elsewhere."""
    key = {
        RequestState.REFUSED: "closed_refused",
        RequestState.REJECTED: "closed_rejected",
        RequestState.EXPIRED: "closed_expired",
        RequestState.CANCELLED: "closed_cancelled",
    }.get(request.state)
    if request.state is RequestState.EXPIRED and request.reason == RESTORED:
        key = "closed_restored"
    if key is None:
        return plain_text(status_line(request, (), 0.0, request.language), request.language)
    values = {"number": request.number, "who": inline_text(request.reason)}
    return plain_text(translate(request.language, key, **values), request.language)


# ---- while it waits and runs


def queued_offline_text(
    request: Request, jobs: Sequence[Job], now: float, reasons: Mapping[str, Absence] | None = None
) -> str:
    """`jobs` are those whose machine is offline; `reasons` say why, of the first few."""
    names = sorted(job.agent for job in jobs)
    language = request.language
    for at, name in enumerate(names[:MAX_REASONS]):
        if reasons and (why := reasons.get(name)) is not None:
            names[at] = f"{name} ({away_text(why, now, language)})"
    until = time_text(min(job.not_after for job in jobs), now, request.language)
    key = "offline_one" if len(names) == 1 else "offline_more"
    values = {"number": request.number, "machines": join_names(names, request.language), "until": until}
    return fit_lines([translate(request.language, key, **values)], request.language)


def tried_again_text(request: Request, job: Job, attempt: int) -> str:
    """A job of an idempotent rule is unknown."""
    values = {"number": request.number, "machine": job.agent, "attempt": attempt, "most": MAX_ATTEMPTS}
    return fit_lines([translate(request.language, "tried_again", **values)], request.language)


def away_text(absence: Absence, now: float, language: Language) -> str:
    """Why a machine is away. In UTC, as all moments in chat."""
    return absence_text(absence, lambda at: format_moment(at, now, utc, seconds=False), language)


def recovery_wait_text(request: Request) -> str:
    return plain_text(translate(request.language, "recovery_wait", number=request.number), request.language)


def progress_text(request: Request, job: Job, tail: str, now: float, away: Mapping[str, float] = NOBODY) -> str:
    """A running job, with the end of its output so far (cleaned); `away` is when machines were seen last that are not
    linked.
    """
    language = request.language
    key = "progress" if job.cancel_asked_at is None else "progress_cancelling"
    lines = [translate(language, key, number=request.number), job_line(job, now, language, away)]
    if tail.strip():
        lines.append(code_block(tail.rstrip()[-PROGRESS_TAIL:]))
    return fit_lines(lines, language)


def job_line(job: Job, now: float, language: Language, away: Mapping[str, float] = NOBODY) -> str:
    since = {
        JobState.QUEUED: job.queued_at,
        JobState.LEASED: job.leased_at,
        JobState.ACCEPTED: job.accepted_at,
        JobState.RUNNING: job.started_at,
    }.get(job.state, job.ended_at)
    state = translate(language, f"job_is_{job.state.value}")
    if since is None:
        return translate(language, "job_line", machine=job.agent, state=state)
    if (lost := lost_since(job, away)) is not None:
        told = {"since": time_text(lost, now, language), "until": time_text(waits_until(job), now, language)}
        return translate(language, "job_line_lost", machine=job.agent, state=state, **told)
    age = duration_text(max(0.0, now - since), language)
    values = {"machine": job.agent, "state": state, "duration": age}
    if job.state in JOB_SETTLED and job.reason:
        return translate(language, "job_line_why", reason=inline_text(job.reason), **values)
    line = translate(language, "job_line_since" if job.state not in JOB_SETTLED else "job_line_ago", **values)
    again = None if job.state in JOB_SETTLED else redelivery_sentence(job.redeliveries, job.redelivery_code)
    return line if again is None else f"{line} ({again.render(language)})"


# ---- how it ended


def summary_text(request: Request, summary: str) -> str:
    """A model's summary of output that was sent before: marked as the model's, on one line, without links."""
    shown = inline_text(_LINK.sub("[…]", " ".join(clean_output(summary).split())), MAX_SUMMARY)
    head = translate(request.language, "summary_head", number=request.number)
    return fit_lines([head, f"> {shown}"], request.language)


# ---- answers to chat commands


def status_text(
    request: Request, jobs: Sequence[Job], now: float, language: Language, away: Mapping[str, float] = NOBODY
) -> str:
    lines = [status_line(request, jobs, now, language)]
    lines += [job_line(job, now, language, away) for job in jobs[:MAX_GROUPS]]
    if len(jobs) > MAX_GROUPS:
        lines.append(translate(language, "final_more", count=len(jobs) - MAX_GROUPS, number=request.number))
    return fit_lines(lines, language)


def overview_text(
    requests: Sequence[Request], inventory: Inventory, depth: int, oldest: float | None, now: float, language: Language
) -> str:
    """Open requests, machines online, queued jobs (`depth`); `oldest` is when the first of them was queued."""
    lines = [_machines_line(inventory, language)]
    if depth and oldest is not None:
        waited = duration_text(max(0.0, now - oldest), language)
        lines.append(translate(language, "queue_waiting", count=depth, duration=waited))
    if requests:
        lines.append(translate(language, "open_head", count=len(requests)))
        lines += [status_line(request, (), now, language) for request in requests[:MAX_GROUPS]]
    else:
        lines.append(translate(language, "open_none"))
    return fit_lines(lines, language)


def status_line(request: Request, jobs: Sequence[Job], now: float, language: Language) -> str:
    values = {"number": request.number, "person": request.person or "?", "text": inline_text(request.text, 80)}
    if request.state is RequestState.ASKING and request.decide_by is not None:
        return translate(language, "status_asking", until=time_text(request.decide_by, now, language), **values)
    if request.state is RequestState.WORKING and jobs:
        done = sum(job.state in JOB_TERMINAL for job in jobs)
        return translate(language, "status_working", done=done, total=len(jobs), **values)
    return translate(
        language, "status_plain", state=translate(language, f"request_is_{_state_word(request)}"), **values
    )


def _state_word(request: Request) -> str:
    """The request's state, told apart by outcome: what did not go well is never just "done"."""
    return request.state.value if request.outcome in ("", "succeeded") else f"done_{request.outcome}"


def machines_text(inventory: Inventory, language: Language, now: float) -> str:
    machines = sorted(inventory.machines.values(), key=lambda machine: machine.name)
    lines = [_machines_line(inventory, language)]
    lines += [_machine_line(machine, language, now) for machine in machines[:MAX_LINES]]
    if len(machines) > MAX_LINES:
        lines.append(translate(language, "machines_more", count=len(machines) - MAX_LINES))
    return fit_lines(lines, language)


def _machines_line(inventory: Inventory, language: Language) -> str:
    if not inventory.machines:
        return translate(language, "machines_none")
    online = sum(machine.online for machine in inventory.machines.values())
    return translate(language, "machines_head", online=online, count=len(inventory.machines))


def _machine_line(machine: Machine, language: Language, now: float) -> str:
    parts = [machine.name, translate(language, "machine_online" if machine.online else "machine_offline")]
    if machine.away is not None:
        key = "machine_online_but" if machine.online else "machine_offline_why"
        parts[1] = translate(language, key, why=away_text(machine.away, now, language))
    if machine.paused:
        parts.append(translate(language, "machine_paused", person=machine.paused))
    parts += [f"{key}={value}" for key, value in sorted(machine.labels.items())[:8]]
    return " · ".join(parts)


# ---- all replies


def plain_text(text: Sentence | str, language: Language) -> str:
    """A sentence of a planner or an action as a whole reply."""
    return fit_lines([text.render(language) if isinstance(text, Sentence) else text], language)


def fit_lines(lines: Sequence[str], language: Language) -> str:
    """The lines as one text of at most MAX_REPLY characters; cut at the end of a line, with a note, where longer."""
    text = neutralize_mentions("\n".join(lines))
    if len(text) <= MAX_REPLY:
        return text
    note = translate(language, "reply_cut")
    head = text[: MAX_REPLY - len(note) - 8]
    head = head[: head.rfind("\n")] if "\n" in head[MAX_REPLY // 2 :] else head
    if head.count("```") % 2:
        head += "\n```"
    return f"{head}\n{note}"


def plan_of(request: Request) -> Plan:
    """The request's plan; raises ValueError where it has none, which is a programming error here."""
    if request.plan is None:
        raise ValueError(f"r{request.number} has no plan to show")
    return request.plan
