"""A machine's link on the hub: nothing is acknowledged before it is committed, and nothing is handed out beyond what
the machine has room for. The machine is played by hand, over real TLS, on a real store.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from common.codec import encode
from common.identity import identity_in, make_request, new_key
from common.lifecycle import JobState
from common.messages import (
    Accepted,
    Beat,
    Bye,
    Cancel,
    Credit,
    Dispatch,
    Forget,
    Heartbeat,
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
from common.sign import ORDER, verify
from hub import agent_link
from hub import job as jobs_of_hub
from hub.change import Change
from hub.records import Job
from hub.store.errors import StoreFull
from tests.hub.house import JOURNAL, Clock, House, ended
from tests.hub.linked import End, held, serving

TURNS = 20


@pytest.fixture
def still() -> Clock:
    """TLS looks at the real clock: this one starts there."""
    return Clock(time.time())


def output(job: str, seq: int, data: bytes = b"x\n") -> Output:
    return Output(job, seq, 1, data, 0.0)


async def dispatched(end: End) -> str:
    """The job of the next message, which is a signed order."""
    dispatch = await end.expect(Dispatch)
    return Order.from_bytes(dispatch.order).job


async def settle(other: End) -> None:
    """Gives the hub's loop many turns, without the store: another machine asks, and is answered."""
    for _ in range(TURNS):
        await other.turn()


# ---- hearing


async def test_the_whole_way_of_a_job(inside: House) -> None:
    """Dispatched and signed, accepted, started, printed, ended; credited and forgotten once that is committed."""
    async with serving(inside) as port:
        end = await port.reported()
        job = await inside.working()
        dispatch = await end.expect(Dispatch)
        verify(inside.keys.job_key.public, ORDER, dispatch.order, dispatch.signature)
        assert Order.from_bytes(dispatch.order).job == job.id
        await end.send(Accepted(job.id, job.plan_hash), Started(job.id, 7, 1.0), output(job.id, 1), output(job.id, 2))
        credit = await end.expect(Credit)
        while credit.seq < 2:  # as many a commit as have come by then
            credit = await end.expect(Credit)
        await end.send(ended(job.id, chunks=2))
        assert await end.expect(Forget) == Forget(job.id)
        assert inside.job(job.id).state is JobState.SUCCEEDED
        await end.acknowledged()


async def test_nothing_is_acknowledged_before_it_is_committed(inside: House) -> None:
    """While the commit is under way the link lives and says no ack, no credit; then it says both."""
    async with serving(inside) as port:
        end = await port.reported()
        job = await inside.working()
        await dispatched(end)
        before = end.session.acked
        with held(inside) as let_go:
            await end.send(Started(job.id, 7, 1.0), output(job.id, 1))
            for _ in range(TURNS):
                await end.turn()
            assert end.session.acked == before
            assert end.session.unacked == 2
            let_go()
        assert await end.expect(Credit) == Credit(job.id, 1)
        assert inside.job(job.id).state is JobState.RUNNING
        await end.acknowledged()


