"""What a list shows of a job, request, machine or event: its view (`hub.api.views`) with long texts cut. Pure.

A row is built and encoded once for what it shows and shared by all consoles that follow it; it carries its cost in a
frame.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from common.api.agents import AgentView
from common.api.codec import encode
from common.api.events import EventView
from common.api.plans import PlanRow, StepRow
from common.api.requests import RequestRow
from common.command.grammar import BadLine
from common.command.line import parse_command
from common.command.output_filters import BadFilter, FilterWords
from common.filter.match import is_stuck
from common.plan import Plan
from hub.api.views import frame_cost, job_view, request_fields
from hub.core.records import AuditEvent, Job, Request

MAX_TEXT: Final = 200  # characters of a text in a row
MAX_ARGS: Final = 32
MAX_STEPS: Final = 3
MAX_TARGETS: Final = 8
MAX_KEYS: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """`payload` is the encoded view, as consoles receive it; two rows are the same where they are the same object."""

    id: str
    payload: Mapping[str, Any]
    nodes: int
    size: int


def make_row(identity: str, payload: Mapping[str, Any]) -> Row:
    nodes, size = frame_cost(payload)
    return Row(identity, payload, nodes, size)


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """What a job's row says of its machine."""

    online: bool
    paused: bool
    seen: float | None = None  # when it was seen last, where it is not linked


def job_row(
    job: Job,
    status: MachineStatus,
    now: float,
    argv: Sequence[str] | None = None,
    filters: tuple[FilterWords, ...] = (),
) -> Row:
    """`argv` and `filters` are those of the plan, where the job does not carry its command."""
    words, filters = _read_command(job.command) if job.command else (argv, filters)
    shown, cut = (None, False) if words is None else cut_argv(words)
    view = job_view(
        job,
        text=truncate,
        argv=shown,
        argv_cut=cut,
        filters=filters,
        agent_online=status.online,
        agent_paused=status.paused,
        stuck=is_job_stuck(job, now),
        away={} if status.seen is None else {job.agent: status.seen},
    )
    return make_row(job.id, encode(view))


def is_job_stuck(job: Job, now: float) -> bool:
    facts = {"state": job.state.value, "started_at": job.started_at, "leased_at": job.leased_at}
    return is_stuck({**facts, "time_limit": job.time_limit}, now)


@lru_cache(maxsize=4096)
def _read_command(command: str) -> tuple[tuple[str, ...], tuple[FilterWords, ...]]:
    try:
        return parse_command(command)
    except (BadLine, BadFilter):
        return tuple(shlex.split(command)), ()  # written by version 0.1.0, which had no other form


def request_row(request: Request, given: int) -> Row:
    """`given` is how many approvals it has."""
    shown = request_fields(request, truncate)
    shown["behalf"] = tuple(map(truncate, shown["behalf"][:MAX_TARGETS]))
    view = RequestRow(
        **shown,
        plan=_plan_row(request.plan) if request.plan is not None else None,
        given=given,
        machines=len(request.plan.targets) if request.plan is not None else 0,
    )
    return make_row(request.id, encode(view))


def _plan_row(plan: Plan) -> PlanRow:
    """The first steps, few machines of each. An approval shows the whole plan instead."""
    steps = []
    for step in plan.steps[:MAX_STEPS]:
        argv, cut = cut_argv(step.argv)
        steps.append(
            StepRow(
                argv=argv,
                argv_cut=cut,
                targets=step.targets[:MAX_TARGETS],
                target_count=len(step.targets),
                cwd=truncate(step.cwd),
                time_limit=step.time_limit,
                filters=step.filters,
            )
        )
    return PlanRow(
        steps=tuple(steps),
        step_count=len(plan.steps),
        source=truncate(plan.source),
        ttl=plan.ttl,
        tainted=plan.tainted,
        explanation=truncate(plan.explanation),
    )


def agent_row(view: AgentView) -> Row:
    return make_row(view.name, encode(agent_row_view(view)))


def agent_row_view(view: AgentView) -> AgentView:
    """A machine's view as a row of a list. Its id is its name."""
    draining = view.draining
    return replace(
        view,
        id=view.name,
        name=truncate(view.name),
        labels=_cut(view.labels, 2),
        state=truncate(view.state),
        version=truncate(view.version),
        facts=_cut(view.facts, 2),
        vitals=_cut(view.vitals, 2),
        paused_by=truncate(view.paused_by),
        pause_reason=truncate(view.pause_reason),
        draining=None if draining is None else replace(draining, by=truncate(draining.by)),
    )


def event_row(event: AuditEvent, job: Job | None = None, number: int | None = None, *, whole: bool = True) -> Row:
    """`job` where the event is about one: whose it was, where, and what it ran; `number` of the request that it is
    about. Not `whole`: what people see of it who may not read the audit.
    """
    argv, cut = cut_argv(_read_command(job.command)[0]) if job is not None and job.command else (None, False)
    view = EventView(
        id=str(event.seq),
        seq=event.seq,
        at=event.at,
        kind=truncate(event.kind),
        subject=truncate(event.subject),
        actor=truncate(event.actor),
        data=_cut(event.data, 2),
        hash=truncate(event.hash),
        number=job.number if job is not None else number,
        agent=job.agent if job is not None else None,
        person=job.person if job is not None else None,
        argv=argv,
        argv_cut=cut,
    )
    return make_row(str(event.seq), encode(view if whole else view.without_audit()))


# ---- cutting


def truncate(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def cut_argv(argv: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """As much of the vector as a row shows, and whether that is less than all of it."""
    shown: list[str] = []
    room = MAX_TEXT
    for arg in argv[:MAX_ARGS]:
        shown.append(arg if len(arg) <= room else arg[: max(0, room - 1)] + "…")
        room -= len(arg) + 1
        if room <= 0:
            break
    return tuple(shown), shown != list(argv)


def _cut(value: Any, depth: int = 3) -> Any:
    """An open value with long texts, lists and maps cut, and what is nested deeper than `depth` left out."""
    if isinstance(value, str):
        return truncate(value)
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MAX_KEYS]
        return {truncate(str(key)): _cut(part, depth - 1) for key, part in pairs} if depth else "…"
    if isinstance(value, list | tuple):
        return [_cut(part, depth - 1) for part in value[:MAX_TARGETS]] if depth else "…"
    return value
