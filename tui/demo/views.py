"""Windows on the demo world's lists, as the hub gives them: filter, order, a snapshot, then what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from common.catalogue import Language
from common.filter import BadFilter, Filter, me, parse
from common.filter_match import Matcher, matcher, value_of
from tui.client import BadCall, CallRefused
from tui.demo.cast import ME
from tui.demo.past import Past
from tui.demo.world import Row, View, World

MAX_WINDOW: Final = 500
ORDER_EVERY: Final = 0.5
"""Seconds between two looks at which rows stand where."""
MAX_CHANGES: Final = 5_000
_STORES: Final[Mapping[str, View]] = {
    "jobs": "jobs",
    "requests": "requests",
    "agents": "agents",
    "audit": "events",
    "activity": "events",
}
_SORTS: Final = {"age": "queued_at", "load": "vitals.load1"}
_ACTIVITY: Final = ("job.", "request.", "queue.", "agent.", "act.")


class Window:
    """One subscription to a view."""

    def __init__(self, world: World, past: Sequence[Past], args: Mapping[str, Any], language: Language) -> None:
        name = str(args.get("view"))
        if name not in _STORES:
            raise BadCall(f"there is no view {name[:40]!r}")
        self._world, self._past, self._name, self._store = world, past, name, _STORES[name]
        self._fits = self._filter(str(args.get("filter", "")), language)
        self._sort = str(args.get("sort", ""))
        self._lo, self._n = max(0, int(args.get("lo", 0))), max(1, min(int(args.get("n", 100)), MAX_WINDOW))
        self._past_ids: list[Past] | None = None
        self._seq = 0
        self._shown: list[str] = []
        self._totals = (0, 0)
        self._ordered_at = 0.0
        self._changed: set[str] = set()
        self._many = False
        self.listen: Callable[[View, str], None] = self._touched

    def _filter(self, text: str, language: Language) -> Matcher:
        view: Any = self._name
        try:
            found: Filter = parse(view, text)
        except BadFilter as error:
            raise CallRefused("filter", f"{error.position}: {error.sentence.say(language)}") from None
        return matcher(me(found, ME))

    def _touched(self, view: View, identity: str) -> None:
        if view == self._store:
            if len(self._changed) < MAX_CHANGES:
                self._changed.add(identity)
            else:
                self._many = True

    # ---- lists

    def _rows(self) -> Iterable[Row]:
        world = self._world
        if self._name == "activity":
            return (row for row in world.events if row["kind"].startswith(_ACTIVITY))
        return (
            {"jobs": world.jobs, "requests": world.requests, "agents": world.agents}[self._name].values()
            if (self._store != "events")
            else world.events
        )

    def _row(self, identity: str) -> Row | None:
        world = self._world
        if self._store == "events":
            first = world.events[0]["seq"] if world.events else 0
            index = int(identity) - first
            return world.events[index] if 0 <= index < len(world.events) else None
        return {"jobs": world.jobs, "requests": world.requests, "agents": world.agents}[self._store].get(identity)

    def _matching(self) -> tuple[list[Any], int]:
        """Rows that fit, in order; and how many there are in all."""
        now, fits = self._world.now, self._fits
        rows = list(self._rows())
        found: list[Any] = [row for row in rows if fits(row, now)]
        whole = len(rows)
        if self._name == "jobs" and self._past:
            if self._past_ids is None:
                self._past_ids = [job for job in self._past if fits(job, now)]  # type: ignore[arg-type]
            whole += len(self._past)
        if self._sort:
            key = self._sort.lstrip("-")
            key = _SORTS.get(key, key)
            found = [*found, *(self._past_ids or ())]
            down = self._sort.startswith("-") != (key == "queued_at")  # an age grows as its moment goes back
            present = [row for row in found if value_of(row, key) is not None]
            present.sort(key=lambda row: value_of(row, key), reverse=down)
            return present + [row for row in found if value_of(row, key) is None], whole
        if self._name != "agents":
            found.reverse()
        return [*found, *(self._past_ids or ())], whole

    # ---- pushes

    def snapshot(self) -> dict[str, Any]:
        found, whole = self._matching()
        window = [_plain(row) for row in found[self._lo : self._lo + self._n]]
        self._shown = [row["id"] for row in window]
        self._totals, self._ordered_at = (len(found), whole), self._world.now
        self._changed.clear()
        self._seq = 1
        return {"seq": 1, "total": len(found), "all": whole, "lo": self._lo, "rows": window}

    def delta(self) -> dict[str, Any] | None:
        """What has changed since the last push; None where nothing that is shown has."""
        if not self._changed and not self._many:
            return None
        push: dict[str, Any] = {}
        changed, shown = self._changed, set(self._shown)
        if self._world.now - self._ordered_at >= ORDER_EVERY:
            self._ordered_at = self._world.now
            found, whole = self._matching()
            ids = [_id(row) for row in found[self._lo : self._lo + self._n]]
            if ids != self._shown:
                fresh = [row for row in found[self._lo : self._lo + self._n] if _id(row) not in shown]
                push["order"], push["gone"] = ids, [identity for identity in self._shown if identity not in set(ids)]
                push["moved"] = sum(1 for old, new in zip(self._shown, ids, strict=False) if old != new)
                push["upsert"] = [_plain(row) for row in fresh]
                self._shown, shown = ids, set(ids)
            self._totals = (len(found), whole)
            changed = set(self._changed)
            self._changed.clear()
            self._many = False
        else:
            changed = self._changed & shown
            self._changed -= changed
            if changed:
                self._changed.add("")  # the order is still to be looked at
        rows = [row for identity in changed & shown if (row := self._row(identity)) is not None]
        known = {row["id"] for row in push.get("upsert", ())}
        push["upsert"] = [*push.get("upsert", ()), *(_plain(row) for row in rows if row["id"] not in known)]
        self._seq += 1
        return {
            "seq": self._seq,
            "total": self._totals[0],
            "all": self._totals[1],
            "lo": self._lo,
            "gone": [],
            "moved": 0,
        } | push


def _id(row: Any) -> str:
    return str(row.id if isinstance(row, Past) else row["id"])


def _plain(row: Any) -> Row:
    return row.row() if isinstance(row, Past) else dict(row)