async def test_a_batch_that_cannot_be_committed_comes_again(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not acknowledged: the link ends with 1011, the session is not gone on with, and what the machine says again
    in the next one is committed once.
    """

    async def full(agent: str, words: Any) -> None:
        raise StoreFull("store: there is no room", "make room")

    async with serving(inside) as port:
        end = await port.reported()
        job = await inside.working()
        await dispatched(end)
        said = (Accepted(job.id, job.plan_hash), Started(job.id, 7, 1.0), ended(job.id))
        with monkeypatch.context() as broken:
            broken.setattr(inside.engine, "heard", full)
            await end.send(*said)
            assert await end.closed() == agent_link.FAILED
        assert end.session.unacked == len(said)
        assert inside.job(job.id).state is JobState.LEASED
        again = await port.agent(kept=end.session)
        assert not again.resumed
        await again.send(Report(JOURNAL, "boot", {job.id: "ended"}))
        assert (await again.expect(Resync)).jobs == {job.id: 1}
        await again.send(*said)
        assert await again.expect(Forget) == Forget(job.id)
        assert inside.job(job.id).state is JobState.SUCCEEDED


async def test_what_waits_is_committed_together(inside: House) -> None:
    """While the store is busy a hundred facts come in; they are written in a few transactions, in their order."""
    async with serving(inside) as port:
        end = await port.reported()
        job = await inside.working()
        await dispatched(end)
        with held(inside) as let_go:
            await end.send(Started(job.id, 7, 1.0), *[output(job.id, seq, b"%d\n" % seq) for seq in range(1, 100)])
            await end.turn()  # the hub has read them all
            before = inside.store.commits
            let_go()
        while (await end.expect(Credit)).seq < 99:
            pass
        assert inside.store.commits - before <= 1 + 1 + -(-100 // agent_link.BATCH)  # what held it, the first, the rest
        chunks = inside.read(lambda txn: txn.chunks(job.id))
        assert [chunk.data for chunk in chunks] == [b"%d\n" % seq for seq in range(1, 100)]


@pytest.mark.parametrize(("bound", "value"), [("INBOX", 8), ("INBOX_BYTES", 8 * 1_000)])
async def test_a_full_inbox_stops_the_reading(
    inside: House, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    """Where the store does not keep up, what a machine sends waits in its own buffers, not in the hub's memory; then it
    all arrives. Other machines are served meanwhile.
    """
    await inside.machine("db-1", online=False)
    async with serving(inside) as port:
        end, other = await port.reported(), await port.reported("db-1")
        job = await inside.working()
        await dispatched(end)
        first = end.session.sent
        monkeypatch.setattr(agent_link, bound, value)
        monkeypatch.setattr(agent_link, "BATCH", 1)
        link = port.link()
        with held(inside) as let_go:
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
        assert inside.read(lambda txn: txn.output_seq(job.id)) == 50
        assert link._inbox_bytes == 0


async def test_what_was_heard_before_a_break_is_committed(inside: House) -> None:
    """The machine that comes back to its session hears so, and says nothing twice."""
    async with serving(inside) as port:
        end = await port.reported()
        job = await inside.working()
        await dispatched(end)
        with held(inside):
            await end.send(Accepted(job.id, job.plan_hash), Started(job.id, 7, 1.0))
            await end.turn()
            end.cut()
        await port.until(lambda: inside.job(job.id).state is JobState.RUNNING)
        await port.until(lambda: not inside.fleet.online("web-1"))
        again = await port.agent(kept=end.session)
        assert again.resumed
        await again.acknowledged()
        assert inside.kinds(job.id).count("job.started") == 1


async def test_vitals_are_taken_and_answered_at_once(inside: House) -> None:
    """They are not written down: a store that is busy does not matter."""
    async with serving(inside) as port:
        end = await port.reported()
        with held(inside):
            await end.send(Heartbeat({"load1": 0.5}))
            assert (await end.expect(Beat)).now == inside.clock.now
        assert inside.fleet.vitals["web-1"]["load1"] == 0.5


async def test_a_goodbye_ends_the_connection_and_keeps_the_session(inside: House) -> None:
    """A restart of the uplink loses nothing."""
    async with serving(inside) as port:
        end = await port.reported()
        await end.send(Bye("restart"))
        assert await end.closed() == 1000
        await port.until(lambda: not inside.fleet.online("web-1"))
        assert (await port.agent(kept=end.session)).resumed


async def test_a_renewal_is_answered_on_the_link(inside: House) -> None:
    """In its turn among the facts; both are acknowledged."""
    async with serving(inside) as port:
        end = await port.reported()
        job = await inside.working()
        await dispatched(end)
        request = make_request(new_key(), "agent", "web-1")
        await end.send(Started(job.id, 7, 1.0), Renew(request, 1), output(job.id, 1))
        seen = [await end.receive(), await end.receive()]
        renewed = next(message for message in seen if isinstance(message, Renewed))
        assert identity_in(renewed.certificate, inside.clock.now, "agent").name == "web-1"
        assert renewed.generation == 2
        assert Credit(job.id, 1) in seen
        assert inside.job(job.id).state is JobState.RUNNING


async def test_a_clone_that_asks_for_a_renewal_locks_the_machine(inside: House) -> None:
    """The link that asked ends, and nothing is gone on with."""
    async with serving(inside) as port:
        end = await port.reported()
        await end.send(Renew(make_request(new_key(), "agent", "web-1"), 1))
        await end.expect(Renewed)
        await end.send(Renew(make_request(new_key(), "agent", "web-1"), 1))
        assert await end.closed() == agent_link.POLICY
        assert (await port.refused("web-1")).code == "locked"


# ---- handing out


async def test_nothing_is_handed_out_before_the_report(inside: House) -> None:
    """What the machine has is known only from it: a job may be there already."""
    async with serving(inside) as port:
        job = await inside.working()
        end = await port.agent()
        for _ in range(TURNS):
            await end.turn()
        assert inside.job(job.id).state is JobState.QUEUED
        await end.send(Report(JOURNAL, "boot", {}))
        await end.expect(Resync)
        assert await dispatched(end) == job.id


async def test_no_more_is_handed_out_than_the_window_holds(inside: House) -> None:
    """The rest waits here, where it can be taken back; each end makes room for one more."""
    async with serving(inside, window=2) as port:
        jobs = [(await inside.working()).id for _ in range(5)]
        end = await port.reported()
        had = [await dispatched(end), await dispatched(end)]
        for job in jobs[2:]:
            for _ in range(TURNS):
                await end.turn()
            assert inside.read(lambda txn: len(txn.open_jobs("web-1"))) == 2
            await end.send(ended(had.pop(0)))
            said = [await end.receive(), await end.receive()]
            assert {type(message) for message in said} == {Forget, Dispatch}
            had += [Order.from_bytes(one.order).job for one in said if isinstance(one, Dispatch)]
            assert had[-1] == job
        assert sorted(had) == jobs[3:]


async def test_jobs_that_a_machine_came_with_count(inside: House) -> None:
    """A window of two, one job under way: one more."""
    async with serving(inside, window=2) as port:
        had = await inside.leased()
        jobs = [(await inside.working()).id for _ in range(3)]
        end = await port.reported(**{had.id: "started"})
        assert await dispatched(end) == jobs[0]
        for _ in range(TURNS):
            await end.turn()
        assert inside.read(lambda txn: txn.count_queued()) == 2


@pytest.mark.parametrize("how", ["unsure", "lost"])
async def test_a_job_of_unknown_outcome_takes_no_room(inside: House, how: str) -> None:
    """Whether the machine says that it does not know, or it was settled elsewhere."""
    async with serving(inside, window=1) as port:
        first, second = await inside.working(), await inside.working()
        end = await port.reported()
        assert await dispatched(end) == first.id
        if how == "unsure":
            await end.send(Started(first.id, 7, 1.0), Unsure(first.id, "the runner was killed"))
        else:
            await inside.change(lambda change: lose(change, first))
        assert await dispatched(end) == second.id


def lose(change: Change, job: Job) -> None:
    current = change.txn.job(job.id)
    assert current is not None
    change.job(current, jobs_of_hub.Lose("somebody saw it go"), "hub")


async def test_a_cancel_never_overtakes_its_dispatch(inside: House) -> None:
    """Cancelled in the moment it is handed out: the order comes first, and then its end."""
    async with serving(inside) as port:
        end = await port.reported()
        for _ in range(5):
            request = await inside.ask("@web-1 uptime")
            (job,) = inside.jobs(request)
            await inside.said(f"cancel {request.number}")
            if inside.job(job.id).state is JobState.CANCELLED:
                continue  # before it was handed out: the machine never hears of it
            assert await dispatched(end) == job.id
            assert await end.expect(Cancel) == Cancel(job.id, False)
        await end.turn()


async def test_a_cancel_never_overtakes_its_dispatch_on_a_link_that_is_stuck(inside: House) -> None:
    """The orders wait in line for a machine that does not read; the cancel of the last one waits behind them all."""
    async with serving(inside) as port:
        end = await port.reported()
        link = port.link()
        assert link._wire is not None
        chatter = encode(Refuse("chatter", "x" * 60_000), epoch=link.session.epoch)
        link._wire.put(*[chatter] * 200)  # more than every buffer on the way holds
        inside.write(lambda txn: txn.pause_queue("bob", inside.clock.now, "until all three are there"))
        jobs = [await inside.working() for _ in range(3)]
        inside.write(lambda txn: txn.resume_queue())
        port.links.wake(["web-1"])
        await port.until(lambda: all(inside.job(job.id).state is JobState.LEASED for job in jobs))
        request = inside.request(jobs[-1].request_id)
        await inside.said(f"cancel r{request.number}")
        told: list[str] = []
        while len(told) < 4:
            match await end.receive():
                case Dispatch(order=order):
                    told.append(f"run {Order.from_bytes(order).job}")
                case Cancel(job=job):
                    told.append(f"cancel {job}")
        assert told == [*(f"run {job.id}" for job in jobs), f"cancel {jobs[-1].id}"]


async def test_a_job_settled_while_the_machine_is_away_takes_no_room(inside: House) -> None:
    """The session that goes on has room for another one at once."""
    async with serving(inside, window=1) as port:
        first, second = await inside.working(), await inside.working()
        end = await port.reported()
        assert await dispatched(end) == first.id
        end.cut()
        await port.until(lambda: not inside.fleet.online("web-1"))
        await inside.change(lambda change: lose(change, first))
        again = await port.agent(kept=end.session)
        assert again.resumed
        assert await dispatched(again) == second.id


@pytest.mark.parametrize("session", ["goes on", "is a new one"])
async def test_a_cancel_while_the_machine_is_away_reaches_it(inside: House, session: str) -> None:
    """With the session that goes on, or in the answer to the report that begins the next one."""
    async with serving(inside) as port:
        end = await port.reported()
        request = await inside.ask("@web-1 uptime")
        job = await dispatched(end)
        end.cut()
        await port.until(lambda: not inside.fleet.online("web-1"))
        await inside.said(f"cancel {request.number}")
        assert inside.job(job).cancel_asked_at is not None
        if session == "goes on":
            again = await port.agent(kept=end.session)
            assert again.resumed
            assert await again.expect(Cancel) == Cancel(job, False)
        else:
            again = await port.agent()
            await again.send(Report(JOURNAL, "boot", {job: "started"}))
            assert (await again.expect(Resync)).cancel == (job,)


async def test_a_machine_that_never_acknowledges_is_let_go(inside: House) -> None:
    """What is kept for it is bounded: the link ends with 1013, and its session with it."""
    async with serving(inside) as port:
        end = await port.agent()
        await end.send(Report(JOURNAL, "boot", {}))
        await end.expect(Resync, deal=False)
        port.link().session._max_unacked = 3
        await inside.working()
        await inside.working()
        for _ in range(2):
            await end.expect(Dispatch, deal=False)
        job = await inside.working()  # no room: it stays in the queue, and the link stays up
        await end.turn()
        assert inside.job(job.id).state is JobState.QUEUED
        port.links._say("web-1", Cancel("any"))  # what must be said and cannot be
        assert await end.closed() == agent_link.TRY_LATER
        await port.until(lambda: not inside.fleet.online("web-1"))
        assert not (await port.agent(kept=end.session)).resumed


async def test_a_claim_that_fails_ends_the_link_not_the_hub(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """1011; the job stays queued and is handed out to the machine when it comes again."""

    async def full(agent: str, journal: str, limit: int) -> None:
        raise StoreFull("store: there is no room", "make room")

    async with serving(inside) as port:
        end = await port.reported()
        with monkeypatch.context() as broken:
            broken.setattr(inside.engine, "claim", full)
            job = await inside.working()
            assert await end.closed() == agent_link.FAILED
        assert inside.job(job.id).state is JobState.QUEUED
        again = await port.reported()
        assert await dispatched(again) == job.id
