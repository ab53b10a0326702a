"""The operators' verbs over a real link: who may what, arguments that are none, and that nothing a caller says makes
the hub fail.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, get_type_hints

import pytest

from common.api.verbs import VERBS as DECLARED
from common.lifecycle import JobState, RequestState
from common.link.messages import Accepted, Answer, Call, Output, Push, Report, Started
from hub.api.following import MAX_CHUNKS
from hub.api.verbs import OperatorApi
from hub.core.records import Agent, Person
from hub.links.console import Caller
from tests.hub.api.test_models import models
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import JOURNAL, FakeClock, HubHarness, ended_message
from tests.hub.link_harness import LinkHarness, LinkPeer, serve_links

RESTART = "@web-1 systemctl restart nginx.service"


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


class Counter:
    """A console of somebody's, and its calls."""

    def __init__(self, end: LinkPeer) -> None:
        self.end = end
        self._numbers = itertools.count(1)
        self.pushes: dict[int, list[Any]] = {}

    async def call(self, verb: str, /, **args: Any) -> Answer:
        """The answer; pushes that come meanwhile are kept."""
        number = next(self._numbers)
        await self.end.send(Call(number, verb, args))
        while True:
            message = await self.end.receive()
            if isinstance(message, Push):
                self.pushes.setdefault(message.id, []).append(message.data)
                continue
            assert isinstance(message, Answer)
            assert message.id == number
            return message

    async def ask(self, verb: str, /, **args: Any) -> Any:
        """What a call gives that must go well."""
        answer = await self.call(verb, **args)
        assert answer.code == "", answer
        return answer.data

    async def follow(self, verb: str, /, **args: Any) -> AsyncIterator[Any]:
        """The pushes of a subscription."""
        answer = await self.call(verb, **args)
        assert answer.code == "", answer
        number = answer.id
        for push in self.pushes.pop(number, []):
            yield push
        while True:
            message = await self.end.receive()
            assert isinstance(message, Push), message
            if message.id == number:
                yield message.data


class Hall:
    """The port with all verbs, and a counter for each person who comes."""

    def __init__(self, harness: HubHarness, port: LinkHarness, verbs: OperatorApi) -> None:
        self.inside = harness
        self.port = port
        self.verbs = verbs

    async def of(self, person: str) -> Counter:
        return Counter(await self.port.connect_console(person))


@asynccontextmanager
async def hall(harness: HubHarness) -> AsyncIterator[Hall]:
    async with serve_links(harness) as port, asyncio.TaskGroup() as tasks:
        verbs = OperatorApi(
            store=harness.store,
            engine=harness.engine,
            actions=harness.actions,
            drafts=harness.drafts,
            fleet=harness.fleet,
            people=harness.people,
            hub_id=harness.keys.hub_id,
            clock=harness.clock,
        )
        verbs.register(port.desk)
        harness.fan_out.subscribe(verbs.on_commit)
        running = tasks.create_task(verbs.run())
        try:
            yield Hall(harness, port, verbs)
        finally:
            running.cancel()


# ---- who may what

