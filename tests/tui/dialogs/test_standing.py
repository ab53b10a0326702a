"""What is allowed for a while: listed with all that counts, taken back one at a time."""

from __future__ import annotations

import pytest

from tests.tui.fake_source import HOSTILE, FakeSource, console_driver, standing_row
from tui.client.errors import CallRefused
from tui.dialogs.standing import StandingDialog
from tui.terminal.sanitize import is_safe


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_it_is_listed_and_taken_back(language: str) -> None:
    """By whom, for whom, what, where, how often and until when, at 80 columns; a second press takes one back."""
    source = FakeSource()
    source.answers["allowed"] = [standing_row(3), standing_row(4, person="dave", command="uptime")]
    source.answers["disallow"] = {"code": "ok", "text": "a4 is over", "number": 4}
    async with console_driver(source, size=(80, 24), language=language) as stage:
        await stage.open_dialog("W", StandingDialog)
        for part in ("a3", "a4", "bob", "carol", "systemctl reload nginx", "web-1", "1/20", "4b4b"):
            assert part in stage.text, part
        await stage.press("down")
        await stage.flush()
        assert "dave" in stage.text
        await stage.press("enter", "enter")  # the first button changes nothing
        await stage.wait_closed()
        assert stage.source.calls_of("disallow") == []
        await stage.open_dialog("W", StandingDialog)
        await stage.press("down", "y")
        (sent,) = await stage.wait_answered("disallow")
        assert sent["number"] == 4
        assert "a4 is over" in stage.status_line
        assert [one.number for one in stage.dialog.found] == [3]


async def test_none_is_told() -> None:
    """The list may be empty, or become so; then there is nothing to take back."""
    source = FakeSource()
    async with console_driver(source) as stage:
        await stage.open_dialog("W", StandingDialog)
        assert "nothing is allowed for a while" in stage.text
        await stage.press("y", "enter")
        await stage.wait_closed()
        source.answers["allowed"] = [standing_row(3)]
        source.answers["disallow"] = {"code": "unknown", "text": "there is no a3"}
        await stage.open_dialog("W", StandingDialog)
        await stage.press("y")
        await stage.wait_answered("disallow")
        assert "there is no a3" in stage.text
        await stage.press("enter")
        await stage.wait_closed()
        assert len(source.calls_of("disallow")) == 1


async def test_what_the_hub_refuses_is_told() -> None:
    """Before the dialog, and in it; what other people wrote is made safe."""
    source = FakeSource()
    async with console_driver(source) as stage:
        source.answers["allowed"] = CallRefused("refused", "you may not")
        await stage.press("W")
        await stage.wait_until(lambda: "you may not" in stage.status_line)
        source.answers["allowed"] = [standing_row(3, person=HOSTILE[1], command=HOSTILE[0], targets=list(HOSTILE))]
        source.answers["disallow"] = {"code": "no_right", "text": "ask carol"}
        await stage.open_dialog("W", StandingDialog)
        assert all(is_safe(line) for line in stage.text.split("\n"))
        await stage.press("y")
        await stage.wait_answered("disallow")
        assert "ask carol" in stage.text
        assert len(stage.dialog.found) == 1
