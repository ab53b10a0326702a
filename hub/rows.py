"""What a list shows of a job, request, machine or event: the view of it (`hub.views`), with long texts cut. Pure.

A row is made once for what it shows and shared by all consoles that look at it; it carries its weight in a frame.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from common.filter_match import is_stuck
from common.plan import Plan
from hub.records import Event, Job, Request
from hub.views import event_view, job_view, request_view, weight

CUT: Final = 200  # characters of a text in a row
FEW_ARGS: Final = 32
FEW_STEPS: Final = 3
FEW_TARGETS: Final = 8
FEW_KEYS: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """`told` is what goes to consoles; two rows are the same where they are the same object."""

    id: str
    told: Mapping[str, Any]
    nodes: int
    size: int


def row_of(identity: str, told: Mapping[str, Any]) -> Row:
    nodes, size = weight(told)
    return Row(identity, told, nodes, size)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a job's row says of its machine."""

    online: bool
    paused: bool


def job_row(job: Job, machine: Machine, now: float, argv: Sequence[str] | None = None) -> Row:
    """`argv` where the job's own command does not say it."""
    told = _cut(job_view(job))
    told |= {"agent_online": machine.online, "agent_paused": machine.paused, "stuck": stuck(job, now)}
    words = _split(job.command) if job.command else argv
    if words is not None:
        told |= _argv(words)
    return row_of(job.id, told)


def stuck(job: Job, now: float) -> bool:
    facts = {"state": job.state.value, "started_at": job.started_at, "leased_at": job.leased_at}
    return is_stuck({**facts, "time_limit": job.time_limit}, now)


@lru_cache(maxsize=4096)
def _split(command: str) -> tuple[str, ...]:
    return tuple(shlex.split(command))


def request_row(request: Request, given: int) -> Row:
    """`given` is how many approvals it has."""
    told = _cut(request_view(request))
    told["given"] = given
    told["machines"] = len(request.plan.targets) if request.plan is not None else 0
    if request.plan is not None:
        told["plan"] = _plan(request.plan)
    return row_of(request.id, {"id": request.id, **told})


def _plan(plan: Plan) -> dict[str, Any]:
    """A plan for a list: its first steps, few machines of each. What an approval is about is shown from the whole."""
    steps = [
        {
            **_argv(step.argv),
            "targets": list(step.targets[:FEW_TARGETS]),
            "target_count": len(step.targets),
            "cwd": short(step.cwd),
            "time_limit": step.time_limit,
        }
        for step in plan.steps[:FEW_STEPS]
    ]
    return {
        "steps": steps,
        "step_count": len(plan.steps),
        "source": short(plan.source),
        "ttl": plan.ttl,
        "tainted": plan.tainted,
        "explanation": short(plan.explanation),
    }


def agent_row(view: Mapping[str, Any]) -> Row:
    """Of a machine's view. Its id is its name."""
    return row_of(view["name"], {"id": view["name"], **_cut(dict(view))})


def event_row(event: Event, job: Job | None = None, number: int | None = None) -> Row:
    """`job` where the event is about one: whose it was, where, and what it ran; `number` of the request that it is
    about."""
    told = {"id": str(event.seq), **_cut(event_view(event))}
    if number is not None:
        told["number"] = number
    if job is not None:
        told |= {"number": job.number, "agent": job.agent, "person": job.person}
        if job.command:
            told |= _argv(_split(job.command))
    return row_of(str(event.seq), told)


# ---- cutting


def short(text: str) -> str:
    return text if len(text) <= CUT else text[: CUT - 1] + "…"


def _argv(argv: Sequence[str]) -> dict[str, Any]:
    """As much of the vector as a row shows; `argv_cut` says where that is not all of it."""
    kept: list[str] = []
    room = CUT
    for arg in argv[:FEW_ARGS]:
        kept.append(arg if len(arg) <= room else arg[: max(0, room - 1)] + "…")
        room -= len(arg) + 1
        if room <= 0:
            break
    return {"argv": kept, "argv_cut": True} if kept != list(argv) else {"argv": kept}


def _cut(value: Any, depth: int = 3) -> Any:
    """The same with long texts, lists and maps cut, so that a row stays small whatever people and machines put in."""
    if isinstance(value, str):
        return short(value)
    if isinstance(value, dict):
        pairs = list(value.items()) if depth == 3 else list(value.items())[:FEW_KEYS]
        return {short(str(key)): _cut(part, depth - 1) for key, part in pairs} if depth else "…"
    if isinstance(value, list | tuple):
        return [_cut(part, depth - 1) for part in value[:FEW_TARGETS]] if depth else "…"
    return value
