"""Messages that mean what an example means; most of all, those that do not."""

from __future__ import annotations

from hub.planning.runbooks import phrases
from hub.planning.runbooks.paraphrase import ParaphraseIndex, ParaphraseMatch
from hub.planning.runbooks.pattern import compile_example
from hub.planning.runbooks.runbook import Runbook, Template
from hub.planning.runbooks.slots import MACHINE, RunbookSlot
from tests.each import each_of

UNIT, PATH, LINES = (
    RunbookSlot("unit", "unit"),
    RunbookSlot("path", "path"),
    RunbookSlot("lines", "int", "50", low=1, high=500),
)
HOST, NAME = RunbookSlot("host", "host"), RunbookSlot("name", "word")


def runbook(name: str, *examples: str, slots: tuple[RunbookSlot, ...] = ()) -> Runbook:
    return Runbook(
        name, {"en": name}, ((Template.parse(name),),), {"en": examples}, slots={one.name: one for one in slots}
    )


ALL = [
    runbook("disk", "disk on {machine}", "how full is the disk on {machine}", "{machine} disk"),
    runbook("devices", "which disks does {machine} have"),
    runbook("size", "size of {path} on {machine}", slots=(PATH,)),
    runbook("status", "status of {unit} on {machine}", "is {unit} running on {machine}", slots=(UNIT,)),
    runbook(
        "logs", "logs of {unit} on {machine}", "last {lines} lines of {unit} logs on {machine}", slots=(UNIT, LINES)
    ),
    runbook("top", "top processes by memory on {machine}"),
    runbook("running", "what is running on {machine}"),
    runbook("ping", "ping {host} from {machine}", slots=(HOST,)),
    runbook("process", "{name} process on {machine}", slots=(NAME,)),
    runbook("clean", "is {path} clean on {machine}", slots=(PATH,)),
    runbook("copy", "changes between {path} and {other} on {machine}", slots=(PATH, RunbookSlot("other", "path"))),
]
PATTERNS = ParaphraseIndex([compile_example(one, example) for one in ALL for example in one.examples["en"]])
MACHINES = {"web-1", "web-2", "db-1", "mars"}


def found(text: str) -> list[ParaphraseMatch]:
    message = phrases.parse_message(text)
    assert message is not None
    return PATTERNS.find(message, MACHINES.__contains__)


def best(text: str) -> tuple[str, dict[str, str]] | None:
    """The runbook and words of the least doubtful match, if it is sure."""
    matches = found(text)
    if not matches or matches[0].penalty.unsure:
        return None
    hit = matches[0].hit
    return hit.pattern.runbook.name, dict(hit.words)


@each_of(
    ("text", "name", "words"),
    [
        ("hdd usage web-1", "disk", {}),
        ("web-1 磁盘还剩多少", "disk", {}),
        ("dsik on web-1", "disk", {}),
        ("would you please take a look at the drive on web-1", "disk", {}),
        ("web-1 的 /var/log 有多大", "size", {"path": "/var/log"}),
        ("web-1 nginx 状态", "status", {"unit": "nginx"}),
        ("看下 web-1 的 nginx", "status", {"unit": "nginx"}),
        ("is my-app.service up on web-1", "status", {"unit": "my-app.service"}),
        ("web-1 nginx 最近 20 行日志", "logs", {"unit": "nginx", "lines": "20"}),
        ("web-1 memory top process", "top", {}),
        ("web-1 ping 一下 10.0.0.5", "ping", {"host": "10.0.0.5"}),
        ("java 进程 web-1", "process", {"name": "java"}),
    ],
)
def test_the_same_meaning_in_other_words(text: str, name: str, words: dict[str, str]) -> None:
    """Synonyms, another order, the other language, a slip."""
    assert best(text) == (name, {**words, MACHINE: "web-1"})


@each_of(
    "text",
    [
        "hdd usage not on web-1",
        "disk fan on web-1",
        "disk and memory on web-1",
        "disk on web-1 and on web-2 status",
        "why is the drive full on web-1",
        "web-1 磁盘坏了",
        "web-1 磁盘昨天",
        "running on web-1",
        "is web-1 running",
        "status of web-1",
        "clean /tmp on web-1",
        "/tmp clean web-1",
        "ping mars from web-1 db-1",
        "size of /a and /b on web-1",
        "size of /a /b on web-1",
        "20 30 lines of nginx logs on web-1",
        "nginx on web-1",
    ],
)
def test_a_word_too_many_and_nothing_is_meant(text: str) -> None:
    """Every word must be accounted for, and something of its own must be named."""
    assert best(text) is None


def test_a_name_is_never_corrected() -> None:
    """Neither a machine's, nor a unit's, nor a path's; a machine that looks like one is told as it was written."""
    assert best("memmory top process on wbe-1") == ("top", {MACHINE: "wbe-1"})
    (match,) = found("statsu of nginxx on web-1")
    assert match.penalty.unsure
    assert match.hit.words["unit"] == "nginxx"


@each_of("text", ["foo status web-1", "faield services on web-1", "last-week status on web-1"])
def test_what_may_be_no_name_is_unsure(text: str) -> None:
    """A word that nobody knows for a service's, a slip, a word of the language."""
    assert all(match.penalty.unsure for match in found(text))


def test_the_surest_comes_first() -> None:
    """Fewer slips before more, nothing left out before light words left out."""
    assert [match.penalty for match in found("hdd on web-1")] == sorted(
        match.penalty for match in found("hdd on web-1")
    )
    assert (
        found("disk on web-1")[0].penalty < found("disk info on web-1")[0].penalty < found("dsik on web-1")[0].penalty
    )


def test_a_meaning_belongs_to_the_runbook_that_has_most_examples_of_it() -> None:
    """Three times as many as another; where none has, both are told."""
    assert {match.hit.pattern.runbook.name for match in found("hard drive of web-1")} == {"disk", "devices"}
    more = [*ALL, runbook("disk", "disk of {machine}", "disks of {machine}", "hard disk of {machine}")]
    patterns = ParaphraseIndex([compile_example(one, example) for one in more for example in one.examples["en"]])
    message = phrases.parse_message("hard drive of web-1")
    assert message is not None
    assert {match.hit.pattern.runbook.name for match in patterns.find(message, MACHINES.__contains__)} == {"disk"}


def test_no_machine_named() -> None:
    """What else is said is found all the same."""
    assert best("dsik usage") == ("disk", {})


@each_of(
    ("text", "machines"),
    [
        ("hdd of web-1 and web-2", "web-1,web-2"),
        ("web-1、web-2和db-1 磁盘", "web-1,web-2,db-1"),
        ("drives on web-*", "web-*"),
        ("drives on role=web, env=prod", "role=web,env=prod"),
        ("hdd web-1 web-2", "web-1,web-2"),
        ("所有机器的硬盘", "*"),
    ],
)
def test_several_machines(text: str, machines: str) -> None:
    """A list of them stands together."""
    assert best(text) == ("disk", {MACHINE: machines})


def test_two_requests_are_not_one_over_two_machines() -> None:
    """Where telling words stand on both sides of a list of machines."""
    assert best("memory on web-1, web-2 top process") is None
    assert best("top process on web-1, web-2 by memory") is None
    assert best("top memory process on web-1, web-2") is not None
