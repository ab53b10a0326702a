"""What people do to jobs that wait: put them in another order, take them back while they are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from common.catalogue import Sentence
from common.lifecycle import JobState, RequestState
from hub import request as requests_of_hub
from hub.acts import By, Done
from hub.authority import may
from hub.change import Change
from hub.people import People
from hub.records import Job, Request

MAX_JOBS: Final = 500
MAX_SHOWN: Final = 5
"""Machines whose new order is shown."""
MAX_LINE: Final = 200
"""Jobs of a machine's queue that the order is worked out of."""


def set_priority(change: Change, by: By, jobs: Sequence[Job], priority: int, *, dry_run: bool) -> Done:
    """Gives jobs that wait another priority, 9 first. Tells how many, and the place in the line that each has then."""
    waiting = [job for job in jobs if job.state is JobState.QUEUED]
    if not waiting:
        return Done(Sentence("priority_none"), "too_late")
    more = {"count": len(waiting), "skipped": len(jobs) - len(waiting), "order": new_order(change, waiting, priority)}
    values = {"count": len(waiting), "priority": priority}
    if dry_run:
        return Done(Sentence("priority_would", values), "", more)
    for job in waiting:
        if job.priority != priority:
            change.txn.save_job(job, replace(job, priority=priority))
            data = {"was": job.priority, "priority": priority, "via": by.via, "from": by.remote}
            change.txn.audit("job.priority", job.id, by.person, data, change.now)
            change.effects.changed.add(job.id)
    return Done(Sentence("priority_now", values), "", more, waiting[0].id if len(waiting) == 1 else "")


def new_order(change: Change, jobs: Sequence[Job], priority: int) -> list[dict[str, Any]]:
    """For the first few machines: the place of each of these jobs in its machine's line, before and after. People's
    turns within a priority are not foreseen: they are settled when the machine asks.
    """
    chosen = {job.id for job in jobs}
    told: list[dict[str, Any]] = []
    for agent in sorted({job.agent for job in jobs})[:MAX_SHOWN]:
        line = change.txn.line_of(agent, MAX_LINE)
        before = {identity: place for place, (identity, _, _) in enumerate(line, 1)}
        after = sorted(line, key=lambda entry: (-(priority if entry[0] in chosen else entry[1]), entry[2], entry[0]))
        told += [
            {"job": identity, "agent": agent, "was": before[identity], "now": place, "of": len(line)}
            for place, (identity, _, _) in enumerate(after, 1)
            if identity in chosen
        ]
    return told


def take_back(change: Change, by: By, people: People, request: Request) -> Done:
    """Takes back a request whose jobs are held. All of it or nothing: once a job has been handed out it is too late,
    and cancelling is another act.
    """
    values: dict[str, Any] = {"number": request.number, "owner": request.person, "state": request.state.value}
    if request.person != by.person and not may(people.roles(by.person), "cancel_others"):
        return Done(Sentence("not_yours", values), "no_right")
    jobs = change.txn.jobs_of(request.id)
    held = all(job.state is JobState.QUEUED and job.not_before > change.now for job in jobs)
    if request.state is RequestState.ASKING or (request.state is RequestState.WORKING and jobs and held):
        change.request(request, requests_of_hub.cancelled(request, by.person, change.now), by.person)
        return Done(Sentence("taken_back", {**values, "count": len(jobs)}), "", {"count": len(jobs)}, request.id)
    started = sum(job.state is not JobState.QUEUED for job in jobs)
    return Done(Sentence("take_back_late", {**values, "count": started}), "too_late", {"handed_out": started})
