"""What is sealed, for which place; and that whoever has the database, a dump or the log reads none of it."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.sql import visitors

import hub.store
from common.filter.fields import ViewName
from common.filter.parser import parse
from common.identity.sealing import Sealer, context
from hub.core.records import Approval, Draft, Person, StandingApproval, StoredChunk
from hub.engine.planning_queue import seal_context
from hub.identity import totp
from hub.store.cipher import BYTES_MARK, MAX_AGE, TEXT_MARK
from hub.store.database import Database
from hub.store.errors import SealBroken
from hub.store.lists import ListQuery
from hub.store.schema import approvals, drafts, events, jobs, metadata, outbox, output, requests, standing_approvals
from hub.store.sealed_columns import PLAIN_KINDS, SEALED_COLUMNS, is_plain_event, layout_of
from hub.store.sql import Statement
from hub.store.store import Store
from hub.store.transaction import Txn
from tests.hub.store.conftest import PLAN
from tests.hub.store.template import RING, open_store

SAID = ("text", "plan", "why", "command", "because", "note", "output", "reply", "draft", "audit", "prompt", "ended")


def canary(what: str) -> str:
    return f"CANARY-{what}-4d1f"


def say_everything(store: Store, make: Any) -> dict[str, Any]:
    """One of everything that people and machines say, each with a canary of its own."""
    plan = PLAN.__class__((PLAN.steps[0].__class__(("/bin/echo", canary("plan")), ("web-1",)),))
    secret, _ = totp.enrol(RING, "alice", "test")

    def unit(txn: Txn) -> dict[str, Any]:
        request = txn.add_request(make.request(text=canary("text"), reason=""))
        assert request is not None
        txn.save_request(request, request.__class__(**{**_fields(request), "plan": plan, "reason": canary("why")}))
        job = make.job(request, command=f"/bin/echo {canary('command')}")
        txn.add_jobs([job])
        txn.save_job(job, job.__class__(**{**_fields(job), "reason": canary("because"), "notes": (canary("note"),)}))
        txn.add_chunk(StoredChunk(job.id, 1, 1, canary("output").encode(), make.now))
        txn.add_approval(Approval(request.id, "h", "bob", True, "ops", make.now, reason=canary("because")))
        txn.add_reply(make.reply(request.id, body=canary("reply")))
        txn.add_draft(Draft(0, request.id, "disk", canary("draft"), "proposed", "bob", make.now))
        txn.audit("message.accepted", request.id, "alice", {"text": canary("audit")}, make.now)
        txn.audit("job.ended", job.id, "web-1", {"outcome": "failed", "reason": canary("ended")}, make.now)
        txn.add_sealed(request.id, "prompt", RING.seal(canary("prompt").encode(), seal_context(request.id)), make.now)
        txn.add_person(Person("alice", ("admin",), make.now, totp_secret=secret))
        return {"request": request.id, "job": job.id}

    return store.write_now(unit)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def seed_of(store: Store) -> bytes:
    person = store.read_now(lambda txn: txn.person("alice"))
    assert person is not None
    return RING.open(person.totp_secret, context("people", "totp_secret", "alice"))


def dump(url: str, folder: Path) -> bytes:
    """All that a thief has: the file, its log, or what pg_dump writes."""
    if url.startswith("sqlite"):
        return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    program = Path(shutil.which("postgres") or "").resolve().parent / "pg_dump"
    words = [str(program), url.replace("postgresql+psycopg", "postgresql")]
    if os.getuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    return subprocess.run(words, check=True, capture_output=True).stdout


def test_a_stolen_database_shows_no_canary(url: str, store: Store, tmp_path: Path, make: Any) -> None:
    """Lesson A7: of messages, argument vectors, output, replies, reasons, prompts, drafts and second factors nothing is
    to be read in the file, its log, or a dump, on either database; whoever has the keys reads all of it.
    """
    made = say_everything(store, make)
    stolen = dump(url, tmp_path)
    assert made["job"].encode() in stolen  # it is the right one
    assert [what for what in SAID if canary(what).encode() in stolen] == []
    assert b"CANARY" not in stolen
    assert seed_of(store) not in stolen
    request = store.read_now(lambda txn: txn.request(made["request"]))
    job = store.read_now(lambda txn: txn.job(made["job"]))
    assert request is not None
    assert job is not None
    assert request.plan is not None
    assert (request.text, request.reason) == (canary("text"), canary("why"))
    assert request.plan.steps[0].argv[1] == canary("plan")
    assert (job.command, job.reason, job.notes) == (
        f"/bin/echo {canary('command')}",
        canary("because"),
        (canary("note"),),
    )
    assert [chunk.data for chunk in store.read_now(lambda txn: txn.chunks(job.id))] == [canary("output").encode()]
    assert store.read_now(lambda txn: txn.output_size(job.id)) == len(canary("output"))
    assert store.read_now(lambda txn: txn.events(limit=1))[0].data == {"text": canary("audit")}
    assert store.read_now(lambda txn: txn.due_replies(make.now))[0].body == canary("reply")


def test_without_the_cipher_every_canary_is_there(tmp_path: Path, clock: Callable[[], float], make: Any) -> None:
    """What the test above looks for can be found: where nothing is sealed, all of it is."""
    store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock, sealer=None)
    say_everything(store, make)
    stolen = dump("sqlite:///a.sqlite", tmp_path)
    assert [what for what in SAID if canary(what).encode() not in stolen] == ["prompt"]  # sealed by who adds it
    store.close()


SWAPS = {
    "another row": "UPDATE jobs SET command = (SELECT command FROM jobs WHERE id = :b) WHERE id = :a",
    "another column": "UPDATE jobs SET command = reason WHERE id = :a",
    "another table": "UPDATE jobs SET command = (SELECT text FROM requests LIMIT 1) WHERE id = :a",
    "another address": "UPDATE outbox SET url = 'https://evil.example/'",
    "another request": "UPDATE outbox SET request_id = 'x'",
    "another job's output": "UPDATE output SET job_id = :b WHERE job_id = :a",
}


@pytest.mark.parametrize("what", SWAPS)
def test_a_value_that_was_moved_is_noticed_and_named(
    what: str, tmp_path: Path, clock: Callable[[], float], make: Any
) -> None:
    """Lesson A7: whoever can write the database puts the value of one row, column or table into another, or sends a
    reply elsewhere: it does not open, and the place is named.
    """
    store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock)

    def unit(txn: Txn) -> list[str]:
        request = txn.add_request(make.request())
        assert request is not None
        made = [make.job(request, command=f"/bin/echo {name}", reason=f"why {name}") for name in "ab"]
        txn.add_jobs(made)
        txn.add_chunk(StoredChunk(made[0].id, 1, 1, b"x", make.now))
        txn.add_reply(make.reply(request.id, body="hello"))
        return [job.id for job in made]

    a, b = store.write_now(unit)
    store.close()
    engine = Database("sqlite:///a.sqlite", tmp_path).engine
    with engine.connect() as connection:
        connection.execute(
            sa.text(SWAPS[what]), {name: {"a": a, "b": b}[name] for name in "ab" if f":{name}" in SWAPS[what]}
        )
    engine.dispose()
    store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock)

    def read(txn: Txn) -> object:
        return txn.job(a), txn.chunks(b), txn.due_replies(make.now)

    store.read_now(read)
    ((place, _),) = store.broken.take(10)
    assert place.split("|")[0] in ("jobs", "outbox", "output")
    store.close()


def _columns() -> list[str]:
    return [f"{column.table.name}.{column.name}" for column in SEALED_COLUMNS]


@pytest.mark.parametrize("name", _columns())
def test_one_forged_cell_stops_no_list(name: str, tmp_path: Path, clock: Callable[[], float], make: Any) -> None:
    """Lesson A7: whoever can write the database forges one value of any sealed column. Everything is read on, with
    words in its place; what it decides over is not this hub's any more; and the place is named, once.
    """
    store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    made = say_everything(store, make)
    standing = StandingApproval(0, made["request"], "h", "carol", "bob", "ops", 1.0, 9e9, 5, command="/bin/echo")
    store.write_now(lambda txn: txn.add_standing(standing))
    store.close()
    column = next(each for each in SEALED_COLUMNS if f"{each.table.name}.{each.name}" == name)
    forged: str | bytes = TEXT_MARK + "qqqq" * 20
    if SEALED_COLUMNS[column].binary:
        forged = BYTES_MARK + bytes(60)
    engine = Database("sqlite:///a.sqlite", tmp_path).engine
    with engine.begin() as connection:
        for (trigger,) in connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(sa.text(f"DROP TRIGGER {trigger}"))  # who writes the database can do that too
        assert connection.execute(sa.update(column.table).values({column.name: forged})).rowcount >= 1
    engine.dispose()
    store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock)

    def read(txn: Txn) -> list[Any]:
        views: tuple[ViewName, ...] = ("jobs", "requests", "audit", "activity")
        lists = [ListQuery(parse(view, words)) for view in views for words in ("", "zzz")]
        rows = [txn.list_rows(one, 0, 50, make.now) for one in lists]
        (request,) = txn.requests()
        (job,) = txn.jobs_of(request.id)
        assert txn.rows.is_authentic(request) is (name not in ("requests.text", "requests.plan"))
        drafts, replies = txn.proposed_drafts(), txn.due_replies(make.now)
        found = [request, job, *drafts, *replies, *txn.approvals(request.id), *txn.live_standing(make.now)]
        return [*rows, *found, *txn.chunks(job.id), *txn.events()]

    read_back = store.read_now(read)
    places = [place for place, _ in store.broken.take(10)]
    assert places
    assert all(place.startswith(name.replace(".", "|") + "|") for place in places)
    assert store.broken.take(10) == []
    assert "unreadable" in repr(read_back) or name == "requests.plan"
    assert store.write_now(read)
    store.close()


def test_a_data_key_that_was_changed_is_replaced_by_another(
    tmp_path: Path, clock: Callable[[], float], make: Any
) -> None:
    """Where the ring opens others of this store; what was sealed under it is lost, and the hub goes on."""

    def later(days: float) -> float:
        return float(make.now + days * 2 * MAX_AGE)

    folder = tmp_path
    for day in range(2):
        store = open_store("sqlite:///a.sqlite", folder=folder, clock=partial(later, day))
        store.write_now(lambda txn, day=day: txn.audit("act.refused", "x", "y", {"text": f"day {day}"}, make.now))
        store.close()
    engine = Database("sqlite:///a.sqlite", folder).engine
    with engine.begin() as connection:
        newest = sa.text("UPDATE data_keys SET wrapped = :x WHERE created_at = (SELECT max(created_at) FROM data_keys)")
        assert connection.execute(newest, {"x": bytes(80)}).rowcount == 1
    engine.dispose()
    store = open_store("sqlite:///a.sqlite", folder=folder, clock=partial(later, 1))
    store.write_now(lambda txn: txn.audit("act.refused", "x", "y", {"text": "after"}, make.now))
    told = [event.data for event in store.read_now(lambda txn: txn.events())]
    assert told[0] == {"text": "day 0"}
    assert set(told[1]) == {"unreadable"}
    assert told[2] == {"text": "after"}
    store.close()


def test_another_ring_reads_nothing(tmp_path: Path, clock: Callable[[], float], make: Any) -> None:
    """A thief with a hub of their own has the rows and not the key; neither does a program that was given none."""
    store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    say_everything(store, make)
    store.close()
    for sealer in (Sealer.generate(), None):
        store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock, sealer=sealer)
        with pytest.raises(SealBroken):
            store.read_now(lambda txn: txn.requests())
        store.close()


def statements() -> Iterator[tuple[str, Statement]]:
    """All statements that the store's modules have built."""
    for info in pkgutil.iter_modules(hub.store.__path__, "hub.store."):
        if info.ispkg:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            found = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            for one in found:
                if isinstance(one, Statement):
                    yield f"{info.name}.{name}", one


