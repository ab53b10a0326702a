"""The key that authenticates rows: made once, and with it what was there before is taken over, once."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from common.errors import UserError
from common.identity.signing import SigningKey
from common.lifecycle import JobState, RequestState
from common.plan import plan_hash
from hub.core.approval_proofs import ApprovalProver
from hub.core.records import Approval, EnrolmentToken, Job, Person, Request
from hub.store import migrate as migrate_module
from hub.store.database import Database
from hub.store.people import is_refused
from hub.store.row_key import key_file, renew_row_key
from hub.store.store import Store
from hub.store.transaction import Txn
from tests.hub.store import template
from tests.hub.store.conftest import Make

Clock = Callable[[], float]
open_store = partial(template.open_store, sealer=None)  # rows of before MACs are of before sealing, too


def opened(url: str, folder: Path, clock: Clock, **more: bool) -> Store:
    return Store.open(url, folder=folder, clock=clock, **more)


def fill(store: Store, make: Make) -> tuple[Request, Job, Job]:
    """A request that waits with one yes of two, and one whose jobs are queued and done."""

    def unit(txn: Txn) -> tuple[Request, Job, Job]:
        plan, digest = make.plan, plan_hash(make.plan)
        asking = make.request(state=RequestState.ASKING, plan=plan, plan_hash=digest, approvers=2)
        added = txn.add_request(asking)
        assert added is not None
        txn.add_approval(Approval(added.id, digest, "bob", True, "ops", 1.0))
        txn.add_approval(Approval(added.id, digest, "eve", False, "ops", 1.0))
        queued = make.job(added, state=JobState.QUEUED)
        done = make.job(added, state=JobState.SUCCEEDED, ended_at=2.0, parent="x")
        txn.add_jobs([queued, done])
        return added, queued, done

    return store.write_now(unit)


def authentic(store: Store, of: Request | Job) -> bool:
    def unit(txn: Txn) -> bool:
        row = txn.request(of.id) if isinstance(of, Request) else txn.job(of.id)
        assert row is not None
        return txn.rows.is_authentic(row)

    return store.read_now(unit)


def as_before(url: str, folder: Path) -> None:
    """A store of a version that knew no MAC: no key, no MAC, no proof."""
    key_file(folder).unlink()
    with Database(url, folder).engine.connect() as connection:
        for statement in ("requests SET mac = ''", "jobs SET mac = ''", "approvals SET proofs = '[]'"):
            connection.execute(sa.text(f"UPDATE {statement}"))


def test_the_key_is_made_once_and_private(url: str, tmp_path: Path, clock: Clock) -> None:
    """In the hub's folder, for its owner alone; the next process has the same."""
    open_store(url, folder=tmp_path, clock=clock).close()
    file = key_file(tmp_path)
    text = file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    key, mark = text.decode().split()
    assert len(bytes.fromhex(key)) == 32
    assert mark == "identities"
    opened(url, tmp_path, clock).close()
    assert file.read_bytes() == text
    assert [path.name for path in file.parent.iterdir()] == ["rows.key"]


def test_a_store_from_before_is_taken_over_once(url: str, tmp_path: Path, clock: Clock, make: Make) -> None:
    """Trust: what is there when the key is made counts as this hub's, approvals of what is open get their proofs; what
    is written later without a MAC does not, whatever is done to the database.
    """
    store = open_store(url, folder=tmp_path, clock=clock)
    request, queued, done = fill(store, make)
    store.close()
    key = SigningKey.generate()
    (tmp_path / "keys" / "job.key").write_bytes(key.to_pem())
    (tmp_path / "keys" / "job.key").chmod(0o600)
    as_before(url, tmp_path)
    store = opened(url, tmp_path, clock)
    try:
        assert authentic(store, request)
        assert authentic(store, queued)
        assert not authentic(store, done)  # ended: it starts nothing
        given = store.read_now(lambda txn: txn.approvals(request.id))
        prover = ApprovalProver(key)
        assert {one.person: prover.proof_of(one) is not None for one in given} == {"bob": True, "eve": False}
    finally:
        store.close()
    with Database(url, tmp_path).engine.connect() as connection:
        connection.execute(sa.text("UPDATE jobs SET mac = '', agent = 'web-9'"))
        connection.execute(sa.text("UPDATE requests SET mac = ''"))
    store = opened(url, tmp_path, clock)
    try:
        assert not authentic(store, queued)
        assert not authentic(store, request)
    finally:
        store.close()


