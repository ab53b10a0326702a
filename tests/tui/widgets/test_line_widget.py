"""The base of our widgets: exact width, our own scrolling, the bar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.color import Color
from textual.events import MouseScrollDown
from textual.geometry import Size
from textual.strip import Strip

from tests.tui.fake_source import widget_app
from tui.widgets.line_widget import TONES, WHEEL_LINES, LineWidget


class Lines(LineWidget):
    """As many lines as it is told, each with its number."""

    moved = 0

    def render_line(self, y: int) -> Strip:
        return self.make_strip(y, [(f"line {self.top + y}", self.style_of("ok")), (" 汉字", self.style_of("ok"))])

    def user_moved(self) -> None:
        self.moved += 1


class Sized(LineWidget):
    lines = (10, 4)

    @property
    def size(self) -> Size:
        return Size(*self.lines)

    def style_of(self, name: str) -> Style:
        return Style()


@given(
    st.lists(st.text(max_size=20), max_size=4),
    st.integers(1, 50),
    st.integers(1, 9),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_a_line_is_as_wide_as_the_widget(texts: list[str], width: int, height: int, total: int, top: int) -> None:
    """Cut or padded by cells, with the bar at the right where there are more lines than room."""
    widget = Sized()
    widget.lines, widget.total_lines = (width, height), total
    widget.top = min(top, widget.max_top)
    for y in range(height):
        strip = widget.make_strip(y, [(text, Style()) for text in texts])
        assert strip.cell_length == width
        assert cell_len(strip.text) == width
    bar = [widget.make_strip(y, []).text[-1:] for y in range(height)]
    assert ("█" in bar) is (total > height and width > 1)


async def test_scrolling_ends_at_both_ends() -> None:
    """By the wheel, never beyond; what was seen is told by hand; one Segment a run of one style."""
    lines = Lines()
    lines.total_lines = 30
    async with widget_app(lines, size=(40, 8)) as (bench, pilot):
        lines.styles.height = 8
        await pilot.pause()
        assert lines.max_top == 30 - lines.page_height
        assert lines.scroll_lines(999)
        assert lines.top == lines.max_top
        assert not lines.scroll_lines(10_000)
        assert lines.scroll_lines(-5)
        assert lines.top == 0
        await pilot._post_mouse_events([MouseScrollDown], lines, button=0)
        await pilot.pause()
        assert (lines.top, lines.moved) == (WHEEL_LINES, 1)
        assert next(iter(lines.render_line(0))).text.startswith("line 3 汉字")
        assert bench.is_running


def test_without_colours_there_is_a_bar_in_ascii() -> None:
    """Words and signs that every terminal has."""
    widget = Sized()
    widget.lines, widget.total_lines, widget.ascii = (10, 4), 40, True
    assert {widget.make_strip(y, []).text[-1] for y in range(4)} == {"#", "|"}


async def test_tones_follow_the_theme_and_fade() -> None:
    """Colours are the theme's; another theme is taken up at once; what is stale has no colours but stays as it is."""
    lines = Lines()
    async with widget_app(lines, size=(40, 8)) as (bench, pilot):
        variables = bench.theme_variables
        assert lines.style_of("ok").color == Color.parse(variables["success"]).rich_color
        assert lines.style_of("bad").bold
        assert lines.style_of("cursor").reverse
        assert lines.style_of("cursor").color == lines.style_of("").color
        bright = lines.style_of("ok").color
        lines.add_class("-stale")
        await pilot.pause()
        assert lines.style_of("ok").color != bright
        assert not lines.style_of("bad").bold
        assert lines.style_of("head").bold
        lines.remove_class("-stale")
        bench.theme = "textual-light"
        await pilot.pause()
        assert lines.style_of("ok").color == Color.parse(bench.theme_variables["success"]).rich_color
        assert set(TONES) == {"ok", "busy", "warn", "bad", "dim", "head", "key", "cursor", "mark", "found", "bar"}
