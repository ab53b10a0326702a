"""Looking at the console, once: lists, single things, output, the audit."""

from __future__ import annotations

import pytest

from common.errors import Refused
from common.messages import Output
from hub.consoles import BadCall
from hub.desk_look import CHUNKS, MAX_NEEDLE
from tests.hub.house import NOW, House
from tests.hub.rooms import Rooms


async def test_whoami_tells_every_verb_and_who_may(inside: House) -> None:
    """A verb whose right has another name goes by that right."""
    rooms = Rooms(inside)
    told = await rooms.call("carol", "whoami")
    assert (told["person"], told["roles"], told["hub"]) == ("carol", ["operator"], inside.keys.hub_id)
    assert told["verbs"].keys() == {*rooms.verbs.table, "kill"}
    assert told["verbs"]["kill"] == {"may": True, "role": "operator"}
    assert told["verbs"]["approve"] == {"may": False, "role": "approver"}
    assert (await rooms.call("vera", "whoami"))["verbs"]["take_back"]["may"] is False


async def test_lists_are_newest_first_and_paged(inside: House) -> None:
    """By state, by person, and from behind the last that was told."""
    first, second = await inside.working(), await inside.working(user="dave")
    waits = await inside.ask("@web-1 systemctl restart nginx.service")
    rooms = Rooms(inside)
    numbers = [row["number"] for row in await rooms.call("vera", "requests")]
    assert numbers == [3, 2, 1]
    assert [row["number"] for row in await rooms.call("vera", "requests", before=3, limit=1)] == [2]
    assert [row["id"] for row in await rooms.call("vera", "requests", states=["asking"])] == [waits.id]
    assert [row["id"] for row in await rooms.call("vera", "jobs")] == [second.id, first.id]
    assert [row["id"] for row in await rooms.call("vera", "jobs", person="carol")] == [first.id]
    assert [row["id"] for row in await rooms.call("vera", "jobs", before=second.id)] == [first.id]


async def test_a_list_is_filtered_for_who_looks(inside: House) -> None:
    """`me` is the caller; what cannot be sorted by is no call."""
    await inside.working()
    hers = await inside.working(user="dave")
    rooms = Rooms(inside)
    assert [row["id"] for row in await rooms.call("dave", "jobs", filter="user:me")] == [hers.id]
    assert [row["person"] for row in await rooms.call("carol", "requests", filter="user:me")] == ["carol"]
    assert await rooms.call("carol", "jobs", filter="user:me", lo=1) == []
    with pytest.raises(BadCall, match="sort: there is no 'nothing'"):
        await rooms.call("carol", "jobs", filter="", sort="nothing")


async def test_a_request_has_its_jobs_and_approvals(inside: House) -> None:
    """Who said yes, from where; the jobs come with it."""
    request = await inside.ask("@web-1 systemctl restart nginx.service")
    await inside.ask(f"approve r{request.number}", "bob")
    told = await Rooms(inside).call("vera", "request", number=request.number)
    (given,) = told["approvals"]
    assert (given["person"], given["granted"], given["via"], given["at"]) == ("bob", True, "ops", NOW)
    assert [job["id"] for job in told["jobs"]] == [job.id for job in inside.jobs(request)]


async def test_output_is_paged_and_searched(inside: House) -> None:
    """So many chunks at once, from behind the last; a text is found in either case."""
    job = await inside.leased()
    chunks = [Output(job.id, seq, 1, f"Line {seq}\n".encode(), NOW) for seq in range(1, CHUNKS + 3)]
    await inside.heard("web-1", *chunks)
    rooms = Rooms(inside)
    first = (await rooms.call("vera", "job", id=job.id))["output"]
    assert [chunk["seq"] for chunk in first] == list(range(1, CHUNKS + 1))
    rest = (await rooms.call("vera", "job", id=job.id, after=CHUNKS))["output"]
    assert [chunk["data"] for chunk in rest] == [one.data for one in chunks[CHUNKS:]]
    found = await rooms.call("vera", "search_output", job=job.id, text="LINE 13")
    assert ([match["text"] for match in found["matches"]], found["more"]) == (["Line 13"], False)
    for wrong in ("", "x" * (MAX_NEEDLE + 1)):
        with pytest.raises(BadCall, match="text"):
            await rooms.call("vera", "search_output", job=job.id, text=wrong)


async def test_machines_and_queue_are_counted(inside: House) -> None:
    """What waits, what a machine has, who paused it all."""
    await inside.machine("web-2", online=False)
    await inside.leased()
    await inside.working()
    inside.write(lambda txn: txn.pause_queue("bob", NOW, "deploy", NOW + 9))
    rooms = Rooms(inside)
    rows = [(row["name"], row["online"], row["queued"], row["running"]) for row in await rooms.call("vera", "agents")]
    assert rows == [("web-1", True, 1, 1), ("web-2", False, 0, 0)]
    assert [row["name"] for row in await rooms.call("vera", "agents", after="web-1")] == ["web-2"]
    queue = await rooms.call("vera", "queue")
    assert (queue["depth"], queue["states"]["leased"]) == (1, 1)
    assert queue["paused"] == {"by": "bob", "at": NOW, "reason": "deploy", "until": NOW + 9}


async def test_the_audit_takes_its_right(inside: House) -> None:
    """An operator may look at jobs, not at it; by kind and from a place on."""
    job = await inside.leased()
    rooms = Rooms(inside)
    with pytest.raises(Refused, match="may not audit"):
        await rooms.call("carol", "audit")
    rows = await rooms.call("bob", "audit", kind="job.", subject=job.id)
    assert [row["subject"] for row in rows] == [job.id] * len(rows) != []
    assert await rooms.call("bob", "audit", kind="job.", subject=job.id, after=rows[-1]["seq"]) == []
    for verb in ("jobs", "requests", "agents", "queue", "whoami"):
        with pytest.raises(Refused):
            await rooms.call("nobody", verb)


async def test_the_audit_is_filtered_as_other_lists_are(inside: House) -> None:
    """Newest first, from a place on, with the number of the request that an event is about."""
    job = await inside.leased()
    rooms = Rooms(inside)
    rows = await rooms.call("bob", "audit", filter="kind:job.*")
    assert [row["seq"] for row in rows] == sorted((row["seq"] for row in rows), reverse=True)
    assert {row["kind"].split(".")[0] for row in rows} == {"job"}
    assert {row["number"] for row in rows if row["subject"] == job.id} == {1}
    every = await rooms.call("bob", "audit", filter="")
    assert await rooms.call("bob", "audit", filter="", lo=1, limit=1) == every[1:2] != []
    (asked,) = await rooms.call("bob", "audit", filter="kind:message.accepted")
    assert asked["number"] == 1
    with pytest.raises(BadCall, match="sort"):
        await rooms.call("bob", "audit", filter="", sort="nope")
    with pytest.raises(Refused):
        await rooms.call("carol", "audit", filter="")
