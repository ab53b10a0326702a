"""tests.faults.checker"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step, plan_hash
from hub.core.records import Job, Request
from tests.each import each_of
from tests.faults.checker import CHAIN, SLACK, History, violations
from tests.faults.oracle import Start, read_starts

PLAN = Plan((Step(("/bin/true",), ("web-1",)),), ttl=10)
HASH = plan_hash(PLAN)
REQUEST = Request(
    id="R",
    number=1,
    inlet="ops",
    event_id="m-1",
    conversation="c",
    chat_user="carol",
    person="carol",
    text="@web-1 true",
    language="en",
    reply_url="http://127.0.0.1:9/r",
    received_at=1.0,
    state=RequestState.DONE,
    ended_at=9.0,
    plan=PLAN,
    plan_hash=HASH,
)
JOB = Job(
    id="J",
    request_id="R",
    person="carol",
    agent="web-1",
    state=JobState.SUCCEEDED,
    step=0,
    plan_hash=HASH,
    not_after=11.0,
    queued_at=1.0,
    ended_at=9.0,
)


def event(seq: int, kind: str, subject: str, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "kind": kind, "subject": subject, "actor": "hub", "data": data}


EVENTS = (
    event(1, "message.accepted", "R"),
    event(2, "jobs.queued", "R", plan_hash=HASH),
    event(3, "job.dispatched", "J", plan_hash=HASH),
    *(event(number, kind, "J") for number, kind in enumerate(CHAIN[1:], 4)),
)


def reply(kind: str, state: str, job: str) -> dict[str, Any]:
    return {
        "in_reply_to": "m-1",
        "kind": kind,
        "request": {"id": "R", "state": state},
        "jobs": [{"id": "J", "state": job}],
    }


GOOD = History(
    (Start("J", 105.0, 1_000.0),),
    (REQUEST,),
    (JOB,),
    EVENTS,
    ("m-1",),
    {"R": 100.0},
    replies=[reply("progress", "working", "running"), reply("final", "done", "succeeded")],
)


def test_a_history_in_which_everything_holds() -> None:
    """Nothing is said of it; nor of a job that was refused in time."""
    assert violations(GOOD) == []
    refused = replace(JOB, state=JobState.NOT_STARTED)
    events = (*EVENTS[:3], event(4, "job.not_started", "J"))
    assert violations(replace(GOOD, starts=(), jobs=(refused,), events=events, replies=None)) == []
    assert violations(replace(GOOD, starts=(Start("J", 110.0 + SLACK, 0.0),))) == []


def without(kind: str) -> History:
    return replace(GOOD, events=[one for one in EVENTS if one["kind"] != kind])


BROKEN: dict[str, Callable[[], History]] = {
    "J started 2 times": lambda: replace(GOOD, starts=GOOD.starts * 2),
    "step 0 of R started 2 times on web-1": lambda: replace(
        GOOD, starts=(*GOOD.starts, Start("K", 106.0, 0.0)), jobs=(JOB, replace(JOB, id="K"))
    ),
    "message m-2 was answered with 2xx and is not there": lambda: replace(GOOD, taken=("m-1", "m-2")),
    "r1 has not ended": lambda: replace(GOOD, requests=(replace(REQUEST, state=RequestState.WORKING),)),
    "J has not ended": lambda: replace(GOOD, jobs=(replace(JOB, state=JobState.RUNNING),)),
    "X started, and the hub does not know it": lambda: replace(GOOD, starts=(*GOOD.starts, Start("X", 1.0, 0.0))),
    "J is succeeded and never started": lambda: replace(GOOD, starts=()),
    "J is expired and has started": lambda: replace(GOOD, jobs=(replace(JOB, state=JobState.EXPIRED),)),
    "J is unknown": lambda: replace(GOOD, jobs=(replace(JOB, state=JobState.UNKNOWN),)),
    "has 2 ends in the audit": lambda: replace(GOOD, events=(*EVENTS, event(9, "job.settled", "J"))),
    "has 0 ends in the audit": lambda: without("job.ended"),
    "job.anomaly of J": lambda: replace(GOOD, events=(*EVENTS, event(9, "job.anomaly", "J", what="odd"))),
    "the audit has no job.dispatched": lambda: without("job.dispatched"),
    "the audit has no message.accepted": lambda: without("message.accepted"),
    "is out of order": lambda: replace(GOOD, events=(*EVENTS[:3], event(9, "job.accepted", "J"), *EVENTS[4:])),
    "has plan hashes": lambda: replace(
        GOOD, events=(*EVENTS[:2], event(3, "job.dispatched", "J", plan_hash="0"), *EVENTS[3:])
    ),
    "chat was never told how r1 ended": lambda: replace(GOOD, replies=GOOD.replies and GOOD.replies[:1]),
    "chat was told that r1 is failed": lambda: replace(GOOD, replies=[reply("final", "failed", "succeeded")]),
    "chat was told that J is unknown": lambda: replace(GOOD, replies=[reply("final", "done", "unknown")]),
    "J started 1.5 s late": lambda: replace(GOOD, starts=(Start("J", 111.5, 0.0),)),
}


@each_of("name", list(BROKEN))
def test_each_thing_that_must_not_be_is_found(name: str) -> None:
    """The checker can fail, in each of its rules."""
    assert any(name in found for found in violations(BROKEN[name]()))


def test_what_nobody_can_know_is_allowed_where_a_fault_makes_it(tmp_path: Path) -> None:
    """A run that kills runners has unknown outcomes, of jobs that have started and of some that have not."""
    jobs = (replace(JOB, state=JobState.UNKNOWN),)
    lost = replace(GOOD, jobs=jobs, events=EVENTS[:4], unknown_allowed=True, replies=None)
    assert violations(lost) == []
    assert violations(replace(lost, starts=())) == []


def test_the_oracle_reads_whole_lines_only(tmp_path: Path) -> None:
    """A start that is half written down is no history."""
    log = tmp_path / "oracle.log"
    assert read_starts(log) == []
    log.write_text("J 105.25 1000.5\n")
    assert read_starts(log) == [Start("J", 105.25, 1_000.5)]
    log.write_text("J 105.25")
    with pytest.raises(ValueError, match="unpack"):
        read_starts(log)


def test_the_last_word_to_chat_counts() -> None:
    """An outcome that was unknown at first and is known since; a final reply that came twice."""
    told = [reply("final", "done", "unknown"), reply("late", "done", "succeeded")]
    assert violations(replace(GOOD, replies=told)) == []
    assert violations(replace(GOOD, replies=[reply("final", "done", "succeeded")] * 2)) == []
