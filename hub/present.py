"""Everything chat is told about requests, jobs and machines, made from records. Pure.

Each text is whole, in the request's language, at most `MAX_REPLY` characters, and neutral (`hub.wording`). The one text
that is never cut is what an approval is about: a plan too long for it is not to be approved in chat (`fits_chat`).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.catalogue import Language, Sentence, say
from common.lifecycle import JOB_ENDS, JobState, RequestState
from common.plan import Plan, Step
from common.text import clean_output, escape_argv
from hub.machines import Inventory, Machine
from hub.plan.match import Runbooks, sample_machine
from hub.records import Job, Request
from hub.wording import (
    code,
    command,
    duration,
    fenced,
    listed,
    moment,
    neutral,
    prose,
    shortened,
    size,
)

MAX_REPLY: Final = 3_500
MAX_APPROVAL: Final = 2_000
MAX_GROUPS: Final = 20
MAX_LINES: Final = 40
MIN_ROOM: Final = 120  # an output that gets fewer characters than this is only pointed to
PROGRESS_TAIL: Final = 1_200
MAX_SUMMARY: Final = 800
_LINK: Final = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://\S*|\bwww\.\S+|\]\(\S*", re.IGNORECASE)
MAX_MODEL_LINES: Final = 10
MAX_MODEL_LINE: Final = 400
HEAD_BYTES: Final = 32 * 1024
"""Callers give at least this much of an output's beginning."""


# ---- a plan before it runs


def fits_chat(plan: Plan) -> bool:
    """Whether the plan can be shown whole in chat. What cannot be shown whole must not be approved there."""
    return all(len(_exact_plan(plan, language)) <= MAX_APPROVAL for language in ("en", "zh"))


def asked_text(request: Request, reason: str, now: float) -> str:
    """What a request waits for: exactly what would run, why it is asked, who must say yes, until when, and how.

    `reason` is policy's, in the request's language.
    """
    plan, language = _plan_of(request), request.language
    number = {"number": request.number}
    lines = [say(language, "ask_head", person=request.person, **number)]
    whole = fits_chat(plan)
    if whole:
        lines.append(_exact_plan(plan, language))
    else:
        lines.append(say(language, "ask_too_long", steps=len(plan.steps), count=len(plan.targets)))
    lines += _model_words(plan, language)
    if reason:
        lines.append(say(language, "ask_reason", reason=prose(reason)))
    lines.append(say(language, "ask_plan", hash=request.plan_hash[:8]))
    key = "ask_needs_one" if request.approvers <= 1 else "ask_needs_more"
    key += "" if request.own_approval else "_other"
    until = moment(request.decide_by, now, language) if request.decide_by is not None else "-"
    lines.append(say(language, key, count=request.approvers, person=request.person, until=until))
    if not whole:
        lines.append(say(language, "ask_how_console", **number))
    else:
        lines.append(say(language, "ask_how_code" if request.second_factor else "ask_how", **number))
    return neutral("\n".join(lines))


def _model_words(plan: Plan, language: Language) -> Iterable[str]:
    """What the model that made a plan says of it: apart, marked as its own, and each line no more than one."""
    if plan.source.startswith("model:") and plan.explanation:
        yield say(language, "ask_model")
        for line in plan.explanation.splitlines()[:MAX_MODEL_LINES]:
            yield f"> {prose(line, MAX_MODEL_LINE)}"


def _exact_plan(plan: Plan, language: Language) -> str:
    """Every step as it would run; nothing is cut and nothing can be read in two ways."""
    lines: list[str] = []
    for index, step in enumerate(plan.steps, 1):
        targets = listed(step.targets, language, most=None)
        values = {"machines": targets, "count": len(step.targets), "limit": duration(step.time_limit, language)}
        if len(plan.steps) == 1:
            lines.append(say(language, "ask_on", **values))
        else:
            lines.append(say(language, "ask_on_step", step=index, steps=len(plan.steps), **values))
        lines.append(fenced("\n".join(_exact_step(step, language))))
    return "\n".join(lines)


def _exact_step(step: Step, language: Language) -> Iterable[str]:
    yield escape_argv(step.argv)
    if step.cwd:
        yield say(language, "ask_folder", folder=_exact(step.cwd))
    if step.env:
        yield say(language, "ask_environment", pairs=" ".join(_exact(f"{key}={value}") for key, value in step.env))


