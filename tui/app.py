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
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.widgets import Input, TextArea

from common.api.events import EventView
from common.catalogue import Sentence, translate
from common.errors import UserError
from tui.client.faults import describe_fault
from tui.dialogs.dialog import Dialog
from tui.dialogs.flows import ActionFlows
from tui.dialogs.palette import PaletteDialog
from tui.dialogs.pick import PickDialog, help_dialog
from tui.model.actions import ACTION_BY_ID, ActionEntry, is_available, list_entries
from tui.model.context import ConsoleContext
from tui.screens.base import ConsoleScreen
from tui.screens.full import FullViewScreen
from tui.screens.inlets import InletsScreen
from tui.screens.listing import ListScreen
from tui.screens.models import ModelsScreen
from tui.screens.overview import OverviewScreen
from tui.screens.polled import PolledScreen
from tui.terminal.frame_rate import FrameRate
from tui.terminal.key_repeat import KeyRepeat
from tui.terminal.restore import has_job_control
from tui.terminal.sanitize import SanitizeFilter
from tui.terminal.terminal import TerminalApp
from tui.terminal.theme import THEMES
from tui.terminal.theme_names import THEME_NAMES
from tui.text.format import format_age, one_line
from tui.view.bars import REQUIRED_VERBS, SCREEN_MODES, available_modes
from tui.view.command_line import ParsedCommand, parse_command
from tui.widgets.choices import ChoiceItem
from tui.widgets.workers import FaultBarrier

FLUSH_TICK: Final = 0.1
TERMINAL_CHECK_INTERVAL: Final = 5.0
RATE_WINDOW: Final = 2.0


