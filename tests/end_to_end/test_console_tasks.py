"""Five things an operator does at 3 a.m., by keys alone, on a real hub with real machines: the console runs in a pty,
and what counts is what stands on the screen.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.api.codec import decode
from common.api.plans import StepView
from common.catalogue import Language, translate
from tests.end_to_end.pty_terminal import PtyTerminal
from tests.end_to_end.system import SystemHarness
from tui.dialogs.dialog import Dialog
from tui.model.plan_text import render_plan
from tui.terminal.key_repeat import KeyRepeat

SIZES = ((80, 24), (120, 36), (60, 16))
LANGUAGES: tuple[Language, ...] = ("en", "zh")
OVER = 7_300.0
KEYS = {"find_and_kill": 7, "decide": 8, "pause_the_lane": 9, "who_changed_it": 4, "lose_the_link": 3}
"""Keys that each task takes, words of one's own included."""


@pytest.fixture
async def rig() -> AsyncIterator[SystemHarness]:
    """As the other tests', in a folder of a short name: at 60 columns a plan's paths are to be as long as real ones."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        async with SystemHarness(Path(folder)) as made:
            await made.init()
            yield made
            made.check_at_most_once()


@dataclass
class Desk:
    """The console of alice, an admin, and the world behind it."""

    rig: SystemHarness
    terminal: PtyTerminal
    language: Language
    safe: int  # a request that anyone would approve
    risky: int  # one that nobody should
    edited: int  # one whose plan bob has changed
    name: str  # of the captures

    def say(self, key: str, **values: Any) -> str:
        return translate(self.language, key, **values)

    def capture(self, step: str) -> None:
        self.terminal.capture(f"{self.name}-{step}")

    async def dialog(self, *texts: str) -> None:
        await self.terminal.wait_past_guard(Dialog.GUARD_SECONDS, *texts)

    def job(self, agent: str) -> dict[str, Any]:
        with contextlib.closing(sqlite3.connect(self.rig.hub_dir / "data" / "answerback.sqlite")) as db:
            db.row_factory = sqlite3.Row
            found = db.execute("SELECT * FROM jobs WHERE agent = ? ORDER BY id", (agent,)).fetchone()
            return dict(found)

    def request(self, number: int) -> dict[str, Any]:
        found = self.rig.read(lambda txn: txn.request_by_number(number))
        assert found is not None
        return {"state": found.state, "reason": found.reason}


async def find_and_kill(desk: Desk) -> int:
    """The stuck job among those that run: `2` jobs, `!` problems only, `g` to hold the list still, `K`,
    right, enter, and `esc` to leave when the machine has said that it is over: 7 keys."""
    seen, before = desk.terminal, desk.terminal.key_count
    await seen.press("2")
    await seen.wait_for_line("web-1", desk.say("console_job_running"))
    desk.capture("a1-jobs")
    await seen.press("!")
    await seen.wait_no_line("web-1", desk.say("console_job_running"))
    await seen.wait_for_line("db-1", desk.say("console_job_stuck"))
    desk.capture("a2-problems")
    await seen.press("g")  # the list follows what comes; now it stands still, and no other row can be meant
    await seen.wait_no_line("is:bad,stuck", desk.say("console_following"))
    await seen.press("K")
    await desk.dialog(desk.say("console_kill_title", count="#").split("#")[0])
    desk.capture("a3-kill")
    await seen.press("right", "enter")
    await seen.wait_for_line(desk.say("console_stop_ended", state=desk.say("console_job_cancelled")))
    desk.capture("a4-killed")
    assert desk.job("db-1")["state"] == "cancelled"
    assert desk.job("web-1")["state"] == "running"
    await seen.press("escape")
    await seen.wait_no_line(desk.say("console_stop_ended", state=desk.say("console_job_cancelled")))
    return seen.key_count - before


async def decide(desk: Desk) -> int:
    """`3` approve, `a`, right, enter: the safe one, which stands first since it expires first. Then `x` on the other,
    `x` again, since it stands where the first one stood, down to a reason, enter: 8 keys."""
    seen, before = desk.terminal, desk.terminal.key_count
    await seen.press("3")
    await seen.wait_for_line(">", f"r{desk.safe}")
    await seen.wait_guard(KeyRepeat.REPEAT_WITHIN)
    desk.capture("b1-waiting")
    await seen.press("a")
    await desk.dialog(desk.say("console_approve_title", number=desk.safe))
    await seen.wait_for_line("clean-cache")
    desk.capture("b2-approve")
    await seen.press("right", "enter")
    await seen.wait_no_line(desk.say("console_approve_title", number=desk.safe))
    await seen.wait_for_line(">", f"r{desk.risky}")
    desk.capture("b3-approved")
    await seen.press("x")  # the row before has just left from under the cursor: asked whether this one is meant
    await seen.wait_for_line(desk.say("console_row_passed", gone="", what="#").split("#")[0].strip()[:20])
    desk.capture("b4-another-row")
    await seen.wait_guard(KeyRepeat.REPEAT_WITHIN)
    await seen.press("x")
    await desk.dialog(desk.say("console_reject_title", number=desk.risky))
    desk.capture("b4-reject")
    await seen.press("down", "enter")
    await seen.wait_no_line(desk.say("console_reject_title", number=desk.risky))
    await seen.wait_for_line(">", f"r{desk.edited}")
    desk.capture("b5-rejected")
    assert desk.request(desk.safe)["state"] in ("working", "done")
    assert desk.request(desk.risky)["state"] == "rejected"
    assert desk.say("console_reject_too_broad") in desk.request(desk.risky)["reason"]
    assert not (desk.rig.folder / "dropped").exists()
    return seen.key_count - before


async def pause_the_lane(desk: Desk) -> int:
    """`1` overview, shift+tab to the lanes, `P`, tab, enter: 5 keys, and 4 for the reason's words."""
    seen, before = desk.terminal, desk.terminal.key_count
    await seen.press("1")
    await seen.wait_for_line(desk.say("console_lane_queued"))
    await seen.press("shift+tab")
    await seen.wait_for_line(f">{desk.say('console_lane_received')}")
    await seen.press("P")
    await desk.dialog(desk.say("console_pause_title", what=desk.say("console_whole_queue")))
    desk.capture("c1-pause")
    await seen.type("3 am")
    await seen.press("tab")
    await seen.wait_until(lambda: seen.has_caret(desk.say("console_field_until")), "the caret on the next field")
    await seen.press("enter")
    await seen.wait_for_line(desk.say("console_lane_queued"), desk.say("console_lane_is_paused"))
    desk.capture("c2-paused")
    _, out, _ = await desk.rig.operator("queue", "--json")
    assert json.loads(out)["paused"]["reason"] == "3 am"
    return seen.key_count - before


