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
from common.link.messages import Confirm
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


def test_a_word_for_an_earlier_delivery_is_none_for_this_one() -> None:
    """Trust: no late start. The seconds of a word count from the acceptance that it is for; one that was signed before
    the order was made again is of an earlier one.
    """
    found, job = Confirmations(), waiting(0.0)
    assert job.order is not None
    job.came_again = True
    assert not found.take(job, word(job, 600.5), TRUST, RUNNER)
    assert found.take(job, word(job, 599.5), TRUST, RUNNER)
