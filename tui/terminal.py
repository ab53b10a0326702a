"""The console's way to its terminal: the newest frame, sent when the terminal has taken the one before.

A terminal that reads slowly never gets a backlog and never stops the console: what it has not taken is replaced by what
is true by then. Textual's own writer would wait, and the whole console with it, once thirty writes stand in its queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rich.color import ColorSystem
from rich.console import RenderableType
from textual import events
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen

from tui.frame import Frame, turn

AHEAD: Final = 1
"""Writes that may wait while another is sent: one in the terminal's hands, one behind it."""
AGAIN: Final = 0.03
"""Seconds until a terminal that was behind is looked at again."""
TORN: Final = 512
"""Characters from which on a frame is marked as one piece, for terminals that draw none in halves."""


class Terminal:
    """`write` hands text to whoever writes it, `waiting` says how many such texts are not yet written.

    `owed` is whether the terminal shows something else than it should; `send` changes that as soon as it can be.
    """

    def __init__(self, write: Callable[[str], None], waiting: Callable[[], int]) -> None:
        self.owed = False
        self._write = write
        self._waiting = waiting
        self._wanted = Frame(0, 0)
        self._shown = Frame(0, 0)
        self._lines: set[int] = set()
        self._cursor = self._cursor_shown = (0, 0)

    def take(
        self,
        update: LayoutUpdate | ChopsUpdate,
        size: tuple[int, int],
        cursor: tuple[int, int],
        system: ColorSystem = ColorSystem.TRUECOLOR,
    ) -> None:
        """What should stand there now; `cursor` is where (x, y) an input method looks for the place of typing."""
        if size != self._wanted.size:
            self._wanted, self._shown, self._lines = Frame(*size), Frame(*size), set()
        self._lines |= self._wanted.take(update, system)
        self._cursor = cursor
        self.owed = True

    def forget(self) -> None:
        """The terminal may show anything: all of it is sent again."""
        self._shown = Frame(*self._wanted.size)
        self._lines = set(range(self._wanted.height))
        self.owed = True

    def send(self, *, synchronized: bool = False) -> bool:
        """Sends what is owed, unless the terminal is behind; whether nothing is owed now."""
        if not self.owed:
            return True
        if self._waiting() > AHEAD:
            return False
        text = turn(self._shown, self._wanted, self._lines)
        self.owed, self._lines = False, set()
        if text or self._cursor != self._cursor_shown:
            self._cursor_shown = x, y = self._cursor
            text += f"\x1b[{y + 1};{x + 1}H"
            self._write(f"{SYNC_START}{text}{SYNC_END}" if synchronized and len(text) > TORN else text)
        return True


class TerminalApp(App[None]):
    """An app whose screens reach the terminal by `Terminal`; where there is none (tests), as Textual has it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0  # characters given to the terminal since the start
        self.terminal = Terminal(self._write_out, self._writes_waiting)
        self._again = False

    async def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self.repaint(), immediate=True)

    def _write_out(self, text: str) -> None:
        if self._driver is not None:
            self.written += len(text)
            self._driver.write(text)
            self._driver.flush()

    def _writes_waiting(self) -> int:
        thread: Any = getattr(self._driver, "_writer_thread", None)
        return int(thread._queue.qsize()) if thread is not None else 0

    @property
    def _on_terminal(self) -> bool:
        return self._driver is not None and not self.is_headless and not self._driver.is_inline

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if not self._on_terminal or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            super()._display(screen, renderable)
            return
        if self._running and not self._closed and not self._batch_count:
            size = screen._compositor.size
            cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
            try:
                self.terminal.take(renderable, size, cursor, self.console._color_system or ColorSystem.TRUECOLOR)
                self.send()
            except Exception as error:  # as Textual does: the app ends with it, and the terminal is put back
                self._handle_exception(error)
        self.post_display_hook()

    def send(self) -> None:
        """Sends what the terminal should show and does not; again soon, where it is behind."""
        if not self._running or self._closed:
            return
        # In a batch nothing is painted, or somebody else has the terminal.
        if self._batch_count or not self.terminal.send(synchronized=self._sync_available):
            self._send_again()

    def _send_again(self) -> None:
        if not self._again:
            self._again = True
            self.set_timer(AGAIN, self._once_more)

    def _once_more(self) -> None:
        self._again = False
        self.send()

    def repaint(self) -> None:
        """Sends everything anew: somebody else has written on the terminal, or it has another size."""
        self.terminal.forget()
        self._send_again()

    def on_resize(self, event: events.Resize) -> None:
        self.repaint()
