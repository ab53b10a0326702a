"""One holder of a name: what is believed, and what becomes of the jobs."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import JobState
from common.link.lineage import begin
from hub.core.holder import LOCKED_REASON, judge_life, judge_links, knows_of, may_start, moves_of_locked
from hub.core.job import MarkUnknown, Release
from hub.core.records import Job
from tests.hub.core.test_request import job

TRUNK = begin("a" * 16, b"0")
OWN, COPY = TRUNK.advance(b"own"), TRUNK.advance(b"copy")
SEEN = judge_links("", OWN, store_is_behind=False).keep


def test_what_is_believed_is_kept_and_nothing_else() -> None:
    """Trust: one holder of a name. A copy changes nothing of what was seen; it is told from an old link of the same
    holder, which a runner cannot have.
    """
    found = judge_links(SEEN, COPY, store_is_behind=False)
    assert (found.is_copy, found.keep) == (True, "")
    assert (found.seen, found.told) == (f"2 {OWN.id}", f"2 {COPY.id}")
    assert judge_links(SEEN, OWN, store_is_behind=False).keep == ""
    assert judge_links(SEEN, OWN.advance(b"1"), store_is_behind=False).keep != ""
    assert judge_links(SEEN, TRUNK, store_is_behind=False).relation == "stale"
    assert judge_life(SEEN, TRUNK, store_is_behind=False).is_copy
    assert not judge_life(SEEN, OWN, store_is_behind=False).is_copy


def test_a_restored_store_believes_what_it_is_told() -> None:
    """Trust: one holder of a name. What it saw last is from before the backup and proves nothing; what is told counts
    from there on.
    """
    for told in (COPY, COPY.advance(b"1"), begin("b" * 16, b"")):
        found = judge_links(SEEN, told, store_is_behind=True)
        assert not found.is_copy
        assert judge_links(found.keep, told, store_is_behind=False).relation == "same"
        assert judge_links(found.keep, OWN.advance(b"1"), store_is_behind=False).is_copy
    assert judge_links(SEEN, TRUNK, store_is_behind=True).relation == "ahead"


def in_state(state: JobState, life: str = "L") -> Job:
    return replace(job(state), id="J", life=life)


def test_what_becomes_of_the_jobs_of_two() -> None:
    """Trust: one holder of a name. What nobody was told to start goes back; of the rest nobody knows; what was unknown
    stays so.
    """
    cases = {
        (JobState.LEASED, "L"): Release(),
        (JobState.LEASED, ""): MarkUnknown(LOCKED_REASON),
        (JobState.ACCEPTED, "L"): MarkUnknown(LOCKED_REASON),
        (JobState.RUNNING, "L"): MarkUnknown(LOCKED_REASON),
    }
    for (state, life), move in cases.items():
        before = in_state(state, life)
        assert moves_of_locked([before]) == [(before, move)]
    assert moves_of_locked([in_state(JobState.UNKNOWN)]) == []
    told = replace(in_state(JobState.LEASED), stamp="s")  # with its order
    assert moves_of_locked([told]) == [(told, MarkUnknown(LOCKED_REASON))]


def test_who_is_told_to_start() -> None:
    """Trust: one holder of a name. The runner that the job was leased to, while nobody wants it stopped; it may ask
    again.
    """
    assert may_start(in_state(JobState.ACCEPTED), "L")
    assert not may_start(in_state(JobState.ACCEPTED), "another")
    assert not may_start(in_state(JobState.ACCEPTED, ""), "")  # of a version that does not wait
    assert not may_start(replace(in_state(JobState.ACCEPTED), cancel_asked_at=1.0), "L")
    for state in set(JobState) - {JobState.ACCEPTED}:
        assert not may_start(in_state(state), "L")


def test_who_can_say_that_a_job_never_started() -> None:
    """Trust: one holder of a name (A2). The runner that was told to start it, and those of its journal that came after
    it; not the other one of two, whose journal says only that it did not.
    """
    later = judge_life(SEEN, OWN.advance(b"1").advance(b"2"), store_is_behind=False).keep
    for life, lives, knows in (
        (OWN.id, SEEN, True),
        (OWN.id, later, True),
        (COPY.id, SEEN, False),
        (COPY.id, later, False),
        (OWN.id, "", False),
        ("", "", True),  # of a version that waits for no word
    ):
        assert knows_of(replace(job(JobState.UNKNOWN), life=life), lives) is knows
