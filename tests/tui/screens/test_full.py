"""A detail on the whole screen."""

from __future__ import annotations

from tests.tui.fake_source import HOSTILE, FakeSource, console_driver, job_row
from tui.dialogs.stop import StopDialog
from tui.screens.full import FullViewScreen
from tui.terminal.sanitize import is_safe


async def test_the_same_keys_act_on_the_thing_that_is_shown() -> None:
    """Opened where there is no room beside; the list turns round behind it; a key is about what is on the screen."""
    jobs = [job_row(1), job_row(2)]
    source = FakeSource()
    source.rows["jobs"] = list(jobs)
    source.output = [
        {"seq": seq, "stream": 1, "data": f"{text}\n".encode("utf-8", "replace")} for seq, text in enumerate(HOSTILE, 1)
    ]
    async with console_driver(source, "jobs", size=(80, 24)) as stage:
        await stage.press("enter")
        await stage.wait_until(lambda: isinstance(stage.app.screen, FullViewScreen))
        await stage.wait_until(lambda: "press me" in stage.text)
        assert all(is_safe(line) for line in stage.text.split("\n"))
        source.reorder("jobs", [jobs[1]])
        await stage.flush()
        dialog = await stage.open_dialog("c", StopDialog)
        assert [row.id for row in dialog.rows] == [jobs[0]["id"]]
        await stage.press("escape")
        await stage.wait_closed()
        first = stage.app.screen.detail.tab  # type: ignore[attr-defined]
        await stage.press("right_square_bracket")
        assert stage.app.screen.detail.tab != first  # type: ignore[attr-defined]
        for width, height in ((60, 16), (200, 50), (20, 5), (80, 24)):
            await stage.pilot.resize_terminal(width, height)
            await stage.flush()
        source.disconnect()
        await stage.flush()
        await stage.press("escape")
        await stage.wait_until(lambda: not isinstance(stage.app.screen, FullViewScreen))


async def test_searching_in_the_output() -> None:
    """`/` looks for a text; what is not there is told."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1)]
    source.output = [{"seq": 1, "stream": 1, "data": b"".join(b"line %d\n" % index for index in range(100))}]
    async with console_driver(source, "jobs", size=(80, 24)) as stage:
        await stage.press("l")
        await stage.wait_until(lambda: "line 99" in stage.text)
        await stage.press("slash")
        await stage.type("line 17")
        await stage.press("enter")
        await stage.wait_until(lambda: "line 17" in stage.text)
        await stage.press("slash")
        await stage.type("nowhere")
        await stage.press("enter")
        await stage.wait_until(lambda: "nowhere" in stage.status_line)
