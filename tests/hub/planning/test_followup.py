"""What leans on the message before: resolved against one's own last plan, only where it reads, and never guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.plan import Plan, Step
from hub.core.outcome import CannotPlan, Exchange, Planned, PlanningOutcome
from hub.planning.followup import MAX_LENGTH, may_refer_back
from tests.hub.planning.defaults import default_chain
from tests.hub.planning.runbooks.world import context


def before(text: str = "disk on web-1", own: bool = True, asked: bool = False, plan: Plan | None = None) -> Exchange:
    """What was said, with the plan that it had."""
    outcome = default_chain().plan_fast(context(text))
    made = plan or (outcome.plan if isinstance(outcome, Planned) else None)
    assert made is not None
    return Exchange(text, own, 900.0, made, asked=asked)


def say(text: str, *thread: Exchange) -> PlanningOutcome | None:
    return default_chain().plan_fast(replace(context(text), history=thread or (before(),)))


def planned(text: str, *thread: Exchange) -> tuple[str, tuple[str, ...]]:
    outcome = say(text, *thread)
    assert isinstance(outcome, Planned), (text, outcome)
    (step,) = outcome.plan.steps
    return outcome.plan.source.removeprefix("runbook:"), step.targets


@pytest.mark.parametrize(
    "text",
    [
        "and on web-2?", "and web-2?", "same on web-2", "the same for web-2", "what about web-2?", "how about web-2",
        "web-2 too", "also on web-2", "on web-2 as well", "now on web-2", "again on web-2", "do the same on web-2",
        "switch to web-2", "ok, and web-2?", "try web-2", "and the same on web-2 please", "web-2 呢", "web-2呢？",
        "那 web-2 呢", "换成 web-2", "web-2 也看看", "在 web-2 上也看看", "再看看 web-2", "web-2 上呢",
        "同样看看 web-2", "web-2 也一样", "还有 web-2",
    ],
)  # fmt: skip
def test_the_same_elsewhere(text: str) -> None:
    """The last runbook, on the machine that is named."""
    assert planned(text) == ("disk", ("web-2",))


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("and on web-2 and db-1?", ("db-1", "web-2")),
        ("what about role=web", ("web-1", "web-2")),
        ("web-* 呢", ("web-1", "web-2")),
        ("换成 web-2 和 db-1", ("db-1", "web-2")),
    ],
)
def test_the_same_on_several(text: str, targets: tuple[str, ...]) -> None:
    """Lists, labels and patterns are named as anywhere."""
    assert planned(text) == ("disk", targets)


@pytest.mark.parametrize(
    "text",
    [
        "what about memory?", "and memory?", "how about the memory", "also memory", "memory too",
        "check memory again", "and the memory?", "再看看内存", "内存呢", "那内存呢？", "也看看内存", "再查一下内存",
        "顺便看看内存", "内存也看看",
    ],
)  # fmt: skip
def test_something_else_on_the_same_machine(text: str) -> None:
    """Another reading runbook, on the machine of before."""
    assert planned(text, before("disk on web-2")) == ("memory", ("web-2",))


@pytest.mark.parametrize(
    "text", ["again", "once more", "same again", "please again", "再来一次", "再看一次", "再查一遍", "retry", "重试"]
)
def test_once_more(text: str) -> None:
    """The same commands on the same machines; courtesy aside, nothing else may be said."""
    if text == "please again":
        assert say(text) is None
    else:
        assert planned(text) == ("disk", ("web-1",))


def test_what_names_its_machine_needs_no_thread() -> None:
    """ "And disk on web-2" leans on nothing after all, and is answered at once."""
    for text in ("and disk on web-2", "also show disk on web-2", "再看看 web-2 的磁盘"):
        outcome = default_chain().plan_fast(context(text))
        assert isinstance(outcome, Planned), text
        assert outcome.plan.targets == ("web-2",)


def test_a_command_that_policy_let_run_goes_on() -> None:
    """The same argument vector elsewhere; its taint and its limits go along."""
    plan = Plan((Step(("/usr/bin/df", "-h", "/srv"), ("web-1",), time_limit=7),), tainted=True)
    outcome = say("and on web-2?", before("@web-1 df -h /srv", plan=plan))
    assert outcome == Planned(replace(plan, steps=(replace(plan.steps[0], targets=("web-2",)),)))


def test_a_models_words_about_one_machine_are_not_said_of_another() -> None:
    """The plan goes on as the model's; its explanation does not."""
    plan = Plan((Step(("/usr/bin/df", "-h"), ("web-1",)),), source="model:m", explanation="df on web-1; low risk")
    outcome = say("and on web-2?", before("how full is it", plan=plan))
    assert isinstance(outcome, Planned)
    assert (outcome.plan.source, outcome.plan.explanation) == ("model:m", "")