NOTHING = {"number": 999}
VERBS: dict[str, tuple[str, dict[str, Any]]] = {
    # verb: the lowest role that may, arguments that harm nobody
    "whoami": ("viewer", {}),
    "link_code": ("viewer", {}),
    "requests": ("viewer", {}),
    "request": ("viewer", NOTHING),
    "jobs": ("viewer", {}),
    "job": ("viewer", {"id": "01JZZZZZ"}),
    "search_output": ("viewer", {"job": "01JZZZZZ", "text": "x"}),
    "agents": ("viewer", {}),
    "vitals": ("viewer", {"agent": "web-1"}),
    "queue": ("viewer", {}),
    "targets": ("viewer", {"selector": "web-*"}),
    "complete": ("viewer", {"view": "jobs", "text": "st"}),
    "view": ("viewer", {"view": "jobs"}),
    "overview": ("viewer", {}),
    "inlets": ("viewer", {}),
    "output": ("viewer", {"job": "01JZZZZZ"}),
    "follow": ("viewer", NOTHING),
    "watch": ("viewer", {}),
    "unsubscribe": ("viewer", {"id": 9_999}),
    "audit": ("approver", {}),
    "run": ("operator", {"target": "nowhere", "argv": ["uptime"]}),
    "retry": ("operator", NOTHING),
    "cancel": ("operator", NOTHING),
    "wake": ("operator", {"agent": "nowhere"}),
    "waking": ("viewer", {"agent": "web-1"}),
    "take_back": ("operator", NOTHING),
    "reject": ("operator", NOTHING),  # their own; the right to reject others' is asked for with the request at hand
    "drafts": ("operator", {}),
    "draft": ("operator", NOTHING),
    "propose": ("operator", {**NOTHING, "name": "x"}),
    "reject_draft": ("operator", NOTHING),  # their own, as above
    "accept_draft": ("admin", NOTHING),
    "approve": ("approver", NOTHING),
    "allowed": ("viewer", {}),
    "disallow": ("viewer", {"number": 1}),  # for whom it is; others' are an approver's
    "key_changes": ("viewer", {}),
    "approver_keys": ("viewer", {}),
    "propose_key": ("approver", {"change": "none"}),
    "sign_key": ("approver", {"id": "0" * 16, "key": "0" * 64, "signature": "0" * 128}),
    "withdraw_key": ("approver", {"id": "0" * 16}),
    "passkey_link": ("approver", {}),
    "passkeys": ("viewer", {}),
    "passkey_remove": ("viewer", {"id": "f" * 16}),  # their own
    "edit": ("approver", {**NOTHING, "steps": [], "base_hash": ""}),
    "settle": ("approver", {"job": "01JZZZZZ", "done": True}),
    "priority": ("approver", {"jobs": ["01JZZZZZ"], "priority": 5}),
    "pause": ("approver", {"agent": "nowhere"}),
    "resume": ("approver", {"agent": "nowhere"}),
    "drain": ("approver", {"agent": "nowhere"}),
    "undrain": ("approver", {"agent": "nowhere"}),
}
RANKS = ["nobody", "viewer", "operator", "approver", "admin"]
BY_RANK = dict(zip(RANKS, ["zed", "vera", "carol", "bob", "alice"], strict=True))


def is_refused(answer: Answer) -> bool:
    return answer.code == "refused" or (isinstance(answer.data, dict) and answer.data.get("code") == "no_right")


async def test_every_verb_for_every_role(harness: HubHarness) -> None:
    """The whole matrix, each cell over its own link: refused below the role, and not refused from it on. A verb that
    nobody has put into this table fails the test.
    """
    async with hall(harness) as made:
        assert made.verbs.table.keys() == VERBS.keys()
        for rank, person in BY_RANK.items():
            counter = await made.of(person)
            for verb, (role, args) in VERBS.items():
                answer = await counter.call(verb, **args)
                assert is_refused(answer) is (RANKS.index(rank) < RANKS.index(role)), (rank, verb, answer)
                assert answer.code != "hub", (rank, verb)


async def test_a_verb_that_is_not_in_the_table_is_nobodys(harness: HubHarness) -> None:
    """Nothing is found by name in an object: no attribute, no method, no private thing (Salt 2020-11651)."""
    async with hall(harness) as made:
        counter = await made.of("alice")
        for verb in ("fill", "__class__", "run.__call__", "_office", "after", "table", "", "Run", "x" * 500):
            answer = await counter.call(verb)
            assert (answer.code, answer.data) == ("usage", None)
            assert "no verb" in answer.reason
            assert len(answer.reason) < 200


async def test_rights_are_those_of_this_moment(harness: HubHarness) -> None:
    """A person who loses the role loses it on a link that is open."""
    async with hall(harness) as made:
        counter = await made.of("carol")
        await counter.ask("jobs")
        harness.write(lambda txn: txn.save_person(*_revoked(txn.person("carol"), harness.clock.now)))
        await harness.people.refresh()
        assert is_refused(await counter.call("jobs"))


def _revoked(person: Person | None, now: float) -> tuple[Person, Person]:
    assert person is not None
    return person, replace(person, revoked_at=now)


async def test_what_was_begun_with_a_right_ends_with_it(harness: HubHarness) -> None:
    """The next push of a subscription says so, and is the last."""
    async with hall(harness) as made:
        counter = await made.of("carol")
        pushes = counter.follow("watch")
        first = asyncio.Event()

        async def read() -> list[Any]:
            found = []
            async for push in pushes:
                found.append(push)
                first.set()
                if isinstance(push, dict):
                    return found
            return found

        async with asyncio.TaskGroup() as tasks, asyncio.timeout(45):
            reading = tasks.create_task(read())
            while not made.port.links._consoles:
                await asyncio.sleep(0)
            while not any(link.subscriptions for link in made.port.links._consoles):
                await asyncio.sleep(0)
            await harness.submit("@web-1 uptime")
            await first.wait()
            harness.write(lambda txn: txn.save_person(*_revoked(txn.person("carol"), harness.clock.now)))
            await harness.people.refresh()
            await harness.submit("@web-1 uptime", "dave")
        *events, last = reading.result()
        assert events
        assert "may not watch" in last["error"]
        assert not any(link.subscriptions for link in made.port.links._consoles)


