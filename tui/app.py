"""The console: the only file that knows every screen. It keeps the link, beats the rhythm, and sends acts to where
they are done."""

from __future__ import annotations

import asyncio
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.worker import Worker, WorkerState

from common.catalogue import Sentence, say
from tui.command_line import Command, parse
from tui.commands import BY_ID, Entry, entries
from tui.console import Console
from tui.dialogs.dialog import Dialog
from tui.dialogs.palette import PaletteDialog
from tui.dialogs.pick import PickDialog, help_dialog
from tui.flows import Flows
from tui.format import one_line
from tui.headline import MODES
from tui.looks import NAMES
from tui.pace import Pace
from tui.safety import Gate
from tui.screens.base import ConsoleScreen
from tui.screens.full import FullScreen
from tui.screens.listing import ListScreen
from tui.screens.overview import OverviewScreen
from tui.theme import THEMES
from tui.widgets.choices import Choice

BEAT: Final = 0.1
LOOK_FOR_TERMINAL: Final = 5.0
RATES_OVER: Final = 2.0


class ConsoleApp(App[None]):
    CSS_PATH = "tui.tcss"
    TITLE = "answerback"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", show=False, priority=True, id="quit"),
        Binding("ctrl+c", "copy_or_hint", show=False),
    ]

    def __init__(self, console: Console, *, keymap: dict[str, str] | None = None) -> None:
        super().__init__()
        self.context = console
        self.flows = Flows(self, console)
        self._gate = Gate()
        self._pace = Pace(console.settings.slow)
        self._keymap_wanted = keymap or {}
        self._bytes = self._flushes = 0
        self._counted_at = time.monotonic()
        self._was_live = False
        self._mode_before = "overview"
        for theme in THEMES:
            self.register_theme(theme)
        for mode in MODES:
            make = partial(OverviewScreen, console) if mode == "overview" else partial(ListScreen, console, mode)
            self.add_mode(mode, make)
        self.handlers: dict[str, Callable[[], None]] = {
            **{f"go_{mode}": partial(self.go, mode) for mode in MODES},
            "go_last": lambda: self.go(self._mode_before),
            "help": self.help,
            "palette": self.palette,
            "language": self.turn_language,
            "theme": self.pick_theme,
            "ascii": self.turn_ascii,
            "slow": self.turn_slow,
        }

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._gate]

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        variables.setdefault("tone-dim", "ansi_bright_black" if "ansi" in self.theme else variables["foreground-muted"])
        return variables

    # ---- life

    async def on_mount(self) -> None:
        self.theme = NAMES.get(self.context.settings.theme, NAMES["dark"])
        if self._keymap_wanted:
            self.set_keymap(self._keymap_wanted)
        self._count_writes()
        await self.switch_mode("overview")
        self.run_worker(self.context.source.keep(self._linked), group="link", exit_on_error=False)
        self.set_interval(BEAT, self.beat)
        if not self.is_headless:
            self.set_interval(LOOK_FOR_TERMINAL, self._look_for_terminal)
            if hasattr(signal, "SIGHUP"):
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.exit)
        self._screen().start()

    def _screen(self) -> ConsoleScreen:
        """The mode's own screen, whatever stands before it."""
        found = self.screen_stack[0]
        assert isinstance(found, ConsoleScreen)  # noqa: S101 - modes are made of nothing else
        return found

    def _linked(self) -> None:
        """The link, who I am or the overview is another."""
        live = self.context.link.live
        if live and not self._was_live:
            for mode in MODES:
                stack = self._screen_stacks.get(mode) or []
                if stack and isinstance(stack[0], ConsoleScreen) and mode == self.current_mode:
                    stack[0].linked()
        self._was_live = live

    def _look_for_terminal(self) -> None:
        """Quits where the terminal is gone; nobody would ever see this console again."""
        poll = select.poll()
        poll.register(sys.__stdin__.fileno() if sys.__stdin__ else 0, select.POLLHUP | select.POLLERR)
        if any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
            self.exit(return_code=1)

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        """A worker that failed is told, and the console goes on."""
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            self.log.error(f"worker {event.worker.name}: {error!r}")
            self.context.tell(
                Sentence("console_own_fault", {"what": f"{type(error).__name__}: {one_line(error, 200)}"}),
                "bad",
                lasting=True,
            )

    # ---- rhythm

    def _count_writes(self) -> None:
        driver: Any = self._driver
        if driver is None:
            return
        write = driver.write

        def counting(data: str) -> None:
            self._bytes += len(data)
            write(data)

        driver.write = counting

    def _frames_waiting(self) -> int:
        """Frames that the terminal has not taken yet; a slow link freezes the console unless we wait for it."""
        thread = getattr(self._driver, "_writer_thread", None)
        return int(thread._queue.qsize()) if thread is not None else 0

    def beat(self) -> None:
        if self._pace.due(time.monotonic(), self._frames_waiting()):
            self.flush()

    def flush(self) -> None:
        """Brings every screen that can be seen up to date."""
        self._flushes += 1
        now = time.monotonic()
        if now - self._counted_at >= RATES_OVER:
            took, self._counted_at = now - self._counted_at, now
            self.context.rate_out, self.context.frames = self._bytes / took, self._flushes / took
            self._bytes = self._flushes = 0
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen | Dialog) and screen.formed and screen.display:
                screen.flush()

    async def on_event(self, event: events.Event) -> None:
        """A key typed ahead of a dialog was not meant for it."""
        if (
            isinstance(event, events.Key)
            and isinstance(self.screen, Dialog)
            and self.screen.guarded
            and event.key != "escape"
        ):
            return
        await super().on_event(event)

    # ---- going about

    def go(self, mode: str, narrow: str | None = None, select: str = "") -> None:
        # Not yet a coroutine: one that is cancelled before it has begun would be a warning.
        work: Any = partial(self._go, mode, narrow, select)
        self.run_worker(work, group="go", exclusive=True)

    async def _go(self, mode: str, narrow: str | None, select: str) -> None:
        if self.current_mode != mode:
            before = self._screen()
            self._mode_before = before.mode
            await self.switch_mode(mode)
            before.stop()
            self._screen().start()
        screen = self._screen()
        if isinstance(screen, ListScreen) and screen.is_mounted:
            if narrow is not None:
                screen.set_filter(narrow)
            if select:
                screen.select(select)
        self.flush()

    @on(OverviewScreen.GoTo)
    def _going(self, event: OverviewScreen.GoTo) -> None:
        self.go(event.mode, event.narrow, event.select)

    @on(ListScreen.FullWanted)
    def _full(self, event: ListScreen.FullWanted) -> None:
        screen = self._screen()
        if isinstance(screen, ListScreen):
            self.push_screen(
                FullScreen(self.context, screen.mode, event.kind, event.row, event.tab, screen.live.window)
            )

    # ---- acts

    @on(ConsoleScreen.ActWanted)
    def _act(self, event: ConsoleScreen.ActWanted) -> None:
        if event.act.id == "row_audit" and event.rows:
            row = event.rows[0]
            subject = row.get("subject") if event.kind == "event" else row.get("name") or row["id"]
            self.go("audit", f"subject:{one_line(subject, 64)}")
            return
        handler = self.handlers.get(event.act.id)
        if handler is not None:
            handler()
        else:
            self.flows.start(event.act, event.kind, event.rows)

    def perform(self, identity: str) -> None:
        """An act by its id, for the screen on top."""
        if isinstance(self.screen, ConsoleScreen):
            self.screen.perform(identity)

    def help(self) -> None:
        screen = self.screen
        if isinstance(screen, ConsoleScreen):
            _, rows = screen.subject()
            dialog = help_dialog(self.context, self.entries(), rows[0] if rows else None)
            self.push_screen(dialog, lambda taken: self.perform(taken) if taken else None)

    def entries(self) -> list[Entry]:
        screen = self.screen_stack[-1]
        if not isinstance(screen, ConsoleScreen):
            screen = self._screen()
        return [entry for entry in entries(screen.scene()) if entry.act.id not in ("help", "palette")]

    def palette(self) -> None:
        dialog = PaletteDialog(self.context, self.entries())
        self.push_screen(dialog, self._palette_taken)

    def _palette_taken(self, taken: str | None) -> None:
        """An act by its id, though a screen may be called the same; else a line of the command line."""
        if taken in BY_ID:
            self.perform(taken)
        elif taken:
            self.command(parse(taken))

    def action_copy_or_hint(self) -> None:
        self.context.tell(Sentence("console_quit_hint"))
        self.flush()

    @on(ConsoleScreen.CommandTyped)
    def _command(self, event: ConsoleScreen.CommandTyped) -> None:
        self.command(parse(event.line))

    def command(self, command: Command) -> None:
        match command.verb:
            case "go":
                self.go(command.what, command.rest or None)
            case "job":
                self.go("jobs", f"id:{command.what}")
            case "request":
                self.go("approve", f"r:{command.what}")
            case "agent":
                self.go("agents", f"name:{command.what}")
            case "set":
                self.set_setting(command.what, command.rest)
            case "act" if command.what == "quit":
                self.exit()
            case "act" if command.what in BY_ID:
                self.perform(command.what)
            case "unknown":
                self.context.tell(Sentence("console_command_unknown", {"command": command.what}), "warn")
        self.flush()

    # ---- settings

    def set_setting(self, name: str, value: str) -> None:
        self.context.set(**{name: value})
        if name == "theme":
            self.theme = NAMES[value]
        self.restyle()

    def restyle(self) -> None:
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, ConsoleScreen) and screen.is_mounted:
                    screen.restyle()
        self.flush()

    def turn_language(self) -> None:
        self.set_setting("language", "zh" if self.context.language == "en" else "en")

    def turn_ascii(self) -> None:
        self.context.set(ascii=not self.context.settings.ascii)
        self.restyle()

    def turn_slow(self) -> None:
        self.context.set(slow=not self.context.settings.slow)
        self._pace.slow = self.context.settings.slow
        self.restyle()

    def pick_theme(self) -> None:
        choices = [
            Choice(name, say(self.context.language, f"console_theme_{name.replace('-', '_')}")) for name in NAMES
        ]
        dialog = PickDialog(self.context, Sentence("console_theme_title"), choices)
        self.push_screen(dialog, lambda taken: self.set_setting("theme", taken) if taken else None)
