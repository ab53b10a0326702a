"""One of a few."""

from __future__ import annotations

from tests.tui.fake_source import widget_app
from tui.text.format import RenderContext
from tui.widgets.choices import ChoiceItem, ChoiceList, OptionRow

THREE = [ChoiceItem("no", "No"), ChoiceItem("yes", "是的"), ChoiceItem("more", "[b]More[/b]", note="a note")]


def taken(bench: object) -> list[str]:
    return [message.choice.id for message in bench.posted_of(ChoiceList.Selected)]  # type: ignore[attr-defined]


async def test_in_a_row() -> None:
    """Left and right go round, enter takes what stands between the signs, a click takes what it is on."""
    choices = ChoiceList(RenderContext, THREE, horizontal=True)
    async with widget_app(choices, size=(60, 3)) as (bench, pilot):
        assert ">[No]<" in bench.text(choices)[0]
        await pilot.press("left", "enter")
        assert "[[b]More[/b]]" in bench.text(choices)[0]
        await pilot.press("down", "right", "right", "space")
        await pilot.click(choices, offset=(2, 0))
        await pilot.click(choices, offset=(9, 0))
        await pilot.click(choices, offset=(55, 0))
        await pilot.pause()
        assert taken(bench) == ["more", "yes", "no", "yes"]


async def test_a_double_click_takes_it_once() -> None:
    """What it stands for may not be done twice."""
    choices = ChoiceList(RenderContext, THREE, horizontal=True)
    async with widget_app(choices, size=(60, 3)) as (bench, pilot):
        await pilot.click(choices, offset=(2, 0), times=2)
        await pilot.pause()
        assert taken(bench) == ["no"]


async def test_in_a_list() -> None:
    """Up and down go round and scroll; a click stands, a second one takes; where it stands is told."""
    many = [ChoiceItem(str(index), f"number {index}") for index in range(20)]
    choices = ChoiceList(RenderContext, many)
    async with widget_app(choices, size=(40, 5)) as (bench, pilot):
        choices.styles.height = 5
        await pilot.pause()
        await pilot.press("up", "enter")
        assert (taken(bench), choices.top) == (["19"], 15)
        await pilot.press("j")
        assert (choices.index, choices.top) == (0, 0)
        await pilot.click(choices, offset=(3, 2))
        await pilot.pause()
        assert (choices.index, taken(bench)) == (2, ["19"])
        await pilot.click(choices, offset=(3, 2))
        await pilot.pause()
        assert taken(bench)[-1] == "2"
        assert len(bench.posted_of(ChoiceList.Highlighted)) == 4
        await pilot.resize_terminal(10, 2)
        await pilot.pause()
        assert choices.top <= choices.index


async def test_none_and_others() -> None:
    """Of nothing nothing can be taken; other choices begin where they are told to, within bounds."""
    choices = ChoiceList(RenderContext, [], horizontal=True)
    async with widget_app(choices, size=(40, 3)) as (bench, pilot):
        await pilot.press("right", "enter")
        assert (choices.highlighted, taken(bench)) == (None, [])
        choices.set_items(THREE, index=99)
        assert choices.highlighted == THREE[2]
        choices.set_items(THREE[:1], index=-3)
        await pilot.press("enter")
        assert taken(bench) == ["no"]


async def test_a_choice_as_a_field() -> None:
    """What is chosen stands in brackets, with the focus or without; left, right and a click choose, enter goes on."""
    row, other = OptionRow(RenderContext, THREE, id="row"), ChoiceList(RenderContext, THREE, horizontal=True)
    async with widget_app(row, other, size=(60, 3)) as (bench, pilot):
        row.styles.height = other.styles.height = 1
        row.focus()
        await pilot.press("right")
        assert ">[是的]<" in bench.text(row)[0]
        assert "[No]" not in bench.text(row)[0]
        other.focus()
        await pilot.pause()
        assert " [是的] " in bench.text(row)[0]
        await pilot.click(row, offset=(2, 0))
        await pilot.press("enter", "down", "y")
        assert row.highlighted is not None
        assert row.highlighted.id == "no"
        assert not row.is_row  # tab leaves it at once
        assert len(bench.posted_of(OptionRow.Left)) == 1
        assert taken(bench) == []
