"""The matcher on what people type: the set in `phrasings`, and what becomes of it when its meaning is turned around."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from hub.core.outcome import Planned
from hub.planning.runbooks.matcher import RunbookMatcher
from hub.planning.runbooks.tokens import word_set
from tests.hub.planning.defaults import default_chain
from tests.hub.planning.runbooks import phrasing_set
from tests.hub.planning.runbooks.phrasing_set import Phrasing, context, score

RUNBOOKS: RunbookMatcher = default_chain().runbooks
ALL = phrasing_set.read()
TO_PLAN = [one for one in ALL if one.want == "plan"]


def test_the_set_is_a_fair_one() -> None:
    """Large, in both languages, a third of it hard negatives at least, no message twice, every runbook asked for."""
    assert len(ALL) >= 900
    counts = Counter(one.language for one in ALL)
    assert min(counts["en"], counts["zh"]) >= 350
    assert len(TO_PLAN) <= 0.65 * len(ALL)
    assert len({one.text for one in ALL}) == len(ALL)
    named = {runbook.name for runbook in RUNBOOKS.runbooks}
    assert {one.about for one in ALL if one.want != "nothing"} == named
    for one in TO_PLAN:
        assert one.plan(RUNBOOKS) is not None, one
        assert set(one.targets) <= phrasing_set.MACHINES.machines.keys(), one


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("held_out", [False, True])
def test_precision_comes_first(language: str, held_out: bool) -> None:
    """At least 0.99 of what is planned is what was meant, and at least 0.8 of what was meant is planned."""
    found = score(RUNBOOKS, [one for one in ALL if one.language == language and one.held_out is held_out])
    assert found.precision >= 0.99, "\n".join(found.wrong)
    assert found.recall >= 0.8, "\n".join(found.missed)
    assert found.asking >= 0.7, "\n".join(found.unasked)


def test_nothing_that_changes_a_machine_is_planned_but_word_for_word() -> None:
    """Whatever else a message is like."""
    for one in ALL:
        outcome = RUNBOOKS.plan(context(one.text))
        if isinstance(outcome, Planned) and outcome.plan.source in ("runbook:restart-service", "runbook:reboot"):
            assert one.want == "plan", one.text
            assert RUNBOOKS.plan_exactly(context(one.text)) == outcome


JOINTS = (" and ", ", ", " then ", "，", "和", ". ", " ")
POISON = sorted(
    word_set(
        "not don't never no yesterday unless why tomorrow said were later stop delete kill remove except instead but "
        "then or because until should bob wrong again ago enable "
        "不 别 不要 昨天 如果 为什么 明天 说 删除 清理 停止 怎么 刚 先 等 若 加 关 清 换 因为 但 或 杀"
    )
)


def test_one_word_that_turns_it_around_and_it_is_not_planned() -> None:
    """Not, yesterday, if, delete, 别, 昨天 … put in anywhere; of two hundred hardly one is planned."""
    chance = random.Random(4)
    planned = []
    for _ in range(3_000):
        one = chance.choice(TO_PLAN)
        words = one.text.split()
        words.insert(chance.randrange(len(words) + 1), chance.choice(POISON))
        text = " ".join(words)
        outcome = RUNBOOKS.plan(context(text))
        if isinstance(outcome, Planned):
            planned.append(f"{text} => {outcome.plan.source}")
            assert outcome.plan.source not in ("runbook:restart-service", "runbook:reboot"), text
    assert len(planned) <= 15, "\n".join(planned)


def test_two_requests_in_one_are_not_planned_as_one() -> None:
    """Joined by and, then, a comma or nothing."""
    chance = random.Random(5)
    planned = []
    for _ in range(3_000):
        one, other = chance.sample(TO_PLAN, 2)
        if one.about != other.about:
            text = one.text.rstrip("?？!！. ") + chance.choice(JOINTS) + other.text
            outcome = RUNBOOKS.plan(context(text))
            if isinstance(outcome, Planned):
                planned.append(f"{text} => {outcome.plan.source}")
    assert len(planned) <= 15, "\n".join(planned)


def test_a_line_of_the_set_is_read() -> None:
    """Its three forms; anything else is refused."""
    parsed = phrasing_set.parse("size of /a on web-1 => size web-1,web-2 path=/a", "en")
    assert parsed == Phrasing("size of /a on web-1", "en", "plan", "size", ("web-1", "web-2"), (("path", "/a"),))
    assert phrasing_set.parse("disk => ? disk", "en") == Phrasing("disk", "en", "question", "disk")
    assert phrasing_set.parse("no => - why not", "en", True) == Phrasing(
        "no", "en", "nothing", "why not", held_out=True
    )
    with pytest.raises(ValueError):
        phrasing_set.parse("disk on web-1", "en")
