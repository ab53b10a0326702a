"""One of a few, in a row or in a list. Enter takes the one under the cursor; a dialog's first one does nothing at
all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.format import Look, Tone, fit
from tui.widgets.painted import Painted


@dataclass(frozen=True, slots=True)
class Choice:
    id: str
    text: str
    tone: Tone = ""
    note: str = ""


class Choices(Painted, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
        Binding("up,k", "step_list(-1)", show=False),
        Binding("down,j", "step_list(1)", show=False),
        Binding("enter,space", "take", show=False),
    ]

    class Taken(Message):
        def __init__(self, choices: Choices, choice: Choice) -> None:
            super().__init__()
            self.choices = choices
            self.choice = choice

        @property
        def control(self) -> Choices:
            return self.choices

    class Stood(Message):
        """The cursor stands on another one."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

        @property
        def control(self) -> Choices:
            return self.choices

    def __init__(
        self,
        look: Callable[[], Look],
        choices: Sequence[Choice],
        *,
        row: bool = False,
        at: int = 0,
        id: str | None = None,  # noqa: A002 - as every widget has it
    ) -> None:
        super().__init__(id=id, classes="-row" if row else "-list")
        self._look = look
        self._row = row
        self.choices: list[Choice] = []
        self.at = at
        self.set_choices(choices, at=at)

    def set_choices(self, choices: Sequence[Choice], at: int = 0) -> None:
        self.choices = list(choices)
        self.at = max(0, min(at, len(self.choices) - 1))
        self.total = 1 if self._row else len(self.choices)
        self.top = 0
        self._keep_in_sight()
        self.refresh()

    @property
    def choice(self) -> Choice | None:
        return self.choices[self.at] if self.choices else None

    def _keep_in_sight(self) -> None:
        if not self._row and self.page:
            self.top = max(min(self.top, self.at), self.at - self.page + 1, 0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, self.total)

    def on_resize(self, event: events.Resize) -> None:
        self._keep_in_sight()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        look = self._look()
        self.ascii = look.ascii
        if self._row:
            runs = []
            for index, choice in enumerate(self.choices):
                here = index == self.at
                text = f">[{choice.text}]<" if here and self.has_focus else f" [{choice.text}] "
                runs.append((text, self.style_of("cursor" if here and self.has_focus else choice.tone)))
                runs.append((" ", self.style_of("")))
            return self.strip(y, runs)
        index = self.top + y
        if index >= len(self.choices):
            return self.strip(y, [("", self.style_of(""))])
        choice = self.choices[index]
        here = index == self.at
        style = self.style_of("cursor" if here and self.has_focus else "mark" if here else choice.tone)
        text = f"{'>' if here else ' '} {choice.text}"
        if choice.note:
            text += "  " + choice.note
        return self.strip(y, [(fit(text, self.room, cut=look.cut), style)])

    def action_step(self, step: int) -> None:
        if self.choices:
            self.at = (self.at + step) % len(self.choices)
            self._keep_in_sight()
            self.refresh()
            self.post_message(self.Stood(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # In a row up and down are not ours: they scroll what the dialog shows.
        return not (self._row and action == "step_list")

    def action_step_list(self, step: int) -> None:
        self.action_step(step)

    def action_take(self) -> None:
        if self.choice is not None:
            self.post_message(self.Taken(self, self.choice))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if self._row:
            if event.chain > 1:
                return  # a double click means it once
            x = 0
            for index, choice in enumerate(self.choices):
                size = cell_len(choice.text) + 4
                if x <= at.x < x + size:
                    self.at = index
                    self.refresh()
                    self.action_take()
                    return
                x += size + 1
        elif self.top + at.y < len(self.choices):
            again = self.at == self.top + at.y
            self.at = self.top + at.y
            self.refresh()
            self.post_message(self.Stood(self))
            if again or event.chain == 2:
                self.action_take()
