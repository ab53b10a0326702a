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

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.widgets import Input, TextArea

from common.catalogue import Sentence, say
from common.errors import UserError
from tui.command_line import Command, parse
from tui.commands import BY_ID, Entry, entries, is_there
from tui.console import Console
from tui.dialogs.dialog import Dialog
from tui.dialogs.palette import PaletteDialog
from tui.dialogs.pick import PickDialog, help_dialog
from tui.faults import fault_words
from tui.flows import Flows
from tui.format import age, one_line
from tui.headline import MODES, NEEDS, modes
from tui.held import Held
from tui.looks import NAMES
from tui.pace import Pace
from tui.safety import Gate
from tui.screens.base import ConsoleScreen
from tui.screens.full import FullScreen
from tui.screens.listing import ListScreen
from tui.screens.models import ModelsScreen
from tui.screens.overview import OverviewScreen
from tui.terminal import TerminalApp
from tui.theme import THEMES
from tui.widgets.choices import Choice
from tui.workers import Tended

BEAT: Final = 0.1
LOOK_FOR_TERMINAL: Final = 5.0
RATES_OVER: Final = 2.0


class ConsoleApp(Tended, TerminalApp):
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
        console.has_left = self._has_left
        self._gate = Gate()
        self._held = Held()
        self._pace = Pace(console.settings.slow)
        self._keymap_wanted = keymap or {}
        self._written = self._flushes = 0
        self._counted_at = time.monotonic()
        self._was_live = False
        self._lost_at: float | None = None
        self._begun = False  # whether there is something to show
        self._mode_before = "overview"
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = NAMES.get(console.settings.theme, NAMES["dark"])  # before there is anything to be restyled
        self.stylesheet.set_variables(self.get_css_variables())
        for mode in MODES:
            self.add_mode(mode, partial(self._made, mode))
        self.handlers: dict[str, Callable[[], None]] = {
            **{f"go_{mode}": partial(self.go, mode) for mode in MODES},
            "go_last": lambda: self.go(self._mode_before),
            "help": self.help,
            "palette": self.palette,
            "language": self.turn_language,
            "theme": self.pick_theme,
            "ascii": self.turn_ascii,
            "slow": self.turn_slow,
            "redraw": self.repaint,
        }

    def _made(self, mode: str) -> ConsoleScreen:
        """The screen of a mode. What is new gets its styles when it is mounted: without the mark Textual would read the
        style sheet again and style every widget there is, twice for each screen.
        """
        screen: ConsoleScreen
        match mode:
            case "overview":
                screen = OverviewScreen(self.context)
            case "models":
                screen = ModelsScreen(self.context)
            case _:
                screen = ListScreen(self.context, mode)
        screen._css_update_count = self._css_update_count
        return screen

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._gate]

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        variables.setdefault("tone-dim", "ansi_bright_black" if "ansi" in self.theme else variables["foreground-muted"])
        return variables

    # ---- life

    async def on_mount(self) -> None:
        if self._keymap_wanted:
            self.set_keymap(self._keymap_wanted)
        self.run_worker(self.context.source.keep(self._linked), group="link")  # while the first screen is made
        await self.switch_mode("overview")
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

    def _has_left(self, row: str) -> bool:
        """Whether the list of the mode's own screen has that row no more."""
        table = self._screen().table() if self._screen().formed else None
        return table is not None and (row in table.window.gone or table.window.is_out(row))

    def _linked(self) -> None:
        """The link, who I am or the overview is another."""
        live = self.context.link.live
        if self._was_live and not live:
            self._lost_at = self.context.now()
        if live and not self._was_live:
            if self._lost_at is not None:  # what was said meanwhile, such as why an act is off, is no longer so
                away = age(self.context.now() - self._lost_at)
                self.context.tell(Sentence("plain_back", {"age": away}), "ok")
            if (other := self.context.other_version()) is not None:
                self.context.tell(other, "warn")
            for screen in self.screen_stack:
                if isinstance(screen, ConsoleScreen) and screen.formed:
                    screen.linked()
            if self.current_mode in NEEDS and self.current_mode not in modes(self.context):  # no models any more
                self.go("overview")
        self._was_live = live
        if live and self.context.overview and not self._begun:
            self._begun = True
            self.flush()

    def _look_for_terminal(self) -> None:
        """Quits where the terminal is gone; nobody would ever see this console again."""
        poll = select.poll()
        poll.register(sys.__stdin__.fileno() if sys.__stdin__ else 0, select.POLLHUP | select.POLLERR)
        if any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
            self.exit(return_code=1)

    def has_failed(self, error: Exception) -> None:
        self.context.fault(self.TITLE or "", error)

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        """What a key does runs in the widget with the focus, and a failure there would be its end and ours."""
        try:
            return await super()._dispatch_action(namespace, action_name, params)
        except Exception as error:
            act = BY_ID.get(str(params[0])) if params else None
            self.context.fault(act.name(self.context.language) if act is not None else action_name, error)
            return True

    def _handle_exception(self, error: Exception) -> None:
        """Beyond help: a widget has died. Ends with one line, and not with a traceback that holds what was typed."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        console = self.context
        console.faults.write("crash", error, console.now())
        lines = [say(console.language, "console_crashed", what=fault_words(error))]
        if console.faults.trouble:
            lines.append(console.faults.trouble)
        elif console.faults.path is not None:
            lines.append(say(console.language, "console_crashed_log", file=one_line(console.faults.path)))
        else:
            lines.append(say(console.language, "console_crashed_no_log"))
        self._exit_renderables = [Text("\n".join(lines))]
        self._close_messages_no_wait()

    # ---- rhythm

    def beat(self) -> None:
        if self._pace.due(time.monotonic(), self.terminal.owed):
            self.flush()

    def flush(self) -> None:
        """Brings every screen that can be seen up to date."""
        self._flushes += 1
        now = time.monotonic()
        if now - self._counted_at >= RATES_OVER:
            took, self._counted_at = now - self._counted_at, now
            self.context.rate_out = (self.written - self._written) / took
            self.context.frames = self._flushes / took
            self._written, self._flushes = self.written, 0
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen | Dialog) and screen.formed and screen.display:
                try:
                    screen.flush()
                except Exception as error:
                    screen.has_failed(error)

    async def on_event(self, event: events.Event) -> None:
        """What was typed or clicked ahead of a dialog was not meant for it, and a key that is held down acts once."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._dropped(event.key, self._held.press(event.key, time.monotonic())):
                return
        elif isinstance(event, events.MouseDown | events.MouseUp) and not event.is_forwarded:
            self._held.let_go()
            if isinstance(self.screen, Dialog) and self.screen.guarded:
                return
        await super().on_event(event)

    def _dropped(self, key: str, held: bool) -> bool:
        if isinstance(self.screen, Dialog):
            return key != "escape" and self.screen.drops(held)
        if not held or isinstance(self.focused, Input | TextArea):
            return False
        bound = self.screen.active_bindings.get(key)
        act = BY_ID.get(bound.binding.id or "") if bound is not None else None
        if act is None or not act.changes:
            return False
        self.context.tell(Sentence("console_key_held", {"act": act.name(self.context.language)}), "warn")
        return True

    # ---- going about

    def go(self, mode: str, narrow: str | None = None, select: str = "", sort: str | None = None) -> None:
        # Not yet a coroutine: one that is cancelled before it has begun would be a warning.
        work: Any = partial(self._go, mode, narrow, select, sort)
        self.run_worker(work, group="go", exclusive=True)

    async def _go(self, mode: str, narrow: str | None, select: str, sort: str | None) -> None:
        if mode not in modes(self.context):
            return
        if self.current_mode != mode:
            before = self._screen()
            self._mode_before = before.mode
            await self.switch_mode(mode)
            before.stop()
            self._screen().start()
        screen = self._screen()
        if isinstance(screen, ListScreen) and screen.is_mounted:
            if sort is not None:
                screen.sort_by(sort)
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
        if isinstance(screen, ListScreen | ModelsScreen):
            window = screen.table().window
            self.push_screen(FullScreen(self.context, screen.mode, event.kind, event.row, event.tab, window))

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
            case "go" if command.what in modes(self.context):
                self.go(command.what, command.rest or None)
            case "job":
                self.go("jobs", f"id:{command.what}")
            case "request":
                self.go("approve", f"r:{command.what}")
            case "agent":
                self.go("agents", f"name:{command.what}")
            case "set":
                self.set_setting(command.what, command.rest)
            case "save" | "view" | "forget":
                self.saved_view(command.verb, command.what)
            case "act" if command.what == "quit":
                self.exit()
            case "act" if command.what in BY_ID and is_there(BY_ID[command.what], self._screen().scene()):
                self.perform(command.what)
            case "unknown" | "go" | "act":
                self.context.tell(Sentence("console_command_unknown", {"command": command.what}), "warn")
        self.flush()

    def saved_view(self, verb: str, name: str) -> None:
        """Saves what the list on the screen shows under a name, goes to what was saved, or forgets it."""
        console, screen = self.context, self._screen()
        try:
            if verb == "view":
                view = console.saved.get(name)
                self.go(view.screen, view.filter, sort=view.sort)
            elif verb == "forget":
                console.saved.remove(name)
                console.tell(Sentence("console_view_forgotten", {"name": name}), "ok")
            elif isinstance(screen, ListScreen):
                console.saved.put(screen.view_named(name))
                console.tell(Sentence("console_view_saved", {"name": name}), "ok")
            else:
                console.tell(Sentence("console_view_no_list"), "warn")
        except UserError as error:
            console.tell(str(error), "bad")

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
