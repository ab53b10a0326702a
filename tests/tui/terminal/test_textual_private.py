"""What the console relies upon in Textual and Rich without their promise, name by name. After an upgrade, what fails
here says what has moved; the cure is in tui/terminal/textual_private.py, or the version that is pinned stays.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import io
import threading
import tomllib
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Static

from tests.each import each_of
from tui.terminal import textual_private
from tui.terminal.textual_private import ChopsUpdate, HookedApp, LayoutUpdate, MessageGuard, style_bits

ROOT = Path(__file__).resolve().parents[3]
OURS = ROOT / "tui" / "terminal" / "textual_private.py"

METHODS = {
    # method -> (its parameters, whether it is awaited, what it is for)
    "_display": (["self", "screen", "renderable"], False, "paints an update: overridden"),
    "_dispatch_action": (["self", "namespace", "action_name", "params"], True, "runs a key's action: overridden"),
    "_dispatch_message": (["self", "message"], True, "runs a message's handlers: overridden"),
    "_handle_exception": (["self", "error"], False, "ends the app with an error: overridden"),
    "_close_messages_no_wait": (["self"], False, "ends the app"),
    "post_display_hook": (["self"], False, "is told of every paint"),
}
VALUES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "_driver": (type(None), "what writes to the terminal; none before the start"),
    "_batch_count": (int, "batches under way; in one nothing is painted"),
    "_sync_available": (bool, "the terminal knows synchronised output"),
    "_running": (bool, "between start and end"),
    "_closed": (bool, "after the end"),
    "_exception": (type(None), "the first error that ended the app"),
    "_exception_event": (asyncio.Event, "set with it"),
    "_return_code": (type(None), "the exit code"),
    "_exit_renderables": (list, "what is printed after the end"),
    "_css_update_count": (int, "which version of the style sheet a screen has"),
    "_screen_stacks": (dict, "the screens by mode"),
}


@each_of("name", METHODS)
def test_a_method_is_called_as_it_was(name: str) -> None:
    """Its parameters, by name and order, and whether it is a coroutine."""
    parameters, awaited, purpose = METHODS[name]
    method = getattr(App, name, None)
    assert method is not None, f"Textual's App.{name} is gone ({purpose})"
    assert list(inspect.signature(method).parameters) == parameters, f"App.{name} has other parameters ({purpose})"
    assert inspect.iscoroutinefunction(method) is awaited, f"App.{name} is awaited differently ({purpose})"


@each_of("name", VALUES)
def test_a_value_is_what_it_was(name: str) -> None:
    """Of this type, on an app that has not been started."""
    wanted, purpose = VALUES[name]
    app: App[None] = App()
    assert hasattr(app, name), f"Textual's App.{name} is gone ({purpose})"
    assert isinstance(getattr(app, name), wanted), f"App.{name} is another thing ({purpose})"


def test_updates_are_made_of_what_they_were() -> None:
    """Lines of strips in a region, or chops of lines with where they end; and they are what a screen paints."""
    strip = Strip([Segment("a")])
    whole = LayoutUpdate([[strip]], Region(1, 2, 3, 4))
    assert (whole.strips, whole.region.x, whole.region.y) == ([[strip]], 1, 2), "textual._compositor.LayoutUpdate"
    part = ChopsUpdate([{0: strip}], [(0, 0, 1)], [[1]])
    assert (part.chops, part.spans, part.chop_ends) == ([{0: strip}], [(0, 0, 1)], [[1]]), "ChopsUpdate"
    assert (textual_private.SYNC_START, textual_private.SYNC_END) == ("\x1b[?2026h", "\x1b[?2026l")


def test_the_writer_s_queue_can_be_counted() -> None:
    """Texts that have not reached the terminal: `_writer_thread` of the driver, and its `_queue`."""
    module = importlib.import_module("textual.drivers._writer_thread")
    thread: Any = module.WriterThread(io.StringIO())
    assert isinstance(thread, threading.Thread)
    assert isinstance(thread._queue, Queue), "WriterThread._queue is no queue any more"
    thread.write("x")
    assert thread._queue.qsize() == 1, "WriterThread.write does not go through _queue any more"
    driver = importlib.import_module("textual.drivers.linux_driver").LinuxDriver
    assert "self._writer_thread" in inspect.getsource(driver), "LinuxDriver has its writer under another name"
    app = HookedApp()
    assert app.queued_writes() == 0
    app._driver = type("Driver", (), {"_writer_thread": thread})()  # type: ignore[assignment]  # what is asked of one
    assert app.queued_writes() == 1


def test_rich_keeps_attributes_as_bits_and_colours_as_a_system() -> None:
    """In the order that SGR codes are looked up by."""
    names = ["bold", "dim", "italic", "underline", "blink", "blink2", "reverse", "conceal", "strike"]
    names += ["underline2", "frame", "encircle", "overline"]
    for bit, name in enumerate(names):
        assert style_bits(Style(**{name: True})) == 1 << bit, f"rich.style.Style: the bit of {name} has moved"
        assert style_bits(Style(**{name: False})) == 0, f"rich.style.Style: {name} switched off is on"
    assert Console(color_system="truecolor")._color_system is ColorSystem.TRUECOLOR, "rich.Console._color_system"


class Recorder(MessageGuard, HookedApp):
    """Records each hook; its painting is as on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[LayoutUpdate | ChopsUpdate] = []
        self.painted = 0
        self.faults: list[object] = []
        self.on_a_terminal = True

    def compose(self) -> ComposeResult:
        yield Static("before", id="text")

    @property
    def on_terminal(self) -> bool:
        return self.on_a_terminal

    def display_update(self, screen: Screen[Any], update: LayoutUpdate | ChopsUpdate) -> None:
        assert self.painted_size(screen) == (80, 24)
        self.updates.append(update)

    def post_display_hook(self) -> None:
        self.painted += 1

    def handle_fault(self, error: Exception) -> None:
        self.faults.append(str(error))

    def handle_action_fault(self, action: str, params: Any, error: Exception) -> None:
        self.faults.append((action, params, str(error)))

    def crash_text(self, error: Exception) -> str:
        return f"the end: {error}"

    class Broken(Message):
        pass

    def on_recorder_broken(self) -> None:
        raise ValueError("a handler")

    def action_break(self, what: int) -> None:
        raise ValueError(f"an action {what}")