def _exact(text: str) -> str:
    return escape_argv((text,))[1:-1]


def refused_text(request: Request, reason: str) -> str:
    """A no; `reason` is in the request's language: policy's with the nearest rule, or what a planner could not take."""
    if request.plan is None:
        return plain_text(reason, request.language)
    return plain_text(say(request.language, "refused", number=request.number, reason=reason), request.language)


def ended_text(request: Request) -> str:
    """A request that ended with nothing run: rejected, expired, taken back, or refused for a reason told elsewhere."""
    key = {
        RequestState.REFUSED: "closed_refused",
        RequestState.REJECTED: "closed_rejected",
        RequestState.EXPIRED: "closed_expired",
        RequestState.CANCELLED: "closed_cancelled",
    }.get(request.state)
    if key is None:
        return plain_text(_status_line(request, (), 0.0, request.language), request.language)
    values = {"number": request.number, "who": prose(request.reason)}
    return plain_text(say(request.language, key, **values), request.language)


# ---- while it waits and runs


def queued_offline_text(request: Request, jobs: Sequence[Job], now: float) -> str:
    """`jobs` are those whose machine is not here."""
    names = sorted(job.agent for job in jobs)
    until = moment(min(job.not_after for job in jobs), now, request.language)
    key = "offline_one" if len(names) == 1 else "offline_more"
    values = {"number": request.number, "machines": listed(names, request.language), "until": until}
    return _reply([say(request.language, key, **values)], request.language)


def progress_text(request: Request, job: Job, tail: str, now: float) -> str:
    """How a job goes on, with the end of its output so far (cleaned); to be updated in place where the platform can."""
    language = request.language
    key = "progress" if job.cancel_asked_at is None else "progress_cancelling"
    lines = [say(language, key, number=request.number), _job_line(job, now, language)]
    if tail.strip():
        lines.append(fenced(tail.rstrip()[-PROGRESS_TAIL:]))
    return _reply(lines, language)


def _job_line(job: Job, now: float, language: Language) -> str:
    since = {
        JobState.QUEUED: job.queued_at,
        JobState.LEASED: job.leased_at,
        JobState.ACCEPTED: job.accepted_at,
        JobState.RUNNING: job.started_at,
    }.get(job.state, job.ended_at)
    state = say(language, f"job_is_{job.state.value}")
    if since is None:
        return say(language, "job_line", machine=job.agent, state=state)
    age = duration(max(0.0, now - since), language)
    key = "job_line_since" if job.state not in JOB_ENDS else "job_line_ago"
    return say(language, key, machine=job.agent, state=state, duration=age)


# ---- how it ended


@dataclass(slots=True)
class _Group:
    """Machines on which the same came of the same command."""

    job: Job  # one of them
    machines: list[str]
    longest: float
    output: str


def final_text(request: Request, jobs: Sequence[Job], outputs: Mapping[str, str], now: float) -> str:
    """The whole outcome. `outputs` has by job id each job's output, or its beginning, made safe by `clean_output`."""
    plan, language = _plan_of(request), request.language
    parts: list[tuple[str, list[_Group]]] = []
    for index, step in enumerate(plan.steps):
        groups = _grouped([job for job in jobs if job.step == index], outputs)
        values = {"number": request.number, "command": code(command(step.argv)), "step": index + 1}
        if len(plan.steps) == 1:
            parts.append((say(language, "final_head", **values), groups))
        elif groups:
            parts.append((say(language, "final_head_step", steps=len(plan.steps), **values), groups))
        else:
            parts.append((say(language, "final_not_reached", steps=len(plan.steps), **values), []))
    return _outcome(parts, language, request.number, now)


def late_text(request: Request, job: Job, output: str, now: float) -> str:
    """The truth about a job that was told as unknown."""
    head = say(request.language, "late_head", number=request.number, machine=job.agent)
    return _outcome([(head, _grouped([job], {job.id: output}))], request.language, request.number, now)


