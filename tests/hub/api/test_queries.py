"""Looking at the console, once: lists, single things, output, the audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.api.queries import MAX_NEEDLE
from common.errors import Denied
from common.link.messages import Output
from common.values import Duration
from hub.api.following import MAX_CHUNKS
from hub.archive.archiver import Archiver
from hub.archive.reader import AuditArchive
from hub.config import ApprovalsTable
from hub.links.console import InvalidArguments
from hub.witness.signer import CheckpointSigner
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import NOW, FakeClock, HubHarness


async def test_whoami_tells_every_verb_and_who_may(harness: HubHarness) -> None:
    """A verb whose right has another name goes by that right."""
    rooms = ApiHarness(harness)
    told = await rooms.call("carol", "whoami")
    assert (told["person"], told["roles"], told["hub"]) == ("carol", ["operator"], harness.keys.hub_id)
    assert told["verbs"].keys() == {*rooms.api.table, "kill"}
    assert told["verbs"]["kill"] == {"may": True, "role": "operator"}
    assert told["verbs"]["approve"] == {"may": False, "role": "approver"}
    assert (await rooms.call("vera", "whoami"))["verbs"]["take_back"]["may"] is False


async def test_lists_are_newest_first_and_paged(harness: HubHarness) -> None:
    """By state, by person, and from behind the last that was told."""
    first, second = await harness.queued_job(), await harness.queued_job(user="dave")
    waits = await harness.submit("@web-1 systemctl restart nginx.service")
    rooms = ApiHarness(harness)
    numbers = [row["number"] for row in await rooms.call("vera", "requests")]
    assert numbers == [3, 2, 1]
    assert [row["number"] for row in await rooms.call("vera", "requests", before=3, limit=1)] == [2]
    assert [row["id"] for row in await rooms.call("vera", "requests", states=["asking"])] == [waits.id]
    assert [row["id"] for row in await rooms.call("vera", "jobs")] == [second.id, first.id]
    assert [row["id"] for row in await rooms.call("vera", "jobs", person="carol")] == [first.id]
    assert [row["id"] for row in await rooms.call("vera", "jobs", before=second.id)] == [first.id]


async def test_a_list_is_filtered_for_who_looks(harness: HubHarness) -> None:
    """`me` is the caller; what cannot be sorted by is no call."""
    await harness.queued_job()
    hers = await harness.queued_job(user="dave")
    rooms = ApiHarness(harness)
    assert [row["id"] for row in await rooms.call("dave", "jobs", filter="user:me")] == [hers.id]
    assert [row["person"] for row in await rooms.call("carol", "requests", filter="user:me")] == ["carol"]
    assert await rooms.call("carol", "jobs", filter="user:me", lo=1) == []
    with pytest.raises(InvalidArguments, match="sort: there is no 'nothing'"):
        await rooms.call("carol", "jobs", filter="", sort="nothing")


async def test_a_request_has_its_jobs_and_approvals(harness: HubHarness) -> None:
    """Who said yes, from where; the jobs come with it."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    await harness.submit(f"approve r{request.number}", "bob")
    told = await ApiHarness(harness).call("vera", "request", number=request.number)
    (given,) = told["approvals"]
    assert (given["person"], given["granted"], given["via"], given["at"]) == ("bob", True, "ops", NOW)
    assert [job["id"] for job in told["jobs"]] == [job.id for job in harness.jobs(request)]


async def test_output_is_paged_and_searched(harness: HubHarness) -> None:
    """So many chunks at once, from behind the last; a text is found in either case."""
    job = await harness.leased_job()
    chunks = [Output(job.id, seq, 1, f"Line {seq}\n".encode(), NOW) for seq in range(1, MAX_CHUNKS + 3)]
    await harness.handle_agent_events("web-1", *chunks)
    rooms = ApiHarness(harness)
    first = (await rooms.call("vera", "job", id=job.id))["output"]
    assert [chunk["seq"] for chunk in first] == list(range(1, MAX_CHUNKS + 1))
    rest = (await rooms.call("vera", "job", id=job.id, after=MAX_CHUNKS))["output"]
    assert [chunk["data"] for chunk in rest] == [one.data for one in chunks[MAX_CHUNKS:]]
    found = await rooms.call("vera", "search_output", job=job.id, text="LINE 13")
    assert ([match["text"] for match in found["matches"]], found["more"]) == (["Line 13"], False)
    for wrong in ("", "x" * (MAX_NEEDLE + 1)):
        with pytest.raises(InvalidArguments, match="text"):
            await rooms.call("vera", "search_output", job=job.id, text=wrong)


async def test_machines_and_queue_are_counted(harness: HubHarness) -> None:
    """What waits, what a machine has, who paused it all."""
    await harness.add_machine("web-2", online=False)
    await harness.leased_job()
    await harness.queued_job()
    harness.write(lambda txn: txn.pause_queue("bob", NOW, "deploy", NOW + 9))
    rooms = ApiHarness(harness)
    rows = [(row["name"], row["online"], row["queued"], row["running"]) for row in await rooms.call("vera", "agents")]
    assert rows == [("web-1", True, 1, 1), ("web-2", False, 0, 0)]
    assert [row["name"] for row in await rooms.call("vera", "agents", after="web-1")] == ["web-2"]
    queue = await rooms.call("vera", "queue")
    assert (queue["depth"], queue["states"]["leased"]) == (1, 1)
    assert queue["paused"] == {"by": "bob", "at": NOW, "reason": "deploy", "until": NOW + 9}


