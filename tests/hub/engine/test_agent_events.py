"""What machines say: facts, output, reports; and what they are not believed."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ulid import ULID

from common.lifecycle import JOB_TERMINAL, JobState, RequestState
from common.link.lineage import begin
from common.link.messages import (
    PROTOCOL,
    REFUSAL_CODES,
    RETRY_PROTOCOL,
    Accepted,
    Heartbeat,
    Message,
    Output,
    Refused,
    Report,
    Started,
    Unsure,
)
from common.plan import MAX_OUTPUT_CAP
from hub.core import job_output
from hub.core.machine_rows import BURST, SUM, SUM_AFTER
from hub.core.records import Job
from hub.engine.agent_events import (
    MAX_FOREIGN_ROWS,
    MAX_UNKNOWN_NAMED,
    MAX_VITALS,
    OTHER_HOLDER,
    OUTPUT_AT_A_TIME,
    in_turns,
)
from hub.engine.holders import lock_holders
from hub.store.lanes import OUTPUT_TURN
from tests.hub.hub_harness import JOURNAL, NOW, HubHarness, ended_message


def output(job: Job, seq: int, data: bytes = b"x", stream: int = 1) -> Output:
    return Output(job.id, seq, stream, data, NOW)


async def in_state(harness: HubHarness, state: JobState) -> Job:
    """A job of web-1 in this state, by the way it gets there."""
    if state is JobState.QUEUED:
        return await harness.queued_job()
    job = await harness.leased_job()
    match state:
        case JobState.ACCEPTED:
            await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash))
        case JobState.RUNNING:
            await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW))
        case JobState.UNKNOWN:
            await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash), Unsure(job.id, "?"))
        case JobState.SUCCEEDED:
            await harness.handle_agent_events("web-1", ended_message(job.id))
    job = harness.job(job.id)
    assert job.state is state
    return job


# ---- facts


async def test_the_whole_way_of_a_job(harness: HubHarness) -> None:
    """Accepted, started, output, ended: each committed, the output credited, the end answered with "forget"."""
    job = await harness.leased_job()
    answers = await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW + 1))
    assert (answers.credits, answers.forgets, answers.resync) == ({}, [], None)
    answers = await harness.handle_agent_events("web-1", output(job, 1, b"up "), output(job, 2, b"1 day\n"))
    assert answers.credits == {job.id: 2}
    assert (harness.job(job.id).output_bytes, harness.job(job.id).chunks) == (9, 2)
    answers = await harness.handle_agent_events("web-1", ended_message(job.id, chunks=2, output_bytes=9))
    assert (answers.forgets, answers.settled) == ([job.id], [job.id])
    request = harness.request(job.request_id)
    assert request.state is RequestState.DONE
    assert harness.final_reply(request)["jobs"][0]["output"] == "up 1 day\n"
    assert harness.kinds(job.id) == ["job.dispatched", "job.accepted", "job.started", "job.ended"]


async def test_facts_that_come_again_do_nothing(harness: HubHarness) -> None:
    """Results travel at least once and are recorded exactly once; the end is answered again, so that the machine may
    forget.
    """
    job = await harness.leased_job()
    words = [Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW), output(job, 1), ended_message(job.id, chunks=1)]
    await harness.handle_agent_events("web-1", *words)
    before, kinds = harness.job(job.id), harness.kinds(job.id)
    answers = await harness.handle_agent_events("web-1", *words)
    assert (harness.job(job.id), harness.kinds(job.id)) == (before, kinds)
    assert answers.forgets == [job.id]
    assert len(harness.read(lambda txn: txn.chunks(job.id))) == 1
    assert harness.reply_kinds(harness.request(job.request_id)) == ["final"]


async def test_a_contradiction_is_kept_and_changes_nothing(harness: HubHarness) -> None:
    """The first end stands; the other is an anomaly in the audit (P3)."""
    job = await in_state(harness, JobState.SUCCEEDED)
    await harness.handle_agent_events("web-1", ended_message(job.id, "failed", 3))
    assert harness.job(job.id).state is JobState.SUCCEEDED
    (row,) = harness.events("job.anomaly")
    assert "failed" in row.data["what"]


@pytest.mark.parametrize("word", ["Accepted", "Refused", "Started", "Output", "Ended", "Unsure"])
async def test_another_machines_job_is_no_business_of_this_one(harness: HubHarness, word: str) -> None:
    """Identity comes from the certificate: nothing changes, nothing is credited or forgotten, and it is written down
    (Salt 2024-38822, 2025-22236).
    """
    await harness.add_machine("web-2")
    job = await harness.leased_job()
    said = {
        "Accepted": Accepted(job.id, job.plan_hash),
        "Refused": Refused(job.id, "policy", "no"),
        "Started": Started(job.id, 7, NOW),
        "Output": output(job, 1),
        "Ended": ended_message(job.id),
        "Unsure": Unsure(job.id, "?"),
    }[word]
    answers = await harness.handle_agent_events("web-2", said)
    assert harness.job(job.id) == job
    assert (answers.credits, answers.forgets, answers.settled) == ({}, [], [])
    assert harness.read(lambda txn: txn.chunks(job.id)) == []
    (row,) = harness.events("job.foreign")
    assert (row.subject, row.actor, row.data) == (job.id, "web-2", {"said": word, "count": 1})


async def test_odd_words_do_not_flood_the_audit(harness: HubHarness) -> None:
    """A few rows a minute, and then one with how many there were."""
    strangers = [str(ULID()) for _ in range(MAX_FOREIGN_ROWS + 20)]
    await harness.handle_agent_events("web-1", *(Unsure(job, "?") for job in strangers))
    assert [row.subject for row in harness.events("job.foreign")] == strangers[:MAX_FOREIGN_ROWS]
    harness.clock.advance(61)
    await harness.handle_agent_events("web-1", Unsure(str(ULID()), "?"))
    assert [row.data["count"] for row in harness.events("job.foreign")[MAX_FOREIGN_ROWS:]] == [20, 1]


async def test_a_machine_that_talks_for_ever_does_not_fill_the_audit(harness: HubHarness) -> None:
    """Reports and contradictions without end are its share of rows and a sum; what happens to its job is written as
    ever, and so is what another machine says.
    """
    await harness.add_machine("web-2")
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash))
    lies = [Report(JOURNAL, "boot", {job.id: "accepted"}), Report(JOURNAL, "boot", {"nobody": "ended"})]
    before = len(harness.events())
    for number in range(40):
        await harness.handle_agent_events("web-1", *lies * 10)
        harness.clock.advance(0.1 * number)
    assert len(harness.events()) - before <= BURST + 5
    await harness.handle_agent_events("web-2", Report(JOURNAL, "boot", {}))
    assert harness.events("agent.reported")[-1].actor == "web-2"
    harness.clock.advance(SUM_AFTER)
    await harness.engine.agent_events.flush()
    await harness.engine.agent_events.flush()
    (row,) = harness.events(SUM)
    assert (row.subject, row.actor) == ("web-1", "web-1")
    assert row.data["count"] > 1_000
    assert {"agent.reported", "job.unheard_of"} <= set(row.data["kinds"])


async def test_a_job_that_was_never_handed_out_cannot_have_ended(harness: HubHarness) -> None:
    """What a machine says of a queued job is an anomaly; the job stays in the queue."""
    job = await in_state(harness, JobState.QUEUED)
    await harness.handle_agent_events(
        "web-1", Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW), ended_message(job.id)
    )
    assert harness.job(job.id).state is JobState.QUEUED
    assert len(harness.events("job.anomaly")) == 2


async def test_what_a_machine_says_is_kept_at_a_bounded_length(harness: HubHarness) -> None:
    """A reason of 60,000 characters is no reason to store them, nor in the audit."""
    job = await harness.leased_job()
    await harness.handle_agent_events(
        "web-1", ended_message(job.id, "failed", None, reason="r" * 60_000, output_digest="d" * 60_000)
    )
    kept = harness.job(job.id)
    assert (len(kept.reason), len(kept.output_digest)) == (1_000, 64)
    other = await harness.leased_job()
    await harness.handle_agent_events("web-1", Unsure(other.id, "u" * 60_000))
    assert len(harness.job(other.id).reason) == 1_000
    third = await harness.leased_job()
    await harness.handle_agent_events("web-1", Refused(third.id, "policy", "n" * 60_000))
    assert len(harness.job(third.id).reason) == 1_000
    assert max(len(str(row.data)) for row in harness.events("job.")) < 2_000


# ---- output


async def test_output_is_stored_once_and_counted_once(harness: HubHarness) -> None:
    """A chunk that comes again is credited again and kept as it was; there are no chunks without data."""
    job = await in_state(harness, JobState.RUNNING)
    await harness.handle_agent_events("web-1", output(job, 1, b"one"), output(job, 2, b""))
    answers = await harness.handle_agent_events("web-1", output(job, 1, b"other"), output(job, 3, b"three", stream=2))
    assert answers.credits == {job.id: 3}
    chunks = harness.read(lambda txn: txn.chunks(job.id))
    assert [(chunk.seq, chunk.stream, chunk.data) for chunk in chunks] == [(1, 1, b"one"), (3, 2, b"three")]
    assert harness.job(job.id).output_bytes == 8


async def test_a_machine_cannot_fill_the_store_with_output(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past what any job may keep nothing is stored; the job is marked, the audit says so once, the machine goes on."""
    assert job_output.MAX_OUTPUT_CAP == MAX_OUTPUT_CAP
    monkeypatch.setattr(job_output, "MAX_OUTPUT_CAP", 100)
    job = await in_state(harness, JobState.RUNNING)
    answers = await harness.handle_agent_events("web-1", *(output(job, seq, b"x" * 30) for seq in range(1, 20)))
    assert answers.credits == {job.id: 19}
    assert sum(len(chunk.data) for chunk in harness.read(lambda txn: txn.chunks(job.id))) == 90
    assert [row.subject for row in harness.events("job.output_over")] == [job.id]
    await harness.handle_agent_events("web-1", ended_message(job.id))
    assert harness.job(job.id).truncated


