"""Dispatch on a real store: what is leased, signed, and withheld after all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from common.identity.signing import APPROVAL_PURPOSE, verify
from common.lifecycle import JobState
from common.plan import Order
from hub.core.records import Person
from hub.planning.watched_files import load_policy
from hub.store.transaction import Txn
from tests.hub.hub_harness import HubHarness


async def test_an_order_is_signed_and_says_what_was_approved(harness: HubHarness) -> None:
    """The runner can verify all of it: signature, both hashes, the people who said yes."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"approve r{request.number}", "bob")
    ((dispatch, job),) = await harness.claim()
    public = harness.keys.job_keys[dispatch.key]
    assert verify(public, dispatch.order, dispatch.signature)
    assert not verify(public, dispatch.order + b" ", dispatch.signature)
    order = Order.from_bytes(dispatch.order)
    order.verify()
    assert (order.job, order.agent, order.person) == (job, "web-1", "carol")
    assert (order.plan_hash, order.epoch) == (request.plan_hash, harness.engine.epoch)
    assert [name for name, _ in order.approvals] == ["bob"]
    leased = harness.job(job)
    assert (leased.state, leased.epoch, leased.journal) == (JobState.LEASED, harness.engine.epoch, "journal-1")
    assert order.not_after == leased.not_after


async def test_a_claim_takes_no_more_than_there_is_room_for(harness: HubHarness) -> None:
    """And each job once, whoever asks at the same time."""
    for _ in range(5):
        await harness.queued_job()
    assert len(await harness.claim(limit=2)) == 2
    parts = await asyncio.gather(*(harness.claim(limit=2) for _ in range(4)))
    assert len([job for part in parts for _, job in part]) == 3
    assert await harness.claim() == []


async def withheld(harness: HubHarness, job: str) -> str:
    """Nothing is handed out; the reason, which chat is told too."""
    assert await harness.claim() == []
    kept = harness.job(job)
    assert kept.state is JobState.NOT_STARTED
    assert harness.kinds(job)[-1] == "job.withheld"
    final = harness.final_reply(harness.request(kept.request_id))
    assert final["jobs"][0]["state"] == "not_started"
    assert "not run" in final["text"]
    return kept.reason


async def test_a_person_who_lost_the_role_is_withheld(harness: HubHarness) -> None:
    """Rights are asked for again at delivery (Salt 2022-22967)."""
    job = await harness.queued_job()
    harness.write(lambda txn: txn.add_person(Person("carol", (), harness.clock.now, revoked_at=harness.clock.now)))
    await harness.people.refresh()
    assert "carol" in await withheld(harness, job.id)


async def test_a_command_that_policy_no_longer_allows_is_withheld(harness: HubHarness) -> None:
    """The file changed while the job waited."""
    job = await harness.queued_job()
    harness.policy = replace(harness.policy, rules=tuple(r for r in harness.policy.rules if r.id != "uptime"))
    assert "uptime" in await withheld(harness, job.id)


async def test_a_command_that_policy_now_asks_about_is_withheld(harness: HubHarness) -> None:
    """Nobody has said yes to it."""
    job = await harness.queued_job()
    harness.policy = replace(
        harness.policy,
        rules=tuple(replace(r, verdict="ask", approvers=1) if r.id == "uptime" else r for r in harness.policy.rules),
    )
    await withheld(harness, job.id)