async def who_changed_it(desk: Desk) -> int:
    """`3` approve, the request under the cursor, `A` its audit, which says bob: 2 keys; `G` and enter for what
    exactly was changed: 4 keys."""
    seen, before = desk.terminal, desk.terminal.key_count
    await seen.press("3")
    await seen.wait_for_line(">", f"r{desk.edited}")
    desk.capture("d1-request")
    await seen.press("A")
    await seen.wait_for_line(desk.say("console_event_request_edited", who="bob", was="#", why="").split("#")[0])
    desk.capture("d2-audit")
    await seen.press("G", "enter")
    await seen.wait_for_line("actor" if desk.language == "en" else "操作者", "bob")
    await seen.wait_for_line("+run:")
    await seen.wait_for_line("keep-newest")
    await seen.wait_for_line("too much")
    desk.capture("d3-change")
    return seen.key_count - before


async def lose_the_link(desk: Desk) -> int:
    """The hub dies: the age of what is shown, grey, acts refused with the reason. It is back: so is the console, by
    itself, and the act is done: no key for that. `4`, `P` in vain, `P`: 3 keys."""
    seen, before = desk.terminal, desk.terminal.key_count
    await seen.press("4")
    await seen.wait_for_line("web-1", desk.say("console_agent_online"))
    desk.capture("e0-live")
    bright = seen.colours("web-1")
    await desk.rig.programs["hub"].stop(signal.SIGKILL)
    lost = desk.say("console_link_lost", age="#", seconds="#").split("#")[0].strip()
    await seen.wait_for_line(lost)
    await seen.wait_for_line(desk.say("console_status_lost", age="#", why="#").split("#")[0])
    desk.capture("e1-lost")
    await seen.wait_for_line(desk.say("console_link_lost", age="2s", seconds="#").split("#")[0].strip())
    assert "web-1" in seen.text
    assert seen.colours("web-1") != bright
    await seen.press("P")
    await seen.wait_for_line(desk.say("console_off_lost", age="#").split("#")[0].strip())
    desk.capture("e2-refused")
    await desk.rig.start_hub()
    await seen.wait_no_line(lost, within=40)
    await seen.wait_for_line(desk.say("plain_back", age="#").split("#")[0].strip())
    await desk.rig.wait_until(lambda: desk.rig.online("web-1"))
    await seen.wait_for_line("web-1", desk.say("console_agent_online"))
    await seen.wait_until(lambda: seen.colours("web-1") == bright, "the colours of live data")
    desk.capture("e3-back")
    await seen.press("P")
    await desk.dialog(desk.say("console_pause_title", what=""))
    desk.capture("e4-acts-again")
    return seen.key_count - before


