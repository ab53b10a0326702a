"""What all screens of the console have: the lines that never hide, the prompt, the dispatch of acts, the rhythm of
repainting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from common.catalogue import Sentence, translate
from common.errors import UserError
from tui.model.actions import (
    ACTION_BY_ID,
    ACTIONS,
    Action,
    ActionContext,
    Confirmation,
    Kind,
    confirmation_for,
    disabled_reason,
    is_available,
    key_bar_entries,
)
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.screens.place import CursorPlace, update_place
from tui.text.format import format_number
from tui.view.bars import BarSpan, key_bar, status_bar, title_bar
from tui.view.columns import row_title, row_words
from tui.view.command_line import complete_command, describe_command
from tui.widgets.bars import Bar
from tui.widgets.bindings import bindings_for
from tui.widgets.prompt import OfferList, PromptLine
from tui.widgets.table import RowTable
from tui.widgets.workers import FaultBarrier

MIN_SIZE = (60, 16)
SPLIT_SIZE = (100, 30)
"""From here on a detail stands below its list."""
BESIDE_WIDTH = 140
"""From here on it stands beside it, at every height."""
MAX_STATUS_LINES: Final = 3
"""Lines that a message may take at the bottom: it is told to its end."""
MAX_NAMED_MARKS: Final = 3
"""Marked rows that are named; the others are counted."""


class ConsoleScreen(FaultBarrier, Screen[None]):
    """`mode` names it; subclasses give a body, the main table, and handlers for the acts that are the screen's own."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_for("screen"), *bindings_for("app")]
    AUTO_FOCUS = ""

    class ActionRequested(Message):
        """An act that is not the screen's own; it is on, and this is what it is about."""

        def __init__(self, action: Action, kind: Kind, rows: list[Row]) -> None:
            super().__init__()
            self.action = action
            self.kind = kind
            self.rows = rows

    class CommandEntered(Message):
        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def __init__(self, console: ConsoleContext, mode: str) -> None:
        super().__init__()
        self.console = console
        self.mode = mode
        self.widgets_ready = False  # whether its widgets are there
        self._places: dict[RowTable, CursorPlace] = {}  # where the cursors were when they were last shown
        self._confirm_pending: tuple[Any, ...] = ()  # what the operator was told before an act that was not done yet
        self._clock = time.monotonic
        self.handlers: dict[str, Callable[[], None]] = {
            "back": self.go_back,
            "command": self.open_command,
            "refresh": self.refresh_all,
        }

    # ---- form

    def compose(self) -> ComposeResult:
        self._set_size_classes()  # before there is anything in it: a class that comes later styles it all once more
        yield Bar(self._top, id="top")
        with Vertical(id="main"):
            yield from self.body()
        yield Static(Content(""), id="tiny", markup=False)
        yield OfferList(self.console.render_context)
        yield PromptLine()
        yield Bar(self._status, id="status", max_lines=MAX_STATUS_LINES)
        yield Bar(self._keys, id="keys")

    def body(self) -> Iterable[Widget]:
        return ()

    def on_mount(self) -> None:
        self.widgets_ready = True
        self.restyle()
        self._apply_size_classes()

    def restyle(self) -> None:
        """Language or glyphs have changed."""
        self.set_class(self.console.settings.ascii, "-ascii")
        least = translate(self.console.language, "console_too_small", width=MIN_SIZE[0], height=MIN_SIZE[1])
        self.query_one("#tiny", Static).update(Content(least))
        for table in self.query(RowTable):
            table.redraw_labels()

    def on_resize(self, event: events.Resize) -> None:
        self._apply_size_classes()

    def _apply_size_classes(self) -> None:
        self._set_size_classes()
        self.size_changed()

    def _set_size_classes(self) -> None:
        width, height = self.app.size
        classes = {
            "-tiny": width < MIN_SIZE[0] or height < MIN_SIZE[1],
            "-split": width >= BESIDE_WIDTH or (width >= SPLIT_SIZE[0] and height >= SPLIT_SIZE[1]),
            "-beside": width >= BESIDE_WIDTH,
            "-wide": width >= SPLIT_SIZE[0],
            "-short": height < 22,
        }
        if any(self.has_class(name) != on for name, on in classes.items()):
            self.update_classes(classes)  # at once: each change styles the whole screen anew

    def size_changed(self) -> None:
        """The size classes have been set."""

    @property
    def split(self) -> bool:
        return self.has_class("-split")

    # ---- what it is about

    def table(self) -> RowTable | None:
        """The table whose row acts are about."""
        return None

    def target_of(self, table: RowTable, row: Row) -> tuple[Kind, Row]:
        """What an act on a row of a table is about."""
        return table.kind, row

    def subject(self, act: Action | None = None) -> tuple[Kind, list[Row]]:
        """What an act is about: the marked rows where it takes several and there are some, else the row under the
        cursor and no other.
        """
        table = self.table()
        if table is None:
            return "", []
        if act is not None and act.multiple and table.marks:
            return self._marked_rows(table)
        row = table.row
        if row is None:
            return "", []
        kind, target = self.target_of(table, row)
        return kind, [target]

    def _marked_rows(self, table: RowTable) -> tuple[Kind, list[Row]]:
        """The marked rows of one kind, that of the first."""
        targets = [self.target_of(table, row) for row in table.marked_rows()] if table.marks else []
        first: Kind = targets[0][0] if targets else ""
        return first, [row for kind, row in targets if kind == first]

    def action_context(self) -> ActionContext:
        kind, rows = self.subject()
        table = self.table()
        marked: tuple[Kind, list[Row]] = self._marked_rows(table) if table is not None else ("", [])
        held = table.pending_moves if table is not None else 0
        return self.console.action_context(self.mode, kind, rows[0] if rows else None, marked, held)

    def describe_marks(self) -> str:
        """Which rows acts on several are about, and that the one under the cursor is none of them where it is not;
        "" without marks.
        """
        table = self.table()
        if table is None or not table.marks:
            return ""
        _, rows = self._marked_rows(table)
        names = ", ".join(row_title(row) for row in rows[:MAX_NAMED_MARKS])
        key = "console_about_marked" if table.cursor_id in table.marks else "console_about_marked_apart"
        more = len(rows) - MAX_NAMED_MARKS
        values = {"count": format_number(len(rows)), "names": names + (f" +{more}" if more > 0 else "")}
        return translate(self.console.language, key, **values)

    @property
    def row_title(self) -> str:
        """What the row under the cursor is called; "" where there is none."""
        table = self.table()
        return "" if table is None or table.row is None else row_title(table.row)

    def describe_subject(self) -> str:
        """The status line where nothing else is to be said."""
        return ""

    def _top(self, cells: int) -> list[BarSpan]:
        return title_bar(self.console, self.mode, cells)

    def _status(self, cells: int) -> list[BarSpan]:
        table = self.table()
        marks = self.describe_marks()
        about, held = marks or self.describe_subject(), table.pending_moves if table is not None else 0
        leaves = table is not None and not table.following and table.cursor_id in table.window.removed
        if leaves:
            about = translate(self.console.language, "console_row_leaves", what=about)
        elif (
            table is not None
            and (place := self._places.get(table)) is not None
            and (gone := place.replaced_title(table.cursor_id, self._clock()))
        ):
            about = translate(self.console.language, "console_row_took_place", what=about, gone=gone)
        # What a key would be about comes before how many rows wait.
        return status_bar(self.console, about, cells, pending_moves=0 if marks or leaves else held)

    def _keys(self, cells: int) -> list[BarSpan]:
        return key_bar(self.console, key_bar_entries(self.action_context(), 7 if cells < 100 else 11), cells)

    # ---- rhythm

    def flush(self) -> None:
        """Brings what is shown up to date with what is known. Cheap where nothing has changed."""
        for bar in self.query(Bar):
            if not bar.id or not bar.id.startswith("detail"):
                bar.flush()

    def refresh_table(self, table: RowTable) -> None:
        """Brings a table up to date, and takes note where its cursor has passed to another row because its own is
        gone.
        """
        before = self._places.get(table)
        table.flush()
        row, window = table.row, table.window
        titled = row_title(row) if row is not None else ""
        out = before is not None and window.is_removed(before.row_id)
        place = update_place(before, table.cursor_id, titled, window.list_generation, out, self._clock())
        # Behind a dialog nobody sees it: it counts from when the dialog is gone.
        self._places[table] = place if self.app.screen is self else place.restart_grace(self._clock())

    def set_stale(self, stale: bool, *widgets: Widget) -> None:
        """Greys what is no longer brought up to date."""
        for widget in widgets:
            if widget.has_class("-stale") != stale:  # a class that is set repaints, whether it was there or not
                widget.set_class(stale, "-stale")

    def start(self) -> None:
        """The screen is shown: its views are followed."""

    def stop(self) -> None:
        """Another one is shown."""

    def link_restored(self) -> None:
        """The link is back."""

    def reload(self) -> None:
        """What the hub did not give is asked for once more."""

    # ---- acts

    def action_act(self, identity: str) -> None:
        self.perform_action(identity)

    def perform_action(self, identity: str) -> None:
        """Does an act of the registry, or says why it is off; one that fails is told and ends nothing."""
        try:
            self._perform_action(identity)
        except Exception as error:
            self.console.report_fault(_action_label(identity, self.console), error)

    def _perform_action(self, identity: str) -> None:
        if identity.startswith("tab_") and self.select_tab(identity.removeprefix("tab_")):
            return
        act = ACTION_BY_ID.get(identity)
        if act is None or not is_available(act, self.action_context()):
            return
        self.console.dismiss_message()
        off = self._removed_row_reason(act) or disabled_reason(act, self.action_context())
        if off is not None:
            name = act.short_label(self.console.language)
            key = "console_off_because_row" if act.kinds and self.row_title else "console_off_because"
            text = translate(self.console.language, key, row=self.row_title, act=name, why=off)
            self.console.notify(text, "warn")
            self.flush()
            return
        if (doubt := self._confirm_reason(act)) is not None:
            self.console.notify(doubt, "warn")
            self.flush()
            return
        table = self.table()
        handler = self.handlers.get(identity)
        if handler is not None:
            handler()
        elif act.textual_action and act.scope == "table":
            if table is not None:
                self.run_worker(table.run_action(act.textual_action))
        elif act.textual_action:
            self.run_worker(self.app.run_action(act.textual_action))
        else:
            kind, rows = self.subject(act)
            self.post_message(self.ActionRequested(act, kind, rows))
        self.flush()

    def _removed_row_reason(self, action: Action) -> Sentence | None:
        """The row under the cursor has left the list since it was last shown, and none has taken its place yet."""
        table = self.table()
        if not action.kinds or table is None or table.cursor_id is None or (action.multiple and table.marks):
            return None
        if table.row is not None or not table.window.is_removed(table.cursor_id):
            return None
        place = self._places.get(table)
        return Sentence("console_off_row_gone", {"what": place.title if place else "-"})

    def _confirm_reason(self, action: Action) -> Sentence | None:
        """Why the operator may mean another row than the act would be about; told once, the next press does it."""
        table = self.table()
        if not action.mutates or not action.kinds or table is None:
            return None
        if action.multiple and table.marks:
            about = (action.id, *table.marks, table.cursor_id)
            # A dialog lists what it is about; without one the operator may look at the cursor's row.
            listed = confirmation_for(action, self.action_context()) is not Confirmation.NONE
            if listed or table.cursor_id in table.marks or self._confirm_pending == about:
                self._confirm_pending = ()
                return None
            self._confirm_pending = about
            return Sentence("console_marks_meant", {"what": self.describe_marks()})
        what = row_words(table.row, self.console.render_context()) if table.row is not None else "-"
        if table.following:
            # The row under the cursor changes by itself there: an act must be about a row that was looked at.
            table.following = False
            table.note_activity()
            return Sentence("console_follow_stopped", {"what": what})
        place = self._places.get(table)
        if place is not None and (gone := place.replaced_title(table.cursor_id, self._clock())):
            self._places[table] = place.acknowledged()
            return Sentence("console_row_passed", {"gone": gone, "what": place.title})
        return None

    def handle_fault(self, error: Exception) -> None:
        self.console.report_fault(Sentence(f"console_tab_{self.mode}"), error)

    def select_tab(self, tab: str) -> bool:
        return False

    def go_back(self) -> None:
        """Nothing to go back to at the root; quitting is another key."""

    def refresh_all(self) -> None:
        """Lets in what was held, asks again for what has failed, and connects at once where the link is lost."""
        if not self.console.link.live:
            self.console.source.retry()
        else:
            self.reload()
        for table in self.query(RowTable):
            table.window.release()
            self.refresh_table(table)

    @on(Bar.Clicked)
    def _clicked(self, event: Bar.Clicked) -> None:
        event.stop()
        self.perform_action(event.action_id)

    # ---- prompt

    @property
    def prompt(self) -> PromptLine:
        return self.query_one(PromptLine)

    def open_command(self) -> None:
        names = self.known_agents()
        hint = translate(self.console.language, "console_command_hint")
        views = self.saved_views()
        scene = self.action_context()
        absent = {act.id for act in ACTIONS if not is_available(act, scene)}
        self.prompt.show_prompt(
            "command",
            "",
            hint,
            lambda text: complete_command(text, names, views, absent),
            lambda line: describe_command(line, self.console.language),
        )

    def saved_views(self) -> list[str]:
        """Names of the saved views; none where they cannot be read: that is told when one is asked for."""
        try:
            return sorted(self.console.saved_views.read())
        except UserError:
            return []

    def known_agents(self) -> list[str]:
        """Names of machines that are on the screen, to complete a command with."""
        return []

    @on(PromptLine.Finished)
    def _prompted(self, event: PromptLine.Finished) -> None:
        event.stop()
        self.prompt.hide_prompt()
        table = self.table()
        if table is not None:
            table.focus()
        self.prompt_finished(event.use, event.text)

    @on(PromptLine.Edited)
    def _typing(self, event: PromptLine.Edited) -> None:
        event.stop()
        self.prompt_edited(event.use, event.text)

    def prompt_finished(self, purpose: str, text: str | None) -> None:
        if purpose == "command" and text:
            self.post_message(self.CommandEntered(text))

    def prompt_edited(self, purpose: str, text: str) -> None:
        """A filter narrows while it is typed."""

    @on(RowTable.CursorMoved)
    def _moved(self, event: RowTable.CursorMoved) -> None:
        event.stop()
        self.cursor_moved(event.table)
        self.flush()

    def cursor_moved(self, table: RowTable) -> None:
        """The cursor is on another row."""


def _action_label(identity: str, console: ConsoleContext) -> str:
    act = ACTION_BY_ID.get(identity)
    return act.label(console.language) if act is not None else identity
