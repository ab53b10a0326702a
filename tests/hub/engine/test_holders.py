"""Two holders of one name: found by what they tell, locked, told; and what becomes of their jobs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from common.confirmation import confirmation
from common.identity.signing import CONFIRM_PURPOSE, verify
from common.lifecycle import JobState
from common.link.lineage import Lineage, begin
from common.link.messages import Accepted, Ended, Refuse, Report, Started
from common.plan import Order
from hub.core.records import Agent, Job
from hub.engine.effects import GivenStamp
from hub.engine.holders import MAX_TOLD, SUPERSEDED, note_links
from tests.hub.hub_harness import HubHarness, ended_message

JOURNAL = "a" * 32
TRUNK = begin(JOURNAL, b"0")
OWN, COPY = TRUNK.advance(b"own"), TRUNK.advance(b"copy")


def report(life: Lineage, *jobs: str) -> Report:
    return Report(life.chain, "boot", dict.fromkeys(jobs, "accepted"), str(life))


async def say(harness: HubHarness, life: Lineage, *events: Any, estranged: bool = False) -> Any:
    return await harness.engine.handle_agent_events("web-1", events, estranged, life.id)


async def lease(harness: HubHarness, life: Lineage) -> Job:
    """A job handed to the runner of this life."""
    job = await harness.queued_job()
    (found,) = await harness.engine.dispatch("web-1", life.chain, 10, life=life.id)
    assert found[1] == job.id
    assert Order.from_bytes(found[0].order).confirm
    return harness.job(job.id)


def machine(harness: HubHarness) -> Agent:
    found = harness.read(lambda txn: txn.agent("web-1"))
    assert found is not None
    return found


def notices(harness: HubHarness) -> list[str]:
    return [json.loads(reply.body)["text"] for reply in harness.replies() if reply.request_id == ""]


async def test_an_acceptance_is_confirmed_to_the_runner_it_was_leased_to(harness: HubHarness) -> None:
    """Trust: one holder of a name. Once it is committed, and again where it is said again; to no other life, and not to
    one that does not wait.
    """
    await say(harness, OWN, report(OWN))
    job = await lease(harness, OWN)
    accepted = Accepted(job.id, job.plan_hash)
    assert list((await say(harness, OWN, accepted)).confirms) == [job.id]
    assert list((await say(harness, OWN, accepted)).confirms) == [job.id]
    assert list((await say(harness, COPY, accepted)).confirms) == []
    assert list((await say(harness, OWN, accepted, Started(job.id, 7, 1.0))).confirms) == []
    assert list((await say(harness, OWN, accepted)).confirms) == []
    older = await harness.leased_job()
    assert list((await say(harness, OWN, Accepted(older.id, older.plan_hash))).confirms) == []


async def test_our_word_goes_with_an_order_for_a_stamp(harness: HubHarness) -> None:
    """P5: what is left is counted from the stamp's arrival, in whole the time until the order is over. Trust: it is for
    this job, this start of the runner and this stamp; one without a life, or without a stamp, gets none.
    """
    await say(harness, OWN, report(OWN))
    stamp = GivenStamp("s1", harness.clock.now)
    harness.clock.now += 20
    job = await harness.queued_job()
    ((sent, _),) = await harness.engine.dispatch("web-1", OWN.chain, 10, life=OWN.id, stamp=stamp)
    order = Order.from_bytes(sent.order)
    assert (sent.stamp, sent.left) == ("s1", order.not_after - stamp.at)
    key = harness.keys.job_key.public
    assert verify(key, confirmation(job.id, OWN.id, sent.left, "s1"), sent.word, CONFIRM_PURPOSE)
    assert harness.job(job.id).stamp == "s1"
    assert not harness.job(job.id).is_held
    assert list((await say(harness, OWN, Accepted(job.id, job.plan_hash))).confirms) == [job.id]
    for life, given in ((OWN.id, None), ("", stamp)):
        other = await harness.queued_job()
        ((sent, _),) = await harness.engine.dispatch("web-1", OWN.chain, 10, life=life, stamp=given)
        assert (sent.stamp, sent.left, sent.word, harness.job(other.id).stamp) == ("", 0.0, b"", "")


async def test_what_had_our_word_comes_back_by_its_runner_alone(harness: HubHarness) -> None:
    """Trust: one holder of a name. The report of the next start, or of a copy, does not know what the runner before it,
    or beside it, has begun; that of the runner itself does, and the job is handed out again without the old word.
    """
    await say(harness, OWN, report(OWN))
    for said, state in (
        (replace(report(OWN), ended=("s1",)), JobState.QUEUED),
        (replace(report(OWN.advance(b"next")), ended=("s9",)), JobState.UNKNOWN),
    ):
        job = await harness.queued_job()
        stamp = GivenStamp("s1", harness.clock.now)
        await harness.engine.dispatch("web-1", OWN.chain, 10, life=OWN.id, stamp=stamp)
        await say(harness, OWN, said)
        found = harness.job(job.id)
        assert found.state is state
        if state is JobState.QUEUED:
            assert (found.stamp, found.life) == ("", "")
            await harness.engine.dispatch("web-1", OWN.chain, 10, life=OWN.id)
            assert harness.job(job.id).is_held


async def test_what_was_not_confirmed_goes_to_the_next_and_is_not_confirmed_to_the_first(harness: HubHarness) -> None:
    """Trust: one holder of a name. The copy reports without the job; the first one's acceptance comes late: one word,
    and it goes to the runner that has the job now.
    """
    await say(harness, TRUNK, report(TRUNK))
    job = await lease(harness, TRUNK)
    await say(harness, COPY, report(COPY))  # looks like the runner's next start
    assert harness.job(job.id).state is JobState.QUEUED
    ((_, again),) = await harness.engine.dispatch("web-1", JOURNAL, 10, life=COPY.id)
    assert again == job.id
    accepted = Accepted(job.id, job.plan_hash)
    assert list((await say(harness, TRUNK, accepted)).confirms) == []
    assert list((await say(harness, COPY, accepted)).confirms) == [job.id]


async def test_a_second_holder_is_found_with_its_report(harness: HubHarness) -> None:
    """Trust: one holder of a name (security lesson A2). It is not answered, nothing it says counts, and the machine is
    locked: the audit has evidence and cure, admins are told in their language, jobs are what can be said of them.
    """
    await harness.submit("帮助", "alice")
    await say(harness, TRUNK, report(TRUNK))
    running, accepted, leased = [await lease(harness, TRUNK) for _ in range(3)]
    for job in (running, accepted):
        await say(harness, TRUNK, Accepted(job.id, job.plan_hash))
    await say(harness, TRUNK, Started(running.id, 7, 1.0))
    await say(harness, COPY, report(COPY, running.id, accepted.id))  # a copy that was made meanwhile
    assert machine(harness).state == "active"
    await harness.engine.dispatch("web-1", JOURNAL, 10, life=COPY.id)  # the one that the first had not accepted
    assert harness.job(leased.id).state is JobState.LEASED
    replies = await say(harness, OWN, report(OWN, running.id), ended_message(accepted.id))
    assert (replies.resync, replies.forgets, replies.confirms) == (None, [], {})
    assert machine(harness).state == "locked"
    assert harness.effects[-1].locked == {"web-1"}
    states = {job: harness.job(job).state for job in (running.id, accepted.id, leased.id)}
    assert states == {
        running.id: JobState.UNKNOWN,
        accepted.id: JobState.UNKNOWN,
        leased.id: JobState.QUEUED,  # neither was told to start it
    }
    (row,) = harness.events("agent.locked")
    assert row.data["by"] == "lives"
    assert row.data["seen"] == f"2 {COPY.id}"
    assert row.data["told"] == f"2 {OWN.id}"
    assert "answerback-hub token --agent web-1" in row.data["cure"]
    (text,) = notices(harness)
    assert "web-1 已锁定" in text
    assert "answerback-hub token --agent web-1" in text
    assert await harness.engine.dispatch("web-1", JOURNAL, 10, life=COPY.id) == []
    await say(harness, OWN, report(OWN))
    assert len(harness.events("agent.locked")) == len(notices(harness)) == 1


async def test_links(harness: HubHarness) -> None:
    """Trust: one holder of a name. The next is let in, the same again too, one that was left behind is to take its next
    step, and one that does not go on from there locks.
    """

    async def told(lineage: Lineage, estranged: bool = False) -> Refuse | None:
        return await harness.engine.write(lambda uow: note_links(uow, "web-1", lineage, estranged))

    chain = begin("b" * 16, b"0")
    own, copy = chain.advance(b"own"), chain.advance(b"copy")
    for lineage in (chain, chain, own, own):
        assert await told(lineage) is None
    stale = await told(chain)
    assert stale is not None
    assert (stale.code, machine(harness).state) == (SUPERSEDED, "active")
    assert stale.retry_after > 0
    assert await told(copy, estranged=True) is None  # the store was restored: what it saw proves nothing
    refused = await told(own.advance(b"1"))
    assert refused is not None
    assert refused.code == "locked"
    assert "answerback-hub token --agent web-1" in refused.reason
    assert [row.data["by"] for row in harness.events("agent.locked")] == ["links"]
    assert await told(copy.advance(b"1")) is None  # which the store's "locked" refuses
    assert harness.events("agent.locked")[1:] == []


async def test_another_chain_is_written_down_and_the_one_of_before_does_not_come_back(harness: HubHarness) -> None:
    """Trust: one holder of a name. A folder that goes on elsewhere by a person's word; then the old one comes."""
    before, after = begin("b" * 16, b""), begin("c" * 16, b"")

    async def told(lineage: Lineage) -> Refuse | None:
        return await harness.engine.write(lambda uow: note_links(uow, "web-1", lineage, False))

    for lineage in (before, after, after.advance(b"1")):
        assert await told(lineage) is None
    (row,) = harness.events("agent.holder_changed")
    assert (row.data["what"], row.data["relation"]) == ("links", "another")
    assert await told(before.advance(b"1")) is not None
    assert machine(harness).state == "locked"


