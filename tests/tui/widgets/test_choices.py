"""One of a few."""

from __future__ import annotations

from tests.tui.scripted_source import benched
from tui.format import Look
from tui.widgets.choices import Choice, Choices

THREE = [Choice("no", "No"), Choice("yes", "是的"), Choice("more", "[b]More[/b]", note="a note")]


def taken(bench: object) -> list[str]:
    return [message.choice.id for message in bench.posts(Choices.Taken)]  # type: ignore[attr-defined]


async def test_in_a_row() -> None:
    """Left and right go round, enter takes what stands between the signs, a click takes what it is on."""
    choices = Choices(Look, THREE, row=True)
    async with benched(choices, size=(60, 3)) as (bench, pilot):
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
    choices = Choices(Look, THREE, row=True)
    async with benched(choices, size=(60, 3)) as (bench, pilot):
        await pilot.click(choices, offset=(2, 0), times=2)
        await pilot.pause()
        assert taken(bench) == ["no"]


async def test_in_a_list() -> None:
    """Up and down go round and scroll; a click stands, a second one takes; where it stands is told."""
    many = [Choice(str(index), f"number {index}") for index in range(20)]
    choices = Choices(Look, many)
    async with benched(choices, size=(40, 5)) as (bench, pilot):
        choices.styles.height = 5
        await pilot.pause()
        await pilot.press("up", "enter")
        assert (taken(bench), choices.top) == (["19"], 15)
        await pilot.press("j")
        assert (choices.at, choices.top) == (0, 0)
        await pilot.click(choices, offset=(3, 2))
        await pilot.pause()
        assert (choices.at, taken(bench)) == (2, ["19"])
        await pilot.click(choices, offset=(3, 2))
        await pilot.pause()
        assert taken(bench)[-1] == "2"
        assert len(bench.posts(Choices.Stood)) == 4
        await pilot.resize_terminal(10, 2)
        await pilot.pause()
        assert choices.top <= choices.at


async def test_none_and_others() -> None:
    """Of nothing nothing can be taken; other choices begin where they are told to, within bounds."""
    choices = Choices(Look, [], row=True)
    async with benched(choices, size=(40, 3)) as (bench, pilot):
        await pilot.press("right", "enter")
        assert (choices.choice, taken(bench)) == (None, [])
        choices.set_choices(THREE, at=99)
        assert choices.choice == THREE[2]
        choices.set_choices(THREE[:1], at=-3)
        await pilot.press("enter")
        assert taken(bench) == ["no"]
