"""The first screen: how the pipeline flows, what waits for a person, how the fleet is, what happens right now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from common.catalogue import say
from tui.commands import Kind
from tui.console import Console
from tui.detail_text import fact
from tui.format import Line, Look, latency, number, one_line
from tui.live import Live
from tui.model import Query, Row
from tui.rows import ACTIVITY, LANES, NEEDS, need_rows, number_or_none
from tui.screens.base import ConsoleScreen
from tui.widgets.table import Table
from tui.widgets.text import TextPane

NEED_KINDS: Final[dict[str, Kind]] = {"approve": "request", "offline": "agent", "drain": "agent"}


class OverviewScreen(ConsoleScreen):
    class GoTo(Message):
        """Another mode, with a filter, or with the cursor on a thing."""

        def __init__(self, mode: str, narrow: str | None = None, select: str = "") -> None:
            super().__init__()
            self.mode = mode
            self.narrow = narrow
            self.select = select

    def __init__(self, console: Console, mode: str = "overview") -> None:
        super().__init__(console, mode)
        self.live = Live(console.source, Query("activity", n=60), "activity")
        self._titles: dict[str, str] = {}
        self.handlers |= {"follow": self.follow}

    def body(self) -> Iterable[Widget]:
        look = self.console.look
        yield Table("lane", LANES, look, id="lanes", classes="panel", empty=lambda: self._none("lanes"))
        with Horizontal(id="middle"):
            yield Table("request", NEEDS, look, id="needs", classes="panel", empty=self._nothing_needed)
            yield TextPane(look, id="fleet", classes="panel")
        yield Table(
            "event",
            ACTIVITY,
            look,
            window=self.live.window,
            id="activity",
            classes="panel",
            follow=True,
            empty=self._nothing_happened,
        )

    @property
    def tables(self) -> list[Table]:
        return [self.query_one(f"#{name}", Table) for name in ("lanes", "needs", "activity")]

    def table(self) -> Table:
        return next((table for table in self.tables if table.has_focus), self.query_one("#needs", Table))

    def kind_of(self, table: Table, row: Row) -> Kind:
        """What needs you is of several kinds."""
        return NEED_KINDS.get(str(row.get("need")), "job") if table.id == "needs" else table.kind

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#needs").focus()
        self.query_one("#fleet").can_focus = False
        self.run_worker(self.live.run(), group="live")

    def start(self) -> None:
        self.live.start()
        self.flush()

    def stop(self) -> None:
        self.live.stop()

    def linked(self) -> None:
        self.live.start()

    def ask_again(self) -> None:
        if self.live.broken:
            self.live.start()

    # ---- what is shown

    def flush(self) -> None:
        overview, language = self.console.overview, self.console.language
        lanes, needs, activity = self.tables
        self._fill(lanes, _rows(overview.get("lanes"), "stage"))
        self._fill(needs, need_rows(overview.get("needs_you")))
        activity.tend(apart=self.app.screen is not self)
        lost, fleet = not self.console.link.live, self.query_one("#fleet", TextPane)
        self.grey(lost, lanes, needs, fleet)
        self.grey(lost or self.live.broken, activity)
        for table in self.tables:
            self.bring_up(table)
        fleet.set_lines(self._fleet(), keep_place=True)
        titles = {
            "lanes": say(language, "console_panel_lanes"),
            "needs": say(language, "console_panel_needs", count=number(needs.window.total)),
            "fleet": say(language, "console_panel_fleet"),
            "activity": say(language, "console_panel_activity"),
        }
        for name, title in titles.items():
            if self._titles.get(name) != title:  # setting one repaints the whole panel
                self._titles[name] = title
                self.query_one(f"#{name}").border_title = Content(title)
        super().flush()

    def _fill(self, table: Table, rows: Sequence[Row]) -> None:
        before = [table.window.row_at(index) for index in range(table.window.total)]
        if before != list(rows) or not table.window.loaded:
            same_order = [row["id"] for row in rows] == [row["id"] for row in before if row is not None]
            if same_order or not table.busy:
                table.window.fill(rows)
                if table.size.height and table.id == "needs":
                    self._share_room()

    def fitted(self) -> None:
        self._share_room()

    def _share_room(self) -> None:
        """Lanes have their six lines; what needs you as many as it takes; the activity has the rest."""
        if not self.is_mounted:
            return
        frame = 0 if self.has_class("-short") else 2
        height = max(0, self.app.size.height - 3)
        lanes = 7 + frame
        count = max(1, min(8, self.query_one("#needs", Table).window.total)) + 1
        least_activity = 3 + frame
        middle = max(
            2 + frame, min(max(count, 7 if self.has_class("-wide") else 0) + frame, height - lanes - least_activity)
        )
        self.query_one("#lanes").styles.height = lanes
        self.query_one("#middle").styles.height = middle
        self.query_one("#fleet").display = self.has_class("-wide")

    def _none(self, part: str) -> Sequence[str]:
        """Where nothing of a part of the overview is there: it is on its way, or this hub does not say it."""
        language, who = self.console.language, self.console.source.who
        if self.console.overview and part not in self.console.overview:
            version = one_line(who.version if who is not None else "?", 24)
            return [say(language, "console_empty_older", version=version), say(language, "console_empty_older_next")]
        return [say(language, "console_loading" if self.console.link.live else "console_empty_no_link")]

    def _nothing_needed(self) -> Sequence[str]:
        if "needs_you" not in self.console.overview:
            return self._none("needs_you")
        return [say(self.console.language, "console_empty_needs")]

    def _nothing_happened(self) -> Sequence[str]:
        if self.live.problem is not None:
            return [self.live.problem.text, say(self.console.language, "console_empty_again")]
        if self.live.window.loaded:
            return [say(self.console.language, "console_empty_audit")]
        return [say(self.console.language, "console_loading" if self.console.link.live else "console_empty_no_link")]

    def _fleet(self) -> list[Line]:
        look, fleet = self.console.look(), self.console.overview.get("fleet")
        if not isinstance(fleet, Mapping):
            return [Line(line, "dim") for line in self._none("fleet")]
        count = {key: number(number_or_none(fleet.get(key))) for key in ("online", "busy", "offline", "paused")}
        lines = [Line(say(look.language, "console_fleet_counts", **count))]
        trip = fleet.get("rtt")
        if isinstance(trip, Mapping):
            p = {key: latency(number_or_none(trip.get(key))) for key in ("p50", "p95", "p99")}
            lines.append(Line(say(look.language, "console_fleet_rtt", **p)))
        lines += _worst(fleet, look)
        versions = fleet.get("versions")
        if isinstance(versions, Mapping):
            said = "  ".join(
                f"{one_line(name, 16)}: {number(number_or_none(count))}" for name, count in list(versions.items())[:4]
            )
            lines.append(fact(look, "versions", said))
        paused = self.console.queue_paused
        if paused is not None:
            person = one_line(paused.get("by") or "?", 64)
            lines.append(Line(say(look.language, "console_queue_paused", person=person), "warn"))
        if (other := self.console.other_version()) is not None:
            lines.append(Line(other.say(look.language), "warn"))
        return lines

    def about(self) -> str:
        fleet, language = self.console.overview.get("fleet"), self.console.language
        if not isinstance(fleet, Mapping):
            return ""
        count = {key: number(number_or_none(fleet.get(key))) for key in ("online", "busy", "offline", "paused")}
        return say(language, "console_fleet_counts", **count)

    # ---- going on from here

    @on(Table.Opened)
    def _opened(self, event: Table.Opened) -> None:
        event.stop()
        row = event.table.row or {}
        match event.table.id:
            case "lanes":
                self.post_message(self.GoTo(*_lane_goes_to(str(row.get("stage", "")))))
            case "needs":
                need = str(row.get("need"))
                mode = {"approve": "approve", "offline": "agents", "drain": "agents"}.get(need, "jobs")
                narrow = {"jobs": f"id:{row['id']}", "agents": f"name:{row['id']}", "approve": "state:asking"}[mode]
                self.post_message(self.GoTo(mode, one_line(narrow, 80), str(row["id"])))
            case _:
                self.post_message(self.GoTo("audit", f"subject:{one_line(row.get('subject') or '', 64)}"))

    @on(Table.Wants)
    def _wants(self, event: Table.Wants) -> None:
        event.stop()
        if event.table.id == "activity":
            self.live.want(*event.table.span())

    def follow(self) -> None:
        table = self.query_one("#activity", Table)
        table.follow(not table.following)

    def known_agents(self) -> list[Row]:
        return []


def _rows(found: Any, key: str) -> list[Row]:
    """The hub's list as rows with ids; what is no row is left out."""
    if not isinstance(found, list | tuple):
        return []
    return [
        {**row, "id": str(row.get("id") or row[key])}
        for row in found[:200]
        if isinstance(row, Mapping) and row.get(key)
    ]


def _lane_goes_to(stage: str) -> tuple[str, str | None]:
    return {
        "received": ("approve", "state:received"),
        "planning": ("approve", "state:received"),
        "approval": ("approve", "state:asking"),
        "queued": ("jobs", "state:queued"),
        "running": ("jobs", "state:leased,accepted,running"),
        "done": ("approve", "is:ended"),
    }.get(stage, ("jobs", None))


def _worst(fleet: Mapping[str, Any], look: Look) -> list[Line]:
    worst = fleet.get("worst")
    if not isinstance(worst, list | tuple) or not worst:
        return []
    said = "  ".join(
        f"{one_line(entry.get('agent', '?'), 24)} {latency(number_or_none(entry.get('rtt')))}" for entry in worst[:3]
    )
    late = any((number_or_none(entry.get("rtt")) or 0) > 1 for entry in worst)
    return [fact(look, "worst", said, "warn" if late else "")]