async def test_a_report_of_before_lives_is_taken(harness: HubHarness) -> None:
    """An older agent, or one that could not write its life down: nothing is compared, and nothing is forgotten."""
    await say(harness, OWN, report(OWN))
    kept = machine(harness).lives
    for text in ("", "nonsense"):
        replies = await say(harness, OWN, Report(JOURNAL, "boot", {}, text))
        assert replies.resync is not None
        assert machine(harness).lives == kept


async def test_a_renewal_that_gives_a_copy_away_tells_too(harness: HubHarness) -> None:
    """The lock by a certificate's number ends jobs and tells admins as the one by links does."""
    await harness.submit("help", "alice")
    await say(harness, OWN, report(OWN))
    job = await lease(harness, OWN)
    await say(harness, OWN, Accepted(job.id, job.plan_hash), Started(job.id, 7, 1.0))
    await harness.engine.lock_copied("web-1")
    await harness.engine.lock_copied("web-1")
    assert harness.job(job.id).state is JobState.UNKNOWN
    assert len(notices(harness)) == 1
    # Its late truth counts once the machine that is kept has joined again.
    late: Ended = ended_message(job.id)
    await harness.change_machine("web-1", state="active", lives="")
    await say(harness, OWN.advance(b"1"), report(OWN.advance(b"1"), job.id), late)
    assert harness.job(job.id).state is JobState.SUCCEEDED


@pytest.mark.parametrize("facts", [{"hostname": "db-7", "moved": "because"}, {}, {"hostname": "\x1b[2J" * 99}])
async def test_a_copy_that_refuses_itself_is_told(harness: HubHarness, facts: dict[str, str]) -> None:
    """Trust: one holder of a name. The machine goes on; what the copy says of itself is cut, and shown as text."""
    await harness.submit("help", "alice")
    await harness.engine.note_moved("web-1", facts)
    assert machine(harness).state == "active"
    (row,) = harness.events("agent.moved")
    assert row.data["reason"] == facts.get("moved", "")
    assert len(row.data["host"]) <= MAX_TOLD
    (text,) = notices(harness)
    assert "web-1" in text
    assert "answerback-hub token" in text
    assert "\x1b" not in text + json.dumps(row.data)