async def test_output_after_the_end_is_credited_and_let_go(harness: HubHarness) -> None:
    """The end is said after the last chunk, so what comes then is a repeat."""
    job = await in_state(harness, JobState.SUCCEEDED)
    answers = await harness.handle_agent_events("web-1", output(job, 1))
    assert answers.credits == {job.id: 1}
    assert harness.read(lambda txn: txn.chunks(job.id)) == []


# ---- the report


REPORTS = [
    # state, listed, same journal, state afterwards
    (JobState.LEASED, True, True, JobState.LEASED),
    (JobState.LEASED, True, False, JobState.LEASED),
    (JobState.LEASED, False, True, JobState.QUEUED),  # provably never ran: the only way back
    (JobState.LEASED, False, False, JobState.UNKNOWN),  # the memory that would prove it is gone
    (JobState.ACCEPTED, True, True, JobState.ACCEPTED),
    (JobState.ACCEPTED, False, True, JobState.UNKNOWN),
    (JobState.ACCEPTED, False, False, JobState.UNKNOWN),
    (JobState.RUNNING, True, True, JobState.RUNNING),
    (JobState.RUNNING, True, False, JobState.RUNNING),
    (JobState.RUNNING, False, True, JobState.UNKNOWN),
    (JobState.RUNNING, False, False, JobState.UNKNOWN),
    (JobState.UNKNOWN, True, True, JobState.UNKNOWN),
    (JobState.UNKNOWN, True, False, JobState.UNKNOWN),
    (JobState.UNKNOWN, False, True, JobState.UNKNOWN),
    (JobState.UNKNOWN, False, False, JobState.UNKNOWN),
    (JobState.QUEUED, False, True, JobState.QUEUED),
    (JobState.SUCCEEDED, True, True, JobState.SUCCEEDED),
    (JobState.SUCCEEDED, False, False, JobState.SUCCEEDED),
]


