"""When a store is a restored backup."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.link.marks import Mark
from hub.core.recovery import MAX_STARTS, ROUND, Recovery, Start, beyond, in_history, next_record, parse_recovery

A, B, C, X = "a" * 16, "b" * 16, "c" * 16, "f" * 16
STARTS = [Start(4, A, 60), Start(5, B, 100), Start(6, C, 140)]


@pytest.mark.parametrize(
    ("mark", "known"),
    [
        (Mark(4, A, 60, 1), True),
        (Mark(4, A, 100, 1), True),
        (Mark(6, C, 150, 9), True),  # as far as it has come
        (Mark(5, X, 120, 1), False),  # as many restarts as there were before: another start of the same number
        (Mark(7, X, 150, 1), False),  # more restarts before
        (Mark(4, A, 101, 1), False),  # the same run went further before the backup was put back
        (Mark(6, C, 151, 9), False),  # this very run has not been there: it was put back under a machine's eyes
        (Mark(1, X, 1, 1), False),
    ],
)
def test_what_a_store_has_been_at(mark: Mark, known: bool) -> None:
    assert in_history(mark, STARTS, seq=150) is known


def test_a_new_store_has_no_history() -> None:
    """One that was begun anew under the old keys would count from 1 again."""
    assert not in_history(Mark(4, A, 60, 1), [], 0)


def test_what_is_too_old_to_be_remembered_is_believed() -> None:
    starts = [Start(epoch, f"{epoch:016x}", epoch) for epoch in range(10, 10 + MAX_STARTS)]
    assert in_history(Mark(3, X, 1, 1), starts, 10_000)
    assert not in_history(Mark(10, X, 1, 1), starts, 10_000)


@given(st.integers(0, 10**12))
def test_numbers_go_on_beyond_all_that_were_told(highest: int) -> None:
    assert highest + ROUND <= beyond(highest) <= highest + 2 * ROUND
    assert beyond(highest) % ROUND == 0


def first(**more: object) -> Recovery:
    facts = {"now": 1.0, "cause": "store", "witness": "f", "heard": None, "told": [45], "epochs": [4], "seq": 9}
    return next_record(None, **{**facts, **more})  # type: ignore[arg-type]


def test_the_record_of_a_recovery() -> None:
    record = first(heard=Mark(7, X, 150, 1_204), told=[45, 1_204])
    assert (record.number, record.epoch, record.seq, record.active) == (3_000, 2_000, 9, True)
    assert parse_recovery(record.to_json()) == record
    assert parse_recovery(None) is None
    assert parse_recovery(record.to_json().replace('"cause"', '"of_a_later_version": 1, "cause"')) == record


def test_a_recovery_under_way_goes_further_and_never_back() -> None:
    """What opened meanwhile is ended again; when it began and who told stays."""
    before = replace(first(), voided=True).counted(jobs=2)
    after = next_record(before, now=5.0, cause="machine", witness="web-1", heard=None, told=[7_000], epochs=[1], seq=20)
    assert (after.since, after.cause, after.number, after.epoch, after.voided) == (1.0, "store", 9_000, 2_000, False)
    assert after.counted(jobs=1, questions=1).counts == {"jobs": 3, "questions": 1}
    over = replace(before, ended_at=3.0)
    again = next_record(over, now=5.0, cause="machine", witness="web-1", heard=None, told=[1], epochs=[1], seq=20)
    assert (again.since, again.cause, again.active) == (5.0, "machine", True)
