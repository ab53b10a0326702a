"""Recovery: how it begins while the hub serves, what was open is ended, what machines tell, how it is over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.lifecycle import JobState, RequestState
from common.link.marks import Mark
from common.link.messages import Accepted, Hello, Report, Started
from hub.cli import recover
from hub.core.recovery import INLET, Recovery
from hub.engine.recovery import MAX_EPOCH_AHEAD, MAX_TAKEN
from hub.store.errors import StoreFenced
from hub.store.taken import MAX_AGE
from tests.hub.engine.test_request_actions import REBOOT, RESTART, approve
from tests.hub.hub_harness import JOURNAL, NOW, HubHarness, ended_message

LOST = Mark(9, "e" * 16, 700, 1_450)
JOB = "01J0000000000000000000000A"


def hello(heard: str = "", epoch: int = 0) -> Hello:
    return Hello(1, "agent", "web-1", "0.1.0", epoch=epoch, heard=heard)


async def hear(harness: HubHarness, mark: Mark | None = LOST, epoch: int = 0) -> bool:
    """A machine says what it has heard."""
    return await harness.engine.hear(hello("" if mark is None else harness.engine.marks.seal(mark), epoch), "web-1")


def record(harness: HubHarness) -> Recovery:
    found = harness.read(lambda txn: txn.recovery())
    assert found is not None
    return found


async def recovered(harness: HubHarness, *revoked: str) -> None:
    recover.finish(harness.config, revoked, harness.clock.now)
    assert await harness.engine.recovery.refresh()
    await harness.fleet.refresh()


async def test_a_machine_that_has_heard_more_begins_it(harness: HubHarness) -> None:
    """Numbers, epoch and start go on beyond what was told, and the next machine changes nothing more."""
    before = harness.engine.epoch
    assert await hear(harness)
    assert harness.recovery.active
    assert (record(harness).cause, record(harness).witness, record(harness).heard) == ("machine", "web-1", str(LOST))
    assert harness.engine.epoch == 2_000 > before
    mark = harness.store.mark()
    assert mark is not None
    assert mark.epoch == 2_000
    assert mark.supersedes(LOST)
    assert (await harness.submit("@web-1 uptime")).number == 3_000
    assert await hear(harness, replace(LOST, seq=800))
    assert len(harness.events("hub.restored")) == 1


async def test_what_this_store_told_is_no_reason(harness: HubHarness) -> None:
    """Nor is a position that nobody proves, a claim without proof, or an older version's silence."""
    mark = harness.store.mark()
    assert mark is not None
    assert not await hear(harness, mark)
    assert not await harness.engine.hear(hello(f"{LOST}.{'0' * 32}"), "web-1")
    assert not await hear(harness, None, epoch=50)
    assert not await hear(harness, None)
    assert harness.read(lambda txn: txn.recovery()) is None


async def test_a_hub_that_another_has_replaced_does_not_take_over(harness: HubHarness) -> None:
    """The store says so: it has a later epoch than this process, which writes nothing more."""
    harness.write(lambda txn: txn.put_meta("epoch", "9"))
    with pytest.raises(StoreFenced):
        await hear(harness)
    assert not harness.recovery.active


async def test_nothing_is_handed_out_and_nothing_approved(harness: HubHarness) -> None:
    """Messages are taken; what they ask for waits and says for what; then it goes on by itself."""
    await hear(harness)
    request = await harness.submit("@web-1 uptime")
    assert request.state is RequestState.WORKING
    assert "restored from a backup" in harness.reply_body(request, "progress")["text"]
    assert await harness.claim() == []
    asking = await harness.submit(RESTART)
    done = await approve(harness, asking)
    assert done.code == "recovery"
    assert "answerback-hub recover" in await harness.reply_text(f"approve r{asking.number}", "bob")
    assert "answerback-hub recover" in await harness.reply_text("status", "bob")
    assert (await harness.reply_text("机器", "bob")).startswith("运行 “answerback-hub recover”")
    await recovered(harness)
    assert [order.job for order in await harness.orders()] == [harness.jobs(request)[0].id]
    assert (await approve(harness, asking)).code == ""
    assert "backup" not in await harness.reply_text("status", "bob")


