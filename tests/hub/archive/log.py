"""A log in a real store, with the key that signs it, its witness, and its archive."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from common.audit.verification import Verification, VerificationReport, Witness
from common.identity.signing import SigningKey
from hub.archive.archiver import Archiver
from hub.archive.reader import AuditArchive
from hub.cli.admin import audit_checkpoints
from hub.core.audit_chain import AuditRow, Checkpoint
from hub.store.store import Store
from hub.witness.signer import CheckpointSigner
from tests.hub.store.template import open_store

HUB = "h-0123456789abcdef"
KEY = SigningKey.generate()
SECRET = "the canary of a sealed text"


async def no_pause(seconds: float) -> None:
    """Nobody waits here."""


@dataclass
class Log:
    """`at` is the time: each event takes a second, each batch ends with a checkpoint."""

    url: str
    folder: Path
    at: float = 1_000_000.0
    notes: list[Checkpoint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store: Store = open_store(self.url, folder=self.folder, clock=lambda: self.at)
        self.archive = AuditArchive(self.folder / "archive", HUB, {KEY.id: KEY.public})
        self.signer = CheckpointSigner(KEY, HUB, lambda: self.notes[-1] if self.notes else None)
        self.store.write_now(lambda txn: self.signer.announce(txn, None, self.at))  # before there are events: no row

    def close(self) -> None:
        self.store.close()

    def archiver(self, most: int = 20) -> Archiver:
        return Archiver(self.store, self.archive, KEY, lambda: self.at, no_pause, most)

    def add(self, batches: int, events: int = 5) -> None:
        for _ in range(batches):
            for number in range(events):
                self.at += 1.0
                data = {"text": f"{SECRET} {number}", "at": self.at, "zh": "磁盘"}
                self.store.write_now(lambda txn, data=data: txn.audit("request.received", "r", "alice", data, self.at))
            self.sign()

    def sign(self) -> None:
        while self.store.read_now(self.signer.advance):
            pass
        mark = self.store.write_now(lambda txn: self.signer.sign(txn, self.at))
        if mark is not None and mark not in self.notes:
            self.notes.append(mark)

    def verify(self) -> VerificationReport:
        own = Witness("notes", [(HUB, note) for note in self.notes], True)
        run = Verification(HUB, {KEY.id: KEY.public}, [own], now=self.at)
        return self.store.read_now(lambda txn: run.run(self.archive.rows(txn), audit_checkpoints(txn)))

    def rows(self) -> list[AuditRow]:
        return self.store.read_now(lambda txn: list(self.archive.rows(txn)))

    def here(self) -> tuple[int, int]:
        """The first and the last event of the database."""
        return self.store.read_now(lambda txn: (txn.first_event(), txn.audit_head().seq))
