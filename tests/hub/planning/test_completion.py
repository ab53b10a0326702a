"""A machine's name as the answer to "on which machine?"."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.core.judgement import bind_policy
from hub.core.outcome import CannotPlan, ChatCommand, Exchange, Planned, PlanningOutcome
from hub.planning.completion import WANTED, only_machines
from tests.hub.planning.defaults import default_chain, default_policy
from tests.hub.planning.runbooks.world import FLEET, context

CHECK = bind_policy(default_policy(), ("operator",), lambda name: {}, False)


def say(text: str, before: str = "", *, own: bool = True, refused: str = WANTED, asks: bool = False) -> PlanningOutcome:
    history = (Exchange(before, own, 1.0, refused=refused, asks=asks),) if before else ()
    return default_chain().plan(replace(context(text), history=history, check=CHECK))


@pytest.mark.parametrize(
    ("before", "text", "argv", "targets"),
    [
        ("disk", "web-1", "df -h", "web-1"),
        ("how full is the disk?", "on web-1", "df -h", "web-1"),
        ("df -h", "@web-1", "df -h", "web-1"),
        ("df -h", "web-1 please", "df -h", "web-1"),
        ("memory", "web-1 and web-2", "free -h", "web-1,web-2"),
        ("磁盘", "web-1 上", "df -h", "web-1"),
        ("看看内存", "在 web-1", "free -h", "web-1"),
    ],
)
def test_a_machine_completes_the_question(before: str, text: str, argv: str, targets: str) -> None:
    """What was asked, on the machines that were named."""
    outcome = say(text, before)
    assert isinstance(outcome, Planned), outcome
    assert outcome.plan.steps[0].argv == tuple(argv.split())
    assert outcome.plan.targets == tuple(targets.split(","))


def test_what_changes_a_machine_is_said_outright() -> None:
    """The answer is the phrase to send."""
    outcome = say("web-1", "restart nginx")
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.values["phrase"] == "restart nginx on web-1"


@pytest.mark.parametrize(
    "history",
    [
        {},
        {"before": "disk", "own": False},
        {"before": "disk", "refused": "grammar"},
        {"before": "a joke", "refused": "not_understood"},
    ],
)
def test_a_machine_alone_is_answered_with_what_can_be_asked(history: dict[str, object]) -> None:
    """Nobody else's question is completed, and none that did not ask for a machine."""
    assert say("web-1", **history) == ChatCommand("hello", phrase="web-1")  # type: ignore[arg-type]


def test_a_models_question_is_the_models_to_answer() -> None:
    """The name may be its answer."""
    outcome = say("web-1", "how are things", refused="", asks=True)
    assert not isinstance(outcome, (Planned, ChatCommand))


def test_looking_around_in_between_does_no_harm() -> None:
    """ "The list of machines, and then the name of one."""
    before = (Exchange("disk", True, 1.0, refused=WANTED), Exchange("machines", True, 2.0))
    outcome = default_chain().plan(replace(context("web-1"), history=before, check=CHECK))
    assert isinstance(outcome, Planned)


@pytest.mark.parametrize("text", ["web-9", "web-1 is slow", "mars attacks", "", "x" * 500])
def test_other_messages_are_no_machines(text: str) -> None:
    """Only names that exist, and nothing beside them."""
    assert not only_machines(text, FLEET)
