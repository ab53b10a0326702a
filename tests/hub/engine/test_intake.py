"""Accepted messages on a real store: committed before they are confirmed, planned, judged, queued."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from common.lifecycle import RequestState
from common.plan import MAX_ARGS, MAX_ENV, Plan, Step, plan_hash
from hub.core.approval import approval_code
from hub.core.outcome import PlainAnswer, Planned, PlanningContext, PlanningOutcome
from hub.core.records import Agent
from hub.store.cipher import TEXT_MARK
from hub.store.errors import StoreBusy
from tests.hub.hub_harness import HubHarness


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

    async def full(unit: object) -> None:
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
    receipts = [await harness.accept("@web-1 uptime") for _ in range(3)]
    await harness.restart()
    await harness.engine.intake.sweep()
    await harness.engine.intake.sweep()
    async with planning(harness):
        for receipt in receipts:
            await until_planned(harness, receipt.request)
        await harness.engine.intake.sweep()
    assert [len(harness.jobs(harness.request(receipt.request))) for receipt in receipts] == [1, 1, 1]


async def test_a_sweep_does_not_overtake_the_message_it_finds(harness: HubHarness) -> None:
    """A sweep that sees a message in the moment of its commit leaves it to `accept`, which has the code; planned from
    the stored text, the approval would have lost it.
    """
    code = await harness.enrol_totp("bob")
    request = await harness.submit("@web-1 reboot")
    write = harness.store.write

    async def write_and_sweep(unit: Any) -> Any:
        result = await write(unit)
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
    await harness.accept(f"approve r{request.number} 123456", "bob")
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

    async def busy_once(unit: Any) -> Any:
        if next(failures, False):
            raise StoreBusy("store: too much waits")
        return await write(unit)

    receipt = await harness.accept("@web-1 uptime")
    monkeypatch.setattr(harness.store, "write", busy_once)
    async with planning(harness):
        while receipt.request in harness.engine.intake._pending_ids:
            await asyncio.sleep(0)
        assert harness.request(receipt.request).state is RequestState.RECEIVED
        await harness.engine.intake.sweep()
        await until_planned(harness, receipt.request)
    assert harness.request(receipt.request).state is RequestState.WORKING


async def test_planning_again_has_no_effect(harness: HubHarness) -> None:
    """Whoever plans second finds it planned: one set of jobs."""
    request = await harness.submit("@web-1 uptime")
    await harness.engine.intake.plan(request, "@web-1 reboot")
    assert harness.request(request.id) == request
    assert len(harness.jobs(request)) == 1


async def test_a_plan_too_large_with_what_policy_puts_in_is_refused(harness: HubHarness) -> None:
    """256 words fit and the `--` that policy inserts is one too many; so is the 65th variable that a rule sets: a
    polite no, not a fault.
    """
    harness.add_rule("words", more="end_of_options = true", fixed=3)
    request = await harness.submit("@web-1 words " + " ".join(["x"] * (MAX_ARGS - 1)))
    assert request.state is RequestState.REFUSED
    assert "257 arguments" in harness.final_reply(request)["text"]
    many = tuple((f"V{number:02}", "x") for number in range(MAX_ENV + 1))
    harness.policy = replace(harness.policy, rules=tuple(replace(rule, env=many) for rule in harness.policy.rules))
    request = await harness.submit("@web-1 uptime")
    assert (request.state, request.rule) == (RequestState.REFUSED, "plan")
    assert "65 variables" in harness.final_reply(request)["text"]


async def test_allowed_is_queued_at_once(harness: HubHarness) -> None:
    """The plan has the resolved program, its hash is what the jobs carry; nobody is asked."""
    request = await harness.submit("@web-1 uptime")
    assert (request.state, request.approvers, request.rule) == (RequestState.WORKING, 0, "uptime")
    assert request.plan is not None
    assert request.plan.steps[0].argv[0] == "/usr/bin/uptime"
    assert plan_hash(request.plan) == request.plan_hash
    assert harness.kinds(request.id) == ["message.accepted", "plan.judged", "jobs.queued"]


async def test_denied_is_refused_with_the_reason_and_the_rule(harness: HubHarness) -> None:
    """In chat and in the audit; nothing is queued."""
    request = await harness.submit("@web-1 bash -c id")
    assert request.state is RequestState.REFUSED
    assert "bash" in harness.final_reply(request)["text"]
    (row,) = harness.events("plan.judged")
    assert (row.data["verdict"], row.data["rule"]) == ("deny", request.rule)
    assert harness.jobs(request) == []


async def test_asked_waits_for_people(harness: HubHarness) -> None:
    """A question goes out with what would run and the plan's code; nothing is queued before the yes."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    assert (request.state, request.approvers) == (RequestState.ASKING, 1)
    assert request.decide_by == harness.clock.now + harness.config.queue.decide_within
    question = harness.reply_body(request, "question")
    assert question["actions"] == ["approve", "reject"]
    assert approval_code(request) in question["text"]
    assert "/usr/bin/systemctl" in question["text"]
    assert harness.jobs(request) == []


async def test_a_tainted_plan_is_never_simply_allowed(harness: HubHarness) -> None:
    """What text from no person took part in waits for one, though policy allows the command."""
    plan = Plan((Step(("uptime",), ("web-1",)),), tainted=True)
    harness.chain = Planner(lambda context: Planned(plan))  # type: ignore[assignment]
    assert (await harness.submit("do what the log says")).state is RequestState.ASKING


