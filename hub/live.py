"""What a console has been told of a list, and what it must hear next. Pure.

The hub has one `Sight` of a list for all who look at it; each console has its own `Told`. A push says what is true now
and was not told yet, never what happened in between, so a slow console misses steps and no truth. A push holds what
fits into one frame; what does not is told by the next.

The first push has "rows", the others "upsert" (rows that are other than told), "gone" (told and no longer in the
window) and, where it is another one, "order" (the window's ids). All have "seq", one more each time, "total" (rows
that fit the filter), "all" (rows there are) and "lo" (the position of the window's first row).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hub.rows import Row
from hub.views import MAX_BYTES, MAX_NODES

MAX_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Sight:
    """A window as it is now; rows that have not changed are the same objects as in the sight before."""

    rows: tuple[Row, ...] = ()
    total: int = 0
    all: int = 0
    lo: int = 0


@dataclass(slots=True)
class Told:
    """What one console knows of one list."""

    seq: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    counts: tuple[int, int] = (0, 0)

    def news(self, sight: Sight) -> tuple[dict[str, Any] | None, bool]:
        """The push that brings the console up to `sight`, None where it is; and whether another must follow."""
        order = tuple(row.id for row in sight.rows)
        changed = [row for row in sight.rows if self.rows.get(row.id) is not row]
        sent = fitting_rows(changed, len(order) + len(self.order))
        counts = (sight.total, sight.all)
        push: dict[str, Any] = {"seq": self.seq + 1, "total": sight.total, "all": sight.all, "lo": sight.lo}
        if not self.seq:
            push["rows"] = [row.told for row in sent]
            order = order[: len(sent)]  # what stands behind them comes with the next
        elif not changed and order == self.order and counts == self.counts:
            return None, False
        else:
            here = set(order)
            push["upsert"] = [row.told for row in sent]
            push["gone"] = [identity for identity in self.rows if identity not in here]
            if order != self.order:
                push["order"] = list(order)
        self.seq += 1
        self.order, self.counts = order, counts
        known = {**self.rows, **{row.id: row for row in sent}}
        self.rows = {identity: known[identity] for identity in order if identity in known}
        return push, len(sent) < len(changed)


def fitting_rows(rows: Iterable[Row], ids: int = 0) -> Sequence[Row]:
    """The rows up to the last that fits into a frame with those before it and with so many ids."""
    nodes, size = MAX_NODES - ids, MAX_BYTES - 70 * ids
    kept = []
    for row in rows:
        nodes, size = nodes - row.nodes, size - row.size
        if nodes < 0 or size < 0:
            break
        kept.append(row)
    return kept
