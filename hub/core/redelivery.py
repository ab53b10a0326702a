"""Whether a job that came back is handed out again, and when. Pure.

A job comes back where its machine proves that it never started: there is no start marker, and the runner that says so
is of the journal that had it. Its lives follow one another under one lock, so an earlier one starts nothing any more.
The same job id then goes to that journal once more: the marker guards its start as it did before. Until its time is
over, and with a wait that doubles where the machine could not take it; a runner that was restarted takes it at once.

It goes to no other journal. Two that hold one name are locked (`hub.core.holder`), but one whose journal was lost and
begun anew has no memory of the marker that the job may have by now.
"""

from __future__ import annotations

from typing import Final

from common.lifecycle import JobState
from common.link.messages import RETRY_CODES, RETRY_PROTOCOL
from hub.core.records import Job

LOST: Final = "lost"
"""The code of a redelivery where the machine had no record of the job: the order did not arrive."""
FIRST_WAIT: Final = 1.0
MAX_WAIT: Final = 30.0
AT_ONCE: Final = 3
"""Restarts of a runner after each of which a job is handed out without a wait; one that dies again and again is left
alone for a while.
"""
_NO_WAIT: Final = frozenset({"restarted", LOST})


def comes_back(job: Job, code: str, *, journal: str, protocol: int, now: float) -> bool:
    """Whether a refusal with this code, said by a runner of `journal`, puts the job back into the queue. `protocol` is
    the one whose orders that runner takes: an older one refuses for good whatever it has refused once.
    """
    return (
        code in RETRY_CODES
        and protocol >= RETRY_PROTOCOL
        and job.state in (JobState.LEASED, JobState.ACCEPTED)
        and job.life != ""  # it waits for our confirmation, so that no replay of its order starts it meanwhile
        and job.journal == journal != ""
        and now < job.not_after
    )


def wait_before(code: str, redeliveries: int) -> float:
    """Seconds before the job is handed out again; `redeliveries` is how often it came back, this time included."""
    if code in _NO_WAIT:
        redeliveries -= AT_ONCE
    return 0.0 if redeliveries <= 0 else min(MAX_WAIT, FIRST_WAIT * 2.0 ** min(redeliveries - 1, 16))


def may_take(job: Job, journal: str) -> bool:
    """Whether a leased job may go to the runner of `journal`: one that came back goes to the journal that had it."""
    return job.journal == journal
