"""agent.runner.reporter"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.runner.evidence import OUTPUT_SUFFIX, Evidence
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.limits import RunnerLimits
from agent.runner.reporter import Reporter
from agent.runner.spool import OutputWriter, Spool
from common.link.messages import CHUNK_BYTES, Accepted, Ended, Message, Refused, Started, Unsure
from common.link.messages import Output as Chunk

JOBS = ["01ARZ3NDEKTSV4RRFFQ69G5FA" + char for char in "0123456789"]


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[Evidence]:
    folder = os.open(tmp_path, os.O_RDONLY)
    yield Evidence(folder)
    os.close(folder)


@pytest.fixture
def teller(evidence: Evidence) -> Reporter:
    made = Reporter(Spool(evidence, 1 << 30), RunnerLimits(output_window=3 * CHUNK_BYTES, max_notices=2))
    made.ready = True
    return made


def job(state: RunnerJobState, number: int = 0, **more: Any) -> RunnerJob:
    return RunnerJob(JOBS[number], "hash", 100.0, state, **more)


def ended(evidence: Evidence, number: int = 0, *chunks: bytes) -> RunnerJob:
    """A job that wrote those chunks and ended."""
    output = OutputWriter(Spool(evidence, 1 << 30), JOBS[number], 1 << 20)
    for chunk in chunks:
        output.write(1, chunk, 5.0)
        output.flush(5.0, 0.0)
    output.close()
    end = Ended(JOBS[number], "succeeded", 0, None, "", len(chunks), 9, "ab" * 32, False, 1.0, 2.0, 0.0, 0.0, 0)
    return job(RunnerJobState.ENDED, number, pid=42, started_at=1.0, ended=end)


def told(teller: Reporter) -> list[Message]:
    messages = []
    while (message := teller.next_message()) is not None:
        messages.append(message)
    return messages


def test_a_whole_story_is_told_in_order(teller: Reporter, evidence: Evidence) -> None:
    """Accepted, started, each chunk with its number, and the end after the last of them; then silence."""
    one = ended(evidence, 0, b"a", b"b")
    teller.start_from(one, 1)
    assert told(teller) == [
        Accepted(one.id, "hash"),
        Started(one.id, 42, 1.0),
        Chunk(one.id, 1, 1, b"a", 5.0),
        Chunk(one.id, 2, 1, b"b", 5.0),
        one.ended,
    ]
    teller.enqueue(one)
    assert told(teller) == []


def test_each_state_has_its_word(teller: Reporter) -> None:
    """Refused and unsure stand alone; of what is still being written to the journal nothing is said."""
    teller.start_from(job(RunnerJobState.WRITING, 0), 1)
    teller.start_from(job(RunnerJobState.ACCEPTED, 1), 1)
    teller.start_from(job(RunnerJobState.REFUSED, 2, code="busy", reason="full"), 1)
    teller.start_from(job(RunnerJobState.UNSURE, 3, reason="gone"), 1)
    assert told(teller) == [Accepted(JOBS[1], "hash"), Refused(JOBS[2], "busy", "full"), Unsure(JOBS[3], "gone")]


def test_a_program_that_never_came_to_life_is_not_called_started(teller: Reporter, evidence: Evidence) -> None:
    """Its end says why; there is no pid to tell."""
    one = ended(evidence)
    one.pid = 0
    teller.start_from(one, 1)
    assert told(teller) == [Accepted(one.id, "hash"), one.ended]


def test_it_goes_on_where_the_hub_says(teller: Reporter, evidence: Evidence) -> None:
    """Chunks that the hub has are not sent again; the facts are, they do no harm."""
    one = ended(evidence, 0, b"a", b"b", b"c")
    teller.start_from(one, 3)
    assert [message.seq for message in told(teller) if isinstance(message, Chunk)] == [3]
    for wanted in (4, 99):
        teller.start_from(one, wanted)
        assert told(teller)[2:] == [one.ended]


def test_without_credit_output_waits_and_the_end_with_it(teller: Reporter, evidence: Evidence) -> None:
    """No more than the window is under way; each credit lets more through, and the end comes last."""
    one = ended(evidence, 0, *[b"x" * CHUNK_BYTES] * 5)
    teller.start_from(one, 1)
    assert [type(message) for message in told(teller)[2:]] == [Chunk] * 3
    one.cursor.credit(1)
    teller.enqueue(one)
    assert [message.seq for message in told(teller) if isinstance(message, Chunk)] == [4]
    one.cursor.credit(4)
    teller.enqueue(one)
    assert [type(message) for message in told(teller)] == [Chunk, Ended]
    assert one.cursor.in_flight == CHUNK_BYTES
    one.cursor.credit(99)
    assert one.cursor.in_flight == 0


def test_jobs_take_turns(teller: Reporter, evidence: Evidence) -> None:
    """One that has much to say does not keep the others waiting."""
    teller.start_from(ended(evidence, 0, *[b"x"] * 5), 1)
    teller.start_from(ended(evidence, 1), 1)
    heard = told(teller)
    end = next(i for i, message in enumerate(heard) if isinstance(message, Ended) and message.job == JOBS[1])
    assert end < 6


def test_dropped_output_shortens_the_story_and_says_so(teller: Reporter, evidence: Evidence) -> None:
    """The end names as many chunks as were sent, and that the output is not whole."""
    one = ended(evidence, 0, b"a", b"b", b"c")
    teller.start_from(one, 1)
    for _ in range(3):
        teller.next_message()
    evidence.unlink(one.id, OUTPUT_SUFFIX)
    (end,) = told(teller)
    assert isinstance(end, Ended)
    assert (end.chunks, end.truncated) == (1, True)
    teller.start_from(one, 3)
    end = told(teller)[-1]
    assert isinstance(end, Ended)
    assert (end.chunks, end.truncated) == (2, True)


def test_nothing_is_said_before_the_hub_listens(evidence: Evidence) -> None:
    """Between report and resync there is silence, and what was to be said then is made from the state later."""
    teller = Reporter(Spool(evidence, 1 << 30), RunnerLimits())
    one = job(RunnerJobState.ACCEPTED)
    teller.enqueue(one)
    teller.enqueue_notice(Refused(JOBS[1], "signature", "no"))
    assert teller.next_message() is None
    assert not teller.has_pending
    teller.ready = True
    teller.start_from(one, 1)
    assert told(teller) == [Accepted(one.id, "hash")]


def test_what_the_hub_does_not_know_is_not_talked_about(teller: Reporter, evidence: Evidence) -> None:
    """A muted job stays silent whatever happens to it, until the hub sends its order again."""
    one = ended(evidence, 0, b"a")
    teller.start_from(one, 1)
    teller.mute(one)
    teller.enqueue(one)
    assert told(teller) == []
    teller.resend(one)
    assert [type(message) for message in told(teller)] == [Accepted, Started, Chunk, Ended]


def test_asked_again_it_repeats_the_facts_but_not_the_output(teller: Reporter, evidence: Evidence) -> None:
    """A duplicate order is answered; the chunks are under way already."""
    one = ended(evidence, 0, b"a")
    teller.start_from(one, 1)
    told(teller)
    teller.resend(one)
    assert [type(message) for message in told(teller)] == [Accepted, Started, Ended]


def test_notices_are_few(teller: Reporter) -> None:
    """A flood of forged orders does not become a queue of answers."""
    for number in range(5):
        teller.enqueue_notice(Refused(JOBS[number], "signature", "no"))
    assert len(told(teller)) == 2


def test_after_a_reset_nothing_is_left(teller: Reporter, evidence: Evidence) -> None:
    """A new uplink begins with silence."""
    teller.start_from(ended(evidence, 0, b"a"), 1)
    teller.enqueue_notice(Refused(JOBS[1], "signature", "no"))
    teller.reset()
    assert teller.next_message() is None
    assert not teller.ready
    assert not teller.has_pending
