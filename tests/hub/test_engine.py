"""The engine on a real store: messages in, plans judged, jobs handed out; what is committed before what is said."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from common.identity import identity_in, make_request, new_key
from common.lifecycle import JobState, RequestState
from common.messages import Heartbeat, Join, Refuse, Renew, Renewed
from common.plan import MAX_ARGS, MAX_ENV, Order, Plan, Step, plan_hash
from common.sign import verify
from hub import ca
from hub.engine import MAX_VITALS
from hub.files import read_policy
from hub.plan.outcome import Context, Outcome, Planned, Said
from hub.records import Agent, Person
from hub.store.errors import StoreBusy
from tests.hub.house import House, ended


class Planner:
    """A chain that a test speaks for."""

    def __init__(self, say: Callable[[Context], Outcome]) -> None:
        self.say = say
        self.asked: list[Context] = []

    def at_once(self, context: Context) -> Outcome:
        self.asked.append(context)
        return self.say(context)


@asynccontextmanager
async def planning(inside: House) -> AsyncIterator[None]:
    """The engine at work."""
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(inside.engine.run())
        try:
            yield
        finally:
            work.cancel()


async def until_planned(inside: House, request: str) -> None:
    """Waits for the effects of the commit that plans the request."""
    while not any(request in effects.changed for effects in inside.effects):
        await asyncio.sleep(0)


# ---- messages


async def test_accept_returns_when_the_message_is_on_disk(inside: House) -> None:
    """Another connection sees the request and its audit row the moment `accept` is back (P1)."""
    receipt = await inside.accept("@web-1 uptime")
    with sqlite3.connect(inside.database) as db:
        rows = db.execute("SELECT number, person, text FROM requests").fetchall()
        events = db.execute("SELECT subject FROM events WHERE kind = 'message.accepted'").fetchall()
    db.close()
    assert rows == [(receipt.number, "carol", "@web-1 uptime")]
    assert events == [(receipt.request,)]
    assert receipt.status == "accepted"


async def test_a_delivery_that_comes_again_does_nothing(inside: House) -> None:
    """It is answered as a duplicate: one request, one audit row; the same id from another inlet is another message."""
    await inside.accept("@web-1 uptime", event_id="once")
    again = await inside.accept("@web-1 reboot", event_id="once")
    assert (again.status, again.request) == ("duplicate", "")
    assert len(inside.events("message.accepted")) == 1
    other = await inside.accept("@web-1 uptime", "kim", inlet="quiet", event_id="once")
    assert other.status == "accepted"
    async with planning(inside):
        await until_planned(inside, other.request)
    assert len(inside.read(lambda txn: txn.requests())) == 2


async def test_the_same_delivery_many_times_at_once_is_one_request(inside: House) -> None:
    """Platforms retry while we are still committing."""
    receipts = await asyncio.gather(*(inside.accept("@web-1 uptime", event_id="once") for _ in range(20)))
    assert sorted(receipt.status for receipt in receipts) == ["accepted"] + ["duplicate"] * 19


async def test_a_message_that_could_not_be_stored_is_not_confirmed(
    inside: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes out, so no 2xx is sent; the same delivery is taken when it comes again."""

    async def full(unit: object) -> None:
        raise StoreBusy("store: too much waits")

    with monkeypatch.context() as broken:
        broken.setattr(inside.store, "write", full)
        with pytest.raises(StoreBusy):
            await inside.accept("@web-1 uptime", event_id="once")
    assert (await inside.accept("@web-1 uptime", event_id="once")).status == "accepted"


