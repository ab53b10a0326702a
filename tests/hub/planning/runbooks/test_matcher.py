"""Which runbook a message means; most of all, which it does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Language
from common.plan import Step
from hub.core.inventory import Inventory, Machine, sample_machine
from hub.core.outcome import CannotPlan, Planned, PlanningOutcome
from hub.planning.runbooks.file import parse_runbooks
from hub.planning.runbooks.matcher import RunbookMatcher
from hub.planning.runbooks.runbook import Runbook, Template
from hub.planning.runbooks.slots import RunbookSlot
from tests.each import each_of
from tests.hub.planning.runbooks.world import FLEET, context

BODY: dict[str, Any] = {
    "never_values": ["disk"],
    "runbooks": {
        "disk": {
            "title": {"en": "disk"},
            "steps": [["df", "-h"]],
            "examples": {
                "en": ["disk on {machine}", "how full is the disk on {machine}", "{machine}'s disk"],
                "zh": ["{machine} 的磁盘", "在 {machine} 上查看磁盘"],
            },
        },
        "size": {
            "title": {"en": "size"},
            "steps": [["du", "-sh", "{path}"]],
            "slots": {"path": {"type": "path"}},
            "examples": {"en": ["size of {path} on {machine}"], "zh": ["{machine} 上 {path} 有多大"]},
        },
        "service": {
            "title": {"en": "status"},
            "steps": [["systemctl", "status", "{unit}"]],
            "slots": {"unit": {"type": "unit", "sample": "nginx"}},
            "examples": {"en": ["status of {unit} on {machine}", "is {unit} running on {machine}"]},
        },
        "logs": {
            "title": {"en": "logs"},
            "steps": [["journalctl", "-u", "{unit}", "-n", "{lines}"]],
            "slots": {
                "unit": {"type": "unit", "sample": "nginx"},
                "lines": {"type": "int", "default": "50", "low": 1, "high": 500},
            },
            "examples": {"en": ["logs of {unit} on {machine}", "last {lines} lines of {unit} logs on {machine}"]},
        },
        "restart": {
            "title": {"en": "restart"},
            "changes": True,
            "steps": [["systemctl", "restart", "{unit}"]],
            "slots": {"unit": {"type": "unit", "sample": "nginx"}},
            "examples": {"en": ["restart {unit} on {machine}"], "zh": ["重启 {machine} 上的 {unit}"]},
        },
    },
}
RUNBOOKS = parse_runbooks(BODY, Path("runbooks.toml"))


def outcome_of(text: str, inventory: Inventory = FLEET) -> PlanningOutcome | None:
    return RUNBOOKS.plan(context(text, inventory))


def step_of(text: str) -> Step:
    outcome = outcome_of(text)
    assert isinstance(outcome, Planned), outcome
    return outcome.plan.steps[0]


def refusal_of(text: str, inventory: Inventory = FLEET) -> CannotPlan:
    outcome = outcome_of(text, inventory)
    assert isinstance(outcome, CannotPlan), outcome
    return outcome


@each_of(
    ("text", "argv"),
    [
        ("disk on web-1", ("df", "-h")),
        ("Disk on WEB-1?", ("df", "-h")),
        ("please show me the disk on web-1, thanks", ("df", "-h")),
        ("How full is the disk on the server web-1?", ("df", "-h")),
        ("web-1's disk", ("df", "-h")),
        ("disk on @web-1", ("df", "-h")),
        ("看看web-1的磁盘", ("df", "-h")),
        ("麻烦在 web-1 上查看一下磁盘，谢谢", ("df", "-h")),
        ("size of /var/log/ on web-1", ("du", "-sh", "/var/log")),
        ("web-1 上/var/log有多大？", ("du", "-sh", "/var/log")),
        ("status of nginx on web-1", ("systemctl", "status", "nginx")),
        ("is disk.mount running on web-1", ("systemctl", "status", "disk.mount")),
        ("logs of nginx on web-1", ("journalctl", "-u", "nginx", "-n", "50")),
        ("last 20 lines of nginx logs on web-1", ("journalctl", "-u", "nginx", "-n", "20")),
        ("restart nginx on web-1", ("systemctl", "restart", "nginx")),
        ("can you restart nginx on web-1 please?", ("systemctl", "restart", "nginx")),
        ("帮我重启一下 web-1 上的 nginx", ("systemctl", "restart", "nginx")),
        ("能帮我重启 web-1 上的 nginx 吗？", ("systemctl", "restart", "nginx")),
    ],
)
def test_a_request_in_plain_words(text: str, argv: tuple[str, ...]) -> None:
    """Both languages, with courtesy and without, values in their places."""
    assert step_of(text).argv == argv
    assert step_of(text).targets == ("web-1",)


@each_of(
    ("machines", "targets"),
    [
        ("web-1 and web-2", ("web-1", "web-2")),
        ("web-1, web-2 and db-1", ("db-1", "web-1", "web-2")),
        ("web-1,web-2", ("web-1", "web-2")),
        ("web-*", ("web-1", "web-2")),
        ("web-?", ("web-1", "web-2")),
        ("role=web", ("web-1", "web-2")),
        ("role=web,env=prod", ("web-1",)),
        ("all machines", ("db-1", "web-1", "web-2")),
        ("every server", ("db-1", "web-1", "web-2")),
    ],
)
def test_several_machines(machines: str, targets: tuple[str, ...]) -> None:
    """Lists, patterns, labels, and all of them where that is said."""
    assert step_of(f"disk on {machines}").targets == targets


@each_of("machines", ["web-1、web-2", "web-1 和 web-2", "web-1和web-2 这台机器"])
def test_several_machines_in_chinese(machines: str) -> None:
    """、 and 和 list like a comma does."""
    assert step_of(f"{machines} 的磁盘").targets == ("web-1", "web-2")
    assert step_of("所有机器的磁盘").targets == ("db-1", "web-1", "web-2")


@each_of(
    "text",
    [
        "do not restart nginx on web-1",
        "don't restart nginx on web-1",
        "never restart nginx on web-1",
        "please do not restart nginx on web-1",
        "restart nginx on web-1 not now",
        "what would restart nginx on web-1 do?",
        "what happens if I restart nginx on web-1",
        "should I restart nginx on web-1?",
        "did you restart nginx on web-1?",
        "who said restart nginx on web-1",
        "why restart nginx on web-1",
        "how do I restart nginx on web-1",
        "how can you restart nginx on web-1",
        "if it fails restart nginx on web-1",
        "show restart nginx on web-1",
        "restart nginx on web-1 tomorrow",
        "restart nginx on web-1 and delete the logs",
        "restart nginx on web-1; disk on web-2",
        "restart nginx on web-1. disk on web-2",
        "restart it on web-1",
        "restart everything on web-1",
        'bob wrote "restart nginx on web-1"',
        "`restart nginx on web-1`",
        "> restart nginx on web-1",
        "restart nginx on web-1\nthanks",
        "restart nginx\u200b on web-1",
        "不要重启 web-1 上的 nginx",
        "别重启 web-1 上的 nginx",
        "重启 web-1 上的 nginx 会怎么样？",
        "昨天重启了 web-1 上的 nginx",
        "重启过 web-1 上的 nginx 吗",
        "如果失败就重启 web-1 上的 nginx",
        "他说“重启 web-1 上的 nginx”",
        "为什么要重启 web-1 上的 nginx",
        "how full was the disk on web-1",
        "disk on web-1 yesterday",
        "is it running on web-1",
        "is everything running on web-1",
        "disk on",
        "on web-1",
        "web-1",
        "x" * 1_000,
        "",
    ],
)
def test_a_wrong_match_is_worse_than_none(text: str) -> None:
    """Negations, hypotheticals, the past, other people's words, one word too many: nothing is planned."""
    assert not isinstance(outcome_of(text), Planned)


