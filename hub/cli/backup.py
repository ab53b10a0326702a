"""`answerback-hub backup` and `restore`: a hub's folder and store in one file, made while the hub serves, and put back.

A backup is read again whole before it is told done. A store that is put back is marked as restored, so that the hub
comes up in recovery (`hub.core.recovery`): it must not obey what it believed when the backup was made.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from common.audit.archive import list_archive
from common.audit.verification import Verification
from common.errors import UserError, WorkFailed
from common.files import create_folder, sync_folder
from common.read_file import parse_toml
from common.version import VERSION
from hub.cli.admin import archive_of, audit_checkpoints
from hub.cli.backup_file import (
    MAX_FILE,
    MAX_FILES,
    SECRETS,
    STORE,
    BackupReader,
    BackupWriter,
    Manifest,
    check_name,
    open_backup,
    seal,
    unseal,
)
from hub.config import HubConfig, StoreTable
from hub.core.audit_table import AuditTable
from hub.core.inlet_table import inlet_secret_files
from hub.identity.keys import load_keys
from hub.store.database import Database
from hub.store.restored import begin_recovery
from hub.store.row_key import key_file
from hub.store.store import Store
from hub.store.taken import NAME as TAKEN
from hub.store.watermark import NAME as WATERMARK

FILES: Final = "files/"
MIN_PASSPHRASE: Final = 10
_PASSWORD_IN_URL: Final = re.compile(rb"://[^/\s:@]*:[^/\s@]+@")
BESIDE_STORE: Final = frozenset({WATERMARK, TAKEN, f"{TAKEN}.1", AuditTable().file.name})
"""What proves to the next start that the database was put back: never put back with it."""
_LEFT_OUT: Final = re.compile(r"\.lock$|-wal$|-shm$|\.new$|\.log$|\.reserve$|^\.")


@dataclass(frozen=True, slots=True)
class BackupSummary:
    path: Path
    size: int
    rows: int  # of the audit; 0 where the database is not in it
    files: int
    secrets: int  # sealed, or left out
    sealed: bool
    advice: tuple[str, ...]  # what is not in it, and what to do


def check_passphrase(passphrase: str) -> str:
    if len(passphrase) < MIN_PASSPHRASE:
        raise UserError("the passphrase is too short", f"use at least {MIN_PASSPHRASE} characters")
    return passphrase


# ---- making one


def backup(config: HubConfig, target: Path, passphrase: str | None, now: float) -> BackupSummary:
    """Writes a backup to `target`, which must not exist, and reads it again. Without a passphrase what is secret is
    left out. Raises UserError, or WorkFailed where what was written does not read; nothing is left behind then.
    """
    target = target.absolute()
    if os.path.lexists(target):
        raise UserError(f"{target} exists already", "name a new file: a backup is never written over")
    folder = config.folder.path
    plain, secret = _sort_files(folder)
    advice = list(_outside(config))
    if passphrase is None:
        advice.append(f"not in it: {len(secret)} keys and secrets (--no-secrets); without them its machines join anew")
    database = Database(config.store.url, folder)
    store = _relative(database.path, folder) if database.path is not None else ""
    if database.path is None:
        advice.append('not in it: the database. Run beside this: pg_dump --format=custom --file=FILE "$STORE_URL"')
    fresh = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        rows = 0
        with _private(fresh) as file:
            writer = BackupWriter(file)
            if database.path is not None:
                rows = _add_store(writer, database.path, target.parent, config)
            for name, data in plain.items():
                writer.add(FILES + name, data)
            if passphrase is not None:
                writer.add(SECRETS, seal(secret, passphrase))
            writer.finish(Manifest(load_keys(config).hub_id, now, VERSION, store, writer.digests))
        _read_again(fresh, passphrase, secret)
        _move(fresh, target)
    except OSError as error:
        raise UserError(f"cannot write {target} ({error.strerror})", "make room, or name another file") from None
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(target.parent)
    size = target.stat().st_size
    return BackupSummary(target, size, rows, len(plain), len(secret), passphrase is not None, tuple(advice))


def _move(fresh: Path, target: Path) -> None:
    """Fails where somebody has made `target` meanwhile; on a disk that knows no links it is only looked at first."""
    try:
        os.link(fresh, target)
    except PermissionError:
        if os.path.lexists(target):
            raise
        os.rename(fresh, target)


def _add_store(writer: BackupWriter, database: Path, beside: Path, config: HubConfig) -> int:
    """A copy of one moment, checked as a database and as an audit chain; returns the chain's length."""
    if not database.exists():
        raise UserError(f"{database} is not there", "set [store] url, or start the hub once")
    with tempfile.TemporaryDirectory(prefix=".answerback-", dir=beside) as folder:
        copy = Path(folder) / STORE
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as into,
        ):
            source.backup(into)
            into.execute("PRAGMA journal_mode = DELETE")
            (found,) = into.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise WorkFailed(
                f"the copy of {database} is damaged: {found[:100]}", "look at the disk; nothing was written"
            )
        rows = _check_chain(copy, config)
        writer.add_file(STORE, copy)
    return rows


def _check_chain(copy: Path, config: HubConfig) -> int:
    keys = load_keys(config)
    archive = archive_of(config, keys)
    with closing(
        Store.open(f"sqlite:///{copy.name}", folder=copy.parent, clock=float, look_only=True, sealer=keys.sealer)
    ) as store:
        report = store.read_now(
            lambda txn: Verification(keys.hub_id, keys.audit_trusted, named=keys.job_keys, strict=False).run(
                archive.rows(txn), audit_checkpoints(txn)
            )
        )
    if not report.ok:
        raise WorkFailed(
            f"the audit in {copy.name} does not hold: {report.problem}", "see `answerback-hub audit verify`"
        )
    return report.checked


