"""A machine's link on the hub: nothing is acknowledged before it is committed, and nothing is handed out beyond what
the machine has room for. The machine is played by hand, over real TLS, on a real store.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from common.confirmation import NO_STAMP
from common.identity.certificates import identity_from_pem, make_request, new_key
from common.identity.signing import ORDER_PURPOSE, verify
from common.key_change import KeyChange as ApproverChange
from common.key_change import KeySignature, SignedKeyChange
from common.lifecycle import JobState
from common.link.codec import encode
from common.link.handshake import make_hello
from common.link.lineage import Lineage, begin
from common.link.messages import (
    ORDERS_FACT,
    PROTOCOL,
    Accepted,
    Beat,
    Bye,
    Cancel,
    Credit,
    Dispatch,
    Forget,
    Heartbeat,
    KeyChange,
    KnownKeys,
    Message,
    Output,
    Refuse,
    Renew,
    Renewed,
    Report,
    Resync,
    Started,
    Unsure,
)
from common.plan import Order
from hub.core import job as jobs_of_hub
from hub.core.records import Job, OfferedKeyChange
from hub.engine.effects import Effects
from hub.engine.unit_of_work import UnitOfWork
from hub.links import agent as agent_link
from hub.links.agent import KEYS_PROTOCOL, AgentLink
from hub.store.errors import StoreFull
from tests.hub.hub_harness import JOURNAL, FakeClock, HubHarness, ended_message
from tests.hub.link_harness import LinkHarness, LinkPeer, blocked_writer, serve_links

TURNS = 20


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


def output(job: str, seq: int, data: bytes = b"x\n") -> Output:
    return Output(job, seq, 1, data, 0.0)


async def dispatched(end: LinkPeer) -> str:
    """The job of the next message, which is a signed order."""
    dispatch = await end.expect(Dispatch)
    return Order.from_bytes(dispatch.order).job


async def settle(other: LinkPeer) -> None:
    """Gives the hub's loop many turns, without the store: another machine asks, and is answered."""
    for _ in range(TURNS):
        await other.round_trip()


# ---- hearing


async def test_a_machine_is_asked_whose_keys_it_knows(harness: HubHarness) -> None:
    """With the answer to its report, and only where its runner takes orders of that protocol; what was signed while it
    was away comes with it, what is signed now comes at once, and its answer is kept.
    """
    now = int(harness.clock.now)
    made = ApproverChange("0" * 16, harness.keys.hub_id, "remove", "dan", "ab" * 32, ("*",), now * 1000, now + 600)
    signed = SignedKeyChange(made, (KeySignature("dan", "ab" * 32, b"s" * 64),))
    row = OfferedKeyChange(made.id, signed.to_bytes(), "dan", harness.clock.now, float(made.expires))
    harness.write(lambda txn: txn.add_key_change(row))
    async with serve_links(harness) as port:
        before = KEYS_PROTOCOL - 1
        older = await port.connect_agent(hello=make_hello("agent", "web-1", None, facts={ORDERS_FACT: str(before)}))
        await older.send(Report(JOURNAL, "boot", {}))
        await older.expect(Resync)
        await older.round_trip()
        end = await port.connect_agent(hello=make_hello("agent", "web-1", None, facts={ORDERS_FACT: str(PROTOCOL)}))
        await end.send(Report(JOURNAL, "boot", {}))
        await end.expect(Resync)
        assert (await end.expect(KeyChange)).change == b""
        assert (await end.expect(KeyChange)).change == signed.to_bytes()
        await end.send(KnownKeys(made.id, True, "", {"cd" * 32: "bob"}))
        await end.wait_acknowledged()
        harness.fan_out.publish(Effects(key_changes=[signed]))
        assert (await end.expect(KeyChange)).change == signed.to_bytes()
    known = harness.read(lambda txn: txn.keys_of("web-1"))
    assert known is not None
    assert known.keys == {"cd" * 32: "bob"}
    answer = harness.read(lambda txn: txn.key_answer(made.id, "web-1"))
    assert answer is not None
    assert answer.done


