"""What a command prints, while it prints it."""

from __future__ import annotations

from rich.cells import cell_len

from tests.tui.fake_source import HOSTILE, NOW, WidgetApp, widget_app
from tests.tui.rows import chunk
from tui.model.output_lines import MAX_LINES
from tui.terminal.sanitize import is_safe
from tui.text.format import RenderContext
from tui.widgets.output import OutputPane


def pane() -> OutputPane:
    return OutputPane(lambda: RenderContext("en", False, NOW))


def feed(widget: OutputPane, *texts: str, stream: int = 1) -> None:
    seq = widget.lines.seq
    for index, text in enumerate(texts, 1):
        widget.lines.append_chunks([chunk(seq + index, text.encode("utf-8", "surrogatepass"), stream)])
    widget.flush()


def numbered(count: int, start: int = 0) -> str:
    return "".join(f"line {index}\n" for index in range(start, start + count))


async def test_it_follows_until_the_reader_moves() -> None:
    """The newest line is shown; scrolled up, the reader stays where they are; the end follows again."""
    widget = pane()
    async with widget_app(widget, size=(40, 8)) as (bench, pilot):
        widget.styles.height = 8
        await pilot.pause()
        feed(widget, numbered(50))
        assert "line 49" in bench.text(widget)[-1]
        await pilot.press("k", "pageup")
        before = bench.text(widget)
        feed(widget, numbered(50, 50))
        assert [text[:12] for text in bench.text(widget)] == [text[:12] for text in before]
        assert not widget.following
        await pilot.press("G")
        assert widget.following
        assert "line 99" in bench.text(widget)[-1]


async def test_a_reader_is_not_moved_when_old_lines_go() -> None:
    """Lines are numbered for good: what falls off at the top does not shift what is read."""
    widget = pane()
    async with widget_app(widget, size=(40, 8)) as (bench, pilot):
        widget.styles.height = 8
        await pilot.pause()
        feed(widget, numbered(MAX_LINES))
        widget.action_scroll_by(-100)
        before = bench.text(widget)[0].split()[:3]
        feed(widget, numbered(500, MAX_LINES))
        assert bench.text(widget)[0].split()[:3] == before
        assert widget.lines.first == 500
        assert "500" in widget.summary(RenderContext()) or "501" in widget.summary(RenderContext())


async def test_both_streams_and_hostile_bytes() -> None:
    """Standard error has its sign, nothing moves the terminal, every line is as wide as the pane."""
    widget = pane()
    async with widget_app(widget, size=(30, 16)) as (bench, pilot):
        widget.styles.height = 16
        await pilot.pause()
        feed(widget, *(f"{text}\n" for text in HOSTILE), "汉字" * 50 + "\n")
        feed(widget, "oh no\n", stream=2)
        for keys in ((), ("w",), ("t",), ("w",)):
            await pilot.press(*keys)
            for y in range(widget.size.height):
                strip = widget.render_line(y)
                assert cell_len(strip.text) == widget.size.width
                assert is_safe(strip.text)
        await pilot.press("t")
        assert any(text.startswith("! oh no") for text in bench.text(widget))


async def test_searching_goes_round() -> None:
    """From where one is to the next, and back; what is not there says so; a found line stays in sight when wrapped."""
    widget = pane()
    async with widget_app(widget, size=(40, 8)) as (bench, pilot):
        widget.styles.height = 8
        await pilot.pause()
        feed(widget, numbered(100))
        assert widget.search("LINE 42")
        assert (widget.match_line, widget.following) == (42, False)
        assert any("line 42" in text for text in bench.text(widget))
        assert widget.search("line 7")
        assert widget.match_line is not None
        first = widget.match_line
        await pilot.press("n")
        assert widget.match_line != first
        await pilot.press("N")
        assert widget.match_line == first
        assert not widget.search("nowhere")
        await pilot.press("slash")
        await pilot.pause()
        assert len(bench.posted_of(OutputPane.SearchRequested)) == 1


async def test_nothing_yet_nothing_at_all_and_begun_anew() -> None:
    """What stands there while there is nothing; another job's output does not begin with the last one's."""
    widget = pane()
    async with widget_app(widget, size=(40, 8)) as (bench, pilot):
        widget.styles.height = 8
        widget.reset("waiting for it")
        await pilot.pause()
        assert "waiting for it" in bench.text(widget)[0]
        await pilot.press("w", "t", "n", "N", "k", "j", "g", "G", "pageup")
        feed(widget, numbered(20))
        widget.ended = True
        assert widget.search("line 3")
        widget.reset("again")
        assert (widget.match_line, widget.following, widget.ended, widget.total_lines) == (None, True, False, 0)
        assert "again" in bench.text(widget)[0]
        assert isinstance(bench, WidgetApp)
        feed(widget, "line 3\n")
        for width, height in ((5, 2), (100, 40), (1, 1), (60, 16)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
