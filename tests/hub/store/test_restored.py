"""A store that was put back from a backup: noticed at the next start, whatever the numbers say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.link.marks import Mark
from hub.core.records import Person
from hub.identity import totp
from hub.store.restored import CODE_STEP, begin_recovery
from hub.store.store import Store
from hub.store.watermark import NAME
from tests.hub.store.template import open_store

NOW = 1_800_000_000.0


def opened(folder: Path) -> Store:
    return open_store("sqlite:///data/s.sqlite", folder=folder, clock=lambda: NOW)


def served(folder: Path, rows: int = 1) -> Mark:
    """One run of a hub that writes so many rows of audit."""
    store = opened(folder)
    try:
        store.acquire()
        for row in range(rows):
            store.write_now(lambda txn, r=row: txn.audit("test.row", f"{r}", "t", {}, NOW))
        mark = store.mark()
        assert mark is not None
        return mark
    finally:
        store.close()


def backed_up(folder: Path) -> None:
    shutil.copytree(folder / "data", folder / "backup")


def put_back(folder: Path) -> None:
    shutil.rmtree(folder / "data")
    shutil.copytree(folder / "backup", folder / "data")


@pytest.mark.parametrize("restarts", [1, 2, 5])
def test_a_store_put_back_is_noticed(tmp_path: Path, restarts: int) -> None:
    """The numbers go on beyond what the file knows, and the record says who told."""
    served(tmp_path)
    backed_up(tmp_path)
    last = [served(tmp_path) for _ in range(restarts)][-1]
    put_back(tmp_path)
    store = opened(tmp_path)
    try:
        epoch = store.acquire()
        record = store.read_now(lambda txn: txn.recovery())
        assert record is not None
        assert record.active
        assert (record.cause, record.witness, record.heard) == ("store", str(tmp_path / NAME), str(last))
        assert epoch == record.epoch > last.epoch
        kinds = [event.kind for event in store.read_now(lambda txn: txn.events())]
        assert kinds[-1] == "hub.restored"
    finally:
        store.close()


def test_it_is_noticed_with_no_restart_between(tmp_path: Path) -> None:
    """The backup was made while the hub ran, and the same run went on: no start tells, the position does."""
    store = opened(tmp_path)
    store.acquire()
    store.write_now(lambda txn: txn.audit("test.row", "1", "t", {}, NOW))
    store.write_now(lambda txn: txn.put_meta("x", "y"))
    with_backup = store.mark()
    store.close()
    backed_up(tmp_path)
    again = opened(tmp_path)  # the same start goes on, as far as the file knows
    again._start, again._writer.seq = store._start, 1
    again.write_now(lambda txn: txn.audit("test.row", "2", "t", {}, NOW))
    assert again.mark() != with_backup
    again.close()
    put_back(tmp_path)
    last = opened(tmp_path)
    last.acquire()
    assert last.read_now(lambda txn: txn.recovery()) is not None
    last.close()


def test_a_store_that_goes_on_is_not_in_recovery(tmp_path: Path) -> None:
    """Restarts, a kill (no close), commands beside it, a file that is behind or missing: nothing of it is a restore."""
    served(tmp_path)
    older = (tmp_path / NAME).read_bytes()
    killed = opened(tmp_path)
    killed.acquire()
    killed.write_now(lambda txn: txn.audit("test.row", "k", "t", {}, NOW))
    assert killed._lock is not None
    killed._lock.release()
    beside = opened(tmp_path)
    beside.write_now(lambda txn: txn.audit("test.row", "c", "t", {}, NOW))
    beside.close()
    served(tmp_path)
    (tmp_path / NAME).write_bytes(older)
    served(tmp_path)
    (tmp_path / NAME).unlink()
    served(tmp_path)
    store = opened(tmp_path)
    assert store.read_now(lambda txn: txn.recovery()) is None
    store.close()
    killed.close()


def test_a_command_on_a_store_put_back_does_not_hide_it(tmp_path: Path) -> None:
    """What an admin does before the next start is no reason to believe the store; what he does on a store that is
    believed moves the file, so that a restore over it is noticed as well.
    """
    served(tmp_path)
    backed_up(tmp_path)
    served(tmp_path)
    put_back(tmp_path)
    beside = opened(tmp_path)
    beside.write_now(lambda txn: txn.audit("test.row", "c", "t", {}, NOW))
    beside.close()
    served(tmp_path)
    store = opened(tmp_path)
    assert store.read_now(lambda txn: txn.recovery()) is not None
    store.close()


def test_a_revocation_by_command_alone_is_noticed(tmp_path: Path) -> None:
    """The hub did not even run between the revocation and the restore."""
    served(tmp_path)
    backed_up(tmp_path)
    beside = opened(tmp_path)
    beside.write_now(lambda txn: txn.audit("agent.revoked", "web-3", "terminal", {}, NOW))
    beside.close()
    put_back(tmp_path)
    served(tmp_path)
    store = opened(tmp_path)
    assert store.read_now(lambda txn: txn.recovery()) is not None
    store.close()


def test_what_counts_once_counts_as_used(store: Store) -> None:
    """On both databases: codes of now and of the next half minute, numbers of all that anybody was told."""
    store.acquire()
    store.write_now(lambda txn: txn.add_person(Person("bob", (), NOW, totp_secret=b"x")))
    heard = Mark(9, "e" * 16, 700, 1_450)
    record = store.write_now(
        lambda txn: begin_recovery(txn, NOW, cause="machine", witness="web-1", heard=heard, told=[3_999], epochs=[12])
    )
    assert (record.number, record.epoch) == (5_000, 2_000)
    person = store.read_now(lambda txn: txn.person("bob"))
    assert person is not None
    assert CODE_STEP == totp.STEP
    assert person.totp_last_step == int(NOW) // totp.STEP + totp.WINDOW
    further = store.write_now(lambda txn: begin_recovery(txn, NOW + 9, cause="machine", witness="db-1", told=[9_000]))
    assert (further.since, further.witness, further.number) == (NOW, "web-1", 11_000)