@pytest.mark.parametrize(("state", "listed", "same", "after"), REPORTS)
async def test_a_report_is_put_beside_the_rows(
    harness: HubHarness, state: JobState, listed: bool, same: bool, after: JobState
) -> None:
    """Every kind of report for a job in every state (delivery S6 to S13)."""
    job = await in_state(harness, state)
    report = Report(JOURNAL if same else "another", "boot", {job.id: "accepted"} if listed else {})
    answers = await harness.handle_agent_events("web-1", report)
    assert harness.job(job.id).state is after
    assert answers.resync is not None
    known = listed and state not in JOB_TERMINAL
    assert answers.resync.jobs == ({job.id: 1} if known else {})
    assert answers.resync.forget == ((job.id,) if listed and state in JOB_TERMINAL else ())
    # An unknown outcome takes no place among the jobs under way: it may stay unknown for good.
    assert answers.open == ((job.id,) if known and state is not JobState.UNKNOWN else ())
    row = harness.read(lambda txn: txn.agent("web-1"))
    assert row is not None
    assert (row.journal, row.boot) == (report.journal, "boot")


async def test_a_released_job_is_handed_out_again_as_the_same_job(harness: HubHarness) -> None:
    """The lease is void, the machine is to be woken, and the job goes out once more under its own id (S6)."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", Report(JOURNAL, "boot", {}))
    assert harness.effects[-1].wake == {"web-1"}
    (order,) = await harness.orders()
    assert order.job == job.id
    assert harness.kinds(job.id) == ["job.dispatched", "job.released", "job.dispatched"]


async def test_a_released_job_that_was_to_be_cancelled_is(harness: HubHarness) -> None:
    """It never ran and nobody wants it: it does not wait in the queue for its time to run out."""
    job = await harness.leased_job()
    await harness.submit(f"cancel r{harness.request(job.request_id).number}")
    assert harness.job(job.id).state is JobState.LEASED
    await harness.handle_agent_events("web-1", Report(JOURNAL, "boot", {}))
    assert harness.job(job.id).state is JobState.CANCELLED
    assert harness.request(job.request_id).state is RequestState.DONE
    assert harness.reply_kinds(harness.request(job.request_id)) == ["final"]


async def test_a_report_wants_the_output_from_where_there_is_a_gap(harness: HubHarness) -> None:
    """Chunks 1, 2 and 4 are there: the third is asked for."""
    job = await in_state(harness, JobState.RUNNING)
    await harness.handle_agent_events("web-1", *(output(job, seq) for seq in (1, 2, 4)))
    answers = await harness.handle_agent_events("web-1", Report(JOURNAL, "boot", {job.id: "started"}))
    assert answers.resync is not None
    assert answers.resync.jobs == {job.id: 3}


async def test_a_cancel_that_the_machine_may_not_have_heard_is_told_again(harness: HubHarness) -> None:
    """Cancel is a fact on the job, so it is in the answer to every report that has the job."""
    job = await in_state(harness, JobState.RUNNING)
    await harness.submit(f"cancel r{harness.request(job.request_id).number}")
    answers = await harness.handle_agent_events("web-1", Report(JOURNAL, "boot", {job.id: "started"}))
    assert answers.resync is not None
    assert answers.resync.cancel == (job.id,)


async def test_jobs_that_nobody_knows_and_other_machines_jobs_are_written_down(harness: HubHarness) -> None:
    """They are neither wanted nor forgotten; one audit row a report names some of them and counts them all."""
    await harness.add_machine("web-2")
    other = await harness.queued_job("@web-2 uptime")
    await harness.claim("web-2")
    strangers = [str(ULID()) for _ in range(40)]
    open_jobs = {other.id: "started", **dict.fromkeys(strangers, "ended")}
    answers = await harness.handle_agent_events("web-1", Report(JOURNAL, "boot", open_jobs))
    assert answers.resync is not None
    assert (answers.resync.jobs, answers.resync.forget) == ({}, ())
    (row,) = harness.events("job.unheard_of")
    assert (row.subject, row.actor, row.data["count"]) == ("web-1", "web-1", 41)
    assert row.data["jobs"][0] == f"{other.id} started"
    assert len(row.data["jobs"]) == MAX_UNKNOWN_NAMED
    assert harness.job(other.id).state is JobState.LEASED


async def test_a_job_of_another_machine_that_has_ended_is_not_for_this_one_to_forget(harness: HubHarness) -> None:
    """Nor is it told that there is such a job."""
    await harness.add_machine("web-2")
    other = await harness.queued_job("@web-2 uptime")
    await harness.claim("web-2")
    await harness.handle_agent_events("web-2", ended_message(other.id))
    answers = await harness.handle_agent_events("web-1", Report(JOURNAL, "boot", {other.id: "ended"}))
    assert answers.resync is not None
    assert (answers.resync.jobs, answers.resync.forget, answers.resync.cancel) == ({}, (), ())


# ---- whatever a machine says


JOBS = st.integers(0, 2)
WORDS = st.one_of(
    st.builds(lambda job: ("accepted", job), JOBS),
    st.builds(lambda job, code: ("refused", job, code), JOBS, st.sampled_from(sorted(REFUSAL_CODES))),
    st.builds(lambda job: ("started", job), JOBS),
    st.builds(lambda job, seq: ("output", job, seq), JOBS, st.integers(1, 4)),
    st.builds(
        lambda job, outcome, code, signal, at: ("ended", job, outcome, code, signal, at),
        JOBS,
        st.sampled_from(["succeeded", "failed", "timed_out", "cancelled"]),
        st.none() | st.integers(0, 2**53),
        st.none() | st.integers(0, 2**53),
        st.floats(0, 253_402_300_799.0),
    ),
    st.builds(lambda job: ("unsure", job), JOBS),
    st.builds(lambda listed, same: ("report", listed, same), st.sets(JOBS), st.booleans()),
    st.builds(lambda job: ("cancel", job), JOBS),
    st.just(("claim", 0)),
)
_RUNS = itertools.count()


def _word(said: tuple[Any, ...], jobs: list[Job]) -> Any:
    kind, *rest = said
    if kind == "report":
        listed, same = rest
        return Report(JOURNAL if same else f"j{next(_RUNS)}", "b", {jobs[index].id: "started" for index in listed})
    job = jobs[rest[0]]
    match kind:
        case "accepted":
            return Accepted(job.id, job.plan_hash)
        case "refused":
            return Refused(job.id, rest[1], "no")
        case "started":
            return Started(job.id, 7, NOW)
        case "output":
            return output(job, rest[1])
        case "ended":
            return replace(
                ended_message(job.id, rest[1], rest[2]), signal=rest[3], started_at=rest[4], ended_at=253_402_300_799.0
            )
        case _:
            return Unsure(job.id, "?")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=25))
async def test_no_words_in_any_order_make_a_batch_fail(harness: HubHarness, said: list[tuple[Any, ...]]) -> None:
    """A batch that fails is sent again and again, so none may; ended stays ended, each request is told its end once."""
    request = await harness.submit("@web-1 uptime")
    jobs = [harness.jobs(request)[0], (await harness.queued_job()), (await harness.queued_job())]
    over: dict[str, JobState] = {}
    for word in said:
        match word[0]:
            case "claim":
                await harness.claim()
            case "cancel":
                await harness.submit(f"cancel r{harness.request(jobs[word[1]].request_id).number}")
            case _:
                await harness.handle_agent_events("web-1", _word(word, jobs))
        for job in jobs:
            state = harness.job(job.id).state
            assert over.get(job.id, state) is state
            if state in JOB_TERMINAL:
                over[job.id] = state
    for job in jobs:
        assert harness.reply_kinds(harness.request(job.request_id)).count("final") <= 1
    harness.check_invariants()


# ---- heartbeats


async def test_vitals_are_kept_in_bounds(harness: HubHarness) -> None:
    """A machine may send ten thousand; a few are kept, with the hub's time."""
    vitals = {f"v{number}{'x' * 100}": float(number) for number in range(1000)}
    harness.engine.heartbeat("web-1", Heartbeat(vitals), 5.0)
    kept = harness.fleet.vitals["web-1"]
    assert len(kept) == MAX_VITALS + 1
    assert max(map(len, kept)) == 40
    assert kept["at"] == 5.0
    harness.engine.heartbeat("web-1", Heartbeat(), 9.0)
    assert harness.fleet.vitals["web-1"]["at"] == 5.0