@pytest.mark.parametrize("more", [{"approvers": 2}, {"second_factor": True}])
async def test_a_command_that_policy_now_asks_more_for_is_withheld(harness: HubHarness, more: dict[str, Any]) -> None:
    """One yes was enough then and is not any more; an approval covers what it covered."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"approve r{request.number}", "bob")
    (job,) = harness.jobs(request)
    harness.policy = replace(
        harness.policy,
        rules=tuple(replace(r, **more) if r.id == request.rule else r for r in harness.policy.rules),
    )
    await withheld(harness, job.id)


async def test_an_approver_who_is_gone_takes_the_yes_along(harness: HubHarness) -> None:
    """Trust: approved, the machine away, the approver removed or demoted meanwhile: nothing runs, and the reason says
    who and what to do. Asked of the store: nobody has told this process.
    """
    changes: dict[str, dict[str, Any]] = {"zoe": {"revoked_at": harness.clock.now}, "yan": {"roles": ("operator",)}}
    for name in changes:
        person = Person(name, ("approver",), harness.clock.now, chat=(f"ops:{name}",))
        harness.write(partial(Txn.add_person, person=person))
    await harness.people.refresh()
    for name, change in changes.items():
        request = await harness.submit("@web-1 systemctl restart nginx.service")
        await harness.submit(f"approve r{request.number}", name)
        (job,) = harness.jobs(request)
        before = harness.people.row(name)
        assert before is not None
        harness.write(partial(Txn.save_person, before=before, after=replace(before, **change)))
        reason = await withheld(harness, job.id)
        assert f"{name} approved it and may not approve any more" in reason
        assert f"`retry r{request.number}` asks again" in reason


async def test_an_approval_that_has_expired_starts_nothing(harness: HubHarness) -> None:
    """Trust: a yes is for a while, also where a job's own time was moved on."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"approve r{request.number}", "bob")
    (job,) = harness.jobs(request)
    harness.clock.advance(30 * 24 * 3600)
    harness.write(lambda txn: txn.save_job(job, replace(job, not_after=harness.clock.now + 60)))
    assert "the approval of bob has expired" in await withheld(harness, job.id)


async def test_an_older_machine_is_sent_what_it_knows(harness: HubHarness) -> None:
    """Trust: proofs go to machines whose runner takes them; the others get the pairs that they always got."""
    for protocol, proofs in ((2, 0), (3, 1)):
        request = await harness.submit("@web-1 systemctl restart nginx.service")
        await harness.submit(f"approve r{request.number}", "bob")
        ((dispatch, _),) = await harness.claim(protocol=protocol)
        order = Order.from_bytes(dispatch.order)
        assert (len(order.proofs), [who for who, _ in order.approvals]) == (proofs, ["bob"])
        for proof in order.proofs:
            statement = proof.statement(order.request, order.plan_hash)
            assert verify(harness.keys.job_keys[proof.key], statement, proof.signature, APPROVAL_PURPOSE)


async def test_a_command_that_would_now_run_another_way_is_withheld(harness: HubHarness) -> None:
    """What was judged is one argument vector; a rule that has come to insert an option means another."""
    harness.add_rule("report")
    job = await harness.queued_job("@web-1 report daily")
    file = harness.config.policy.file
    file.write_text(file.read_text().replace('/opt/tests/report"', '/opt/tests/report"\ninsert = ["--safe"]'))
    harness.policy = load_policy(file)
    assert "another way" in await withheld(harness, job.id)


