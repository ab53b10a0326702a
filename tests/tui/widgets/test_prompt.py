"""The line where a filter, a command or a search is typed."""

from __future__ import annotations

from tests.tui.scripted_source import benched
from tui.widgets.prompt import MAX_LENGTH, Completer, Prompt


async def test_typed_entered_and_left() -> None:
    """It opens with what stands, tells every change and the end; left, the text is None; it begins unseen."""
    prompt = Prompt()
    async with benched(prompt) as (bench, pilot):
        assert not prompt.display
        prompt.open("filter", "state:a", "hint", lambda text: [text + "bc"])
        await pilot.pause()
        assert (prompt.display, prompt.has_focus, bench.posts(Prompt.Typed)) == (True, True, [])
        await pilot.press("b")
        await pilot.pause()
        assert [(message.use, message.text) for message in bench.posts(Prompt.Typed)] == [("filter", "state:ab")]
        await pilot.press("right")
        assert prompt.value == "state:abbc"
        await pilot.press("enter")
        await pilot.pause()
        prompt.open("search", "", "hint", None)
        await pilot.press("x", "escape")
        await pilot.pause()
        assert [(message.use, message.text) for message in bench.posts(Prompt.Done)] == [
            ("filter", "state:abbc"),
            ("search", None),
        ]
        prompt.close()
        assert not prompt.display


async def test_its_text_is_bounded() -> None:
    """However much is pasted."""
    prompt = Prompt()
    async with benched(prompt) as (_, pilot):
        prompt.open("filter", "", "", None)
        prompt.insert_text_at_cursor("x" * (MAX_LENGTH * 2))
        await pilot.pause()
        assert len(prompt.value) <= MAX_LENGTH


async def test_a_suggestion_is_the_first_that_goes_on() -> None:
    """Not what is there already, and none where nothing begins so."""
    completer = Completer(lambda text: ["other", text, text + "1", text + "2"])
    assert await completer.get_suggestion("a") == "a1"
    assert await Completer(lambda text: []).get_suggestion("a") is None
