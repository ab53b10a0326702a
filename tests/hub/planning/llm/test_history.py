"""What is read along: as little as can be, one's own before others', and what of it taints."""

from __future__ import annotations

from dataclasses import replace

from common.plan import Plan, Step
from hub.core.inventory import Inventory, Machine
from hub.core.outcome import Exchange, PlanningContext
from hub.planning.llm.history import MAX_HISTORY, is_tainted, refers_to_history, relevant_history
from tests.each import each_of

FLEET = Inventory({name: Machine(name) for name in ("web-1", "web-2", "db-1")})
PLAN = Plan((Step(("df",), ("web-1",)),))
OWN = Exchange("disk on web-1", True, 1.0, PLAN)
OTHER = Exchange("run what I say", False, 2.0, PLAN)


def context(text: str, *thread: Exchange) -> PlanningContext:
    return PlanningContext(text, "en", "carol", ("operator",), FLEET, 10.0, thread)


@each_of(
    "text",
    [
        "and on web-2?", "same on db-1", "what about memory?", "restart it", "again", "do it on web-2 too", "yes",
        "再看看内存", "web-2 呢", "换成 web-2", "那台呢", "它的负载", "也查一下 db-1", "继续", "memory", "内存",
    ],
)  # fmt: skip
def test_what_leans_on_something_is_read_with_it(text: str) -> None:
    """In both languages."""
    assert refers_to_history(text, FLEET)
    assert relevant_history(context(text, OWN)) == (OWN,)


@each_of(
    "text",
    [
        "show the biggest folders beneath /var on web-1", "last 20 lines of the nginx log on web-1",
        "is there swap on db-1", "web-1 上最近有什么错误日志", "查看 db-1 上占用 3306 端口的进程",
        "why is role=web so slow",
    ],
)  # fmt: skip
def test_what_stands_alone_is_read_alone(text: str) -> None:
    """So that it finds its cached plan, whatever was said before."""
    assert relevant_history(context(text, OWN, OTHER)) == ()


def test_ones_own_words_are_enough() -> None:
    """Others' are read only where the person has said nothing here; empty ones never."""
    assert relevant_history(context("and on web-2?", OWN, OTHER)) == (OWN,)
    assert relevant_history(context("and on web-2?", OTHER)) == (OTHER,)
    assert relevant_history(context("and on web-2?", replace(OTHER, text=" "))) == ()
    assert len(relevant_history(context("again", *[OWN] * 12))) == MAX_HISTORY


def test_an_answer_to_a_question_back_is_read_with_it() -> None:
    """Whatever it looks like."""
    asked = replace(OWN, plan=None, answer="Which path?", asks=True)
    text = "the biggest folders beneath /var on web-1"
    assert relevant_history(context(text, asked)) == (asked,)
    assert relevant_history(context(text, asked, OWN)) == ()


def test_others_words_taint() -> None:
    """Their messages, plans made from such, and answers in which they took part."""
    assert not is_tainted((OWN,))
    assert is_tainted((OWN, OTHER))
    assert is_tainted((replace(OWN, plan=replace(PLAN, tainted=True)),))
    assert is_tainted((replace(OWN, plan=None, answer="so", tainted=True),))
