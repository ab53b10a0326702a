"""What is due: each tick on its own, by a clock that the test turns; and the ticking itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from common.link.messages import Accepted, Output, Report, Started
from hub import maintenance as module
from hub.cleanup import Cleanup
from hub.core.lost_contact import GRACE, TOLD_AFTER
from hub.core.records import Agent, EnrolmentToken, IssuedCertificate, Job, Person
from hub.identity import certificates, logins
from hub.maintenance import MaintenanceTasks
from hub.status import store_warnings
from hub.store.errors import StoreFull
from hub.store.transaction import Txn
from tests.hub.hub_harness import NOW, FakeClock, HubHarness, ended_message, hub_harness
from tests.hub.link_harness import LinkHarness, serve_links

RESTART = "@web-1 systemctl restart nginx.service"


async def no_pause(seconds: float) -> None:
    """The rest between two units of the clean-up."""


class Clockwork:
    """MaintenanceTasks on a house, and what they asked for."""

    def __init__(self, harness: HubHarness, port: LinkHarness | None = None) -> None:
        self.inside = harness
        self.port = port or LinkHarness(harness)
        self.reloads = 0
        self.checkpoints = 0
        self.renewals = 0
        self.told = 0
        self.flushed: list[float] = []
        self.timers = MaintenanceTasks(
            store=harness.store,
            engine=harness.engine,
            fleet=harness.fleet,
            people=harness.people,
            links=self.port.links,
            composer=harness.composer,
            checkpoint=self._checkpoint,
            cleanup=Cleanup(harness.store, harness.config.store, harness.clock, pause=no_pause),
            reload_files=self._reload,
            tell_of_files=self._tell,
            renew_certificate=self._renew,
            flush=self._flush,
            clock=harness.clock,
        )

    async def _checkpoint(self) -> None:
        self.checkpoints += 1

    def _reload(self) -> None:
        self.reloads += 1

    async def _tell(self) -> None:
        self.told += 1

    def _renew(self) -> None:
        self.renewals += 1

    async def _flush(self, now: float) -> None:
        self.flushed.append(now)


@pytest.fixture
def work(harness: HubHarness) -> Clockwork:
    return Clockwork(harness)


async def test_a_value_that_does_not_open_is_told_once(harness: HubHarness, work: Clockwork) -> None:
    """When somebody has read it: in the audit and the attention list, and on the page of the hub's health."""
    job = await harness.queued_job()
    assert harness.tamper("UPDATE jobs SET command = (SELECT text FROM requests LIMIT 1) WHERE id = ?", job.id) == 1
    await work.timers.refresh()
    assert harness.job(job.id).command.startswith("(unreadable: jobs|command|")
    for _ in range(2):
        await work.timers.refresh()
    (row,) = harness.events("row.forged")
    assert row.subject == job.id
    assert f"jobs|command|{job.id}" in row.data["what"]
    (warning,) = store_warnings(harness.store.broken)
    assert warning.startswith("store: 1 values were changed outside the hub")


async def test_people_and_invitations_of_somebody_else_are_told_once(harness: HubHarness, work: Clockwork) -> None:
    """Trust: by name and with the cure, in the audit, and for /readyz and doctor; a name that is none is not put into
    a command.
    """
    for name in ("eve", "a b;id"):
        columns = "created_at, totp_secret, totp_last_step, totp_failures, totp_locked_until, totp_pending"
        harness.tamper(
            f"INSERT INTO people (name, roles, chat, totp_pending_until, {columns})"  # noqa: S608
            " VALUES (?, '[\"admin\"]', '[\"ops:eve\"]', 0, 1, x'', 0, 0, 0, x'')",
            name,
        )
    harness.tamper("INSERT INTO tokens VALUES (?, 'agent', 'db-1', '{}', 1, 9e9, 'alice', NULL, '')", "f" * 64)
    assert harness.read(lambda txn: txn.token("f" * 64)) is None
    for _ in range(3):
        await work.timers.refresh()
    told = {row.subject: str(row.data["what"]) for row in harness.events("row.forged")}
    assert set(told) == {"eve", "a b;id", "db-1"}
    assert len(harness.events("row.forged")) == 3
    assert "the row of eve was written into the database by somebody else than this hub" in told["eve"]
    assert "operator add" in told["eve"]
    assert "operator add" not in told["a b;id"]
    assert "an invitation for db-1" in told["db-1"]
    first, *more = store_warnings(harness.store.broken)
    assert first.startswith("store: 3 values")
    assert any(line.startswith("store: people eve: ") and "operator add" in line for line in more)
    assert any(line.startswith("store: tokens db-1 ffffffffffff: ") for line in more)