def _read_again(path: Path, passphrase: str | None, secret: dict[str, bytes]) -> None:
    with open_backup(path) as reader:
        reader.verify()
        if passphrase is not None and unseal(reader.read(SECRETS), passphrase) != secret:
            raise WorkFailed(f"{path.name}: the secrets do not read as they were written", "try again on another disk")


def _sort_files(folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The readable and the secret files of a hub's folder, by name, without the store."""
    plain: dict[str, bytes] = {}
    secret: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith("data/") or path.name in BESIDE_STORE or _LEFT_OUT.search(path.name):
            continue
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        if path.stat().st_size > MAX_FILE or len(plain) + len(secret) >= MAX_FILES:
            raise UserError(f"{path}: too large, or too many files for a backup", "move away what is not the hub's")
        data = path.read_bytes()
        (plain if _is_readable(path, data) else secret)[check_name(name)] = data
    return plain, secret


def _is_readable(path: Path, data: bytes) -> bool:
    """Only what is known to be no secret: anything else is sealed."""
    if path.suffix == ".toml":
        return _PASSWORD_IN_URL.search(data) is None
    return path.suffix == ".pem" and b"PRIVATE KEY" not in data and b"CERTIFICATE" in data


def _outside(config: HubConfig) -> Iterator[str]:
    """Files that hub.toml names elsewhere."""
    folder = config.folder.path
    named = [config.policy.file, config.runbooks.file, config.store.seal_key_file]
    named += [file for inlet in config.inlets.values() for _, file in inlet_secret_files(inlet)]
    if files := list_archive(config.audit.archive):
        yield (
            f"not in it: {len(files)} files of the audit's archive in {config.audit.archive}, which never change: keep"
            " a copy of each, and put them back there before `answerback-hub audit verify`"
        )
    for path in named:
        if folder not in path.absolute().parents:
            yield f"not in it: {path}, which is outside {folder}; keep a copy of it"


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if folder in path.parents else f"data/{path.name}"


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


# ---- putting one back


@dataclass(frozen=True, slots=True)
class RestoreSummary:
    folder: Path
    hub: str
    made_at: float
    files: int
    store: bool
    advice: tuple[str, ...]


def restore(source: Path, folder: Path, passphrase: str | None, now: float) -> RestoreSummary:
    """Puts a backup into `folder`, which must be empty or missing, and marks its store as restored. Raises UserError;
    what had been written by then is left for a person to look at.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"{folder} is not empty", "name a new folder: nothing is ever written over; move the old one away"
        )
    with open_backup(source) as reader:
        reader.verify()
        manifest = reader.manifest
        secret = _open_secrets(reader, passphrase)
        create_folder(folder)
        names = [name.removeprefix(FILES) for name in manifest.digests if name.startswith(FILES)]
        for name in names:
            _put(folder, check_name(name), reader.read(FILES + name))
        for name, data in secret.items():
            _put(folder, check_name(name), data)
        if manifest.store:
            path = folder / check_name(manifest.store)
            create_folder(path.parent)
            with _private(path) as file:
                reader.copy(STORE, file)
    advice = _mark_restored(folder, source, manifest, now)
    if not manifest.sealed:
        advice.append("the backup has no keys and secrets: put them back by hand, or its machines join anew")
    return RestoreSummary(
        folder, manifest.hub, manifest.made_at, len(names) + len(secret), bool(manifest.store), tuple(advice)
    )


def is_sealed(source: Path) -> bool:
    """Whether it takes a passphrase to restore."""
    with open_backup(source) as reader:
        return reader.manifest.sealed


def _open_secrets(reader: BackupReader, passphrase: str | None) -> dict[str, bytes]:
    if not reader.manifest.sealed:
        return {}
    if passphrase is None:
        raise UserError("this backup has sealed secrets", "give its passphrase: see restore --help")
    return unseal(reader.read(SECRETS), passphrase)


def _put(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    for parent in reversed(path.relative_to(folder).parents[:-1]):
        create_folder(folder / parent)
    with _private(path) as file:
        file.write(data)


def _mark_restored(folder: Path, source: Path, manifest: Manifest, now: float) -> list[str]:
    """Begins the recovery in the store that was put back; what a person still has to do."""
    if not manifest.store:
        begin = "answerback-hub recover --begin"
        return [f"the database is not in it: put its dump back, then run `{begin}` before the hub starts"]
    url, keyless = f"sqlite:///{manifest.store}", not key_file(folder).exists()
    with closing(Store.open(url, folder=folder, clock=lambda: now, look_only=keyless)) as store:
        store.write_now(lambda txn: begin_recovery(txn, now, cause="restore", witness=source.name))
    config_file = folder / "hub.toml"
    if not config_file.exists():
        return ["hub.toml is not in it: put it back before the hub starts"]
    wanted = Database(_store_url(config_file), folder).path
    if wanted != folder / manifest.store:
        return [f"[store] url of {config_file} names {wanted}: set it to sqlite:///{manifest.store}"]
    return []


def _store_url(config_file: Path) -> str:
    """Of a hub.toml whose secrets may not be there yet."""
    table = parse_toml(config_file.read_bytes(), str(config_file)).get("store", {})
    return str(table.get("url", StoreTable().url))