async def test_who_may_watch_may_not_read_the_whole_audit_that_way(harness: HubHarness) -> None:
    """`watch` from a row of the past takes the right to read the audit."""
    await harness.submit("@web-1 uptime")
    async with hall(harness) as made:
        assert is_refused(await (await made.of("vera")).call("watch", after=0))
        events = await anext(aiter((await made.of("bob")).follow("watch", after=0)))
        assert [event["seq"] for event in events] == list(range(1, len(harness.events()) + 1))


# ---- arguments

TEXT = [7, 1.5, True, ["x"], {"x": 1}, b"x", "x" * 70_000]
WHOLE = ["7", 1.5, True, [7], {}, b"7", 2**53 + 1]
LISTS = ["x", 7, True, {}, [], [7], ["x", 7], [None]]
FLAGS = ["yes", 1, 0, [], {}, b""]
NUMBERS = ["7", True, [7], {}, -1.0, 1e18]
ARGUMENTS: dict[str, dict[str, list[Any]]] = {
    "disallow": {"number": [*WHOLE, 0, -1]},
    "key_changes": {"id": TEXT, "limit": [*WHOLE, 0, 65]},
    "approver_keys": {"after": TEXT},
    "propose_key": {"change": [*TEXT, "{}"]},
    "sign_key": {"id": [*TEXT, ""], "key": [*TEXT, "0" * 63], "signature": [*TEXT, "0" * 127]},
    "withdraw_key": {"id": [*TEXT, "", "0" * 15]},
    "passkey_link": {"label": [*TEXT, "x" * 41]},
    "passkey_remove": {"id": [*TEXT, "", "f" * 17]},
    "requests": {
        "states": [*LISTS, ["nonsense"]],
        "limit": WHOLE,
        "before": WHOLE,
        "filter": [*TEXT, "state:(", "x:y"],
    },
    "request": {"number": WHOLE, "id": TEXT},
    "jobs": {"states": [*LISTS, ["nonsense"]], "limit": WHOLE, "agent": TEXT, "person": TEXT, "before": TEXT},
    "job": {"id": [*TEXT, "", "abc", "%%%%", "____"], "after": WHOLE},
    "search_output": {"job": TEXT, "text": [*TEXT, ""]},
    "agents": {"after": TEXT},
    "vitals": {"agent": [*TEXT, "", "nowhere"]},
    "audit": {"after": WHOLE, "limit": WHOLE, "subject": TEXT, "kind": TEXT},
    "targets": {"selector": [*TEXT, "", "web-*,", "=x", "nowhere"]},
    "complete": {"view": [*TEXT, "", "tables"], "text": TEXT, "cursor": WHOLE},
    "run": {
        "target": [*TEXT, "", "*,", "nowhere"],
        "argv": [*LISTS, [""], ["x" * 70_000], ["x"] * 5_000, ["a\0b"]],
        "timeout": [*WHOLE, 0, -1, 10**9],
        "cwd": [*TEXT, "relative", "/a\0b"],
        "expect": [*WHOLE, 0],
        "hold": [*NUMBERS, 61],
        "filters": ["x", [["sh"]], [["grep", "x"]] * 5, [[""]], [[1]], [["grep", "a\0"]], [["head"] * 200]],
    },
    "retry": {"number": WHOLE, "id": TEXT, "job": TEXT},
    "approve": {"number": WHOLE, "id": TEXT, "code": TEXT, "plan_hash": TEXT, "reason": TEXT, "nonce": TEXT},
    "reject": {"number": WHOLE, "id": TEXT, "why": TEXT, "plan_hash": TEXT},
    "edit": {
        "number": WHOLE,
        "steps": ["x", 7, [7], [["x"]], [{}] * 100],
        "base_hash": TEXT,
        "why": TEXT,
        "dry_run": FLAGS,
    },
    "cancel": {"number": WHOLE, "id": TEXT, "job": TEXT, "kill": FLAGS},
    "take_back": {"number": WHOLE, "id": TEXT},
    "settle": {"job": TEXT, "done": [*FLAGS, None]},
    "priority": {"jobs": LISTS, "priority": [*WHOLE, -1, 10, None], "dry_run": FLAGS},
    "draft": {"number": [*WHOLE, 0, -1, None]},
    "propose": {"number": [*WHOLE, 0, None], "name": [*TEXT, "", "two words", "../x", "名字", "-x"], "say": TEXT},
    "accept_draft": {"number": [*WHOLE, 0, None]},
    "reject_draft": {"number": [*WHOLE, 0, None], "why": TEXT},
    "pause": {"agent": TEXT, "selector": TEXT, "reason": TEXT, "until": NUMBERS},
    "resume": {"agent": TEXT, "selector": TEXT},
    "wake": {"agent": [*TEXT, "", "nowhere"]},
    "waking": {"agent": [*TEXT, ""]},
    "drain": {"agent": [*TEXT, ""], "cancel_after": NUMBERS},
    "undrain": {"agent": TEXT},
    "view": {"view": [*TEXT, "tables"], "filter": TEXT, "sort": TEXT, "lo": [*WHOLE, -1], "n": [*WHOLE, 0, 10**6]},
    "output": {"job": TEXT, "after": [*WHOLE, -1]},
    "follow": {"number": WHOLE, "id": TEXT},
    "watch": {"after": WHOLE},
    "unsubscribe": {"id": [*WHOLE, None]},
}