async def test_every_hook_is_called() -> None:
    """Updates come to `display_update`, failures of handlers and actions to theirs, and the app goes on."""
    app = Recorder()
    async with app.run_test() as pilot:
        assert (app.is_active, app.is_batching, app.supports_sync) == (True, False, False)
        assert any(isinstance(update, LayoutUpdate) for update in app.updates), "no first paint through App._display"
        app.updates.clear()
        app.query_one("#text", Static).update("after!")
        await pilot.pause()
        assert app.updates, "a changed widget is not painted through App._display"
        assert app.painted > 0
        app.post_message(Recorder.Broken())
        await pilot.pause()
        await app.run_action("break(7)")
        assert app.faults == ["a handler", ("break", (7,), "an action 7")]
        before = len(app.updates)
        with app.batch_update():
            assert app.is_batching, "App._batch_count does not count batches"
            app._display(app.screen, app.updates[0])
        assert len(app.updates) == before, "painted within a batch"
        assert list(app.all_screens()) == [app.screen]
        fresh: Screen[Any] = Screen()
        app.mark_styled(fresh)
        assert fresh._css_update_count == app._css_update_count
    assert not app.is_active


async def test_the_app_ends_with_its_own_words() -> None:
    """Without a traceback; the first error is raised again in tests."""
    app = Recorder()
    with pytest.raises(ValueError, match="beyond help"):
        async with app.run_test() as pilot:
            app._handle_exception(ValueError("beyond help"))
            await pilot.pause()
    assert app.return_code == 1
    assert [str(one) for one in app._exit_renderables] in ([], ["the end: beyond help"])


async def test_a_paint_that_fails_ends_the_app() -> None:
    """As Textual does."""

    class Clumsy(Recorder):
        def display_update(self, screen: Screen[Any], update: LayoutUpdate | ChopsUpdate) -> None:
            raise RuntimeError("no paint")

    app = Clumsy()
    with pytest.raises(RuntimeError, match="no paint"):
        async with app.run_test() as pilot:
            await pilot.pause()
    assert app.return_code == 1


def test_the_version_is_exact() -> None:
    """Private names may move with any release."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(line.startswith("textual==") for line in extras["console"])


PARTS = ("_compositor", "_color_system", "_attributes", "_set_attributes", "_queue")
"""Of a screen, a console, a style and a thread."""


def _private_uses(path: Path) -> list[str]:
    """Modules of Textual and Rich that are private, and private attributes of anything but a module's own classes."""
    tree = ast.parse(path.read_text())
    own = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr.startswith("_")
    }
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    private = (METHODS.keys() | VALUES.keys()) - own
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("textual", "rich")):
            found += [node.module] if "._" in node.module else []
        elif isinstance(node, ast.Attribute):
            foreign = not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
            if (node.attr in private and node.attr.startswith("_")) or (foreign and node.attr in PARTS):
                found.append(node.attr)
    return [f"{path.relative_to(ROOT)}: {name}" for name in found]


def test_no_other_file_touches_them() -> None:
    """And this one does, or the test above would find nothing anywhere."""
    files = [path for path in (ROOT / "tui").rglob("*.py") if path != OURS]
    assert [use for path in files for use in _private_uses(path)] == []
    assert len(_private_uses(OURS)) >= 15
