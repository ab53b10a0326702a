"""Logs to verify: events, checkpoints as a hub signs them, notes as a witness keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from common.audit.checkpoint import Checkpoint
from common.audit.event import Row, event_bytes
from common.audit.tree import Tree
from common.audit.verification import Verification, VerificationReport, Witness
from common.identity.signing import SigningKey
from hub.core.audit_chain import GENESIS, ChainHead, extend, fork_data, sign_checkpoint, succession_data

HUB = "hub-1"
KEY = SigningKey.generate()
NOW = 1_800_000_000.0


@dataclass
class Log:
    """Grows event by event, one second each; `mark` signs what is there."""

    key: SigningKey = KEY
    hub: str = HUB
    rows: list[Row] = field(default_factory=list)
    marks: list[Checkpoint] = field(default_factory=list)
    begun: float = NOW

    def add(self, count: int = 1, kind: str = "job.started", data: dict[str, Any] | None = None) -> Log:
        for _ in range(count):
            head = ChainHead(self.rows[-1].seq, self.rows[-1].hash) if self.rows else GENESIS
            body = {"number": head.seq, "text": "héllo"} if data is None else data
            self.rows.append(extend(head, self.begun + head.seq, kind, f"j{head.seq}", "alice", body))
        return self

    def mark(self, key: SigningKey | None = None) -> Log:
        tree = Tree()
        for row in self.rows:
            tree.append(event_bytes(row))
        last, previous = self.rows[-1], self.marks[-1].seq if self.marks else 0
        head = ChainHead(last.seq, last.hash)
        self.marks.append(sign_checkpoint(key or self.key, self.hub, head, tree.root(), last.at + 0.5, previous))
        return self

    def hand_on(self, key: SigningKey, signed: bool = True) -> Log:
        """From here on with another key."""
        data = succession_data(key, self.hub, self.key if signed else None)
        if not signed:
            data["before"] = self.key.id
        self.add(kind="audit.key", data=data)
        self.key = key
        return self

    def fork(self, kept: int, at: float) -> Log:
        return self.add(kind="audit.forked", data=fork_data(self.key, self.hub, kept, at))

    def cut(self, count: int) -> Log:
        """Another log that is this one's beginning."""
        return Log(
            self.key, self.hub, self.rows[:count], [mark for mark in self.marks if mark.seq <= count], self.begun
        )

    def notes(self) -> list[tuple[str, Checkpoint]]:
        return [(self.hub, mark) for mark in self.marks]

    @property
    def keys(self) -> dict[str, bytes]:
        return {self.key.id: self.key.public}


def a_log(*, marked: Iterable[int] = (3, 7, 9)) -> Log:
    """Nine events with a checkpoint after each of `marked`."""
    log = Log()
    for seq in range(1, 10):
        log.add()
        if seq in marked:
            log.mark()
    return log


def witness(log: Log, *, required: bool = True, name: str = "file") -> Witness:
    return Witness(name, log.notes(), required)


def verified(
    log: Log, *witnesses: Witness, keys: dict[str, bytes] | None = None, now: float | None = None, hub: str = HUB
) -> VerificationReport:
    """As a live store a few seconds after its last event."""
    moment = log.rows[-1].at + 5 if now is None and log.rows else now
    named = {log.key.id: log.key.public, KEY.id: KEY.public}  # as the header of an export names them
    run = Verification(hub, log.keys if keys is None else keys, witnesses, named=named, now=moment)
    return run.run(log.rows, log.marks)