MEASURED = {"hub.store.output._SIZE"}
"""Statements that need the length of a sealed value, or its mark."""


def test_no_statement_compares_what_is_sealed() -> None:
    """A condition, an order or a function on a sealed column would compare ciphertexts; and whoever sets one names the
    parameter as the column, or it would be written as it is.
    """
    looked = 0
    for name, statement in statements():
        if statement.as_stored or name in MEASURED:
            continue
        looked += 1
        core: Any = statement.core
        if isinstance(core, sa.Select):
            for part in (core.whereclause, *core.selected_columns, *core._order_by_clauses):
                used = (
                    {one for one in visitors.iterate(part) if isinstance(one, sa.Column)} if part is not None else set()
                )
                if not (isinstance(part, sa.Column) and part in used):
                    assert not used & set(SEALED_COLUMNS), name
        elif isinstance(core, sa.Update | sa.Insert):
            compiled = core.compile()
            fields = {field.at for field in layout_of(core, compiled.params).writes}
            columns = {column.name for column in SEALED_COLUMNS if column.table is core.table}
            values = {getattr(key, "name", key): str(value) for key, value in (core._values or {}).items()}
            written = {name for name, value in values.items() if value != "''"}  # the empty text is never sealed
            assert written & columns <= fields, name
    assert looked > 80


