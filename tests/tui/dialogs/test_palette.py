"""The palette: acts by name, and machines and requests while it is typed."""

from __future__ import annotations

from common.errors import WorkFailed
from tests.tui.scripted_source import HOSTILE, ScriptedSource, agent_row, request_row, staged
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import Field
from tui.dialogs.palette import PaletteDialog
from tui.safety import is_safe
from tui.saved import View
from tui.widgets.choices import Choices


async def test_an_act_that_is_named_like_a_screen_is_still_the_act() -> None:
    """Taking the act Approve approves the row under the cursor; it does not go to the screen of that name."""
    source = ScriptedSource()
    source.rows["requests"] = [request_row(41)]
    async with staged(source, "approve") as stage:
        dialog = await stage.open("ctrl+p", PaletteDialog)
        assert "approve" in [choice.id for choice in dialog.choices]
        choices = dialog.query_one("#choices", Choices)
        at = [choice.id for choice in choices.choices].index("approve")
        choices.set_choices(choices.choices, at=at)
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, ApproveDialog))


async def test_every_act_that_is_on_can_be_taken() -> None:
    """What stands in the palette does something or says why not, whatever it is called."""
    async with staged() as stage:
        dialog = await stage.open("ctrl+p", PaletteDialog)
        assert len({choice.id for choice in dialog.choices}) == len(dialog.choices) > 20
        dialog.query_one("#search", Field).value = "language"
        await stage.settle()
        await stage.press("enter")
        await stage.closed()
        await stage.settle()
        assert stage.console.language == "zh"


async def test_machines_are_found_at_the_hub() -> None:
    """While it is typed the hub is asked; what it finds stands below, safe, and is gone to."""
    source = ScriptedSource()
    source.rows["agents"] = [agent_row("web-17"), agent_row(HOSTILE[3], id="h")]
    async with staged(source) as stage:
        dialog = await stage.open("ctrl+p", PaletteDialog)
        choices = dialog.query_one("#choices", Choices)
        dialog.query_one("#search", Field).value = "web-17"
        await stage.until(lambda: any(choice.id == "agent web-17" for choice in choices.choices))
        assert source.views["palette"]["filter"] == "name:*web-17*"
        await stage.settle()
        assert all(is_safe(line) for line in stage.text.split("\n"))
        choices.set_choices(choices.choices, at=[choice.id for choice in choices.choices].index("agent web-17"))
        await stage.press("enter")
        await stage.until(lambda: stage.app.current_mode == "agents")
        await stage.until(lambda: source.views.get("agents", {}).get("filter") == "name:web-17")


async def test_a_request_by_its_number() -> None:
    """`r42` is offered as that request."""
    async with staged() as stage:
        dialog = await stage.open("ctrl+p", PaletteDialog)
        dialog.query_one("#search", Field).value = "r42"
        await stage.settle()
        await stage.press("enter")
        await stage.until(lambda: stage.app.current_mode == "approve")
        await stage.until(lambda: "42" in stage.source.views.get("approve", {}).get("filter", ""))


async def test_a_hub_that_cannot_search() -> None:
    """The acts are there all the same; what is off says why."""
    async with staged(read_only=True) as stage:
        stage.source.answers["view"] = WorkFailed("no such view", "upgrade")
        dialog = await stage.open("ctrl+p", PaletteDialog)
        dialog.query_one("#search", Field).value = "broadcast"
        for _ in range(4):
            await stage.settle()
        await stage.press("enter")
        assert stage.in_dialog
        assert dialog.noted


async def test_a_saved_view_is_gone_to() -> None:
    """Found by its name, with its filter beside it; a file that cannot be read hides nothing else."""
    source = ScriptedSource()
    async with staged(source) as stage:
        stage.console.saved.put(View("slow-ones", "jobs", "state:running", "-age"))
        dialog = await stage.open("ctrl+p", PaletteDialog)
        dialog.query_one("#search", Field).value = "slow-ones"
        await stage.until(lambda: "state:running" in stage.text)
        await stage.press("enter")
        await stage.until(lambda: stage.app.current_mode == "jobs")
        await stage.until(lambda: source.views.get("jobs", {}).get("filter") == "state:running")
