"""What was kept long enough: what may go, what may not, and what is known of it afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from common.lifecycle import JobState, RequestState
from hub.core.records import Job, Request, StoredChunk
from hub.store.errors import Conflict
from hub.store.retention import Dropped
from hub.store.store import Store

DAY = 86_400.0


def add(store: Store, make: Any, days: float = 100, jobs: int = 1, **more: Any) -> tuple[Request, list[Job]]:
    """A request that ended some days ago, with its jobs."""
    at = make.now - days * DAY
    values = {"state": RequestState.DONE, "received_at": at, "ended_at": at, **more}
    made = make.request(**values)
    request = store.write_now(lambda txn: txn.add_request(made))
    assert request is not None
    ended = [make.job(request, state=JobState.SUCCEEDED, queued_at=at, ended_at=at) for _ in range(jobs)]
    store.write_now(lambda txn: txn.add_jobs(ended))
    return request, ended


def old(store: Store, make: Any, days: float = 90) -> tuple[str, ...]:
    return tuple(store.read_now(lambda txn: txn.old_requests(make.now - days * DAY)).keys)


def drop(store: Store, make: Any, *ids: str, limit: int = 200) -> Dropped:
    return store.write_now(lambda txn: txn.drop_requests(ids, make.now - 90 * DAY, make.now, limit))


def test_an_ended_request_goes_with_all_that_is_its_own(store: Store, make: Any) -> None:
    """Its jobs and what is sealed with it; not a day before, and the newest request never."""
    request, (job,) = add(store, make)
    store.write_now(lambda txn: txn.add_sealed(request.id, "prompt", b"x", make.now))
    fresh, _ = add(store, make, days=89)
    newest, _ = add(store, make)
    assert old(store, make) == (request.id,)
    assert drop(store, make, request.id, fresh.id, newest.id) == Dropped(3, 1, 1)
    assert [store.read_now(lambda txn, one=one: txn.request(one.id)) for one in (request, fresh, newest)] == [
        None,
        fresh,
        newest,
    ]
    assert store.read_now(lambda txn: txn.job(job.id)) is None
    assert store.read_now(lambda txn: txn.sealed_of(request.id)) == []
    assert store.read_now(lambda txn: txn.highest_number()) == newest.number


def test_a_deleted_message_that_comes_again_does_nothing(store: Store, make: Any) -> None:
    """Trust: P1 and P2. The same delivery is no new request, and the id of a job is used by no other, as long as the
    tombstones are there; another inlet's message of the same id is one.
    """
    request, (job,) = add(store, make)
    add(store, make)
    drop(store, make, request.id)
    again = make.request(event_id=request.event_id)
    assert store.write_now(lambda txn: txn.add_request(again)) is None
    assert store.write_now(lambda txn: txn.add_request(replace(again, inlet="other"))) is not None
    other = store.write_now(lambda txn: txn.add_request(make.request()))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.add_jobs([make.job(other, id=job.id)]))
    assert store.read_now(lambda txn: txn.jobs_gone("web-1", [job.id, "J"])) == {job.id}
    assert store.read_now(lambda txn: txn.jobs_gone("web-2", [job.id])) == frozenset()
    assert store.write_now(lambda txn: txn.drop_tombstones(make.now)) == 0
    assert store.write_now(lambda txn: txn.drop_tombstones(make.now + 1, limit=1)) == 1
    assert store.write_now(lambda txn: txn.drop_tombstones(make.now + 1)) == 1
    assert store.write_now(lambda txn: txn.add_request(replace(again, id=make.request().id))) is not None


@pytest.mark.parametrize("why", ["open", "unknown job", "late job", "output", "reply", "draft", "approval"])
def test_nothing_goes_that_is_under_way(store: Store, make: Any, why: str) -> None:
    """Found by the look, and asked again by the unit: it may have changed between the two."""
    states = {"state": RequestState.WORKING, "ended_at": None} if why == "open" else {}
    request, (job,) = add(store, make, **states)
    add(store, make)
    before = old(store, make)
    assert before == (() if why == "open" else (request.id,))
    late = {"state": JobState.SUCCEEDED, "ended_at": make.now - 80 * DAY}
    kept = {"unknown job": {"state": JobState.UNKNOWN}, "late job": late}
    if why in kept:
        store.write_now(lambda txn: txn.add_jobs([make.job(request, **kept[why])]))
    if why == "output":
        store.write_now(lambda txn: txn.add_chunk(StoredChunk(job.id, 1, 1, b"x", make.now)))
    if why == "reply":
        store.write_now(lambda txn: txn.add_reply(make.reply(request.id)))
    if why == "draft":
        _insert(store, "drafts", number=1, request_id=request.id, name="n", body="", state="proposed", by="", at=1.0,
                decided_by="", reason="")  # fmt: skip
    if why == "approval":
        _insert(store, "standing_approvals", number=1, request_id=request.id, plan_hash="", person="", granted_by="",
                via="", granted_at=1.0, expires_at=make.now, max_uses=1, uses=0, second_factor=False, revoked_by="",
                command="", targets="[]", mac="")  # fmt: skip
    assert old(store, make) == ()
    assert drop(store, make, request.id) == Dropped(1, 0, 0)
    assert store.read_now(lambda txn: txn.request(request.id)) == request
    assert store.read_now(lambda txn: txn.job(job.id)) == job


def _insert(store: Store, table: str, **values: Any) -> None:
    names = ", ".join(values)
    with store._database.engine.connect() as connection:
        marks = ", ".join(f":{name}" for name in values)
        connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)  # noqa: S608


def test_a_unit_deletes_no_more_than_its_rows(store: Store, make: Any) -> None:
    """Of a request with more jobs than that some first, and the request with the last of them."""
    many, jobs = add(store, make, jobs=25)
    few = [add(store, make, jobs=0)[0] for _ in range(3)]
    add(store, make)
    ids = old(store, make)
    assert ids == (many.id, *(one.id for one in few))
    assert [drop(store, make, *ids, limit=10) for _ in range(2)] == [Dropped(0, 0, 10)] * 2
    assert drop(store, make, *ids, limit=10) == Dropped(4, 4, 5)
    assert store.read_now(lambda txn: txn.jobs_gone("web-1", [job.id for job in jobs])) == {job.id for job in jobs}


def test_pages_go_on_where_the_last_one_ended(store: Store, make: Any) -> None:
    """Until what is not old enough; what stays of a page is gone past."""
    add(store, make, state=RequestState.WORKING, ended_at=None)
    two, three = (add(store, make)[0] for _ in range(2))
    add(store, make, days=1)
    add(store, make, days=1)
    before = make.now - 90 * DAY
    first = store.read_now(lambda txn: txn.old_requests(before, limit=2))
    assert first.keys == (two.id,)
    second = store.read_now(lambda txn: txn.old_requests(before, first.after or 0, limit=2))
    assert (second.keys, second.after) == ((three.id,), None)


def test_delivered_replies_go(store: Store, make: Any) -> None:
    """What was said goes when it was delivered, its row later; one that waits stays, however old."""
    at = make.now - 10 * DAY
    done, dead, waiting = (
        store.write_now(lambda txn: txn.add_reply(make.reply("R", body="{}", created_at=at, next_at=at)))
        for _ in range(3)
    )
    store.write_now(lambda txn: txn.mark_reply_done(done, at))
    store.write_now(lambda txn: txn.mark_reply_dead(dead, at + 1, "gone"))
    with store._database.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT id, body, url FROM outbox ORDER BY id")).all()
    assert tuple(rows[0]) == (done, "", "")
    assert all(row[2] for row in rows[1:])
    page = store.read_now(lambda txn: txn.old_replies(at + 1))
    assert (page.keys, page.after) == ((done,), None)
    page = store.read_now(lambda txn: txn.old_replies(make.now))
    assert store.write_now(lambda txn: txn.drop_replies((*page.keys, waiting), make.now)) == 2
    assert [reply.id for reply in store.read_now(lambda txn: txn.due_replies(make.now))] == [waiting]
