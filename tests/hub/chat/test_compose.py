"""What is said to chat, and when."""

from __future__ import annotations

import json

from common.lifecycle import RequestState
from common.link.messages import Accepted, Output, Started, Unsure
from hub.chat.compose import MAX_JOB_OUTPUT, TAIL_CHUNKS
from hub.chat.platforms.base import ReplyContent, ReplyFile
from hub.chat.platforms.deadlines import TellsDeadline
from hub.chat.platforms.registry import built_in, implementation
from hub.core.records import Job
from hub.engine.unit_of_work import UnitOfWork
from tests.hub.hub_harness import NOW, REPLY_URL, HubHarness, ended_message


async def printed(harness: HubHarness, *chunks: bytes, line: str = "@web-1 uptime") -> Job:
    """A running job that has printed so much."""
    job = await harness.leased_job(line)
    words = [Output(job.id, seq, 1, chunk, NOW) for seq, chunk in enumerate(chunks, 1)]
    await harness.handle_agent_events(job.agent, Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW), *words)
    return harness.job(job.id)


async def told_of_progress(harness: HubHarness, job: Job) -> bool:
    said: list[bool] = []

    def unit(change: UnitOfWork) -> None:
        request = change.txn.request(job.request_id)
        assert request is not None
        said.append(harness.composer.enqueue_progress(change.txn, request, job, change.now))

    await harness.change(unit)
    return said[0]


async def test_a_reply_goes_where_the_message_came_from(harness: HubHarness) -> None:
    """Address, conversation, the message it answers, the request, each job: all a platform needs."""
    job = await printed(harness, b"up 1 day\n")
    await harness.handle_agent_events("web-1", ended_message(job.id, chunks=1, output_bytes=9))
    request = harness.request(job.request_id)
    (reply,) = harness.replies(request)
    assert (reply.url, reply.inlet, reply.kind, reply.state) == (REPLY_URL, "ops", "final", "pending")
    body = json.loads(reply.body)
    assert (body["in_reply_to"], body["conversation"]) == (request.event_id, "room")
    assert body["request"] == {"id": request.id, "number": request.number, "state": "done"}
    (shown,) = body["jobs"]
    assert (shown["argv"], shown["exit_code"], shown["output"]) == (["/usr/bin/uptime"], 0, "up 1 day\n")
    assert harness.effects[-1].replies


async def test_a_message_without_an_address_is_answered_to_nobody(harness: HubHarness) -> None:
    """Its outcome is in the store for whoever asks."""
    request = await harness.submit("@web-1 uptime", reply_url="")
    await harness.claim()
    (job,) = harness.jobs(request)
    await harness.handle_agent_events("web-1", ended_message(job.id))
    await harness.submit("@web-1 bash", reply_url="")
    await harness.submit("help", reply_url="")
    assert harness.request(request.id).state is RequestState.DONE
    assert harness.replies() == []


async def test_what_may_be_done_next_is_said_with_it(harness: HubHarness) -> None:
    """Buttons: approve and reject while it waits for people, cancel while it works, none at the end."""
    await harness.add_machine("db-1", online=False)
    asking = await harness.submit("@web-1 systemctl restart nginx.service")
    assert harness.reply_body(asking, "question")["actions"] == ["approve", "reject"]
    working = await harness.submit("@db-1 uptime")
    assert harness.reply_body(working, "progress")["actions"] == ["cancel"]
    assert harness.final_reply(await harness.submit("help"))["actions"] == []


async def test_progress_shows_the_end_of_what_was_printed(harness: HubHarness) -> None:
    """Of a long output the newest lines, not the first ones."""
    lines = [f"line {number}\n".encode() for number in range(1, TAIL_CHUNKS * 3)]
    job = await printed(harness, *lines)
    harness.clock.advance(40)
    assert await told_of_progress(harness, job)
    body = harness.reply_body(harness.request(job.request_id), "progress")
    assert f"line {TAIL_CHUNKS * 3 - 1}" in body["text"]
    assert "line 2\n" not in body["text"]
    assert body["jobs"][0]["state"] == "running"


async def test_an_inlet_that_takes_one_reply_hears_no_progress(harness: HubHarness) -> None:
    """It says so by its answer, and nothing is written."""
    request = await harness.submit("@web-1 uptime", "kim", inlet="quiet")
    await harness.claim()
    (job,) = harness.jobs(request)
    await harness.handle_agent_events("web-1", Started(job.id, 7, NOW))
    assert not await told_of_progress(harness, harness.job(job.id))
    assert harness.replies(request) == []
    await harness.handle_agent_events("web-1", ended_message(job.id))
    assert harness.reply_kinds(request) == ["final"]


