"""A yes to many: their number must be typed."""

from __future__ import annotations

from common.catalogue import Sentence
from tests.tui.fake_source import HOSTILE, console_driver
from tests.tui.rows import job
from tui.dialogs.count import MAX_SHOWN, CountDialog
from tui.terminal.sanitize import is_safe
from tui.widgets.digits import NumberInput

TITLE = Sentence("console_retry_title", {"count": "12"})


async def test_the_number_must_be_right() -> None:
    """Nothing, another number or only enter do nothing; the right one is a yes; commas are passed over."""
    rows = [job(index) for index in range(12)]
    async with console_driver() as stage:
        dialog = CountDialog(stage.console, TITLE, rows)
        came_to = await stage.push_dialog(dialog)
        assert stage.text.count("sleep ") == MAX_SHOWN
        for typed in ("", "1", "11", "012", "twelve"):
            dialog.query_one("#count", NumberInput).value = typed
            await stage.press("enter")
            assert came_to == []
        dialog.query_one("#count", NumberInput).value = "1,2"
        await stage.press("enter")
        await stage.wait_closed()
        assert came_to == [True]


async def test_closing_is_a_no_and_so_is_a_lost_link() -> None:
    """Escape and the first choice give nothing; without a link the right number gives nothing either."""
    async with console_driver() as stage:
        for keys in (("escape",), ("tab", "enter")):
            came_to = await stage.push_dialog(CountDialog(stage.console, TITLE, [job(1)] * 3))
            await stage.press(*keys)
            await stage.wait_closed()
            assert not came_to[0]
        dialog = CountDialog(stage.console, TITLE, [job(1, agent=HOSTILE[0], argv=[HOSTILE[1]])] * 3)
        came_to = await stage.push_dialog(dialog)
        assert all(is_safe(line) for line in stage.text.split("\n"))
        stage.source.disconnect()
        dialog.query_one("#count", NumberInput).value = "3"
        await stage.press("enter")
        assert (came_to, stage.in_dialog) == ([], True)