# ---- jobs that come back


async def handed_out(harness: HubHarness, life: str = "L1", journal: str = JOURNAL, line: str = "@web-1 uptime") -> Job:
    """A job that the runner of this life has, and whose acceptance is committed and confirmed."""
    job = await harness.queued_job(line)
    await said(harness, Report(journal, "boot", {}), life=life)
    ((_, handed),) = await harness.engine.dispatch("web-1", journal, 10, PROTOCOL, life)
    assert handed == job.id
    replies = await said(harness, Accepted(job.id, job.plan_hash), life=life)
    assert list(replies.confirms) == [job.id]
    return harness.job(job.id)


async def said(harness: HubHarness, *events: Message, life: str = "L1", protocol: int = PROTOCOL) -> Any:
    return await harness.engine.handle_agent_events("web-1", events, False, life, protocol)  # type: ignore[arg-type]


async def test_a_job_whose_runner_was_killed_before_its_start_is_handed_out_again(harness: HubHarness) -> None:
    """The same job, to the next life of the same journal, which is told to start it; the request waits on."""
    job = await handed_out(harness)
    replies = await said(
        harness, Report(JOURNAL, "boot", {job.id: "refused"}), Refused(job.id, "restarted", "?"), life="L2"
    )
    assert (replies.forgets, replies.settled, replies.returned) == ([], [], [job.id])
    assert harness.job(job.id).state is JobState.QUEUED
    ((_, again),) = await harness.engine.dispatch("web-1", JOURNAL, 10, PROTOCOL, "L2")
    assert again == job.id
    assert (await said(harness, Accepted(job.id, job.plan_hash), life="L1")).confirms == {}
    assert harness.job(job.id).state is JobState.ACCEPTED
    assert list((await said(harness, Accepted(job.id, job.plan_hash), life="L2")).confirms) == [job.id]
    assert harness.request(job.request_id).state is RequestState.WORKING
    kinds = ["job.dispatched", "job.accepted", "job.released", "job.dispatched", "job.accepted"]
    assert harness.kinds(job.id) == kinds
    assert (harness.job(job.id).redeliveries, harness.job(job.id).redelivery_code) == (1, "restarted")
    (row,) = harness.events("job.released")
    assert row.data == {"epoch": harness.engine.epoch, "code": "restarted", "count": 1, "reason": "?"}


