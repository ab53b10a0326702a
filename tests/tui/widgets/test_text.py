"""Lines of text to read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.fake_source import HOSTILE, widget_app
from tui.text.format import PaneLine, RenderContext, one_line, wrap
from tui.widgets.text import TextPane


def pane() -> TextPane:
    return TextPane(RenderContext)


@settings(deadline=None)
@given(st.text(max_size=200).map(one_line), st.integers(2, 60))
def test_wrapping_loses_nothing_but_blanks(text: str, cells: int) -> None:
    """Every line fits, and all of the text is there."""
    lines = wrap(text, cells)
    assert all(cell_len(line) <= cells for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


async def test_long_lines_are_wrapped_and_scrolled_through() -> None:
    """By keys to the end and back; the height told is the height taken."""
    widget = pane()
    async with widget_app(widget, size=(40, 8)) as (bench, pilot):
        widget.styles.height = 8
        widget.set_lines([PaneLine("汉字" * 100, "key", "|"), *(PaneLine(f"line {index}") for index in range(20))])
        await pilot.pause()
        assert widget.total_lines == widget.height_for(widget.size.width)
        assert bench.text(widget)[0].startswith("| 汉字")
        assert bench.text(widget)[1].startswith("  ")
        await pilot.press("G")
        assert any("line 19" in text for text in bench.text(widget))
        await pilot.press("k", "pageup", "g", "j", "pagedown")
        assert 0 < widget.top < widget.max_top
        before = widget.total_lines
        await pilot.press("w")
        assert widget.total_lines == 21 < before
        assert bench.text(widget)[0][-2:].strip() or widget.top > 0


async def test_the_same_text_with_a_change_keeps_its_place() -> None:
    """A reader is not moved; another text begins at its top."""
    widget = pane()
    async with widget_app(widget, size=(40, 8)) as (_, pilot):
        widget.styles.height = 8
        lines = [PaneLine(f"line {index}") for index in range(40)]
        widget.set_lines(lines)
        await pilot.press("pagedown")
        top = widget.top
        widget.set_lines([*lines[:-1], PaneLine("changed")], keep_place=True)
        assert widget.top == top > 0
        widget.set_lines(lines[:3], keep_place=True)
        assert widget.top == 0
        widget.set_lines(lines)
        await pilot.press("pagedown")
        widget.set_lines([*lines, PaneLine("other")])
        assert widget.top == 0
        for width, height in ((10, 3), (200, 60), (2, 1)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()


async def test_a_click_tells_the_line_and_nothing_in_it_is_parsed() -> None:
    """Markup in a text is text; a click on it posts the line's number and runs nothing."""
    widget = pane()
    async with widget_app(widget, size=(60, 14)) as (bench, pilot):
        widget.styles.height = 14
        widget.set_lines([PaneLine(one_line(text, 50)) for text in HOSTILE])
        await pilot.pause()
        at = HOSTILE.index("[@click=app.perform('quit')]press me[/]")
        assert "[@click=" in bench.text(widget)[at]
        await pilot.click(widget, offset=(3, at))
        await pilot.pause()
        assert [message.index for message in bench.posted_of(TextPane.Clicked)][-1] == at
        assert bench.is_running
