"""Asking for work at the console: exactly this command, on exactly these machines, and the same once more."""

from __future__ import annotations

from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from hub.consoles import BadCall
from hub.desk_ask import MAX_BROADCAST, MAX_HOLD
from tests.hub.house import House, ended
from tests.hub.rooms import REMOTE, Rooms

RESTART = ["systemctl", "restart", "nginx.service"]


def count(inside: House) -> int:
    return len(inside.read(lambda txn: txn.requests()))


async def test_a_command_is_a_request_with_its_row(inside: House) -> None:
    """It is the caller's own, from the console, and queued at once where policy allows it."""
    told = await Rooms(inside).call("carol", "run", target="web-1", argv=["uptime"], timeout=9)
    assert (told["code"], told["person"], told["inlet"], told["job_count"]) == ("ok", "carol", "console", 1)
    assert told["text"].count(f"r{told['number']}") == 1
    (job,) = inside.jobs(inside.request(told["id"]))
    assert (job.agent, job.state, job.time_limit, job.source) == ("web-1", JobState.QUEUED, 9, "operator")
    (row,) = inside.events("message.accepted")
    assert (row.subject, row.actor, row.data["inlet"], row.data["from"]) == (told["id"], "carol", "console", REMOTE)
    assert (await inside.claim())[0][1] == job.id


async def test_policy_decides_on_each(inside: House) -> None:
    """What it denies is refused with its reason, what it asks for waits: a console is no way around it."""
    rooms = Rooms(inside)
    denied = await rooms.call("alice", "run", target="web-1", argv=["bash"])
    assert (denied["code"], denied["state"], denied["jobs"]) == ("denied", "refused", [])
    waits = await rooms.call("alice", "run", target="web-1", argv=RESTART)
    assert (waits["code"], waits["state"], waits["jobs"]) == ("ok", "asking", [])
    assert await inside.claim() == []


async def test_a_broadcast_goes_where_it_was_counted(inside: House) -> None:
    """Where the selection means another number than was typed, nothing is asked."""
    await inside.machine("web-2")
    rooms = Rooms(inside)
    told = await rooms.call("carol", "run", target="web-*", argv=["uptime"], expect=1)
    assert (told["code"], told["count"], count(inside)) == ("selection_changed", 2, 0)
    told = await rooms.call("carol", "run", target="web-*", argv=["uptime"], expect=2)
    assert sorted(job["agent"] for job in told["jobs"]) == ["web-1", "web-2"]


async def test_a_hold_keeps_the_jobs_back(inside: House) -> None:
    """Until it is over no machine is handed any."""
    told = await Rooms(inside).call("carol", "run", target="web-1", argv=["uptime"], hold=MAX_HOLD)
    assert told["jobs"][0]["not_before"] == inside.clock.now + MAX_HOLD
    inside.clock.pass_(MAX_HOLD - 1)
    assert await inside.claim() == []
    inside.clock.pass_(1)
    assert len(await inside.claim()) == 1


@pytest.mark.parametrize(
    "args",
    [
        {"hold": MAX_HOLD + 1},
        {"hold": -1},
        {"expect": 0},
        {"expect": MAX_BROADCAST + 1},
        {"timeout": 0},
        {"timeout": "9"},
        {"argv": []},
        {"argv": "uptime"},
        {"argv": ["a\0b"]},
        {"target": "db-9"},
        {"target": ""},
        {"cwd": "relative"},
    ],
)
async def test_what_is_no_command_asks_nothing(inside: House, args: dict[str, Any]) -> None:
    """The caller is told; no request is made of it."""
    with pytest.raises(BadCall):
        await Rooms(inside).call("carol", "run", **{"target": "web-1", "argv": ["uptime"], **args})
    assert count(inside) == 0


async def test_a_viewer_may_not(inside: House) -> None:
    """Neither ask nor ask again, whatever else is wrong with the call."""
    job = await inside.leased()
    rooms = Rooms(inside)
    assert (await rooms.call("vera", "run", target="db-9", argv=[]))["code"] == "no_right"
    assert (await rooms.call("vera", "retry", job=job.id))["code"] == "no_right"
    assert count(inside) == 1


async def test_a_job_is_asked_for_again_on_its_machine(inside: House) -> None:
    """Once it has ended: a new request of the caller's, whose parent is the job."""
    await inside.machine("web-2")
    request = await inside.ask("@web-* uptime")
    job = inside.jobs(request)[0]
    rooms = Rooms(inside)
    assert (await rooms.call("dave", "retry", job=job.id))["code"] == "not_ended"
    await inside.claim(job.agent)
    await inside.heard(job.agent, ended(job.id, "failed", 1))
    told = await rooms.call("dave", "retry", job=job.id)
    assert (told["code"], told["person"], told["parent"]) == ("ok", "dave", job.id)
    (again,) = inside.jobs(inside.request(told["id"]))
    assert (again.agent, again.id != job.id) == (job.agent, True)


async def test_a_request_is_asked_for_again_whole(inside: House) -> None:
    """Once it has ended; policy asks once more where it asked before, the old yes does not count."""
    request = await inside.ask(f"@web-1 {' '.join(RESTART)}")
    rooms = Rooms(inside)
    assert (await rooms.call("carol", "retry", number=request.number))["code"] == "not_ended"
    await inside.ask(f"approve r{request.number}", "bob")
    (job,) = inside.jobs(request)
    await inside.claim()
    await inside.heard("web-1", ended(job.id))
    told = await rooms.call("carol", "retry", number=request.number)
    assert (told["code"], told["parent"], told["jobs"]) == ("ok", request.id, [])
    assert inside.request(told["id"]).state is RequestState.ASKING
    with pytest.raises(BadCall, match="r999"):
        await rooms.call("carol", "retry", number=999)
