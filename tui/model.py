"""What a screen knows of one server view: a window of rows by id, kept true by deltas. Pure.

The hub has all the rows; here are those of the window asked for and at most `KEEP` on each side of it. A snapshot or
an order
says which id is at which index. While the view is held (the operator is reading or has marked rows) a new order
waits, so that no row moves under the cursor; only what the rows say changes. `moved` tells how many wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

KEEP: Final = 500
MAX_ROWS: Final = 1_000
"""The most rows that one push may carry; what is beyond is not looked at."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the hub: which view, which rows of it, in which order, from where."""

    name: str  # jobs | requests | agents | audit | lanes | activity
    filter: str = ""
    sort: str = ""  # a column's key, with "-" before it for descending; "" is the view's own order
    lo: int = 0
    n: int = 100

    def covers(self, lo: int, hi: int) -> bool:
        return self.lo <= lo and hi <= self.lo + self.n

    def same_rows(self, other: Query) -> bool:
        """Whether `other` is another window on the same list."""
        return (self.name, self.filter, self.sort) == (other.name, other.filter, other.sort)

    def args(self) -> dict[str, Any]:
        return {"view": self.name, "filter": self.filter, "sort": self.sort, "lo": self.lo, "n": self.n}


class BadPush(ValueError):
    """A push that is not of the form."""


class Window:
    """See the module. Indexes are those of the server's list."""

    def __init__(self) -> None:
        self.total = 0  # rows that match the filter
        self.all = 0  # rows there are
        self.loaded = False
        self.held = False
        self.moved = 0
        self.gone: set[str] = set()  # ids shown that the hub no longer lists; they leave when the view is let go
        self.left: set[str] = set()  # ids that the hub said are gone, since the last snapshot
        self.lists = 0  # counts lists: another filter or order is another one
        self.version = 0  # counts changes of order or size; cells do not count
        self._rows: dict[str, Row] = {}
        self._order: dict[int, str] = {}
        self._index: dict[str, int] = {}
        self._seq = 0
        self._waiting: tuple[int, tuple[str, ...]] | None = None

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

    def has(self, lo: int, hi: int) -> bool:
        return all(index in self._order for index in range(max(0, lo), min(hi, self.total)))

    def is_out(self, identity: str) -> bool:
        """Whether a row is no longer in the list, as far as is known; one outside the window may still be."""
        return identity not in self._index and (identity in self.left or self.has(0, self.total))

    def __len__(self) -> int:
        return len(self._rows)

    # ---- writing

    def clear(self) -> None:
        """Forgets everything: another list is asked for."""
        self.total = self.all = self.moved = 0
        self.loaded = False
        self.gone.clear()
        self.left.clear()
        self.lists += 1
        self._rows.clear()
        self._order.clear()
        self._index.clear()
        self._waiting = None
        self.version += 1

    def apply(self, push: Mapping[str, Any]) -> bool:
        """Takes a push; False where one before it is missing and the view must be asked for again. Raises BadPush."""
        try:
            if "rows" in push:
                self._snapshot(push)
                return True
            return self._delta(push)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadPush(f"a push that is none: {type(error).__name__} {error}") from None

    def fill(self, rows: Sequence[Row]) -> None:
        """A whole short list at once, for what comes in one piece."""
        self._snapshot({"seq": 0, "total": len(rows), "all": len(rows), "lo": 0, "rows": rows})

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        """Lets the waiting order in."""
        self.held = False
        if self._waiting is not None:
            lo, ids = self._waiting
            self._waiting = None
            self._place(lo, ids)
        self._drop_gone()
        self.moved = 0

    def _snapshot(self, push: Mapping[str, Any]) -> None:
        rows = list(push["rows"])[:MAX_ROWS]
        self._seq = int(push["seq"])
        self._sizes(push)
        known = {str(row["id"]): row for row in rows}
        self._rows.update(known)
        self._waiting, self.loaded, self.moved = None, True, 0
        self.gone.clear()
        self._place(int(push["lo"]), tuple(known))

    def _delta(self, push: Mapping[str, Any]) -> bool:
        seq = int(push["seq"])
        if seq != self._seq + 1:
            return False
        self._seq = seq
        self._sizes(push)
        for row in list(push.get("upsert", ()))[:MAX_ROWS]:
            self._rows[str(row["id"])] = row
        gone = {str(identity) for identity in push.get("gone", ())} & self._rows.keys()
        self.gone |= gone
        self.left = set(list(self.left)[-KEEP:]) | gone
        order = push.get("order")
        if order is not None:
            place = (int(push.get("lo", 0)), tuple(str(identity) for identity in order)[:MAX_ROWS])
            if self.held:
                self._waiting = place
                self.moved = self._count_moved(*place)
            else:
                self._place(*place)
        if not self.held:
            self._drop_gone()
        self._forget_far()
        return True

    def _sizes(self, push: Mapping[str, Any]) -> None:
        total, whole = int(push.get("total", self.total)), int(push.get("all", self.all))
        if total != self.total:
            self.version += 1
        self.total, self.all = max(0, total), max(0, whole)

    def _place(self, lo: int, ids: Sequence[str]) -> None:
        """Puts `ids` at `lo` and on; what else is known is kept only where it still fits."""
        placed = {lo + offset: identity for offset, identity in enumerate(ids)}
        if any(self._order.get(index, identity) != identity for index, identity in placed.items()) or any(
            self._index.get(identity, index) != index for index, identity in placed.items()
        ):
            self._order.clear()  # the list has shifted: what stood beyond the window stands elsewhere now
        self._order.update(placed)
        beyond = [
            index for index in self._order if index >= self.total or not lo - KEEP <= index < lo + len(ids) + KEEP
        ]
        for index in beyond:
            del self._order[index]
        self._index = {identity: index for index, identity in self._order.items()}
        self.version += 1
        self._forget_far()

    def _drop_gone(self) -> None:
        """Takes out what the hub no longer lists; the hub sends the new order, until then there is a hole."""
        for identity in self.gone & self._index.keys():
            del self._order[self._index.pop(identity)]
            self.version += 1
        self.gone.clear()

    def _forget_far(self) -> None:
        if len(self._rows) > len(self._order) + 2 * KEEP:
            waiting = set(self._waiting[1]) if self._waiting else set()
            self._rows = {key: row for key, row in self._rows.items() if key in self._index or key in waiting}
        elif not self._waiting and len(self._rows) > len(self._order):
            self._rows = {key: row for key, row in self._rows.items() if key in self._index}

    def _count_moved(self, lo: int, ids: Sequence[str]) -> int:
        return sum(1 for offset, identity in enumerate(ids) if self._order.get(lo + offset) != identity)