async def test_arguments_that_are_none_are_the_callers_to_mend(harness: HubHarness) -> None:
    """For every argument of every verb whatever cannot be it: told which one, never a fault of the hub's, and the link
    goes on; nothing was queued, paused or decided.
    """
    request = await harness.submit(RESTART)
    job = await harness.queued_job()
    good: dict[str, dict[str, Any]] = {
        **{verb: dict(args) for verb, (_, args) in VERBS.items()},
        "run": {"target": "web-1", "argv": ["uptime"]},
        **{verb: {"job": job.id} for verb in ("settle", "output", "search_output")},
        **{
            verb: {"number": request.number} for verb in ("approve", "reject", "edit", "request", "follow", "take_back")
        },
        "job": {"id": job.id},
        "cancel": {"number": request.number},
        "priority": {"jobs": [job.id], "priority": 5},
        **{verb: {"agent": "web-1"} for verb in ("pause", "resume", "drain", "undrain", "wake")},
    }
    good["settle"]["done"] = True
    good["search_output"]["text"] = "x"
    good["edit"].update(steps=[], base_hash="0" * 64)
    before = harness.read(lambda txn: (txn.requests(), txn.jobs(), txn.agents(), txn.queue_paused()))
    async with hall(harness) as made:
        counter = await made.of("alice")
        for verb, arguments in ARGUMENTS.items():
            for key, values in arguments.items():
                for value in values:
                    answer = await counter.call(verb, **{**good[verb], key: value})
                    told = answer.code or (answer.data or {}).get("code")
                    assert told not in ("", None, "ok", "hub"), (verb, key, value, answer)
        assert await counter.ask("whoami")
    assert harness.read(lambda txn: (txn.requests(), txn.jobs(), txn.agents(), txn.queue_paused())) == before


def test_the_table_of_arguments_is_whole() -> None:
    """Every verb that takes any is in it."""
    without = {"whoami", "link_code", "queue", "overview", "inlets", "drafts", "allowed", "passkeys"}
    assert VERBS.keys() - ARGUMENTS.keys() == without


# ---- asking for work


async def test_a_command_is_asked_for_as_in_chat(harness: HubHarness) -> None:
    """Judged for the caller, with the audit of a message; its answer has the request, the plan and the jobs."""
    async with hall(harness) as made:
        counter = await made.of("carol")
        told = await counter.ask("run", target="web-*", argv=["df", "-h"])
        assert (told["code"], told["state"], told["person"], told["inlet"]) == ("ok", "working", "carol", "console")
        assert told["plan"]["steps"][0]["argv"] == ["/usr/bin/df", "-h"]
        assert [job["agent"] for job in told["jobs"]] == ["web-1"]
        denied = await counter.ask("run", target="web-1", argv=["bash", "-c", "id"])
        assert (denied["code"], denied["state"], denied["jobs"]) == ("denied", "refused", [])
        asking = await counter.ask("run", target="web-1", argv=["systemctl", "restart", "nginx.service"])
        assert (asking["state"], asking["approvers"]) == ("asking", 1)
        harness.set_queue_limits(max_total=1)
        assert (await counter.ask("run", target="web-1", argv=["uptime"]))["code"] == "queue_full"
    kinds = [event.kind for event in harness.events(subject=told["id"])]
    assert kinds == ["message.accepted", "plan.judged", "jobs.queued"]
    assert harness.replies() == []


