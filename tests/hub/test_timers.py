"""What is due: each tick on its own, by a clock that the test turns; and the ticking itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from common.messages import Output, Report, Started
from hub import audit, ca
from hub import timers as module
from hub.audit import Checkpoint
from hub.records import Agent, Credential, Person, Token
from hub.store.errors import StoreFull
from hub.store.verbs import Txn
from hub.timers import Timers
from tests.hub.house import NOW, Clock, House, ended, house
from tests.hub.linked import Port, serving

RESTART = "@web-1 systemctl restart nginx.service"


class Clockwork:
    """Timers on a house, and what they asked for."""

    def __init__(self, inside: House, port: Port | None = None) -> None:
        self.inside = inside
        self.port = port or Port(inside)
        self.reloads = 0
        self.renewals = 0
        self.flushed: list[float] = []
        self.timers = Timers(
            store=inside.store,
            engine=inside.engine,
            fleet=inside.fleet,
            people=inside.people,
            links=self.port.links,
            speech=inside.speech,
            key=inside.keys.job_key,
            hub_id=inside.keys.hub_id,
            retention=inside.config.store.retention,
            reload_files=self._reload,
            renew_certificate=self._renew,
            flush=self._flush,
            clock=inside.clock,
        )

    def _reload(self) -> None:
        self.reloads += 1

    def _renew(self) -> None:
        self.renewals += 1

    async def _flush(self, now: float) -> None:
        self.flushed.append(now)


@pytest.fixture
def work(inside: House) -> Clockwork:
    return Clockwork(inside)


# ---- lapses


async def test_a_request_nobody_decided_on_lapses(inside: House, work: Clockwork) -> None:
    """At its time, not before; told once, and no yes after that."""
    request = await inside.ask(RESTART)
    inside.clock.pass_(inside.config.queue.decide_within - 1)
    await work.timers.lapse()
    assert inside.request(request.id).state is RequestState.ASKING
    inside.clock.pass_(1)
    await work.timers.lapse()
    await work.timers.lapse()
    assert inside.request(request.id).state is RequestState.EXPIRED
    assert inside.told(request) == ["question", "final"]
    assert len(inside.events("request.expired")) == 1
    assert "does not wait" in await inside.said(f"approve r{request.number}", "bob")


async def test_a_job_no_machine_took_lapses(inside: House, work: Clockwork) -> None:
    """Expired, never run, and chat hears that; what a machine has in hand is not the queue's to expire (P5)."""
    taken, left = await inside.leased(), await inside.working("@web-1 df -h")
    inside.clock.now = left.not_after
    await work.timers.lapse()
    assert inside.job(left.id).state is JobState.EXPIRED
    assert inside.job(taken.id).state is JobState.LEASED
    assert inside.final(inside.request(left.request_id))["jobs"][0]["state"] == "expired"
    assert inside.told(inside.request(taken.request_id)) == []