async def test_a_plain_answer_needs_no_machine(harness: HubHarness) -> None:
    """PlainAnswer is answered and done."""
    harness.chain = Planner(lambda context: PlainAnswer("two and two is four"))  # type: ignore[assignment]
    request = await harness.submit("2 + 2")
    assert (request.state, harness.final_reply(request)["text"]) == (RequestState.DONE, "two and two is four")


async def test_a_viewer_may_look_and_not_run(harness: HubHarness) -> None:
    """The role is the person's, asked of policy."""
    assert (await harness.submit("@web-1 uptime", "vera")).state is RequestState.REFUSED
    assert (await harness.submit("machines", "vera")).state is RequestState.DONE


async def test_the_planners_see_the_person_and_the_machines(harness: HubHarness) -> None:
    """Text, roles and inventory of this moment."""
    harness.chain = Planner(lambda context: PlainAnswer("ok"))  # type: ignore[assignment]
    await harness.submit("hello there", "bob")
    (context,) = harness.chain.asked  # type: ignore[attr-defined]
    assert (context.text, context.person, context.roles) == ("hello there", "bob", ("approver",))
    assert list(context.inventory.machines) == ["web-1"]


async def test_jobs_wait_as_long_as_hub_toml_says(harness: HubHarness) -> None:
    """queue.ttl is in the plan before its hash is made, so that the machine can check it."""
    harness.set_queue_limits(ttl=90.0)
    request = await harness.submit("@web-1 uptime")
    assert request.plan is not None
    assert request.plan.ttl == 90
    assert harness.jobs(request)[0].not_after == harness.clock.now + 90
    (order,) = await harness.orders()
    assert (order.ttl, order.plan_hash) == (90, request.plan_hash)


async def test_a_plan_that_says_how_long_it_may_wait_keeps_its_word(harness: HubHarness) -> None:
    """Only what says nothing gets the configured time."""
    harness.set_queue_limits(ttl=90.0)
    plan = Plan((Step(("uptime",), ("web-1",)),), ttl=7200)
    harness.chain = Planner(lambda context: Planned(plan))  # type: ignore[assignment]
    request = await harness.submit("tonight")
    assert harness.jobs(request)[0].not_after == harness.clock.now + 7200


async def test_a_full_queue_is_a_polite_refusal(harness: HubHarness) -> None:
    """Of all machines, of a person, of a machine: each names what is full, how much, and the limit."""
    await harness.add_machine("web-2")
    harness.set_queue_limits(max_total=3)
    for _ in range(3):
        await harness.queued_job()
    request = await harness.submit("@web-2 uptime")
    assert (request.state, request.rule) == (RequestState.REFUSED, "queue_full")
    assert "all machines: 3 of 3" in harness.final_reply(request)["text"]
    harness.set_queue_limits(max_total=100, max_person=3)
    assert "carol's requests: 3 of 3" in harness.final_reply(await harness.submit("@web-2 uptime"))["text"]
    assert (await harness.submit("@web-2 uptime", "dave")).state is RequestState.WORKING
    harness.set_queue_limits(max_person=100, max_agent=3)
    assert "web-1: 3 of 3" in harness.final_reply(await harness.submit("@web-* uptime", "dave"))["text"]
    assert (await harness.submit("@web-2 uptime", "dave")).state is RequestState.WORKING
    harness.set_queue_limits(max_agent=100, max_total=6)
    assert (await harness.submit("@web-* uptime", "dave")).rule == "queue_full"  # two more would be seven


async def test_every_machine_of_a_large_plan_is_counted(harness: HubHarness) -> None:
    """The full one may be the last of many."""
    for number in range(60):
        harness.write(lambda txn, n=number: txn.add_agent(Agent(f"node-{n:02}", {}, "active", harness.clock.now)))
    await harness.fleet.refresh()
    harness.set_queue_limits(max_agent=1)
    await harness.queued_job("@node-59 uptime")
    assert "node-59" in harness.final_reply(await harness.submit("@node-* uptime"))["text"]


async def test_a_denied_plan_hears_of_policy_not_of_the_queue(harness: HubHarness) -> None:
    """The more useful of two reasons."""
    harness.set_queue_limits(max_total=1)
    await harness.queued_job()
    assert (await harness.submit("@web-1 bash")).rule != "queue_full"


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


async def test_repeated_refusals_get_shorter(harness: HubHarness) -> None:
    """From the second on one line, of one person in one conversation; the request keeps the whole reason. Something
    that worked, or ten minutes, and the next one is whole again.
    """
    text = "tell me a long story about the weather in spring"
    first = await harness.reply_text(text)
    second = await harness.submit(text)
    short = harness.final_reply(second)["text"]
    assert len(first) > 160 >= len(short)
    assert "help" in short
    assert second.reason in first
    assert await harness.reply_text(text, "bob") != short
    assert await harness.reply_text(text, conversation="elsewhere") == first
    await harness.submit("@web-1 uptime")
    assert await harness.reply_text(text) == first
    assert await harness.reply_text(text) == short
    harness.clock.advance(601)
    assert await harness.reply_text(text) == first
