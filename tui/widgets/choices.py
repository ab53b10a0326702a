"""One of a few, in a row or in a list. Enter takes the one under the cursor; a dialog's first one does nothing at
all.

The choices of a row are a dialog's buttons: Tab and Shift-Tab walk them one by one, and each may be the answer to `y`
or `n` (see `tui.dialogs.dialog`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.text.format import RenderContext, Tone, fit_cells
from tui.widgets.line_widget import LineWidget


@dataclass(frozen=True, slots=True)
class ChoiceItem:
    id: str
    text: str
    tone: Tone = ""
    note: str = ""
    answer: Literal["", "yes", "no"] = ""
    """Which key takes it in a dialog: y, or n."""


class ChoiceList(LineWidget, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
        Binding("up,k", "step_list(-1)", show=False),
        Binding("down,j", "step_list(1)", show=False),
        Binding("enter,space", "take", show=False),
    ]

    class Selected(Message):
        def __init__(self, choices: ChoiceList, choice: ChoiceItem) -> None:
            super().__init__()
            self.choices = choices
            self.choice = choice

        @property
        def control(self) -> ChoiceList:
            return self.choices

    class Highlighted(Message):
        """The cursor stands on another one."""

        def __init__(self, choices: ChoiceList) -> None:
            super().__init__()
            self.choices = choices

        @property
        def control(self) -> ChoiceList:
            return self.choices

    def __init__(
        self,
        ctx: Callable[[], RenderContext],
        choices: Sequence[ChoiceItem],
        *,
        horizontal: bool = False,
        index: int = 0,
        id: str | None = None,  # noqa: A002 - as every widget has it
    ) -> None:
        super().__init__(id=id, classes="-row" if horizontal else "-list")
        self._render_context = ctx
        self._horizontal = horizontal
        self.items: list[ChoiceItem] = []
        self.index = index
        self.set_items(choices, index=index)

    def set_items(self, choices: Sequence[ChoiceItem], index: int = 0) -> None:
        self.items = list(choices)
        self.index = max(0, min(index, len(self.items) - 1))
        self.total_lines = 1 if self._horizontal else len(self.items)
        self.top = 0
        self._scroll_to_cursor()
        self.refresh()

    @property
    def is_row(self) -> bool:
        """Whether these are a dialog's buttons."""
        return self._horizontal

    @property
    def highlighted(self) -> ChoiceItem | None:
        return self.items[self.index] if self.items else None

    def _scroll_to_cursor(self) -> None:
        if not self._horizontal and self.page_height:
            self.top = max(min(self.top, self.index), self.index - self.page_height + 1, 0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, self.total_lines)

    def on_resize(self, event: events.Resize) -> None:
        self._scroll_to_cursor()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        look = self._render_context()
        self.ascii = look.ascii
        if self._horizontal:
            runs = []
            for index, choice in enumerate(self.items):
                here = index == self.index
                text = f">[{choice.text}]<" if here and self.has_focus else f" [{choice.text}] "
                if self.marks_chosen() and not here:
                    text = f"  {choice.text}  "
                runs.append((text, self.style_of("cursor" if here and self.has_focus else choice.tone)))
                runs.append((" ", self.style_of("")))
            return self.make_strip(y, runs)
        index = self.top + y
        if index >= len(self.items):
            return self.make_strip(y, [("", self.style_of(""))])
        choice = self.items[index]
        here = index == self.index
        style = self.style_of("cursor" if here and self.has_focus else "mark" if here else choice.tone)
        text = f"{'>' if here else ' '} {choice.text}"
        if choice.note:
            text += "  " + choice.note
        return self.make_strip(y, [(fit_cells(text, self.line_width, ellipsis=look.ellipsis), style)])

    def action_step(self, step: int) -> None:
        if self.items:
            self.index = (self.index + step) % len(self.items)
            self._scroll_to_cursor()
            self.refresh()
            self.post_message(self.Highlighted(self))

    def walk(self, step: int) -> bool:
        """Goes one on; False at the end, where the next field is meant."""
        if not 0 <= self.index + step < len(self.items):
            return False
        self.action_step(step)
        return True

    def enter_from(self, step: int) -> None:
        """The cursor comes in from the field before (1) or behind (-1)."""
        self.index = 0 if step > 0 else max(0, len(self.items) - 1)
        self._scroll_to_cursor()
        self.refresh()

    def answer(self, answer: Literal["yes", "no"]) -> bool:
        """Takes the choice that answers so; False where there is none."""
        found = next((index for index, choice in enumerate(self.items) if choice.answer == answer), None)
        if found is None:
            return False
        self.index = found
        self.refresh()
        self.action_take()
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # In a row up and down are not ours: they scroll what the dialog shows.
        return not (self._horizontal and action == "step_list")

    def action_step_list(self, step: int) -> None:
        self.action_step(step)

    def action_take(self) -> None:
        if self.highlighted is not None:
            self.post_message(self.Selected(self, self.highlighted))

    def marks_chosen(self) -> bool:
        """Whether the one under the cursor is told while another field has the focus: it is a choice, not a button."""
        return False

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if self._horizontal:
            if event.chain > 1:
                return  # a double click means it once
            x = 0
            for index, choice in enumerate(self.items):
                size = cell_len(choice.text) + 4
                if x <= at.x < x + size:
                    self.index = index
                    self.refresh()
                    self.action_take()
                    return
                x += size + 1
        elif self.top + at.y < len(self.items):
            again = self.index == self.top + at.y
            self.index = self.top + at.y
            self.refresh()
            self.post_message(self.Highlighted(self))
            if again or event.chain == 2:
                self.action_take()


class OptionRow(ChoiceList):
    """One of a few, in a row, as a field of a dialog: what is in brackets is chosen, whoever has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "leave", show=False)]

    class Left(Message):
        """Enter: on to the next field."""

    def __init__(self, ctx: Callable[[], RenderContext], choices: Sequence[ChoiceItem], *, id: str) -> None:  # noqa: A002
        super().__init__(ctx, choices, horizontal=True, id=id)

    @property
    def is_row(self) -> bool:
        return False  # tab goes on to the next field; left and right choose

    def marks_chosen(self) -> bool:
        return True

    def action_take(self) -> None:
        """A click, or space, on one chooses it."""
        self.post_message(self.Highlighted(self))

    def action_leave(self) -> None:
        self.post_message(self.Left())
