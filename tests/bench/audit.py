"""How long verifying the audit takes, and that whatever is done to it is found:

    python tests/bench/audit.py [EVENTS] [EDITS] [REWRITES]        1,000,000 events, 1,000 edits, 100 rewrites

A store of EVENTS rows with a checkpoint every 1,000 is verified as `audit verify` does, then as an export by the
verifier; beside each the floor: SHA-256 and JSON of the same bytes and nothing else. Then random rows are edited one at
a time, and histories are rewritten from a random row on, linked anew and signed with the real key: against a witness
that kept a note in every 10,000. Each has to be found; an edit at its row.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common.audit.checkpoint import Checkpoint
from common.audit.event import Row, event_bytes
from common.audit.export import verify_export
from common.audit.tree import Tree
from common.audit.verification import Verification, Witness
from common.identity.signing import SigningKey
from hub.cli.admin import audit_checkpoints, audit_rows
from hub.core.audit_chain import GENESIS, ChainHead, export, extend, sign_checkpoint
from hub.store.store import Store

NOW, HUB, KEY = 1_800_000_000.0, "hub-bench", SigningKey.generate()
EVERY, SEEN = 1_000, 10_000
DIGEST = hashlib.sha256(b"x").hexdigest()
DATA: list[tuple[str, dict[str, Any]]] = [
    ("message.accepted", {"inlet": "ops", "text": "@web-1 df -h", "event": "01JZ0000000000000000000000"}),
    ("plan.made", {"plan_hash": DIGEST, "source": "explicit", "steps": 1}),
    ("jobs.queued", {"step": 0, "plan_hash": DIGEST, "jobs": {"01JZ0000000000000000000001": "web-1"}}),
    ("job.started", {"pid": 4711, "plan_hash": DIGEST}),
    ("job.ended", {"outcome": "succeeded", "exit_code": 0, "output_digest": DIGEST, "bytes": 412}),
]


def events(count: int, head: ChainHead = GENESIS, actor: str = "alice") -> Iterator[Row]:
    """The kinds of one message's way, over and over, after `head`."""
    for number in range(head.seq, count):
        kind, data = DATA[number % len(DATA)]
        row = extend(head, NOW + number / 100, kind, f"r{number}", actor, data)
        head = ChainHead(row.seq, row.hash)
        yield row


def signed(rows: Iterator[Row], tree: Tree, previous: int = 0) -> Iterator[tuple[Row, Checkpoint | None]]:
    """Each row, with its checkpoint where one is due; the last row has one."""
    held: Row | None = None

    def mark(row: Row, due: bool) -> Checkpoint | None:
        nonlocal previous
        tree.append(event_bytes(row))
        if not due:
            return None
        made = sign_checkpoint(KEY, HUB, ChainHead(row.seq, row.hash), tree.root(), row.at, previous)
        previous = row.seq
        return made

    for row in rows:
        if held is not None:
            yield held, mark(held, held.seq % EVERY == 0)
        held = row
    if held is not None:
        yield held, mark(held, True)


def fill(store: Store, count: int) -> list[tuple[str, Checkpoint]]:
    """Writes the log through the store's own statements; returns the witness's notes."""
    from hub.store.events import _ADD  # the statement of the hub's own inserts

    notes: list[tuple[str, Checkpoint]] = []
    share: list[tuple[Row, Checkpoint | None]] = []

    def flush() -> None:
        batch = list(share)

        def unit(txn: Any) -> None:
            txn._db.change_many(_ADD, [row._asdict() for row, _ in batch])
            for _, mark in batch:
                if mark is not None:
                    txn.add_checkpoint(mark)

        store.write_now(unit)
        share.clear()

    for row, mark in signed(events(count), Tree()):
        share.append((row, mark))
        if mark is not None and mark.seq % SEEN == 0:
            notes.append((HUB, mark))
        if len(share) == 5_000:
            flush()
    flush()
    return notes