def test_a_key_that_is_lost_is_not_made_anew_by_itself(url: str, tmp_path: Path, clock: Clock, make: Make) -> None:
    """Trust: rows with MACs and no key: an error with both ways out. With a new key nothing that is there is authentic;
    the store can be looked at without one.
    """
    store = open_store(url, folder=tmp_path, clock=clock)
    request, queued, _ = fill(store, make)
    store.close()
    key_file(tmp_path).unlink()
    with pytest.raises(UserError, match="put it back from a backup") as caught:
        opened(url, tmp_path, clock)
    assert "--new-row-key" in str(caught.value)
    look = opened(url, tmp_path, clock, look_only=True)
    assert not authentic(look, request)
    look.close()
    assert not key_file(tmp_path).exists()
    renew_row_key(tmp_path)
    with pytest.raises(UserError, match="nothing is lost"):
        renew_row_key(tmp_path)
    store = opened(url, tmp_path, clock)
    try:
        assert not authentic(store, request)
        assert not authentic(store, queued)
    finally:
        store.close()


def test_a_crash_in_the_middle_is_gone_on_with(tmp_path: Path, clock: Clock, make: Make) -> None:
    """The rows are committed, the file has not its name yet: the next start takes over with the same key."""
    url = "sqlite:///a.sqlite"
    store = open_store(url, folder=tmp_path, clock=clock)
    request, *_ = fill(store, make)
    store.close()
    file = key_file(tmp_path)
    text = file.read_bytes()
    file.rename(file.with_name("rows.key.new"))
    store = opened(url, tmp_path, clock)
    try:
        assert authentic(store, request)
    finally:
        store.close()
    assert file.read_bytes() == text
    assert [path.name for path in file.parent.iterdir()] == ["rows.key"]


def test_a_hub_that_runs_keeps_its_key(tmp_path: Path, clock: Clock, make: Make) -> None:
    """A command beside a serving hub whose key file is gone takes nothing over."""
    url = "sqlite:///a.sqlite"
    store = open_store(url, folder=tmp_path, clock=clock)
    store.acquire()
    fill(store, make)
    key_file(tmp_path).unlink()
    with pytest.raises(UserError, match="a hub is running without it"):
        opened(url, tmp_path, clock)
    store.close()


@pytest.mark.parametrize(
    "content", [b"", b"xyz", b"00" * 31, b"00" * 33, "\u0660".encode() * 64, b"00" * 32 + b"\nother"]
)
def test_a_key_that_does_not_read_is_named(tmp_path: Path, clock: Clock, content: bytes) -> None:
    """With its file and the cure."""
    file = key_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(UserError, match=r"rows\.key"):
        open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock)


