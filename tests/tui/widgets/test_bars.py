"""The lines at the top and at the bottom."""

from __future__ import annotations

from tests.tui.fake_source import widget_app
from tui.view.bars import BarSpan, justify
from tui.widgets.bars import Bar


async def test_a_click_does_what_the_word_says() -> None:
    """By cells, with wide characters before it; on what means nothing it does nothing."""
    bar = Bar(
        lambda cells: justify(
            [BarSpan("汉字 "), BarSpan("[b]go[/b]", "key", "go_jobs")], [BarSpan("q", "", "quit")], cells, "~"
        ),
        id="top",
    )
    async with widget_app(bar) as (bench, pilot):
        assert bar.text == "汉字 [b]go[/b]" + " " * 25 + "q"
        for x in (1, 5, 13, 20, 39):
            await pilot.click(bar, offset=(x, 0))
        await pilot.pause()
        assert [message.action_id for message in bench.posted_of(Bar.Clicked)] == ["go_jobs", "go_jobs", "quit"]


async def test_a_double_click_means_it_once() -> None:
    """What it does may not be done twice."""
    bar = Bar(lambda cells: [BarSpan("r Retry", "key", "retry")], id="keys")
    async with widget_app(bar) as (bench, pilot):
        await pilot.click(bar, offset=(2, 0), times=3)
        await pilot.pause()
        assert [message.action_id for message in bench.posted_of(Bar.Clicked)] == ["retry"]


async def test_it_is_painted_again_only_where_it_differs() -> None:
    """The same spans cost nothing; another width asks for spans of that width."""
    asked: list[int] = []
    said = ["one"]

    def spans(cells: int) -> list[BarSpan]:
        asked.append(cells)
        return [BarSpan(said[0])]

    bar = Bar(spans, id="top")
    async with widget_app(bar) as (bench, pilot):
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


async def test_a_message_is_told_to_its_end() -> None:
    """Where it is wider than the line it takes up to three, at blanks, and one again afterwards."""
    said = ["r41: Approve: " + "word " * 20 + "end"]
    bar = Bar(
        lambda cells: [BarSpan(" "), BarSpan(said[0], "warn"), BarSpan("  u Undo", "key", "undo")],
        id="status",
        max_lines=3,
    )
    async with widget_app(bar, size=(60, 8)) as (bench, pilot):
        await pilot.pause()
        assert bar.size.height == 3
        assert " ".join(" ".join(bench.text(bar)).split()) == f"{said[0]} u Undo"
        await pilot.click(bar, offset=(bench.text(bar)[2].index("Undo"), 2))
        await pilot.pause()
        assert [message.action_id for message in bench.posted_of(Bar.Clicked)] == ["undo"]
        said[0] = "short"
        bar.flush()
        await pilot.pause()
        assert bar.size.height == 1