@pytest.mark.parametrize("protocol", [PROTOCOL, RETRY_PROTOCOL - 1])
async def test_an_older_runner_refuses_for_good(harness: HubHarness, protocol: int) -> None:
    """It would answer the same order with the same refusal."""
    job = await handed_out(harness)
    await said(harness, Refused(job.id, "stopping", "?"), protocol=protocol)
    again = protocol >= RETRY_PROTOCOL
    assert harness.job(job.id).state is (JobState.QUEUED if again else JobState.NOT_STARTED)


async def test_a_job_that_came_back_goes_to_no_other_journal(harness: HubHarness) -> None:
    """Trust: one holder of a name. A journal that was begun anew is handed nothing that the one before had."""
    job = await handed_out(harness)
    await said(harness, Refused(job.id, "restarted", "?"))
    await said(harness, Report("journal-2", "boot", {}), life="M1")
    assert await harness.engine.dispatch("web-1", "journal-2", 10, PROTOCOL, "M1") == []
    assert harness.job(job.id).state is JobState.NOT_STARTED
    assert "another journal" in harness.job(job.id).reason


async def test_by_the_word_of_another_journal_no_job_comes_back(harness: HubHarness) -> None:
    """Trust: one holder of a name. What it never had it cannot prove not to have started."""
    job = await handed_out(harness)
    await said(harness, Report("journal-2", "boot", {job.id: "refused"}), life="M1")
    await said(harness, Refused(job.id, "restarted", "?"), life="M1")
    assert harness.job(job.id).state is JobState.NOT_STARTED


