"""The engine put together: its epoch, renewals, and what it counts."""

from __future__ import annotations

from common.identity.certificates import identity_from_pem, make_request, new_key
from common.link.messages import Join, Refuse, Renew, Renewed
from hub.identity import certificates
from tests.hub.hub_harness import HubHarness, ended_message


async def test_every_start_of_the_hub_is_a_new_epoch(harness: HubHarness) -> None:
    """Machines obey the latest: what is leased now carries it."""
    first = harness.engine.epoch
    await harness.restart()
    assert harness.engine.epoch == first + 1
    await harness.queued_job()
    (order,) = await harness.orders()
    assert order.epoch == first + 1


async def test_a_renewal_that_gives_a_copy_away_ends_the_links_of_that_name(harness: HubHarness) -> None:
    """The machine is locked in the store, and those who hold its links are told."""
    token = harness.write(
        lambda txn: certificates.create_token(txn, "agent", "db-1", {}, 600, "alice", harness.clock.now)
    )
    key = new_key()
    join = Join(token, "db-1", make_request(key, "agent", "db-1"), "1")
    authorities = harness.keys.authorities
    joined = harness.write(lambda txn: certificates.join(txn, authorities, join, {}, "hub", harness.clock.now))
    identity = identity_from_pem(joined.certificate, harness.clock.now, "agent")
    answer = await harness.engine.renew(identity, Renew(make_request(new_key(), "agent", "db-1"), 1))
    assert isinstance(answer, Renewed)
    assert harness.effects == []
    copy = await harness.engine.renew(identity, Renew(make_request(new_key(), "agent", "db-1"), 1))
    assert isinstance(copy, Refuse)
    assert copy.code == "locked"
    assert harness.effects[-1].locked == {"db-1"}
    row = harness.read(lambda txn: txn.agent("db-1"))
    assert row is not None
    assert row.state == "locked"


async def test_metrics_hear_of_what_was_committed(harness: HubHarness) -> None:
    """Messages by what became of them, and how long each stage took."""
    await harness.accept("hi", event_id="twice")
    await harness.accept("hi", event_id="twice")
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    values = {
        (sample.name, sample.labels.get("result") or sample.labels.get("stage")): sample.value
        for family in harness.metrics.registry.collect()
        for sample in family.samples
    }
    assert values["answerback_messages_total", "duplicate"] == 1
    assert values["answerback_stage_seconds_count", "run"] == 1
    assert values["answerback_stage_seconds_count", "queue"] == 1
