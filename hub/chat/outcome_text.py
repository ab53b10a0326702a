"""The text of a request's outcome: machine by machine, with equal outputs shown once. Pure.

Whatever is known of why a job ended stands with how it ended, and what is missing of its output or goes on running is
told below it (`common.machine.end_notes`): a reader must never have to notice a loss.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from common.catalogue import Language, translate
from common.command.lookalikes import find_disguised
from common.lifecycle import JOB_SETTLED, JobState
from common.machine.end_notes import LOSSES, has_code, note_sentences
from hub.chat.reply_text import MAX_GROUPS, MAX_REPLY, PROGRESS_TAIL, fit_lines, plan_of
from hub.core.chat_text import (
    code_block,
    command_text,
    duration_text,
    inline_code,
    inline_text,
    join_names,
    size_text,
    time_text,
    truncate_output,
)
from hub.core.records import Job, Request

MIN_OUTPUT_ROOM: Final = 120  # characters; an output with less room is only referred to
HEAD_BYTES: Final = 32 * 1024
"""Callers pass at least this much of an output's beginning."""


@dataclass(slots=True)
class _Group:
    """Machines on which a command had the same outcome and output."""

    job: Job  # one of them
    machines: list[str]
    longest: float
    output: str
    tail: str = ""  # the end of an output of which `output` is the beginning, or of what a running job has said