async def test_hostile_output_reaches_no_screen(harness: HubHarness) -> None:
    """Control bytes are gone from what chat is told, in the text and beside it (S11)."""
    job = await printed(harness, b"\x1b[2Jgone\x07 @everyone \xff\xfe\r\nnext\x00\n")
    await harness.handle_agent_events("web-1", ended_message(job.id, chunks=1, output_bytes=30))
    body = harness.final_reply(harness.request(job.request_id))
    for text in (body["text"], body["jobs"][0]["output"]):
        assert not {char for char in text if (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160}
    assert "gone" in body["jobs"][0]["output"]


async def test_a_reply_is_bounded_whatever_the_machines_printed(harness: HubHarness) -> None:
    """The beginning of each output up to a share; the whole reply up to a sum."""
    names = [f"node-{number:02}" for number in range(12)]
    for name in names:
        await harness.add_machine(name)
    request = await harness.submit("@node-* uptime")
    for job in harness.jobs(request):
        await harness.claim(job.agent)
        chunks = [Output(job.id, seq, 1, b"x" * 32_000, NOW) for seq in range(1, 5)]
        await harness.handle_agent_events(job.agent, *chunks, ended_message(job.id, chunks=4, output_bytes=128_000))
    (reply,) = harness.replies(request)
    shown = [len(job["output"]) for job in json.loads(reply.body)["jobs"]]
    assert len(shown) == 12
    assert max(shown) <= MAX_JOB_OUTPUT
    assert len(reply.body) < 300 * 1024
    assert len(json.loads(reply.body)["text"]) <= 3_500


async def test_the_end_of_a_rejected_and_of_a_lapsed_request_is_told(harness: HubHarness) -> None:
    """Each in its own words; nobody waits for an answer that never comes."""
    rejected = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"reject r{rejected.number} not now", "bob")
    assert "not now" in harness.final_reply(rejected)["text"]
    cancelled = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"cancel r{cancelled.number}")
    texts = {harness.final_reply(request)["text"] for request in (rejected, cancelled)}
    assert len(texts) == 2


async def test_an_unknown_outcome_is_said_to_be_one(harness: HubHarness) -> None:
    """Never "did not return": chat hears that it is unknown, and by which job a person settles it."""
    job = await printed(harness, b"half")
    await harness.handle_agent_events("web-1", Unsure(job.id, "the runner was killed"))
    text = harness.final_reply(harness.request(job.request_id))["text"]
    assert "unknown" in text
    assert job.id[-8:] in text


async def test_with_cards_each_reply_is_the_whole_state(harness: HubHarness) -> None:
    """Question, start, what some machines said, the end: each with the commands and who approved; and the thread."""
    harness.composer._with_cards = frozenset({"ops"})
    asking = await harness.submit("@web-1 systemctl restart nginx.service", thread="t1")
    question = harness.reply_body(asking, "question")
    assert (question["card"], question["thread"], question["language"]) == (True, "t1", "en")
    assert question["deadline"] == harness.request(asking.id).decide_by
    await harness.submit(f"approve r{asking.number}", "bob")
    started = harness.reply_body(asking, "progress")
    assert started["actions"] == ["cancel"]
    assert "nginx.service` on web-1" in started["text"]
    assert "Approved by bob." in started["text"]
    await harness.claim()
    (job,) = harness.jobs(asking)
    await harness.handle_agent_events(
        "web-1",
        Accepted(job.id, job.plan_hash),
        Started(job.id, 7, NOW),
        Output(job.id, 1, 1, b"restarted\n", NOW),
        ended_message(job.id, chunks=1, output_bytes=10),
    )
    final = harness.final_reply(harness.request(asking.id))
    assert final["actions"] == ["more", "retry"]
    assert "restarted" in final["text"]
    assert final["text"].endswith("Approved by bob.")


