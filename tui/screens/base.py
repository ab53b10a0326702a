"""What all screens of the console have: the lines that never hide, the prompt, the dispatch of acts, the rhythm of
repainting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

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
from tui.bindings import bindings
from tui.command_line import complete as complete_command
from tui.commands import BY_ID, Act, Kind, Scene, bottom_line, why_off
from tui.console import Console
from tui.headline import Span, keys_line, status_line, top_line
from tui.model import Row
from tui.widgets.bars import Bar
from tui.widgets.prompt import Prompt
from tui.widgets.table import Table

LEAST = (60, 16)
SPLIT = (100, 30)


class ConsoleScreen(Screen[None]):
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
        self.handlers: dict[str, Callable[[], None]] = {
            "back": self.back,
            "command": self.open_command,
            "refresh": self.refresh_all,
            "redraw": lambda: None,
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
        self.set_class(width < LEAST[0] or height < LEAST[1], "-tiny")
        self.set_class(width >= SPLIT[0] and height >= SPLIT[1], "-split")
        self.set_class(width >= SPLIT[0], "-wide")
        self.set_class(height < 22, "-short")
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

    def subject(self) -> tuple[Kind, list[Row]]:
        """What acts are about: the kind and the rows, marked ones or the one under the cursor."""
        table = self.table()
        if table is None:
            return "", []
        rows = table.marked_rows()
        return table.kind, rows

    def scene(self) -> Scene:
        kind, rows = self.subject()
        table = self.table()
        marked = len(table.marks) if table is not None else 0
        held = table.window.moved if table is not None else 0
        return self.console.scene(self.mode, kind, rows[0] if rows else None, marked, held)

    def about(self) -> str:
        """The status line where nothing else is to be said."""
        return ""

    def _top(self, cells: int) -> list[Span]:
        return top_line(self.console, self.mode, cells)

    def _status(self, cells: int) -> list[Span]:
        table = self.table()
        return status_line(self.console, self.about(), cells, held=table.window.moved if table is not None else 0)

    def _keys(self, cells: int) -> list[Span]:
        return keys_line(self.console, bottom_line(self.scene(), 7 if cells < 100 else 11), cells)

    # ---- rhythm

    def flush(self) -> None:
        """Brings what is shown up to date with what is known. Cheap where nothing has changed."""
        for bar in self.query(Bar):
            if not bar.id or not bar.id.startswith("detail"):
                bar.flush()

    def start(self) -> None:
        """The screen is shown: its views are followed."""

    def stop(self) -> None:
        """Another one is shown."""

    def linked(self) -> None:
        """The link is back."""

    # ---- acts

    def action_act(self, identity: str) -> None:
        self.perform(identity)

    def perform(self, identity: str) -> None:
        """Does an act of the registry, or says why it is off."""
        if identity.startswith("tab_") and self.tab_clicked(identity.removeprefix("tab_")):
            return
        act = BY_ID.get(identity)
        if act is None:
            return
        self.console.hush()
        off = why_off(act, self.scene())
        if off is not None:
            text = say(self.console.language, "console_off_because", act=act.name(self.console.language), why=off)
            self.console.tell(text, "warn")
            self.flush()
            return
        table = self.table()
        if act.changes and act.kinds and table is not None and table.following and not table.marks:
            # The row under the cursor changes by itself there: an act must be about a row that was looked at.
            table.following = False
            table.touch()
            self.console.tell(Sentence("console_follow_stopped", {"what": self.about() or "-"}), "warn")
            self.flush()
            return
        handler = self.handlers.get(identity)
        if handler is not None:
            handler()
        elif act.action and act.place == "table":
            if table is not None:
                self.run_worker(table.run_action(act.action))
        elif act.action:
            self.run_worker(self.app.run_action(act.action))
        else:
            kind, rows = self.subject()
            self.post_message(self.ActWanted(act, kind, [_frozen(row) for row in rows]))
        self.flush()

    def tab_clicked(self, tab: str) -> bool:
        return False

    def back(self) -> None:
        """Nothing to go back to at the root; quitting is another key."""

    def refresh_all(self) -> None:
        """Lets in what was held, and connects at once where the link is lost."""
        if not self.console.link.live:
            self.console.source.retry()
        for table in self.query(Table):
            table.window.release()
            table.flush()

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
        self.prompt.open("command", "", hint, lambda text: complete_command(text, names))

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


def _frozen(row: Mapping[str, Any]) -> Row:
    return dict(row)