async def test_a_retry_is_a_new_request_with_a_parent(harness: HubHarness) -> None:
    """Of a whole request or of one job; judged anew for whoever asks; never of what has not ended."""
    await harness.add_machine("web-2")
    request = await harness.submit("@web-* uptime")
    first, second = harness.jobs(request)
    async with hall(harness) as made:
        counter = await made.of("dave")
        assert (await counter.ask("retry", number=request.number))["code"] == "not_ended"
        assert (await counter.ask("retry", job=first.id))["code"] == "not_ended"
        for job in (first, second):
            await harness.claim(job.agent)
            await harness.handle_agent_events(job.agent, ended_message(job.id))
        again = await counter.ask("retry", number=request.number)
        assert (again["parent"], again["person"], again["state"]) == (request.id, "dave", "working")
        assert again["plan_hash"] == request.plan_hash
        assert {job["parent"] for job in again["jobs"]} == {request.id}
        one = await counter.ask("retry", job=second.id)
        assert [(job["agent"], job["parent"]) for job in one["jobs"]] == [("web-2", second.id)]
        asking = await harness.submit(RESTART)
        assert (await counter.ask("retry", number=asking.number))["code"] == "not_ended"
        planless = await harness.submit("help")
        assert (await counter.ask("retry", number=planless.number))["code"] == "no_plan"
    assert harness.job(first.id).state is JobState.SUCCEEDED


# ---- lists and output that are larger than a frame


async def test_output_larger_than_a_frame_is_had_page_by_page(harness: HubHarness) -> None:
    """Two megabytes of it, by `job` and by `follow`: all of it, each chunk once, and then the end."""
    job = await harness.leased_job()
    data = [bytes([seq % 256]) * 32_768 for seq in range(64)]
    for first in range(0, 64, 8):
        words = [Output(job.id, first + n + 1, 1, data[first + n], harness.clock.now) for n in range(8)]
        await harness.handle_agent_events("web-1", *words)
    await harness.handle_agent_events("web-1", ended_message(job.id, chunks=64, output_bytes=64 * 32_768))
    async with hall(harness) as made:
        counter = await made.of("vera")
        chunks: list[Any] = []
        while page := (await counter.ask("job", id=job.id, after=len(chunks)))["output"]:
            assert len(page) <= MAX_CHUNKS
            chunks += page
        assert [chunk["data"] for chunk in chunks] == data
        followed: list[Any] = []
        async for push in counter.follow("follow", id=job.request_id):
            followed += push["output"]
            if push["ended"]:
                break
        assert [chunk["data"] for chunk in followed] == data


async def test_follow_streams_a_job_to_its_end(harness: HubHarness) -> None:
    """From the queue on: each state, each piece of output as it comes, the end, and then nothing more."""
    async with hall(harness) as made:
        counter = await made.of("carol")
        told = await counter.ask("run", target="web-1", argv=["uptime"])
        (job,) = told["jobs"]
        states: list[str] = []
        output = b""
        pushes = counter.follow("follow", id=told["id"])
        plan_hash = told["plan_hash"]
        script = [
            lambda: harness.claim(),
            lambda: harness.handle_agent_events(
                "web-1", Accepted(job["id"], plan_hash), Started(job["id"], 7, harness.clock.now)
            ),
            lambda: harness.handle_agent_events("web-1", Output(job["id"], 1, 1, b"up ", harness.clock.now)),
            lambda: harness.handle_agent_events("web-1", Output(job["id"], 2, 1, b"1 day\n", harness.clock.now)),
            lambda: harness.handle_agent_events("web-1", ended_message(job["id"], chunks=2, output_bytes=9)),
        ]
        async for push in pushes:
            states.append(push["request"]["jobs"][0]["state"])
            output += b"".join(chunk["data"] for chunk in push["output"])
            if push["ended"]:
                break
            await script.pop(0)()
        assert states == ["queued", "leased", "running", "running", "running", "succeeded"]
        assert output == b"up 1 day\n"
        assert push["request"]["state"] == "done"
        assert not any(link.subscriptions for link in made.port.links._consoles)


