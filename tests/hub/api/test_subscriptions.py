"""Following at the console: what each push says, when it ends, and that a right taken away ends it."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.subscriptions import MAX_ROWS
from common.errors import Denied
from common.link.messages import Output
from hub.api.following import MAX_CHUNKS
from hub.core.records import Person
from hub.engine.effects import Effects
from hub.links.console import InvalidArguments
from hub.store.transaction import Txn
from tests.hub.api_harness import MAX_SUBSCRIPTIONS, ApiHarness
from tests.hub.hub_harness import NOW, HubHarness, ended_message


async def test_output_comes_chunk_by_chunk_until_it_ends(harness: HubHarness) -> None:
    """As much as a push holds, then at once the next; nothing new is no push."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", *[Output(job.id, seq, 1, b"x", NOW) for seq in range(1, MAX_CHUNKS + 2)])
    rooms = ApiHarness(harness)
    assert (await rooms.call("vera", "output", job=job.id))["job"] == job.id
    following = rooms.last_subscription
    following.dirty = False
    push = await following.poll()
    assert [chunk["seq"] for chunk in push["chunks"]] == list(range(1, MAX_CHUNKS + 1))
    assert (push["ended"], following.dirty) == (False, True)
    assert [chunk["seq"] for chunk in (await following.poll())["chunks"]] == [MAX_CHUNKS + 1]
    assert await following.poll() is None
    assert rooms.is_affected(Effects(changed={job.id}))
    assert not rooms.is_affected(Effects(changed={"another"}))
    await harness.handle_agent_events(
        "web-1", ended_message(job.id, chunks=MAX_CHUNKS + 1, output_bytes=MAX_CHUNKS + 1)
    )
    push = await following.poll()
    assert (push["chunks"], push["ended"], push["state"], following.ended) == ([], True, "succeeded", True)


async def test_a_request_is_followed_to_its_end(harness: HubHarness) -> None:
    """With its jobs and their output; its own change is wanted, and that of its jobs."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    told = await rooms.call("vera", "follow", id=job.request_id)
    following = rooms.last_subscription
    assert told["id"] == job.request_id
    push = await following.poll()
    assert ([one["id"] for one in push["request"]["jobs"]], push["ended"]) == ([job.id], False)
    assert rooms.is_affected(Effects(changed={job.id}))
    await harness.handle_agent_events(
        "web-1", Output(job.id, 1, 1, b"up", NOW), ended_message(job.id, chunks=1, output_bytes=2)
    )
    push = await following.poll()
    assert [(chunk["job"], chunk["data"]) for chunk in push["output"]] == [(job.id, b"up")]
    assert (push["ended"], push["request"]["state"], following.ended) == (True, "done", True)


async def test_a_watch_begins_now_unless_one_may_read_the_audit(harness: HubHarness) -> None:
    """What was before is the audit's to tell."""
    await harness.queued_job()
    rooms = ApiHarness(harness)
    await rooms.call("vera", "watch")
    following = rooms.last_subscription
    assert await following.poll() is None
    job = await harness.queued_job()
    assert {row["subject"] for row in await following.poll()} == {job.request_id}
    with pytest.raises(Denied, match="may not audit"):
        await rooms.call("vera", "watch", after=0)
    await rooms.call("bob", "watch", after=0)
    assert (await rooms.last_subscription.poll())[0]["seq"] == 1


async def test_a_viewer_does_not_read_the_audit_by_way_of_the_activity(harness: HubHarness) -> None:
    """Trust (A2, one right for what is recorded): of people, invitations and refusals, and of what an event carries
    beside what lists show, only those with the right `audit` are told.
    """
    rooms = ApiHarness(harness)
    await rooms.call("vera", "watch")
    viewer = rooms.last_subscription
    await rooms.call("bob", "watch")
    approver = rooms.last_subscription

    def unit(txn: Txn) -> None:
        txn.audit("token.made", "web-9", "alice", {"labels": {"canary": "1"}}, NOW)
        txn.audit("person.role", "carol", "terminal", {"roles": ["canary"]}, NOW)
        txn.audit("agent.locked", "web-9", "hub", {"reason": "copied", "fingerprint": "canary"}, NOW)

    harness.write(unit)
    told, whole = await viewer.poll(), await approver.poll()
    assert [(row["kind"], row["data"], row.get("hash", "")) for row in told] == [
        ("agent.locked", {"reason": "copied"}, "")
    ]
    assert [row["kind"] for row in whole] == ["token.made", "person.role", "agent.locked"]
    assert str(whole).count("canary") == 3
    with pytest.raises(Denied, match="may not audit"):
        await rooms.call("vera", "view", view="audit")


@pytest.mark.parametrize("verb", ["view", "overview", "output", "follow", "watch"])
async def test_a_right_taken_away_ends_what_was_begun(harness: HubHarness, verb: str) -> None:
    """The next push is the refusal and nothing else."""
    job = await harness.queued_job()
    args: dict[str, Any] = {"view": {"view": "jobs"}, "output": {"job": job.id}, "follow": {"id": job.request_id}}
    rooms = ApiHarness(harness)
    await rooms.call("vera", verb, **args.get(verb, {}))
    harness.write(lambda txn: txn.add_person(Person("vera", (), NOW, revoked_at=NOW)))
    await harness.people.refresh()
    push = await rooms.last_subscription.poll()
    assert push.keys() == {"error"}
    assert rooms.last_subscription.ended
    with pytest.raises(Denied):
        await rooms.call("vera", verb, **args.get(verb, {}))


async def test_one_takes_the_place_of_another(harness: HubHarness) -> None:
    """A full console can still change what it looks at; one that does not fit is let go of again."""
    rooms = ApiHarness(harness)
    ids = [(await rooms.call("vera", "view", view="jobs", lo=lo))["id"] for lo in range(MAX_SUBSCRIPTIONS)]
    with pytest.raises(InvalidArguments, match="too many"):
        await rooms.call("vera", "view", view="jobs", lo=77)
    assert len(rooms.api.live_lists._lists) == MAX_SUBSCRIPTIONS
    new = (await rooms.call("vera", "view", view="agents", replace=ids[0]))["id"]
    assert list(rooms.link.subscriptions) == [*ids[1:], new]
    assert await rooms.call("vera", "unsubscribe", id=new) == {"id": new}
    assert list(rooms.link.subscriptions) == ids[1:]
    assert len(rooms.api.live_lists._lists) == MAX_SUBSCRIPTIONS - 1
    with pytest.raises(InvalidArguments, match="id"):
        await rooms.call("vera", "unsubscribe")


@pytest.mark.parametrize(
    ("args", "said"),
    [({"n": 0}, "n: "), ({"n": MAX_ROWS + 1}, "n: "), ({"lo": -1}, "lo: "), ({"sort": "no"}, "sort: ")],
)
async def test_a_window_has_bounds(harness: HubHarness, args: dict[str, Any], said: str) -> None:
    """What is no window is not followed; the audit's list takes the audit's right."""
    rooms = ApiHarness(harness)
    with pytest.raises(InvalidArguments, match=said):
        await rooms.call("vera", "view", view="jobs", **args)
    with pytest.raises(Denied, match="may not audit"):
        await rooms.call("vera", "view", view="audit")
    assert rooms.link.subscriptions == {}
