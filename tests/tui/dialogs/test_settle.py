"""A person's word on a job whose outcome nobody knows."""

from __future__ import annotations

from tests.tui.fake_source import FakeSource, console_driver, job_row
from tests.tui.rows import job
from tui.client.errors import CallRefused
from tui.dialogs.settle import ReconcileDialog


async def test_enter_alone_leaves_it_as_it_is() -> None:
    """The first choice settles nothing; a move to the other ones says done or failed of exactly this job."""
    unknown = job(7, "unknown")
    async with console_driver() as stage:
        for keys, told in ((("enter",), None), (("right", "enter"), True), (("left", "enter"), False)):
            stage.source.calls.clear()
            came_to = await stage.push_dialog(ReconcileDialog(stage.console, unknown))
            await stage.press(*keys)
            await stage.wait_closed()
            assert stage.source.calls_of("settle") == ([] if told is None else [{"job": unknown.id, "done": told}])
            assert came_to == [None if told is None else "settled"]


async def test_by_keys_on_the_row_under_the_cursor() -> None:
    """`S` opens it for the unknown job; on a running one it says why not."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(7, "unknown"), job_row(8)]
    async with console_driver(source, "jobs") as stage:
        dialog = await stage.open_dialog("S", ReconcileDialog)
        assert dialog.job.id == job_row(7)["id"]
        await stage.press("escape")
        await stage.wait_closed()
        await stage.press("down", "S")
        assert not stage.in_dialog
        assert stage.status_line


async def test_what_the_hub_refuses_is_told() -> None:
    """The machine has spoken meanwhile: it says so and takes nothing more."""
    async with console_driver() as stage:
        stage.source.answers["settle"] = CallRefused("state", "the machine says that it succeeded")
        dialog = ReconcileDialog(stage.console, job(7, "unknown"))
        await stage.push_dialog(dialog)
        await stage.press("right", "enter")
        await stage.wait_answered("settle")
        assert "the machine says that it succeeded" in stage.text
        await stage.press("enter")
        assert len(stage.source.calls_of("settle")) == 1
