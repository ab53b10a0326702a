"""What all dialogs have: a box with facts, fields and choices, a line for what went wrong, the keys; and they know
of a lost link."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from common.catalogue import Sentence, say
from tui.answers import Answered, ask
from tui.console import Console
from tui.format import Line, Tone
from tui.widgets.choices import Choices
from tui.widgets.text import TextPane
from tui.workers import Tended

LEAST_LIST: Final = 3
LEAST_FACTS: Final = 2
"""Lines that a list of choices and the facts keep where there is little room."""


class Field(Input):
    """A line to type in; what it is for stands before it."""

    def __init__(self, value: str = "", *, id: str, placeholder: str = "", max_length: int = 500) -> None:  # noqa: A002 - as every widget has it
        super().__init__(
            value, id=id, compact=True, select_on_focus=False, max_length=max_length, placeholder=placeholder
        )
        self.cursor_blink = False


class Dialog(Tended, ModalScreen[Any]):
    """See the module. `dismiss(value)` gives the flow that opened it what it came to; None is nothing."""

    GUARD: ClassVar[float] = 0.25
    """Seconds after opening in which keys typed ahead do not count."""
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False, id="dialog_close"),
        Binding("tab", "app.focus_next", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
    ]

    def __init__(self, console: Console, title: Sentence) -> None:
        super().__init__()
        self.console = console
        self.over = False  # nothing more can be sent from here
        self.sending = False
        self._acting = True  # what is sent changes something
        self._title = title
        self._opened = time.monotonic()
        self._leaning = True  # a key is held down from before what is shown was shown
        self._noted: tuple[str, Tone] = ("", "")
        self._lost_told = False
        self._formed = False

    # ---- form

    def body(self) -> Iterable[Widget]:
        """The widgets of the box, from the top."""
        return ()

    def keys(self) -> str:
        """The line at the bottom of the box."""
        return say(self.console.language, "console_dialog_keys")

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield from self.body()
            yield TextPane(self.console.look, id="note")
            yield TextPane(self.console.look, id="dialog-keys")

    def on_mount(self) -> None:
        self._formed = True
        self.query_one("#box").border_title = Content(self._title.say(self.console.language))
        self.query_one("#note", TextPane).can_focus = False
        self.query_one("#dialog-keys", TextPane).can_focus = False
        self.rekey()
        if self.console.settings.ascii:
            self.add_class("-ascii")
        try:
            self.opened()
        except Exception as error:  # nobody decides on what could not be shown
            self.over = True
            self.console.fault(self._title, error)
            self.call_later(lambda: self.dismiss(None) and None)
            return
        self.fit()

    def opened(self) -> None:
        """Fills the form and puts the focus."""

    def labelled(self, key: str, field: Widget) -> Horizontal:
        """A field with its name before it."""
        return Horizontal(
            Static(Content(say(self.console.language, key)), classes="label", markup=False), field, classes="field"
        )

    def retitle(self, title: Sentence) -> None:
        self._title = title
        self.query_one("#box").border_title = Content(title.say(self.console.language))

    def rekey(self) -> None:
        self.query_one("#dialog-keys", TextPane).set_lines([Line(self.keys(), "dim")])

    def set_facts(self, lines: list[Line], *, id: str = "facts", keep_place: bool = False) -> None:  # noqa: A002 - as every widget has it
        pane = self.query_one(f"#{id}", TextPane)
        pane.set_lines(lines, keep_place=keep_place)
        self.fit()

    # ---- size: the facts get what the fields leave

    def on_resize(self, event: events.Resize) -> None:
        self.fit()

    def fit(self) -> None:
        if not self._formed:
            return
        width = max(20, min(self.size.width - 2, 100) - 4)
        note = self.query_one("#note", TextPane)
        note.styles.height = min(3, note.height_for(width)) if note.lines else 1
        keys = self.query_one("#dialog-keys", TextPane)
        keys.styles.height = min(2, keys.height_for(width))
        panes = [pane for pane in self.query(TextPane) if pane.has_class("facts") and pane.display]
        children = [child for child in self.query_one("#box").children if child.display and child not in panes]
        lists = [child for child in children if isinstance(child, Choices) and child.has_class("-list")]
        room = self.size.height - 2 - sum(self._height(child) for child in children if child not in lists)
        for choices in lists:  # before the facts, which scroll as well; some lines of each are always there
            height = max(1, min(self.lines_of(choices), max(LEAST_LIST, room - LEAST_FACTS * len(panes))))
            choices.styles.height = height
            room -= height
        for pane in panes:
            pane.styles.height = max(1, min(pane.height_for(width), room // len(panes)))

    def lines_of(self, choices: Choices) -> int:
        """Lines that a list would take."""
        return choices.total

    def _height(self, child: Widget) -> int:
        if child.id in ("note", "dialog-keys"):
            height = child.styles.height
            return int(height.value) if height is not None else 1
        fixed = child.styles.height
        return int(fixed.value) if fixed is not None and fixed.is_cells else 1

    # ---- talking

    def note(self, what: Sentence | str, tone: Tone = "") -> None:
        """One line for the operator; text of the hub's is a `str` that has been made safe."""
        text = what.say(self.console.language) if isinstance(what, Sentence) else what
        if (text, tone) == self._noted or not self._formed:
            return
        self._noted = (text, tone)
        self.query_one("#note", TextPane).set_lines([Line(text, tone)] if text else [])
        self.fit()

    @property
    def formed(self) -> bool:
        """Whether its widgets are there."""
        return self._formed

    @property
    def noted(self) -> str:
        return self._noted[0]

    @property
    def guarded(self) -> bool:
        """Whether it has just opened, so that a key or a click was meant for what was there before."""
        return time.monotonic() - self._opened < self.GUARD

    def drops(self, held: bool) -> bool:
        """Whether a key that comes now does not count: it was typed ahead, or it is held down since then."""
        self._leaning = self.guarded or (self._leaning and held)
        return self._leaning

    def guard_again(self) -> None:
        """What is shown has changed by itself; give it a moment too."""
        self._opened, self._leaning = time.monotonic(), True

    def has_failed(self, error: Exception) -> None:
        """Told here, where the operator looks, and where it stays when this is closed."""
        self.sending = False
        self.note(self.console.fault(self._title, error), "bad")

    def flush(self) -> None:
        """Called with the screen's rhythm: clocks, and the link."""
        if not self.console.link.live and not self._lost_told:
            self._lost_told = True
            self.note(Sentence("console_dialog_lost"), "bad")
        elif self.console.link.live and self._lost_told:
            self._lost_told = False
            self.note(Sentence("console_dialog_back"), "ok")

    def may_send(self) -> bool:
        """Whether something can be sent now; says why where not."""
        if self.sending or self.over:
            return False
        if not self.console.link.live:
            self.note(Sentence("console_dialog_lost"), "bad")
            return False
        return True

    async def ask(self, verb: str, **args: Any) -> Answered:
        self.sending, self._acting = True, not args.get("dry_run")
        self.note(Sentence("console_sending"))
        try:
            return await ask(self.console.source.call, verb, **args)
        finally:
            self.sending = False
            self.guard_again()

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Left before the hub has answered, it is told that what was sent may have been done."""
        if self.sending and self._acting:
            self.console.tell(Sentence("console_left_unanswered", {"what": self._title}), "warn", lasting=True)
        return super().dismiss(result)

    def action_close(self) -> None:
        self.dismiss(None)
