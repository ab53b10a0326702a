"""The line where a filter, a command or a search is typed."""

from __future__ import annotations

from tests.tui.fake_source import widget_app
from tui.text.format import RenderContext
from tui.widgets.prompt import MAX_LENGTH, MAX_OFFER_LINES, Completer, OfferList, PromptLine


async def test_typed_entered_and_left() -> None:
    """It opens with what stands, tells every change and the end; left, the text is None; it begins unseen."""
    prompt = PromptLine()
    async with widget_app(prompt) as (bench, pilot):
        assert not prompt.display
        prompt.show_prompt("filter", "state:a", "hint", lambda text: [text + "bc"])
        await pilot.pause()
        assert (prompt.display, prompt.has_focus, bench.posted_of(PromptLine.Edited)) == (True, True, [])
        await pilot.press("b")
        await pilot.pause()
        assert [(message.use, message.text) for message in bench.posted_of(PromptLine.Edited)] == [
            ("filter", "state:ab")
        ]
        await pilot.press("right")
        assert prompt.value == "state:abbc"
        await pilot.press("enter")
        await pilot.pause()
        prompt.show_prompt("search", "", "hint", None)
        await pilot.press("x", "escape")
        await pilot.pause()
        assert [(message.use, message.text) for message in bench.posted_of(PromptLine.Finished)] == [
            ("filter", "state:abbc"),
            ("search", None),
        ]
        prompt.hide_prompt()
        assert not prompt.display


async def test_its_text_is_bounded() -> None:
    """However much is pasted."""
    prompt = PromptLine()
    async with widget_app(prompt) as (_, pilot):
        prompt.show_prompt("filter", "", "", None)
        prompt.insert_text_at_cursor("x" * (MAX_LENGTH * 2))
        await pilot.pause()
        assert len(prompt.value) <= MAX_LENGTH


async def test_a_suggestion_is_the_first_that_goes_on() -> None:
    """Not what is there already, and none where nothing begins so."""
    completer = Completer(lambda text: ["other", text, text + "1", text + "2"])
    assert await completer.get_suggestion("a") == "a1"
    assert await Completer(lambda text: []).get_suggestion("a") is None


async def test_what_can_be_typed_is_listed_while_it_is_typed() -> None:
    """All of it at first, each with what it does; then what goes on from the text. Tab takes the marked one into the
    line; one marked with the arrows is what Enter enters; text alone is entered as it was typed.
    """
    lines = ["jobs", "jobs state:failed", "theme dark", *(f"view {index}" for index in range(20))]
    offers, prompt = OfferList(RenderContext), PromptLine()
    async with widget_app(offers, prompt, size=(60, 30)) as (bench, pilot):
        complete = lambda text: [line for line in lines if line.startswith(text)]  # noqa: E731

        async def opened() -> None:
            prompt.show_prompt("command", "", "hint", complete, lambda line: f"does {line}")
            await pilot.pause()

        await opened()
        assert (offers.display, len(offers.items), offers.size.height) == (True, len(lines), MAX_OFFER_LINES)
        assert "does jobs" in bench.text(offers)[0]
        await pilot.press("j")
        await pilot.pause()
        assert [choice.id for choice in offers.items] == lines[:2]
        await pilot.press("down", "tab")
        await pilot.pause()
        assert prompt.value == "jobs state:failed"
        await pilot.press("enter")
        await opened()
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        await opened()
        await pilot.press("t", "enter")
        await pilot.pause()
        found = [message.text for message in bench.posted_of(PromptLine.Finished)]
        assert found == ["jobs state:failed", "theme dark", "t"]
        prompt.hide_prompt()
        assert not offers.display
        prompt.show_prompt("search", "", "hint", None)
        assert not offers.display
