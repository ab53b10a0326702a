"""The first screen."""

from __future__ import annotations

from tests.tui.fake_source import HOSTILE, NOW, FakeSource, agent_row, console_driver, event_row, job_row, request_row
from tui.dialogs.approve import ApproveDialog
from tui.terminal.sanitize import is_safe

LANES = [
    {"stage": name, "count": 3, "oldest": 9.0, "p50": 0.1, "state": "ok"} for name in ("queued", "running", "done")
]
NEEDS = [
    {"kind": "approve", "since": NOW, "number": 41, "who": "bob", "expires": NOW + 90, "second_factor": True},
    {"kind": "offline", "agent": "web-2", "since": NOW - 60},
]


def source_with(**overview: object) -> FakeSource:
    source = FakeSource()
    source.rows["requests"], source.rows["agents"] = [request_row(41)], [agent_row("web-2")]
    source.rows["activity"], source.rows["jobs"] = [event_row(1)], [job_row(1)]
    source.overview = {"lanes": LANES, "needs_you": NEEDS, "fleet": {"online": 5}, "counts": {"asking": 1}} | overview
    return source


async def test_what_needs_a_person_is_acted_on_from_here() -> None:
    """The approve key opens the plan that stands under the cursor, asked of the hub by its number."""
    async with console_driver(source_with()) as stage:
        await stage.wait_until(lambda: "r41" in stage.text)
        await stage.press("home")
        dialog = await stage.open_dialog("a", ApproveDialog)
        assert dialog.request.number == 41


async def test_enter_goes_to_where_it_is() -> None:
    """From what needs you to its screen, from a lane to its jobs."""
    async with console_driver(source_with()) as stage:
        await stage.wait_until(lambda: "r41" in stage.text)
        await stage.press("home", "enter")
        await stage.wait_until(lambda: stage.app.current_mode == "approve")
        await stage.open_mode("overview")
        stage.app.screen.query_one("#lanes").focus()
        await stage.press("home", "down", "enter")
        await stage.wait_until(lambda: "running" in stage.source.subscriptions.get("jobs", {}).get("filter", ""))


async def test_hostile_and_odd_overviews() -> None:
    """Whatever the hub says in it, the screen stands and is safe."""
    source = source_with()
    async with console_driver(source) as stage:
        odd = [None, 7, "x", [], {}, [None, 3, {}], {"a": [1]}, [{"kind": [], "number": {}, "stage": 5}], float("nan")]
        odd += [
            [{"kind": text, "who": text, "agent": text, "stage": text, "note": text, "argv": [text]}]
            for text in HOSTILE
        ]
        for value in odd:
            for field in ("lanes", "needs_you", "fleet", "counts", "paused", "hub"):
                source.overview = {field: value}
                stage.app.flush()
            await stage.flush()
            assert all(is_safe(line) for line in stage.text.split("\n"))
        assert stage.app.is_running