async def test_a_request_for_hundreds_of_machines_can_be_followed(harness: HubHarness) -> None:
    """Its jobs do not fit one push: they come in several, and all of them have come at the end."""
    names = [f"node-{number:03}" for number in range(400)]
    for name in names:
        harness.write(lambda txn, name=name: txn.add_agent(Agent(name, {}, "active", harness.clock.now)))
    await harness.fleet.refresh()
    request = await harness.submit("@node-* uptime")
    assert request.state is RequestState.WORKING
    for job in harness.jobs(request):
        await harness.claim(job.agent)
        await harness.handle_agent_events(job.agent, ended_message(job.id))
    async with hall(harness) as made:
        counter = await made.of("vera")
        jobs: dict[str, str] = {}
        async for push in counter.follow("follow", id=request.id):
            assert push["request"]["job_count"] >= len(push["request"]["jobs"])
            jobs.update((job["agent"], job["state"]) for job in push["request"]["jobs"])
            if push["ended"]:
                break
        assert jobs == dict.fromkeys(names, "succeeded")
        listed = await counter.ask("jobs", limit=500)
        assert 50 < len(listed) < 400  # what fits; the rest is behind the last
        more = await counter.ask("jobs", limit=500, before=listed[-1]["id"])
        assert more
        assert {job["id"] for job in listed}.isdisjoint(job["id"] for job in more)
        found = more_agents = await counter.ask("agents")
        while more_agents:
            more_agents = await counter.ask("agents", after=found[-1]["name"])
            found = found + more_agents
        assert [agent["name"] for agent in found] == [*names, "web-1"]


async def test_everything_a_console_sees_can_be_said_in_one_frame(harness: HubHarness) -> None:
    """A plan for a thousand machines, and a machine with all the facts that one may have."""
    for number in range(1_000):
        harness.write(lambda txn, n=number: txn.add_agent(Agent(f"node-{n:04}", {}, "active", harness.clock.now)))
    await harness.fleet.refresh()
    request = await harness.submit("@node-* uptime")
    async with hall(harness) as made:
        counter = await made.of("vera")
        shown = await counter.ask("request", number=request.number)
        assert len(shown["plan"]["steps"][0]["targets"]) == 1_000
        assert shown["job_count"] == 1_000
        assert await counter.ask("requests")
        assert (await counter.ask("queue"))["depth"] == 1_000


# ---- looking


async def test_whoami_says_what_i_may(harness: HubHarness) -> None:
    """Roles of the moment, the hub, its clock; each verb with whether it is mine."""
    async with hall(harness) as made:
        told = await (await made.of("carol")).ask("whoami")
        assert (told["person"], told["roles"], told["hub"]) == ("carol", ["operator"], harness.keys.hub_id)
        assert told["verbs"]["run"]["may"] is True
        assert told["verbs"]["approve"] == {"may": False, "role": "approver"}
        assert told["verbs"].keys() >= VERBS.keys()


async def test_the_lists_show_what_there_is(harness: HubHarness) -> None:
    """Requests, jobs, machines, queue and audit, each by its own filter."""
    job = await harness.leased_job()
    asking = await harness.submit(RESTART, "dave")
    await harness.handle_agent_events("web-1", Report(JOURNAL, "boot", {job.id: "accepted"}))
    async with hall(harness) as made:
        counter = await made.of("bob")
        assert [one["number"] for one in await counter.ask("requests", states=["asking"])] == [asking.number]
        assert [one["id"] for one in await counter.ask("jobs", states=["leased"], agent="web-1")] == [job.id]
        assert await counter.ask("jobs", person="dave") == []
        harness.fleet.set_online("web-1")
        (machine,) = await counter.ask("agents")
        assert (machine["name"], machine["online"], machine["queued"]) == ("web-1", True, 0)
        assert (await counter.ask("queue"))["states"]["leased"] == 1
        audited = await counter.ask("audit", kind="plan.", limit=5)
        assert [event["subject"] for event in audited] == [job.request_id, asking.id]
        shown = await counter.ask("request", number=asking.number)
        assert (shown["state"], shown["approvals"]) == ("asking", [])


# ---- the table


@pytest.mark.parametrize("name", list(DECLARED))
async def test_every_declared_verb_has_one_handler_of_its_types(harness: HubHarness, name: str) -> None:
    """By the handler's annotations: it takes what is declared as arguments and gives what is declared as result."""
    endpoint = ApiHarness(harness, models=models(harness)).api.table[name]
    hints = get_type_hints(endpoint.handler)
    assert endpoint.verb is DECLARED[name]
    assert hints == {"caller": Caller, "args": endpoint.verb.args, "return": endpoint.verb.result.hint}
