"""What is followed: arguments, and pushes as the hub sends them."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.lists import Snapshot
from common.api.outcome import SubscriptionEnded
from common.api.subscriptions import MAX_LO, MAX_ROWS, UnsubscribeArgs, ViewArgs
from common.link.messages import Output
from hub.core.records import Person
from tests.common.api.checked import Checked
from tests.hub.hub_harness import NOW, HubHarness, ended_message


async def test_pushes(harness: HubHarness) -> None:
    """Of every verb that is followed, to its end."""
    rooms = Checked(harness)
    job = await harness.leased_job()
    output = await rooms.call("vera", "output", job=job.id)
    assert output.job == job.id
    await harness.handle_agent_events("web-1", Output(job.id, 1, 1, b"up\xff", NOW))
    push = await rooms.push("output")
    assert ([chunk.data for chunk in push.chunks], push.ended) == ([b"up\xff"], False)
    followed = await rooms.call("vera", "follow", id=job.request_id)
    assert followed.number == 1
    push = await rooms.push("follow")
    assert (push.request.jobs[0].id, push.output[0].data, push.ended) == (job.id, b"up\xff", False)
    watched = await rooms.call("bob", "watch", after=0)
    assert watched.after == 0
    assert (await rooms.push("watch"))[0].seq == 1
    await harness.handle_agent_events("web-1", ended_message(job.id, chunks=1, output_bytes=3))
    assert any(event.is_about_job for event in await rooms.push("watch"))
    for identity in list(rooms.link.subscriptions):
        assert (await rooms.call("vera", "unsubscribe", id=identity)).id == identity
    begun = await rooms.call("vera", "overview")
    await rooms.api.overview.refresh()
    push = await rooms.push("overview")
    assert (begun.id, push.counts["queued"], push.is_partial) == (rooms.calls, 0, False)
    await rooms.call("vera", "view", view="agents")
    harness.write(lambda txn: txn.add_person(Person("vera", (), NOW, revoked_at=NOW)))
    await harness.people.refresh()
    assert isinstance(await rooms.push("view", "agents"), SubscriptionEnded)


def test_windows_are_bounded() -> None:
    """The bounds are declared with the arguments."""
    assert decode(ViewArgs, {"view": "jobs", "lo": MAX_LO, "n": MAX_ROWS}).n == MAX_ROWS
    assert encode(ViewArgs(view="jobs")) == {"view": "jobs"}
    bad: list[tuple[dict[str, Any], str]] = [
        ({"view": "jobs", "n": MAX_ROWS + 1}, "n: a whole number from 1 to 500 is expected"),
        ({"view": "jobs", "lo": -1}, f"lo: a whole number from 0 to {MAX_LO} is expected"),
        ({"view": "jobs", "sort": "x" * 41}, "sort: text of at most 40 characters is expected"),
        ({"view": "nothing"}, "view: one of jobs, requests, agents, audit, activity is expected"),
        ({}, "view: one of jobs, requests, agents, audit, activity is expected"),
    ]
    for args, said in bad:
        with pytest.raises(BadValue, match=f"^{said}$"):
            decode(ViewArgs, args)
    for args in ({}, {"id": "1"}, {"id": None}):
        with pytest.raises(BadValue, match=r"^id: a subscription's is expected$"):
            decode(UnsubscribeArgs, args)


def test_a_list_says_its_version_once_it_has_one() -> None:
    """Left out, it is the first."""
    push: Snapshot[Any] = Snapshot(seq=1, total=0, all=0, lo=0, rows=())
    assert "version" not in encode(push)