async def test_what_was_open_is_from_before(harness: HubHarness) -> None:
    """A question is void and says so; a job that waited or was out is unknown, and never handed out again; a message
    that was not planned is refused; people are told to ask again.
    """
    await harness.add_machine("db-1")
    asking, queued = await harness.submit(RESTART), await harness.queued_job()
    out = await harness.leased_job("@db-1 uptime")
    unread = harness.leave_unplanned("@web-1 df -h")
    await hear(harness)
    await harness.engine.recovery.refresh()
    assert record(harness).counts == {"jobs": 2, "messages": 1, "questions": 1, "tokens": 0}
    assert harness.request(asking.id).state is RequestState.EXPIRED
    assert "void" in harness.final_reply(asking)["text"]
    assert [harness.job(job.id).state for job in (queued, out)] == [JobState.UNKNOWN] * 2
    assert harness.request(unread.id).state is RequestState.REFUSED
    assert "send it again" in harness.final_reply(unread)["text"]
    await recovered(harness)
    assert await harness.claim() == []
    assert await harness.claim("db-1") == []
    assert (await approve(harness, asking)).code == "not_asking"


async def test_no_further_step_of_a_plan_from_before_begins(harness: HubHarness) -> None:
    """Its next step may have run already under another job's id."""
    job = await harness.leased_job()
    await hear(harness)
    await harness.handle_agent_events("web-1", Accepted(job.id, job.plan_hash), ended_message(job.id))
    assert harness.job(job.id).state is JobState.SUCCEEDED
    assert harness.request(job.request_id).state is RequestState.DONE
    assert len(harness.read(lambda txn: txn.jobs_of(job.request_id))) == 1


async def test_what_only_the_machine_knows_is_taken(harness: HubHarness) -> None:
    """A row of its own for each, the result as for any other, and it can be forgotten then; others' jobs are not."""
    await hear(harness)
    report = Report(JOURNAL, "boot", {JOB: "started", "nonsense": "ended"})
    replies = await harness.engine.handle_agent_events("web-1", [report], estranged=True)
    assert replies.resync is not None
    assert replies.resync.jobs == {JOB: 1}
    await harness.engine.handle_agent_events(
        "web-1", [Accepted(JOB, "h"), Started(JOB, 7, NOW), ended_message(JOB, exit_code=3, outcome="failed")]
    )
    job = harness.job(JOB)
    request = harness.request(job.request_id)
    assert (job.state, job.exit_code, request.inlet, request.state) == (JobState.FAILED, 3, INLET, RequestState.DONE)
    again = await harness.engine.handle_agent_events("web-1", [report], estranged=True)
    assert again.resync is not None
    assert again.resync.forget == (JOB,)
    assert len(harness.events("recovery.job")) == 1


async def test_a_machine_of_this_history_has_nothing_taken(harness: HubHarness) -> None:
    await harness.engine.handle_agent_events("web-1", [Report(JOURNAL, "boot", {JOB: "started"})])
    assert harness.read(lambda txn: txn.job(JOB)) is None


async def test_a_machine_that_was_away_during_recovery_is_read_too(harness: HubHarness) -> None:
    """It has heard the lost hub; that is dealt with, so no recovery begins again, but its jobs are taken."""
    await hear(harness)
    await recovered(harness)
    assert await hear(harness, replace(LOST, seq=800))
    assert not harness.recovery.active
    further = replace(LOST, epoch=5_000, number=9_000)
    assert await hear(harness, further)  # a second restore of the same backup
    assert harness.recovery.active
    assert harness.engine.epoch == 7_000


async def test_in_recovery_an_older_agents_epoch_is_followed_within_reason(harness: HubHarness) -> None:
    """It knows no positions, and would refuse a hub that is behind."""
    await hear(harness)
    assert await hear(harness, None, epoch=5_500)
    assert harness.engine.epoch == 7_000
    await hear(harness, None, epoch=MAX_EPOCH_AHEAD * 2)
    assert harness.engine.epoch == 7_000


async def test_the_bound_of_one_report(harness: HubHarness) -> None:
    await hear(harness)
    many = {f"01J{number:023d}": "ended" for number in range(MAX_TAKEN + 5)}
    await harness.engine.handle_agent_events("web-1", [Report(JOURNAL, "boot", many)], estranged=True)
    assert len(harness.events("recovery.job")) == MAX_TAKEN


async def test_a_code_of_before_is_used(harness: HubHarness) -> None:
    """It may have been given away in what is lost; one of a minute later counts."""
    code = await harness.enrol_totp("bob")
    given = code()
    await hear(harness)
    await harness.people.refresh()
    request = await harness.submit(REBOOT)
    await recovered(harness)
    assert (await approve(harness, request, code=given)).code == "bad_code"
    harness.clock.advance(90)
    assert (await approve(harness, request, code=code())).code == ""


