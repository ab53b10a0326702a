"""A person's word on a job whose outcome nobody knows."""

from __future__ import annotations

from tests.tui.scripted_source import ScriptedSource, job_row, staged
from tui.client import CallRefused
from tui.dialogs.settle import SettleDialog


async def test_enter_alone_leaves_it_as_it_is() -> None:
    """The first choice settles nothing; a move to the other ones says done or failed of exactly this job."""
    job = job_row(7, "unknown")
    async with staged() as stage:
        for keys, told in ((("enter",), None), (("right", "enter"), True), (("left", "enter"), False)):
            stage.source.calls.clear()
            came_to = await stage.show(SettleDialog(stage.console, job))
            await stage.press(*keys)
            await stage.closed()
            assert stage.source.asked("settle") == ([] if told is None else [{"job": job["id"], "done": told}])
            assert came_to == [None if told is None else "settled"]


async def test_by_keys_on_the_row_under_the_cursor() -> None:
    """`S` opens it for the unknown job; on a running one it says why not."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(7, "unknown"), job_row(8)]
    async with staged(source, "jobs") as stage:
        dialog = await stage.open("S", SettleDialog)
        assert dialog.job["id"] == job_row(7)["id"]
        await stage.press("escape")
        await stage.closed()
        await stage.press("down", "S")
        assert not stage.in_dialog
        assert stage.said


async def test_what_the_hub_refuses_is_told() -> None:
    """The machine has spoken meanwhile: it says so and takes nothing more."""
    async with staged() as stage:
        stage.source.answers["settle"] = CallRefused("state", "the machine says that it succeeded")
        dialog = SettleDialog(stage.console, job_row(7, "unknown"))
        await stage.show(dialog)
        await stage.press("right", "enter")
        await stage.answered("settle")
        assert "the machine says that it succeeded" in stage.text
        await stage.press("enter")
        assert len(stage.source.asked("settle")) == 1
