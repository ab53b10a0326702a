"""The palette: acts by name, and machines and requests while it is typed."""

from __future__ import annotations

from common.errors import WorkFailed
from tests.tui.fake_source import HOSTILE, FakeSource, agent_row, console_driver, request_row
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import TextField
from tui.dialogs.palette import PaletteDialog
from tui.model.saved_views import SavedView
from tui.terminal.sanitize import is_safe
from tui.widgets.choices import ChoiceList


async def test_an_act_that_is_named_like_a_screen_is_still_the_act() -> None:
    """Taking the act Approve approves the row under the cursor; it does not go to the screen of that name."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    async with console_driver(source, "approve") as stage:
        dialog = await stage.open_dialog("ctrl+p", PaletteDialog)
        assert "approve" in [choice.id for choice in dialog.choices]
        choices = dialog.query_one("#choices", ChoiceList)
        at = [choice.id for choice in choices.items].index("approve")
        choices.set_items(choices.items, index=at)
        await stage.press("enter")
        await stage.wait_until(lambda: isinstance(stage.app.screen, ApproveDialog))


async def test_every_act_that_is_on_can_be_taken() -> None:
    """What stands in the palette does something or says why not, whatever it is called."""
    async with console_driver() as stage:
        dialog = await stage.open_dialog("ctrl+p", PaletteDialog)
        assert len({choice.id for choice in dialog.choices}) == len(dialog.choices) > 20
        dialog.query_one("#search", TextField).value = "language"
        await stage.flush()
        await stage.press("enter")
        await stage.wait_closed()
        await stage.flush()
        assert stage.console.language == "zh"


async def test_machines_are_found_at_the_hub() -> None:
    """While it is typed the hub is asked; what it finds stands below, safe, and is gone to."""
    source = FakeSource()
    source.rows["agents"] = [agent_row("web-17"), agent_row(HOSTILE[3], id="h")]
    async with console_driver(source) as stage:
        dialog = await stage.open_dialog("ctrl+p", PaletteDialog)
        choices = dialog.query_one("#choices", ChoiceList)
        dialog.query_one("#search", TextField).value = "web-17"
        await stage.wait_until(lambda: any(choice.id == "agent web-17" for choice in choices.items))
        assert source.subscriptions["palette"]["filter"] == "name:*web-17*"
        await stage.flush()
        assert all(is_safe(line) for line in stage.text.split("\n"))
        choices.set_items(choices.items, index=[choice.id for choice in choices.items].index("agent web-17"))
        await stage.press("enter")
        await stage.wait_until(lambda: stage.app.current_mode == "agents")
        await stage.wait_until(lambda: source.subscriptions.get("agents", {}).get("filter") == "name:web-17")


async def test_a_request_by_its_number() -> None:
    """`r42` is offered as that request."""
    async with console_driver() as stage:
        dialog = await stage.open_dialog("ctrl+p", PaletteDialog)
        dialog.query_one("#search", TextField).value = "r42"
        await stage.flush()
        await stage.press("enter")
        await stage.wait_until(lambda: stage.app.current_mode == "approve")
        await stage.wait_until(lambda: "42" in stage.source.subscriptions.get("approve", {}).get("filter", ""))


async def test_a_hub_that_cannot_search() -> None:
    """The acts are there all the same; what is off says why."""
    async with console_driver(read_only=True) as stage:
        stage.source.answers["view"] = WorkFailed("no such view", "upgrade")
        dialog = await stage.open_dialog("ctrl+p", PaletteDialog)
        dialog.query_one("#search", TextField).value = "broadcast"
        for _ in range(4):
            await stage.flush()
        await stage.press("enter")
        assert stage.in_dialog
        assert dialog.note_text


async def test_a_saved_view_is_gone_to() -> None:
    """Found by its name, with its filter beside it; a file that cannot be read hides nothing else."""
    source = FakeSource()
    async with console_driver(source) as stage:
        stage.console.saved_views.put(SavedView("slow-ones", "jobs", "state:running", "-age"))
        dialog = await stage.open_dialog("ctrl+p", PaletteDialog)
        dialog.query_one("#search", TextField).value = "slow-ones"
        await stage.wait_until(lambda: "state:running" in stage.text)
        await stage.press("enter")
        await stage.wait_until(lambda: stage.app.current_mode == "jobs")
        await stage.wait_until(lambda: source.subscriptions.get("jobs", {}).get("filter") == "state:running")
