"""What a console has received of a list, and what it has to be sent next. Pure.

The hub has one `ListSnapshot` of a list for all consoles that follow it; each console has its own `Cursor`. A push
(`common.api.lists`: a `Snapshot` first, then `Delta`s) says what is true now and was not sent yet, never what happened
in between, so a slow console misses steps and no truth. A push holds what fits into one frame; the rest is in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.api.lists import Delta, ListPush, Snapshot
from hub.api.rows import Row
from hub.api.views import MAX_BYTES, MAX_NODES


@dataclass(frozen=True, slots=True)
class ListSnapshot:
    """A window as it is now; rows that have not changed are the same objects as in the snapshot before."""

    rows: tuple[Row, ...] = ()
    total: int = 0
    all: int = 0
    lo: int = 0


@dataclass(slots=True)
class Cursor:
    """What one console has received of one list; `version` is that of the form of its rows."""

    version: int | None = None
    seq: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    counts: tuple[int, int] = (0, 0)

    def diff(self, snapshot: ListSnapshot) -> tuple[ListPush | None, bool]:
        """The push that brings the console up to `snapshot`, None where it is; and whether another must follow. Its
        rows are encoded already.
        """
        order = tuple(row.id for row in snapshot.rows)
        changed = [row for row in snapshot.rows if self.rows.get(row.id) is not row]
        sent = fit_rows(changed, len(order) + len(self.order))
        counts = (snapshot.total, snapshot.all)
        payloads: tuple[Any, ...] = tuple(row.payload for row in sent)
        push: ListPush
        if not self.seq:
            push = Snapshot(
                seq=1,
                total=snapshot.total,
                all=snapshot.all,
                lo=snapshot.lo,
                rows=payloads,
                version=self.version,
            )
            order = order[: len(sent)]  # what stands behind them comes with the next
        elif not changed and order == self.order and counts == self.counts:
            return None, False
        else:
            present = set(order)
            push = Delta(
                seq=self.seq + 1,
                total=snapshot.total,
                all=snapshot.all,
                lo=snapshot.lo,
                upsert=payloads,
                gone=tuple(identity for identity in self.rows if identity not in present),
                order=order if order != self.order else None,
            )
        self.seq += 1
        self.order, self.counts = order, counts
        known = {**self.rows, **{row.id: row for row in sent}}
        self.rows = {identity: known[identity] for identity in order if identity in known}
        return push, len(sent) < len(changed)


def fit_rows(rows: Iterable[Row], ids: int = 0) -> Sequence[Row]:
    """The rows up to the last that fits into a frame with those before it and with so many ids."""
    nodes, size = MAX_NODES - ids, MAX_BYTES - 70 * ids
    fitting = []
    for row in rows:
        nodes, size = nodes - row.nodes, size - row.size
        if nodes < 0 or size < 0:
            break
        fitting.append(row)
    return fitting
