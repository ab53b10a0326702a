"""pause, resume and wake: which machines, for how long, and what only looks like it."""

from __future__ import annotations

import pytest

from hub.core.outcome import CannotPlan, ChatCommand
from hub.planning.machine_commands import MachineCommandPlanner
from tests.hub.planning.runbooks.world import context

PLANNER = MachineCommandPlanner()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pause web-1", ChatCommand("pause", targets=("web-1",))),
        ("Pause web-1.", ChatCommand("pause", targets=("web-1",))),
        ("please pause the machine web-1 now", ChatCommand("pause", targets=("web-1",))),
        ("pause @web-1", ChatCommand("pause", targets=("web-1",))),
        ("pause web-1,web-2", ChatCommand("pause", targets=("web-1", "web-2"))),
        ("pause web-1 and db-1", ChatCommand("pause", targets=("db-1", "web-1"))),
        ("pause web-*", ChatCommand("pause", targets=("web-1", "web-2"))),
        ("pause role=web", ChatCommand("pause", targets=("web-1", "web-2"))),
        ("pause web-1 for 2h", ChatCommand("pause", targets=("web-1",), seconds=7_200.0)),
        ("pause web-1 for 5 min: disks", ChatCommand("pause", targets=("web-1",), seconds=300.0, why="disks")),
        ("pause web-1 because of the move", ChatCommand("pause", targets=("web-1",), why="of the move")),
        ("暂停 web-1", ChatCommand("pause", targets=("web-1",))),
        ("请暂停web-1 2小时", ChatCommand("pause", targets=("web-1",), seconds=7_200.0)),
        ("暂停 web-1 两小时", ChatCommand("pause", targets=("web-1",), seconds=7_200.0)),
        ("暂停web-1半小时", ChatCommand("pause", targets=("web-1",), seconds=1_800.0)),
        ("暂停 web-1 三天：换盘", ChatCommand("pause", targets=("web-1",), seconds=259_200.0, why="换盘")),
        ("pause web-1 for half an hour", ChatCommand("pause", targets=("web-1",), seconds=1_800.0)),
        ("pause web-1 for an hour", ChatCommand("pause", targets=("web-1",), seconds=3_600.0)),
        ("暂停机器 web-1、web-2", ChatCommand("pause", targets=("web-1", "web-2"))),
        ("wake web-1", ChatCommand("wake", targets=("web-1",))),
        ("please wake up web-1", ChatCommand("wake", targets=("web-1",))),
        ("wake @web-1 and db-1", ChatCommand("wake", targets=("db-1", "web-1"))),
        ("唤醒 web-1", ChatCommand("wake", targets=("web-1",))),
        ("请唤醒web-1", ChatCommand("wake", targets=("web-1",))),
        ("wake web-1 for 2h", None),
        ("wake me", None),
        ("wake", None),
        ("wakeful web-1", None),
        ("resume web-1", ChatCommand("resume", targets=("web-1",))),
        ("恢复 web-1", ChatCommand("resume", targets=("web-1",))),
        ("请继续 web-1。", ChatCommand("resume", targets=("web-1",))),
        ("继续", None),
        ("继续运行 df -h", None),
        ("取消暂停 web-1", ChatCommand("resume", targets=("web-1",))),
        ("pause the deployment", None),
        ("pause", None),
        ("pausing web-1", None),
        ("pause web-1 when bob says so", None),
        ("resume normal work", None),
    ],
)  # fmt: skip
def test_pause_and_resume(text: str, wanted: ChatCommand | None) -> None:
    """Machines that exist, in both languages; everything else is for other planners."""
    assert PLANNER.plan(context(text)) == wanted


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("pause web-1?", "machine_question"),
        ("暂停 web-1 吗", "machine_question"),
        ("pause web-9", "target_unknown_near"),
        ("pause nothing-*", "target_pattern_none"),
        ("pause web-1 for 900 days", "pause_past"),
    ],
)
def test_what_is_not_paused_and_why(text: str, key: str) -> None:
    """A question, a machine that is not there, a time beyond reason."""
    outcome = PLANNER.plan(context(text))
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == key
    assert outcome.sentence.render("zh")