def _outcome(parts: Sequence[tuple[str, list[_Group]]], language: Language, number: int, now: float) -> str:
    shown = [group for _, groups in parts for group in groups[:MAX_GROUPS]][:MAX_GROUPS]
    heads = {id(group): _group_lines(group, now, language) for group in shown}
    room = MAX_REPLY - sum(len(head) + 2 for head, _ in parts) - 120
    room -= sum(len(line) + 1 for lines in heads.values() for line in lines) + 130 * len(shown)
    shares = _shares([len(group.output) for group in shown], max(0, room))
    rooms = dict(zip(heads, shares, strict=True))
    lines: list[str] = []
    for head, groups in parts:
        lines.append(head)
        for group in groups:
            if id(group) in heads:
                lines += _with_output(group, heads[id(group)], rooms[id(group)], language)
        hidden = [group for group in groups if id(group) not in heads]
        if hidden:
            count = sum(len(group.machines) for group in hidden)
            lines.append(say(language, "final_more", count=count, number=number))
    return _reply(lines, language)


def _grouped(jobs: Sequence[Job], outputs: Mapping[str, str]) -> list[_Group]:
    """Machines with the same outcome and output together; what did not go well first."""
    found: dict[object, _Group] = {}
    for job in sorted(jobs, key=lambda one: (one.state is JobState.SUCCEEDED, one.agent)):
        output = outputs.get(job.id, "")
        alike = (job.exit_code, job.signal, job.reason, job.truncated, job.output_digest, output)
        # Unknown outcomes are never told together: each is settled by its own job.
        key = job.id if job.state is JobState.UNKNOWN else (job.state, alike)
        group = found.setdefault(key, _Group(job, [], 0.0, output))
        group.machines.append(job.agent)
        group.longest = max(group.longest, job.duration or 0.0)
    return list(found.values())


def _group_lines(group: _Group, now: float, language: Language) -> list[str]:
    """How it ended, in a line; and what must be said about it."""
    job = group.job
    values = {
        "machines": listed(group.machines, language),
        "duration": duration(group.longest, language),
        "reason": prose(job.reason),
    }
    match job.state:
        case JobState.FAILED if job.signal is not None:
            return [say(language, "ended_signal", signal=_signal_name(job.signal), **values)]
        case JobState.FAILED if job.exit_code is not None:
            return [say(language, "ended_exit", code=job.exit_code, **values)]
        case JobState.CANCELLED if job.cancel_asked_by and job.started_at is not None:
            return [say(language, "ended_cancelled_running", person=job.cancel_asked_by, **values)]
        case JobState.QUEUED | JobState.LEASED | JobState.ACCEPTED | JobState.RUNNING:
            return [say(language, "ended_not", state=say(language, f"job_is_{job.state.value}"), **values)]
        case _:
            until = moment(job.not_after, now, language)
            return [say(language, f"ended_{job.state.value}", job=_short(job), until=until, **values)]


