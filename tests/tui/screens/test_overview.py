"""The first screen."""

from __future__ import annotations

from tests.tui.scripted_source import HOSTILE, NOW, ScriptedSource, agent_row, event_row, job_row, request_row, staged
from tui.dialogs.approve import ApproveDialog
from tui.safety import is_safe

LANES = [
    {"stage": name, "count": 3, "oldest": 9.0, "p50": 0.1, "state": "ok"} for name in ("queued", "running", "done")
]
NEEDS = [
    {"kind": "approve", "number": 41, "who": "bob", "expires": NOW + 90, "argv": ["id"], "second_factor": True},
    {"kind": "offline", "agent": "web-2", "since": NOW - 60},
]


def source_with(**overview: object) -> ScriptedSource:
    source = ScriptedSource()
    source.rows["requests"], source.rows["agents"] = [request_row(41)], [agent_row("web-2")]
    source.rows["activity"], source.rows["jobs"] = [event_row(1)], [job_row(1)]
    source.overview = {"lanes": LANES, "needs_you": NEEDS, "fleet": {"online": 5}, "counts": {"asking": 1}} | overview
    return source


async def test_what_needs_a_person_is_acted_on_from_here() -> None:
    """The approve key opens the plan that stands under the cursor, asked of the hub by its number."""
    async with staged(source_with()) as stage:
        await stage.until(lambda: "r41" in stage.text)
        await stage.press("home")
        dialog = await stage.open("a", ApproveDialog)
        assert dialog.request["number"] == 41


async def test_enter_goes_to_where_it_is() -> None:
    """From what needs you to its screen, from a lane to its jobs."""
    async with staged(source_with()) as stage:
        await stage.until(lambda: "r41" in stage.text)
        await stage.press("home", "enter")
        await stage.until(lambda: stage.app.current_mode == "approve")
        await stage.go("overview")
        stage.app.screen.query_one("#lanes").focus()
        await stage.press("home", "down", "enter")
        await stage.until(lambda: "running" in stage.source.views.get("jobs", {}).get("filter", ""))


async def test_hostile_and_odd_overviews() -> None:
    """Whatever the hub says in it, the screen stands and is safe."""
    source = source_with()
    async with staged(source) as stage:
        odd = [None, 7, "x", [], {}, [None, 3, {}], {"a": [1]}, [{"kind": [], "number": {}, "stage": 5}], float("nan")]
        odd += [
            [{"kind": text, "who": text, "agent": text, "stage": text, "note": text, "argv": [text]}]
            for text in HOSTILE
        ]
        for value in odd:
            for field in ("lanes", "needs_you", "fleet", "counts", "paused", "hub"):
                source.overview = {field: value}
                stage.app.flush()
            await stage.settle()
            assert all(is_safe(line) for line in stage.text.split("\n"))
        assert stage.app.is_running
