"""What is said to chat, and when."""

from __future__ import annotations

import json

from common.lifecycle import RequestState
from common.messages import Accepted, Output, Started, Unsure
from hub.change import Change
from hub.records import Job
from hub.speech import OUTPUT_A_JOB, TAIL_CHUNKS
from tests.hub.house import NOW, REPLY_URL, House, ended


async def printed(inside: House, *chunks: bytes, line: str = "@web-1 uptime") -> Job:
    """A running job that has printed so much."""
    job = await inside.leased(line)
    words = [Output(job.id, seq, 1, chunk, NOW) for seq, chunk in enumerate(chunks, 1)]
    await inside.heard(job.agent, Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW), *words)
    return inside.job(job.id)


async def told_of_progress(inside: House, job: Job) -> bool:
    said: list[bool] = []

    def unit(change: Change) -> None:
        request = change.txn.request(job.request_id)
        assert request is not None
        said.append(inside.speech.progress(change.txn, request, job, change.now))

    await inside.change(unit)
    return said[0]


async def test_a_reply_goes_where_the_message_came_from(inside: House) -> None:
    """Address, conversation, the message it answers, the request, each job: all a platform needs."""
    job = await printed(inside, b"up 1 day\n")
    await inside.heard("web-1", ended(job.id, chunks=1, output_bytes=9))
    request = inside.request(job.request_id)
    (reply,) = inside.replies(request)
    assert (reply.url, reply.inlet, reply.kind, reply.state) == (REPLY_URL, "ops", "final", "pending")
    body = json.loads(reply.body)
    assert (body["in_reply_to"], body["conversation"]) == (request.event_id, "room")
    assert body["request"] == {"id": request.id, "number": request.number, "state": "done"}
    (shown,) = body["jobs"]
    assert (shown["argv"], shown["exit_code"], shown["output"]) == (["/usr/bin/uptime"], 0, "up 1 day\n")
    assert inside.effects[-1].replies


async def test_a_message_without_an_address_is_answered_to_nobody(inside: House) -> None:
    """Its outcome is in the store for whoever asks."""
    request = await inside.ask("@web-1 uptime", reply_url="")
    await inside.claim()
    (job,) = inside.jobs(request)
    await inside.heard("web-1", ended(job.id))
    await inside.ask("@web-1 bash", reply_url="")
    await inside.ask("help", reply_url="")
    assert inside.request(request.id).state is RequestState.DONE
    assert inside.replies() == []


async def test_what_may_be_done_next_is_said_with_it(inside: House) -> None:
    """Buttons: approve and reject while it waits for people, cancel while it works, none at the end."""
    await inside.machine("db-1", online=False)
    asking = await inside.ask("@web-1 systemctl restart nginx.service")
    assert inside.body(asking, "question")["actions"] == ["approve", "reject"]
    working = await inside.ask("@db-1 uptime")
    assert inside.body(working, "progress")["actions"] == ["cancel"]
    assert inside.final(await inside.ask("help"))["actions"] == []


async def test_progress_shows_the_end_of_what_was_printed(inside: House) -> None:
    """Of a long output the newest lines, not the first ones."""
    lines = [f"line {number}\n".encode() for number in range(1, TAIL_CHUNKS * 3)]
    job = await printed(inside, *lines)
    inside.clock.pass_(40)
    assert await told_of_progress(inside, job)
    body = inside.body(inside.request(job.request_id), "progress")
    assert f"line {TAIL_CHUNKS * 3 - 1}" in body["text"]
    assert "line 2\n" not in body["text"]
    assert body["jobs"][0]["state"] == "running"


async def test_an_inlet_that_takes_one_reply_hears_no_progress(inside: House) -> None:
    """It says so by its answer, and nothing is written."""
    request = await inside.ask("@web-1 uptime", "kim", inlet="quiet")
    await inside.claim()
    (job,) = inside.jobs(request)
    await inside.heard("web-1", Started(job.id, 7, NOW))
    assert not await told_of_progress(inside, inside.job(job.id))
    assert inside.replies(request) == []
    await inside.heard("web-1", ended(job.id))
    assert inside.told(request) == ["final"]


async def test_hostile_output_reaches_no_screen(inside: House) -> None:
    """Control bytes are gone from what chat is told, in the text and beside it (S11)."""
    job = await printed(inside, b"\x1b[2Jgone\x07 @everyone \xff\xfe\r\nnext\x00\n")
    await inside.heard("web-1", ended(job.id, chunks=1, output_bytes=30))
    body = inside.final(inside.request(job.request_id))
    for text in (body["text"], body["jobs"][0]["output"]):
        assert not {char for char in text if (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160}
    assert "gone" in body["jobs"][0]["output"]


async def test_a_reply_is_bounded_whatever_the_machines_printed(inside: House) -> None:
    """The beginning of each output up to a share; the whole reply up to a sum."""
    names = [f"node-{number:02}" for number in range(12)]
    for name in names:
        await inside.machine(name)
    request = await inside.ask("@node-* uptime")
    for job in inside.jobs(request):
        await inside.claim(job.agent)
        chunks = [Output(job.id, seq, 1, b"x" * 32_000, NOW) for seq in range(1, 5)]
        await inside.heard(job.agent, *chunks, ended(job.id, chunks=4, output_bytes=128_000))
    (reply,) = inside.replies(request)
    shown = [len(job["output"]) for job in json.loads(reply.body)["jobs"]]
    assert len(shown) == 12
    assert max(shown) <= OUTPUT_A_JOB
    assert len(reply.body) < 300 * 1024
    assert len(json.loads(reply.body)["text"]) <= 3_500


async def test_the_end_of_a_rejected_and_of_a_lapsed_request_is_told(inside: House) -> None:
    """Each in its own words; nobody waits for an answer that never comes."""
    rejected = await inside.ask("@web-1 systemctl restart nginx.service")
    await inside.ask(f"reject r{rejected.number} not now", "bob")
    assert "not now" in inside.final(rejected)["text"]
    cancelled = await inside.ask("@web-1 systemctl restart nginx.service")
    await inside.ask(f"cancel r{cancelled.number}")
    texts = {inside.final(request)["text"] for request in (rejected, cancelled)}
    assert len(texts) == 2


async def test_an_unknown_outcome_is_said_to_be_one(inside: House) -> None:
    """Never "did not return": chat hears that it is unknown, and by which job a person settles it."""
    job = await printed(inside, b"half")
    await inside.heard("web-1", Unsure(job.id, "the runner was killed"))
    text = inside.final(inside.request(job.request_id))["text"]
    assert "unknown" in text
    assert job.id[-8:] in text