# ---- lapses


async def test_a_request_nobody_decided_on_lapses(harness: HubHarness, work: Clockwork) -> None:
    """At its time, not before; told once, and no yes after that."""
    request = await harness.submit(RESTART)
    harness.clock.advance(harness.config.queue.decide_within - 1)
    await work.timers.expire()
    assert harness.request(request.id).state is RequestState.ASKING
    harness.clock.advance(1)
    await work.timers.expire()
    await work.timers.expire()
    assert harness.request(request.id).state is RequestState.EXPIRED
    assert harness.reply_kinds(request) == ["question", "final"]
    assert len(harness.events("request.expired")) == 1
    assert "does not wait" in await harness.reply_text(f"approve r{request.number}", "bob")


async def test_a_job_no_machine_took_lapses(harness: HubHarness, work: Clockwork) -> None:
    """Expired, never run, and chat hears that; what a machine has in hand is not the queue's to expire (P5)."""
    taken, left = await harness.leased_job(), await harness.queued_job("@web-1 df -h")
    harness.clock.now = left.not_after
    await work.timers.expire()
    assert harness.job(left.id).state is JobState.EXPIRED
    assert harness.job(taken.id).state is JobState.LEASED
    assert harness.final_reply(harness.request(left.request_id))["jobs"][0]["state"] == "expired"
    assert harness.reply_kinds(harness.request(taken.request_id)) == []


async def test_a_backlog_of_deadlines_is_worked_off_in_shares(
    harness: HubHarness, work: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tick holds the writer for all of it."""
    monkeypatch.setattr(module, "BATCH_SIZE", 2)
    requests = [await harness.submit(RESTART) for _ in range(3)]
    jobs = [await harness.queued_job() for _ in range(3)]
    harness.clock.advance(harness.config.queue.decide_within)
    seen = []
    for _ in range(3):
        await work.timers.expire()
        expired = sum(harness.job(job.id).state is JobState.EXPIRED for job in jobs)
        lapsed = sum(harness.request(request.id).state is RequestState.EXPIRED for request in requests)
        seen.append((lapsed, expired))
    assert seen == [(2, 2), (3, 3), (3, 3)]


# ---- progress


async def test_long_work_is_heard_of_now_and_then(harness: HubHarness, work: Clockwork) -> None:
    """After 3 s, 30 s, 5 min, then every 5 min; not twice for the same."""
    job = await harness.leased_job()
    request = harness.request(job.request_id)
    await harness.handle_agent_events("web-1", Started(job.id, 7, harness.clock.now))
    heard = []
    for seconds in (1, 2, 3, 4, 29, 30, 31, 299, 300, 301, 599, 600, 900):
        harness.clock.now = NOW + seconds
        await work.timers.progress()
        heard.append((seconds, len(harness.reply_kinds(request))))
    assert heard == [
        (1, 0), (2, 0), (3, 1), (4, 1), (29, 1), (30, 2), (31, 2),
        (299, 2), (300, 3), (301, 3), (599, 3), (600, 4), (900, 5),
    ]  # fmt: skip
    assert set(harness.reply_kinds(request)) == {"progress"}
    await harness.handle_agent_events("web-1", ended_message(job.id))
    harness.clock.advance(1000)
    await work.timers.progress()
    assert harness.reply_kinds(request)[-1] == "final"


async def test_after_a_restart_what_was_missed_is_not_said_one_by_one(harness: HubHarness) -> None:
    """A job that has run for hours is heard of once, not once a second until all is made up for."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", Started(job.id, 7, harness.clock.now))
    harness.clock.advance(4 * 3600)
    work = Clockwork(harness)  # which has told nothing yet
    for _ in range(5):
        await work.timers.progress()
        harness.clock.advance(1)
    assert harness.reply_kinds(harness.request(job.request_id)) == ["progress"]