async def test_the_whole_way_of_a_job(harness: HubHarness) -> None:
    """Dispatched and signed, accepted, started, printed, ended; credited and forgotten once that is committed."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        job = await harness.queued_job()
        dispatch = await end.expect(Dispatch)
        verify(harness.keys.job_key.public, ORDER_PURPOSE, dispatch.order, dispatch.signature)
        assert Order.from_bytes(dispatch.order).job == job.id
        await end.send(Accepted(job.id, job.plan_hash), Started(job.id, 7, 1.0), output(job.id, 1), output(job.id, 2))
        credit = await end.expect(Credit)
        while credit.seq < 2:  # as many a commit as have come by then
            credit = await end.expect(Credit)
        await end.send(ended_message(job.id, chunks=2))
        assert await end.expect(Forget) == Forget(job.id)
        assert harness.job(job.id).state is JobState.SUCCEEDED
        await end.wait_acknowledged()


async def test_nothing_is_acknowledged_before_it_is_committed(harness: HubHarness) -> None:
    """While the commit is under way the link lives and says no ack, no credit; then it says both."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        job = await harness.queued_job()
        await dispatched(end)
        before = end.session.acked
        with blocked_writer(harness) as let_go:
            await end.send(Started(job.id, 7, 1.0), output(job.id, 1))
            for _ in range(TURNS):
                await end.round_trip()
            assert end.session.acked == before
            assert end.session.unacked == 2
            let_go()
        assert await end.expect(Credit) == Credit(job.id, 1)
        assert harness.job(job.id).state is JobState.RUNNING
        await end.wait_acknowledged()


