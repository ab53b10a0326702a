"""The base of our widgets: one line at a time, one Segment a run of style, scrolled by ourselves.

Textual renders a line again from its widget's left edge on, so a change refreshes its cell alone and what changes often
stands at the left; what of it reaches the terminal is `tui.terminal.frame`'s to say. Textual's own scrolling lays the
screen out anew whenever the number of lines changes; ours is a number.
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

from tui.text.format import Tone

WHEEL_LINES: Final = 3  # lines a turn of the wheel
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
"""Tone -> the theme's variable of its colour, and how its text is set. "cursor bad" is a cell of the tone "bad" in the
cursor's row, which keeps what the colour says."""
FADING_TONES: Final = frozenset({"ok", "busy", "warn", "bad"})
"""Tones that are dim where what they say is stale."""
Run = tuple[str, Tone]


class LineWidget(Widget):
    """A widget of lines. Subclasses have `total_lines`, `head` and `render_line`; `top` is the first line shown below
    the head.
    """

    ALLOW_SELECT = False
    HEADER_LINES: ClassVar[int] = 0

    top = 0
    total_lines = 0
    ascii = False
    _style_cache: dict[str, Style]

    def style_of(self, name: str) -> Style:
        """The widget's own style with that of a tone upon it; `name` "" is the widget's own."""
        try:
            known = self._style_cache
        except AttributeError:
            known = self._style_cache = {}
        found = known.get(name)
        if found is None:
            base = self.rich_style
            found = known[name] = base + self._resolve_tone(name, base) if name else base
        return found

    def _resolve_tone(self, name: str, base: Style) -> Style:
        """The style of a tone by the theme. Not by Textual's component classes: each widget had eleven, and all of them
        were worked out anew whenever a class, the focus or a screen changed: nine tenths of what that took.
        """
        on_cursor, _, tone = name.rpartition(" ")
        if on_cursor and tone not in FADING_TONES:
            return Style.parse(TONES[on_cursor][1])
        variable, text = TONES[tone]
        if tone in FADING_TONES and self.has_class("-stale"):
            variable, text = "tone-dim", ""
        style = Style.parse(f"{TONES[on_cursor][1] if on_cursor else ''} {text}")
        if not variable:
            return style
        variables = self.app.theme_variables
        color = Color.parse(variables.get(variable) or variables["foreground-muted"])
        if color.a < 1 and base.bgcolor is not None:
            color = Color.from_rich_color(base.bgcolor) + color
        return style + Style(color=color.rich_color)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._style_cache = {}
        self.invalidate_lines()
        self.refresh()

    def invalidate_lines(self) -> None:
        """What is on the screen is no longer as it was painted."""

    # ---- scrolling

    @property
    def page_height(self) -> int:
        """Lines that fit below the head."""
        return max(0, self.size.height - self.HEADER_LINES)

    @property
    def max_top(self) -> int:
        return max(0, self.total_lines - self.page_height)

    def scroll_lines(self, top: int) -> bool:
        """Shows from line `top` on, as near as there is; whether that is another place."""
        top = max(0, min(self.max_top, top))
        if top == self.top:
            return False
        self.top = top
        self.invalidate_lines()
        self.refresh()
        self.after_scroll()
        return True

    def after_scroll(self) -> None:
        """Other lines are shown now."""

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.user_moved()
        if not self.scroll_lines(self.top + WHEEL_LINES):
            self.after_scroll()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.user_moved()
        if not self.scroll_lines(self.top - WHEEL_LINES):
            self.after_scroll()

    def user_moved(self) -> None:
        """The operator has moved; it is not to be moved under them."""

    # ---- painting

    @property
    def line_width(self) -> int:
        """Cells of a line, without the bar at its right."""
        return max(1, self.size.width - (1 if self.total_lines > self.page_height else 0))

    def make_strip(self, y: int, runs: Sequence[tuple[str, Style]]) -> Strip:
        """A line of the widget's width from its runs, with the bar's cell at the right where there is a bar."""
        width, room = self.size.width, self.line_width
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
        return Strip([*strip, self._scrollbar_segment(y)], width)

    def scrollbar_handle(self) -> tuple[int, int]:
        """At which line of the bar its handle begins, and how long it is."""
        size = max(1, self.page_height * self.page_height // max(1, self.total_lines))
        return self.top * (self.page_height - size) // max(1, self.max_top), size

    def _scrollbar_segment(self, y: int) -> Segment:
        line = y - self.HEADER_LINES
        if line < 0 or self.page_height <= 0:
            return Segment(" ", self.style_of(""))
        start, size = self.scrollbar_handle()
        if start <= line < start + size:
            return Segment("#" if self.ascii else "█", self.style_of("bar"))
        return Segment("|" if self.ascii else "│", self.style_of("bar"))

    def refresh_row(self, y: int) -> None:
        self.refresh(Region(0, y, self.size.width, 1))
