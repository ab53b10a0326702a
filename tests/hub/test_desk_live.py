"""Following at the console: what each push says, when it ends, and that a right taken away ends it."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import Refused
from common.messages import Output
from hub.change import Effects
from hub.consoles import BadCall
from hub.desk_look import CHUNKS
from hub.live import MAX_ROWS
from hub.records import Person
from tests.hub.house import NOW, House, ended
from tests.hub.rooms import MOST, Rooms


async def test_output_comes_chunk_by_chunk_until_it_ends(inside: House) -> None:
    """As much as a push holds, then at once the next; nothing new is no push."""
    job = await inside.leased()
    await inside.heard("web-1", *[Output(job.id, seq, 1, b"x", NOW) for seq in range(1, CHUNKS + 2)])
    rooms = Rooms(inside)
    assert (await rooms.call("vera", "output", job=job.id))["job"] == job.id
    following = rooms.newest
    following.dirty = False
    push = await following.look()
    assert [chunk["seq"] for chunk in push["chunks"]] == list(range(1, CHUNKS + 1))
    assert (push["ended"], following.dirty) == (False, True)
    assert [chunk["seq"] for chunk in (await following.look())["chunks"]] == [CHUNKS + 1]
    assert await following.look() is None
    assert following.wants(Effects(changed={job.id}))
    assert not following.wants(Effects(changed={"another"}))
    await inside.heard("web-1", ended(job.id, chunks=CHUNKS + 1, output_bytes=CHUNKS + 1))
    push = await following.look()
    assert (push["chunks"], push["ended"], push["state"], following.ended) == ([], True, "succeeded", True)


async def test_a_request_is_followed_to_its_end(inside: House) -> None:
    """With its jobs and their output; its own change is wanted, and that of its jobs."""
    job = await inside.leased()
    rooms = Rooms(inside)
    told = await rooms.call("vera", "follow", id=job.request_id)
    following = rooms.newest
    assert told["id"] == job.request_id
    push = await following.look()
    assert ([one["id"] for one in push["request"]["jobs"]], push["ended"]) == ([job.id], False)
    assert following.wants(Effects(changed={job.id}))
    await inside.heard("web-1", Output(job.id, 1, 1, b"up", NOW), ended(job.id, chunks=1, output_bytes=2))
    push = await following.look()
    assert [(chunk["job"], chunk["data"]) for chunk in push["output"]] == [(job.id, b"up")]
    assert (push["ended"], push["request"]["state"], following.ended) == (True, "done", True)


async def test_a_watch_begins_now_unless_one_may_read_the_audit(inside: House) -> None:
    """What was before is the audit's to tell."""
    await inside.working()
    rooms = Rooms(inside)
    await rooms.call("vera", "watch")
    following = rooms.newest
    assert await following.look() is None
    job = await inside.working()
    assert {row["subject"] for row in await following.look()} == {job.request_id}
    with pytest.raises(Refused, match="may not audit"):
        await rooms.call("vera", "watch", after=0)
    await rooms.call("bob", "watch", after=0)
    assert (await rooms.newest.look())[0]["seq"] == 1


@pytest.mark.parametrize("verb", ["view", "overview", "output", "follow", "watch"])
async def test_a_right_taken_away_ends_what_was_begun(inside: House, verb: str) -> None:
    """The next push is the refusal and nothing else."""
    job = await inside.working()
    args: dict[str, Any] = {"view": {"view": "jobs"}, "output": {"job": job.id}, "follow": {"id": job.request_id}}
    rooms = Rooms(inside)
    await rooms.call("vera", verb, **args.get(verb, {}))
    inside.write(lambda txn: txn.add_person(Person("vera", (), NOW, revoked_at=NOW)))
    await inside.people.refresh()
    push = await rooms.newest.look()
    assert push.keys() == {"error"}
    assert rooms.newest.ended
    with pytest.raises(Refused):
        await rooms.call("vera", verb, **args.get(verb, {}))


async def test_one_takes_the_place_of_another(inside: House) -> None:
    """A full console can still change what it looks at; one that does not fit is let go of again."""
    rooms = Rooms(inside)
    ids = [(await rooms.call("vera", "view", view="jobs", lo=lo))["id"] for lo in range(MOST)]
    with pytest.raises(BadCall, match="too many"):
        await rooms.call("vera", "view", view="jobs", lo=77)
    assert len(rooms.verbs.watching._lists) == MOST
    new = (await rooms.call("vera", "view", view="agents", replace=ids[0]))["id"]
    assert list(rooms.line.subscriptions) == [*ids[1:], new]
    assert await rooms.call("vera", "unsubscribe", id=new) == {"id": new}
    assert list(rooms.line.subscriptions) == ids[1:]
    assert len(rooms.verbs.watching._lists) == MOST - 1
    with pytest.raises(BadCall, match="id"):
        await rooms.call("vera", "unsubscribe")


@pytest.mark.parametrize(
    ("args", "said"),
    [({"n": 0}, "n: "), ({"n": MAX_ROWS + 1}, "n: "), ({"lo": -1}, "lo: "), ({"sort": "no"}, "sort: ")],
)
async def test_a_window_has_bounds(inside: House, args: dict[str, Any], said: str) -> None:
    """What is no window is not followed; the audit's list takes the audit's right."""
    rooms = Rooms(inside)
    with pytest.raises(BadCall, match=said):
        await rooms.call("vera", "view", view="jobs", **args)
    with pytest.raises(Refused, match="may not audit"):
        await rooms.call("vera", "view", view="audit")
    assert rooms.line.subscriptions == {}