def test_the_key_is_nowhere_in_the_database(tmp_path: Path, clock: Clock, make: Make) -> None:
    """Trust: a stolen database makes no MAC."""
    store = open_store("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    fill(store, make)
    store.close()
    key = key_file(tmp_path).read_text().split()[0]
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database:
        dump = "\n".join(database.iterdump())
    assert key not in dump
    assert key.upper() not in dump


# ---- people and invitations, whose MACs came later

ADMIN = Person("alice", ("admin",), 1.5, b"sealed", 7, chat=("ops:alice",))
TOKEN = EnrolmentToken("a" * 64, "agent", "web-1", {"role": "web", "env": "prod"}, 1.5, 99.0, "alice")


def of_the_version_before(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of schema 0021 with a person and an invitation, and its key without the mark."""
    database = Database(url, folder)
    database.create()
    with monkeypatch.context() as patch:
        patch.setattr(migrate_module, "TARGET", "0021")
        migrate_module._upgrade(database)
    with database.engine.connect() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO people (name, roles, created_at, totp_secret, totp_last_step, totp_failures, chat,"
                " totp_locked_until, totp_pending, totp_pending_until)"
                " VALUES ('alice', '[\"admin\"]', 1.5, :sealed, 7, 0, '[\"ops:alice\"]', 0, :none, 0)"
            ),
            {"sealed": b"sealed", "none": b""},
        )
        connection.execute(
            sa.text(
                "INSERT INTO tokens (hash, kind, name, labels, created_at, expires_at, created_by)"
                " VALUES (:hash, 'agent', 'web-1', '{\"env\":\"prod\",\"role\":\"web\"}', 1.5, 99, 'alice')"
            ),
            {"hash": TOKEN.hash},
        )
    database.engine.dispose()
    file = key_file(folder)
    file.parent.mkdir(mode=0o700)
    file.write_text("ab" * 32 + "\n")
    file.chmod(0o600)


def seen(store: Store) -> tuple[bool, bool]:
    """Whether the person and the token are there for the hub."""

    def unit(txn: Txn) -> tuple[bool, bool]:
        return txn.person("alice") == ADMIN, txn.token(TOKEN.hash) == TOKEN

    return store.read_now(unit)


def test_people_of_the_version_before_are_taken_over_once(
    url: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust: a real upgrade from the schema before; the key stays, the mark comes; rows without a MAC that are written
    later are nobody's, however often the store is opened.
    """
    of_the_version_before(url, tmp_path, monkeypatch)
    store = opened(url, tmp_path, clock)
    assert seen(store) == (True, True)
    store.close()
    assert key_file(tmp_path).read_text().split() == ["ab" * 32, "identities"]
    assert stat.S_IMODE(key_file(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["rows.key"]
    with Database(url, tmp_path).engine.connect() as connection:
        for table in ("people", "tokens"):
            connection.execute(sa.text(f"UPDATE {table} SET mac = ''"))  # noqa: S608
    for _ in range(2):
        store = opened(url, tmp_path, clock)
        assert seen(store) == (False, False)
        assert store.read_now(lambda txn: [is_refused(one) for one in txn.people()]) == [True]
        assert store.read_now(lambda txn: (txn.tokens(9), txn.unused_tokens("agent", 0, 9))) == ([], [])
        store.close()


def test_people_of_a_store_that_never_had_a_request(
    url: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key and without a request there are people all the same."""
    of_the_version_before(url, tmp_path, monkeypatch)
    key_file(tmp_path).unlink()
    store = opened(url, tmp_path, clock)
    assert seen(store) == (True, True)
    store.close()


def test_a_crash_before_the_mark(url: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The MACs are there, the mark is not, and half a file lies about: the next start goes on with the same key."""
    of_the_version_before(url, tmp_path, monkeypatch)
    opened(url, tmp_path, clock).close()
    key_file(tmp_path).write_text("ab" * 32 + "\n")
    key_file(tmp_path).with_name("rows.key.marked").write_text("ab")
    store = opened(url, tmp_path, clock)
    assert seen(store) == (True, True)
    store.close()
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["rows.key"]


def test_nobody_is_taken_over_beside_a_running_hub(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key file put back without its mark: said, and nothing is authenticated."""
    url = "sqlite:///a.sqlite"
    of_the_version_before(url, tmp_path, monkeypatch)
    store = opened(url, tmp_path, clock)
    store.acquire()
    key_file(tmp_path).write_text("ab" * 32 + "\n")
    monkeypatch.setattr("hub.store.row_key.LOCK_SECONDS", 0.0)
    with pytest.raises(UserError, match="does not cover people yet"):
        opened(url, tmp_path, clock)
    store.close()


def test_a_new_key_locks_nobody_out(url: str, tmp_path: Path, clock: Clock, make: Make) -> None:
    """An admin's word at the terminal: requests start nothing any more, people and invitations are as they are."""
    store = open_store(url, folder=tmp_path, clock=clock)
    request, *_ = fill(store, make)
    store.write_now(lambda txn: (txn.add_person(ADMIN), txn.add_token(TOKEN)))
    store.close()
    key_file(tmp_path).unlink()
    with pytest.raises(UserError, match="put it back"):
        opened(url, tmp_path, clock)
    look = opened(url, tmp_path, clock, look_only=True)
    assert seen(look) == (True, True)  # whoever has no key does not judge
    look.close()
    renew_row_key(tmp_path)
    assert len(key_file(tmp_path).read_text().split()) == 1
    store = opened(url, tmp_path, clock)
    assert seen(store) == (True, True)
    assert not authentic(store, request)
    store.close()
    assert len(key_file(tmp_path).read_text().split()) == 2