async def build(rig: SystemHarness) -> dict[str, int]:
    """Two machines; jobs that run, one of them far over its time; a safe request, a risky one, one that was edited."""
    rig.add_program("dump-db", "echo 'dumping public.events 完成 50%'; exec sleep 900\n", more="time_limit = 3600")
    rig.add_program("reindex", "echo step 1 of 900; exec sleep 900\n", more="time_limit = 3600")
    rig.add_program("clean-cache", f"echo cleaned >> {rig.folder}/cleaned\n", verdict="ask")
    rig.add_program("drop-tables", f"echo dropped >> {rig.folder}/dropped\n", verdict="ask")
    await rig.start_hub()
    for name, label in (("web-1", "role=web"), ("db-1", "role=db")):
        await rig.add_agent(name, label)
    await rig.post("bob", "@db-1 dump-db nightly")
    await rig.post("carol", "@web-1 reindex products")
    found = {}
    for name, text in (
        ("safe", "@web-1 clean-cache thumbnails"),
        ("risky", "@db-1 drop-tables orders customers"),
        ("before", "@web-1 clean-cache everything"),
    ):
        event, _, answer = await rig.post("carol", text)
        await rig.receiver.wait_question(event)
        found[name] = answer["number"]
    found["edited"] = await edit_as_bob(rig, found.pop("before"))

    async def running() -> bool:
        return sum(event["kind"] == "job.started" for event in rig.events()) == 2

    await rig.wait_until(running)
    with contextlib.closing(sqlite3.connect(rig.hub_dir / "data" / "answerback.sqlite")) as db:
        # As if its machine had missed the end of its time two hours ago.
        db.execute("UPDATE jobs SET started_at = started_at - ?, time_limit = 600 WHERE agent = 'db-1'", (OVER,))
        db.commit()
    return found


async def edit_as_bob(rig: SystemHarness, number: int) -> int:
    """Bob logs in and changes the plan; the number of the request that it has become."""
    _, out, _ = await rig.hub("operator", "add", "bob", "--role", "approver", "--json")
    invited = json.loads(out)
    profile = ["--profile", str(rig.folder / "bob")]
    pin = ["--token", invited["token"], "--ca-pin", invited["ca_pin"]]
    await rig.run("tui", "login", invited["url"], *pin, *profile)
    _, out, _ = await rig.operator("request", f"r{number}", "--json")
    plan = Path(rig.folder / "edited.plan")
    steps = [decode(StepView, step) for step in json.loads(out)["plan"]["steps"]]
    plan.write_text(render_plan(steps).replace("everything", "old keep-newest"))
    _, out, _ = await rig.run(
        "tui", *profile, "edit", f"r{number}", "--file", str(plan), "--yes", "--json", "--why", "too much"
    )
    return int(json.loads(out)["number"])


async def five_tasks(rig: SystemHarness, columns: int, rows: int, language: Language) -> dict[str, int]:
    found = await build(rig)
    argv = [sys.executable, "-m", "tui", "--profile", str(rig.hub_dir / "profile"), "console", "--language", language]
    async with PtyTerminal(argv, columns, rows) as terminal:
        name = f"{columns}x{rows}-{language}"
        desk = Desk(rig, terminal, language, found["safe"], found["risky"], found["edited"], name)
        await terminal.wait_for_line(desk.say("console_job_stuck"))
        desk.capture("0-overview")
        tasks = (find_and_kill, decide, pause_the_lane, who_changed_it, lose_the_link)
        return {task.__name__: await task(desk) for task in tasks}


@pytest.mark.timeout(400)  # five tasks at a real terminal: 50 s alone, several times that on a machine that is busy
async def test_five_tasks_by_keys_alone(rig: SystemHarness) -> None:
    """At 80x24 in English each task is done, with the keys that its docstring counts."""
    assert await five_tasks(rig, 80, 24, "en") == KEYS


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("columns", "rows"), SIZES)
async def test_five_tasks_at_every_size_and_language(
    rig: SystemHarness, columns: int, rows: int, language: Language
) -> None:
    """The same at 80x24, 120x36 and 60x16, in English and Chinese."""
    assert await five_tasks(rig, columns, rows, language) == KEYS