@each_of("text", ["restart nginx on web-1?", "重启 web-1 上的 nginx 吗？", "重启 web-1 上的 nginx？"])
def test_a_change_is_not_made_for_a_question(text: str) -> None:
    """The answer tells how to ask for it; and what it tells is understood."""
    refused = refusal_of(text)
    assert refused.sentence.key == "runbook_question"
    assert isinstance(outcome_of(refused.sentence.values["phrase"]), Planned)


@each_of(
    ("text", "phrase"),
    [
        ("disk", "disk on web-1"),
        ("show me the disk", "disk on web-1"),
        ("restart cron", "restart cron on web-1"),
        ("last 20 lines of cron logs", "last 20 lines of cron logs on web-1"),
        ("磁盘", "web-1 的磁盘"),
        ("重启 cron", "重启 web-1 上的 cron"),
    ],
)
def test_a_missing_machine_is_asked_for(text: str, phrase: str) -> None:
    """By an example with what was said in it; also where there is only one machine."""
    refused = refusal_of(text)
    assert refused.sentence.key == "runbook_which_machine"
    assert refused.sentence.values["phrase"] == phrase
    alone = Inventory({"web-1": Machine("web-1")})
    assert refusal_of(text, alone).sentence.key == "runbook_which_machine"
    assert refusal_of(text, Inventory()).sentence.key == "target_no_machines"


