"""Accepted messages on a real store: committed before they are confirmed, planned, judged, queued."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from common.link.messages import PROTOCOL
from hub.core.fair_queue import DrainRate
from hub.core.outcome import PlainAnswer, PlanningContext, PlanningOutcome
from hub.engine.effects import Place
from hub.store.cipher import TEXT_MARK
from hub.store.errors import StoreBusy
from tests.hub.hub_harness import JOURNAL, HubHarness


class Planner:
    """A chain that a test speaks for."""

    def __init__(self, say: Callable[[PlanningContext], PlanningOutcome]) -> None:
        self.say = say
        self.asked: list[PlanningContext] = []

    def plan_fast(self, context: PlanningContext) -> PlanningOutcome:
        self.asked.append(context)
        return self.say(context)


@asynccontextmanager
async def planning(harness: HubHarness) -> AsyncIterator[None]:
    """The engine at work."""
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(harness.engine.run())
        try:
            yield
        finally:
            work.cancel()


async def until_planned(harness: HubHarness, request: str) -> None:
    """Waits for the effects of the commit that plans the request."""
    while not any(request in effects.changed for effects in harness.effects):
        await asyncio.sleep(0)


async def test_accept_returns_when_the_message_is_on_disk(harness: HubHarness) -> None:
    """Another connection sees the request and its audit row the moment `accept` is back (P1)."""
    receipt = await harness.accept("@web-1 uptime")
    with sqlite3.connect(harness.database) as db:
        rows = db.execute("SELECT number, person, text FROM requests").fetchall()
        events = db.execute("SELECT subject FROM events WHERE kind = 'message.accepted'").fetchall()
    db.close()
    assert [row[:2] for row in rows] == [(receipt.number, "carol")]
    assert rows[0][2].startswith(TEXT_MARK)
    assert harness.request(receipt.request).text == "@web-1 uptime"
    assert events == [(receipt.request,)]
    assert receipt.status == "accepted"


async def test_a_delivery_that_comes_again_does_nothing(harness: HubHarness) -> None:
    """It is answered as a duplicate: one request, one audit row; the same id from another inlet is another message."""
    await harness.accept("@web-1 uptime", event_id="once")
    again = await harness.accept("@web-1 uptime", event_id="once")
    assert (again.status, again.request) == ("duplicate", "")
    assert len(harness.events("message.accepted")) == 1
    other = await harness.accept("@web-1 uptime", "kim", inlet="quiet", event_id="once")
    assert other.status == "accepted"
    async with planning(harness):
        await until_planned(harness, other.request)
    assert len(harness.read(lambda txn: txn.requests())) == 2


@pytest.mark.parametrize(
    ("text", "more"),
    [("@web-1 reboot", {}), ("@web-1 uptime", {"user": "bob"}), ("@web-1 uptime", {"conversation": "other"})],
)
async def test_other_content_under_a_known_id_is_kept_and_never_run(
    harness: HubHarness, text: str, more: dict[str, str]
) -> None:
    """Words, person or room: a row of its own, refused, whose reply says what to do; the same again is one row."""
    first = await harness.accept("@web-1 uptime", event_id="once")
    harness.effects.clear()
    for _ in range(2):
        edit = await harness.accept(text, event_id="once", **more)
        assert (edit.status, edit.number) == ("changed", first.number)
    (kept,) = [one for one in harness.read(lambda txn: txn.requests()) if one.number != first.number]
    assert (kept.state, kept.rule, kept.text) == (RequestState.REFUSED, "changed", text)
    assert f"id of r{first.number}" in harness.final_reply(kept)["text"]
    assert any(effects.replies for effects in harness.effects)
    assert [event.data["text"] for event in harness.events("message.accepted")] == ["@web-1 uptime", text]
    assert (await harness.accept("@web-1 uptime", event_id="once")).status == "duplicate"


async def test_another_second_factor_code_is_no_other_message(harness: HubHarness) -> None:
    """Codes are masked in the store: what comes again with the next code is the same message."""
    await harness.accept("approve r1 123456", "bob", event_id="once")
    assert (await harness.accept("approve r1 654321", "bob", event_id="once")).status == "duplicate"


async def test_one_talker_does_not_use_up_the_inlet(harness: HubHarness) -> None:
    """Beyond their rate a person waits; others do not, and nothing of it is stored."""
    harness.set_http_limits(person_rate=1)
    taken = [(await harness.accept("@web-1 uptime", event_id=f"c-{number}")) for number in range(12)]
    assert [one.status for one in taken] == ["accepted"] * 10 + ["rate"] * 2
    assert (taken[-1].limited, taken[-1].wait) == ("person", 1.0)
    assert (await harness.accept("@web-1 uptime", "bob")).status == "accepted"
    assert len(harness.read(lambda txn: txn.requests(limit=100))) == 11


async def test_a_bridge_that_repeats_our_words_is_not_answered_for_ever(harness: HubHarness) -> None:
    """What was said to the conversation comes back, quoted and all."""
    said = "I do not know you here: ask an admin to add you to [people]"
    harness.echo_guard.note_reply("ops", "c1", said, harness.clock())
    answers = [(await harness.accept(f"> {said}", conversation="c1")).status for _ in range(8)]
    assert answers == ["accepted"] * 3 + ["echo"] * 5


async def test_the_same_delivery_many_times_at_once_is_one_request(harness: HubHarness) -> None:
    """Platforms retry while we are still committing."""
    receipts = await asyncio.gather(*(harness.accept("@web-1 uptime", event_id="once") for _ in range(20)))
    assert sorted(receipt.status for receipt in receipts) == ["accepted"] + ["duplicate"] * 19


async def test_a_message_that_could_not_be_stored_is_not_confirmed(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes out, so no 2xx is sent; the same delivery is taken when it comes again."""

    async def full(unit: object, *more: object) -> None:
        raise StoreBusy("store: too much waits")

    with monkeypatch.context() as broken:
        broken.setattr(harness.store, "write", full)
        with pytest.raises(StoreBusy):
            await harness.accept("@web-1 uptime", event_id="once")
    assert (await harness.accept("@web-1 uptime", event_id="once")).status == "accepted"