async def test_a_backlog_of_deadlines_is_worked_off_in_shares(
    inside: House, work: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tick holds the writer for all of it."""
    monkeypatch.setattr(module, "SHARE", 2)
    requests = [await inside.ask(RESTART) for _ in range(3)]
    jobs = [await inside.working() for _ in range(3)]
    inside.clock.pass_(inside.config.queue.decide_within)
    seen = []
    for _ in range(3):
        await work.timers.lapse()
        expired = sum(inside.job(job.id).state is JobState.EXPIRED for job in jobs)
        lapsed = sum(inside.request(request.id).state is RequestState.EXPIRED for request in requests)
        seen.append((lapsed, expired))
    assert seen == [(2, 2), (3, 3), (3, 3)]


# ---- progress


async def test_long_work_is_heard_of_now_and_then(inside: House, work: Clockwork) -> None:
    """After 3 s, 30 s, 5 min, then every 5 min; not twice for the same."""
    job = await inside.leased()
    request = inside.request(job.request_id)
    await inside.heard("web-1", Started(job.id, 7, inside.clock.now))
    heard = []
    for seconds in (1, 2, 3, 4, 29, 30, 31, 299, 300, 301, 599, 600, 900):
        inside.clock.now = NOW + seconds
        await work.timers.progress()
        heard.append((seconds, len(inside.told(request))))
    assert heard == [
        (1, 0), (2, 0), (3, 1), (4, 1), (29, 1), (30, 2), (31, 2),
        (299, 2), (300, 3), (301, 3), (599, 3), (600, 4), (900, 5),
    ]  # fmt: skip
    assert set(inside.told(request)) == {"progress"}
    await inside.heard("web-1", ended(job.id))
    inside.clock.pass_(1000)
    await work.timers.progress()
    assert inside.told(request)[-1] == "final"


async def test_after_a_restart_what_was_missed_is_not_said_one_by_one(inside: House) -> None:
    """A job that has run for hours is heard of once, not once a second until all is made up for."""
    job = await inside.leased()
    await inside.heard("web-1", Started(job.id, 7, inside.clock.now))
    inside.clock.pass_(4 * 3600)
    work = Clockwork(inside)  # which has told nothing yet
    for _ in range(5):
        await work.timers.progress()
        inside.clock.pass_(1)
    assert inside.told(inside.request(job.request_id)) == ["progress"]


async def test_an_inlet_that_takes_one_reply_hears_no_progress(inside: House, work: Clockwork) -> None:
    """Whoever has set updates = false hears the end."""
    request = await inside.ask("@web-1 uptime", "kim", inlet="quiet")
    await inside.claim()
    (job,) = inside.jobs(request)
    await inside.heard("web-1", Started(job.id, 7, inside.clock.now), Output(job.id, 1, 1, b"x", NOW))
    inside.clock.pass_(60)
    await work.timers.progress()
    assert inside.replies(request) == []


# ---- what others changed


async def test_people_machines_and_files_are_looked_at(inside: House, work: Clockwork) -> None:
    """What another process wrote is known after a look; queues are looked at too."""
    inside.write(lambda txn: txn.add_person(Person("zoe", ("viewer",), NOW)))
    inside.write(lambda txn: txn.add_agent(Agent("db-1", {}, "active", NOW)))
    await work.timers.look()
    assert inside.people.roles("zoe") == ("viewer",)
    assert inside.fleet.agent("db-1") is not None
    assert work.reloads == 1


async def test_a_revoked_machines_jobs_end(inside: House, work: Clockwork) -> None:
    """What waits for it is cancelled with the reason; what it had is unknown, for nothing more will be heard of it."""
    running, waiting = await inside.leased(), await inside.working("@web-1 df -h")
    await inside.heard("web-1", Started(running.id, 7, NOW))
    inside.write(lambda txn: ca.revoke(txn, "agent", "web-1", "alice", NOW))
    await work.timers.look()
    assert (inside.job(waiting.id).state, inside.job(waiting.id).reason) == (
        JobState.CANCELLED,
        "the machine was revoked",
    )
    assert inside.job(running.id).state is JobState.UNKNOWN
    for job in (running, waiting):
        assert inside.request(job.request_id).state is RequestState.DONE
        assert inside.told(inside.request(job.request_id)) == ["final"]
    await work.timers.look()
    assert len(inside.events("job.cancelled")) == 1


async def test_what_is_approved_for_a_machine_revoked_meanwhile_ends_too(inside: House, work: Clockwork) -> None:
    """The yes came after; the job is queued for nobody and does not wait for its time to run out."""
    request = await inside.ask(RESTART)
    inside.write(lambda txn: ca.revoke(txn, "agent", "web-1", "alice", NOW))
    await work.timers.look()
    await inside.ask(f"approve r{request.number}", "bob")
    assert [job.state for job in inside.jobs(request)] == [JobState.QUEUED]
    await work.timers.look()
    assert [job.state for job in inside.jobs(request)] == [JobState.CANCELLED]


async def test_a_new_machine_of_a_revoked_name_gets_none_of_it(inside: House, work: Clockwork) -> None:
    """Revoked and joined again between two looks: nothing was seen, and nothing is handed over all the same."""
    had, waiting = await inside.leased(), await inside.working("@web-1 df -h")
    inside.clock.pass_(1)
    await inside.change_machine("web-1", state="active", joined_at=inside.clock.now, journal="", generation=1)
    await work.timers.look()
    answers = await inside.heard("web-1", Report("a new journal", "boot", {}))
    assert answers.resync is not None
    assert inside.job(had.id).state is JobState.UNKNOWN
    assert await inside.claim(journal="a new journal") == []
    assert inside.job(waiting.id).state is JobState.NOT_STARTED


async def test_a_locked_machines_jobs_wait(inside: House, work: Clockwork) -> None:
    """A person looks at it first; it may come back."""
    waiting = await inside.working()
    await inside.change_machine("web-1", state="locked")
    await work.timers.look()
    assert inside.job(waiting.id).state is JobState.QUEUED


async def test_a_look_that_failed_is_looked_at_again_from_where_it_was(
    inside: House, work: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revocations of the time in between are not passed over."""
    closed: list[set[str]] = []

    async def close(revoked: Any, outcast: Any) -> None:
        closed.append(set(revoked))
        if len(closed) == 1:
            raise RuntimeError("trouble")

    monkeypatch.setattr(work.port.links, "close_untrusted", close)
    row = Credential("f" * 64, "agent", "web-1", 1, NOW, NOW + 9_000, key_hash="k")
    inside.write(lambda txn: txn.add_credential(row))
    inside.clock.pass_(100)
    inside.write(lambda txn: txn.revoke_credentials("agent", "web-1", inside.clock.now))
    inside.clock.pass_(1)
    with pytest.raises(RuntimeError):
        await work.timers.look()
    inside.clock.pass_(600)
    await work.timers.look()
    inside.clock.pass_(600)
    await work.timers.look()
    assert closed == [{"f" * 64}, {"f" * 64}, set()]


async def test_a_revocation_that_took_its_time_to_commit_is_seen(inside: House, work: Clockwork) -> None:
    """Its time stamp is of before the wait for the writer's lock; two looks may have passed since."""
    closed: list[set[str]] = []

    async def close(revoked: Any, outcast: Any) -> None:
        closed.append(set(revoked))

    work.port.links.close_untrusted = close  # type: ignore[method-assign]
    row = Credential("f" * 64, "agent", "web-1", 1, NOW, NOW + 9_000, key_hash="k")
    inside.write(lambda txn: txn.add_credential(row))
    stamped = inside.clock.now
    for _ in range(5):
        inside.clock.pass_(2)
        await work.timers.look()
    inside.write(lambda txn: txn.revoke_credentials("agent", "web-1", stamped))
    await work.timers.look()
    assert closed == [set()] * 5 + [{"f" * 64}]


@pytest.fixture
async def awake(tmp_path: Path) -> AsyncIterator[House]:
    """A hub at the real time, which TLS looks at."""
    with house(tmp_path, Clock(time.time())) as made:
        await made.machine("web-1", online=False)
        await made.machine("web-2", online=False)
        await made.people.refresh()
        yield made


async def test_a_revoked_machines_and_persons_links_are_closed_by_the_next_look(awake: House) -> None:
    """Revoked by another process: the live links end with that look, those of others stay (S10)."""
    async with serving(awake) as port:
        work = Clockwork(awake, port)
        first, second = await port.reported("web-1"), await port.reported("web-2")
        alice, bob = await port.console("alice"), await port.console("bob")
        awake.write(lambda txn: ca.revoke(txn, "agent", "web-1", "terminal", awake.clock.now))
        awake.write(lambda txn: ca.revoke(txn, "operator", "bob", "terminal", awake.clock.now))
        await work.timers.look()
        assert await first.closed() == 1008
        assert await bob.closed() == 1008
        await second.turn()
        await alice.turn()
        assert port.links.count() == (1, 1)
        with pytest.raises(Exception, match="revoked"):
            await port.agent("web-1")


async def test_a_locked_machines_link_is_closed_by_the_next_look(awake: House) -> None:
    """Whoever locked it: its certificate is not revoked, and its link ends all the same."""
    async with serving(awake) as port:
        work = Clockwork(awake, port)
        end = await port.reported("web-1")
        awake.write(lambda txn: txn.save_agent(*_locked(txn)))
        await work.timers.look()
        assert await end.closed() == 1008
        assert port.links.count() == (0, 0)


def _locked(txn: Txn) -> tuple[Agent, Agent]:
    before = txn.agent("web-1")
    assert before is not None
    return before, replace(before, state="locked")


async def test_links_gone_silent_are_dropped_by_a_look(awake: House) -> None:
    """Machines and consoles alike, after three heartbeats; who is heard of stays."""
    async with serving(awake) as port:
        work = Clockwork(awake, port)
        silent, console, alive = await port.reported("web-1"), await port.console("alice"), await port.reported("web-2")
        awake.clock.pass_(3 * alive.session.interval + 1)
        await alive.turn()
        await work.timers.look()
        assert await silent.closed() == 1006
        assert await console.closed() == 1006
        await port.until(lambda: not awake.fleet.online("web-1"))
        await alive.turn()


# ---- keeping


async def test_the_head_of_the_audit_is_signed(inside: House, work: Clockwork) -> None:
    """A checkpoint that a stranger can verify; none where nothing has been added; a cut tail shows."""
    await inside.ask("@web-1 uptime")
    await work.timers.checkpoint()
    await work.timers.checkpoint()
    marks: list[Checkpoint] = inside.read(lambda txn: txn.checkpoints())
    assert len(marks) == 1
    inside.clock.pass_(10)
    await inside.ask("help")
    await work.timers.checkpoint()
    marks = inside.read(lambda txn: txn.checkpoints())
    links = inside.read(lambda txn: txn.chain())
    keys, hub = inside.keys.job_keys, inside.keys.hub_id
    report = audit.verify(links, marks, keys, hub=hub)
    assert (report.ok, report.signed_to) == (True, links[-1].seq)
    assert not audit.verify(links[:-1], marks, keys, hub=hub).ok
    assert not audit.verify(links, marks, keys, hub="another hub").ok


async def test_old_output_tokens_and_certificates_go(inside: House, work: Clockwork) -> None:
    """All output that is older than the retention, however much there is; not a day before. Rows and audit stay."""
    job = await inside.leased()
    await inside.heard("web-1", *(Output(job.id, seq, 1, b"x", NOW) for seq in range(1, 1_101)), ended(job.id))
    inside.write(lambda txn: txn.add_token(Token("t", "agent", "n", {}, NOW, NOW + 600, "alice")))
    old = Credential("a" * 64, "agent", "web-1", 1, NOW, NOW + 3600)
    new = Credential("b" * 64, "agent", "web-1", 2, NOW, NOW + 9 * 10**8)
    for row in (old, new):
        inside.write(lambda txn, row=row: txn.add_credential(row))
    events = len(inside.events())
    inside.clock.pass_(inside.config.store.retention - 60)
    await work.timers.clean()
    assert len(inside.read(lambda txn: txn.chunks(job.id, limit=5_000))) == 1_100
    inside.clock.pass_(3_700)
    job_before = inside.job(job.id)
    await work.timers.clean()
    assert inside.read(lambda txn: txn.chunks(job.id)) == []
    assert inside.read(lambda txn: txn.token("t")) is None
    kept = {one.fingerprint for one in inside.read(lambda txn: txn.credentials("agent", "web-1"))}
    assert kept == {"b" * 64}
    assert (inside.job(job.id), len(inside.events())) == (job_before, events)


async def test_the_certificate_and_the_sums_are_others_work(work: Clockwork, inside: House) -> None:
    """The timers say when."""
    await work.timers.renew()
    await work.timers.flush()
    assert (work.renewals, work.flushed) == (1, [inside.clock.now])


# ---- ticking


async def test_a_tick_that_fails_is_tried_again_soon(work: Clockwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a reason not to be ready until it goes well; what is due once an hour does not wait an hour for that."""
    monkeypatch.setattr(module, "AGAIN_AFTER", 0.0)
    problems: list[list[str]] = []
    over = asyncio.Event()

    async def clean() -> None:
        problems.append(work.timers.problems())
        if len(problems) == 1:
            raise RuntimeError("disk full")
        if len(problems) == 3:
            over.set()

    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(work.timers._every(0.001, clean))
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
    work: Clockwork, inside: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's own words say why the hub is not ready; what was due is done once there is room, and nothing is
    left of the problem.
    """
    monkeypatch.setattr(module, "AGAIN_AFTER", 0.0)
    request = await inside.ask(RESTART)
    inside.clock.pass_(inside.config.queue.decide_within)
    write, seen, lapsed = inside.engine.write, asyncio.Event(), asyncio.Event()
    room = False

    async def full(unit: Any) -> Any:
        if not room:
            seen.set()
            raise StoreFull("store a.sqlite: the disk is full", "make room")
        await write(unit)
        lapsed.set()

    monkeypatch.setattr(inside.engine, "write", full)
    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(work.timers._every(0.001, work.timers.lapse))
        await asyncio.wait_for(seen.wait(), 10)
        await asyncio.sleep(0)
        assert work.timers.problems() == ["lapse: store a.sqlite: the disk is full: make room"]
        assert inside.request(request.id).state is RequestState.ASKING
        room = True
        await asyncio.wait_for(lapsed.wait(), 10)
        await asyncio.sleep(0)
        ticking.cancel()
    assert inside.request(request.id).state is RequestState.EXPIRED
    assert work.timers.problems() == []
