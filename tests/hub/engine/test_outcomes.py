"""What comes of a message once it is understood: judged, asked about, queued, refused."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import RequestState
from common.plan import MAX_ARGS, MAX_ENV, Plan, Step, plan_hash
from hub.core.approval import approval_code
from hub.core.outcome import PlainAnswer, Planned
from hub.core.records import Agent
from tests.hub.engine.test_intake import Planner
from tests.hub.hub_harness import HubHarness


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
