"""runbooks.toml: what is refused, by name and with its cure; and the file that every hub begins with."""

from __future__ import annotations

import copy
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from common.catalogue import LANGUAGES, Language
from common.config import ConfigError
from common.errors import UserError
from common.policy.check import check
from common.policy.file import parse_policy
from hub.core.inventory import Inventory, Machine
from hub.core.outcome import Planned, PlanningContext
from hub.planning.runbooks.file import MAX_EXAMPLES, MAX_RUNBOOKS, parse_runbooks, read_runbooks
from hub.planning.runbooks.matcher import RunbookMatcher
from hub.planning.runbooks.slots import MACHINE
from tests.each import each_of
from tests.hub.planning.defaults import default_chain
from tests.hub.planning.runbooks.world import FLEET, context

GOOD: dict[str, Any] = {
    "title": {"en": "logs"},
    "steps": [["journalctl", "-u", "{unit}", "-n", "{lines}"]],
    "slots": {"unit": {"type": "unit"}, "lines": {"type": "int", "default": "50", "low": 1, "high": 500}},
    "examples": {"en": ["logs of {unit} on {machine}", "last {lines} lines of {unit} on {machine}"]},
}


def problems_of(body: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_runbooks(body, Path("runbooks.toml"))
    return str(caught.value)


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD as the runbook `logs`, with one key set; None takes it out."""
    runbook = copy.deepcopy(GOOD)
    *tables, key = path.split("/")
    table = runbook
    for name in tables:
        table = table.setdefault(name, {})
    if value is None:
        del table[key]
    else:
        table[key] = value
    return {"runbooks": {"logs": runbook}}


def test_a_good_file_is_taken() -> None:
    """The runbook is there, its slots typed, its default in its final form."""
    runbooks = parse_runbooks({"runbooks": {"logs": GOOD}}, Path("runbooks.toml"))
    assert len(runbooks) == 1
    assert runbooks.runbooks[0].slots["lines"].default == "50"
    assert isinstance(runbooks.plan(context("logs of cron on web-1")), Planned)


@each_of(
    ("path", "value", "told"),
    [
        ("title", None, "title: missing"),
        ("title", {"en": "", "zh": ""}, "title"),
        ("titel", {"en": "x"}, "titel: unknown table; did you mean title?"),
        ("steps", None, "steps: 1 to 16 lists of strings"),
        ("steps", [], "steps: 1 to 16"),
        ("steps", ["df", "-h"], "steps: 1 to 16"),
        ("steps", [["df", 1]], "steps: 1 to 16"),
        ("steps", [[""]], "steps: 1 to 16"),
        ("steps", [["df"]] * 17, "steps: 1 to 16"),
        ("steps", [["df\n", "{unit}", "{lines}"]], "steps: 1 to 16"),
        ("steps", [["{unit}", "{lines}"]], "the program cannot come from a message"),
        ("steps", [["df", "{unit}", "{lines}", "{path}"]], "{path} is no slot of this runbook; its slots: unit, lines"),
        ("steps", [["df", "{unit}"]], "slots.lines: no step uses it"),
        ("steps", [["df", "{unit}", "{lines}", "{machine}"]], "{machine} means the targets and is no argument"),
        ("steps", [["df", "{unit}", "{lines}", "{!}"]], "{!} is not a slot; write {{ and }} for braces"),
        ("slots/unit/type", "units", 'one of "path", "unit"'),
        ("slots/unit/type", None, "type: missing"),
        ("slots/unit/sample", "-x", "no value may begin with a dash"),
        ("slots/unit/sample", "a/b", "a/b is not of the type unit"),
        ("slots/lines/default", "900", "900 is not of the type int within its bounds"),
        ("slots/lines/high", 0, "nothing lies between"),
        ("slots/unit/low", 1, "low and high are for port, int, duration"),
        ("slots/unit/values", ["a"], "only an enum, has values"),
        ("slots/unit/type", "enum", "only an enum, has values"),
        ("slots/unit/pattern", "a+", "only a word has a pattern"),
        ("slots/unit", {"type": "word", "pattern": "("}, "not a regular expression"),
        ("slots/unit", {"type": "word", "pattern": "a" * 201}, "longer than 200"),
        ("slots/machine", {"type": "host"}, "means the targets; take this slot out"),
        ("slots/Unit", {"type": "unit"}, "small letters"),
        ("examples/en", [], "examples: none"),
        ("examples/en", ["logs of {unit}"], "does not have {machine}"),
        ("examples/en", ["logs on {machine}"], "does not have {unit}"),
        ("examples/en", ["logs of {unit} {size} on {machine}"], "{size} is no slot of this runbook"),
        ("examples/en", ["logs of {unit} on {machine} or {machine}"], "has a place twice"),
        ("examples/en", ["please {unit} {machine}"], "no word of its own"),
        ("examples/en", ['logs of "{unit}" on {machine}'], "without quotation marks"),
        ("examples/en", ["logs of {unit}.service on {machine}"], "a place must be a word of its own"),
        ("examples/en", ["logs of {unit} on {machine}"] * (MAX_EXAMPLES + 1), f"keep at most {MAX_EXAMPLES}"),
        ("examples/fr", ["x"], "fr: unknown key"),
        ("timeout", "2d", "timeout"),
        ("folder", "srv", "an absolute path was expected"),
    ],
)
def test_what_does_not_hold_is_refused_by_name(path: str, value: Any, told: str) -> None:
    """File, runbook, key and what to do."""
    text = problems_of(changed(path, value))
    assert "runbooks.toml: [runbooks.logs" in text
    assert told in text


def test_all_problems_are_told_at_once() -> None:
    """One reading of the file is enough to mend it."""
    body = changed("folder", "srv")
    body["runbooks"]["logs"]["slots"]["lines"]["default"] = "0"
    body["runbooks"]["help"] = copy.deepcopy(GOOD)
    text = problems_of(body)
    assert "folder" in text
    assert "slots.lines.default" in text
    assert "this word is Answerback's own" in text


def second(example: str, **more: Any) -> dict[str, Any]:
    body = {"title": {"en": "x"}, "steps": [["tail", "{word}"]], "slots": {"word": {"type": "word"}}, **more}
    return {"runbooks": {"logs": GOOD, "other": {**body, "examples": {"en": [example]}}}}


def test_an_example_of_two_runbooks_is_refused() -> None:
    """Both are named, whichever of them a message would get."""
    text = problems_of(second("logs of {word} on {machine}"))
    assert "“logs of {unit} on {machine}” fits [runbooks.other] as well" in text
    assert "“logs of {word} on {machine}” fits [runbooks.logs] as well" in text


def test_an_example_that_another_runbook_answers_is_refused() -> None:
    """A more telling example elsewhere would take every message of this one."""
    body = second("logs of nginx on {machine}", steps=[["tail"]], slots={})
    assert "“logs of {unit} on {machine}” is answered by [runbooks.other]" in problems_of(body)


def test_an_example_that_does_not_fit_itself_is_refused() -> None:
    """Its sample is a word that is never a value."""
    body = {**changed("slots/unit/sample", "cron"), "never_values": ["cron"]}
    assert "does not fit itself; look at samples and never_values" in problems_of(body)


def test_a_change_that_is_asked_as_a_question_is_refused() -> None:
    """Nobody could ever get it done."""
    body = changed("changes", True)
    body["runbooks"]["logs"]["examples"]["en"] = ["delete last {lines} logs of {unit} on {machine}?"]
    assert "reads as a question" in problems_of(body)


def test_too_many_runbooks_are_refused() -> None:
    """The bound is told."""
    body = {"runbooks": {f"r{index}": GOOD for index in range(MAX_RUNBOOKS + 1)}}
    assert f"keep at most {MAX_RUNBOOKS}" in problems_of(body)


def test_a_file_that_is_no_toml_or_not_there_is_told(tmp_path: Path) -> None:
    """As a person's mistake, with the file's name."""
    with pytest.raises(UserError, match=r"runbooks\.toml: there is no such file"):
        read_runbooks(tmp_path / "runbooks.toml")
    (tmp_path / "runbooks.toml").write_text("[runbooks.x")
    with pytest.raises(UserError, match=r"runbooks\.toml: not TOML"):
        read_runbooks(tmp_path / "runbooks.toml")
    (tmp_path / "runbooks.toml").write_text('runbooks = "x"')
    with pytest.raises(UserError, match="a table was expected"):
        read_runbooks(tmp_path / "runbooks.toml")


# ---- the file that `init` writes


@pytest.fixture(scope="module")
def defaults() -> RunbookMatcher:
    return default_chain().runbooks


def test_the_default_file_has_the_useful_runbooks(defaults: RunbookMatcher) -> None:
    """Each speaking both languages in at least four ways."""
    names = {runbook.name for runbook in defaults.runbooks}
    assert names >= {
        "disk", "disk-of-path", "memory", "load", "uptime", "top-cpu", "top-memory", "ports", "service-status",
        "service-logs", "failed-services", "restart-service", "kernel", "os", "addresses", "routes", "git-status",
        "git-log", "certificate", "logged-in", "time", "reboot", "inodes", "folder-sizes", "large-files", "list-folder",
        "file-tail", "mounts", "block-devices", "swap", "cpu-info", "find-process", "port-owner", "connections", "ping",
        "dns", "running-services", "timers", "journal-errors", "kernel-messages", "containers", "container-logs",
        "last-logins", "time-sync", "host-name",
    }  # fmt: skip
    for runbook in defaults.runbooks:
        for language in LANGUAGES:
            assert len(runbook.examples[language]) >= 4, runbook.name
            assert runbook.title[language]
    common_ones = ("disk", "memory", "load", "service-status", "service-logs", "restart-service", "ports", "kernel")
    for runbook in defaults.runbooks:
        if runbook.name in common_ones:
            assert all(len(runbook.examples[language]) >= 5 for language in LANGUAGES), runbook.name


def test_only_restart_and_reboot_change_something(defaults: RunbookMatcher) -> None:
    """Everything else may be answered to a question."""
    assert {runbook.name for runbook in defaults.runbooks if runbook.changes} == {"restart-service", "reboot"}


def test_every_example_is_answered_by_its_runbook_on_any_fleet(defaults: RunbookMatcher) -> None:
    """With one machine, several, a pattern and a label; and its hint without a machine names an example that works."""
    fleet = Inventory({name: Machine(name, {"role": "web"}) for name in ("web-1", "web-2")})
    asked = 0
    for runbook in defaults.runbooks:
        for language, examples in runbook.examples.items():
            for example in examples:
                for machine in ("web-2", "web-1 and web-2", "web-*", "role=web"):
                    text = runbook.fill_example(example, {MACHINE: machine})
                    outcome = defaults.plan(PlanningContext(text, language, "", (), fleet, 0.0))
                    assert isinstance(outcome, Planned), text
                    assert outcome.plan.source == f"runbook:{runbook.name}", text
                    asked += 1
    assert asked > 1_000


ANSWERS: list[tuple[str, str]] = [
    ("how full is the disk on web-1?", "disk"),
    ("please show the disk usage on web-1", "disk"),
    ("web-1 的磁盘满了吗？", "disk"),
    ("how much space is left in /var on web-1", "disk-of-path"),
    ("how big is /var/log on web-1?", "directory-size"),
    ("web-1 内存使用情况", "memory"),
    ("what's the load on web-1", "load"),
    ("how long has web-1 been up?", "uptime"),
    ("what is eating the cpu on web-1?", "top-cpu"),
    ("web-1 上哪些进程占用内存最多？", "top-memory"),
    ("which ports are open on web-1?", "ports"),
    ("is nginx running on web-1?", "service-status"),
    ("帮我看下 web-1 上 nginx 的状态", "service-status"),
    ("show me the last 20 lines of the nginx log on web-1", "service-logs"),
    ("web-1 上 nginx 最近 20 行日志", "service-logs"),
    ("has anything failed on web-1?", "failed-services"),
    ("restart nginx on web-1", "restart-service"),
    ("把 web-1 上的 nginx 重启一下", "restart-service"),
    ("which kernel does web-1 run?", "kernel"),
    ("what os does web-1 run", "os"),
    ("web-1 的 IP 地址是多少", "addresses"),
    ("default gateway of web-1", "routes"),
    ("git status of /srv/app on web-1", "git-status"),
    ("web-1 上 /srv/app 在哪个分支", "git-status"),
    ("last 5 commits in /srv/app on web-1", "git-log"),
    ("when does the certificate /etc/ssl/site.pem expire on web-1?", "certificate"),
    ("who is logged in on web-1", "logged-in"),
    ("what time is it on web-1?", "time"),
    ("reboot web-1", "reboot"),
    ("重启 web-1", "reboot"),
]


@pytest.mark.parametrize(("text", "name"), ANSWERS)
def test_what_people_say_finds_its_runbook(defaults: RunbookMatcher, text: str, name: str) -> None:
    """Courtesy, questions and both languages."""
    outcome = defaults.plan(context(text))
    assert isinstance(outcome, Planned)
    assert outcome.plan.source == f"runbook:{name}"


@pytest.mark.parametrize(
    "text",
    [
        "temperature of the disk on web-1",
        "is the server running on web-1",
        "restart web-1",
        "restart the server on web-1",
        "is it up on web-1",
        "do not reboot web-1",
        "reboot web-1 later",
        "web-1 不要重启",
        "what would reboot do on web-1?",
        "how was the load on web-1 yesterday",
        "logs of web-1",
        "git push /srv/app on web-1",
        "kill the top process on web-1",
        "delete /var/log on web-1",
        "clean the disk on web-1",
        "free the memory on web-1",
        "close the open ports on web-1",
        "web-1 磁盘清理一下",
        "关掉 web-1 的端口",
        "web-1 的内存昨天怎么样",
        "不用看 web-1 的磁盘",
    ],
)
def test_what_sounds_alike_finds_none(defaults: RunbookMatcher, text: str) -> None:
    """Hard negatives: nothing is planned, whatever the words have in common with an example."""
    assert not isinstance(defaults.plan(context(text)), Planned)


def test_a_question_about_a_reboot_reboots_nothing(defaults: RunbookMatcher) -> None:
    """The wish must be plain."""
    for text in ("reboot web-1?", "重启 web-1 吗", "请问重启 web-1 吗"):
        assert not isinstance(defaults.plan(context(text)), Planned)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_offered_works(defaults: RunbookMatcher, language: Language) -> None:
    """Every phrase that help shows is understood when it is sent."""
    for runbook in defaults.runbooks:
        outcome = defaults.plan(PlanningContext(runbook.sample_phrase(language, "web-1"), language, "", (), FLEET, 0.0))
        assert isinstance(outcome, Planned)
        assert outcome.plan.source == f"runbook:{runbook.name}"


def test_the_default_policy_lets_the_default_runbooks_run(defaults: RunbookMatcher) -> None:
    """What reads is allowed, a restart asks, a reboot asks with a second factor; nothing is offered that is denied."""
    text = resources.files("hub").joinpath("defaults", "policy.toml").read_text(encoding="utf-8")
    policy = parse_policy(tomllib.loads(text), "policy.toml")
    said: dict[str, tuple[str, bool]] = {}
    for runbook in defaults.runbooks:
        outcome = defaults.plan(context(runbook.sample_phrase("en", "web-1")))
        assert isinstance(outcome, Planned)
        for step in outcome.plan.steps:
            verdict = check(policy, step.argv, roles=("operator",), agent="web-1", labels={}, cwd=step.cwd)
            said[runbook.name] = (verdict.kind, verdict.second_factor)
    assert said.pop("restart-service") == ("ask", False)
    assert said.pop("reboot") == ("ask", True)
    assert set(said.values()) == {("allow", False)}, said