async def test_a_machine_that_is_full_is_asked_again_later(harness: HubHarness) -> None:
    """Not before the wait is over, and not after the job's time is."""
    job = await handed_out(harness)
    await said(harness, Refused(job.id, "busy", "full"))
    assert await harness.engine.dispatch("web-1", JOURNAL, 10, PROTOCOL, "L1") == []
    harness.clock.advance(1.0)
    assert len(await harness.engine.dispatch("web-1", JOURNAL, 10, PROTOCOL, "L1")) == 1
    harness.clock.advance(job.not_after - harness.clock.now)
    await said(harness, Refused(job.id, "busy", "full"))
    assert harness.job(job.id).state is JobState.NOT_STARTED


async def test_of_what_another_holder_started_the_kept_one_knows_nothing(harness: HubHarness) -> None:
    """Trust: one holder of a name (A2). Two of one journal: the copy was told to start the job, both were locked, and
    the first joined anew. That it did not start the job is true, and no evidence: it stays unknown until a person says.
    """
    first = begin("a" * 16, b"0")
    copy = first.advance(b"copy")
    job = await handed_out(harness, copy.id)
    await harness.units.write(lambda uow: lock_holders(uow, "web-1"))
    assert harness.job(job.id).state is JobState.UNKNOWN
    locked = harness.read(lambda txn: txn.agent("web-1"))
    assert locked is not None
    harness.write(lambda txn: txn.save_agent(locked, replace(locked, state="active", lives="")))
    kept = first.advance(b"own")
    report = Report(JOURNAL, "boot", {job.id: "refused"}, str(kept))
    replies = await said(harness, report, Refused(job.id, "restarted", "?"), life=kept.id)
    assert (harness.job(job.id).state, replies.forgets) == (JobState.UNKNOWN, [job.id])
    (row,) = harness.events("job.anomaly")
    assert row.data == {"state": "unknown", "what": OTHER_HOLDER}
    await said(harness, ended_message(job.id), life=kept.id)
    assert harness.job(job.id).state is JobState.SUCCEEDED