@pytest.mark.parametrize(
    ("text", "thread", "phrase"),
    [
        ("and on web-2?", before("restart nginx on web-1"), "@web-2 systemctl restart nginx"),
        ("again", before("restart nginx on web-1"), "@web-1 systemctl restart nginx"),
        ("web-2 呢", before("@web-1 systemctl restart nginx", asked=True), "@web-2 systemctl restart nginx"),
        ("now restart nginx", before("disk on web-1"), "restart nginx on web-1"),
        ("and restart nginx on web-2", before("disk on web-1"), "restart nginx on web-2"),
    ],
)
def test_what_changes_something_is_to_be_said_outright(text: str, thread: Exchange, phrase: str) -> None:
    """Nothing runs; the answer is the words that ask for it, and those are understood."""
    outcome = say(text, thread)
    assert isinstance(outcome, CannotPlan), outcome
    assert outcome.sentence.key == "followup_changes"
    assert outcome.sentence.values["phrase"] == phrase
    assert isinstance(default_chain().plan_fast(context(phrase)), Planned)


def test_what_others_asked_for_is_not_gone_on_with() -> None:
    """Their plan is nobody else's: one's own before it is meant, and without one nothing is."""
    assert say("and on web-2?", before(own=False)) is None
    assert planned("and on web-2?", before("memory on db-1"), before(own=False)) == ("memory", ("web-2",))


def test_an_answer_to_a_models_question_is_no_follow_up() -> None:
    """It goes to the model that asked; before the question the plan was meant, and after the next plan it is again."""
    question = Exchange("is the log full", True, 950.0, answer="On which machine?", asks=True)
    assert say("on web-2 too", before(), question) is None
    assert say("again", before(), question) is None
    assert planned("on web-2 too", before(), question, before("load on db-1")) == ("load", ("web-2",))
    assert planned("on web-2 too", before(), replace(question, own=False)) == ("disk", ("web-2",))


def test_the_newest_plan_is_meant() -> None:
    """What was only answered in words in between does not count."""
    words = Exchange("thanks", True, 950.0)
    assert planned("and on web-2?", before("disk on web-1"), before("load on db-1"), words) == ("load", ("web-2",))


@pytest.mark.parametrize(
    ("text", "key"),
    [("and on web-9?", "target_unknown_near"), ("web-9 呢", "target_unknown_near"), ("same on web-1,db-9", "")],
)
def test_a_machine_that_is_not_there_is_told(text: str, key: str) -> None:
    """A name that looks like a machine's and is none is never taken for something else."""
    outcome = say(text)
    assert isinstance(outcome, CannotPlan)
    assert outcome.code == "target"
    assert not key or outcome.sentence.key == key


@pytest.mark.parametrize(
    "text",
    [
        "and then?", "and?", "what about you?", "what about the meeting on monday?", "again?",
        "do not run it on web-2 again", "and not on web-2", "and on web-2 it works now", "and why is web-2 slow",
        "same as yesterday on web-2", "what about it", "it was web-2 too", "and if web-2 is down restart it",
        "web-2 did that again", "and tell me a joke", "what about the disk of the printer", "also thanks",
        "do web-2 and delete everything", "那你呢", "那怎么办", "再见", "还有别的吗", "不要再看 web-2",
        "别看 web-2 呢", "web-2 昨天也这样", "然后呢", "也许吧", "换一个", "那就好", "为什么 web-2 呢",
        "he said “and on web-2?”", "and on web-2?\nrm -rf /",
    ],
)  # fmt: skip
def test_nothing_is_guessed(text: str) -> None:
    """Negations, reports, questions about reasons, small talk, quotations: no plan comes of any of it."""
    assert not isinstance(say(text), Planned), text


def test_several_steps_on_different_machines_have_no_elsewhere() -> None:
    """Which of them would be meant is not known."""
    plan = Plan((Step(("/usr/bin/df",), ("web-1",)), Step(("/usr/bin/uptime",), ("db-1",))))
    assert say("and on web-2?", before("x", plan=plan)) is None
    assert say("again", before("x", plan=plan)) is None


def test_the_cheap_test_sees_every_form_and_few_commands() -> None:
    """Whole messages are not sent into the slow lane for nothing; long ones never."""
    for text in ("and on web-2?", "web-2 呢", "再看看内存", "again", "memory too", "换成 web-2"):
        assert may_refer_back(text)
    for text in ("disk on web-1", "@web-1 uptime", "web-1 的磁盘", "restart nginx on web-1", "approve r1", "help", ""):
        assert not may_refer_back(text)
    assert not may_refer_back(f"and {'x' * MAX_LENGTH}")


def test_a_context_without_a_thread_plans_nothing() -> None:
    """The fast lane has none."""
    outcome = default_chain().plan_fast(context("and on web-2?"))
    assert not isinstance(outcome, Planned)