async def test_an_inlet_that_takes_one_reply_hears_no_progress(harness: HubHarness, work: Clockwork) -> None:
    """Whoever has set updates = false hears the end."""
    request = await harness.submit("@web-1 uptime", "kim", inlet="quiet")
    await harness.claim()
    (job,) = harness.jobs(request)
    await harness.handle_agent_events("web-1", Started(job.id, 7, harness.clock.now), Output(job.id, 1, 1, b"x", NOW))
    harness.clock.advance(60)
    await work.timers.progress()
    assert harness.replies(request) == []


# ---- what others changed


async def test_people_machines_and_files_are_looked_at(harness: HubHarness, work: Clockwork) -> None:
    """What another process wrote is known after a look; queues are looked at too."""
    harness.write(lambda txn: txn.add_person(Person("zoe", ("viewer",), NOW)))
    harness.write(lambda txn: txn.add_agent(Agent("db-1", {}, "active", NOW)))
    await work.timers.refresh()
    assert harness.people.roles("zoe") == ("viewer",)
    assert harness.fleet.agent("db-1") is not None
    assert (work.reloads, work.told) == (1, 1)


async def test_a_revoked_machines_jobs_end(harness: HubHarness, work: Clockwork) -> None:
    """What waits for it is cancelled with the reason; what it had is unknown, for nothing more will be heard of it."""
    running, waiting = await harness.leased_job(), await harness.queued_job("@web-1 df -h")
    await harness.handle_agent_events("web-1", Started(running.id, 7, NOW))
    harness.write(lambda txn: certificates.revoke(txn, "agent", "web-1", "alice", NOW))
    await work.timers.refresh()
    assert (harness.job(waiting.id).state, harness.job(waiting.id).reason) == (
        JobState.CANCELLED,
        "the machine was revoked",
    )
    assert harness.job(running.id).state is JobState.UNKNOWN
    for job in (running, waiting):
        assert harness.request(job.request_id).state is RequestState.DONE
        assert harness.reply_kinds(harness.request(job.request_id)) == ["final"]
    await work.timers.refresh()
    assert len(harness.events("job.cancelled")) == 1


async def test_what_is_approved_for_a_machine_revoked_meanwhile_ends_too(harness: HubHarness, work: Clockwork) -> None:
    """The yes came after; the job is queued for nobody and does not wait for its time to run out."""
    request = await harness.submit(RESTART)
    harness.write(lambda txn: certificates.revoke(txn, "agent", "web-1", "alice", NOW))
    await work.timers.refresh()
    await harness.submit(f"approve r{request.number}", "bob")
    assert [job.state for job in harness.jobs(request)] == [JobState.QUEUED]
    await work.timers.refresh()
    assert [job.state for job in harness.jobs(request)] == [JobState.CANCELLED]


async def test_a_new_machine_of_a_revoked_name_gets_none_of_it(harness: HubHarness, work: Clockwork) -> None:
    """Revoked and joined again between two looks: nothing was seen, and nothing is handed over all the same."""
    had, waiting = await harness.leased_job(), await harness.queued_job("@web-1 df -h")
    harness.clock.advance(1)
    await harness.change_machine("web-1", state="active", joined_at=harness.clock.now, journal="", generation=1)
    await work.timers.refresh()
    answers = await harness.handle_agent_events("web-1", Report("a new journal", "boot", {}))
    assert answers.resync is not None
    assert harness.job(had.id).state is JobState.UNKNOWN
    assert await harness.claim(journal="a new journal") == []
    assert harness.job(waiting.id).state is JobState.NOT_STARTED