async def test_much_output_is_written_in_turns_and_a_little_with_the_rest(harness: HubHarness) -> None:
    """A short job's few bytes cost no unit of their own; megabytes are cut into turns, in order, and nothing is lost:
    each chunk is there, the end behind them, and one answer to all.
    """
    job = await in_state(harness, JobState.RUNNING)
    events = [output(job, seq, b"x" * 100) for seq in range(1, 11)]
    assert [len(some) for some, _ in in_turns([*events, ended_message(job.id)])] == [11]
    part = OUTPUT_TURN // 4
    many = [output(job, seq, b"y" * part) for seq in range(1, 11)]
    cut = list(in_turns([*many, ended_message(job.id)]))
    assert [(len(some), size) for some, size in cut] == [(4, 4 * part), (4, 4 * part), (3, 2 * part)]
    units = harness.store.units
    ended = ended_message(job.id, chunks=10, output_bytes=10 * part)
    replies = await harness.handle_agent_events("web-1", *many, ended)
    assert harness.store.units == units + 3
    after = harness.job(job.id)
    assert (after.state, after.chunks, after.output_bytes) == (JobState.SUCCEEDED, 10, 10 * part)
    assert replies.forgets == [job.id]
    assert replies.settled == [job.id]


async def test_the_output_of_many_machines_waits_in_turns_not_in_the_store(harness: HubHarness) -> None:
    """However many print at once, OUTPUT_AT_A_TIME of their units are with the writer; a fact beside them is not behind
    the others, and all of it is written.
    """
    jobs = []
    for number in range(2, 12):
        await harness.add_machine(f"web-{number}")
        job = await harness.queued_job(f"@web-{number} uptime")
        await harness.claim(f"web-{number}")
        jobs.append(job)
    most = 0
    write = harness.store.write

    async def watched(unit: Any, *more: Any) -> Any:
        nonlocal most
        most = max(most, harness.store.waiting)
        return await write(unit, *more)

    harness.store.write = watched  # type: ignore[method-assign]
    part = OUTPUT_TURN
    async with asyncio.TaskGroup() as tasks:
        for job in jobs:
            many = [output(job, seq, b"y" * part) for seq in range(1, 4)]
            tasks.create_task(harness.handle_agent_events(job.agent, *many))
    assert most <= OUTPUT_AT_A_TIME
    assert [harness.job(job.id).output_bytes for job in jobs] == [3 * part] * 10
