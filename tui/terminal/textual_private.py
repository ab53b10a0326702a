"""Every private name of Textual and Rich that the console stands on: in this file and in no other.

Textual offers no way to intercept what it is about to paint, the failure of a handler, or its own end; the console
needs all three. Its version is pinned exactly (pyproject.toml), and tests/tui/terminal/test_textual_private.py names
each private attribute with what is expected of it, so that an upgrade shows in words what has moved.

    painting    App._display, Screen._compositor, App._batch_count, App._sync_available, Console._color_system,
                LayoutUpdate and ChopsUpdate (textual._compositor), SYNC_START and SYNC_END (textual._ansi_sequences)
    writing     App._driver, WriterThread._queue (of the driver's _writer_thread)
    life        App._running, App._closed, App._handle_exception, App._exception, App._exception_event,
                App._return_code, App._exit_renderables, App._close_messages_no_wait
    handlers    App._dispatch_action, MessagePump._dispatch_message
    styles      App._css_update_count, App._screen_stacks, Style._attributes, Style._set_attributes
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from rich.color import ColorSystem
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.dom import DOMNode
from textual.events import Compose, Mount
from textual.message import Message
from textual.screen import Screen

__all__ = ["SYNC_END", "SYNC_START", "ChopsUpdate", "HookedApp", "LayoutUpdate", "MessageGuard", "style_bits"]


def style_bits(style: Style) -> int:
    """The attributes that are switched on, by Rich's bits: bold, dim, italic, underline, ..."""
    return style._attributes & style._set_attributes


class MessageGuard:
    """Mixed into a message pump, before Textual's own class: a handler that fails does not end the app."""

    def handle_fault(self, error: Exception) -> None:
        """Tells the operator what failed."""
        raise NotImplementedError

    async def _dispatch_message(self, message: Message) -> None:
        dispatch: Callable[[Message], Awaitable[None]] = super()._dispatch_message  # type: ignore[misc]
        if isinstance(message, Compose | Mount):
            await dispatch(message)  # what could not be made cannot go on
            return
        try:
            await dispatch(message)
        except Exception as error:
            self.handle_fault(error)


class HookedApp(App[None]):
    """An app with Textual's inner steps as methods to override, and its inner state as properties."""

    # ---- to be overridden

    def display_update(self, screen: Screen[Any], update: LayoutUpdate | ChopsUpdate) -> None:
        """Brings a change of the screen to the terminal, in place of Textual. What it raises ends the app."""
        raise NotImplementedError

    def handle_action_fault(self, action: str, params: Any, error: Exception) -> None:
        """A key's action failed. Overridden, the app goes on."""
        raise error

    def crash_text(self, error: Exception) -> str | None:
        """What is printed when the app ends by an error; None: Textual's traceback."""
        return None

    # ---- what Textual knows

    @property
    def on_terminal(self) -> bool:
        """Whether this app paints a terminal of its own."""
        return self._driver is not None and not self.is_headless and not self._driver.is_inline

    @property
    def is_active(self) -> bool:
        """Between start and end."""
        return self._running and not self._closed

    @property
    def is_batching(self) -> bool:
        """In a batch nothing is painted, or somebody else has the terminal."""
        return bool(self._batch_count)

    @property
    def supports_sync(self) -> bool:
        """Whether the terminal draws what stands between SYNC_START and SYNC_END at once."""
        return self._sync_available

    @property
    def terminal_colors(self) -> ColorSystem:
        return self.console._color_system or ColorSystem.TRUECOLOR

    @staticmethod
    def painted_size(screen: Screen[Any]) -> tuple[int, int]:
        """Width and height of what the screen's updates refer to, in cells."""
        size = screen._compositor.size
        return size.width, size.height

    def write_terminal(self, text: str) -> bool:
        """Hands text to the thread that writes; False where there is no terminal."""
        if self._driver is None:
            return False
        self._driver.write(text)
        self._driver.flush()
        return True

    def queued_writes(self) -> int:
        """Texts that wait for the thread that writes."""
        thread: Any = getattr(self._driver, "_writer_thread", None)
        return int(thread._queue.qsize()) if thread is not None else 0

    def all_screens(self) -> Iterator[Screen[Any]]:
        """Those of every mode, whether seen or not."""
        for stack in self._screen_stacks.values():
            yield from stack

    def mark_styled(self, screen: Screen[Any]) -> None:
        """A screen that is new gets its styles when it is mounted: without the mark Textual would read the style sheet
        again and style every widget there is, twice for each screen.
        """
        screen._css_update_count = self._css_update_count

    # ---- Textual's steps

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if not self.on_terminal or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            super()._display(screen, renderable)
            return
        if self.is_active and not self.is_batching:
            try:
                self.display_update(screen, renderable)
            except Exception as error:  # as Textual does: the app ends with it, and the terminal is put back
                self._handle_exception(error)
        self.post_display_hook()

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        """What a key does runs in the widget with the focus, and a failure there would be its end and ours."""
        try:
            return await super()._dispatch_action(namespace, action_name, params)
        except Exception as error:
            self.handle_action_fault(action_name, params, error)
            return True

    def _handle_exception(self, error: Exception) -> None:
        """Beyond help: a widget has died."""
        text = self.crash_text(error)
        if text is None:
            super()._handle_exception(error)
            return
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._exit_renderables = [Text(text)]
        self._close_messages_no_wait()