def test_every_text_column_was_thought_of() -> None:
    """A column that is added holds what may be said in plain, or is sealed: this list has to be told."""
    plain = {
        column.name
        for table in (requests, jobs, output, approvals, outbox, drafts, events, standing_approvals)
        for column in table.columns
        if isinstance(column.type, sa.Text | sa.LargeBinary) and column not in SEALED_COLUMNS
    }
    assert plain == {
        "actor", "agent", "behalf", "by", "cancel_asked_by", "chat_user", "conversation", "decided_by", "error",
        "event_id", "granted_by", "hash", "id", "inlet", "job_id", "journal", "kind", "language", "life", "mac", "name",
        "nonce", "outcome", "output_digest", "parent", "person", "plan_hash", "previous", "proofs", "reason",
        "redelivery_code", "reply_url", "request_id", "revoked_by", "rule", "source", "stamp", "state", "subject",
        "targets", "thread", "url", "via",
    }  # fmt: skip
    assert set(metadata.tables) >= {column.table.name for column in SEALED_COLUMNS}


def test_audit_rows_that_quote_nobody_stay_plain() -> None:
    """Of the kinds that are plain, those with a reason or notes are sealed all the same; any other kind is."""
    assert is_plain_event("job.started", '{"pid":7}')
    assert not is_plain_event("job.ended", '{"outcome":"failed","reason":"no such file"}')
    assert not is_plain_event("job.ended", '{"notes":["x"]}')
    assert not is_plain_event("made.up", "{}")
    for kind in ("message.accepted", "plan.judged", "request.edited", "request.rejected", "request.approved"):
        assert kind not in PLAIN_KINDS


def test_a_value_without_its_row_is_refused() -> None:
    """A statement that could not say what a value is bound to is a mistake, found when it is compiled."""
    with pytest.raises(ValueError, match=r"without id of its row"):
        layout_of(sa.select(jobs.c.command), {})
    with pytest.raises(ValueError, match=r"of its row"):
        layout_of(outbox.update().values(body=sa.bindparam("body")), {"body": "x", "key": 1})
