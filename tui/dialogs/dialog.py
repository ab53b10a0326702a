"""What all dialogs have: a box with facts, fields and buttons, a line for what went wrong, the keys; and they know
of a lost link.

The keys are the same in every dialog, and a test over all of them holds that:

    tab, shift-tab   walk the fields and, one by one, the buttons; round at either end
    enter            takes the button under the cursor. In a field it goes on to the next one; in the last one it does
                     what the dialog is for where what was typed says so (a code, a number, a command) or where it can
                     be taken back, and goes to the buttons where not
    y, n             answer yes or no wherever no text is being typed; n changes nothing
    pgdn, pgup       scroll the facts
    esc              closes; nothing is sent

The first button changes nothing, the last one does it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, ClassVar, Final, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from common.api.actions import EditArgs, PriorityArgs
from common.api.verb import A, R, Verb
from common.catalogue import Sentence, translate
from tui.model.answers import CallOutcome, call_hub
from tui.model.context import ConsoleContext
from tui.text.format import PaneLine, Tone
from tui.widgets.choices import ChoiceItem, ChoiceList
from tui.widgets.digits import NumberInput
from tui.widgets.text import TextPane
from tui.widgets.workers import FaultBarrier

MIN_LIST_LINES: Final = 3
MIN_FACT_LINES: Final = 2
"""Lines that a list of choices and the facts keep where there is little room."""


class TextField(Input):
    """A line to type in; what it is for stands before it."""

    def __init__(
        self,
        value: str = "",
        *,
        id: str,  # noqa: A002 - as every widget has it
        placeholder: str = "",
        max_length: int = 500,
        hidden: bool = False,
    ) -> None:
        super().__init__(
            value,
            id=id,
            compact=True,
            select_on_focus=False,
            max_length=max_length,
            placeholder=placeholder,
            password=hidden,
        )
        self.cursor_blink = False


class Dialog(FaultBarrier, ModalScreen[Any]):
    """See the module. `dismiss(value)` gives the flow that opened it what it came to; None is nothing."""

    GUARD_SECONDS: ClassVar[float] = 0.25
    """Seconds after opening in which keys typed ahead do not count."""
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False, id="dialog_close"),
        Binding("tab", "walk(1)", show=False),
        Binding("shift+tab", "walk(-1)", show=False),
        Binding("y,Y", "answer('yes')", show=False, id="dialog_yes"),
        Binding("n,N", "answer('no')", show=False, id="dialog_no"),
        Binding("pagedown,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
        Binding("down,j", "lines(1)", show=False),
        Binding("up,k", "lines(-1)", show=False),
    ]

    def __init__(self, console: ConsoleContext, title: Sentence) -> None:
        super().__init__()
        self.console = console
        self.finished = False  # nothing more can be sent from here
        self.sending = False
        self._mutating = True  # what is sent changes something
        self._title = title
        self._opened_at = time.monotonic()
        self._key_held = True  # a key is held down from before what is shown was shown
        self._note_shown: tuple[str, Tone] = ("", "")
        self._lost_shown = False
        self._widgets_ready = False

    # ---- form

    def body(self) -> Iterable[Widget]:
        """The widgets of the box, from the top."""
        return ()

    def key_hints(self) -> str:
        """The line at the bottom of the box."""
        return translate(
            self.console.language, "console_dialog_keys" if self.takes_letters else "console_dialog_keys_yn"
        )

    @property
    def takes_letters(self) -> bool:
        """Whether letters are text now, so that y and n are no answers."""
        return isinstance(self.focused, Input | TextArea) and not isinstance(self.focused, NumberInput)

    def button_row(
        self, yes: str, yes_key: str, tone: Tone = "", *, no: str = "close", no_key: str = "console_choice_close"
    ) -> ChoiceList:
        """The buttons: one that changes nothing, and the one that does what the dialog is for."""
        language = self.console.language
        choices = [
            ChoiceItem(no, translate(language, no_key), answer="no"),
            ChoiceItem(yes, translate(language, yes_key), tone, answer="yes"),
        ]
        return ChoiceList(self.console.render_context, choices, horizontal=True, id="buttons")

    @property
    def buttons(self) -> ChoiceList:
        return self.query_one("#buttons", ChoiceList)

    def set_close_only(self) -> None:
        """Nothing more can be done here."""
        close = ChoiceItem("close", translate(self.console.language, "console_choice_close"), answer="no")
        self.buttons.set_items([close])
        self.buttons.focus()

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield from self.body()
            yield TextPane(self.console.render_context, id="note")
            yield TextPane(self.console.render_context, id="dialog-keys")

    def on_mount(self) -> None:
        self._widgets_ready = True
        for pane in self.query(TextPane):
            pane.can_focus = False  # tab walks what can be filled in or taken; keys scroll the facts from anywhere
        self.query_one("#box").border_title = Content(self._title.render(self.console.language))
        self.update_key_hints()
        if self.console.settings.ascii:
            self.add_class("-ascii")
        try:
            self.fill()
        except Exception as error:  # nobody decides on what could not be shown
            self.finished = True
            self.console.report_fault(self._title, error)
            self.call_later(lambda: self.dismiss(None) and None)
            return
        self.resize_panes()

    def fill(self) -> None:
        """Fills the form and puts the focus."""

    def labeled_field(self, key: str, field: Widget) -> Horizontal:
        """A field with its name before it."""
        return Horizontal(
            Static(Content(translate(self.console.language, key)), classes="label", markup=False),
            field,
            classes="field",
        )

    def set_title(self, title: Sentence) -> None:
        self._title = title
        self.query_one("#box").border_title = Content(title.render(self.console.language))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.update_key_hints()

    def update_key_hints(self) -> None:
        if not self._widgets_ready:
            return
        self.query_one("#dialog-keys", TextPane).set_lines([PaneLine(self.key_hints(), "dim")])

    def set_facts(self, lines: list[PaneLine], *, id: str = "facts", keep_place: bool = False) -> None:  # noqa: A002 - as every widget has it
        pane = self.query_one(f"#{id}", TextPane)
        pane.set_lines(lines, keep_place=keep_place)
        self.resize_panes()

    # ---- size: the facts get what the fields leave

    def on_resize(self, event: events.Resize) -> None:
        self.resize_panes()

    def resize_panes(self) -> None:
        if not self._widgets_ready:
            return
        width = max(20, min(self.size.width - 2, 100) - 4)
        note = self.query_one("#note", TextPane)
        note.styles.height = min(3, note.height_for(width)) if note.lines else 1
        keys = self.query_one("#dialog-keys", TextPane)
        keys.styles.height = min(2, keys.height_for(width))
        panes = [pane for pane in self.query(TextPane) if pane.has_class("facts") and pane.display]
        children = [child for child in self.query_one("#box").children if child.display and child not in panes]
        lists = [child for child in children if isinstance(child, ChoiceList) and child.has_class("-list")]
        room = self.size.height - 2 - sum(self._height(child) for child in children if child not in lists)
        for choices in lists:  # before the facts, which scroll as well; some lines of each are always there
            height = max(1, min(self.list_height(choices), max(MIN_LIST_LINES, room - MIN_FACT_LINES * len(panes))))
            choices.styles.height = height
            room -= height
        for pane in panes:
            pane.styles.height = max(1, min(pane.height_for(width), room // len(panes)))

    def list_height(self, choices: ChoiceList) -> int:
        """Lines that a list would take."""
        return choices.total_lines

    def _height(self, child: Widget) -> int:
        if child.id in ("note", "dialog-keys", "allow-means"):
            height = child.styles.height
            return int(height.value) if height is not None else 1
        fixed = child.styles.height
        return int(fixed.value) if fixed is not None and fixed.is_cells else 1

    # ---- talking

    def show_note(self, what: Sentence | str, tone: Tone = "") -> None:
        """One line for the operator; text of the hub's is a `str` that has been made safe."""
        text = what.render(self.console.language) if isinstance(what, Sentence) else what
        if (text, tone) == self._note_shown or not self._widgets_ready:
            return
        self._note_shown = (text, tone)
        self.query_one("#note", TextPane).set_lines([PaneLine(text, tone)] if text else [])
        self.resize_panes()

    @property
    def widgets_ready(self) -> bool:
        """Whether its widgets are there."""
        return self._widgets_ready

    @property
    def note_text(self) -> str:
        return self._note_shown[0]

    @property
    def is_guarded(self) -> bool:
        """Whether it has just opened, so that a key or a click was meant for what was there before."""
        return time.monotonic() - self._opened_at < self.GUARD_SECONDS

    def drops_key(self, held: bool) -> bool:
        """Whether a key that comes now does not count: it was typed ahead, or it is held down since then."""
        self._key_held = self.is_guarded or (self._key_held and held)
        return self._key_held

    def restart_guard(self) -> None:
        """What is shown has changed by itself; give it a moment too."""
        self._opened_at, self._key_held = time.monotonic(), True

    def handle_fault(self, error: Exception) -> None:
        """Told here, where the operator looks, and where it stays when this is closed."""
        self.sending = False
        self.show_note(self.console.report_fault(self._title, error), "bad")

    def flush(self) -> None:
        """Called with the screen's rhythm: clocks, and the link."""
        if not self.console.link.live and not self._lost_shown:
            self._lost_shown = True
            self.show_note(Sentence("console_dialog_lost"), "bad")
        elif self.console.link.live and self._lost_shown:
            self._lost_shown = False
            self.show_note(Sentence("console_dialog_back"), "ok")

    def can_send(self) -> bool:
        """Whether something can be sent now; says why where not."""
        if self.sending or self.finished:
            return False
        if not self.console.link.live:
            self.show_note(Sentence("console_dialog_lost"), "bad")
            return False
        return True

    async def call_hub(self, verb: Verb[A, R], args: A) -> CallOutcome[R]:
        is_dry_run = isinstance(args, EditArgs | PriorityArgs) and args.dry_run
        self.sending, self._mutating = True, not is_dry_run
        self.show_note(Sentence("console_sending"))
        try:
            return await call_hub(self.console.source, verb, args)
        finally:
            self.sending = False
            self.restart_guard()

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Left before the hub has answered, it is told that what was sent may have been done."""
        if self.sending and self._mutating:
            self.console.notify(Sentence("console_left_unanswered", {"what": self._title}), "warn", sticky=True)
        return super().dismiss(result)

    # ---- answers

    def send(self) -> None:
        """Does what the dialog is for, if all that it takes is there."""

    def take_button(self, choice: ChoiceItem) -> None:
        """A button was taken."""
        if choice.answer == "no":
            self.action_close()
        else:
            self.send()

    def field_entered(self, field: Input) -> None:
        """Enter in a field: on to the next one; in the last one it is what was asked for."""
        fields = [one for one in self.query(Input) if one.parent is not None and one.parent.display]
        later = fields[fields.index(field) + 1 :]
        if later:
            later[0].focus()
        else:
            self.send()

    @on(ChoiceList.Selected, "#buttons")
    def _button_taken(self, event: ChoiceList.Selected) -> None:
        event.stop()
        self.take_button(event.choice)

    @on(Input.Submitted)
    def _field_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.field_entered(event.input)

    # ---- keys

    def action_close(self) -> None:
        self.dismiss(None)

    def action_walk(self, step: int) -> None:
        here = self.focused
        if isinstance(here, ChoiceList) and here.is_row and here.walk(step):
            return
        reached = self.focus_next() if step > 0 else self.focus_previous()
        if isinstance(reached, ChoiceList) and reached.is_row:
            reached.enter_from(step)

    def action_answer(self, answer: Literal["yes", "no"]) -> None:
        if not self.buttons.answer(answer) and answer == "no":
            self.action_close()

    def _facts_pane(self) -> TextPane | None:
        return next((pane for pane in self.query(TextPane) if pane.has_class("facts") and pane.display), None)

    def action_page(self, step: int) -> None:
        if (pane := self._facts_pane()) is not None:
            pane.action_page(step)

    def action_lines(self, step: int) -> None:
        if (pane := self._facts_pane()) is not None:
            pane.action_scroll_by(step)