def timed(what: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of the clock, of this process's CPU, and what came of it: beside other work only the second tells."""
    begun, spent = time.perf_counter(), time.process_time()
    found = what()
    return time.perf_counter() - begun, time.process_time() - spent, found


def floor(lines: list[bytes]) -> float:
    """What reading JSON and hashing the same bytes twice costs at least."""

    def run() -> None:
        for line in lines:
            json.loads(line)
            hashlib.sha256(line).digest()
            hashlib.sha256(line).digest()

    return timed(run)[1]


def verify(rows: Iterator[Row], marks: Iterator[Checkpoint], notes: list[tuple[str, Checkpoint]], last: float) -> Any:
    own = Witness("notes", notes, True)
    return Verification(HUB, {KEY.id: KEY.public}, [own], now=last + 5).run(rows, marks)


def edited(rng: random.Random, row: Row) -> Row:
    """The row with one field changed in one character."""
    field = rng.choice(["at", "kind", "subject", "actor", "data", "previous", "hash"])
    old = getattr(row, field)
    if isinstance(old, float):
        return row._replace(at=old + rng.choice([1e-6, -1.0, 60.0]))
    at = rng.randrange(len(old))
    return row._replace(**{field: old[:at] + rng.choice([c for c in "ax01" if c != old[at]]) + old[at + 1 :]})


def attacks(rows: list[Row], marks: list[Checkpoint], notes: Any, edits: int, rewrites: int) -> tuple[int, int]:
    """How many were found."""
    rng, last, found, at_row = random.Random(7), rows[-1].at, 0, 0
    for _ in range(edits):
        index = rng.randrange(len(rows))
        was, rows[index] = rows[index], edited(rng, rows[index])
        report = verify(iter(rows), iter(marks), notes, last)
        found += not report.ok and report.first_bad_seq == index + 1
        rows[index] = was
    for _ in range(rewrites):
        index = rng.randrange(notes[-1][1].seq)  # what comes after the last note nobody outside knows
        head, tree = (ChainHead(index, rows[index - 1].hash) if index else GENESIS), Tree()
        for row in rows[:index]:
            tree.append(event_bytes(row))
        kept = [mark for mark in marks if mark.seq <= index]
        new = list(signed(events(len(rows), head, "mallory"), tree, kept[-1].seq if kept else 0))
        forged = [*rows[:index], *(row for row, _ in new)]
        report = verify(iter(forged), iter([*kept, *(m for _, m in new if m is not None)]), notes, last)
        at_row += not report.ok and report.code in ("rewritten", "checkpoint_missing")
    return found, at_row


def main(count: int = 1_000_000, edits: int = 1_000, rewrites: int = 100) -> int:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        store = Store.open("sqlite:///bench.sqlite", folder=folder, clock=time.time)
        took, _, notes = timed(lambda: fill(store, count))
        print(f"{count} events written in {took:.0f} s")
        last = NOW + (count - 1) / 100
        took, spent, report = timed(
            lambda: store.read_now(lambda txn: verify(audit_rows(txn), audit_checkpoints(txn), notes, last))
        )
        each = spent / count * 1e6
        print(
            f"store: verified in {took:.1f} s, CPU {spent:.1f} s, {each:.1f} us an event: {report.ok} {report.problem}"
        )
        file = folder / "audit.jsonl"

        def write(txn: Any) -> None:
            with file.open("w") as target:
                keys = {KEY.id: KEY.public}
                target.writelines(export(audit_rows(txn), audit_checkpoints(txn), keys, hub=HUB, count=count))

        store.read_now(write)
        took, spent, exported = timed(lambda: verify_export(file, {KEY.id: KEY.public}, [Witness("notes", notes)]))
        lines = file.read_bytes().splitlines()
        least = floor(lines)
        times = spent / least
        print(f"export: verified in {took:.1f} s, CPU {spent:.1f} s, {times:.1f} times the floor: {exported.ok}")
        del lines
        small = min(count, 5_000)
        rows = list(events(small))
        marks = [mark for _, mark in signed(iter(rows), Tree()) if mark is not None]
        kept = [(HUB, mark) for mark in marks]
        took, _, (found, told) = timed(lambda: attacks(rows, marks, kept, edits, rewrites))
        print(f"of {edits} edits {found} found at their row, of {rewrites} rewrites {told} found, in {took:.0f} s")
        store.close()
    return 0 if report.ok and exported.ok and (found, told) == (edits, rewrites) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main(*map(int, sys.argv[1:])))
