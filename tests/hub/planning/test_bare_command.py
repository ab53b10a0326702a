"""Commands without `@`: what is sure, what is offered, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.core.judgement import bind_policy
from hub.core.outcome import CannotPlan, Planned, PlanningContext, PlanningOutcome
from hub.planning.bare_command import BareCommandPlanner
from tests.hub.planning.defaults import default_chain, default_policy
from tests.hub.planning.runbooks import phrasing_set
from tests.hub.planning.runbooks.world import context

CHECK = bind_policy(default_policy(), ("operator",), lambda name: {}, False)


def say(text: str) -> PlanningOutcome | None:
    return BareCommandPlanner().plan(replace(context(text), check=CHECK))


@pytest.mark.parametrize(
    ("text", "argv", "targets"),
    [
        ("web-1 df -h", "df -h", "web-1"),
        ("WEB-1 df -h", "df -h", "web-1"),
        ("web-1: df -h", "df -h", "web-1"),
        ("web-1：df -h", "df -h", "web-1"),
        ("web-1 `df -h`", "df -h", "web-1"),
        ("df -h on web-1", "df -h", "web-1"),
        ("Df -h on web-1.", "df -h", "web-1"),
        ("df -h on the machine web-1 please", "df -h", "web-1"),
        ("df -h @web-1", "df -h", "web-1"),
        ("`df -h` on web-1", "df -h", "web-1"),
        ("on web-1: df -h", "df -h", "web-1"),
        ("on web-1 run df -h", "df -h", "web-1"),
        ("run df -h / on web-1", "df -h /", "web-1"),
        ("ok, please run df -h / on web-1, thanks", "df -h /", "web-1"),
        ("can you run df -h on web-1?", "df -h", "web-1"),
        ("execute `df -h` on web-1 and web-2", "df -h", "web-1,web-2"),
        ("ssh web-1 df -h", "df -h", "web-1"),
        ("web-1,web-2 df -h", "df -h", "web-1,web-2"),
        ("web-* df -h", "df -h", "web-1,web-2"),
        ("df -h on role=web", "df -h", "web-1,web-2"),
        ("root@web-1:~# df -h", "df -h", "web-1"),
        ("[ops@web-1 ~]$ df -h", "df -h", "web-1"),
        ("web-1 df -h | grep tmpfs", "df -h", "web-1"),
        ("run df -h on all machines", "df -h", "db-1,web-1,web-2"),
        ("在所有机器上执行 df -h", "df -h", "db-1,web-1,web-2"),
        ("run systemctl restart nginx on web-1", "systemctl restart nginx", "web-1"),
        ("在 web-1 上执行 df -h", "df -h", "web-1"),
        ("请在web-1上运行 df -h", "df -h", "web-1"),
        ("web-1 上执行 df -h", "df -h", "web-1"),
        ("执行 df -h 在 web-1 上", "df -h", "web-1"),
        ("到 web-1、web-2 上跑一下 df -h", "df -h", "web-1,web-2"),
        ("web-1 cat /etc/shadow", "cat /etc/shadow", "web-1"),
    ],
)
def test_a_command_needs_no_at(text: str, argv: str, targets: str) -> None:
    """Machine in front or behind, in both languages, with courtesy and marks; the last one is policy's to refuse."""
    outcome = say(text)
    assert isinstance(outcome, Planned), outcome
    (step,) = outcome.plan.steps
    assert (step.argv, step.targets) == (tuple(argv.split()), tuple(targets.split(",")))
    assert outcome.plan.source == "explicit"


@pytest.mark.parametrize("form", ["{} on web-1", "web-1 {}", "please {} on web-1", "在 web-1 上 {}", "@web-1 {}"])
def test_a_command_that_is_refused_is_told_so(form: str) -> None:
    """With a machine in front or behind: policy says why, where it was "not understood"; also without a rule for it."""
    chain = default_chain()
    for line in (
        "rm -rf /tmp/x", "/bin/rm -rf /tmp/x", "dd if=/dev/zero of=/dev/sda", "chmod 777 /srv", "bash", "/usr/bin/foo",
        "mkfs.ext4 /dev/sdb", "cat /etc/shadow", "sudo -i",
    ):  # fmt: skip
        outcome = chain.plan(replace(context(form.format(line)), check=CHECK))
        assert isinstance(outcome, Planned), line
        (step,) = outcome.plan.steps
        assert (step.argv, step.targets) == (tuple(line.split()), ("web-1",))
        assert CHECK(step, "web-1").kind == "deny"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("web-1 systemctl restart nginx", "@web-1 systemctl restart nginx"),
        ("systemctl restart nginx on web-1", "@web-1 systemctl restart nginx"),
        ("web-1 df -h?", "@web-1 df -h"),
    ],
)
def test_what_is_not_certain_is_offered_and_not_run(text: str, phrase: str) -> None:
    """What asks for approval without a word that says it is a command, and a question."""
    outcome = say(text)
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.values["phrase"] == phrase