async def test_the_audit_takes_its_right(harness: HubHarness) -> None:
    """An operator may look at jobs, not at it; by kind and from a place on."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    with pytest.raises(Denied, match="may not audit"):
        await rooms.call("carol", "audit")
    rows = await rooms.call("bob", "audit", kind="job.", subject=job.id)
    assert [row["subject"] for row in rows] == [job.id] * len(rows) != []
    assert await rooms.call("bob", "audit", kind="job.", subject=job.id, after=rows[-1]["seq"]) == []
    for verb in ("jobs", "requests", "agents", "queue", "whoami"):
        with pytest.raises(Denied):
            await rooms.call("nobody", verb)


async def test_the_audit_is_filtered_as_other_lists_are(harness: HubHarness) -> None:
    """Newest first, from a place on, with the number of the request that an event is about."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    rows = await rooms.call("bob", "audit", filter="kind:job.*")
    assert [row["seq"] for row in rows] == sorted((row["seq"] for row in rows), reverse=True)
    assert {row["kind"].split(".")[0] for row in rows} == {"job"}
    assert {row["number"] for row in rows if row["subject"] == job.id} == {1}
    every = await rooms.call("bob", "audit", filter="")
    assert await rooms.call("bob", "audit", filter="", lo=1, limit=1) == every[1:2] != []
    (asked,) = await rooms.call("bob", "audit", filter="kind:message.accepted")
    assert asked["number"] == 1
    with pytest.raises(InvalidArguments, match="sort"):
        await rooms.call("bob", "audit", filter="", sort="nope")
    with pytest.raises(Denied):
        await rooms.call("carol", "audit", filter="")


async def test_a_request_tells_what_an_approval_of_it_takes(harness: HubHarness) -> None:
    """Trust: whether it is signed by the people, and for how long it may be given: never of what is critical, nor where
    hub.toml has nothing of it, nor once it is decided.
    """
    harness.add_rule("twice", verdict="ask", more="approvers = 1\ncritical = true")
    rooms = ApiHarness(harness)
    plain = await harness.submit("@web-1 systemctl restart nginx.service")
    critical = await harness.submit("@web-1 twice now")
    told = await rooms.call("bob", "request", number=plain.number)
    assert {"critical", "allow_for", "allow_uses"}.isdisjoint(told)
    harness.engine.standing.settings = ApprovalsTable(Duration(3600.0), 3)
    told = await rooms.call("bob", "request", number=plain.number)
    assert (told["allow_for"], told["allow_uses"], told.get("critical")) == (3600.0, 3, None)
    told = await rooms.call("bob", "request", number=critical.number)
    assert (told["critical"], told.get("allow_for")) == (True, None)
    await harness.submit(f"reject r{plain.number}", "bob")
    assert "allow_for" not in await rooms.call("bob", "request", number=plain.number)


async def test_what_is_archived_is_said(tmp_path: Path) -> None:
    """Asked for by its number, or by a place before the first that is here, the answer names the archive; lists are of
    what is here.
    """
    harness = HubHarness(tmp_path, FakeClock())
    try:
        hub, now = harness.keys.hub_id, harness.clock.now
        signer = CheckpointSigner(harness.keys.job_key, hub, lambda: None)
        harness.write(lambda txn: signer.announce(txn, None, now))
        for _ in range(3):
            harness.write(lambda txn: [txn.audit("test.row", "r", "t", {}, now) for _ in range(5)])
            while harness.read(signer.advance):
                pass
            harness.write(lambda txn: signer.sign(txn, now))
        rooms = ApiHarness(harness)
        assert len(await rooms.call("bob", "audit", after=0, kind="test.")) == 15
        archive = AuditArchive(tmp_path / "archive", hub, harness.keys.job_keys)
        assert await Archiver(harness.store, archive, harness.keys.job_key, lambda: now).run(now + 1)
        first = harness.read(lambda txn: txn.first_event())
        file = archive.files()[-1].path.name
        for asked in (
            {"after": 0},
            {"after": first - 2},
            {"filter": "seq:3"},
            {"filter": f"kind:test.row seq:{first - 1}"},
        ):
            with pytest.raises(InvalidArguments, match=f"up to {first - 1} are in the archive.*audit read.*{file}"):
                await rooms.call("bob", "audit", **asked)
        rows = await rooms.call("bob", "audit", after=first - 1)
        assert rows[0]["seq"] == first
        assert (await rooms.call("bob", "audit"))[0]["seq"] == first
        assert await rooms.call("bob", "audit", filter="seq:999999") == []
        assert rows[-1]["kind"] == "audit.archived"
    finally:
        harness.store.close()