def test_an_unknown_machine_is_told() -> None:
    """With the nearest name; in a place where only a machine can stand, any word is taken for one."""
    assert refusal_of("disk on web-9").sentence.key == "target_unknown_near"
    assert refusal_of("disk on fire").sentence.key == "target_unknown"
    assert refusal_of("disk on web-1 and web-9").sentence.key == "target_unknown_near"
    assert refusal_of("disk on role=mail").sentence.key == "target_label_value"


@each_of(
    ("text", "key", "example"),
    [
        ("size of logs on web-1", "slot_path", "size of /srv/app on web-1"),
        ("last 900 lines of cron logs on web-1", "slot_int", "last 50 lines of cron logs on web-1"),
    ],
)
def test_a_value_that_does_not_fit_is_told(text: str, key: str, example: str) -> None:
    """With its bounds and an example of the same sentence."""
    refused = refusal_of(text)
    assert refused.sentence.key == key
    assert refused.sentence.values["example"] == example
    assert refused.sentence.render("zh")


@each_of(
    ("text", "argv"),
    [
        ("dsik usage on web-1", ("df", "-h")),
        ("status of the disk on web-1", ("df", "-h")),
        ("is web-1 running out of disk?", ("df", "-h")),
        ("web-1 hdd 还剩多少", ("df", "-h")),
        ("how large is /srv on web-1", ("du", "-sh", "/srv")),
        ("web-1 nginx 状态", ("systemctl", "status", "nginx")),
        ("web-1 nginx 最近20行日志", ("journalctl", "-u", "nginx", "-n", "20")),
    ],
)
def test_what_reads_is_planned_in_other_words_too(text: str, argv: tuple[str, ...]) -> None:
    """Slips, synonyms, another order and the other language; never planned word for word."""
    assert step_of(text).argv == argv
    assert step_of(text).targets == ("web-1",)
    assert RUNBOOKS.plan_exactly(context(text)) is None


@each_of(
    ("text", "phrase"),
    [
        ("bounce nginx on web-1", "restart nginx on web-1"),
        ("restrat nginx on web-1 and web-2", "restart nginx on web-1,web-2"),
        ("web-1 nginx restart", "restart nginx on web-1"),
        ("web-1 nginx 重起", "重启 web-1 上的 nginx"),
        ("nginx restart on web-1, please", "restart nginx on web-1"),
    ],
)
def test_what_changes_a_machine_is_only_offered_in_the_exact_words(text: str, phrase: str) -> None:
    """Nothing runs; the phrase that is told is planned once it is sent."""
    refused = refusal_of(text)
    assert refused.sentence.key == "runbook_meant"
    assert refused.sentence.values["phrase"] == phrase
    assert refused.sentence.render("zh")
    assert isinstance(outcome_of(phrase), Planned)


def test_a_question_about_a_change_is_told_how_to_ask_for_it() -> None:
    """Also where it is not said word for word."""
    assert refusal_of("nginx restart on web-1?").sentence.key == "runbook_question"


@each_of("text", ["do not bounce nginx on web-1", "别重起 web-1 的 nginx", "web-1 nginx 不要重起"])
def test_a_change_that_is_refused_is_not_offered(text: str) -> None:
    """Not even as a question."""
    assert outcome_of(text) is None


@each_of(
    ("text", "phrase"),
    [
        ("dsik usage", "disk on web-1"),
        ("nginx 日志", "logs of nginx on web-1"),
        ("bounce nginx", "restart nginx on web-1"),
    ],
)
def test_a_missing_machine_is_asked_for_in_other_words_too(text: str, phrase: str) -> None:
    """By an example that is known to work, in another language where the person's has none."""
    refused = refusal_of(text)
    assert refused.sentence.key == "runbook_which_machine"
    assert refused.sentence.values["phrase"] == phrase


def test_an_unknown_machine_is_told_in_other_words_too() -> None:
    """A machine's name is never taken for a slip of another's."""
    assert refusal_of("hdd usage on wbe-1").sentence.key == "target_unknown_near"
    assert refusal_of("web-9 的硬盘还剩多少").sentence.key == "target_unknown_near"


