"""Subscriptions to output, a request and the audit: what is read, and what they are notified of."""

from __future__ import annotations

from common.link.messages import Output
from hub.api.following import MAX_CHUNKS, read_followed
from hub.engine.effects import Effects
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import NOW, HubHarness, ended_message


async def test_chunks_behind_those_that_were_sent(harness: HubHarness) -> None:
    """Of all jobs of a request together as many as one push holds."""
    await harness.add_machine("web-2")
    request = await harness.submit("@web-* uptime")
    first, second = harness.jobs(request)
    for job in (first, second):
        await harness.claim(job.agent)
        chunks = [Output(job.id, seq, 1, b"x", NOW) for seq in range(1, MAX_CHUNKS)]
        await harness.handle_agent_events(job.agent, *chunks)
    _, jobs, sent = harness.read(lambda txn: read_followed(txn, request.id, {}))
    assert [job.id for job in jobs] == [first.id, second.id]
    assert [(chunk.job, chunk.seq) for chunk in sent][-2:] == [(first.id, MAX_CHUNKS - 1), (second.id, 1)]
    _, _, rest = harness.read(lambda txn: read_followed(txn, request.id, {first.id: MAX_CHUNKS - 1, second.id: 1}))
    assert [(chunk.job, chunk.seq) for chunk in rest] == [(second.id, seq) for seq in range(2, MAX_CHUNKS)]


async def test_a_request_is_followed_with_its_jobs(harness: HubHarness) -> None:
    """Its jobs once they are sent, and nothing else; when it has ended nothing is notified any more."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    await rooms.call("vera", "follow", id=job.request_id)
    assert rooms.is_affected(Effects(changed={job.request_id}))
    assert not rooms.is_affected(Effects(changed={job.id}))
    await rooms.last_subscription.poll()
    assert rooms.is_affected(Effects(changed={job.id}))
    assert not rooms.is_affected(Effects(changed={"another"}))
    await harness.handle_agent_events("web-1", ended_message(job.id))
    await rooms.last_subscription.poll()
    assert rooms.last_subscription.ended
    subscription = rooms.last_subscription
    rooms.link.unsubscribe(subscription.id)
    subscription.dirty = False
    rooms.api.on_commit(Effects(changed={job.id, job.request_id}))
    assert not subscription.dirty


async def test_a_request_that_ends_is_pushed_at_once(harness: HubHarness) -> None:
    """What goes on is pushed at a distance; the commit that ends a request says so to its followers."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    await rooms.call("vera", "follow", id=job.request_id)
    subscription = rooms.last_subscription
    assert subscription.min_interval > 0
    heard: list[Effects] = []
    harness.fan_out.subscribe(heard.append)
    subscription.next_poll_at = 7.0
    await harness.handle_agent_events("web-1", ended_message(job.id))
    assert {job.request_id} == set().union(*(effects.ended for effects in heard))
    assert all(effects.ended <= effects.changed for effects in heard)
    for effects in heard:
        rooms.api.on_commit(effects)
    assert subscription.next_poll_at == 0.0


async def test_pushes_carry_their_version(harness: HubHarness) -> None:
    """So that a console can say that it is too old; of lists the snapshot does."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    for verb, args in (("output", {"job": job.id}), ("follow", {"id": job.request_id})):
        await rooms.call("vera", verb, **args)
        assert (await rooms.last_subscription.poll())["version"] == 1
