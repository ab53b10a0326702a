"""The database behind a store URL: connections, the lock of the one hub that serves it, errors translated for
people.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from common.errors import UserError
from hub.store.cipher import ColumnCipher
from hub.store.errors import StoreBusy, StoreFull, StoreLost
from hub.store.room import free_bytes
from hub.store.sql import Connection

FULL: Final = 128 * 1024
"""Free bytes below which an I/O error is taken for a full disk: SQLite says so of files beside its own."""
BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another process's transaction."""
_HUB_LOCK: Final = 0x616E7378  # PostgreSQL advisory lock: the serving hub's, one number beside the writers'

_NO_ROOM: Final = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL)
"""What SQLite says too where a full disk has no room for the files beside its own, or for the index of its log."""
_SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",  # readers and the writer do not wait for each other
    "PRAGMA synchronous = FULL",  # a commit is on disk before it is reported as done
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}",
    "PRAGMA recursive_triggers = ON",  # or REPLACE would delete an event without the trigger that refuses it
    "PRAGMA journal_size_limit = 33554432",  # a WAL that a burst made long is truncated
    "PRAGMA cache_size = -8192",  # KiB: the writer's; what is not there the system's own cache has
    "PRAGMA secure_delete = ON",  # what is deleted or written over is not left in the file
)
_POSTGRES_SETTINGS: Final = (
    "SET synchronous_commit = on",
    f"SET lock_timeout = '{int(BUSY_SECONDS)}s'",
    "SET timezone = 'UTC'",
)


class StoreLock(Protocol):
    def acquire(self) -> bool:
        """Takes the lock; False where another process holds it."""

    def is_held(self) -> bool:
        """Whether this process still has it: somebody may have taken the file away, or the server its session."""

    def release(self) -> None: ...


class Database:
    """The database of a store. `name` is for messages: the file, or the URL without its password."""

    def __init__(self, url: str, folder: Path, cipher: ColumnCipher | None = None) -> None:
        """`folder` is what a relative SQLite path is relative to. Raises UserError where the URL is not a store's."""
        self.cipher = cipher
        self.cramped = False
        """Whether the SQLite file is read without the files beside it, for which a full disk has no room: the index of
        its log is in this process's memory then, and no other process gets in.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite":
            self.path: Path | None = _sqlite_path(parsed, folder)
            self.name = str(self.path)
            parsed = parsed.set(database=self.name)
            self.engine = sa.create_engine(
                parsed,
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",  # transactions are explicit; the driver begins none
                paramstyle="named",
                creator=self._open_file,
            )
            sa.event.listen(self.engine, "connect", _run_statements(_SQLITE_PRAGMAS))
        else:
            self.path = None
            self.name = parsed.render_as_string(hide_password=True)
            try:
                self.engine = sa.create_engine(
                    parsed.set(drivername="postgresql+psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
                )
            except ModuleNotFoundError:
                raise UserError(f"store {self.name}", "install answerback[hub,postgres]") from None
            sa.event.listen(self.engine, "connect", _run_statements(_POSTGRES_SETTINGS))

    def create(self) -> None:
        """Creates the SQLite file (mode 0600) where it is missing. A PostgreSQL database is created by hand."""
        if self.path is not None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _open_file(self) -> sqlite3.Connection:
        return self._open_with("?vfs=unix-excl" if self.cramped else "")

    def _open_with(self, parameters: str) -> sqlite3.Connection:
        uri = f"file:{quote(self.name)}{parameters}"
        return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    def open_as_usual(self) -> None:
        """Cramped no more: there is room for the files beside it. Nobody may have a connection open. Raises StoreFull
        where there is none, and changes nothing then.
        """
        with self.translating_errors(), closing(self._open_with("")) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        self.cramped = False

    def connect(self, read_only: bool = False) -> Connection:
        return Connection(self.engine, read_only, self.cipher)

    def clean_pages(self) -> None:
        """Writes the database anew, without the pages and the log that still have what was deleted or written over
        before. Writers wait for it, on PostgreSQL readers too. Raises StoreBusy where it does not get the lock.
        """
        with self.translating_errors(), self.engine.connect() as connection:
            if self.path is None:
                for table in ("requests", "jobs", "output", "approvals", "outbox", "drafts", "events"):
                    connection.exec_driver_sql(f"VACUUM FULL {table}")
            else:
                connection.exec_driver_sql("VACUUM")
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if busy is None or busy[0]:
                    raise StoreBusy(f"store {self.name}: somebody is reading and does not end", "try again later")

    def identity(self) -> tuple[int, int] | None:
        """Which file the SQLite file's name leads to; None of another database. Raises OSError."""
        if self.path is None:
            return None
        found = self.path.stat()
        return found.st_dev, found.st_ino

    @property
    def size(self) -> int:
        """Bytes of the SQLite file; 0 of another database."""
        return self.path.stat().st_size if self.path is not None else 0

    def lock(self) -> StoreLock:
        """The lock of the process that serves this store or changes its schema; not taken yet."""
        return _FileLock(self.path) if self.path is not None else _AdvisoryLock(self.engine)

    @contextmanager
    def translating_errors(self) -> Iterator[None]:
        """Translates errors of the database and of its file that are raised inside (`translate_error`)."""
        try:
            yield
        except Exception as error:
            translated = self.translate_error(error)
            if translated is error:
                raise
            raise translated from error

    def translate_error(self, error: BaseException) -> BaseException:
        """A database error as UserError, StoreBusy, StoreFull or StoreLost; any other error unchanged."""
        if isinstance(error, sa.exc.DBAPIError) and error.orig is not None:
            error = error.orig
        if isinstance(error, sqlite3.Error):
            return self._translate_sqlite(error)
        if isinstance(error, OSError) and self.path is not None and error.filename is not None:
            return UserError(
                f"store {self.name}: {error.strerror}", "see that this user may write there, or change [store] url"
            )
        state = getattr(error, "sqlstate", None)
        if isinstance(error, self._driver_error()):
            return self._translate_postgres(error, state)
        return error

    def _driver_error(self) -> type[BaseException]:
        dbapi: Any = self.engine.dialect.dbapi
        found: type[BaseException] = dbapi.Error
        return found

    def _translate_sqlite(self, error: sqlite3.Error) -> BaseException:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code in _NO_ROOM and self._is_full()):
            return StoreFull(f"store {self.name}: the disk is full", "make room; nothing that was confirmed is lost")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
            return StoreBusy(f"store {self.name}: another process is writing and does not end", "find and end it")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return UserError(f"store {self.name}: {error}", "see that this user may write the file and its folder")
        if code == sqlite3.SQLITE_NOTADB:
            return UserError(f"store {self.name}: not an SQLite file", "change [store] url, or move the file away")
        if code == sqlite3.SQLITE_CORRUPT:
            return StoreLost(f"store {self.name}: {error}", "stop the hub and restore a backup")
        if code == sqlite3.SQLITE_IOERR:
            return StoreLost(f"store {self.name}: {error}", "look at the disk, its limits and the system's log")
        return error

    def _is_full(self) -> bool:
        free = None if self.path is None else free_bytes(self.path.parent)
        return free is not None and free < FULL

    def _translate_postgres(self, error: BaseException, state: str | None) -> BaseException:
        if state in ("53100", "53200"):
            return StoreFull(
                f"store {self.name}: the server has no room", "make room; nothing that was confirmed is lost"
            )
        if state == "55P03":
            return StoreBusy(f"store {self.name}: another process is writing and does not end", "find and end it")
        if state is None or state.startswith(("08", "57P", "28", "3D")):
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            return StoreLost(f"store {self.name}: {reason}", "see that the server runs and takes this user")
        return error


