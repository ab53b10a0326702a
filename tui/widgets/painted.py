"""The base of our widgets: one line at a time, one Segment a run of style, scrolled by ourselves.

Textual renders a line again from its widget's left edge on, so a change refreshes its cell alone and what changes often
stands at the left; what of it reaches the terminal is `tui.frame`'s to say. Textual's own scrolling lays the screen out
anew whenever the number of lines changes; ours is a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.format import Tone

WHEEL: Final = 3  # lines a turn of the wheel
TONES: Final = {
    "ok": ("success", ""),
    "busy": ("secondary", ""),
    "warn": ("warning", ""),
    "bad": ("error", "bold"),
    "dim": ("tone-dim", ""),
    "head": ("primary", "bold"),
    "key": ("secondary", "bold"),
    "cursor": ("", "reverse"),
    "mark": ("", "bold"),
    "found": ("", "reverse bold"),
    "bar": ("tone-dim", ""),
}
"""Tone -> the theme's variable of its colour, and how its text is set."""
FADING: Final = frozenset({"ok", "busy", "warn", "bad"})
"""Tones that are dim where what they say is stale."""
Run = tuple[str, Tone]


class Painted(Widget):
    """A widget of lines. Subclasses have `total`, `head` and `render_line`; `top` is the first line shown below the
    head."""

    ALLOW_SELECT = False
    HEAD: ClassVar[int] = 0

    top = 0
    total = 0
    ascii = False
    _styles_known: dict[str, Style]

    def style_of(self, name: str) -> Style:
        """The widget's own style with that of a tone upon it; `name` "" is the widget's own."""
        try:
            known = self._styles_known
        except AttributeError:
            known = self._styles_known = {}
        found = known.get(name)
        if found is None:
            base = self.rich_style
            found = known[name] = base + self._tone(name, base) if name else base
        return found

    def _tone(self, name: str, base: Style) -> Style:
        """The style of a tone by the theme. Not by Textual's component classes: each widget had eleven, and all of them
        were worked out anew whenever a class, the focus or a screen changed: nine tenths of what that took.
        """
        variable, text = TONES[name]
        if name in FADING and self.has_class("-stale"):
            variable, text = "tone-dim", ""
        style = Style.parse(text)
        if not variable:
            return style
        variables = self.app.theme_variables
        color = Color.parse(variables.get(variable) or variables["foreground-muted"])
        if color.a < 1 and base.bgcolor is not None:
            color = Color.from_rich_color(base.bgcolor) + color
        return style + Style(color=color.rich_color)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_known = {}
        self.forget_painted()
        self.refresh()

    def forget_painted(self) -> None:
        """What is on the screen is no longer as it was painted."""

    # ---- scrolling

    @property
    def page(self) -> int:
        """Lines that fit below the head."""
        return max(0, self.size.height - self.HEAD)

    @property
    def furthest(self) -> int:
        return max(0, self.total - self.page)

    def scroll_lines(self, top: int) -> bool:
        """Shows from line `top` on, as near as there is; whether that is another place."""
        top = max(0, min(self.furthest, top))
        if top == self.top:
            return False
        self.top = top
        self.forget_painted()
        self.refresh()
        self.scrolled()
        return True

    def scrolled(self) -> None:
        """Other lines are shown now."""

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.by_hand()
        if not self.scroll_lines(self.top + WHEEL):
            self.scrolled()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.by_hand()
        if not self.scroll_lines(self.top - WHEEL):
            self.scrolled()

    def by_hand(self) -> None:
        """The operator has moved; it is not to be moved under them."""

    # ---- painting

    @property
    def room(self) -> int:
        """Cells of a line, without the bar at its right."""
        return max(1, self.size.width - (1 if self.total > self.page else 0))

    def strip(self, y: int, runs: Sequence[tuple[str, Style]]) -> Strip:
        """A line of the widget's width from its runs, with the bar's cell at the right where there is a bar."""
        width, room = self.size.width, self.room
        segments: list[Segment] = []
        for text, style in runs:
            if not text:
                continue
            if segments and segments[-1].style == style:
                segments[-1] = Segment(segments[-1].text + text, style)
            else:
                segments.append(Segment(text, style))
        strip = Strip(segments).adjust_cell_length(room, runs[-1][1] if runs else self.style_of(""))
        if room == width:
            return strip
        return Strip([*strip, self._bar(y)], width)

    def bar_place(self) -> tuple[int, int]:
        """At which line of the bar its handle begins, and how long it is."""
        size = max(1, self.page * self.page // max(1, self.total))
        return self.top * (self.page - size) // max(1, self.furthest), size

    def _bar(self, y: int) -> Segment:
        line = y - self.HEAD
        if line < 0 or self.page <= 0:
            return Segment(" ", self.style_of(""))
        start, size = self.bar_place()
        if start <= line < start + size:
            return Segment("#" if self.ascii else "█", self.style_of("bar"))
        return Segment("|" if self.ascii else "│", self.style_of("bar"))

    def refresh_row(self, y: int) -> None:
        self.refresh(Region(0, y, self.size.width, 1))
