"""What all screens of the console have: the lines that never hide, the prompt, the dispatch of acts, the rhythm of
repainting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
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

from common.catalogue import Sentence, say
from common.errors import UserError
from tui.bindings import bindings
from tui.command_line import complete as complete_command
from tui.commands import ACTS, BY_ID, Act, Kind, Rung, Scene, bottom_line, is_there, rung, why_off
from tui.console import Console
from tui.format import number
from tui.headline import Span, keys_line, status_line, top_line
from tui.model import Row
from tui.rows import title_of
from tui.screens.place import Place, seen_again
from tui.widgets.bars import Bar
from tui.widgets.prompt import Prompt
from tui.widgets.table import Table
from tui.workers import Tended

LEAST = (60, 16)
SPLIT = (100, 30)
NAMED: Final = 3
"""Marked rows that are named; the others are counted."""


class ConsoleScreen(Tended, Screen[None]):
    """`mode` names it; subclasses give a body, the main table, and handlers for the acts that are the screen's own."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("screen"), *bindings("app")]
    AUTO_FOCUS = ""

    class ActWanted(Message):
        """An act that is not the screen's own; it is on, and this is what it is about."""

        def __init__(self, act: Act, kind: Kind, rows: list[Row]) -> None:
            super().__init__()
            self.act = act
            self.kind = kind
            self.rows = rows

    class CommandTyped(Message):
        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def __init__(self, console: Console, mode: str) -> None:
        super().__init__()
        self.console = console
        self.mode = mode
        self.formed = False  # whether its widgets are there
        self._places: dict[Table, Place] = {}  # where the cursors were when they were last shown
        self._warned: tuple[Any, ...] = ()  # what the operator was told before an act that was not done yet
        self._clock = time.monotonic
        self.handlers: dict[str, Callable[[], None]] = {
            "back": self.back,
            "command": self.open_command,
            "refresh": self.refresh_all,
        }

    # ---- form

    def compose(self) -> ComposeResult:
        yield Bar(self._top, id="top")
        with Vertical(id="main"):
            yield from self.body()
        yield Static(Content(""), id="tiny", markup=False)
        yield Prompt()
        yield Bar(self._status, id="status")
        yield Bar(self._keys, id="keys")

    def body(self) -> Iterable[Widget]:
        return ()

    def on_mount(self) -> None:
        self.formed = True
        self.restyle()
        self._fit()

    def restyle(self) -> None:
        """Language or glyphs have changed."""
        self.set_class(self.console.settings.ascii, "-ascii")
        least = say(self.console.language, "console_too_small", width=LEAST[0], height=LEAST[1])
        self.query_one("#tiny", Static).update(Content(least))
        for table in self.query(Table):
            table.relabel()

    def on_resize(self, event: events.Resize) -> None:
        self._fit()

    def _fit(self) -> None:
        width, height = self.app.size
        classes = {
            "-tiny": width < LEAST[0] or height < LEAST[1],
            "-split": width >= SPLIT[0] and height >= SPLIT[1],
            "-wide": width >= SPLIT[0],
            "-short": height < 22,
        }
        if any(self.has_class(name) != on for name, on in classes.items()):
            self.update_classes(classes)  # at once: each change styles the whole screen anew
        self.fitted()

    def fitted(self) -> None:
        """The size classes have been set."""

    @property
    def split(self) -> bool:
        return self.has_class("-split")

    # ---- what it is about

    def table(self) -> Table | None:
        """The table whose row acts are about."""
        return None

    def kind_of(self, table: Table, row: Row) -> Kind:
        """What a row of a table is."""
        return table.kind

    def subject(self, act: Act | None = None) -> tuple[Kind, list[Row]]:
        """What an act is about: the marked rows where it takes several and there are some, else the row under the
        cursor and no other.
        """
        table = self.table()
        if table is None:
            return "", []
        if act is not None and act.many and table.marks:
            return self._marked(table)
        row = table.row
        return ("", []) if row is None else (self.kind_of(table, row), [row])

    def _marked(self, table: Table) -> tuple[Kind, list[Row]]:
        """The marked rows of one kind, that of the first."""
        rows = table.marked_rows() if table.marks else []
        kind: Kind = self.kind_of(table, rows[0]) if rows else ""
        return kind, [row for row in rows if self.kind_of(table, row) == kind]

    def scene(self) -> Scene:
        kind, rows = self.subject()
        table = self.table()
        marked: tuple[Kind, list[Row]] = self._marked(table) if table is not None else ("", [])
        held = table.moved if table is not None else 0
        return self.console.scene(self.mode, kind, rows[0] if rows else None, marked, held)

    def about_marks(self) -> str:
        """Which rows acts on several are about, and that the one under the cursor is none of them where it is not;
        "" without marks.
        """
        table = self.table()
        if table is None or not table.marks:
            return ""
        kind, rows = self._marked(table)
        names = ", ".join(title_of(kind, row) for row in rows[:NAMED])
        key = "console_about_marked" if table.cursor_id in table.marks else "console_about_marked_apart"
        more = len(rows) - NAMED
        values = {"count": number(len(rows)), "names": names + (f" +{more}" if more > 0 else "")}
        return say(self.console.language, key, **values)

    def about(self) -> str:
        """The status line where nothing else is to be said."""
        return ""

    def _top(self, cells: int) -> list[Span]:
        return top_line(self.console, self.mode, cells)

    def _status(self, cells: int) -> list[Span]:
        table = self.table()
        marks = self.about_marks()
        about, held = marks or self.about(), table.moved if table is not None else 0
        leaves = table is not None and not table.following and table.cursor_id in table.window.gone
        if leaves:
            about = say(self.console.language, "console_row_leaves", what=about)
        elif (
            table is not None
            and (place := self._places.get(table)) is not None
            and (gone := place.passed_from(table.cursor_id, self._clock()))
        ):
            about = say(self.console.language, "console_row_took_place", what=about, gone=gone)
        # What a key would be about comes before how many rows wait.
        return status_line(self.console, about, cells, held=0 if marks or leaves else held)

    def _keys(self, cells: int) -> list[Span]:
        return keys_line(self.console, bottom_line(self.scene(), 7 if cells < 100 else 11), cells)

    # ---- rhythm

    def flush(self) -> None:
        """Brings what is shown up to date with what is known. Cheap where nothing has changed."""
        for bar in self.query(Bar):
            if not bar.id or not bar.id.startswith("detail"):
                bar.flush()

    def bring_up(self, table: Table) -> None:
        """Brings a table up to date, and takes note where its cursor has passed to another row because its own is
        gone.
        """
        before = self._places.get(table)
        table.flush()
        row, window = table.row, table.window
        titled = title_of(self.kind_of(table, row), row) if row is not None else ""
        out = before is not None and window.is_out(before.row)
        place = seen_again(before, table.cursor_id, titled, window.lists, out, self._clock())
        # Behind a dialog nobody sees it: it counts from when the dialog is gone.
        self._places[table] = place if self.app.screen is self else place.unseen(self._clock())

    def grey(self, stale: bool, *widgets: Widget) -> None:
        """Greys what is no longer brought up to date."""
        for widget in widgets:
            if widget.has_class("-stale") != stale:  # a class that is set repaints, whether it was there or not
                widget.set_class(stale, "-stale")

    def start(self) -> None:
        """The screen is shown: its views are followed."""

    def stop(self) -> None:
        """Another one is shown."""

    def linked(self) -> None:
        """The link is back."""

    def ask_again(self) -> None:
        """What the hub did not give is asked for once more."""

    # ---- acts

    def action_act(self, identity: str) -> None:
        self.perform(identity)

    def perform(self, identity: str) -> None:
        """Does an act of the registry, or says why it is off; one that fails is told and ends nothing."""
        try:
            self._perform(identity)
        except Exception as error:
            self.console.fault(_name_of(identity, self.console), error)

    def _perform(self, identity: str) -> None:
        if identity.startswith("tab_") and self.tab_clicked(identity.removeprefix("tab_")):
            return
        act = BY_ID.get(identity)
        if act is None or not is_there(act, self.scene()):
            return
        self.console.hush()
        off = self._lost_row(act) or why_off(act, self.scene())
        if off is not None:
            text = say(self.console.language, "console_off_because", act=act.name(self.console.language), why=off)
            self.console.tell(text, "warn")
            self.flush()
            return
        if (doubt := self._doubt(act)) is not None:
            self.console.tell(doubt, "warn")
            self.flush()
            return
        table = self.table()
        handler = self.handlers.get(identity)
        if handler is not None:
            handler()
        elif act.action and act.place == "table":
            if table is not None:
                self.run_worker(table.run_action(act.action))
        elif act.action:
            self.run_worker(self.app.run_action(act.action))
        else:
            kind, rows = self.subject(act)
            self.post_message(self.ActWanted(act, kind, [_frozen(row) for row in rows]))
        self.flush()

    def _lost_row(self, act: Act) -> Sentence | None:
        """The row under the cursor has left the list since it was last shown, and none has taken its place yet."""
        table = self.table()
        if not act.kinds or table is None or table.cursor_id is None or (act.many and table.marks):
            return None
        if table.row is not None or not table.window.is_out(table.cursor_id):
            return None
        place = self._places.get(table)
        return Sentence("console_off_row_gone", {"what": place.title if place else "-"})

    def _doubt(self, act: Act) -> Sentence | None:
        """Why the operator may mean another row than the act would be about; told once, the next press does it."""
        table = self.table()
        if not act.changes or not act.kinds or table is None:
            return None
        if act.many and table.marks:
            about = (act.id, *table.marks, table.cursor_id)
            # A dialog lists what it is about; without one the operator may look at the cursor's row.
            listed = rung(act, self.scene()) is not Rung.NONE
            if listed or table.cursor_id in table.marks or self._warned == about:
                self._warned = ()
                return None
            self._warned = about
            return Sentence("console_marks_meant", {"what": self.about_marks()})
        what = self.about() or "-"
        if table.following:
            # The row under the cursor changes by itself there: an act must be about a row that was looked at.
            table.following = False
            table.touch()
            return Sentence("console_follow_stopped", {"what": what})
        place = self._places.get(table)
        if place is not None and (gone := place.passed_from(table.cursor_id, self._clock())):
            self._places[table] = place.known()
            return Sentence("console_row_passed", {"gone": gone, "what": place.title})
        return None

    def has_failed(self, error: Exception) -> None:
        self.console.fault(Sentence(f"console_tab_{self.mode}"), error)

    def tab_clicked(self, tab: str) -> bool:
        return False

    def back(self) -> None:
        """Nothing to go back to at the root; quitting is another key."""

    def refresh_all(self) -> None:
        """Lets in what was held, asks again for what has failed, and connects at once where the link is lost."""
        if not self.console.link.live:
            self.console.source.retry()
        else:
            self.ask_again()
        for table in self.query(Table):
            table.window.release()
            self.bring_up(table)

    @on(Bar.Clicked)
    def _clicked(self, event: Bar.Clicked) -> None:
        event.stop()
        self.perform(event.act)

    # ---- prompt

    @property
    def prompt(self) -> Prompt:
        return self.query_one(Prompt)

    def open_command(self) -> None:
        names = [str(row.get("name", "")) for row in self.known_agents()]
        hint = say(self.console.language, "console_command_hint")
        views = self.saved_views()
        scene = self.scene()
        absent = {act.id for act in ACTS if not is_there(act, scene)}
        self.prompt.open("command", "", hint, lambda text: complete_command(text, names, views, absent))

    def saved_views(self) -> list[str]:
        """Names of the saved views; none where they cannot be read: that is told when one is asked for."""
        try:
            return sorted(self.console.saved.read())
        except UserError:
            return []

    def known_agents(self) -> list[Row]:
        return []

    @on(Prompt.Done)
    def _prompted(self, event: Prompt.Done) -> None:
        event.stop()
        self.prompt.close()
        table = self.table()
        if table is not None:
            table.focus()
        self.prompted(event.use, event.text)

    @on(Prompt.Typed)
    def _typing(self, event: Prompt.Typed) -> None:
        event.stop()
        self.typing(event.use, event.text)

    def prompted(self, use: str, text: str | None) -> None:
        if use == "command" and text:
            self.post_message(self.CommandTyped(text))

    def typing(self, use: str, text: str) -> None:
        """A filter narrows while it is typed."""

    @on(Table.Moved)
    def _moved(self, event: Table.Moved) -> None:
        event.stop()
        self.moved(event.table)
        self.flush()

    def moved(self, table: Table) -> None:
        """The cursor is on another row."""


def _name_of(identity: str, console: Console) -> str:
    act = BY_ID.get(identity)
    return act.name(console.language) if act is not None else identity


def _frozen(row: Mapping[str, Any]) -> Row:
    return dict(row)