class _FileLock:
    """flock(2) on FILE.lock; the kernel releases it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._fd: int | None = None

    def acquire(self) -> bool:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def is_held(self) -> bool:
        if self._fd is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class _AdvisoryLock:
    """PostgreSQL's session lock, held by a connection of its own."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: sa.Connection | None = None

    def acquire(self) -> bool:
        connection = self._engine.connect()
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_HUB_LOCK))):
            connection.close()
            return False
        self._connection = connection
        return True

    def is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            return self._connection.scalar(sa.select(sa.literal(1))) == 1
        except sa.exc.SQLAlchemyError:  # the session is gone, and the lock with it
            return False

    def release(self) -> None:
        if self._connection is not None:
            # Explicitly, since the server may notice the end of a connection only some time later.
            with suppress(sa.exc.SQLAlchemyError):
                self._connection.scalar(sa.select(sa.func.pg_advisory_unlock(_HUB_LOCK)))
            self._connection.close()
            self._connection = None


def acquire_within(lock: StoreLock, seconds: float) -> bool:
    """Tries to take the lock for `seconds`; blocks the thread, so only for start-up."""
    until = time.monotonic() + seconds
    while not lock.acquire():
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
    return True


def _parse(url: str) -> sa.URL:
    cure = "write sqlite:///FILE or postgresql://USER@HOST/NAME in [store] url"
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise UserError("store: the url cannot be read", cure) from None
    if parsed.drivername not in ("sqlite", "postgresql", "postgres", "postgresql+psycopg"):
        raise UserError(f"store: {parsed.drivername!r} is no database that Answerback keeps its store in", cure)
    if not parsed.database or parsed.database == ":memory:":
        raise UserError("store: the url names no file or database", cure)
    return parsed


def _sqlite_path(parsed: sa.URL, folder: Path) -> Path:
    return (folder / (parsed.database or "")).absolute()


def _run_statements(statements: tuple[str, ...]) -> Callable[[Any, Any], None]:
    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
        except Exception:
            connection.close()  # at once: what it has of the file's locks would be in the way of the next
            raise
        cursor.close()

    return on_connect
