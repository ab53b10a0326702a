"""Rejecting with a reason."""

from __future__ import annotations

from common.catalogue import say
from tests.tui.scripted_source import ScriptedSource, request_row, staged
from tui.client import CallRefused
from tui.dialogs.dialog import Field
from tui.dialogs.reject import REASONS, RejectDialog


async def test_a_reason_from_the_list_goes_back_to_the_asker() -> None:
    """By keys: `x`, down, enter; the reason is the one that was read."""
    source = ScriptedSource()
    source.rows["requests"] = [request_row(41), request_row(42)]
    async with staged(source, "approve") as stage:
        await stage.press("down")
        await stage.open("x", RejectDialog)
        await stage.press("down", "enter")
        await stage.closed()
        (told,) = source.asked("reject")
        assert told["number"] == 42
        assert told["why"]
        assert told["why"] in [say("en", f"console_reject_{reason}") for reason in REASONS]
        assert "r42" in stage.said


async def test_another_reason_must_be_written() -> None:
    """`other` without words is not sent; with words they alone are."""
    async with staged() as stage:
        dialog = RejectDialog(stage.console, request_row(41))
        came_to = await stage.show(dialog)
        await stage.press("end", "up", "enter")
        assert stage.app.focused is dialog.query_one("#why")
        await stage.press("enter")
        assert dialog.noted
        assert stage.source.asked("reject") == []
        dialog.query_one("#why", Field).value = "  wrong [red]quarter[/]  "
        await stage.press("enter")
        await stage.closed()
        assert came_to == ["rejected"]
        assert stage.source.asked("reject")[0]["why"] == "wrong [red]quarter[/]"


async def test_what_the_hub_refuses_is_told() -> None:
    """Somebody was faster: it says who, and nothing is sent again."""
    async with staged() as stage:
        stage.source.answers["reject"] = CallRefused("already_decided", "carol approved it")
        dialog = RejectDialog(stage.console, request_row(41))
        came_to = await stage.show(dialog)
        await stage.press("enter")
        await stage.answered("reject")
        assert "carol approved it" in stage.text
        await stage.press("enter")
        assert len(stage.source.asked("reject")) == 1
        await stage.press("escape")
        await stage.closed()
        assert came_to == [None]


async def test_the_link_is_lost_while_it_is_open() -> None:
    """Nothing is sent, and it says why."""
    async with staged() as stage:
        dialog = RejectDialog(stage.console, request_row(41))
        await stage.show(dialog)
        stage.source.lose()
        await stage.press("enter")
        assert dialog.noted
        assert stage.source.asked("reject") == []
