"""The key of the rows' MACs (`hub.core.row_mac`): `keys/rows.key` in the hub's folder, outside the database.

    there                                  rows without a MAC of it start nothing
    not there, and no row has a MAC        a store from before there was one, or an empty one: the key is made, and the
                                           rows that are there are taken over, once: MACs, and proofs of approvals
    not there, and rows have a MAC         the key is lost: an error that says what to do; nothing is taken over

So the making of the file is the mark of the taking over, and whoever can only write the database cannot call for
another. A crash in between leaves `rows.key.new`, with which the next start takes over again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from common.approval_proof import proofs_to_json
from common.errors import UserError
from common.files import sync_folder
from common.identity.signing import BadKey, SigningKey
from common.lifecycle import JOB_TERMINAL, RequestState
from common.read_file import read_secret
from hub.core.approval_proofs import ApprovalProver, approval_expiry
from hub.core.records import Approval, Request
from hub.core.row_mac import KEY_BYTES, RowAuthenticator
from hub.store.database import Database, acquire_within
from hub.store.jobs import JOB
from hub.store.mapping import to_json
from hub.store.requests import APPROVAL, REQUEST
from hub.store.schema import approvals, jobs, requests

BATCH: Final = 500
LOCK_SECONDS: Final = 5.0
_OPEN_REQUESTS: Final = (RequestState.ASKING, RequestState.WORKING)


def key_file(folder: Path) -> Path:
    return folder / "keys" / "rows.key"


def keyless() -> RowAuthenticator:
    """For a store that is only looked at: nothing in it is authentic, and nothing that is written becomes so."""
    return RowAuthenticator(secrets.token_bytes(KEY_BYTES))


def load_row_key(database: Database, folder: Path) -> RowAuthenticator:
    """The key of the store in this hub's folder; made, and present rows taken over, where there never was one. Raises
    UserError where it is lost or does not read.
    """
    file = key_file(folder)
    if file.exists():
        return RowAuthenticator(_read(file))
    with database.engine.connect() as connection:
        empty = not any(connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) for table in _TABLES)
    if empty and not _fresh(file).exists():
        _make(file)
        return RowAuthenticator(_read(file))
    lock = database.lock()
    if not acquire_within(lock, LOCK_SECONDS):
        if file.exists():  # another process was here first
            return RowAuthenticator(_read(file))
        raise UserError(f"{file} is missing, and a hub is running without it", "stop that hub, then run this again")
    try:
        return RowAuthenticator(_read(file) if file.exists() else _take_over(database, folder))
    finally:
        lock.release()


def renew_row_key(folder: Path) -> None:
    """A new key in place of one that is lost: what is in the store starts nothing any more. Raises UserError."""
    file = key_file(folder)
    if file.exists():
        raise UserError(f"{file} is there", "nothing is lost: a new key is for a hub whose old one is")
    _make(file)


_TABLES: Final = (requests, jobs)


def _take_over(database: Database, folder: Path) -> bytes:
    file = key_file(folder)
    fresh = _fresh(file)
    with database.engine.connect() as connection:
        marked = any(
            connection.scalar(sa.select(sa.literal(1)).select_from(table).where(table.c.mac != "").limit(1))
            for table in _TABLES
        )
        if not fresh.exists():
            if marked:
                raise UserError(
                    f"{file} is missing: without it no row of the store counts as this hub's",
                    "put it back from a backup; where it is lost, run `answerback-hub recover --new-row-key`, after"
                    " which nothing that is open starts",
                )
            _write(fresh, secrets.token_hex(KEY_BYTES) + "\n")
        key = _read(fresh)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if database.path is not None else "BEGIN")
        _authenticate_rows(connection, RowAuthenticator(key), _prover(folder))
        connection.exec_driver_sql("COMMIT")
    os.replace(fresh, file)
    sync_folder(file.parent)
    return key


def _authenticate_rows(connection: sa.Connection, rows: RowAuthenticator, prover: ApprovalProver | None) -> None:
    """MACs for all requests and for the jobs that have not ended; proofs for the approvals of open requests."""
    for batch in _batches(connection, REQUEST.select, requests.c.id):
        found = REQUEST.from_rows(batch)
        connection.execute(
            requests.update().where(requests.c.id == sa.bindparam("key")).values(mac=sa.bindparam("made")),
            [{"key": request.id, "made": rows.mac(request)} for request in found],
        )
        if prover is not None:
            for request in found:
                if request.state in _OPEN_REQUESTS and request.approvers and request.plan is not None:
                    _prove_approvals(connection, request, prover)
    unfinished = JOB.select.where(jobs.c.state.not_in([state.value for state in JOB_TERMINAL]))
    for batch in _batches(connection, unfinished, jobs.c.id):
        connection.execute(
            jobs.update().where(jobs.c.id == sa.bindparam("key")).values(mac=sa.bindparam("made")),
            [{"key": job.id, "made": rows.mac(job)} for job in JOB.from_rows(batch)],
        )


def _batches(
    connection: sa.Connection, query: sa.Select[tuple[object, ...]], key: sa.Column[str]
) -> Iterator[Sequence[tuple[object, ...]]]:
    after, place = "", [column.name for column in query.selected_columns].index(key.name)
    while batch := [tuple(row) for row in connection.execute(query.where(key > after).order_by(key).limit(BATCH))]:
        yield batch
        after = str(batch[-1][place])


def _prove_approvals(connection: sa.Connection, request: Request, prover: ApprovalProver) -> None:
    assert request.plan is not None  # noqa: S101 - the caller's condition
    for row in connection.execute(APPROVAL.select.where(approvals.c.request_id == request.id)).all():
        approval: Approval = APPROVAL.from_row(tuple(row))
        if approval.granted:
            signed = prover.sign(approval, approval_expiry(request, request.plan, approval.at))
            connection.execute(
                approvals.update()
                .where(approvals.c.request_id == request.id, approvals.c.person == approval.person)
                .values(proofs=to_json(proofs_to_json(signed.proofs)))
            )


def _prover(folder: Path) -> ApprovalProver | None:
    """By the key that the hub signs with; None where the folder has none, which is no hub's then."""
    file = folder / "keys" / "job.key"
    try:
        return ApprovalProver(SigningKey.from_pem(read_secret(file))) if file.exists() else None
    except BadKey as error:
        raise UserError(f"{file}: {error}", "restore it from a backup") from None


# ---- the file


def _fresh(file: Path) -> Path:
    return file.with_name(file.name + ".new")


def _make(file: Path) -> None:
    """Makes the file where no other process does so first."""
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    _write(fresh, secrets.token_hex(KEY_BYTES) + "\n")
    try:
        os.link(fresh, file)
    except FileExistsError:
        pass
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(file.parent)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            if os.geteuid() == 0:  # a command of root's must not keep the hub's own user from it
                owner = file.parent.parent.stat()
                os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(stream.fileno())
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}", "let the hub's user write there") from None


def _read(file: Path) -> bytes:
    cure = "put it back from a backup; where it is lost, see `answerback-hub recover --help`"
    try:
        key = bytes.fromhex(read_secret(file, cure).decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UserError(f"{file}: not {KEY_BYTES} bytes in hex", cure)
    return key