async def test_a_locked_machines_jobs_wait(harness: HubHarness, work: Clockwork) -> None:
    """A person looks at it first; it may come back."""
    waiting = await harness.queued_job()
    await harness.change_machine("web-1", state="locked")
    await work.timers.refresh()
    assert harness.job(waiting.id).state is JobState.QUEUED


async def test_a_look_that_failed_is_looked_at_again_from_where_it_was(
    harness: HubHarness, work: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revocations of the time in between are not passed over."""
    closed: list[set[str]] = []

    async def close(revoked: Any, outcast: Any) -> None:
        closed.append(set(revoked))
        if len(closed) == 1:
            raise RuntimeError("trouble")

    monkeypatch.setattr(work.port.links, "close_untrusted", close)
    row = IssuedCertificate("f" * 64, "agent", "web-1", 1, NOW, NOW + 9_000, key_hash="k")
    harness.write(lambda txn: txn.add_credential(row))
    harness.clock.advance(100)
    harness.write(lambda txn: txn.revoke_credentials("agent", "web-1", harness.clock.now))
    harness.clock.advance(1)
    with pytest.raises(RuntimeError):
        await work.timers.refresh()
    harness.clock.advance(600)
    await work.timers.refresh()
    harness.clock.advance(600)
    await work.timers.refresh()
    assert closed == [{"f" * 64}, {"f" * 64}, set()]


async def test_a_revocation_that_took_its_time_to_commit_is_seen(harness: HubHarness, work: Clockwork) -> None:
    """Its time stamp is of before the wait for the writer's lock; two looks may have passed since."""
    closed: list[set[str]] = []

    async def close(revoked: Any, outcast: Any) -> None:
        closed.append(set(revoked))

    work.port.links.close_untrusted = close  # type: ignore[method-assign]
    row = IssuedCertificate("f" * 64, "agent", "web-1", 1, NOW, NOW + 9_000, key_hash="k")
    harness.write(lambda txn: txn.add_credential(row))
    stamped = harness.clock.now
    for _ in range(5):
        harness.clock.advance(2)
        await work.timers.refresh()
    harness.write(lambda txn: txn.revoke_credentials("agent", "web-1", stamped))
    await work.timers.refresh()
    assert closed == [set()] * 5 + [{"f" * 64}]


@pytest.fixture
async def awake(tmp_path: Path) -> AsyncIterator[HubHarness]:
    """A hub at the real time, which TLS looks at."""
    with hub_harness(tmp_path, FakeClock(time.time())) as made:
        await made.add_machine("web-1", online=False)
        await made.add_machine("web-2", online=False)
        await made.people.refresh()
        yield made


async def test_a_revoked_machines_and_persons_links_are_closed_by_the_next_look(awake: HubHarness) -> None:
    """Revoked by another process: the live links end with that look, those of others stay (S10)."""
    async with serve_links(awake) as port:
        work = Clockwork(awake, port)
        first, second = await port.connect_reported_agent("web-1"), await port.connect_reported_agent("web-2")
        alice, bob = await port.connect_console("alice"), await port.connect_console("bob")
        awake.write(lambda txn: certificates.revoke(txn, "agent", "web-1", "terminal", awake.clock.now))
        awake.write(lambda txn: certificates.revoke(txn, "operator", "bob", "terminal", awake.clock.now))
        await work.timers.refresh()
        assert await first.wait_closed() == 1008
        assert await bob.wait_closed() == 1008
        await second.round_trip()
        await alice.round_trip()
        assert port.links.count_links() == (1, 1)
        with pytest.raises(Exception, match="revoked"):
            await port.connect_agent("web-1")


async def test_a_locked_machines_link_is_closed_by_the_next_look(awake: HubHarness) -> None:
    """Whoever locked it: its certificate is not revoked, and its link ends all the same."""
    async with serve_links(awake) as port:
        work = Clockwork(awake, port)
        end = await port.connect_reported_agent("web-1")
        awake.write(lambda txn: txn.save_agent(*_locked(txn)))
        await work.timers.refresh()
        assert await end.wait_closed() == 1008
        assert port.links.count_links() == (0, 0)


def _locked(txn: Txn) -> tuple[Agent, Agent]:
    before = txn.agent("web-1")
    assert before is not None
    return before, replace(before, state="locked")


async def test_links_gone_silent_are_dropped_by_a_look(awake: HubHarness) -> None:
    """Machines and consoles alike, after three heartbeats; who is heard of stays."""
    async with serve_links(awake) as port:
        work = Clockwork(awake, port)
        silent, console, alive = (
            await port.connect_reported_agent("web-1"),
            await port.connect_console("alice"),
            await port.connect_reported_agent("web-2"),
        )
        awake.clock.advance(3 * alive.session.interval + 1)
        await alive.round_trip()
        await work.timers.refresh()
        assert await silent.wait_closed() == 1006
        assert await console.wait_closed() == 1006
        await port.wait_until(lambda: not awake.fleet.online("web-1"))
        await alive.round_trip()


# ---- keeping


async def test_old_output_tokens_and_certificates_go(harness: HubHarness, work: Clockwork) -> None:
    """All output that is older than the retention, however much there is; not a day before. Rows and audit stay."""
    job = await harness.leased_job()
    await harness.handle_agent_events(
        "web-1", *(Output(job.id, seq, 1, b"x", NOW) for seq in range(1, 1_101)), ended_message(job.id)
    )
    harness.write(lambda txn: txn.add_token(EnrolmentToken("t", "agent", "n", {}, NOW, NOW + 600, "alice")))
    old = IssuedCertificate("a" * 64, "agent", "web-1", 1, NOW, NOW + 3600)
    new = IssuedCertificate("b" * 64, "agent", "web-1", 2, NOW, NOW + 9 * 10**8)
    for row in (old, new):
        harness.write(lambda txn, row=row: txn.add_credential(row))
    events = len(harness.events())
    harness.clock.advance(harness.config.store.retention - 60)
    await work.timers.purge()
    assert len(harness.read(lambda txn: txn.chunks(job.id, limit=5_000))) == 1_100
    harness.clock.advance(3_700)
    job_before = harness.job(job.id)
    await work.timers.purge()
    assert harness.read(lambda txn: txn.chunks(job.id)) == []
    assert harness.read(lambda txn: txn.token("t")) is None
    kept = {one.fingerprint for one in harness.read(lambda txn: txn.credentials("agent", "web-1"))}
    assert kept == {"b" * 64}
    assert (harness.job(job.id), len(harness.events())) == (job_before, events)


async def test_the_certificate_and_the_sums_are_others_work(work: Clockwork, harness: HubHarness) -> None:
    """The timers say when."""
    await work.timers.renew()
    await work.timers.flush()
    assert (work.renewals, work.flushed) == (1, [harness.clock.now])


# ---- ticking


async def test_a_tick_that_fails_is_tried_again_soon(work: Clockwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a reason not to be ready until it goes well; what is due once an hour does not wait an hour for that."""
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    problems: list[list[str]] = []
    over = asyncio.Event()

    async def clean() -> None:
        problems.append(work.timers.health.problems())
        if len(problems) == 1:
            raise RuntimeError("disk full")
        if len(problems) == 3:
            over.set()

    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(work.timers._every("clean", 0.001, clean))
        await asyncio.wait_for(over.wait(), 10)
        ticking.cancel()
    assert problems == [[], ["clean: disk full"], []]


async def test_everything_that_can_be_due_is_looked_at(work: Clockwork) -> None:
    """One task each: what one waits for holds up none of the others."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(work.timers.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        names = {task.get_name() for task in asyncio.all_tasks()}
        running.cancel()
    assert names >= {"lapse", "progress", "look", "sweep", "checkpoint", "flush", "clean", "renew"}


async def test_a_full_store_is_a_problem_until_there_is_room(
    work: Clockwork, harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's own words say why the hub is not ready; what was due is done once there is room, and nothing is
    left of the problem.
    """
    monkeypatch.setattr(module, "STORE_AGAIN", 0.0)
    request = await harness.submit(RESTART)
    harness.clock.advance(harness.config.queue.decide_within)
    write, seen, lapsed = harness.engine.write, asyncio.Event(), asyncio.Event()
    room = False

    async def full(unit: Any) -> Any:
        if not room:
            seen.set()
            raise StoreFull("store a.sqlite: the disk is full", "make room")
        await write(unit)
        lapsed.set()

    monkeypatch.setattr(harness.engine, "write", full)
    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(work.timers._every("lapse", 0.001, work.timers.expire))
        await asyncio.wait_for(seen.wait(), 10)
        await asyncio.sleep(0)
        assert work.timers.health.problems() == ["lapse: store a.sqlite: the disk is full: make room"]
        assert harness.request(request.id).state is RequestState.ASKING
        room = True
        await asyncio.wait_for(lapsed.wait(), 10)
        await asyncio.sleep(0)
        ticking.cancel()
    assert harness.request(request.id).state is RequestState.EXPIRED
    assert work.timers.health.problems() == []


async def test_a_login_that_was_replaced_ends_by_its_time(awake: HubHarness) -> None:
    """Nobody used the new one: the look after its time revokes the old one and closes its links, and says so once."""
    async with serve_links(awake) as port:
        work = Clockwork(awake, port)
        bob = await port.connect_console("bob")
        now = awake.clock.now
        awake.write(lambda txn: logins.rotate(txn, "bob", ttl=600.0, keep=60.0, by="terminal", now=now))
        awake.clock.advance(20)
        await work.timers.refresh()
        await bob.round_trip()
        awake.clock.advance(40)
        await work.timers.refresh()
        assert await bob.wait_closed() == 1008
        awake.clock.advance(2)
        await work.timers.refresh()
        assert [row.data["why"] for row in awake.events("login.ended")] == ["time"]


# ---- machines that do not come back


async def running_and_away(work: Clockwork) -> Job:
    """A running job, whose machine is not linked any more."""
    harness = work.inside
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash), Started(job.id, 7, harness.clock.now))
    harness.fleet.set_offline("web-1", harness.clock.now)
    return harness.job(job.id)


async def test_contact_that_is_lost_is_told_at_once_and_once(work: Clockwork) -> None:
    """In chat, with until when the hub waits; and in what chat is answered."""
    job = await running_and_away(work)
    harness = work.inside
    harness.clock.advance(TOLD_AFTER + 1)
    for _ in range(2):
        await work.timers.progress()
    request = harness.request(job.request_id)
    told = [json.loads(reply.body)["text"] for reply in harness.replies(request) if reply.kind == "progress"]
    assert sum("lost contact since" in text for text in told) >= 1
    assert len([text for text in told if "lost contact" in text]) <= 2
    assert "lost contact since" in await harness.reply_text(f"status r{request.number}")
    said = await harness.reply_text(f"cancel r{request.number}")
    assert "web-1 is not heard of" in said
    assert "counts as unknown from" in said


async def test_a_job_whose_machine_stays_away_is_unknown_after_its_time_limit(work: Clockwork) -> None:
    """By the hub's word: chat is told, a person may settle it, and the truth counts if it comes yet."""
    job = await running_and_away(work)
    harness = work.inside
    harness.clock.advance(job.time_limit + GRACE - 1)
    await work.timers.give_up()
    assert harness.job(job.id).state is JobState.RUNNING
    harness.clock.advance(2)
    await work.timers.give_up()
    assert harness.job(job.id).state is JobState.UNKNOWN
    request = harness.request(job.request_id)
    assert request.state is RequestState.DONE
    assert harness.final_reply(request)["jobs"][0]["state"] == "unknown"
    await harness.handle_agent_events("web-1", ended_message(job.id))
    assert harness.job(job.id).state is JobState.SUCCEEDED
    assert harness.reply_kinds(request)[-1] == "late"


async def test_a_machine_that_is_linked_is_not_given_up(work: Clockwork) -> None:
    """However long its job takes: it will say so."""
    job = await running_and_away(work)
    work.inside.fleet.set_online("web-1")
    work.inside.clock.advance(1e6)
    await work.timers.give_up()
    assert work.inside.job(job.id).state is JobState.RUNNING
