"""Pausing and draining a machine: the row after, and its audit row. Pure.

A paused machine is handed nothing new until somebody resumes it, or its time has come. A drained one is handed nothing
new and empties: what it has may finish, or is cancelled when `drain_cancel_at` has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.lifecycle import JOB_DISPATCHED
from hub.core.approval import DecisionRefused
from hub.core.audit import WriteAudit
from hub.core.records import Agent, Job

MAX_REASON: Final = 500
AgentMove = tuple[Agent, WriteAudit]


def paused(agent: Agent, by: str, reason: str, until: float | None, now: float) -> AgentMove:
    """`until` is None for a pause that somebody has to end."""
    reason = reason[:MAX_REASON]
    after = replace(agent, paused_at=now, paused_by=by, pause_reason=reason, paused_until=until)
    return after, WriteAudit("queue.paused", {"reason": reason, "until": until})


def resumed(agent: Agent) -> AgentMove:
    after = replace(agent, paused_at=None, paused_by="", pause_reason="", paused_until=None)
    return after, WriteAudit("queue.resumed", {})


def drained(agent: Agent, by: str, busy: int, cancel_after: float | None, now: float) -> AgentMove:
    """`busy` is how many jobs the machine has. Drained again, it keeps who did it first and when; only the time at
    which its jobs are cancelled is another.
    """
    cancel_at = None if cancel_after is None else now + cancel_after
    if agent.drain_at is None:
        agent = replace(agent, drain_at=now, drain_by=by, drain_jobs=busy)
    audit = WriteAudit("agent.drained", {"jobs": busy, "cancel_at": cancel_at})
    return replace(agent, drain_cancel_at=cancel_at), audit


def undrained(agent: Agent) -> AgentMove | DecisionRefused:
    if agent.drain_at is None:
        return DecisionRefused("too_late", Sentence("drain_none", {"agent": agent.name}))
    after = replace(agent, drain_at=None, drain_by="", drain_jobs=0, drain_cancel_at=None)
    return after, WriteAudit("agent.undrained", {})


def drain_time_over(agent: Agent, now: float) -> bool:
    """Whether a drained machine's jobs are to be cancelled now."""
    return agent.drain_cancel_at is not None and now >= agent.drain_cancel_at


def jobs_to_cancel(jobs: Sequence[Job]) -> list[Job]:
    """Of a machine's open jobs, those that it has and that nobody has asked to stop."""
    return [job for job in jobs if job.state in JOB_DISPATCHED and job.cancel_asked_at is None]