async def test_the_code_of_an_approval_is_nowhere(inside: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in the store, its audit, its outbox or the log, in whatever way it is written."""
    code = await inside.enrol("bob")
    request = await inside.ask("@web-1 reboot")
    assert request.second_factor
    secret = code()
    await inside.ask(f"approve r{request.number} {secret[:3]} {secret[3:]}", "bob")
    assert inside.request(request.id).state is RequestState.WORKING
    other = await inside.ask("@web-1 reboot")
    await inside.ask(f"批准 r{other.number} {secret}", "bob")
    written = b"".join(file.read_bytes() for file in inside.database.parent.iterdir())
    for spelled in (secret, f"{secret[:3]} {secret[3:]}"):
        assert spelled.encode() not in written
        assert spelled not in "".join(capsys.readouterr())
    assert any("******" in event.data.get("text", "") for event in inside.events("message.accepted"))


async def test_who_is_nobody_is_told_how_to_become_somebody(inside: House) -> None:
    """The refusal names the identity that an admin has to add; nothing is planned."""
    request = await inside.ask("@web-1 uptime", "mallory")
    assert (request.state, request.rule, request.person) == (RequestState.REFUSED, "unknown_person", "")
    assert 'chat = ["ops:mallory"]' in inside.final(request)["text"]
    assert [event.actor for event in inside.events(subject=request.id)] == ["ops:mallory"] * 2


async def test_a_picture_without_words_is_answered_honestly(inside: House) -> None:
    """Nothing reads pictures yet; with words beside it the words are planned."""
    assert (await inside.ask(" ", images=(b"png",))).rule == "images"
    assert (await inside.ask("@web-1 uptime", images=(b"png",))).state is RequestState.WORKING


async def test_the_language_of_the_message_is_the_language_of_the_answer(inside: House) -> None:
    """A Chinese message is refused in Chinese."""
    request = await inside.ask("@web-9 磁盘")
    assert request.language == "zh"
    assert "web-9" in inside.final(request)["text"]
    assert "没有" in inside.final(request)["text"]


# ---- planning


async def test_what_was_accepted_is_planned_by_itself(inside: House) -> None:
    """The planners take it from there."""
    async with planning(inside):
        receipt = await inside.accept("@web-1 uptime")
        await until_planned(inside, receipt.request)
    assert inside.request(receipt.request).state is RequestState.WORKING
    assert dict(inside.effects[-1].stages)["plan"] == 0.0


async def test_after_a_restart_what_was_not_planned_is_swept_up(inside: House) -> None:
    """Accepted, then the hub died: the next one plans it (S3), once, however often it sweeps."""
    receipts = [await inside.accept("@web-1 uptime") for _ in range(3)]
    await inside.restart()
    await inside.engine.sweep()
    await inside.engine.sweep()
    async with planning(inside):
        for receipt in receipts:
            await until_planned(inside, receipt.request)
        await inside.engine.sweep()
    assert [len(inside.jobs(inside.request(receipt.request))) for receipt in receipts] == [1, 1, 1]


async def test_a_sweep_does_not_overtake_the_message_it_finds(inside: House) -> None:
    """A sweep that sees a message in the moment of its commit leaves it to `accept`, which has the code; planned from
    the stored text, the approval would have lost it.
    """
    code = await inside.enrol("bob")
    request = await inside.ask("@web-1 reboot")
    write = inside.store.write

    async def write_and_sweep(unit: Any) -> Any:
        result = await write(unit)
        await inside.engine.sweep()
        return result

    inside.store.write = write_and_sweep  # type: ignore[method-assign]
    await inside.accept(f"approve r{request.number} {code()}", "bob")
    inside.store.write = write  # type: ignore[method-assign]
    async with planning(inside):
        while inside.request(request.id).state is RequestState.ASKING:
            await asyncio.sleep(0)
    assert inside.request(request.id).state is RequestState.WORKING


async def test_a_code_that_was_lost_with_the_hub_is_asked_for_again(inside: House) -> None:
    """The stored text has none: a restart between accepting and planning costs the person the code, not the truth."""
    request = await inside.ask("@web-1 reboot")
    await inside.accept(f"approve r{request.number} 123456", "bob")
    await inside.restart()
    await inside.engine.sweep()
    async with planning(inside):
        await until_planned(inside, inside.read(lambda txn: txn.requests(limit=1))[0].id)
    newest = inside.read(lambda txn: txn.requests(limit=1))[0]
    assert newest.rule == "act"
    assert f"r{request.number}" in inside.final(newest)["text"]


async def test_a_message_that_the_hub_fails_on_is_refused_once(inside: House) -> None:
    """A fault of ours must not be tried for ever, nor leave the person without a word."""

    def fail(context: Context) -> Outcome:
        raise RuntimeError("a fault of ours")

    inside.chain = Planner(fail)  # type: ignore[assignment]
    async with planning(inside):
        receipt = await inside.accept("anything")
        await until_planned(inside, receipt.request)
        await inside.engine.sweep()
    request = inside.request(receipt.request)
    assert (request.state, request.rule) == (RequestState.REFUSED, "hub")
    assert len(inside.chain.asked) == 1  # type: ignore[attr-defined]
    assert "its log says why" in inside.final(request)["text"]


async def test_trouble_of_the_store_is_waited_out(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request stays and a later sweep plans it; it is not the message's fault."""
    write, failures = inside.store.write, iter([True])

    async def busy_once(unit: Any) -> Any:
        if next(failures, False):
            raise StoreBusy("store: too much waits")
        return await write(unit)

    receipt = await inside.accept("@web-1 uptime")
    monkeypatch.setattr(inside.store, "write", busy_once)
    async with planning(inside):
        while receipt.request in inside.engine._planning:
            await asyncio.sleep(0)
        assert inside.request(receipt.request).state is RequestState.RECEIVED
        await inside.engine.sweep()
        await until_planned(inside, receipt.request)
    assert inside.request(receipt.request).state is RequestState.WORKING


async def test_planning_again_has_no_effect(inside: House) -> None:
    """Whoever plans second finds it planned: one set of jobs."""
    request = await inside.ask("@web-1 uptime")
    await inside.engine.plan(request, "@web-1 reboot")
    assert inside.request(request.id) == request
    assert len(inside.jobs(request)) == 1


async def test_a_plan_too_large_with_what_policy_puts_in_is_refused(inside: House) -> None:
    """256 words fit and the `--` that policy inserts is one too many; so is the 65th variable that a rule sets: a
    polite no, not a fault.
    """
    inside.allow("words", more="end_of_options = true", fixed=3)
    request = await inside.ask("@web-1 words " + " ".join(["x"] * (MAX_ARGS - 1)))
    assert request.state is RequestState.REFUSED
    assert "257 arguments" in inside.final(request)["text"]
    many = tuple((f"V{number:02}", "x") for number in range(MAX_ENV + 1))
    inside.policy = replace(inside.policy, rules=tuple(replace(rule, env=many) for rule in inside.policy.rules))
    request = await inside.ask("@web-1 uptime")
    assert (request.state, request.rule) == (RequestState.REFUSED, "plan")
    assert "65 variables" in inside.final(request)["text"]


# ---- verdicts


async def test_allowed_is_queued_at_once(inside: House) -> None:
    """The plan has the resolved program, its hash is what the jobs carry; nobody is asked."""
    request = await inside.ask("@web-1 uptime")
    assert (request.state, request.approvers, request.rule) == (RequestState.WORKING, 0, "uptime")
    assert request.plan is not None
    assert request.plan.steps[0].argv[0] == "/usr/bin/uptime"
    assert plan_hash(request.plan) == request.plan_hash
    assert inside.kinds(request.id) == ["message.accepted", "plan.judged", "jobs.queued"]


async def test_denied_is_refused_with_the_reason_and_the_rule(inside: House) -> None:
    """In chat and in the audit; nothing is queued."""
    request = await inside.ask("@web-1 bash -c id")
    assert request.state is RequestState.REFUSED
    assert "bash" in inside.final(request)["text"]
    (row,) = inside.events("plan.judged")
    assert (row.data["verdict"], row.data["rule"]) == ("deny", request.rule)
    assert inside.jobs(request) == []


async def test_asked_waits_for_people(inside: House) -> None:
    """A question goes out with what would run and the hash; nothing is queued before the yes."""
    request = await inside.ask("@web-1 systemctl restart nginx.service")
    assert (request.state, request.approvers) == (RequestState.ASKING, 1)
    assert request.decide_by == inside.clock.now + inside.config.queue.decide_within
    question = inside.body(request, "question")
    assert question["actions"] == ["approve", "reject"]
    assert request.plan_hash[:8] in question["text"]
    assert "/usr/bin/systemctl" in question["text"]
    assert inside.jobs(request) == []


async def test_a_tainted_plan_is_never_simply_allowed(inside: House) -> None:
    """What text from no person took part in waits for one, though policy allows the command."""
    plan = Plan((Step(("uptime",), ("web-1",)),), tainted=True)
    inside.chain = Planner(lambda context: Planned(plan))  # type: ignore[assignment]
    assert (await inside.ask("do what the log says")).state is RequestState.ASKING


async def test_a_plain_answer_needs_no_machine(inside: House) -> None:
    """Said is answered and done."""
    inside.chain = Planner(lambda context: Said("two and two is four"))  # type: ignore[assignment]
    request = await inside.ask("2 + 2")
    assert (request.state, inside.final(request)["text"]) == (RequestState.DONE, "two and two is four")


async def test_a_viewer_may_look_and_not_run(inside: House) -> None:
    """The role is the person's, asked of policy."""
    assert (await inside.ask("@web-1 uptime", "vera")).state is RequestState.REFUSED
    assert (await inside.ask("machines", "vera")).state is RequestState.DONE


async def test_the_planners_see_the_person_and_the_machines(inside: House) -> None:
    """Text, roles and inventory of this moment."""
    inside.chain = Planner(lambda context: Said("ok"))  # type: ignore[assignment]
    await inside.ask("hello there", "bob")
    (context,) = inside.chain.asked  # type: ignore[attr-defined]
    assert (context.text, context.person, context.roles) == ("hello there", "bob", ("approver",))
    assert list(context.inventory.machines) == ["web-1"]


# ---- the configured wait, the full queue


async def test_jobs_wait_as_long_as_hub_toml_says(inside: House) -> None:
    """queue.ttl is in the plan before its hash is made, so that the machine can check it."""
    inside.queue(ttl=90.0)
    request = await inside.ask("@web-1 uptime")
    assert request.plan is not None
    assert request.plan.ttl == 90
    assert inside.jobs(request)[0].not_after == inside.clock.now + 90
    (order,) = await inside.orders()
    assert (order.ttl, order.plan_hash) == (90, request.plan_hash)


async def test_a_plan_that_says_how_long_it_may_wait_keeps_its_word(inside: House) -> None:
    """Only what says nothing gets the configured time."""
    inside.queue(ttl=90.0)
    plan = Plan((Step(("uptime",), ("web-1",)),), ttl=7200)
    inside.chain = Planner(lambda context: Planned(plan))  # type: ignore[assignment]
    request = await inside.ask("tonight")
    assert inside.jobs(request)[0].not_after == inside.clock.now + 7200


async def test_a_full_queue_is_a_polite_refusal(inside: House) -> None:
    """Of all machines, of a person, of a machine: each names what is full, how much, and the limit."""
    await inside.machine("web-2")
    inside.queue(max_total=3)
    for _ in range(3):
        await inside.working()
    request = await inside.ask("@web-2 uptime")
    assert (request.state, request.rule) == (RequestState.REFUSED, "queue_full")
    assert "all machines: 3 of 3" in inside.final(request)["text"]
    inside.queue(max_total=100, max_person=3)
    assert "carol's requests: 3 of 3" in inside.final(await inside.ask("@web-2 uptime"))["text"]
    assert (await inside.ask("@web-2 uptime", "dave")).state is RequestState.WORKING
    inside.queue(max_person=100, max_agent=3)
    assert "web-1: 3 of 3" in inside.final(await inside.ask("@web-* uptime", "dave"))["text"]
    assert (await inside.ask("@web-2 uptime", "dave")).state is RequestState.WORKING
    inside.queue(max_agent=100, max_total=6)
    assert (await inside.ask("@web-* uptime", "dave")).rule == "queue_full"  # two more would be seven


async def test_every_machine_of_a_large_plan_is_counted(inside: House) -> None:
    """The full one may be the last of many."""
    for number in range(60):
        inside.write(lambda txn, n=number: txn.add_agent(Agent(f"node-{n:02}", {}, "active", inside.clock.now)))
    await inside.fleet.refresh()
    inside.queue(max_agent=1)
    await inside.working("@node-59 uptime")
    assert "node-59" in inside.final(await inside.ask("@node-* uptime"))["text"]


async def test_a_denied_plan_hears_of_policy_not_of_the_queue(inside: House) -> None:
    """The more useful of two reasons."""
    inside.queue(max_total=1)
    await inside.working()
    assert (await inside.ask("@web-1 bash")).rule != "queue_full"


# ---- handing out


async def test_an_order_is_signed_and_says_what_was_approved(inside: House) -> None:
    """The runner can verify all of it: signature, both hashes, the people who said yes."""
    request = await inside.ask("@web-1 systemctl restart nginx.service")
    await inside.ask(f"approve r{request.number}", "bob")
    ((dispatch, job),) = await inside.claim()
    public = inside.keys.job_keys[dispatch.key]
    assert verify(public, dispatch.order, dispatch.signature)
    assert not verify(public, dispatch.order + b" ", dispatch.signature)
    order = Order.from_bytes(dispatch.order)
    order.verify()
    assert (order.job, order.agent, order.person) == (job, "web-1", "carol")
    assert (order.plan_hash, order.epoch) == (request.plan_hash, inside.engine.epoch)
    assert [name for name, _ in order.approvals] == ["bob"]
    leased = inside.job(job)
    assert (leased.state, leased.epoch, leased.journal) == (JobState.LEASED, inside.engine.epoch, "journal-1")
    assert order.not_after == leased.not_after


async def test_a_claim_takes_no_more_than_there_is_room_for(inside: House) -> None:
    """And each job once, whoever asks at the same time."""
    for _ in range(5):
        await inside.working()
    assert len(await inside.claim(limit=2)) == 2
    parts = await asyncio.gather(*(inside.claim(limit=2) for _ in range(4)))
    assert len([job for part in parts for _, job in part]) == 3
    assert await inside.claim() == []


async def test_every_start_of_the_hub_is_a_new_epoch(inside: House) -> None:
    """Machines obey the latest: what is leased now carries it."""
    first = inside.engine.epoch
    await inside.restart()
    assert inside.engine.epoch == first + 1
    await inside.working()
    (order,) = await inside.orders()
    assert order.epoch == first + 1


async def withheld(inside: House, job: str) -> str:
    """Nothing is handed out; the reason, which chat is told too."""
    assert await inside.claim() == []
    kept = inside.job(job)
    assert kept.state is JobState.NOT_STARTED
    assert inside.kinds(job)[-1] == "job.withheld"
    final = inside.final(inside.request(kept.request_id))
    assert final["jobs"][0]["state"] == "not_started"
    assert "not run" in final["text"]
    return kept.reason


async def test_a_person_who_lost_the_role_is_withheld(inside: House) -> None:
    """Rights are asked for again at delivery (Salt 2022-22967)."""
    job = await inside.working()
    inside.write(lambda txn: txn.add_person(Person("carol", (), inside.clock.now, revoked_at=inside.clock.now)))
    await inside.people.refresh()
    assert "carol" in await withheld(inside, job.id)


async def test_a_command_that_policy_no_longer_allows_is_withheld(inside: House) -> None:
    """The file changed while the job waited."""
    job = await inside.working()
    inside.policy = replace(inside.policy, rules=tuple(r for r in inside.policy.rules if r.id != "uptime"))
    assert "uptime" in await withheld(inside, job.id)


async def test_a_command_that_policy_now_asks_about_is_withheld(inside: House) -> None:
    """Nobody has said yes to it."""
    job = await inside.working()
    inside.policy = replace(
        inside.policy,
        rules=tuple(replace(r, verdict="ask", approvers=1) if r.id == "uptime" else r for r in inside.policy.rules),
    )
    await withheld(inside, job.id)


@pytest.mark.parametrize("more", [{"approvers": 2}, {"second_factor": True}])
async def test_a_command_that_policy_now_asks_more_for_is_withheld(inside: House, more: dict[str, Any]) -> None:
    """One yes was enough then and is not any more; an approval covers what it covered."""
    request = await inside.ask("@web-1 systemctl restart nginx.service")
    await inside.ask(f"approve r{request.number}", "bob")
    (job,) = inside.jobs(request)
    inside.policy = replace(
        inside.policy,
        rules=tuple(replace(r, **more) if r.id == request.rule else r for r in inside.policy.rules),
    )
    await withheld(inside, job.id)


async def test_a_command_that_would_now_run_another_way_is_withheld(inside: House) -> None:
    """What was judged is one argument vector; a rule that has come to insert an option means another."""
    inside.allow("report")
    job = await inside.working("@web-1 report daily")
    file = inside.config.policy.file
    file.write_text(file.read_text().replace('/opt/tests/report"', '/opt/tests/report"\ninsert = ["--safe"]'))
    inside.policy = read_policy(file)
    assert "another way" in await withheld(inside, job.id)


async def test_an_approved_command_is_handed_out_as_long_as_policy_says_the_same(inside: House) -> None:
    """Asking again with the resolved command gives the same answer: nothing is withheld for no reason."""
    request = await inside.ask("@web-1 systemctl restart nginx.service")
    await inside.ask(f"approve r{request.number}", "bob")
    (order,) = await inside.orders()
    assert order.argv == request.plan.steps[0].argv  # type: ignore[union-attr]


async def test_a_machine_of_the_same_name_gets_nothing_of_the_one_before(inside: House) -> None:
    """Revoked, and a new one joined under the name: jobs from before it was there are not its own."""
    job = await inside.working()
    inside.clock.pass_(60)
    await inside.change_machine("web-1", joined_at=inside.clock.now)
    assert "this name before" in await withheld(inside, job.id)
    assert len(await inside.claim()) == 0
    await inside.working()
    assert len(await inside.claim()) == 1


async def test_withheld_jobs_do_not_hide_the_ones_behind_them(inside: House) -> None:
    """The machine is woken again until the queue is through."""
    for _ in range(3):
        await inside.working()
    inside.policy = replace(inside.policy, rules=tuple(r for r in inside.policy.rules if r.id != "uptime"))
    await inside.working("@web-1 df -h")
    assert await inside.claim(limit=2) == []
    assert inside.effects[-1].wake == {"web-1"}
    assert len(await inside.claim(limit=2)) == 1


async def test_nothing_is_handed_out_after_its_time(inside: House) -> None:
    """Not even in the moment before the timer has seen it (P5)."""
    job = await inside.working()
    inside.clock.now = job.not_after
    assert await inside.claim() == []
    assert inside.job(job.id).state is JobState.QUEUED


@pytest.mark.parametrize("change", [{"state": "locked"}, {"state": "revoked"}, {"paused_at": 1.0, "paused_by": "bob"}])
async def test_a_machine_that_may_not_gets_nothing(inside: House, change: dict[str, Any]) -> None:
    """Asked of the store in the same transaction: another process may have said so a moment ago."""
    job = await inside.working()

    def unit(txn: Any) -> None:
        before = txn.agent("web-1")
        txn.save_agent(before, replace(before, **change))

    inside.write(unit)  # and nobody has told this process
    assert await inside.claim() == []
    assert inside.job(job.id).state is JobState.QUEUED


async def test_a_paused_queue_gives_nothing_to_anybody(inside: House) -> None:
    """What runs goes on; what waits, waits."""
    await inside.working()
    inside.write(lambda txn: txn.pause_queue("bob", inside.clock.now, "deploy"))
    assert await inside.claim() == []
    inside.write(lambda txn: txn.resume_queue())
    assert len(await inside.claim()) == 1


async def test_an_unknown_machine_gets_nothing(inside: House) -> None:
    """There is no row for it."""
    assert await inside.claim("nobody") == []


# ---- machines


async def test_vitals_are_kept_in_bounds(inside: House) -> None:
    """A machine may send ten thousand; a few are kept, with the hub's time."""
    vitals = {f"v{number}{'x' * 100}": float(number) for number in range(1000)}
    inside.engine.heartbeat("web-1", Heartbeat(vitals), 5.0)
    kept = inside.fleet.vitals["web-1"]
    assert len(kept) == MAX_VITALS + 1
    assert max(map(len, kept)) == 40
    assert kept["at"] == 5.0
    inside.engine.heartbeat("web-1", Heartbeat(), 9.0)
    assert inside.fleet.vitals["web-1"]["at"] == 5.0


async def test_a_renewal_that_gives_a_copy_away_ends_the_links_of_that_name(inside: House) -> None:
    """The machine is locked in the store, and those who hold its links are told."""
    token = inside.write(lambda txn: ca.make_token(txn, "agent", "db-1", {}, 600, "alice", inside.clock.now))
    key = new_key()
    join = Join(token, "db-1", make_request(key, "agent", "db-1"), "1")
    authority = inside.keys.authority
    joined = inside.write(lambda txn: ca.join(txn, authority, join, {}, "hub", inside.clock.now))
    identity = identity_in(joined.certificate, inside.clock.now, "agent")
    answer = await inside.engine.renew(identity, Renew(make_request(new_key(), "agent", "db-1"), 1))
    assert isinstance(answer, Renewed)
    assert inside.effects == []
    copy = await inside.engine.renew(identity, Renew(make_request(new_key(), "agent", "db-1"), 1))
    assert isinstance(copy, Refuse)
    assert copy.code == "locked"
    assert inside.effects[-1].locked == {"db-1"}
    row = inside.read(lambda txn: txn.agent("db-1"))
    assert row is not None
    assert row.state == "locked"


async def test_metrics_hear_of_what_was_committed(inside: House) -> None:
    """Messages by what became of them, and how long each stage took."""
    await inside.accept("hi", event_id="twice")
    await inside.accept("hi", event_id="twice")
    job = await inside.leased()
    await inside.heard("web-1", ended(job.id))
    values = {
        (sample.name, sample.labels.get("result") or sample.labels.get("stage")): sample.value
        for family in inside.metrics.registry.collect()
        for sample in family.samples
    }
    assert values["answerback_messages_total", "duplicate"] == 1
    assert values["answerback_stage_seconds_count", "run"] == 1
    assert values["answerback_stage_seconds_count", "queue"] == 1
