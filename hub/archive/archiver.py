"""Moves old events of the audit from the database into the archive, a file at a time."""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from common.audit.archive import ArchiveFile, Manifest, event_line, manifest_line, signature_line, signed_part
from common.audit.event import event_bytes
from common.audit.verification import ChainBroken
from common.crashpoints import crashpoint
from common.errors import UserError
from common.files import create_folder, write_file
from common.identity.signing import SigningKey
from hub.archive.reader import AuditArchive
from hub.core.audit_chain import AuditRow, ChainHead, Checkpoint
from hub.log import logger
from hub.store.archived import Archived, seal_archive
from hub.store.cipher import DataKey
from hub.store.errors import StoreFenced
from hub.store.store import Store
from hub.store.transaction import Txn

MAX_EVENTS: Final = 50_000
"""Of one file, about."""
PAGE: Final = 500
"""Events that are read, checked and compressed at once."""
REST: Final = 4.0
"""How long is rested after a step, in times that it took."""
MAX_REST: Final = 1.0
UNUSED: Final = ".unused"
T = TypeVar("T")

log = logger("archive")


class ArchiveRefused(Exception):
    """The events do not hold: they stay where they are, and `audit verify` says what is wrong."""


class Archiver:
    """`run` now and then, by one task."""

    def __init__(
        self,
        store: Store,
        archive: AuditArchive,
        key: SigningKey | None,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most: int = MAX_EVENTS,
    ) -> None:
        """`key` signs the files; without one nothing is archived."""
        self._store = store
        self._archive = archive
        self._key = key
        self._clock = clock
        self._pause = pause
        self._most = most

    async def run(self, before: float) -> int:
        """Archives all events that were signed before `before`; returns how many. What was begun by a hub that ended
        meanwhile is ended first. Where the events do not hold, or the folder cannot be written, it is told, and they
        stay in the database.
        """
        moved = 0
        try:
            await asyncio.to_thread(_remove_left_over, self._archive.folder)
            await self._drop()
            while self._key is not None and (some := await self._move(self._key, before)):
                moved += some
                await self._drop()
        except (ArchiveRefused, ChainBroken) as error:
            log.error("archive.refused", reason=str(error), cure="answerback-hub audit verify says what is wrong")
        except OSError as error:
            log.error("archive.unwritten", folder=str(self._archive.folder), reason=error.strerror or str(error))
        except StoreFenced:
            raise
        except UserError as error:
            log.error("archive.unwritten", folder=str(self._archive.folder), reason=error.problem, cure=error.cure)
        return moved

    def used_bytes(self) -> int:
        return self._archive.used_bytes()

    async def _drop(self) -> None:
        """Deletes the rows that are in files."""
        while await self._step(self._store.write(lambda txn: txn.drop_archived())):
            crashpoint("archive.dropping")

    async def _move(self, key: SigningKey, before: float) -> int:
        """One file, up to the commit that says that it is there; returns how many events are in it."""
        archived = await self._store.read(lambda txn: txn.archived())
        end = await self._store.read(lambda txn: txn.archive_end(archived.last + 1, before, self._most))
        if end is None:
            return 0
        manifest = await self._adopt(archived)
        if manifest is None:
            manifest = await self._write(key, archived, end)
        name, size, digest = manifest.name, manifest.size, manifest.content
        data = {"first": manifest.first, "last": manifest.last, "file": name, "bytes": size, "digest": digest}
        now, goes_to = self._clock(), Archived(manifest.last, manifest.hash, name)

        def unit(txn: Txn) -> None:
            txn.note_archived(goes_to)
            txn.audit("audit.archived", "audit", "hub", data, now)

        await self._step(self._store.write(unit))
        crashpoint("archive.noted")
        log.info("archive.written", file=name, first=manifest.first, last=manifest.last, bytes=size)
        return manifest.last - manifest.first + 1

    async def _adopt(self, archived: Archived) -> Manifest | None:
        """The file that a hub wrote which ended before it could say so, where it is of these events. Others in its
        place (a backup was put back since) are moved aside.
        """
        found = None
        for file in await asyncio.to_thread(self._archive.files):
            if file.last <= archived.last:
                continue
            manifest = await self._checked(file)
            fits = manifest is not None and manifest.first == archived.last + 1 and manifest.previous == archived.hash
            if found is None and fits and manifest is not None and await self._store.read(partial(_has, manifest)):
                found = manifest
                continue
            log.error("archive.unused", file=file.path.name, reason="it is of other events than the database has")
            await asyncio.to_thread(file.path.rename, file.path.with_name(file.path.name + UNUSED))
        return found

    async def _checked(self, file: ArchiveFile) -> Manifest | None:
        try:
            return await asyncio.to_thread(self._archive.check, file)
        except ChainBroken:
            return None

    async def _write(self, key: SigningKey, archived: Archived, end: Checkpoint) -> Manifest:
        content = await self._compress(ChainHead(archived.last, archived.hash), end)
        data_key = await self._step(self._store.write(lambda txn: txn.new_archive_key()))
        manifest = Manifest(
            self._archive.hub, archived.last + 1, end.seq, archived.hash, end.hash, end, "", 0, self._clock()
        )
        await asyncio.to_thread(create_folder, self._archive.folder)
        return await asyncio.to_thread(_write_file, self._archive, key, manifest, content, data_key)

    async def _compress(self, head: ChainHead, end: Checkpoint) -> bytes:
        """The events up to `end`, each of which follows the one before; raises ArchiveRefused."""
        stream, parts = zlib.compressobj(9), []
        while head.seq < end.seq:
            after = head.seq
            rows = await self._store.read(partial(_page, after, min(PAGE, end.seq - after)))
            head, lines = await self._step(asyncio.to_thread(_join, rows, head))
            parts.append(await self._step(asyncio.to_thread(stream.compress, lines)))
        if head.hash != end.hash:
            raise ArchiveRefused(f"the checkpoint at {end.seq} signed another chain")
        return b"".join([*parts, stream.flush()])

    async def _step(self, work: Awaitable[T]) -> T:
        """A step, and the rest after it."""
        started = time.perf_counter()
        done = await work
        await self._pause(min(MAX_REST, REST * (time.perf_counter() - started)))
        return done


