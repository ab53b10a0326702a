"""The console's way to its terminal: the newest frame, sent when the terminal has taken the one before.

A terminal that reads slowly never gets a backlog and never stops the console: what it has not taken is replaced by what
is true by then. Textual's own writer would wait, and the whole console with it, once thirty writes stand in its queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rich.color import ColorSystem
from textual import events
from textual.screen import Screen

from tui.terminal.frame import ScreenFrame, render_diff
from tui.terminal.textual_private import SYNC_END, SYNC_START, ChopsUpdate, HookedApp, LayoutUpdate

MAX_QUEUED_WRITES: Final = 1
"""Writes that may wait while another is sent: one in the terminal's hands, one behind it."""
RETRY_AFTER: Final = 0.03
"""Seconds until a terminal that was behind is looked at again."""
SYNC_MIN_CHARS: Final = 512
"""Characters from which on a frame is marked as one piece, for terminals that draw none in halves."""


class Terminal:
    """`write` hands text to whoever writes it, `waiting` says how many such texts are not yet written.

    `pending` is whether the terminal shows something else than it should; `send` changes that as soon as it can be.
    """

    def __init__(self, write: Callable[[str], None], queue_length: Callable[[], int]) -> None:
        self.pending = False
        self._write = write
        self._queue_length = queue_length
        self._target = ScreenFrame(0, 0)
        self._current = ScreenFrame(0, 0)
        self._dirty_lines: set[int] = set()
        self._cursor = self._current_cursor = (0, 0)

    def update(
        self,
        changes: LayoutUpdate | ChopsUpdate,
        size: tuple[int, int],
        cursor: tuple[int, int],
        system: ColorSystem = ColorSystem.TRUECOLOR,
    ) -> None:
        """What should stand there now; `cursor` is where (x, y) an input method looks for the place of typing."""
        if size != self._target.size:
            self._target, self._current, self._dirty_lines = ScreenFrame(*size), ScreenFrame(*size), set()
        self._dirty_lines |= self._target.apply(changes, system)
        self._cursor = cursor
        self.pending = True

    def invalidate(self) -> None:
        """The terminal may show anything: all of it is sent again."""
        self._current = ScreenFrame(*self._target.size)
        self._dirty_lines = set(range(self._target.height))
        self.pending = True

    def flush(self, *, synchronized: bool = False) -> bool:
        """Sends what is owed, unless the terminal is behind; whether nothing is owed now."""
        if not self.pending:
            return True
        if self._queue_length() > MAX_QUEUED_WRITES:
            return False
        text = render_diff(self._current, self._target, self._dirty_lines)
        self.pending, self._dirty_lines = False, set()
        if text or self._cursor != self._current_cursor:
            self._current_cursor = x, y = self._cursor
            text += f"\x1b[{y + 1};{x + 1}H"
            self._write(f"{SYNC_START}{text}{SYNC_END}" if synchronized and len(text) > SYNC_MIN_CHARS else text)
        return True


class TerminalApp(HookedApp):
    """An app whose screens reach the terminal by `Terminal`; where there is none (tests), as Textual has it."""

    def __init__(self) -> None:
        super().__init__()
        self.chars_written = 0  # characters given to the terminal since the start
        self.terminal = Terminal(self._write_out, self.queued_writes)
        self._flush_scheduled = False

    async def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self.repaint(), immediate=True)

    def _write_out(self, text: str) -> None:
        if self.write_terminal(text):
            self.chars_written += len(text)

    def display_update(self, screen: Screen[Any], update: LayoutUpdate | ChopsUpdate) -> None:
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        self.terminal.update(update, self.painted_size(screen), cursor, self.terminal_colors)
        self.flush_terminal()

    def flush_terminal(self) -> None:
        """Sends what the terminal should show and does not; again soon, where it is behind."""
        if not self.is_active:
            return
        if self.is_batching or not self.terminal.flush(synchronized=self.supports_sync):
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.set_timer(RETRY_AFTER, self._retry_flush)

    def _retry_flush(self) -> None:
        self._flush_scheduled = False
        self.flush_terminal()

    def repaint(self) -> None:
        """Sends everything anew: somebody else has written on the terminal, or it has another size."""
        self.terminal.invalidate()
        self._schedule_flush()

    def on_resize(self, event: events.Resize) -> None:
        self.repaint()
