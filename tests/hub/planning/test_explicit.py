"""`@target command…`."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.plan import MAX_ARGV_CHARS, Step
from hub.core.outcome import CannotPlan, Planned
from hub.planning.explicit import ExplicitPlanner
from tests.hub.planning.runbooks.world import context


def step_of(text: str) -> Step:
    outcome = ExplicitPlanner().plan(context(text))
    assert isinstance(outcome, Planned), outcome
    (step,) = outcome.plan.steps
    assert outcome.plan.source == "explicit"
    return step


def refusal_of(text: str) -> CannotPlan:
    outcome = ExplicitPlanner().plan(context(text))
    assert isinstance(outcome, CannotPlan), outcome
    return outcome


@pytest.mark.parametrize(
    ("text", "targets", "argv"),
    [
        ("@web-1 df -h", ("web-1",), ("df", "-h")),
        ("  @web-1   df  -h  ", ("web-1",), ("df", "-h")),
        ("＠web-1 df", ("web-1",), ("df",)),
        ("＠ｗｅｂ－１ df", ("web-1",), ("df",)),
        ("@WEB-1 df", ("web-1",), ("df",)),
        ("@web-1,db-1 uptime", ("db-1", "web-1"), ("uptime",)),
        ("@web-1、db-1 uptime", ("db-1", "web-1"), ("uptime",)),
        ("@web-1 @db-1 uptime", ("db-1", "web-1"), ("uptime",)),
        ("@web-1, @db-1 uptime", ("db-1", "web-1"), ("uptime",)),
        ("@web-1: uptime", ("web-1",), ("uptime",)),
        ("@web-1:uptime", ("web-1",), ("uptime",)),
        ("＠web-1：uptime", ("web-1",), ("uptime",)),
        ("@web-1, uptime", ("web-1",), ("uptime",)),
        ("@web-* uptime", ("web-1", "web-2"), ("uptime",)),
        ("@* uptime", ("db-1", "web-1", "web-2"), ("uptime",)),
        ("@role=web uptime", ("web-1", "web-2"), ("uptime",)),
        ("@role=web,env=prod uptime", ("web-1",), ("uptime",)),
        ("@web-1 /usr/bin/df '/srv/my app'", ("web-1",), ("/usr/bin/df", "/srv/my app")),
        ("@web-1 git log --author=@me", ("web-1",), ("git", "log", "--author=@me")),
        ("@web-1 ls 数据", ("web-1",), ("ls", "数据")),
    ],
)
def test_the_words_go_to_the_machines_as_they_stand(text: str, targets: tuple[str, ...], argv: tuple[str, ...]) -> None:
    """Targets in every form; the program keeps the name that was typed."""
    step = step_of(text)
    assert (step.targets, step.argv) == (targets, argv)


def test_our_own_words_come_before_the_command() -> None:
    """A time limit and a folder; after `--` or the program they are the command's."""
    step = step_of("@web-1 timeout=5m in=/srv/app/ ls -l")
    assert (step.time_limit, step.cwd, step.argv) == (300, "/srv/app", ("ls", "-l"))
    assert step_of("@web-1 ls in=/srv").argv == ("ls", "in=/srv")
    assert step_of("@web-1 timeout=1h -- df").time_limit == 3600


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("@", "target_empty"),
        ("@ web-1 df", "target_empty"),
        ("@web-1", "explicit_no_command"),
        ("@web-1 timeout=5m", "explicit_no_command"),
        ("@web-1 --", "explicit_no_command"),
        ("@web-1, web-2 df", "target_gap"),
        ("@web-9 df", "target_unknown_near"),
        ("@all df", "target_every"),
        ("@role=mail df", "target_label_value"),
        ("@web-1 cd /srv", "explicit_cd"),
        ("@web-1 FOO=1 env", "explicit_environment"),
        ("@web-1 user=root ls", "explicit_option"),
        ("@web-1 in=/a in=/b ls", "explicit_option_twice"),
        ("@web-1 timeout=soon ls", "explicit_timeout"),
        ("@web-1 timeout=0 ls", "explicit_timeout"),
        ("@web-1 timeout=25h ls", "explicit_timeout"),
        ("@web-1 in=srv ls", "explicit_folder"),
        ("@web-1 in=/srv/../etc ls", "explicit_folder"),
        ("@web-1 in=/" + "x" * 2_000 + " ls", "explicit_folder"),
        ("@web-1 df | wc", "filter_wc"),
        ("@web-1 df | sh", "filter_unknown"),
        ("@web-1 df | ", "grammar_separator"),
        ("@web-1 df || wc -l", "grammar_separator"),
        ("@web-1 df | tee /x", "filter_unknown"),
        ("@web-1 df > /x", "grammar_separator"),
        ("@web-1 df; reboot", "grammar_separator"),
        ("@web-1 echo $HOME", "grammar_expansion"),
        ("@web-1 ls *", "grammar_glob"),
        ("@web-1 df\nreboot", "grammar_line_end"),
        ("@web-1 Foo=1 env", "grammar_assignment"),
    ],
)
def test_what_cannot_be_run_is_told_why(text: str, key: str) -> None:
    """In both languages, and never half of it is run."""
    refused = refusal_of(text)
    assert refused.sentence.key == key
    assert refused.sentence.render("en")
    assert refused.sentence.render("zh")


def test_the_position_of_a_character_is_counted_in_the_message() -> None:
    """People count from where their message begins."""
    text = "@web-1 timeout=5m df ; wc"
    assert refusal_of(text).sentence.values["position"] == text.index(";") + 1


def test_filters_stand_behind_a_command_in_their_one_spelling() -> None:
    step = step_of("@web-1 ps aux|grep -iv root | head -5")
    assert step.argv == ("ps", "aux")
    assert step.filters == (("grep", "-i", "-v", "root"), ("head", "-n", "5"))
    assert step_of("@web-1 grep 'a|b' /x").filters == ()


def test_cd_is_answered_with_the_way_to_do_it() -> None:
    """The folder that was meant is in the answer."""
    assert "@web-1 in=/srv/www ls" in str(refusal_of("@web-1 cd /srv/www").sentence)


def test_a_command_that_is_too_large_is_refused() -> None:
    """By the grammar's bound before the plan's."""
    assert refusal_of("@web-1 echo " + "x" * MAX_ARGV_CHARS).code in ("grammar", "command")


@pytest.mark.parametrize("text", ["disk on web-1", "mail me at a@b.example", "", "approve r42"])
def test_other_messages_are_left_to_others(text: str) -> None:
    """Only a message that begins with @ is a command."""
    assert ExplicitPlanner().plan(context(text)) is None


@given(st.lists(st.text("abcXYZ012_./:%+,-'\" \\*?$;磁", min_size=1, max_size=8), min_size=1, max_size=5))
def test_quoted_words_arrive_whole(words: list[str]) -> None:
    """What shlex quotes is one argument, whatever is in it; and nothing is read as our own word or a target."""
    line = shlex.join(["echo", *words])
    assert step_of(f"@web-1 {line}").argv == ("echo", *words)


@given(st.text(max_size=40))
def test_anything_after_an_at_is_a_plan_or_a_reason(text: str) -> None:
    """No message makes the planner fail."""
    outcome = ExplicitPlanner().plan(context("@web-1 " + text))
    assert isinstance(outcome, (Planned, CannotPlan))