@each_of(
    "text",
    [
        "delete logs on web-1",
        "old logs on web-1",
        "status of memmory on web-1",
        "status of logz on web-1",
        "foo 状态 web-1",
    ],
)
def test_no_service_is_made_up(text: str) -> None:
    """An act, a word of the language or a slip of one is no name; a word that nobody knows is asked about."""
    outcome = outcome_of(text)
    if isinstance(outcome, Planned):
        assert outcome.plan.steps[0].argv[-1] == "logz"  # word for word, and a name as any other
    else:
        assert outcome is None or isinstance(outcome, CannotPlan)


def simple(name: str, example: str, kind: str = "word") -> Runbook:
    slots = {"x": RunbookSlot("x", kind)} if "{x}" in example else {}
    return Runbook(name, {"en": name}, ((Template.parse(name),),), {"en": (example,)}, slots=slots)


def test_the_more_telling_example_wins() -> None:
    """Words that are said outweigh places that take anything."""
    both = RunbookMatcher([simple("any", "{x} report on {machine}"), simple("daily", "daily report on {machine}")])
    outcome = both.plan(context("daily report on web-1"))
    assert isinstance(outcome, Planned)
    assert outcome.plan.source == "runbook:daily"


def test_two_that_fit_alike_are_a_choice() -> None:
    """Nothing is guessed between two runbooks."""
    both = RunbookMatcher([simple("one", "{x} report on {machine}"), simple("two", "{x} report on {machine}", "unit")])
    outcome = both.plan(context("daily report on web-1"))
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == "runbook_choice"


def test_two_readings_of_one_example_are_a_choice_too() -> None:
    """Where the machine and a name could be told apart in two ways, neither is run."""
    runbook = Runbook(
        "log", {"en": "x"}, ((Template.parse("echo"), Template.parse("{x}")),),
        {"en": ("log {x} {machine}", "log {machine} {x}")}, slots={"x": RunbookSlot("x", "word")},
    )  # fmt: skip
    outcome = RunbookMatcher([runbook]).plan(context("log web-1 web-2"))
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == "runbook_choice"


@each_of(
    ("text", "language", "near"),
    [
        ("why is the disk so full on web-1", "en", ["disk on db-1"]),
        ("status of disk and fan on web-1", "en", ["disk on db-1"]),
        ("磁盘坏了", "zh", ["db-1 的磁盘"]),
        ("do not restart nginx", "en", []),
        ("do not show the disk", "en", ["disk on db-1"]),
        ("tell me a joke", "en", []),
        ('he said "disk"', "en", []),
    ],
)
def test_what_may_have_been_meant(text: str, language: Language, near: list[str]) -> None:
    """RunbookMatcher that share their telling words; never a change that the message says not to make."""
    assert [one.phrase for one in RUNBOOKS.suggest(text, language, "db-1")] == near


def test_an_example_is_for_a_machine_that_is_here() -> None:
    """Online before offline; none where none has joined."""
    fleet = Inventory({"a": Machine("a"), "b": Machine("b", online=True)})
    assert sample_machine(fleet) == "b"
    assert sample_machine(Inventory({"a": Machine("a")})) == "a"
    assert sample_machine(Inventory()) == ""


@given(st.text("diskonweb-12 restarting磁盘的?,*=@'", max_size=60))
def test_no_message_makes_it_fail(text: str) -> None:
    """Any text is a plan, a reason, or nothing."""
    assert isinstance(outcome_of(text), (Planned, CannotPlan, type(None)))


@given(st.sampled_from(["no", "if", "why", "yesterday", "maybe", "不", "昨天"]), st.integers(0, 4))
def test_one_more_word_anywhere_and_nothing_is_planned(word: str, place: int) -> None:
    """Every word of a message must be accounted for."""
    words = ["restart", "nginx", "on", "web-1"]
    words.insert(place, word)
    assert not isinstance(outcome_of(" ".join(words)), Planned)


def test_many_runbooks_and_machines_stay_cheap() -> None:
    """Two hundred runbooks and ten thousand machines: a few milliseconds a message, the worst of them included."""
    many = RunbookMatcher([simple(f"r{index}", f"topic{index} report on {{machine}}") for index in range(200)])
    fleet = Inventory({f"m-{index}": Machine(f"m-{index}") for index in range(10_000)})
    messages = ["topic7 report on m-9999", "report " * 50, "web-1 和 " * 40, "topic7 report on m-77777"]
    messages += ["topci7 reprot on m-9", "memmory dsik " * 20, "磁盘内存负载端口" * 49, "report " * 570, "a1,b2 " * 66]
    for text in messages:
        many.plan(context(text, fleet))  # once, so that what is made once is made
    began = time.process_time()
    for text in messages:
        many.plan(context(text, fleet))
    assert time.process_time() - began < 0.25
