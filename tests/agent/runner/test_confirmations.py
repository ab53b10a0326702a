"""agent.runner.confirmations"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from agent.boot import since_boot
from agent.runner.confirmations import Confirmations
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.order_life import on_receipt
from common.confirmation import confirmation
from common.identity.signing import CONFIRM_PURPOSE
from common.link.lineage import begin
from common.link.messages import Confirm, Dispatch
from tests.agent.runner.test_verify import KEY, TRUST, order

RUNNER = begin("a" * 32, b"")
HOUR = 3_600.0


def waiting(ahead: float) -> RunnerJob:
    """Its order was made now, by a hub whose clock is ahead of this machine's."""
    now = time.time() + ahead
    made = replace(order(), not_after=now + 600, issued_at=now, confirm=True)
    life = on_receipt(made, time.time(), since_boot())
    return RunnerJob(made.job, made.plan_hash, made.not_after, RunnerJobState.ACCEPTED, made, life, confirmed=False)


def word(job: RunnerJob, left: float = 600.0) -> Confirm:
    return Confirm(job.id, left, KEY.id, KEY.sign(CONFIRM_PURPOSE, confirmation(job.id, RUNNER.id, left)))


@pytest.mark.parametrize("ahead", [0.0, -HOUR, HOUR])
def test_a_word_tells_the_hubs_clock(ahead: float) -> None:
    """By which tombstones are dropped: a machine whose clock is ahead keeps them as long as the others do."""
    found, job = Confirmations(), waiting(ahead)
    assert found.hub_now() == pytest.approx(time.time(), abs=1)
    assert found.take(job, word(job), TRUST, RUNNER)
    assert found.hub_now() == pytest.approx(time.time() + ahead, abs=1)
    assert job.life.over(time.time(), since_boot()) == pytest.approx(-600, abs=1)


def test_a_word_that_proves_nothing_changes_nothing() -> None:
    """Not signed, signed for another start of the runner, or by who has no say; before protocol 5 none is signed."""
    found, job = Confirmations(), waiting(0.0)
    before = job.life
    for message, runner in ((Confirm(job.id, 60.0), RUNNER), (word(job), begin("b" * 32, b"")), (word(job), None)):
        assert not found.take(job, message, TRUST, runner)
    assert not found.take(job, word(job), replace(TRUST, keys={}), RUNNER)
    assert job.life == before
    assert job.order is not None
    job.order = replace(job.order, issued_at=0.0)
    assert found.take(job, Confirm(job.id), TRUST, RUNNER)


def ordered(job: RunnerJob, stamp: str, left: float = 600.0, *, life: str = RUNNER.id) -> Dispatch:
    """The job's order with the hub's word."""
    word = KEY.sign(CONFIRM_PURPOSE, confirmation(job.id, life, left, stamp))
    return Dispatch(b"", b"", KEY.id, stamp, left, word)


@pytest.mark.parametrize("ahead", [0.0, -HOUR, HOUR])
def test_a_word_that_came_with_the_order_counts_from_its_stamp(ahead: float) -> None:
    """Trust: no late start. By any clock of this machine, and for any number of orders."""
    found = Confirmations()
    stamp = found.stamps.give(since_boot() - 100)
    for _ in range(2):
        job = waiting(ahead)
        assert found.take_ahead(job, ordered(job, stamp, 700.0), TRUST, RUNNER)
        assert job.life.over(time.time(), since_boot()) == pytest.approx(-600, abs=1)
    assert found.hub_now() == pytest.approx(time.time() + ahead, abs=1)


def test_a_word_of_no_stamp_of_ours_starts_nothing() -> None:
    """Trust: one holder of a name. Of another runner's, one that has ended, one that is for another job, another start
    or another stamp, or one that was changed on the way: the job waits for its confirmation.
    """
    found, job = Confirmations(), waiting(0.0)
    ended = found.stamps.give(since_boot())
    found.stamps.end_all()
    stamp, second = found.stamps.give(since_boot()), found.stamps.give(since_boot())
    good, other = ordered(job, stamp), waiting(0.0)
    other.id = "01J00000000000000000000000"
    before = job.life
    for message in (
        ordered(job, ""),
        ordered(job, "0" * 16),
        ordered(job, ended),
        ordered(other, stamp),
        ordered(job, stamp, life="b" * 16),
        replace(good, stamp=second),
        replace(good, left=601.0),
        replace(good, word=b""),
    ):
        assert not found.take_ahead(job, message, TRUST, RUNNER)
    assert not found.take_ahead(job, good, replace(TRUST, keys={}), RUNNER)
    assert not found.take_ahead(job, good, TRUST, None)
    assert job.life == before
    assert found.take_ahead(job, good, TRUST, RUNNER)


def test_a_word_from_before_a_refusal_starts_nothing() -> None:
    """Trust: a job starts once. The hub has it in the queue again; its order of before may be played once more."""
    found, job = Confirmations(), waiting(0.0)
    stamp = found.stamps.give(10.0)
    job.refused_boot = 11.0
    assert not found.take_ahead(job, ordered(job, stamp), TRUST, RUNNER)
    later = found.stamps.give(12.0)
    assert found.take_ahead(job, ordered(job, later), TRUST, RUNNER)


def test_a_word_for_an_earlier_delivery_is_none_for_this_one() -> None:
    """Trust: no late start. The seconds of a word count from the acceptance that it is for; one that was signed before
    the order was made again is of an earlier one.
    """
    found, job = Confirmations(), waiting(0.0)
    assert job.order is not None
    job.came_again = True
    assert not found.take(job, word(job, 600.5), TRUST, RUNNER)
    assert found.take(job, word(job, 599.5), TRUST, RUNNER)