async def test_a_message_from_before_is_told_and_not_done(harness: HubHarness) -> None:
    """A platform that delivers again what the lost hub had done; without a time of its own it counts as new."""
    await hear(harness)
    await recovered(harness)
    for sent_at, state in (
        (NOW - 60, RequestState.REFUSED),
        (NOW + 60, RequestState.WORKING),
        (0.0, RequestState.WORKING),
    ):
        receipt = await harness.accept("@web-1 uptime", sent_at=sent_at)
        assert harness.request(receipt.request).state is state
    first = next(reply for reply in harness.replies() if reply.kind == "final")
    assert "older than the restore" in first.body


async def test_a_message_of_after_the_backup_does_not_run_twice(harness: HubHarness) -> None:
    """It does not say when it was written, ran after the backup was made, and its platform delivers it again: in the
    recovery, after it, and after a restart; a day later nobody does. What is new runs.
    """
    harness.store.close()
    backup = harness.database.read_bytes()
    await put_back(harness, backup)
    assert (await harness.submit("@web-1 uptime", event_id="again")).state is RequestState.WORKING
    await put_back(harness, backup)
    await harness.engine.recovery.load()
    assert harness.recovery.active
    refused = await harness.submit("@web-1 uptime", event_id="again")
    assert refused.state is RequestState.REFUSED
    assert "older than the restore" in harness.final_reply(refused)["text"]
    assert (await harness.accept("@web-1 uptime", event_id="again")).status == "duplicate"
    assert (await harness.submit("@web-1 uptime", event_id="new")).state is RequestState.WORKING
    for late, state in ((0.0, RequestState.REFUSED), (2 * MAX_AGE, RequestState.WORKING)):
        await put_back(harness, backup)
        await harness.engine.recovery.load()
        recover.finish(harness.config, (), harness.clock.now)
        done = record(harness)
        earlier = replace(done, since=done.since - late)
        harness.write(lambda txn, row=earlier: txn.save_recovery(row))
        await harness.restart()
        await harness.engine.recovery.load()
        assert not harness.recovery.active
        assert (await harness.submit("@web-1 uptime", event_id="again")).state is state


async def test_a_restart_in_recovery_goes_on_with_it(harness: HubHarness) -> None:
    """Also where the process ended before what was open had been."""
    asking = await harness.submit(RESTART)
    recover.begin(harness.config, harness.clock.now)
    await harness.restart()
    await harness.engine.recovery.load()
    assert harness.recovery.active
    assert harness.request(asking.id).state is RequestState.EXPIRED
    await harness.restart()
    await harness.engine.recovery.load()
    assert harness.recovery.active
    assert record(harness).counts["questions"] == 1


@pytest.mark.parametrize("late", [False, True])
async def test_a_restored_folder_is_told_by_the_machine(harness: HubHarness, tmp_path: Path, late: bool) -> None:
    """Everything was put back, the file beside the store too, and as many restarts were made as before: only the
    machine knows. `late`: it heard it in the very run that the backup was made in.
    """
    kept: dict[str, bytes] = {}
    if not late:
        await harness.restart()
    harness.store.close()
    for file in (harness.database, harness.folder / "store.mark"):
        kept[str(file)] = file.read_bytes()
    reopen(harness)
    await harness.submit("@web-1 uptime")
    told = harness.engine.sealed_mark()
    harness.store.close()
    for path, data in kept.items():
        Path(path).write_bytes(data)
    for extra in harness.database.parent.glob("*-wal"):
        extra.unlink()
    reopen(harness)
    await harness.engine.recovery.load()
    assert not harness.recovery.active
    assert await harness.engine.hear(hello(told), "web-1")
    assert harness.recovery.active


async def put_back(harness: HubHarness, database: bytes) -> None:
    """The database alone, as a backup had it; what is beside it stays."""
    harness.store.close()
    harness.database.write_bytes(database)
    for extra in harness.database.parent.glob("*-wal"):
        extra.unlink()
    reopen(harness)
    await harness.people.refresh()
    await harness.fleet.refresh()


def reopen(harness: HubHarness) -> None:
    from tests.hub.store.template import open_store

    sealer = harness.keys.sealer
    harness.store = open_store(harness.config.store.url, folder=harness.folder, clock=harness.clock, sealer=sealer)
    harness.start()