async def test_the_code_of_an_approval_is_nowhere(harness: HubHarness, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in the store, its audit, its outbox or the log, in whatever way it is written."""
    code = await harness.enrol_totp("bob")
    request = await harness.submit("@web-1 reboot")
    assert request.second_factor
    secret = code()
    await harness.submit(f"approve r{request.number} {secret[:3]} {secret[3:]}", "bob")
    assert harness.request(request.id).state is RequestState.WORKING
    other = await harness.submit("@web-1 reboot")
    await harness.submit(f"批准 r{other.number} {secret}", "bob")
    written = b"".join(file.read_bytes() for file in harness.database.parent.iterdir())
    for spelled in (secret, f"{secret[:3]} {secret[3:]}"):
        assert spelled.encode() not in written
        assert spelled not in "".join(capsys.readouterr())
    assert any("******" in event.data.get("text", "") for event in harness.events("message.accepted"))


async def test_who_is_nobody_is_told_how_to_become_somebody(harness: HubHarness) -> None:
    """The refusal names the identity that an admin has to add; nothing is planned."""
    request = await harness.submit("@web-1 uptime", "mallory")
    assert (request.state, request.rule, request.person) == (RequestState.REFUSED, "unknown_person", "")
    assert "answerback-hub people link NAME ops:mallory" in harness.final_reply(request)["text"]
    assert [event.actor for event in harness.events(subject=request.id)] == ["ops:mallory"] * 2


async def test_who_is_nobody_is_told_so_now_and_then(harness: HubHarness) -> None:
    """Twice in a conversation, then not before ten minutes are over: nothing is stored, no reply storm. A name that a
    shell would act upon is quoted for it.
    """
    told = [(await harness.accept("hello", "x; reboot")).status for _ in range(6)]
    assert told == ["accepted"] * 2 + ["ignored"] * 4
    assert (await harness.accept("hello", "x; reboot", conversation="other")).status == "accepted"
    harness.clock.advance(601)
    request = await harness.submit("hello", "x; reboot")
    assert "link NAME 'ops:x; reboot'" in harness.final_reply(request)["text"]
    chinese = harness.final_reply(await harness.submit("你好", "y"))["text"]
    assert "answerback-hub people link NAME ops:y" in chinese
    assert "我不认识您" in chinese


async def test_a_picture_without_words_is_answered_honestly(harness: HubHarness) -> None:
    """Nothing reads pictures yet; with words beside it the words are planned."""
    assert (await harness.submit(" ", images=(b"png",))).rule == "images"
    assert (await harness.submit("@web-1 uptime", images=(b"png",))).state is RequestState.WORKING


async def test_the_language_of_the_message_is_the_language_of_the_answer(harness: HubHarness) -> None:
    """A Chinese message is refused in Chinese."""
    request = await harness.submit("@web-9 磁盘")
    assert request.language == "zh"
    assert "web-9" in harness.final_reply(request)["text"]
    assert "没有" in harness.final_reply(request)["text"]


async def test_what_was_accepted_is_planned_by_itself(harness: HubHarness) -> None:
    """The planners take it from there."""
    async with planning(harness):
        receipt = await harness.accept("@web-1 uptime")
        await until_planned(harness, receipt.request)
    assert harness.request(receipt.request).state is RequestState.WORKING
    assert dict(harness.effects[-1].stages)["plan"] == 0.0


async def test_after_a_restart_what_was_not_planned_is_swept_up(harness: HubHarness) -> None:
    """Accepted, then the hub died: the next one plans it (S3), once, however often it sweeps."""
    requests = [harness.leave_unplanned("@web-1 uptime") for _ in range(3)]
    await harness.restart()
    await harness.engine.intake.sweep()
    await harness.engine.intake.sweep()
    async with planning(harness):
        for request in requests:
            await until_planned(harness, request.id)
        await harness.engine.intake.sweep()
    assert [len(harness.jobs(request)) for request in requests] == [1, 1, 1]


async def test_a_sweep_does_not_overtake_the_message_it_finds(harness: HubHarness) -> None:
    """A sweep that sees a message in the moment of its commit leaves it to `accept`, which has the code; planned from
    the stored text, the approval would have lost it.
    """
    code = await harness.enrol_totp("bob")
    request = await harness.submit("@web-1 reboot")
    write = harness.store.write

    async def write_and_sweep(unit: Any, *more: Any) -> Any:
        result = await write(unit, *more)
        await harness.engine.intake.sweep()
        return result

    harness.store.write = write_and_sweep  # type: ignore[method-assign]
    await harness.accept(f"approve r{request.number} {code()}", "bob")
    harness.store.write = write  # type: ignore[method-assign]
    async with planning(harness):
        while harness.request(request.id).state is RequestState.ASKING:
            await asyncio.sleep(0)
    assert harness.request(request.id).state is RequestState.WORKING


async def test_a_code_that_was_lost_with_the_hub_is_asked_for_again(harness: HubHarness) -> None:
    """The stored text has none: a restart between accepting and planning costs the person the code, not the truth."""
    request = await harness.submit("@web-1 reboot")
    harness.leave_unplanned(f"approve r{request.number} 123456", "bob")
    await harness.restart()
    await harness.engine.intake.sweep()
    async with planning(harness):
        await until_planned(harness, harness.read(lambda txn: txn.requests(limit=1))[0].id)
    newest = harness.read(lambda txn: txn.requests(limit=1))[0]
    assert newest.rule == "act"
    assert f"r{request.number}" in harness.final_reply(newest)["text"]


async def test_a_message_that_the_hub_fails_on_is_refused_once(harness: HubHarness) -> None:
    """A fault of ours must not be tried for ever, nor leave the person without a word."""

    def fail(context: PlanningContext) -> PlanningOutcome:
        raise RuntimeError("a fault of ours")

    harness.chain = Planner(fail)  # type: ignore[assignment]
    async with planning(harness):
        receipt = await harness.accept("anything")
        await until_planned(harness, receipt.request)
        await harness.engine.intake.sweep()
    request = harness.request(receipt.request)
    assert (request.state, request.rule) == (RequestState.REFUSED, "hub")
    assert len(harness.chain.asked) == 1  # type: ignore[attr-defined]
    assert "its log says why" in harness.final_reply(request)["text"]


async def test_trouble_of_the_store_is_waited_out(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request stays and a later sweep plans it; it is not the message's fault."""
    write, failures = harness.store.write, iter([True])

    async def busy_once(unit: Any, *more: Any) -> Any:
        if next(failures, False):
            raise StoreBusy("store: too much waits")
        return await write(unit, *more)

    request = harness.leave_unplanned("@web-1 uptime")
    monkeypatch.setattr(harness.store, "write", busy_once)
    async with planning(harness):
        await harness.engine.intake.sweep()
        while request.id in harness.engine.intake._pending_ids:
            await asyncio.sleep(0)
        assert harness.request(request.id).state is RequestState.RECEIVED
        await harness.engine.intake.sweep()
        await until_planned(harness, request.id)
    assert harness.request(request.id).state is RequestState.WORKING


async def test_planning_again_has_no_effect(harness: HubHarness) -> None:
    """Whoever plans second finds it planned: one set of jobs."""
    request = await harness.submit("@web-1 uptime")
    await harness.engine.intake.plan(request, "@web-1 reboot")
    assert harness.request(request.id) == request
    assert len(harness.jobs(request)) == 1


async def test_the_planners_see_the_person_and_the_machines(harness: HubHarness) -> None:
    """Text, roles and inventory of this moment."""
    harness.chain = Planner(lambda context: PlainAnswer("ok"))  # type: ignore[assignment]
    await harness.submit("hello there", "bob")
    (context,) = harness.chain.asked  # type: ignore[attr-defined]
    assert (context.text, context.person, context.roles) == ("hello there", "bob", ("approver",))
    assert list(context.inventory.machines) == ["web-1"]


async def test_where_only_commands_are_answered(harness: HubHarness) -> None:
    """A command of its own, and an answer to what we asked; what people say to each other gets silence."""
    inlets = {name: replace(inlet, answer="commands") for name, inlet in harness.config.inlets.items()}
    harness.engine.intake.configure(replace(harness.config, inlets=inlets))

    async def say(text: str, user: str = "carol", **more: Any) -> str:
        return (await harness.accept(text, user, addressed=False, **more)).status

    for text in ("hello everybody", "@bob lunch?", "yes", "web-1", "disk on web-1", "help"):
        assert await say(text) == "ignored", text
    assert harness.read(lambda txn: txn.requests()) == []
    assert await say("@web-1 uptime") == "accepted"
    assert (await harness.accept("help")).status == "accepted"  # to the bot itself
    asking = await harness.submit("@web-1 reboot", addressed=False)
    assert asking.state is RequestState.ASKING
    assert await say("yes", "bob") == "accepted"
    assert await say("yes", "bob", conversation="elsewhere") == "ignored"
    assert (await harness.submit("disk", conversation="elsewhere")).state is RequestState.REFUSED
    assert await say("web-1", "bob", conversation="elsewhere") == "ignored"
    assert await say("web-1", conversation="elsewhere") == "accepted"


# ---- in one commit


async def test_what_is_understood_at_once_is_one_commit(harness: HubHarness) -> None:
    """Accepted, planned, judged, queued and leased where the machine's link holds a place: one unit, one commit."""
    held = holding(harness)
    units, commits = harness.store.units, harness.store.commits
    receipt = await harness.accept("@web-1 uptime")
    assert (harness.store.units - units, harness.store.commits - commits) == (1, 1)
    request = harness.request(receipt.request)
    (job,) = harness.jobs(request)
    assert (request.state, job.state) == (RequestState.WORKING, JobState.LEASED)
    effects = harness.effects[-1]
    ((leased),) = effects.leased
    assert [order.job for order in leased.orders] == [job.id]
    assert (effects.wake, held) == (set(), [])
    chain = ["message.accepted", "plan.judged", "jobs.queued"]
    assert (harness.kinds(request.id), harness.kinds(job.id)) == (chain, ["job.dispatched"])
    assert [stage for stage, _ in effects.stages] == ["plan", "queue", "wait", "think"]


async def test_who_stands_before_in_the_queue_is_handed_out_first(harness: HubHarness) -> None:
    """A place is for the queue's first; the machine is woken for the rest."""
    first = await harness.queued_job(user="dave")
    harness.clock.advance(1)
    holding(harness)
    receipt = await harness.accept("@web-1 uptime")
    ((leased),) = harness.effects[-1].leased
    assert [order.job for order in leased.orders] == [first.id]
    assert harness.jobs(harness.request(receipt.request))[0].state is JobState.QUEUED
    assert harness.effects[-1].wake == {"web-1"}


@pytest.mark.parametrize("why", ["machine", "queue", "many"])
async def test_what_may_not_be_handed_out_is_not_leased_either(harness: HubHarness, why: str) -> None:
    """A paused machine or queue; and a plan for many machines is left to their links."""
    holding(harness)
    line = "@web-1 uptime"
    if why == "machine":
        await harness.change_machine("web-1", paused_at=harness.clock.now)
    elif why == "queue":
        harness.write(lambda txn: txn.pause_queue("bob", harness.clock.now, "deploy", harness.clock.now + 60))
    else:
        for number in range(2, 10):
            await harness.add_machine(f"web-{number}")
        line = "@web-* uptime"
    receipt = await harness.accept(line)
    assert {job.state for job in harness.jobs(harness.request(receipt.request))} == {JobState.QUEUED}
    assert harness.effects[-1].leased == []


async def test_a_fault_in_what_follows_costs_the_message_nothing(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is accepted all the same, once, and refused with a word; what the store said no to comes out as that."""

    def fail(*args: object) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr(harness.engine.dispatcher, "lease_in", fail)
        receipt = await harness.accept("@web-1 uptime", event_id="once")
    request = harness.request(receipt.request)
    assert (request.state, request.rule, harness.jobs(request)) == (RequestState.REFUSED, "hub", [])
    assert harness.kinds(request.id) == ["message.accepted", "request.refused"]
    assert (await harness.accept("@web-1 uptime", event_id="once")).status == "duplicate"


async def test_who_piles_up_is_asked_to_come_again_and_nobody_else(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is stored: the sender with the pile. Others, and acts, are taken, and before the pile."""
    harness.set_http_limits(person_rate=10_000, conversation_rate=10_000)
    await harness.restart()
    intake = harness.engine.intake
    monkeypatch.setattr(intake._line, "_rate", DrainRate(0.1))
    request = await harness.submit("@web-1 reboot")
    async with asyncio.TaskGroup() as tasks:
        flood = [tasks.create_task(harness.accept("@web-1 uptime", "dave")) for _ in range(60)]
        await asyncio.sleep(0)
        other = tasks.create_task(harness.accept("@web-1 uptime"))
        act = tasks.create_task(harness.accept(f"cancel r{request.number}"))
    said = [each.result() for each in flood]
    taken = [one.number for one in said if one.status == "accepted"]
    assert {one.status for one in said} == {"accepted", "busy"}
    assert all(one.wait > 2.0 for one in said if one.status == "busy")
    assert (other.result().status, act.result().status) == ("accepted", "accepted")
    before = [number for number in taken if number < max(other.result().number, act.result().number)]
    assert len(before) <= 1  # of one sender one at a time
    assert len(harness.read(lambda txn: txn.requests(limit=200))) == len(taken) + 3


def holding(harness: HubHarness) -> list[Place]:
    """Links that hold a place for whatever comes; those that are held now."""
    held: list[Place] = []

    def hold(agent: str) -> Place:
        held.append(Place(agent, "S", JOURNAL, PROTOCOL, ""))
        return held[-1]

    harness.engine.places.hold, harness.engine.places.free = hold, held.remove
    return held