def _page(after: int, limit: int, txn: Txn) -> list[AuditRow]:
    return txn.chain(after, limit)


def _has(manifest: Manifest, txn: Txn) -> bool:
    """Whether the database has the file's last event, whose hash stands for all before it."""
    rows = txn.chain(manifest.last - 1, 1)
    return bool(rows) and (rows[0].seq, rows[0].hash) == (manifest.last, manifest.hash)


def _join(rows: list[AuditRow], head: ChainHead) -> tuple[ChainHead, bytes]:
    """The rows' lines and the chain's head after them; raises ArchiveRefused."""
    lines = []
    for row in rows:
        try:
            digest = hashlib.sha256(event_bytes(row)).hexdigest()
            lines.append(event_line(row))
        except (TypeError, ValueError, RecursionError):
            raise ArchiveRefused(f"event {head.seq + 1} cannot be read") from None
        if (row.seq, row.previous, row.hash) != (head.seq + 1, head.hash, digest):
            raise ArchiveRefused(f"event {head.seq + 1} is not what was written there")
        head = ChainHead(row.seq, digest)
    if not rows:
        raise ArchiveRefused(f"event {head.seq + 1} is not there")
    return head, b"".join(lines)


def _write_file(
    archive: AuditArchive, key: SigningKey, draft: Manifest, content: bytes, data_key: DataKey | None
) -> Manifest:
    """Durable when this returns, and read again whole; raises OSError, ChainBroken."""
    if data_key is not None:
        content = seal_archive(data_key, content, draft.place)
        draft = replace(draft, key=data_key.id, wrapped=data_key.wrapped.hex())
    manifest = replace(draft, content=hashlib.sha256(content).hexdigest(), size=len(content))
    first = manifest_line(manifest)
    purpose, _, rest = signed_part(first).partition(b"\n")
    second = signature_line(key.id, key.sign(purpose + b"\n", rest))
    path = archive.folder / manifest.name
    crashpoint("archive.writing")
    write_file(path, first + second + content)
    crashpoint("archive.durable")
    archive.check(ArchiveFile(manifest.first, manifest.last, path))
    return manifest


def _remove_left_over(folder: Path) -> None:
    """Of files that a hub did not write to their end."""
    for path in folder.glob(".audit-*"):
        path.unlink(missing_ok=True)
