"""What follows from a commit, and who is told."""

from __future__ import annotations

from copy import deepcopy

import pytest

from hub.engine.effects import AgentEffects, EffectFanOut, Effects, split_for_agent
from hub.metrics import Metrics

NOTHING = AgentEffects([], [], [])


@pytest.mark.parametrize(
    ("effects", "own", "others"),
    [
        (Effects(), NOTHING, Effects()),
        (Effects(forgets={"web-1": ["a", "b"]}), AgentEffects(["a", "b"], [], []), Effects()),
        (Effects(forgets={"web-2": ["a"]}), NOTHING, Effects(forgets={"web-2": ["a"]})),
        (
            Effects(cancels=[("web-1", "a", False), ("web-2", "b", True), ("web-1", "c", True)]),
            AgentEffects([], [("a", False), ("c", True)], []),
            Effects(cancels=[("web-2", "b", True)]),
        ),
        (
            Effects(settled=[("web-2", "b"), ("web-1", "a")]),
            AgentEffects([], [], ["a"]),
            Effects(settled=[("web-2", "b")]),
        ),
        (
            Effects(wake={"web-1"}, replies=True, changed={"a"}, stages=[("run", 1.0)], failed=1, final_replies=["r"]),
            NOTHING,
            Effects(wake={"web-1"}, replies=True, changed={"a"}, stages=[("run", 1.0)], failed=1, final_replies=["r"]),
        ),
    ],
)
def test_an_agent_is_answered_what_concerns_it_and_nobody_else_is_told(
    effects: Effects, own: AgentEffects, others: Effects
) -> None:
    """Each part goes to one side, in its order; what was split is left as it was."""
    before = deepcopy(effects)
    assert split_for_agent(effects, "web-1") == (own, others)
    assert effects == before


def test_everybody_who_subscribed_is_told_in_order() -> None:
    """Each commit once; metrics first, by nobody's doing."""
    metrics, told = Metrics(), list[tuple[str, Effects]]()
    fan_out, effects = EffectFanOut(metrics), Effects(stages=[("run", 2.0)], log_events=[("job.ended", {"job": "J"})])
    for name in ("first", "second"):
        fan_out.subscribe(lambda published, name=name: told.append((name, published)))  # type: ignore[misc]
    fan_out.publish(effects)
    assert told == [("first", effects), ("second", effects)]
    assert metrics.registry.get_sample_value("answerback_stage_seconds_sum", {"stage": "run"}) == 2.0


def test_changes_of_machines_have_their_own_subscribers() -> None:
    """By the machine's name; a commit is no change of a machine."""
    fan_out, told = EffectFanOut(Metrics()), list[str]()
    fan_out.subscribe_agents(told.append)
    fan_out.publish(Effects(wake={"web-2"}))
    fan_out.publish_agent("web-1")
    assert told == ["web-1"]