@pytest.mark.parametrize(
    "text",
    [
        "web-1 is slow", "web-1", "run on web-1", "web-1 who is logged in", "last error of nginx on web-1",
        "last -5 lines of nginx logs on web-1", "free space on web-1", "do not run df -h on web-1",
        "don't run df -h on web-1", "should I run df -h on web-1", "run df -h on web-1 if bob agrees",
        "run df -h on web-1 tomorrow", "last time df -h failed on web-1", "* df -h", "df -h on all of them",
        "run the backup on web-1", "web-1 df -h | awk", "he said df -h on web-1", "date of birth on web-1",
        "rm is broken on web-1", "git problems on web-1", "/var/log is full on web-1", "/var/log on web-1",
        "do not rm -rf /tmp/x on web-1", "rm -rf /tmp/x on web-1 if bob agrees", "web-1 mysql slow",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_command_is_left_alone(text: str) -> None:
    """Reports, wishes with a condition, prose: for the next planner."""
    assert say(text) is None


def test_a_machine_that_is_not_there_is_named() -> None:
    """Where the form leaves no doubt."""
    outcome = say("run df -h on web-9")
    assert isinstance(outcome, CannotPlan)
    assert outcome.code == "target"


def test_without_policy_nothing_is_certain() -> None:
    """A caller that cannot ask policy gets no plan."""
    assert BareCommandPlanner().plan(context("run df -h on web-1")) is None


def test_filters_belong_to_the_command() -> None:
    """With and without code marks; what is no filter is no command."""
    for text in ("web-1 ps aux | grep nginx", "run `ps aux | grep nginx` on web-1"):
        outcome = say(text)
        assert isinstance(outcome, Planned)
        assert outcome.plan.steps[0].filters == (("grep", "nginx"),)
    assert say("web-1 ps aux | less") is None


def test_nothing_wrong_is_planned_of_all_phrasings() -> None:
    """Two thousand messages through the whole chain, policy at hand: only what is meant is planned."""
    chain = default_chain()
    wrong, denied = [], []
    for one in phrasing_set.read():
        outcome = chain.plan(replace(phrasing_set.context(one.text), check=CHECK))
        if isinstance(outcome, Planned):
            wanted: PlanningContext | object = one.plan(chain.runbooks)
            if wanted is None or outcome.plan.steps != wanted.steps:  # type: ignore[attr-defined]
                (step,) = outcome.plan.steps
                (denied if CHECK(step, step.targets[0]).kind == "deny" else wrong).append(one.text)
    # A command as it stands; a quotation of what only reads; a follow-up by its word, which changes nothing.
    assert sorted(wrong) == ['"disk usage on web-1"', "docker version on web-1", "换 db-1 的 ip"]
    # Commands that policy refuses with their cure; nothing runs.
    assert sorted(denied) == [
        "chmod /srv/a on db-1",
        "git push /srv/app on web-1",
        "mount /dev/sdb1 on web-1",
        "mount /srv on mars",
        "tail -f /var/log/syslog on web-1",
        "truncate /var/log/syslog on web-1",
    ]


@pytest.mark.parametrize("text", ["df -h", "run df -h", "please run `df -h`", "运行 df -h", "请执行：df -h"])
def test_a_command_without_a_machine_is_asked_for_one(text: str) -> None:
    """What policy knows; the answer to it completes the message."""
    outcome = say(text)
    assert isinstance(outcome, CannotPlan)
    assert outcome.code == "machine"
    assert str(outcome.sentence.values["phrase"]).endswith(" df -h")


@pytest.mark.parametrize(
    "text", ["df -h?", "run rm -rf /", "find large files", "cat /etc/shadow", "run the backup", "df -h; ls"]
)
def test_what_is_no_command_for_certain_is_asked_for_no_machine(text: str) -> None:
    """A question, what policy denies, prose, what the grammar refuses."""
    assert say(text) is None


def test_what_changes_a_machine_is_only_offered_after_a_prompt() -> None:
    """A line copied from a terminal may be a report."""
    outcome = say("root@web-1:~# systemctl restart nginx")
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.values == {"phrase": "@web-1 systemctl restart nginx"}