class ConsoleApp(FaultBarrier, TerminalApp):
    CSS_PATH = "tui.tcss"
    TITLE = "answerback"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", show=False, priority=True, id="quit"),
        Binding("ctrl+c", "copy_or_hint", show=False),
        Binding("ctrl+z", "suspend_process", show=False, priority=True, id="suspend"),
    ]

    def __init__(self, console: ConsoleContext, *, keymap: dict[str, str] | None = None) -> None:
        super().__init__()
        self.context = console
        self.flows = ActionFlows(self, console)
        console.row_removed = self._row_removed
        self._sanitize_filter = SanitizeFilter(console.settings.encoding)
        self._key_repeat = KeyRepeat()
        self._frame_rate = FrameRate(console.settings.slow)
        self._keymap_overrides = keymap or {}
        self._chars_counted = self._flush_count = 0
        self._counted_at = time.monotonic()
        self._was_linked = False
        self._link_warning = ""  # what was last said not to work on a live link
        self._lost_at: float | None = None
        self._has_content = False  # whether there is something to show
        self._mode_before = "overview"
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEME_NAMES.get(
            console.settings.theme, THEME_NAMES["dark"]
        )  # before there is anything to be restyled
        self.stylesheet.set_variables(self.get_css_variables())
        for mode in SCREEN_MODES:
            self.add_mode(mode, partial(self._create_screen, mode))
        self.handlers: dict[str, Callable[[], None]] = {
            **{f"go_{mode}": partial(self.navigate, mode) for mode in SCREEN_MODES},
            "go_last": lambda: self.navigate(self._mode_before),
            "help": self.show_help,
            "palette": self.show_palette,
            "language": self.toggle_language,
            "theme": self.pick_theme,
            "inlets": self.show_inlets,
            "ascii": self.toggle_ascii,
            "slow": self.toggle_slow,
            "redraw": self.repaint,
        }

    def _create_screen(self, mode: str) -> ConsoleScreen:
        screen: ConsoleScreen
        match mode:
            case "overview":
                screen = OverviewScreen(self.context)
            case "models":
                screen = ModelsScreen(self.context)
            case _:
                screen = ListScreen(self.context, mode)
        self.mark_styled(screen)
        return screen

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._sanitize_filter]

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        variables.setdefault("tone-dim", "ansi_bright_black" if "ansi" in self.theme else variables["foreground-muted"])
        return variables

    # ---- life

    def on_load(self) -> None:
        """Before anything is written to the terminal: whoever ends us gets a terminal back that can be typed in."""
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self._exit_by_signal, number)

    def _exit_by_signal(self, number: signal.Signals) -> None:
        self.exit(return_code=128 + number)

    def action_suspend_process(self) -> None:
        """Ctrl-Z. Without a shell that could continue us we would stand still for good."""
        if has_job_control():
            super().action_suspend_process()
        else:
            self.context.notify(Sentence("console_no_shell"), "warn")
            self.flush()

    async def on_mount(self) -> None:
        if self._keymap_overrides:
            self.set_keymap(self._keymap_overrides)
        self.run_worker(
            self.context.source.maintain_link(self._source_changed), group="link"
        )  # while the first screen is made
        await self.switch_mode("overview")
        self.set_interval(FLUSH_TICK, self.tick)
        if not self.is_headless:
            self.set_interval(TERMINAL_CHECK_INTERVAL, self._exit_if_terminal_gone)
        self._mode_screen().start()

    def _mode_screen(self) -> ConsoleScreen:
        """The mode's own screen, whatever stands before it."""
        found = self.screen_stack[0]
        assert isinstance(found, ConsoleScreen)  # noqa: S101 - modes are made of nothing else
        return found

    def _row_removed(self, row: str) -> bool:
        """Whether the list of the mode's own screen has that row no more."""
        table = self._mode_screen().table() if self._mode_screen().widgets_ready else None
        return table is not None and (row in table.window.removed or table.window.is_removed(row))

    def _source_changed(self) -> None:
        """The link, who I am or the overview is another."""
        live = self.context.link.live
        if self._was_linked and not live:
            self._lost_at = self.context.now()
        if live and not self._was_linked:
            if self._lost_at is not None:  # what was said meanwhile, such as why an act is off, is no longer so
                away = format_age(self.context.now() - self._lost_at)
                self.context.notify(Sentence("plain_back", {"age": away}), "ok")
            if (other := self.context.version_mismatch()) is not None:
                self.context.notify(other, "warn")
            for screen in self.screen_stack:
                if isinstance(screen, ConsoleScreen) and screen.widgets_ready:
                    screen.link_restored()
            if self.current_mode in REQUIRED_VERBS and self.current_mode not in available_modes(
                self.context
            ):  # no models any more
                self.navigate("overview")
        self._was_linked = live
        warning = self.context.link.warning
        if live and warning and warning != self._link_warning:
            self.context.notify(warning, "warn")
        self._link_warning = warning
        if live and self.context.overview is not None and not self._has_content:
            self._has_content = True
            self.flush()

    def _exit_if_terminal_gone(self) -> None:
        """Quits where the terminal is gone; nobody would ever see this console again."""
        poll = select.poll()
        poll.register(sys.__stdin__.fileno() if sys.__stdin__ else 0, select.POLLHUP | select.POLLERR)
        if any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
            self.exit(return_code=1)

    def handle_fault(self, error: Exception) -> None:
        self.context.report_fault(self.TITLE or "", error)

    def handle_action_fault(self, action: str, params: Any, error: Exception) -> None:
        act = ACTION_BY_ID.get(str(params[0])) if params else None
        self.context.report_fault(act.label(self.context.language) if act is not None else action, error)

    def crash_text(self, error: Exception) -> str:
        """One line, and not a traceback that holds what was typed."""
        console = self.context
        console.faults.write("crash", error, console.now())
        lines = [translate(console.language, "console_crashed", what=describe_fault(error))]
        if console.faults.write_error:
            lines.append(console.faults.write_error)
        elif console.faults.path is not None:
            lines.append(translate(console.language, "console_crashed_log", file=one_line(console.faults.path)))
        else:
            lines.append(translate(console.language, "console_crashed_no_log"))
        return "\n".join(lines)

    # ---- rhythm

    def tick(self) -> None:
        if self._frame_rate.is_due(time.monotonic(), self.terminal.pending):
            self.flush()

    def flush(self) -> None:
        """Brings every screen that can be seen up to date."""
        self._flush_count += 1
        now = time.monotonic()
        if now - self._counted_at >= RATE_WINDOW:
            took, self._counted_at = now - self._counted_at, now
            self.context.bytes_out_rate = (self.chars_written - self._chars_counted) / took
            self.context.frame_rate = self._flush_count / took
            self._chars_counted, self._flush_count = self.chars_written, 0
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen | Dialog) and screen.widgets_ready and screen.display:
                try:
                    screen.flush()
                except Exception as error:
                    screen.handle_fault(error)

    async def on_event(self, event: events.Event) -> None:
        """What was typed or clicked ahead of a dialog was not meant for it, and a key that is held down acts once."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._is_dropped(event.key, self._key_repeat.is_repeat(event.key, time.monotonic())):
                return
        elif isinstance(event, events.MouseDown | events.MouseUp) and not event.is_forwarded:
            self._key_repeat.reset()
            if isinstance(self.screen, Dialog) and self.screen.is_guarded:
                return
        await super().on_event(event)

    def _is_dropped(self, key: str, held: bool) -> bool:
        if isinstance(self.screen, Dialog):
            return key != "escape" and self.screen.drops_key(held)
        if not held or isinstance(self.focused, Input | TextArea):
            return False
        bound = self.screen.active_bindings.get(key)
        act = ACTION_BY_ID.get(bound.binding.id or "") if bound is not None else None
        if act is None or not act.mutates:
            return False
        about = self.screen.row_title if isinstance(self.screen, ConsoleScreen) else ""
        message = Sentence("console_key_held", {"act": act.short_label(self.context.language)})
        self.context.notify(message, "warn", about=about)
        return True

    # ---- going about

    def navigate(self, mode: str, filter_text: str | None = None, select: str = "", sort: str | None = None) -> None:
        # Not yet a coroutine: one that is cancelled before it has begun would be a warning.
        work: Any = partial(self._navigate, mode, filter_text, select, sort)
        self.run_worker(work, group="go", exclusive=True)

    async def _navigate(self, mode: str, filter_text: str | None, select: str, sort: str | None) -> None:
        if mode not in available_modes(self.context):
            return
        if self.current_mode != mode:
            before = self._mode_screen()
            self._mode_before = before.mode
            await self.switch_mode(mode)
            before.stop()
            self._mode_screen().start()
        screen = self._mode_screen()
        if isinstance(screen, ListScreen) and screen.is_mounted:
            if sort is not None:
                screen.sort_by(sort)
            if filter_text is not None:
                screen.set_filter(filter_text)
            if select:
                screen.select_row(select)
        self.flush()

    @on(OverviewScreen.NavigateRequested)
    def _navigate_requested(self, event: OverviewScreen.NavigateRequested) -> None:
        self.navigate(event.mode, event.filter, event.select_id)

    @on(ListScreen.FullViewRequested)
    def _full_view_requested(self, event: ListScreen.FullViewRequested) -> None:
        screen = self.screen if isinstance(self.screen, InletsScreen) else self._mode_screen()
        if isinstance(screen, ListScreen | PolledScreen):
            window = screen.table().window
            self.push_screen(FullViewScreen(self.context, screen.mode, event.kind, event.row, event.tab, window))

    @on(OverviewScreen.InletRequested)
    def _inlet_requested(self, event: OverviewScreen.InletRequested) -> None:
        self.show_inlets(event.inlet)

    def show_inlets(self, select: str = "") -> None:
        if not any(isinstance(screen, InletsScreen) for screen in self.screen_stack):
            self.push_screen(InletsScreen(self.context, self._mode_screen().mode, select))

    # ---- acts

    @on(ConsoleScreen.ActionRequested)
    def _action_requested(self, event: ConsoleScreen.ActionRequested) -> None:
        if event.action.id == "row_audit" and event.rows:
            row = event.rows[0]
            subject = row.subject if isinstance(row, EventView) else row.id
            self.navigate("audit", f"subject:{one_line(subject, 64)}")
            return
        handler = self.handlers.get(event.action.id)
        if handler is not None:
            handler()
        else:
            self.flows.start(event.action, event.kind, event.rows)

    def perform_action(self, identity: str) -> None:
        """An act by its id, for the screen on top."""
        if isinstance(self.screen, ConsoleScreen):
            self.screen.perform_action(identity)

    def show_help(self) -> None:
        screen = self.screen
        if isinstance(screen, ConsoleScreen):
            _, rows = screen.subject()
            dialog = help_dialog(self.context, self.action_entries(), rows[0] if rows else None)
            self.push_screen(dialog, lambda taken: self.perform_action(taken) if taken else None)

    def action_entries(self) -> list[ActionEntry]:
        screen = self.screen_stack[-1]
        if not isinstance(screen, ConsoleScreen):
            screen = self._mode_screen()
        return [entry for entry in list_entries(screen.action_context()) if entry.action.id not in ("help", "palette")]

    def show_palette(self) -> None:
        dialog = PaletteDialog(self.context, self.action_entries())
        self.push_screen(dialog, self._palette_selected)

    def _palette_selected(self, taken: str | None) -> None:
        """An act by its id, though a screen may be called the same; else a line of the command line."""
        if taken in ACTION_BY_ID:
            self.perform_action(taken)
        elif taken:
            self.run_command(parse_command(taken))

    def action_copy_or_hint(self) -> None:
        self.context.notify(Sentence("console_quit_hint"))
        self.flush()

    @on(ConsoleScreen.CommandEntered)
    def _command_entered(self, event: ConsoleScreen.CommandEntered) -> None:
        self.run_command(parse_command(event.line))

    def run_command(self, command: ParsedCommand) -> None:
        match command.kind:
            case "go" if command.argument in available_modes(self.context):
                self.navigate(command.argument, command.rest or None)
            case "job":
                self.navigate("jobs", f"id:{command.argument}")
            case "request":
                self.navigate("approve", f"r:{command.argument}")
            case "agent":
                self.navigate("agents", f"name:{command.argument}")
            case "set":
                self.set_setting(command.argument, command.rest)
            case "save" | "view" | "forget":
                self.run_view_command(command.kind, command.argument)
            case "act" if command.argument == "quit":
                self.exit()
            case "act" if command.argument in ACTION_BY_ID and is_available(
                ACTION_BY_ID[command.argument], self._mode_screen().action_context()
            ):
                self.perform_action(command.argument)
            case "unknown" | "go" | "act":
                self.context.notify(Sentence("console_command_unknown", {"command": command.argument}), "warn")
        self.flush()

    def run_view_command(self, verb: str, name: str) -> None:
        """Saves what the list on the screen shows under a name, goes to what was saved, or forgets it."""
        console, screen = self.context, self._mode_screen()
        try:
            if verb == "view":
                view = console.saved_views.get(name)
                self.navigate(view.screen, view.filter, sort=view.sort)
            elif verb == "forget":
                console.saved_views.remove(name)
                console.notify(Sentence("console_view_forgotten", {"name": name}), "ok")
            elif isinstance(screen, ListScreen):
                console.saved_views.put(screen.as_saved_view(name))
                console.notify(Sentence("console_view_saved", {"name": name}), "ok")
            else:
                console.notify(Sentence("console_view_no_list"), "warn")
        except UserError as error:
            console.notify(str(error), "bad")

    # ---- settings

    def set_setting(self, name: str, value: str) -> None:
        self.context.update_settings(**{name: value})
        if name == "theme":
            self.theme = THEME_NAMES[value]
        self.restyle()

    def restyle(self) -> None:
        for screen in self.all_screens():
            if isinstance(screen, ConsoleScreen) and screen.is_mounted:
                screen.restyle()
        self.flush()

    def toggle_language(self) -> None:
        self.set_setting("language", "zh" if self.context.language == "en" else "en")

    def toggle_ascii(self) -> None:
        self.context.update_settings(ascii=not self.context.settings.ascii)
        self.restyle()

    def toggle_slow(self) -> None:
        self.context.update_settings(slow=not self.context.settings.slow)
        self._frame_rate.slow = self.context.settings.slow
        self.restyle()

    def pick_theme(self) -> None:
        choices = [
            ChoiceItem(name, translate(self.context.language, f"console_theme_{name.replace('-', '_')}"))
            for name in THEME_NAMES
        ]
        dialog = PickDialog(self.context, Sentence("console_theme_title"), choices)
        self.push_screen(dialog, lambda taken: self.set_setting("theme", taken) if taken else None)
