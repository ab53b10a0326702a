"""Claims queued jobs for a machine, with priorities and fairness between people.

Higher priority first. Within a priority people take turns (round robin): the person served longest ago goes first, a
person never served before everyone, and each person's jobs go oldest first. Turns are stored per machine in the table
`turns`, so they hold from one claim to the next and over a restart: a person with ten thousand queued jobs does not
delay another's single job.

The cost is an index seek for each person with queued jobs and a few for each claimed job, whatever the queue's length.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from common.lifecycle import JobEvent, next_job_state
from hub.core.records import Job
from hub.store.jobs import JOB, JobRepository
from hub.store.schema import QUEUED, turns
from hub.store.schema import jobs as table
from hub.store.sql import Statement

_CLAIMABLE: Final = (
    QUEUED,
    table.c.agent == sa.bindparam("agent"),
    table.c.cancel_asked_at.is_(None),
    table.c.not_after > sa.bindparam("now"),
    table.c.not_before <= sa.bindparam("now"),
)
_AT_PRIORITY: Final = (*_CLAIMABLE, table.c.priority == sa.bindparam("priority"))
_SOME: Final = Statement(JOB.select.where(*_CLAIMABLE).limit(sa.bindparam("limit")))
_ANY: Final = Statement(sa.select(table.c.id).where(*_CLAIMABLE).limit(1))
_PRIORITY: Final = Statement(sa.select(table.c.priority).where(*_CLAIMABLE).order_by(table.c.priority.desc()).limit(1))
_OLDEST_OF_PERSON: Final = Statement(
    JOB.select.where(*_AT_PRIORITY, table.c.person == sa.bindparam("person"))
    .order_by(table.c.queued_at, table.c.id)
    .limit(1)
)
_TURNS: Final = Statement(sa.select(turns.c.person, turns.c.turn).where(turns.c.agent == sa.bindparam("agent")))
_TAKE_TURN: Final = Statement(
    turns.insert().values({name: sa.bindparam(name) for name in ("agent", "person", "turn")}).inline(),
    " ON CONFLICT (agent, person) DO UPDATE SET turn = excluded.turn",
)


def _people_waiting() -> Statement:
    """The people with queued jobs at one priority: one index seek from each person to the next (a loose index scan)."""
    first = sa.select(table.c.person).where(*_AT_PRIORITY).order_by(table.c.person).limit(1)
    waiting = sa.select(first.scalar_subquery().label("person")).cte("waiting", recursive=True)
    following = first.where(table.c.person > waiting.c.person).scalar_subquery()
    waiting = waiting.union_all(sa.select(following).where(waiting.c.person.is_not(None)))
    return Statement(sa.select(waiting.c.person).where(waiting.c.person.is_not(None)))


_PEOPLE: Final = _people_waiting()


class ClaimRepository(JobRepository):
    def claim_jobs(
        self, agent: str, limit: int, epoch: int, journal: str, now: float, life: str = "", stamp: str = ""
    ) -> list[Job]:
        """Moves up to `limit` jobs of the machine from queued to leased and returns them; jobs that have expired, are
        held or are to be cancelled stay queued.
        """

        def lease(job: Job) -> Job:
            state = next_job_state(job.state, JobEvent.LEASE)
            holder = job.journal or journal  # one that came back stays that journal's (`hub.core.redelivery`)
            leased = replace(job, state=state, epoch=epoch, journal=holder, leased_at=now, life=life, stamp=stamp)
            return self.save_job(job, leased)

        if limit < 1:
            return []
        machine = {"agent": agent, "now": now}
        found = JOB.from_rows(self._db.rows(_SOME, {**machine, "limit": limit + 1}))
        if len(found) > limit:
            return self._take_turns(machine, limit, lease)
        found.sort(key=lambda job: (-job.priority, job.queued_at, job.id))  # all of them fit: turns do not matter
        return [lease(job) for job in found]

    def has_claimable(self, agent: str, now: float) -> bool:
        """Whether `claim_jobs` would find a job of the machine."""
        return self._db.row(_ANY, {"agent": agent, "now": now}) is not None

    def _take_turns(self, machine: dict[str, Any], limit: int, lease: Callable[[Job], Job]) -> list[Job]:
        turn: dict[str, int] = dict(self._db.rows(_TURNS, machine))
        last = max(turn.values(), default=0)
        served: dict[str, int] = {}
        claimed: list[Job] = []
        while len(claimed) < limit and (priority := self._db.value(_PRIORITY, machine)) is not None:
            level = {**machine, "priority": priority}
            waiting = [self._queue_position(level, person, turn) for (person,) in self._db.rows(_PEOPLE, level)]
            heapq.heapify(waiting)
            while waiting and len(claimed) < limit:
                person = heapq.heappop(waiting)[-1]
                job = self._oldest_job(level, person)
                if job is not None:  # None: it was claimed in the turn before
                    claimed.append(lease(job))
                    last += 1
                    turn[person] = served[person] = last
                    heapq.heappush(waiting, (last, 0.0, person))
        self._db.change_many(_TAKE_TURN, [{**machine, "person": person, "turn": at} for person, at in served.items()])
        return claimed

    def _queue_position(self, level: dict[str, Any], person: str, turn: dict[str, int]) -> tuple[int, float, str]:
        """The sort key of a person: by turn; those never served come first, by the age of their oldest job."""
        if person in turn:
            return turn[person], 0.0, person
        job = self._oldest_job(level, person)
        return 0, job.queued_at if job else 0.0, person

    def _oldest_job(self, level: dict[str, Any], person: str) -> Job | None:
        row = self._db.row(_OLDEST_OF_PERSON, {**level, "person": person})
        return None if row is None else JOB.from_row(row)
