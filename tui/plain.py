"""The console as lines: what a screen would show, said once when it becomes so. Pure.

For terminals that cannot have a screen, for screen readers, for logs. A line is a time of day (UTC) and words; nothing
is drawn, and nothing is said again as long as it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from common.catalogue import Language, say
from common.text import clean
from tui.format import Look, age, clock, one_line
from tui.model import Row
from tui.rows import ACTIVITY, LANES, NEEDS, need_rows, number_or_none
from tui.source import Link, Who
from tui.widgets.columns import Column

MAX_LINE = 500


class Plain:
    """What was said so far, and so what is new."""

    def __init__(self, language: Language, *, ascii_only: bool = False) -> None:
        self._language: Language = language
        self._ascii = ascii_only
        self._state = ""  # of the link, as it was said
        self._lost_at: float | None = None
        self._needs: dict[str, str] = {}
        self._lanes: dict[str, str] = {}

    def link(self, link: Link, who: Who | None, now: float) -> list[str]:
        """How it stands with the hub, where that is another than was said."""
        if link.state == self._state or link.state == "connecting":
            return []
        self._state = link.state
        if link.state == "lost":
            self._lost_at = now
            return [self._line(now, self._say("plain_lost", why=one_line(link.reason or "-", 300)))]
        if self._lost_at is not None:
            away, self._lost_at = age(now - self._lost_at), None
            return [self._line(now, self._say("plain_back", age=away))]
        hub, person = (one_line(who.hub, 64), one_line(who.person, 64)) if who else ("?", "?")
        role = one_line(who.roles[-1], 12) if who and who.roles else "-"
        return [self._line(now, self._say("plain_live", hub=hub, person=person, role=role))]

    def overview(self, overview: Mapping[str, Any], now: float) -> list[str]:
        """What needs a person and did not, what no longer does, and lanes that are in another state."""
        look = Look(self._language, self._ascii, now)
        needs = {f"{row['need']} {row['id']}": words(NEEDS, row, look) for row in need_rows(overview.get("needs_you"))}
        new = [self._say("plain_need", what=what) for key, what in needs.items() if key not in self._needs]
        over = [self._say("plain_over", what=what) for key, what in self._needs.items() if key not in needs]
        self._needs = needs
        return [self._line(now, text) for text in [*over, *self._lane_news(overview.get("lanes"), look), *new]]

    def _lane_news(self, lanes: Any, look: Look) -> list[str]:
        news = []
        for row in lanes if isinstance(lanes, list | tuple) else ():
            if not isinstance(row, Mapping) or not row.get("stage"):
                continue
            stage, state = str(row["stage"]), str(row.get("state", "ok"))
            before, self._lanes[stage] = self._lanes.get(stage, "ok"), state
            if state != before:
                cells = {column.key: column.cell(row, look).text for column in LANES}
                news.append(self._say("plain_lane", lane=cells["lane"], state=cells["lane_state"]))
        return news

    def event(self, event: Row) -> str:
        """One line of the audit, in the words that the console's activity has."""
        at = number_or_none(event.get("at")) or 0.0
        return self._line(at, words(ACTIVITY[1:], event, Look(self._language, self._ascii, at)))

    def _say(self, key: str, **values: Any) -> str:
        return say(self._language, key, **values)

    def _line(self, now: float, text: str) -> str:
        return clean(f"{clock(now)}Z {text}", limit=MAX_LINE)


def words(columns: Iterable[Column], row: Row, look: Look) -> str:
    """A row's cells as they are read out; what is not known is left out."""
    cells = (column.cell(row, look).text.strip() for column in columns)
    return "  ".join(cell for cell in cells if cell not in ("", "-", "r?"))