async def test_an_approved_command_is_handed_out_as_long_as_policy_says_the_same(harness: HubHarness) -> None:
    """Asking again with the resolved command gives the same answer: nothing is withheld for no reason."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"approve r{request.number}", "bob")
    (order,) = await harness.orders()
    assert order.argv == request.plan.steps[0].argv  # type: ignore[union-attr]


async def test_a_machine_of_the_same_name_gets_nothing_of_the_one_before(harness: HubHarness) -> None:
    """Revoked, and a new one joined under the name: jobs from before it was there are not its own."""
    job = await harness.queued_job()
    harness.clock.advance(60)
    await harness.change_machine("web-1", joined_at=harness.clock.now)
    assert "this name before" in await withheld(harness, job.id)
    assert len(await harness.claim()) == 0
    await harness.queued_job()
    assert len(await harness.claim()) == 1


async def test_withheld_jobs_do_not_hide_the_ones_behind_them(harness: HubHarness) -> None:
    """The machine is woken again until the queue is through."""
    for _ in range(3):
        await harness.queued_job()
    harness.policy = replace(harness.policy, rules=tuple(r for r in harness.policy.rules if r.id != "uptime"))
    await harness.queued_job("@web-1 df -h")
    assert await harness.claim(limit=2) == []
    assert harness.effects[-1].wake == {"web-1"}
    assert len(await harness.claim(limit=2)) == 1


async def test_nothing_is_handed_out_after_its_time(harness: HubHarness) -> None:
    """Not even in the moment before the timer has seen it (P5)."""
    job = await harness.queued_job()
    harness.clock.now = job.not_after
    assert await harness.claim() == []
    assert harness.job(job.id).state is JobState.QUEUED


@pytest.mark.parametrize("change", [{"state": "locked"}, {"state": "revoked"}, {"paused_at": 1.0, "paused_by": "bob"}])
async def test_a_machine_that_may_not_gets_nothing(harness: HubHarness, change: dict[str, Any]) -> None:
    """Asked of the store in the same transaction: another process may have said so a moment ago."""
    job = await harness.queued_job()

    def unit(txn: Any) -> None:
        before = txn.agent("web-1")
        txn.save_agent(before, replace(before, **change))

    harness.write(unit)  # and nobody has told this process
    assert await harness.claim() == []
    assert harness.job(job.id).state is JobState.QUEUED


async def test_a_paused_queue_gives_nothing_to_anybody(harness: HubHarness) -> None:
    """What runs goes on; what waits, waits."""
    await harness.queued_job()
    harness.write(lambda txn: txn.pause_queue("bob", harness.clock.now, "deploy"))
    assert await harness.claim() == []
    harness.write(lambda txn: txn.resume_queue())
    assert len(await harness.claim()) == 1


async def test_an_unknown_machine_gets_nothing(harness: HubHarness) -> None:
    """There is no row for it."""
    assert await harness.claim("nobody") == []


FRIDAY = 1_800_000_000.0  # the harness's first moment: Friday, 15 January 2027, 08:00 UTC


def give_window(harness: HubHarness, window: str, verdict: str = "allow") -> None:
    harness.add_rule("windowed", f'when = ["{window}"]', verdict)


async def test_an_order_is_good_until_its_rules_window_ends(harness: HubHarness) -> None:
    """Trust: leased in time is not started late: order, job and what is confirmed have the window's end, and a word of
    the machine that comes after it is of a start that nobody allowed.
    """
    give_window(harness, "fri 08:00-08:05")
    job = await harness.queued_job("@web-1 windowed")
    assert job.not_after == FRIDAY + harness.config.queue.ttl > FRIDAY + 300
    (order,) = await harness.orders()
    assert order.not_after == harness.job(job.id).not_after == FRIDAY + 300
    assert harness.read(lambda txn: txn.job(job.id)) == harness.job(job.id)
    other = await harness.queued_job()
    assert [one.not_after for one in await harness.orders()] == [other.not_after]


async def test_what_waits_outlives_no_window(harness: HubHarness) -> None:
    """Allowed in time, asked for by the machine too late: withheld, and told when the rule holds."""
    give_window(harness, "mon-fri 08:00-08:05 UTC")
    job = await harness.queued_job("@web-1 windowed")
    harness.clock.advance(300)
    assert "holds mon-fri 08:00-08:05 UTC only; now it is fri 08:05 UTC" in await withheld(harness, job.id)


async def test_what_waits_for_a_yes_is_looked_at_when_it_has_one(harness: HubHarness) -> None:
    """Asked in the window, approved after it: nothing runs, and chat says why."""
    give_window(harness, "mon-fri 08:00-08:05 UTC", "ask")
    request = await harness.submit("@web-1 windowed")
    harness.clock.advance(301)
    await harness.submit(f"approve r{request.number}", "bob")
    (job,) = harness.jobs(harness.request(request.id))
    assert "now it is fri 08:05 UTC" in await withheld(harness, job.id)


async def test_outside_its_window_a_command_is_refused_at_once(harness: HubHarness) -> None:
    """With the hours, in chat."""
    give_window(harness, "sat,sun 10:00-11:00 Europe/Berlin")
    assert "holds sat,sun 10:00-11:00 Europe/Berlin only" in await harness.reply_text("@web-1 windowed")
