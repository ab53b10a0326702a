"""The field for a code of six digits."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tests.tui.fake_source import widget_app
from tui.widgets.digits import CodeInput


class Around(Vertical):
    """A dialog's letter keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "letter"), Binding("j", "letter")]
    letters = 0

    def action_letter(self) -> None:
        self.letters += 1


async def test_six_digits_and_no_more() -> None:
    """CodeInput are taken, the seventh is not; letters go on to the dialog's keys; enter submits; backspace works."""
    digits = CodeInput(id="code")
    around = Around(digits)
    async with widget_app(around) as (bench, pilot):
        digits.focus()
        await pilot.press("1", "x", "2", "j", "3", "a", "4", "5")
        assert (digits.value, digits.complete, around.letters) == ("12345", False, 2)
        await pilot.press("6", "7")
        assert (digits.value, digits.complete) == ("123456", True)
        await pilot.press("backspace", "enter")
        assert digits.value == "12345"
        assert len(bench.posted_of(Input.Submitted)) == 1


async def test_only_the_ten_digits_are_digits() -> None:
    """Other scripts' digits, signs and letters are not, typed or pasted."""
    digits = CodeInput(id="code")
    async with widget_app(digits) as (_, pilot):
        for text in ("１２３４５６", "٣٣٣٣٣٣", "12 456", "²²²²²²", "12345６"):
            digits.value = ""
            digits.post_message(events.Paste(text))
            await pilot.pause()
            assert digits.value.isascii(), text
            assert not digits.complete
        digits.value = ""
        digits.post_message(events.Paste("123456"))
        await pilot.pause()
        assert digits.complete


async def test_hidden() -> None:
    """For recordings the digits are dots."""
    digits = CodeInput(id="code", hidden=True)
    async with widget_app(digits) as (_, pilot):
        await pilot.press("1", "2")
        assert "12" not in "".join(digits.render_line(0).text)
