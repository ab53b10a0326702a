"""Whether a machine's name still has one holder, and what becomes of its jobs where it has two. Pure.

A holder is a journal and the lives of the runners on it; beside that an uplink tells its links (common/link/lineage).
Where what is told does not go on from what was seen, there are two, or one that was put back to an earlier moment; the
hub cannot tell these apart, and hands nothing to either.

A job that waits for our word was started by nobody before it had that: with its order, where its runner had given us a
stamp, or once it was accepted. One that was leased without a word goes back into the queue, whoever had it; of all
others that had not ended nobody can say what became, until the one that is kept has reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from common.lifecycle import JobState
from common.link.lineage import Lineage, Relation, advance_seen, compare, parse_seen
from hub.core.job import MarkUnknown, Release
from hub.core.records import Job

LINEAGE_FACT: Final = "lineage"
"""The fact of a hello in which an uplink tells its links."""
LOCKED_REASON: Final = "two machines came under this name: what became of the job on either is not known"


@dataclass(frozen=True, slots=True)
class LineageFinding:
    relation: Relation
    seen: str  # the step before, for the audit
    told: str
    keep: str  # what the store keeps from now on; "" where that is as it was

    @property
    def is_copy(self) -> bool:
        return self.relation == "diverged"


def judge_links(seen: str, told: Lineage, *, store_is_behind: bool) -> LineageFinding:
    """`seen` is the text that the store keeps. `store_is_behind`: the machine has heard a hub whose work this store
    does not know, so what the store saw last proves nothing; what is told now counts from here on.
    """
    before = parse_seen(seen)
    relation = compare(before, told)
    if store_is_behind and relation in ("diverged", "stale"):
        relation = "ahead"
    keep = "" if relation in ("same", "stale", "diverged") else advance_seen(before, told).to_text()
    was = "" if before is None else f"{before.counter} {before.ids[-1]}"
    return LineageFinding(relation, was, f"{told.counter} {told.id}", keep)


def judge_life(seen: str, told: Lineage, *, store_is_behind: bool) -> LineageFinding:
    """The same for lives. A runner that is not the newest of its journal has ended before that one began, for they
    hold the same lock; one that is heard after it is another's.
    """
    found = judge_links(seen, told, store_is_behind=store_is_behind)
    if found.relation != "stale":
        return found
    return LineageFinding("diverged", found.seen, found.told, "")


def moves_of_locked(open_jobs: Iterable[Job]) -> list[tuple[Job, MarkUnknown | Release]]:
    """What becomes of the jobs of a machine that was locked since there are two."""
    return [
        (job, Release() if job.is_held else MarkUnknown(LOCKED_REASON))
        for job in open_jobs
        if job.state is not JobState.UNKNOWN
    ]


def may_start(job: Job, life: str) -> bool:
    """Whether the runner of this life, which has accepted the job, is told to start it. The same runner may be told
    more than once; one that the job was not leased to never is.
    """
    return job.state is JobState.ACCEPTED and job.life == life != "" and job.cancel_asked_at is None


def knows_of(job: Job, lives: str) -> bool:
    """Whether a holder can say that a job, of which it is not known whether it started, did not: the runner that had
    our word to start it is one of its own lives, so that they have one journal. `lives` is the text that the store
    keeps of the holder's. Of a copy's start the one that is kept knows nothing.
    """
    seen = parse_seen(lives)
    return not job.life or (seen is not None and job.life in seen.ids)
