"""A machine's report beside the hub's rows."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import JobState
from common.link.lineage import Lineage, begin
from common.link.messages import Report
from hub.core.job import MarkUnknown, Release
from hub.core.reconcile import MAX_ID, Reconciliation, reconcile
from hub.core.records import Job
from tests.each import each_of
from tests.hub.core.test_request import job

JOURNAL = "journal-1"
JOURNAL_OF_LIVES = "a" * 32


def mine(state: JobState, **more: object) -> Job:
    return replace(job(state), id="J", **{"journal": JOURNAL, **more})


def report(*jobs: str, journal: str = JOURNAL) -> Report:
    return Report(journal=journal, boot="boot", open=dict.fromkeys(jobs, "running"))


def reconciled(said: Report, open_jobs: list[Job], others: list[Job] | None = None) -> Reconciliation:
    return reconcile("web-1", said, open_jobs, {one.id: one for one in others or []})


@each_of(
    ("state", "journal", "move"),
    [
        (JobState.LEASED, JOURNAL, Release),
        (JobState.LEASED, "", Release),
        (JobState.LEASED, "journal-0", MarkUnknown),
        (JobState.ACCEPTED, JOURNAL, MarkUnknown),
        (JobState.RUNNING, JOURNAL, MarkUnknown),
        (JobState.RUNNING, "journal-0", MarkUnknown),
        (JobState.UNKNOWN, JOURNAL, None),
        (JobState.UNKNOWN, "journal-0", MarkUnknown),  # which changes nothing: `decide` knows
    ],
)
def test_a_job_that_the_report_does_not_name(state: JobState, journal: str, move: type | None) -> None:
    """Only what was leased and never accepted may run again; of the rest nobody knows what became."""
    before = mine(state, journal=journal)
    found = reconciled(report(), [before])
    assert [(moved, type(by)) for moved, by in found.moves] == ([] if move is None else [(before, move)])
    assert (found.wanted, found.under_way, found.cancel, found.forget, found.unknown) == ((), (), (), (), ())


@each_of(
    ("state", "journal", "move"),
    [
        (JobState.LEASED, JOURNAL, Release),
        (JobState.LEASED, "journal-0", Release),
        (JobState.ACCEPTED, JOURNAL, MarkUnknown),
        (JobState.RUNNING, "journal-0", MarkUnknown),
    ],
)
def test_a_job_that_waited_for_our_word(state: JobState, journal: str, move: type) -> None:
    """Trust: one holder of a name. Leased and no more it had no word of ours, so it was started nowhere, whoever holds
    the journal now; accepted it may have been started, and never runs again.
    """
    before = mine(state, journal=journal, life="L")
    assert [type(by) for _, by in reconciled(report(), [before]).moves] == [move]


def test_a_job_that_had_our_word_and_that_the_report_does_not_name() -> None:
    """Trust: one holder of a name. It was told to start, whether or not it was accepted. It goes back into the queue by
    the word of the runner that was told, which ends what it had been told; of another start, on this journal or on a
    copy of it, or of this one put back to an earlier moment, nobody knows. One that the report names goes on.
    """
    before = mine(JobState.LEASED, life="L", stamp="s2")
    for ended, move in ((("s1", "s2"), Release), (("s1",), MarkUnknown), ((), MarkUnknown)):
        for journal in (JOURNAL, "journal-0"):
            said = replace(report(journal=journal), ended=ended)
            assert [type(by) for _, by in reconciled(said, [before]).moves] == [move]
            assert reconciled(replace(report("J"), ended=ended), [before]).moves == ()
    said = replace(report(), ended=("s2",))
    for state in (JobState.ACCEPTED, JobState.RUNNING):
        assert [type(by) for _, by in reconciled(said, [replace(before, state=state)]).moves] == [MarkUnknown]


@each_of(
    ("state", "asked_at", "under_way", "cancel"),
    [
        (JobState.LEASED, None, ("J",), ()),
        (JobState.RUNNING, None, ("J",), ()),
        (JobState.RUNNING, 5.0, ("J",), ("J",)),
        (JobState.UNKNOWN, None, (), ()),
        (JobState.UNKNOWN, 5.0, (), ("J",)),
    ],
)
def test_a_job_that_the_report_names(
    state: JobState, asked_at: float | None, under_way: tuple[str, ...], cancel: tuple[str, ...]
) -> None:
    """It goes on; a cancel that may not have arrived is repeated, and an unknown job takes up no room."""
    found = reconciled(report("J", journal="another"), [mine(state, cancel_asked_at=asked_at)])
    assert (found.wanted, found.under_way, found.cancel, found.moves) == (("J",), under_way, cancel, ())


@each_of(
    ("row", "forget"),
    [
        (mine(JobState.SUCCEEDED), ("J",)),
        (mine(JobState.SUCCEEDED, agent="web-2"), ()),
        (mine(JobState.QUEUED), ()),
        (None, ()),
    ],
)
def test_what_the_report_names_beside_the_open_jobs(row: Job | None, forget: tuple[str, ...]) -> None:
    """What has ended may be forgotten; anything else is named for the audit."""
    found = reconciled(report("J"), [], [row] if row is not None else [])
    assert (found.forget, found.unknown) == (forget, () if forget else ("J running",))


def test_one_that_came_back_and_is_named_as_refused() -> None:
    """It is in the queue: the machine goes on keeping that it refused it, and nobody is alarmed."""
    kept = Report("j", "b", {"J": "refused"})
    found = reconciled(kept, [], [mine(JobState.QUEUED)])
    assert (found.forget, found.unknown, found.wanted) == ((), (), ())
    assert reconciled(kept, [], [mine(JobState.QUEUED, agent="web-2")]).unknown == ("J refused",)


def test_names_of_strangers_are_cut() -> None:
    """What a machine calls a job may be long."""
    (unknown,) = reconciled(report("x" * 1_000), []).unknown
    assert unknown == f"{'x' * MAX_ID} running"


def test_a_job_that_had_our_word_and_left_over_the_connection_of_the_report() -> None:
    """Trust: one holder of a name. It goes back into the queue by the report of a runner that was started on its
    journal since, and that came over the connection over which the order left. Over another connection, of the runner
    itself, of one before it, of another journal, or once it was accepted, its outcome is unknown.
    """
    first = begin(JOURNAL_OF_LIVES, b"1")
    second = first.advance(b"2")
    copied = first.advance(b"other")
    order = mine(JobState.LEASED, journal=JOURNAL_OF_LIVES, life=first.id, stamp="s")

    def moves(life: Lineage | None, sent: set[str], before: Job = order, journal: str = JOURNAL_OF_LIVES) -> list[type]:
        said = Report(journal, "boot", {}, "" if life is None else str(life))
        return [type(by) for _, by in reconcile("web-1", said, [before], {}, sent=sent).moves]

    assert moves(second, {"J"}) == [Release]
    assert moves(second.advance(b"3"), {"J", "K"}) == [Release]
    for life in (second, copied):
        assert moves(life, set()) == moves(life, {"K"}) == [MarkUnknown]
    assert moves(first, {"J"}) == moves(None, {"J"}) == moves(begin(JOURNAL_OF_LIVES, b"9"), {"J"}) == [MarkUnknown]
    assert moves(second, {"J"}, replace(order, life=second.id)) == [MarkUnknown]
    assert moves(second, {"J"}, journal="b" * 32) == [MarkUnknown]
    for state in (JobState.ACCEPTED, JobState.RUNNING):
        assert moves(second, {"J"}, replace(order, state=state)) == [MarkUnknown]