async def test_the_deadline_is_said_once(harness: HubHarness) -> None:
    """By the text, in UTC, unless the chat's card tells it by the reader's own clock; both know it (`deadline`)."""
    texts = []
    for cards, told in ((("ops",), ()), (("ops",), ("ops",)), ((), ("ops",))):
        harness.composer._with_cards, harness.composer._with_deadlines = frozenset(cards), frozenset(told)
        asking = await harness.submit("@web-1 systemctl restart nginx.service")
        body = harness.reply_body(asking, "question")
        assert ("deadline" in body) == bool(cards)
        texts.append(body["text"])
    assert ["UTC" in text for text in texts] == [True, False, True]
    assert "Needs one approval" in texts[1]


def test_platforms_say_whether_they_tell_it() -> None:
    """Those whose chat has a mark for a time, and no others."""
    kinds = {name: implementation(kind) for name, kind in built_in().items()}
    told = {name for name, made in kinds.items() if isinstance(made, TellsDeadline)}
    assert told == {"discord", "feishu", "slack", "telegram"}


async def test_what_a_click_did_is_seen_on_the_card(harness: HubHarness) -> None:
    """A click that was taken gets no words of its own; one that was refused says why."""
    harness.composer._with_cards = frozenset({"ops"})
    asking = await harness.submit("@web-1 systemctl restart nginx.service")
    refused = await harness.submit(f"approve r{asking.number}", button=True)
    assert "may not" in harness.final_reply(refused)["text"] or "yourself" in harness.final_reply(refused)["text"]
    taken = await harness.submit(f"reject r{asking.number}", button=True, user="bob")
    assert harness.replies(harness.request(taken.id)) == []
    assert harness.final_reply(harness.request(asking.id))["card"]


async def test_a_file_is_asked_for_by_its_request_alone(harness: HubHarness) -> None:
    """The answer is one reply that names whose output it brings, in the language of who asked; the output is not in the
    outbox.
    """
    harness.composer._with_files = frozenset({"ops"})
    job = await printed(harness, b"a line of output\n" * 1_900, b"another line\n" * 2_000)
    number = harness.request(job.request_id).number
    asked = await harness.submit(f"文件 r{number}", "vera", thread="t1")
    (reply,) = harness.replies(asked)
    assert len(reply.body) < 600
    body = json.loads(reply.body)
    assert body["file"] == {"request": job.request_id, "number": number}
    assert (body["text"], body["language"], body["thread"]) == (f"r{number} 的输出：", "zh", "t1")
    assert (reply.kind, body["request"]["state"], body["request"]["number"]) == ("final", "done", asked.number)
    assert harness.request(asked.id).state is RequestState.DONE
    assert "as a file: file r" in await harness.reply_text(f"more r{number}")
    content = ReplyContent.from_json(reply.body)
    assert content.file == ReplyFile(job.request_id, number)
    assert content.to_json() == reply.body


async def test_where_no_file_can_be_given_the_answer_says_why(harness: HubHarness) -> None:
    """A chat without files, a request that printed nothing, one whose output is gone, one that is not there; and who
    may not look at jobs may not have them as a file.
    """
    job = await printed(harness, b"words\n")
    number = harness.request(job.request_id).number
    assert f"takes no files from me. Page by page: more r{number}" in await harness.reply_text(f"file r{number}")
    harness.composer._with_files = frozenset({"ops"})
    silent = await harness.queued_job()
    quiet = harness.request(silent.request_id).number
    assert "printed nothing yet" in await harness.reply_text(f"file r{quiet}")
    assert "no request r999" in await harness.reply_text("file r999")
    assert harness.replies(await harness.submit(f"file r{number}", reply_url="")) == []
    stranger = await harness.submit(f"file r{number}", "mallory")
    assert '"file":{' not in "".join(reply.body for reply in harness.replies(stranger))
    await harness.handle_agent_events("web-1", ended_message(job.id, chunks=1, output_bytes=6))
    harness.write(lambda txn: txn.drop_output(NOW + 10))
    assert "not kept any more" in await harness.reply_text(f"file r{number}")


async def test_the_first_of_two_approvals_is_seen_on_the_card(harness: HubHarness) -> None:
    """It still asks, and has its buttons."""
    harness.composer._with_cards = frozenset({"ops"})
    harness.add_rule("both", verdict="ask", more="approvers = 2")
    asking = await harness.submit("@web-1 both")
    await harness.submit(f"approve r{asking.number}", "bob")
    card = harness.reply_body(asking, "progress")
    assert "1 of 2" in card["text"]
    assert card["text"].endswith("Approved by bob.")
    assert card["actions"] == ["approve", "reject"]
    assert card["request"]["code"] == harness.reply_body(asking, "question")["request"]["code"]
