"""What a screen knows of one server view: a window of rows by id, kept true by deltas. Pure.

The hub has all the rows; here are those of the window asked for and at most `KEEP_AROUND` on each side of it. A
snapshot or an order says which id is at which index. While the view is held (the operator is reading or has marked
rows) a new order waits, so that no row moves under the cursor; only what the rows say changes. `pending_moves` tells
how many wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.api.agents import AgentView
from common.api.events import EventView
from common.api.inlets import InletView
from common.api.jobs import JobView
from common.api.lists import Delta, ListPush, Snapshot
from common.api.models import ModelNode
from common.api.overview import LaneView, NeedView
from common.api.requests import RequestFields
from common.api.subscriptions import ViewArgs
from common.filter.fields import ViewName

KEEP_AROUND: Final = 500
MAX_ROWS: Final = 1_000
"""The most rows that are taken of one push; what is beyond is ignored."""

Row = JobView | RequestFields | AgentView | EventView | LaneView | NeedView | ModelNode | InletView
"""What a table of the console has in a row. All have `id`."""


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """What is asked of the hub: which view, which rows of it, in which order, from where."""

    name: ViewName
    filter: str = ""
    sort: str = ""  # a column's key, with "-" before it for descending; "" is the view's own order
    lo: int = 0
    n: int = 100

    def covers(self, lo: int, hi: int) -> bool:
        return self.lo <= lo and hi <= self.lo + self.n

    def same_rows(self, other: ViewQuery) -> bool:
        """Whether `other` is another window on the same list."""
        return (self.name, self.filter, self.sort) == (other.name, other.filter, other.sort)

    def args(self) -> ViewArgs:
        return ViewArgs(view=self.name, filter=self.filter, sort=self.sort, lo=self.lo, n=self.n)


class RowWindow:
    """See the module. Indexes are those of the server's list."""

    def __init__(self) -> None:
        self.total = 0  # rows that match the filter
        self.unfiltered_total = 0  # rows there are
        self.loaded = False
        self.frozen = False
        self.pending_moves = 0
        self.removed: set[str] = set()  # ids shown that the hub no longer lists; they leave when the view is let go
        self.recently_removed: set[str] = set()  # ids that the hub said are gone, since the last snapshot
        self.list_generation = 0  # counts lists: another filter or order is another one
        self.version = 0  # counts changes of order or size; cells do not count
        self._rows: dict[str, Row] = {}
        self._order: dict[int, str] = {}
        self._index: dict[str, int] = {}
        self._seq = 0
        self._pending_order: tuple[int, tuple[str, ...]] | None = None

    # ---- reading

    def row_at(self, index: int) -> Row | None:
        found = self._order.get(index)
        return None if found is None else self._rows.get(found)

    def id_at(self, index: int) -> str | None:
        return self._order.get(index)

    def row(self, identity: str) -> Row | None:
        return self._rows.get(identity)

    def index(self, identity: str) -> int | None:
        return self._index.get(identity)

    def covers(self, lo: int, hi: int) -> bool:
        return all(index in self._order for index in range(max(0, lo), min(hi, self.total)))

    def is_removed(self, identity: str) -> bool:
        """Whether a row is no longer in the list, as far as is known; one outside the window may still be."""
        return identity not in self._index and (identity in self.recently_removed or self.covers(0, self.total))

    def __len__(self) -> int:
        return len(self._rows)

    # ---- writing

    def clear(self) -> None:
        """Forgets everything: another list is asked for."""
        self.total = self.unfiltered_total = self.pending_moves = 0
        self.loaded = False
        self.removed.clear()
        self.recently_removed.clear()
        self.list_generation += 1
        self._rows.clear()
        self._order.clear()
        self._index.clear()
        self._pending_order = None
        self.version += 1

    def apply(self, push: ListPush) -> bool:
        """Takes a push; False where one before it is missing and the view must be asked for again."""
        if isinstance(push, Snapshot):
            self._apply_snapshot(push)
            return True
        return self._apply_delta(push)

    def load_all(self, rows: Sequence[Row]) -> None:
        """A whole short list at once, for what comes in one piece."""
        self._apply_snapshot(Snapshot(seq=0, total=len(rows), all=len(rows), lo=0, rows=tuple(rows)))

    def freeze(self) -> None:
        self.frozen = True

    def release(self) -> None:
        """Lets the waiting order in."""
        self.frozen = False
        if self._pending_order is not None:
            lo, ids = self._pending_order
            self._pending_order = None
            self._set_order(lo, ids)
        self._drop_removed()
        self.pending_moves = 0

    def _apply_snapshot(self, push: Snapshot[Row]) -> None:
        self._seq = push.seq
        self._update_totals(push.total, push.all)
        known = {row.id: row for row in push.rows[:MAX_ROWS]}
        self._rows.update(known)
        self._pending_order, self.loaded, self.pending_moves = None, True, 0
        self.removed.clear()
        self._set_order(push.lo, tuple(known))

    def _apply_delta(self, push: Delta[Row]) -> bool:
        if push.seq != self._seq + 1:
            return False
        self._seq = push.seq
        self._update_totals(push.total, push.all)
        for row in push.upsert[:MAX_ROWS]:
            self._rows[row.id] = row
        gone = set(push.gone) & self._rows.keys()
        self.removed |= gone
        self.recently_removed = set(list(self.recently_removed)[-KEEP_AROUND:]) | gone
        if push.order is not None:
            place = (push.lo, push.order[:MAX_ROWS])
            if self.frozen:
                self._pending_order = place
                self.pending_moves = self._count_moved(*place)
            else:
                self._set_order(*place)
        if not self.frozen:
            self._drop_removed()
        self._evict_distant()
        return True

    def _update_totals(self, total: int, whole: int) -> None:
        if total != self.total:
            self.version += 1
        self.total, self.unfiltered_total = max(0, total), max(0, whole)

    def _set_order(self, lo: int, ids: Sequence[str]) -> None:
        """Puts `ids` at `lo` and on; what else is known is kept only where it still fits."""
        placed = {lo + offset: identity for offset, identity in enumerate(ids)}
        if any(self._order.get(index, identity) != identity for index, identity in placed.items()) or any(
            self._index.get(identity, index) != index for index, identity in placed.items()
        ):
            self._order.clear()  # the list has shifted: what stood beyond the window stands elsewhere now
        self._order.update(placed)
        beyond = [
            index
            for index in self._order
            if index >= self.total or not lo - KEEP_AROUND <= index < lo + len(ids) + KEEP_AROUND
        ]
        for index in beyond:
            del self._order[index]
        self._index = {identity: index for index, identity in self._order.items()}
        self.version += 1
        self._evict_distant()

    def _drop_removed(self) -> None:
        """Takes out what the hub no longer lists; the hub sends the new order, until then there is a hole."""
        for identity in self.removed & self._index.keys():
            del self._order[self._index.pop(identity)]
            self.version += 1
        self.removed.clear()

    def _evict_distant(self) -> None:
        if len(self._rows) > len(self._order) + 2 * KEEP_AROUND:
            waiting = set(self._pending_order[1]) if self._pending_order else set()
            self._rows = {key: row for key, row in self._rows.items() if key in self._index or key in waiting}
        elif not self._pending_order and len(self._rows) > len(self._order):
            self._rows = {key: row for key, row in self._rows.items() if key in self._index}

    def _count_moved(self, lo: int, ids: Sequence[str]) -> int:
        return sum(1 for offset, identity in enumerate(ids) if self._order.get(lo + offset) != identity)