async def test_a_batch_that_cannot_be_committed_comes_again(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not acknowledged: the link ends with 1011, the session is not gone on with, and what the machine says again
    in the next one is committed once.
    """

    async def full(agent: str, words: Any) -> None:
        raise StoreFull("store: there is no room", "make room")

    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        job = await harness.queued_job()
        await dispatched(end)
        said = (Accepted(job.id, job.plan_hash), Started(job.id, 7, 1.0), ended_message(job.id))
        with monkeypatch.context() as broken:
            broken.setattr(harness.engine, "handle_agent_events", full)
            await end.send(*said)
            assert await end.wait_closed() == agent_link.CLOSE_INTERNAL_ERROR
        assert end.session.unacked == len(said)
        assert harness.job(job.id).state is JobState.LEASED
        again = await port.connect_agent(session=end.session)
        assert not again.resumed
        await again.send(Report(JOURNAL, "boot", {job.id: "ended"}))
        assert (await again.expect(Resync)).jobs == {job.id: 1}
        await again.send(*said)
        assert await again.expect(Forget) == Forget(job.id)
        assert harness.job(job.id).state is JobState.SUCCEEDED


async def test_what_waits_is_committed_together(harness: HubHarness) -> None:
    """While the store is busy a hundred facts come in; they are written in a few transactions, in their order."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        job = await harness.queued_job()
        await dispatched(end)
        with blocked_writer(harness) as let_go:
            await end.send(Started(job.id, 7, 1.0), *[output(job.id, seq, b"%d\n" % seq) for seq in range(1, 100)])
            await end.round_trip()  # the hub has read them all
            before = harness.store.commits
            let_go()
        while (await end.expect(Credit)).seq < 99:
            pass
        assert harness.store.commits - before <= 1 + 1 + -(
            -100 // agent_link.BATCH
        )  # what held it, the first, the rest
        chunks = harness.read(lambda txn: txn.chunks(job.id))
        assert [chunk.data for chunk in chunks] == [b"%d\n" % seq for seq in range(1, 100)]


@pytest.mark.parametrize(("bound", "value"), [("MAX_INBOX", 8), ("MAX_INBOX_BYTES", 8 * 1_000)])
async def test_a_full_inbox_stops_the_reading(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    """Where the store does not keep up, what a machine sends waits in its own buffers, not in the hub's memory; then it
    all arrives. Other machines are served meanwhile.
    """
    await harness.add_machine("db-1", online=False)
    async with serve_links(harness) as port:
        end, other = await port.connect_reported_agent(), await port.connect_reported_agent("db-1")
        job = await harness.queued_job()
        await dispatched(end)
        first = end.session.sent
        monkeypatch.setattr(agent_link, bound, value)
        monkeypatch.setattr(agent_link, "BATCH", 1)
        link = port.link()
        with blocked_writer(harness) as let_go:
            await end.send(*[output(job.id, seq, bytes(970)) for seq in range(1, 51)], Heartbeat())
            await settle(other)
            # One is with the store, the inbox holds as many as it may, and no frame behind them was looked at.
            assert 8 <= link.session.received - first <= 10
            assert len(link._inbox) <= 9
            assert link._inbox_bytes <= 9_500
            let_go()
        seen: list[Message] = []
        while not seen or seen[-1] != Credit(job.id, 50):
            seen.append(await end.receive())
        assert Beat in map(type, seen)
        assert harness.read(lambda txn: txn.output_seq(job.id)) == 50
        assert link._inbox_bytes == 0


async def test_what_was_heard_before_a_break_is_committed(harness: HubHarness) -> None:
    """The machine that comes back to its session hears so, and says nothing twice."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        job = await harness.queued_job()
        await dispatched(end)
        with blocked_writer(harness):
            await end.send(Accepted(job.id, job.plan_hash), Started(job.id, 7, 1.0))
            await end.round_trip()
            end.abort()
        await port.wait_until(lambda: harness.job(job.id).state is JobState.RUNNING)
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        again = await port.connect_agent(session=end.session)
        assert again.resumed
        await again.wait_acknowledged()
        assert harness.kinds(job.id).count("job.started") == 1


async def test_vitals_are_taken_and_answered_at_once(harness: HubHarness) -> None:
    """They are not written down: a store that is busy does not matter."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        with blocked_writer(harness):
            await end.send(Heartbeat({"load1": 0.5}))
            assert (await end.expect(Beat)).now == harness.clock.now
        assert harness.fleet.vitals["web-1"]["load1"] == 0.5


async def test_a_goodbye_ends_the_connection_and_keeps_the_session(harness: HubHarness) -> None:
    """A restart of the uplink loses nothing."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        await end.send(Bye("restart"))
        assert await end.wait_closed() == 1000
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        assert (await port.connect_agent(session=end.session)).resumed


async def test_a_renewal_is_answered_on_the_link(harness: HubHarness) -> None:
    """In its turn among the facts; both are acknowledged."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        job = await harness.queued_job()
        await dispatched(end)
        request = make_request(new_key(), "agent", "web-1")
        await end.send(Started(job.id, 7, 1.0), Renew(request, 1), output(job.id, 1))
        seen = [await end.receive(), await end.receive()]
        renewed = next(message for message in seen if isinstance(message, Renewed))
        assert identity_from_pem(renewed.certificate, harness.clock.now, "agent").name == "web-1"
        assert renewed.generation == 2
        assert Credit(job.id, 1) in seen
        assert harness.job(job.id).state is JobState.RUNNING


async def test_a_clone_that_asks_for_a_renewal_locks_the_machine(harness: HubHarness) -> None:
    """The link that asked ends, and nothing is gone on with."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        await end.send(Renew(make_request(new_key(), "agent", "web-1"), 1))
        await end.expect(Renewed)
        await end.send(Renew(make_request(new_key(), "agent", "web-1"), 1))
        assert await end.wait_closed() == agent_link.CLOSE_POLICY_VIOLATION
        assert (await port.expect_refusal("web-1")).code == "locked"


# ---- handing out


async def test_nothing_is_handed_out_before_the_report(harness: HubHarness) -> None:
    """What the machine has is known only from it: a job may be there already."""
    async with serve_links(harness) as port:
        job = await harness.queued_job()
        end = await port.connect_agent()
        for _ in range(TURNS):
            await end.round_trip()
        assert harness.job(job.id).state is JobState.QUEUED
        await end.send(Report(JOURNAL, "boot", {}))
        await end.expect(Resync)
        assert await dispatched(end) == job.id


async def test_a_runner_that_does_not_answer_is_handed_nothing(harness: HubHarness) -> None:
    """What is queued waits until it does; then it is handed out without being asked for again."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        for number in range(TURNS):
            await end.send(Heartbeat({"load1": 0.5, "runner_silent": 15.0 + number}))
            await end.expect(Beat)
            if not number:
                job = await harness.queued_job()
        assert harness.job(job.id).state is JobState.QUEUED
        assert harness.fleet.inventory.machines["web-1"].away is not None
        await end.send(Heartbeat({"load1": 0.5}))
        await end.expect(Beat)
        assert await dispatched(end) == job.id
        assert harness.fleet.inventory.machines["web-1"].away is None


async def test_no_more_is_handed_out_than_the_window_holds(harness: HubHarness) -> None:
    """The rest waits here, where it can be taken back; each end makes room for one more."""
    async with serve_links(harness, window=2) as port:
        jobs = [(await harness.queued_job()).id for _ in range(5)]
        end = await port.connect_reported_agent()
        had = [await dispatched(end), await dispatched(end)]
        for job in jobs[2:]:
            for _ in range(TURNS):
                await end.round_trip()
            assert harness.read(lambda txn: len(txn.open_jobs("web-1"))) == 2
            await end.send(ended_message(had.pop(0)))
            said = [await end.receive(), await end.receive()]
            assert {type(message) for message in said} == {Forget, Dispatch}
            had += [Order.from_bytes(one.order).job for one in said if isinstance(one, Dispatch)]
            assert had[-1] == job
        assert sorted(had) == jobs[3:]


async def test_jobs_that_a_machine_came_with_count(harness: HubHarness) -> None:
    """A window of two, one job under way: one more."""
    async with serve_links(harness, window=2) as port:
        had = await harness.leased_job()
        jobs = [(await harness.queued_job()).id for _ in range(3)]
        end = await port.connect_reported_agent(**{had.id: "started"})
        assert await dispatched(end) == jobs[0]
        for _ in range(TURNS):
            await end.round_trip()
        assert harness.read(lambda txn: txn.count_queued()) == 2


@pytest.mark.parametrize("how", ["unsure", "lost"])
async def test_a_job_of_unknown_outcome_takes_no_room(harness: HubHarness, how: str) -> None:
    """Whether the machine says that it does not know, or it was settled elsewhere."""
    async with serve_links(harness, window=1) as port:
        first, second = await harness.queued_job(), await harness.queued_job()
        end = await port.connect_reported_agent()
        assert await dispatched(end) == first.id
        if how == "unsure":
            await end.send(Started(first.id, 7, 1.0), Unsure(first.id, "the runner was killed"))
        else:
            await harness.change(lambda change: lose(change, first))
        assert await dispatched(end) == second.id


def lose(change: UnitOfWork, job: Job) -> None:
    current = change.txn.job(job.id)
    assert current is not None
    change.apply_job_event(current, jobs_of_hub.MarkUnknown("somebody saw it go"), "hub")


async def test_a_cancel_never_overtakes_its_dispatch(harness: HubHarness) -> None:
    """Cancelled in the moment it is handed out: the order comes first, and then its end."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        for _ in range(5):
            request = await harness.submit("@web-1 uptime")
            (job,) = harness.jobs(request)
            await harness.reply_text(f"cancel {request.number}")
            if harness.job(job.id).state is JobState.CANCELLED:
                continue  # before it was handed out: the machine never hears of it
            assert await dispatched(end) == job.id
            assert await end.expect(Cancel) == Cancel(job.id, False)
        await end.round_trip()


async def test_a_cancel_never_overtakes_its_dispatch_on_a_link_that_is_stuck(harness: HubHarness) -> None:
    """The orders wait in line for a machine that does not read; the cancel of the last one waits behind them all."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        link = port.link()
        assert link._send_queue is not None
        chatter = encode(Refuse("chatter", "x" * 60_000), epoch=link.session.epoch)
        link._send_queue.enqueue(*[chatter] * 200)  # more than every buffer on the way holds
        harness.write(lambda txn: txn.pause_queue("bob", harness.clock.now, "until all three are there"))
        jobs = [await harness.queued_job() for _ in range(3)]
        harness.write(lambda txn: txn.resume_queue())
        port.links.wake(["web-1"])
        await port.wait_until(lambda: all(harness.job(job.id).state is JobState.LEASED for job in jobs))
        request = harness.request(jobs[-1].request_id)
        await harness.reply_text(f"cancel r{request.number}")
        told: list[str] = []
        while len(told) < 4:
            match await end.receive():
                case Dispatch(order=order):
                    told.append(f"run {Order.from_bytes(order).job}")
                case Cancel(job=job):
                    told.append(f"cancel {job}")
        assert told == [*(f"run {job.id}" for job in jobs), f"cancel {jobs[-1].id}"]


async def test_a_job_settled_while_the_machine_is_away_takes_no_room(harness: HubHarness) -> None:
    """The session that goes on has room for another one at once."""
    async with serve_links(harness, window=1) as port:
        first, second = await harness.queued_job(), await harness.queued_job()
        end = await port.connect_reported_agent()
        assert await dispatched(end) == first.id
        end.abort()
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        await harness.change(lambda change: lose(change, first))
        again = await port.connect_agent(session=end.session)
        assert again.resumed
        assert await dispatched(again) == second.id


@pytest.mark.parametrize("session", ["goes on", "is a new one"])
async def test_a_cancel_while_the_machine_is_away_reaches_it(harness: HubHarness, session: str) -> None:
    """With the session that goes on, or in the answer to the report that begins the next one."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        request = await harness.submit("@web-1 uptime")
        job = await dispatched(end)
        end.abort()
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        await harness.reply_text(f"cancel {request.number}")
        assert harness.job(job).cancel_asked_at is not None
        if session == "goes on":
            again = await port.connect_agent(session=end.session)
            assert again.resumed
            assert await again.expect(Cancel) == Cancel(job, False)
        else:
            again = await port.connect_agent()
            await again.send(Report(JOURNAL, "boot", {job: "started"}))
            assert (await again.expect(Resync)).cancel == (job,)


async def test_a_machine_that_never_acknowledges_is_let_go(harness: HubHarness) -> None:
    """What is kept for it is bounded: the link ends with 1013, and its session with it."""
    async with serve_links(harness) as port:
        end = await port.connect_agent()
        await end.send(Report(JOURNAL, "boot", {}))
        await end.expect(Resync, process=False)
        port.link().session._max_unacked = 3
        await harness.queued_job()
        await harness.queued_job()
        for _ in range(2):
            await end.expect(Dispatch, process=False)
        job = await harness.queued_job()  # no room: it stays in the queue, and the link stays up
        await end.round_trip()
        assert harness.job(job.id).state is JobState.QUEUED
        port.links.say("web-1", Cancel("any"))  # what must be said and cannot be
        assert await end.wait_closed() == agent_link.CLOSE_TRY_AGAIN_LATER
        await port.wait_until(lambda: not harness.fleet.online("web-1"))
        assert not (await port.connect_agent(session=end.session)).resumed


async def test_a_claim_that_fails_ends_the_link_not_the_hub(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1011; the job stays queued and is handed out to the machine when it comes again."""

    async def full(*args: object) -> None:
        raise StoreFull("store: there is no room", "make room")

    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        harness.engine.places.hold = lambda agent: None
        with monkeypatch.context() as broken:
            broken.setattr(harness.engine, "dispatch", full)
            job = await harness.queued_job()
            assert await end.wait_closed() == agent_link.CLOSE_INTERNAL_ERROR
        assert harness.job(job.id).state is JobState.QUEUED
        again = await port.connect_reported_agent()
        assert await dispatched(again) == job.id


@pytest.mark.parametrize(("facts", "proofs"), [({}, 0), ({ORDERS_FACT: "3"}, 1)])
async def test_a_machine_gets_the_orders_that_its_runner_takes(
    harness: HubHarness, facts: dict[str, str], proofs: int
) -> None:
    """Trust: proofs of approvals to a runner that says that it knows them, and to no other: it would refuse all."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"approve r{request.number}", "bob")
    async with serve_links(harness) as port:
        end = await port.connect_agent(hello=make_hello("agent", "web-1", None, facts=facts))
        await end.send(Report("journal-1", "boot", {}))
        await end.expect(Resync)
        order = Order.from_bytes((await end.expect(Dispatch)).order)
        assert (len(order.proofs), [who for who, _ in order.approvals]) == (proofs, ["bob"])


async def test_our_word_goes_with_the_order_while_the_runners_stamp_is_fresh(
    harness: HubHarness, fake_clock: FakeClock
) -> None:
    """Trust: no late start. What is left counts from the stamp's arrival. Without one, with one that is two heartbeats
    old, and once the runner has said that it ends, the order waits for a confirmation.
    """
    journal = "a" * 32
    facts = {ORDERS_FACT: str(PROTOCOL)}
    async with serve_links(harness) as port:
        end = await port.connect_agent(hello=make_hello("agent", "web-1", None, facts=facts))
        await end.send(Report(journal, "boot", {}, str(begin(journal, b""))))
        await end.expect(Resync)
        await end.expect(KeyChange)

        async def order(stamp: str = "", later: float = 0.0) -> Dispatch:
            if stamp:
                await end.send(Heartbeat(stamp=stamp))
                await end.expect(Beat)
            fake_clock.now += later
            await port.settled("web-1")  # a look that has begun would take the job with the stamp of before
            await harness.queued_job()
            return await end.expect(Dispatch)

        assert (await order()).stamp == ""
        sent = await order("s1", 5.0)
        assert (sent.stamp, sent.left) == (
            "s1",
            pytest.approx(Order.from_bytes(sent.order).not_after - fake_clock.now + 5),
        )
        assert (await order("", end.session.interval)).stamp == "s1"
        assert (await order("", end.session.interval)).stamp == ""
        assert (await order("s2")).stamp == "s2"
        assert (await order(NO_STAMP)).stamp == ""


async def test_a_machine_that_is_idle_is_not_looked_up_again(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue was empty when the job was handed out: the job's end is no reason to look once more."""
    asked: list[str] = []
    dispatch = harness.engine.dispatch

    async def count(agent: str, *args: Any) -> Any:
        asked.append(agent)
        return await dispatch(agent, *args)

    monkeypatch.setattr(harness.engine, "dispatch", count)
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        before = len(asked)
        for _ in range(3):
            await harness.queued_job()
            job = await dispatched(end)
            await end.send(Started(job, 7, 1.0), ended_message(job))
            await end.expect(Forget)
            await end.round_trip()
        assert len(asked) == before


async def linked_with_stamp(harness: HubHarness, port: LinkHarness, first: Lineage) -> LinkPeer:
    """A machine whose runner has given a stamp."""
    hello = make_hello("agent", "web-1", None, facts={ORDERS_FACT: str(PROTOCOL)})
    end = await port.connect_agent(hello=hello)
    await end.send(Report(first.chain, "boot", {}, str(first)))
    await end.expect(Resync)
    await end.expect(KeyChange)
    await end.send(Heartbeat(stamp="s1"))
    await end.expect(Beat)
    await port.settled("web-1")
    return end


@pytest.mark.parametrize("same", [True, False])
async def test_an_order_of_a_runner_that_has_died_comes_back_over_its_own_connection(
    harness: HubHarness, same: bool
) -> None:
    """Trust: one holder of a name. The next runner's report over the connection over which the order left puts it back
    into the queue; over another one, also of the same session, its outcome is unknown.
    """
    first = begin("a" * 32, b"1")
    async with serve_links(harness) as port:
        end = await linked_with_stamp(harness, port, first)
        job = await harness.queued_job()
        assert await dispatched(end) == job.id
        await end.send(Heartbeat({"runner_silent": 0.1}, NO_STAMP))
        await end.expect(Beat)
        if not same:
            end.abort()
            facts = {ORDERS_FACT: str(PROTOCOL)}
            hello = make_hello("agent", "web-1", end.session, facts=facts)
            end = await port.connect_agent(session=end.session, hello=hello)
            assert end.resumed
            await end.round_trip()
        await end.send(Heartbeat({}, "s2"), Report(first.chain, "boot", {}, str(first.advance(b"2"))))
        await end.expect(Beat)
        resync = await end.expect(Resync)
        assert resync.jobs == {}
        await end.expect(KeyChange)
        if same:
            assert await dispatched(end) == job.id
            await end.send(Started(job.id, 7, 1.0), ended_message(job.id))
            await end.expect(Forget)
            assert harness.job(job.id).state is JobState.SUCCEEDED
        else:
            assert harness.job(job.id).state is JobState.UNKNOWN


@pytest.mark.parametrize("same", [True, False])
async def test_what_is_being_leased_is_sent_before_a_report_is_taken(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """Trust: one holder of a name. A lease that is not sent yet when the next runner reports leaves before the answer,
    and comes back by it; it is handed out for the runner that is there only after that. Where it leaves over another
    connection than the one that the report came over, its outcome is unknown.
    """
    first = begin("a" * 32, b"1")
    dispatch, go_on = harness.engine.dispatch, asyncio.Event()
    leased: list[str] = []

    async def late(agent: str, *args: Any) -> Any:
        orders = await dispatch(agent, *args)
        leased.extend(job for _, job in orders)
        await go_on.wait()
        return orders

    async with serve_links(harness) as port:
        end = await linked_with_stamp(harness, port, first)
        monkeypatch.setattr(harness.engine, "dispatch", late)
        monkeypatch.setattr(AgentLink, "hold_place", lambda link: None)
        job = await harness.queued_job()
        await end.send(Report(first.chain, "boot", {}, str(first.advance(b"2"))))
        while not leased:
            await end.round_trip()
        for _ in range(TURNS):
            await end.round_trip()
        if not same:
            end.abort()
            hello = make_hello("agent", "web-1", end.session, facts={ORDERS_FACT: str(PROTOCOL)})
            end = await port.connect_agent(session=end.session, hello=hello)
            assert end.resumed
        go_on.set()
        assert await dispatched(end) == job.id
        assert (await end.expect(Resync)).jobs == {}
        await end.expect(KeyChange)
        if not same:
            assert harness.job(job.id).state is JobState.UNKNOWN
            return
        assert await dispatched(end) == job.id
        assert leased == [job.id, job.id]
