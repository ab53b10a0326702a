"""Handing out jobs: whose turn is it on this machine.

Higher priority first. Within a priority people take turns, whoever was served longest ago first (never served: now),
and each person's jobs go in the order of their age. Turns are kept per machine in the table `turns`, so they hold from
one claim to the next and over a restart: a person with ten thousand jobs waiting does not keep another's one job back.

The cost is a seek a person with jobs waiting and a few a job handed out, whatever the queue's length.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from common.lifecycle import JobEvent, next_job
from hub.records import Job
from hub.store.jobs import JOB, JOB_GUARDS
from hub.store.room import Room
from hub.store.schema import QUEUED, turns
from hub.store.schema import jobs as table
from hub.store.sql import Statement

_MINE: Final = (
    QUEUED,
    table.c.agent == sa.bindparam("agent"),
    table.c.cancel_asked_at.is_(None),
    table.c.not_after > sa.bindparam("now"),
    table.c.not_before <= sa.bindparam("now"),
)
_LEVEL: Final = (*_MINE, table.c.priority == sa.bindparam("priority"))
_SOME: Final = Statement(JOB.select.where(*_MINE).limit(sa.bindparam("limit")))
_PRIORITY: Final = Statement(sa.select(table.c.priority).where(*_MINE).order_by(table.c.priority.desc()).limit(1))
_HEAD: Final = Statement(
    JOB.select.where(*_LEVEL, table.c.person == sa.bindparam("person")).order_by(table.c.queued_at, table.c.id).limit(1)
)
_TURNS: Final = Statement(sa.select(turns.c.person, turns.c.turn).where(turns.c.agent == sa.bindparam("agent")))
_TAKE_TURN: Final = Statement(
    turns.insert().values({name: sa.bindparam(name) for name in ("agent", "person", "turn")}).inline(),
    " ON CONFLICT (agent, person) DO UPDATE SET turn = excluded.turn",
)


def _people_waiting() -> Statement:
    """Who has jobs waiting at one priority: from each person one seek in the index to the next (a loose index scan)."""
    first = sa.select(table.c.person).where(*_LEVEL).order_by(table.c.person).limit(1)
    waiting = sa.select(first.scalar_subquery().label("person")).cte("waiting", recursive=True)
    following = first.where(table.c.person > waiting.c.person).scalar_subquery()
    waiting = waiting.union_all(sa.select(following).where(waiting.c.person.is_not(None)))
    return Statement(sa.select(waiting.c.person).where(waiting.c.person.is_not(None)))


_PEOPLE: Final = _people_waiting()


class ClaimRoom(Room):
    def claim_jobs(self, agent: str, limit: int, epoch: int, journal: str, now: float) -> list[Job]:
        """Up to `limit` jobs for the machine, moved from queued to leased; lapsed, held and cancel-asked ones stay
        behind.
        """

        def lease(job: Job) -> Job:
            state = next_job(job.state, JobEvent.LEASE)
            leased = replace(job, state=state, epoch=epoch, journal=journal, leased_at=now)
            JOB.save(self._db, job, leased, JOB_GUARDS)
            return leased

        if limit < 1:
            return []
        mine = {"agent": agent, "now": now}
        few = JOB.records(self._db.rows(_SOME, {**mine, "limit": limit + 1}))
        if len(few) > limit:
            return self._take_turns(mine, limit, lease)
        few.sort(key=lambda job: (-job.priority, job.queued_at, job.id))  # enough for all: nobody's turn to settle
        return [lease(job) for job in few]

    def _take_turns(self, mine: dict[str, Any], limit: int, lease: Callable[[Job], Job]) -> list[Job]:
        turn: dict[str, int] = dict(self._db.rows(_TURNS, mine))
        last = max(turn.values(), default=0)
        served: dict[str, int] = {}
        claimed: list[Job] = []
        while len(claimed) < limit and (priority := self._db.value(_PRIORITY, mine)) is not None:
            level = {**mine, "priority": priority}
            line = [self._place(level, person, turn) for (person,) in self._db.rows(_PEOPLE, level)]
            heapq.heapify(line)
            while line and len(claimed) < limit:
                person = heapq.heappop(line)[-1]
                job = self._oldest(level, person)
                if job is not None:  # else their last one went a turn ago
                    claimed.append(lease(job))
                    last += 1
                    turn[person] = served[person] = last
                    heapq.heappush(line, (last, 0.0, person))
        self._db.change_many(_TAKE_TURN, [{**mine, "person": person, "turn": at} for person, at in served.items()])
        return claimed

    def _place(self, level: dict[str, Any], person: str, turn: dict[str, int]) -> tuple[int, float, str]:
        """Where a person stands in the line: by turn; those never served come first, by the age of their oldest job."""
        if person in turn:
            return turn[person], 0.0, person
        job = self._oldest(level, person)
        return 0, job.queued_at if job else 0.0, person

    def _oldest(self, level: dict[str, Any], person: str) -> Job | None:
        row = self._db.row(_HEAD, {**level, "person": person})
        return None if row is None else JOB.record(row)
