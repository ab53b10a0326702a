"""The lines at the top and at the bottom."""

from __future__ import annotations

from tests.tui.scripted_source import benched
from tui.headline import Span, pad
from tui.widgets.bars import Bar


async def test_a_click_does_what_the_word_says() -> None:
    """By cells, with wide characters before it; on what means nothing it does nothing."""
    bar = Bar(
        lambda cells: pad([Span("汉字 "), Span("[b]go[/b]", "key", "go_jobs")], [Span("q", "", "quit")], cells, "~"),
        id="top",
    )
    async with benched(bar) as (bench, pilot):
        assert bar.text == "汉字 [b]go[/b]" + " " * 25 + "q"
        for x in (1, 5, 13, 20, 39):
            await pilot.click(bar, offset=(x, 0))
        await pilot.pause()
        assert [message.act for message in bench.posts(Bar.Clicked)] == ["go_jobs", "go_jobs", "quit"]


async def test_a_double_click_means_it_once() -> None:
    """What it does may not be done twice."""
    bar = Bar(lambda cells: [Span("r Retry", "key", "retry")], id="keys")
    async with benched(bar) as (bench, pilot):
        await pilot.click(bar, offset=(2, 0), times=3)
        await pilot.pause()
        assert [message.act for message in bench.posts(Bar.Clicked)] == ["retry"]


async def test_it_is_painted_again_only_where_it_differs() -> None:
    """The same spans cost nothing; another width asks for spans of that width."""
    asked: list[int] = []
    said = ["one"]

    def spans(cells: int) -> list[Span]:
        asked.append(cells)
        return [Span(said[0])]

    bar = Bar(spans, id="top")
    async with benched(bar) as (bench, pilot):
        painted: list[object] = []
        bar.refresh = lambda *a, **k: painted.append(a) or bar  # type: ignore[method-assign,assignment,func-returns-value]
        bar.flush()
        assert painted == []
        said[0] = "two"
        bar.flush()
        assert len(painted) == 1
        assert bench.text(bar)[0].startswith("two")
        await pilot.resize_terminal(30, 8)
        await pilot.pause()
        assert asked[-1] == 30