def final_text(
    request: Request,
    jobs: Sequence[Job],
    outputs: Mapping[str, str],
    now: float,
    tails: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The outcome of all that was not told before. `outputs`: job id -> its output, or the beginning of it, after
    `clean_output`; `tails`: the ends of those of which that is only the beginning.
    """
    plan, language = plan_of(request), request.language
    untold = [job for job in jobs if job.replied_at is None]
    told = len(jobs) - len(untold)
    parts: list[tuple[str, list[_Group]]] = []
    for index, step in enumerate(plan.steps):
        groups = _grouped([job for job in untold if job.step == index], outputs, tails)
        command = inline_code(command_text(step.argv, step.filters))
        if any(group.job.state is JobState.FAILED for group in groups) and (odd := find_disguised(step.argv)):
            command += "\n" + translate(language, "odd_careful", found=odd.sentence)
        values = {"number": request.number, "command": command, "step": index + 1}
        if len(plan.steps) == 1 and told:
            parts.append((translate(language, "final_head_rest", told=told, **values), groups))
        elif len(plan.steps) == 1:
            parts.append((translate(language, "final_head", **values), groups))
        elif groups:
            parts.append((translate(language, "final_head_step", steps=len(plan.steps), **values), groups))
        elif not any(job.step == index for job in jobs):
            parts.append((translate(language, "final_not_reached", steps=len(plan.steps), **values), []))
    return _outcome(parts, language, request.number, now)


def partial_text(
    request: Request,
    jobs: Sequence[Job],
    news: Sequence[Job],
    outputs: Mapping[str, str],
    now: float,
    tails: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """What some machines said while others are awaited, and which those are."""
    language = request.language
    step = plan_of(request).steps[request.step]
    waiting = sorted(job.agent for job in jobs if job.step == request.step and job.state not in JOB_SETTLED)
    current = sum(job.step == request.step for job in jobs)
    values = {"number": request.number, "command": inline_code(command_text(step.argv, step.filters))}
    head = translate(language, "partial_head", done=current - len(waiting), total=current, **values)
    rest = translate(language, "partial_waiting", machines=join_names(waiting, language), count=len(waiting))
    return _outcome([(head, _grouped(news, outputs, tails)), (rest, [])], language, request.number, now)


def late_text(request: Request, job: Job, output: str, now: float) -> str:
    """The outcome of a job that was reported as unknown."""
    head = translate(request.language, "late_head", number=request.number, machine=job.agent)
    return _outcome([(head, _grouped([job], {job.id: output}))], request.language, request.number, now)


def _outcome(parts: Sequence[tuple[str, list[_Group]]], language: Language, number: int, now: float) -> str:
    shown = [group for _, groups in parts for group in groups[:MAX_GROUPS]][:MAX_GROUPS]
    heads = {id(group): _group_lines(group, now, language) for group in shown}
    room = MAX_REPLY - sum(len(head) + 2 for head, _ in parts) - 120
    room -= sum(len(line) + 1 for lines in heads.values() for line in lines) + 130 * len(shown)
    shares = _fair_shares([len(group.output or group.tail) for group in shown], max(0, room))
    rooms = dict(zip(heads, shares, strict=True))
    lines: list[str] = []
    for head, groups in parts:
        lines.append(head)
        for group in groups:
            if id(group) in heads:
                lines += _with_output(group, heads[id(group)], rooms[id(group)], number, language)
        hidden = [group for group in groups if id(group) not in heads]
        if hidden:
            count = sum(len(group.machines) for group in hidden)
            lines.append(translate(language, "final_more", count=count, number=number))
    return fit_lines(lines, language)


def _grouped(
    jobs: Sequence[Job], outputs: Mapping[str, str], tails: Mapping[str, str] = MappingProxyType({})
) -> list[_Group]:
    """The jobs grouped by equal outcome and output, failures first."""
    found: dict[object, _Group] = {}
    for job in sorted(jobs, key=lambda one: (one.state is JobState.SUCCEEDED, one.agent)):
        output = outputs.get(job.id, "")
        tail = tails.get(job.id, "")
        so_far = "" if job.state in JOB_SETTLED else tail
        alike = (so_far, job.exit_code, job.signal, job.reason, job.truncated, job.output_digest, job.notes, output)
        # Unknown outcomes are never grouped: each job is settled by itself.
        key = job.id if job.state is JobState.UNKNOWN else (job.state, alike)
        group = found.setdefault(key, _Group(job, [], 0.0, output, tail))
        group.machines.append(job.agent)
        group.longest = max(group.longest, job.duration or 0.0)
    return list(found.values())


def _group_lines(group: _Group, now: float, language: Language) -> list[str]:
    """How the group ended, why, and what is to be told besides."""
    why = [] if _says_why(group.job) else _reason_lines(group.job, language)
    notes = note_sentences(group.job.notes, group.job.agent, inline_text, chat=True)
    return [_end_line(group, now, language), *why, *(note.render(language) for note in notes)]


def _says_why(job: Job) -> bool:
    """Whether the line of the end has the reason in it, or is itself the reason."""
    match job.state:
        case JobState.FAILED:
            return job.signal is None and job.exit_code is None
        case JobState.CANCELLED:
            return job.started_at is None or not job.cancel_asked_by
        case JobState.NOT_STARTED | JobState.EXPIRED | JobState.UNKNOWN:
            return True
        case _:
            return False


def _reason_lines(job: Job, language: Language) -> list[str]:
    return [translate(language, "ended_why", reason=inline_text(job.reason))] if job.reason else []


def _end_line(group: _Group, now: float, language: Language) -> str:
    job = group.job
    values = {
        "machines": join_names(group.machines, language),
        "duration": duration_text(group.longest, language),
        "reason": inline_text(job.reason),
    }
    match job.state:
        case JobState.FAILED if job.signal is not None:
            return translate(language, "ended_signal", signal=_signal_name(job.signal), **values)
        case JobState.FAILED if job.exit_code is not None:
            return translate(language, "ended_exit", code=job.exit_code, **values)
        case JobState.CANCELLED if job.cancel_asked_by and job.started_at is not None:
            return translate(language, "ended_cancelled_running", person=job.cancel_asked_by, **values)
        case JobState.CANCELLED if job.started_at is not None:
            return translate(language, "ended_cancelled_why" if job.reason else "ended_cancelled_after", **values)
        case JobState.CANCELLED if job.reason:
            return translate(language, "ended_cancelled_before", **values)
        case JobState.QUEUED | JobState.LEASED | JobState.ACCEPTED | JobState.RUNNING:
            return translate(language, "ended_not", state=translate(language, f"job_is_{job.state.value}"), **values)
        case _:
            until = time_text(job.not_after, now, language)
            return translate(language, f"ended_{job.state.value}", job=_short(job), until=until, **values)


def _with_output(group: _Group, lines: list[str], room: int, number: int, language: Language) -> list[str]:
    job, output = group.job, group.output.strip("\n").rstrip()
    size = size_text(job.output_bytes)
    if job.state not in JOB_SETTLED and group.tail:
        text, cut = _end_of(group.tail, min(room, PROGRESS_TAIL))
        cut = cut or job.output_bytes > len(group.tail.encode())
        return [*lines, translate(language, "output_end" if cut else "output_so_far", size=size), code_block(text)]
    if not output and not job.output_bytes:
        ran = job.state in (JobState.SUCCEEDED, JobState.FAILED, JobState.TIMED_OUT) and job.exit_code is not None
        return [*lines, translate(language, "output_none")] if ran else lines
    if not output and not job.chunks:
        return lines if has_code(job.notes, LOSSES) else [*lines, translate(language, "output_not_kept", size=size)]
    if not output or (room < MIN_OUTPUT_ROOM and len(output) > room):
        return [*lines, translate(language, "output_elsewhere", number=number, size=size)]
    # Cleaning shortens an output, so a complete one may have fewer bytes than the program wrote.
    complete = job.output_bytes <= HEAD_BYTES or len(group.output.encode()) >= job.output_bytes
    text, cut = truncate_output(output, room, language, whole=complete and not job.truncated, end=group.tail)
    lines = [*lines, code_block(text)]
    if job.truncated and not has_code(job.notes, LOSSES):
        values = {"total": size, "digest": job.output_digest}
        lines.append(translate(language, "output_truncated", **values))
    if cut:
        lines.append(translate(language, "output_cut", number=number))
    return lines


def _end_of(text: str, room: int) -> tuple[str, bool]:
    """The last whole lines in `room` characters, at least MIN_OUTPUT_ROOM, and whether anything is missing."""
    text, room = text.strip("\n").rstrip(), max(room, MIN_OUTPUT_ROOM)
    if len(text) <= room:
        return text, False
    end = text[-room:]
    _, _, whole = end.partition("\n")
    return whole or end, True


def _fair_shares(lengths: Sequence[int], room: int) -> list[int]:
    """`room` (characters) divided so that small outputs fit whole and large ones get equal shares (max-min
    fairness).
    """
    shares = [0] * len(lengths)
    left = room
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for done, index in enumerate(order):
        shares[index] = min(lengths[index] + 40, left // (len(order) - done))
        left -= shares[index]
    return shares


def _short(job: Job) -> str:
    """The last ten characters of a job's id, which the command line accepts for it."""
    return job.id[-10:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
