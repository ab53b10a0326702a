"""The console as lines: what a screen would show, said once when it becomes so. Pure.

For terminals that cannot have a screen, for screen readers, for logs. A line is a time of day with its zone, and words;
nothing is drawn, and nothing is said again as long as it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from common.api.events import EventView
from common.api.overview import LaneView, Overview
from common.api.whoami import WhoAmI
from common.catalogue import Language, translate
from common.text import clean
from common.times import Zone
from tui.client.source import LinkStatus
from tui.text.format import RenderContext, format_age, format_clock, one_line, zone_mark
from tui.view.column import Column
from tui.view.columns import ATTENTION, LANES
from tui.view.events import ACTIVITY

T = TypeVar("T")
MAX_LINE = 500
STATE_KEYS = ("lane", "lane_state")  # columns that say which lane it is, and its state


class PlainReporter:
    """Remembers what it has reported, and so what has changed since."""

    def __init__(self, language: Language, zone: Zone, *, ascii_only: bool = False) -> None:
        self._language: Language = language
        self._ascii = ascii_only
        self._zone = zone
        self._state = ""  # of the link, as it was said
        self._lost_at: float | None = None
        self._attention: dict[str, str] = {}
        self._lanes: dict[str, str] = {}

    def link_changes(self, link: LinkStatus, who: WhoAmI | None, now: float) -> list[str]:
        """The state of the link, where it is another than was reported."""
        if link.state == self._state or link.state == "connecting":
            return []
        self._state = link.state
        if link.state == "lost":
            self._lost_at = now
            return [self._line(now, self._text("plain_lost", why=one_line(link.reason or "-", 300)))]
        if self._lost_at is not None:
            away, self._lost_at = format_age(now - self._lost_at), None
            return [self._line(now, self._text("plain_back", age=away))]
        hub, person = (one_line(who.hub, 64), one_line(who.person, 64)) if who else ("?", "?")
        role = one_line(who.roles[-1], 12) if who and who.roles else "-"
        return [self._line(now, self._text("plain_live", hub=hub, person=person, role=role))]

    def overview_changes(self, overview: Overview, now: float) -> list[str]:
        """What needs a person and did not, what no longer does, and lanes that are in another state."""
        ctx = RenderContext(self._language, self._ascii, now, self._zone)
        needs = {f"{need.kind} {need.id}": join_cells(ATTENTION, need, ctx) for need in overview.needs_you}
        new = [self._text("plain_need", what=what) for key, what in needs.items() if key not in self._attention]
        over = [self._text("plain_over", what=what) for key, what in self._attention.items() if key not in needs]
        self._attention = needs
        return [self._line(now, text) for text in [*over, *self._lane_changes(overview.lanes, ctx), *new]]

    def _lane_changes(self, lanes: Iterable[LaneView], ctx: RenderContext) -> list[str]:
        changes = []
        for lane in lanes:
            before, self._lanes[lane.stage] = self._lanes.get(lane.stage, "ok"), lane.state
            if lane.state != before:
                stage, state = (column.render(lane, ctx).text for column in LANES if column.key in STATE_KEYS)
                changes.append(self._text("plain_lane", lane=stage, state=state))
        return changes

    def format_event(self, event: EventView) -> str:
        """One line of the audit, in the words that the console's activity has."""
        ctx = RenderContext(self._language, self._ascii, event.at, self._zone)
        return self._line(event.at, join_cells(ACTIVITY[1:], event, ctx))

    def _text(self, key: str, **values: Any) -> str:
        return translate(self._language, key, **values)

    def _line(self, now: float, text: str) -> str:
        return clean(f"{format_clock(now, self._zone)}{zone_mark(now, self._zone)} {text}", limit=MAX_LINE)


def join_cells(columns: Iterable[Column[T]], row: T, ctx: RenderContext) -> str:
    """A row's cells as they are read out; what is not known is left out."""
    cells = (column.render(row, ctx).text.strip() for column in columns)
    return "  ".join(cell for cell in cells if cell not in ("", "-"))
