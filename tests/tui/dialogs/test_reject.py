"""Rejecting with a reason."""

from __future__ import annotations

from common.catalogue import translate
from tests.tui.fake_source import FakeSource, console_driver, request_row
from tests.tui.rows import request
from tui.client.errors import CallRefused
from tui.dialogs.dialog import TextField
from tui.dialogs.reject import REASONS, RejectDialog


async def test_a_reason_from_the_list_goes_back_to_the_asker() -> None:
    """By keys: `x`, down, enter; the reason is the one that was read."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41), request_row(42)]
    async with console_driver(source, "approve") as stage:
        await stage.press("down")
        await stage.open_dialog("x", RejectDialog)
        await stage.press("down", "enter")
        await stage.wait_closed()
        (told,) = source.calls_of("reject")
        assert told["number"] == 42
        assert told["why"]
        assert told["why"] in [translate("en", f"console_reject_{reason}") for reason in REASONS]
        assert "r42" in stage.status_line


async def test_another_reason_must_be_written() -> None:
    """`other` without words is not sent; with words they alone are."""
    async with console_driver() as stage:
        dialog = RejectDialog(stage.console, request(41))
        came_to = await stage.push_dialog(dialog)
        await stage.press("end", "up", "enter")
        assert stage.app.focused is dialog.query_one("#why")
        await stage.press("enter")
        assert dialog.note_text
        assert stage.source.calls_of("reject") == []
        dialog.query_one("#why", TextField).value = "  wrong [red]quarter[/]  "
        await stage.press("enter")
        await stage.wait_closed()
        assert came_to == ["rejected"]
        assert stage.source.calls_of("reject")[0]["why"] == "wrong [red]quarter[/]"


async def test_what_the_hub_refuses_is_told() -> None:
    """Somebody was faster: it says who, and nothing is sent again."""
    async with console_driver() as stage:
        stage.source.answers["reject"] = CallRefused("already_decided", "carol approved it")
        dialog = RejectDialog(stage.console, request(41))
        came_to = await stage.push_dialog(dialog)
        await stage.press("enter")
        await stage.wait_answered("reject")
        assert "carol approved it" in stage.text
        await stage.press("enter")
        assert len(stage.source.calls_of("reject")) == 1
        await stage.press("escape")
        await stage.wait_closed()
        assert came_to == [None]


async def test_the_link_is_lost_while_it_is_open() -> None:
    """Nothing is sent, and it says why."""
    async with console_driver() as stage:
        dialog = RejectDialog(stage.console, request(41))
        await stage.push_dialog(dialog)
        stage.source.disconnect()
        await stage.press("enter")
        assert dialog.note_text
        assert stage.source.calls_of("reject") == []
