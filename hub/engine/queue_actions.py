"""What people do to jobs that wait: put them in another order, take them back while they are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from common.catalogue import Sentence
from common.lifecycle import JobState
from hub.core import request as requests_of_hub
from hub.core.action_checks import check_take_back
from hub.core.queue_order import preview_order
from hub.core.records import Job, Request
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork

MAX_PREVIEW_AGENTS: Final = 5
"""Machines whose new order is shown."""
MAX_QUEUE_READ: Final = 200
"""Jobs of a machine's queue that the order is worked out of."""


def set_priority(uow: UnitOfWork, actor: Actor, jobs: Sequence[Job], priority: int, *, dry_run: bool) -> ActionResult:
    """Gives jobs that wait another priority, 9 first; says how many, and the place in the queue that each has then."""
    waiting = [job for job in jobs if job.state is JobState.QUEUED]
    if not waiting:
        return ActionResult(Sentence("priority_none"), "too_late")
    more = {
        "count": len(waiting),
        "skipped": len(jobs) - len(waiting),
        "order": _preview_orders(uow, waiting, priority),
    }
    values = {"count": len(waiting), "priority": priority}
    if dry_run:
        return ActionResult(Sentence("priority_would", values), "", more)
    for job in waiting:
        if job.priority != priority:
            uow.txn.save_job(job, replace(job, priority=priority))
            data = {"was": job.priority, "priority": priority, "via": actor.via, "from": actor.remote}
            uow.audit("job.priority", job.id, actor.person, data)
            uow.effects.changed.add(job.id)
    return ActionResult(Sentence("priority_now", values), "", more, waiting[0].id if len(waiting) == 1 else "")


def _preview_orders(uow: UnitOfWork, jobs: Sequence[Job], priority: int) -> list[dict[str, Any]]:
    """For the first few machines: the place of each of these jobs in its machine's queue, before and after."""
    chosen = {job.id for job in jobs}
    agents = sorted({job.agent for job in jobs})[:MAX_PREVIEW_AGENTS]
    queues = {agent: uow.txn.queue_of(agent, MAX_QUEUE_READ) for agent in agents}
    return [entry for agent, queue in queues.items() for entry in preview_order(agent, queue, chosen, priority)]


def take_back(uow: UnitOfWork, actor: Actor, request: Request) -> ActionResult:
    """Takes back a request whose jobs are held. All of it or nothing: once a job has been dispatched it is too late,
    and cancelling is another action.
    """
    jobs = uow.txn.jobs_of(request.id)
    refused = check_take_back(request, jobs, actor.person, uow.world.people.roles(actor.person), uow.now)
    if refused is not None:
        return ActionResult.refused(refused)
    uow.apply_transition(request, requests_of_hub.cancelled(request, actor.person, uow.now), actor.person)
    values = {"number": request.number, "owner": request.person, "state": request.state.value, "count": len(jobs)}
    return ActionResult(Sentence("taken_back", values), "", {"count": len(jobs)}, request.id)
