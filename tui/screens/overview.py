"""The first screen: how the pipeline flows, what waits for a person, how the fleet is, what happens right now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from common.api import verbs
from common.api.events import EventView
from common.api.overview import FleetView, LaneView, NeedView, Overview
from common.catalogue import translate
from tui.model.actions import Kind
from tui.model.context import ConsoleContext
from tui.model.live_view import LiveView
from tui.model.window import Row, ViewQuery
from tui.screens.base import ConsoleScreen
from tui.text.format import PaneLine, RenderContext, format_latency, format_number, one_line
from tui.view.columns import ATTENTION, LANES, attention_subject, lane_rows, pressing_first, row_words
from tui.view.detail import fact_line
from tui.view.events import ACTIVITY
from tui.widgets.table import RowTable
from tui.widgets.text import TextPane


class OverviewScreen(ConsoleScreen):
    class NavigateRequested(Message):
        """Another mode, with a filter, or with the cursor on a thing."""

        def __init__(self, mode: str, narrow: str | None = None, select: str = "") -> None:
            super().__init__()
            self.mode = mode
            self.filter = narrow
            self.select_id = select

    class InletRequested(Message):
        """An inlet that needs a person is to be looked at."""

        def __init__(self, inlet: str) -> None:
            super().__init__()
            self.inlet = inlet

    def __init__(self, console: ConsoleContext, mode: str = "overview") -> None:
        super().__init__(console, mode)
        self.live_view = LiveView(console.source, ViewQuery("activity", n=60), "activity")
        self._titles: dict[str, str] = {}
        self.handlers |= {"follow": self.toggle_follow}

    def body(self) -> Iterable[Widget]:
        look = self.console.render_context
        yield RowTable("lane", LANES, look, id="lanes", classes="panel", empty=self._empty_text)
        with Horizontal(id="middle"):
            yield RowTable("request", ATTENTION, look, id="needs", classes="panel", empty=self._empty_attention)
            yield TextPane(look, id="fleet", classes="panel")
        yield RowTable(
            "event",
            ACTIVITY,
            look,
            window=self.live_view.window,
            id="activity",
            classes="panel",
            follow=True,
            empty=self._empty_activity,
        )

    @property
    def tables(self) -> list[RowTable]:
        return [self.query_one(f"#{name}", RowTable) for name in ("lanes", "needs", "activity")]

    def table(self) -> RowTable:
        return next((table for table in self.tables if table.has_focus), self.query_one("#needs", RowTable))

    def target_of(self, table: RowTable, row: Row) -> tuple[Kind, Row]:
        """What needs you is of several kinds."""
        return attention_subject(row) if isinstance(row, NeedView) else super().target_of(table, row)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#needs").focus()
        self.query_one("#fleet").can_focus = False
        self.run_worker(self.live_view.run(), group="live")

    def start(self) -> None:
        self.live_view.start()
        self.flush()

    def stop(self) -> None:
        self.live_view.stop()

    def link_restored(self) -> None:
        self.live_view.start()

    def reload(self) -> None:
        if self.live_view.stale:
            self.live_view.start()

    # ---- what is shown

    def flush(self) -> None:
        overview, language = self.console.overview or Overview(), self.console.language
        lanes, needs, activity = self.tables
        look = self.console.render_context()
        self._fill(lanes, lane_rows(overview, look))
        self._fill(needs, pressing_first(overview.needs_you, look.now))
        activity.update_freeze(behind_dialog=self.app.screen is not self)
        lost, fleet = not self.console.link.live, self.query_one("#fleet", TextPane)
        self.set_stale(lost, lanes, needs, fleet)
        self.set_stale(lost or self.live_view.stale, activity)
        for table in self.tables:
            self.refresh_table(table)
        fleet.set_lines(self._agents_summary(), keep_place=True)
        titles = {
            "lanes": translate(language, "console_panel_lanes"),
            "needs": translate(language, "console_panel_needs", count=format_number(needs.window.total)),
            "fleet": translate(language, "console_panel_fleet"),
            "activity": translate(language, "console_panel_activity"),
        }
        for name, title in titles.items():
            if self._titles.get(name) != title:  # setting one repaints the whole panel
                self._titles[name] = title
                self.query_one(f"#{name}").border_title = Content(title)
        super().flush()

    def _fill(self, table: RowTable, rows: Sequence[Row]) -> None:
        before = [table.window.row_at(index) for index in range(table.window.total)]
        if before != list(rows) or not table.window.loaded:
            same_order = [row.id for row in rows] == [row.id for row in before if row is not None]
            if same_order or not table.in_use:
                table.window.load_all(rows)
                if table.size.height and table.id == "needs":
                    self._distribute_height()

    def size_changed(self) -> None:
        self._distribute_height()

    def _distribute_height(self) -> None:
        """Lanes have their six lines; what needs you as many as it takes; the activity has the rest."""
        if not self.is_mounted:
            return
        frame = 0 if self.has_class("-short") else 2
        height = max(0, self.app.size.height - 3)
        lanes = 7 + frame
        count = max(1, min(8, self.query_one("#needs", RowTable).window.total)) + 1
        least_activity = 3 + frame
        middle = max(
            2 + frame, min(max(count, 7 if self.has_class("-wide") else 0) + frame, height - lanes - least_activity)
        )
        self.query_one("#lanes").styles.height = lanes
        self.query_one("#middle").styles.height = middle
        self.query_one("#fleet").display = self.has_class("-wide")

    def _empty_text(self) -> Sequence[str]:
        """Where nothing of the overview is there: it is on its way, or this hub has none."""
        language, who, overview = self.console.language, self.console.source.who, self.console.overview
        if overview is not None and overview.is_partial:
            version = one_line(who.version if who is not None else "?", 24)
            return [
                translate(language, "console_empty_older", version=version),
                translate(language, "console_empty_older_next"),
            ]
        return [translate(language, "console_loading" if self.console.link.live else "console_empty_no_link")]

    def _empty_attention(self) -> Sequence[str]:
        if self._full_overview is None:
            return self._empty_text()
        return [translate(self.console.language, "console_empty_needs")]

    @property
    def _full_overview(self) -> Overview | None:
        """The overview, unless this hub has none."""
        overview = self.console.overview
        return None if overview is None or overview.is_partial else overview

    def _empty_activity(self) -> Sequence[str]:
        if self.live_view.problem is not None:
            return [self.live_view.problem.text, translate(self.console.language, "console_empty_again")]
        if self.live_view.window.loaded:
            return [translate(self.console.language, "console_empty_audit")]
        return [
            translate(self.console.language, "console_loading" if self.console.link.live else "console_empty_no_link")
        ]

    def _agents_summary(self) -> list[PaneLine]:
        look, overview = self.console.render_context(), self._full_overview
        if overview is None:
            return [PaneLine(line, "dim") for line in self._empty_text()]
        fleet = overview.fleet
        trips = {"p50": fleet.rtt.p50, "p95": fleet.rtt.p95, "p99": fleet.rtt.p99}
        words = {name: format_latency(trip) for name, trip in trips.items()}
        lines = [
            PaneLine(_describe_fleet(fleet, look)),
            PaneLine(translate(look.language, "console_fleet_rtt", **words)),
            *_worst_agents(fleet, look),
        ]
        counts = [f"{one_line(name, 16)}: {format_number(count)}" for name, count in fleet.versions.items()]
        lines.append(fact_line(look, "versions", "  ".join(counts[:4])))
        if overview.is_recovering:
            lines.append(PaneLine(one_line(overview.hub.recovery or "", 300), "bad"))
        if overview.hub.storage:
            lines.append(PaneLine(one_line(overview.hub.storage, 400), "bad"))
        paused = self.console.queue_paused
        if paused is not None:
            person = one_line(paused.by or "?", 64)
            lines.append(PaneLine(translate(look.language, "console_queue_paused", person=person), "warn"))
        if (other := self.console.version_mismatch()) is not None:
            lines.append(PaneLine(other.render(look.language), "warn"))
        return lines

    def describe_subject(self) -> str:
        """The row under the cursor where the machines have a panel of their own, else how they are."""
        overview, table = self._full_overview, self.table()
        if self.has_class("-wide") and not isinstance(table.row, LaneView | None):
            return row_words(table.row, self.console.render_context())
        return "" if overview is None else _describe_fleet(overview.fleet, self.console.render_context())

    # ---- going on from here

    @on(RowTable.RowOpened)
    def _opened(self, event: RowTable.RowOpened) -> None:
        event.stop()
        match event.table.row:
            case LaneView() as lane:
                self.post_message(self.NavigateRequested(*_lane_target(lane.stage)))
            case NeedView(kind="inlet" | "quiet", inlet=str() as name) if self.console.supports(verbs.INLETS.name):
                self.post_message(self.InletRequested(name))
            case NeedView() as need:
                kind, _ = attention_subject(need)
                mode = {"request": "approve", "agent": "agents", "job": "jobs"}.get(kind, "audit")
                narrow = {
                    "audit": f"subject:{need.id}" if need.id else "kind:hub.restored",
                    "jobs": f"id:{need.id}",
                    "agents": f"name:{need.agent or need.id}",
                    "approve": "state:asking",
                }
                self.post_message(self.NavigateRequested(mode, one_line(narrow[mode], 80), need.id))
            case EventView() as about:
                self.post_message(self.NavigateRequested("audit", f"subject:{one_line(about.subject, 64)}"))
            case _:
                pass

    @on(RowTable.RowsNeeded)
    def _rows_needed(self, event: RowTable.RowsNeeded) -> None:
        event.stop()
        if event.table.id == "activity":
            self.live_view.request_rows(*event.table.visible_range())

    def toggle_follow(self) -> None:
        table = self.query_one("#activity", RowTable)
        table.follow(not table.following)


def _lane_target(stage: str) -> tuple[str, str | None]:
    return {
        "received": ("approve", "state:received"),
        "planning": ("approve", "state:received"),
        "approval": ("approve", "state:asking"),
        "queued": ("jobs", "state:queued"),
        "running": ("jobs", "state:leased,accepted,running"),
        "done": ("approve", "is:ended"),
    }.get(stage, ("jobs", None))


def _describe_fleet(fleet: FleetView, ctx: RenderContext) -> str:
    counts = {"online": fleet.online, "busy": fleet.busy, "offline": fleet.offline, "paused": fleet.paused}
    words = {name: format_number(count) for name, count in counts.items()}
    return translate(ctx.language, "console_fleet_counts", **words)


def _worst_agents(fleet: FleetView, ctx: RenderContext) -> list[PaneLine]:
    if not fleet.worst:
        return []
    said = "  ".join(f"{one_line(trip.agent, 24)} {format_latency(trip.rtt)}" for trip in fleet.worst[:3])
    late = any(trip.rtt > 1 for trip in fleet.worst)
    return [fact_line(ctx, "worst", said, "warn" if late else "")]
