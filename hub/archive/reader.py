"""The audit from its first event on, wherever it is: the archive's files, then the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from common.audit.archive import (
    ArchiveFile,
    Manifest,
    changed,
    check_file,
    list_archive,
    missing,
    read_content,
    read_events,
    split_lines,
)
from common.audit.event import GENESIS_HASH
from common.audit.verification import ChainBroken
from hub.core.audit_chain import AuditRow
from hub.store.errors import SealBroken
from hub.store.transaction import Txn

PAGE: Final = 1_000


class AuditArchive:
    """The files of one hub. `keys` are the public keys that may have signed them, by id."""

    def __init__(self, folder: Path, hub: str, keys: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.hub = hub
        self.keys = keys

    def files(self) -> list[ArchiveFile]:
        """Raises ChainBroken where the folder cannot be read."""
        try:
            return list_archive(self.folder)
        except OSError as error:
            raise ChainBroken(
                f"the archive's folder {self.folder} cannot be read ({error.strerror})", None, "archive_missing"
            ) from None

    def used_bytes(self) -> int:
        try:
            return sum(file.path.stat().st_size for file in self.files())
        except (OSError, ChainBroken):
            return 0

    def check(self, file: ArchiveFile) -> Manifest:
        """Reads a file whole; raises ChainBroken."""
        try:
            return check_file(file.path, self.hub, self.keys)
        except OSError as error:
            raise changed(file.path.name, f"it cannot be read ({error.strerror})", file.first) from None

    def rows(self, txn: Txn, after: int = 0) -> Iterator[AuditRow]:
        """All events after number `after`, in order. What is in the database is read from there. Raises ChainBroken
        where a file is missing, or not as it was written.
        """
        here, last, head = txn.first_event(), after, ""
        for file in self.files():
            if file.first >= here or file.last <= last:
                continue
            if file.first > last + 1:
                raise missing(last + 1, file.first - 1)
            manifest = self.check(file)
            if head not in ("", manifest.previous) or (file.first == 1 and manifest.previous != GENESIS_HASH):
                raise changed(file.path.name, "it does not follow the file before it", file.first)
            for row in self._read(txn, file, manifest):
                if row.seq > last:
                    yield row
            last, head = file.last, manifest.hash
        if here > last + 1:
            raise missing(last + 1, here - 1)
        while rows := txn.chain(after_seq=last, limit=PAGE):
            yield from rows
            last = rows[-1].seq

    def _read(self, txn: Txn, file: ArchiveFile, manifest: Manifest) -> Iterator[AuditRow]:
        name = file.path.name
        try:
            content = read_content(file.path, manifest)
            wrapped = bytes.fromhex(manifest.wrapped)
            plain = txn.open_archive(manifest.key, wrapped, content, manifest.place, name)
            yield from read_events(split_lines(plain), manifest)
        except OSError as error:
            raise changed(name, f"it cannot be read ({error.strerror})", file.first) from None
        except (SealBroken, ValueError) as error:
            raise changed(name, str(error), file.first) from None
