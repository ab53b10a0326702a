"""The key of the rows' MACs (`hub.core.row_mac`): `keys/rows.key` in the hub's folder, outside the database.

    there                                  rows without a MAC of it start nothing
    not there, and no row has a MAC        a store from before there was one, or an empty one: the key is made, and the
                                           rows that are there are taken over, once: MACs, and proofs of approvals
    not there, and rows have a MAC         the key is lost: an error that says what to do; nothing is taken over

So the making of the file is the mark of the taking over, and whoever can only write the database cannot call for
another. A crash in between leaves `rows.key.new`, with which the next start takes over again.

People and invitations got their MACs later, so a second line of the file, `identities`, is the mark of theirs: where it
is missing they are taken over. A key in place of a lost one is made without it: else nobody could log in any more.
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
from hub.core.records import Approval, EnrolmentToken, Person, Request
from hub.core.row_mac import KEY_BYTES, RowAuthenticator
from hub.store.credentials import TOKEN
from hub.store.database import Database, acquire_within
from hub.store.jobs import JOB
from hub.store.mapping import Mapper, to_json
from hub.store.people import PERSON
from hub.store.requests import APPROVAL, REQUEST
from hub.store.schema import approvals, jobs, people, requests, tokens

BATCH: Final = 500
LOCK_SECONDS: Final = 5.0
_MARK: Final = "identities"
_OPEN_REQUESTS: Final = (RequestState.ASKING, RequestState.WORKING)


def key_file(folder: Path) -> Path:
    return folder / "keys" / "rows.key"


def keyless() -> RowAuthenticator:
    """For a store that is only looked at: nothing in it is authentic, and nothing that is written becomes so."""
    return RowAuthenticator(secrets.token_bytes(KEY_BYTES), judges=False)


def load_row_key(database: Database, folder: Path) -> RowAuthenticator:
    """The key of the store in this hub's folder; made, and present rows taken over, where there never was one. Raises
    UserError where it is lost or does not read.
    """
    file = key_file(folder)
    if file.exists():
        key, marked = _read(file)
        return RowAuthenticator(key if marked else _take_over_identities(database, file))
    with database.engine.connect() as connection:
        empty = not any(connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) for table in _TABLES)
    if empty and not _fresh(file).exists():
        _make(file, _MARK)
        return RowAuthenticator(_read(file)[0])
    lock = database.lock()
    if not acquire_within(lock, LOCK_SECONDS):
        if file.exists():  # another process was here first
            return RowAuthenticator(_read(file)[0])
        raise UserError(f"{file} is missing, and a hub is running without it", "stop that hub, then run this again")
    try:
        return RowAuthenticator(_read(file)[0] if file.exists() else _take_over(database, folder))
    finally:
        lock.release()


def renew_row_key(folder: Path) -> None:
    """A new key in place of one that is lost: what is in the store starts nothing any more, and people and invitations
    are taken over with the next opening. Raises UserError.
    """
    file = key_file(folder)
    if file.exists():
        raise UserError(f"{file} is there", "nothing is lost: a new key is for a hub whose old one is")
    _make(file)


_TABLES: Final = (requests, jobs, people, tokens)


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
            _write(fresh, _text(secrets.token_bytes(KEY_BYTES), _MARK))
        key, whole = _read(fresh)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if database.path is not None else "BEGIN")
        _authenticate_rows(connection, RowAuthenticator(key), _prover(folder))
        if whole:  # one that a version before has left has no mark: the next opening goes on
            _authenticate_identities(connection, RowAuthenticator(key))
        connection.exec_driver_sql("COMMIT")
    os.replace(fresh, file)
    sync_folder(file.parent)
    return key


def _take_over_identities(database: Database, file: Path) -> bytes:
    """People and invitations, once; the mark is written when their MACs are on disk."""
    lock = database.lock()
    if not acquire_within(lock, LOCK_SECONDS):
        key, marked = _read(file)
        if marked:  # another process was here first
            return key
        raise UserError(f"{file} does not cover people yet, and a hub is running", "stop that hub, then run this again")
    try:
        key, marked = _read(file)
        if not marked:
            with database.engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE" if database.path is not None else "BEGIN")
                _authenticate_identities(connection, RowAuthenticator(key))
                connection.exec_driver_sql("COMMIT")
            whole = file.with_name(f"{file.name}.marked")
            whole.unlink(missing_ok=True)  # of a crash
            _write(whole, _text(key, _MARK))
            os.replace(whole, file)
            sync_folder(file.parent)
        return key
    finally:
        lock.release()


def _authenticate_identities(connection: sa.Connection, rows: RowAuthenticator) -> None:
    _authenticate(connection, PERSON, people.c.name, people.c.mac, rows)
    _authenticate(connection, TOKEN, tokens.c.hash, tokens.c.mac, rows)


def _authenticate(
    connection: sa.Connection,
    mapper: Mapper[Person] | Mapper[EnrolmentToken],
    key: sa.Column[str],
    mac: sa.Column[str],
    rows: RowAuthenticator,
) -> None:
    place = [column.name for column in mapper.columns].index(key.name)
    for batch in _batches(connection, mapper.select, key):
        connection.execute(
            sa.update(key.table).where(key == sa.bindparam("key")).values({mac.name: sa.bindparam("made")}),
            [{"key": row[place], "made": rows.mac(mapper.from_row(row))} for row in batch],
        )


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


def _text(key: bytes, *marks: str) -> str:
    return "\n".join((key.hex(), *marks)) + "\n"


def _make(file: Path, *marks: str) -> None:
    """Makes the file where no other process does so first."""
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    _write(fresh, _text(secrets.token_bytes(KEY_BYTES), *marks))
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


def _read(file: Path) -> tuple[bytes, bool]:
    """The key, and whether people and invitations have been taken over."""
    cure = "put it back from a backup; where it is lost, see `answerback-hub recover --help`"
    try:
        first, *marks = read_secret(file, cure).decode("ascii").split() or [""]
        key = bytes.fromhex(first)
    except ValueError:
        key, marks = b"", []
    if len(key) != KEY_BYTES or marks not in ([], [_MARK]):
        raise UserError(f"{file}: not {KEY_BYTES} bytes in hex", cure)
    return key, bool(marks)