def _with_output(group: _Group, lines: list[str], room: int, language: Language) -> list[str]:
    job, output = group.job, group.output.strip("\n").rstrip()
    if not output and not job.output_bytes:
        ran = job.state in (JobState.SUCCEEDED, JobState.FAILED, JobState.TIMED_OUT) and job.exit_code is not None
        return [*lines, say(language, "output_none")] if ran else lines
    if not output or (room < MIN_ROOM and len(output) > room):
        return [*lines, say(language, "output_elsewhere", job=_short(job), size=size(job.output_bytes))]
    # Cleaning makes an output shorter, so that a short one is whole though it has fewer bytes than the program wrote.
    whole = job.output_bytes <= HEAD_BYTES or len(group.output.encode()) >= job.output_bytes
    text, cut = shortened(output, room, language, whole=whole and not job.truncated)
    lines = [*lines, fenced(text)]
    if job.truncated:
        values = {"total": size(job.output_bytes), "digest": job.output_digest}
        lines.append(say(language, "output_truncated", **values))
    if cut:
        lines.append(say(language, "output_cut", job=_short(job)))
    return lines


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """`room` dealt out so that small wishes are met in full and the large ones get the same."""
    shares = [0] * len(wanted)
    left = room
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for done, index in enumerate(order):
        shares[index] = min(wanted[index] + 40, left // (len(order) - done))
        left -= shares[index]
    return shares


def _short(job: Job) -> str:
    """Enough of a job's id to name it at the command line."""
    return job.id[-10:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def summary_text(request: Request, summary: str) -> str:
    """A model's words on output that was told before: marked as its own, on one line, with no link in them."""
    words = prose(_LINK.sub("[…]", " ".join(clean_output(summary).split())), MAX_SUMMARY)
    head = say(request.language, "summary_head", number=request.number)
    return _reply([head, f"> {words}"], request.language)


# ---- looking around


def status_text(request: Request, jobs: Sequence[Job], now: float, language: Language) -> str:
    lines = [_status_line(request, jobs, now, language)]
    lines += [_job_line(job, now, language) for job in jobs[:MAX_GROUPS]]
    if len(jobs) > MAX_GROUPS:
        lines.append(say(language, "final_more", count=len(jobs) - MAX_GROUPS, number=request.number))
    return _reply(lines, language)


def overview_text(
    requests: Sequence[Request], inventory: Inventory, depth: int, oldest: float | None, now: float, language: Language
) -> str:
    """What is open, how many machines are here, how many jobs wait; `oldest` is when the first of them was queued."""
    lines = [_machines_line(inventory, language)]
    if depth and oldest is not None:
        waited = duration(max(0.0, now - oldest), language)
        lines.append(say(language, "queue_waiting", count=depth, duration=waited))
    if requests:
        lines.append(say(language, "open_head", count=len(requests)))
        lines += [_status_line(request, (), now, language) for request in requests[:MAX_GROUPS]]
    else:
        lines.append(say(language, "open_none"))
    return _reply(lines, language)


def _status_line(request: Request, jobs: Sequence[Job], now: float, language: Language) -> str:
    values = {"number": request.number, "person": request.person or "?", "text": prose(request.text, 80)}
    if request.state is RequestState.ASKING and request.decide_by is not None:
        return say(language, "status_asking", until=moment(request.decide_by, now, language), **values)
    if request.state is RequestState.WORKING and jobs:
        done = sum(job.state in JOB_ENDS for job in jobs)
        return say(language, "status_working", done=done, total=len(jobs), **values)
    return say(language, "status_plain", state=say(language, f"request_is_{request.state.value}"), **values)


def machines_text(inventory: Inventory, language: Language) -> str:
    machines = sorted(inventory.machines.values(), key=lambda machine: machine.name)
    lines = [_machines_line(inventory, language)]
    lines += [_machine_line(machine, language) for machine in machines[:MAX_LINES]]
    if len(machines) > MAX_LINES:
        lines.append(say(language, "machines_more", count=len(machines) - MAX_LINES))
    return _reply(lines, language)


def _machines_line(inventory: Inventory, language: Language) -> str:
    if not inventory.machines:
        return say(language, "machines_none")
    online = sum(machine.online for machine in inventory.machines.values())
    return say(language, "machines_head", online=online, count=len(inventory.machines))


def _machine_line(machine: Machine, language: Language) -> str:
    parts = [machine.name, say(language, "machine_online" if machine.online else "machine_offline")]
    if machine.paused:
        parts.append(say(language, "machine_paused", person=machine.paused))
    parts += [f"{key}={value}" for key, value in sorted(machine.labels.items())[:8]]
    return " · ".join(parts)


def help_text(runbooks: Runbooks, inventory: Inventory, language: Language) -> str:
    """What can be said here; the examples are for a machine that exists."""
    machine = sample_machine(inventory) or "web-1"
    lines = [say(language, "help_head"), say(language, "help_explicit", machine=machine), say(language, "help_acts")]
    lines += [say(language, "help_follow_up"), say(language, "help_drafts")]  # above what may be cut
    if runbooks.all:
        lines.append(say(language, "help_runbooks"))
        for runbook in runbooks.all:
            values = {"title": runbook.titled(language), "phrase": runbook.phrase(language, machine)}
            lines.append(say(language, "help_item", **values))
    return _reply(lines, language)


# ---- all replies


def plain_text(text: Sentence | str, language: Language) -> str:
    """A sentence of a planner or an act as a whole reply."""
    return _reply([text.say(language) if isinstance(text, Sentence) else text], language)


def _reply(lines: Sequence[str], language: Language) -> str:
    """The lines as one text within the bound; what does not fit is left out at a line's end and said."""
    text = neutral("\n".join(lines))
    if len(text) <= MAX_REPLY:
        return text
    note = say(language, "reply_cut")
    kept = text[: MAX_REPLY - len(note) - 8]
    kept = kept[: kept.rfind("\n")] if "\n" in kept[MAX_REPLY // 2 :] else kept
    if kept.count("```") % 2:
        kept += "\n```"
    return f"{kept}\n{note}"


def _plan_of(request: Request) -> Plan:
    if request.plan is None:
        raise ValueError(f"r{request.number} has no plan to show")
    return request.plan
