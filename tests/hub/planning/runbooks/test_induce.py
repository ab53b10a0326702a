"""A runbook learned from a plan: typed places where words and commands meet, everything else as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Sentence
from common.plan import Plan, Step
from hub.core.outcome import Planned
from hub.planning.runbooks.file import parse_runbooks
from hub.planning.runbooks.induce import InducedRunbook, induce_runbook, to_toml
from tests.each import each_of
from tests.hub.planning.runbooks.world import FLEET, context


def plan_of(*argvs: tuple[str, ...], targets: tuple[str, ...] = ("web-1",), **more: Any) -> Plan:
    return Plan(tuple(Step(argv, targets, **more) for argv in argvs))


def learned(phrase: str, plan: Plan, **more: Any) -> InducedRunbook | Sentence:
    values: dict[str, Any] = {"language": "en", "changes": False, **more}
    return induce_runbook("made", phrase, plan, FLEET, **values)


def lesson(phrase: str, plan: Plan, **more: Any) -> InducedRunbook:
    found = learned(phrase, plan, **more)
    assert isinstance(found, InducedRunbook), found
    return found


def again(made: InducedRunbook, text: str) -> Plan:
    """What the runbook plans of a message."""
    outcome = parse_runbooks(tomllib.loads(to_toml(made)), Path("runbooks.toml")).plan(context(text))
    assert isinstance(outcome, Planned), outcome
    return outcome.plan


CASES = [
    # message, commands, what a slot became: type and template argument
    ("show the last 50 lines of /var/log/app on web-1", ("tail", "-n", "50", "--", "/var/log/app"),
     {"number": ("int", "{number}"), "path": ("path", "{path}")}),
    ("bounce nginx on web-1", ("systemctl", "restart", "nginx"), {"unit": ("unit", "{unit}")}),
    ("bounce nginx on web-1", ("systemctl", "restart", "nginx.service"), {"unit": ("word", "{unit}.service")}),
    ("bounce nginx.service on web-1", ("systemctl", "restart", "nginx.service"), {"unit": ("unit", "{unit}")}),
    ("who sits on port 3306 of web-1", ("ss", "-ltnp", "sport", "3306"), {"port": ("port", "{port}")}),
    ("knock at 10.0.0.7 from web-1", ("ping", "-c", "3", "10.0.0.7"), {"host": ("host", "{host}")}),
    ("look up db.example.org from web-1", ("dig", "db.example.org"), {"host": ("host", "{host}")}),
    ("journal of 2h on web-1", ("journal", "--seconds=7200"), {"duration": ("duration", "--seconds={duration}")}),
    ("wake the build runner of web-1", ("ci", "wake", "runner"), {"name": ("word", "{name}")}),
]  # fmt: skip


@each_of(("phrase", "argv", "slots"), CASES)
def test_words_that_are_arguments_become_typed_places(
    phrase: str, argv: tuple[str, ...], slots: dict[str, tuple[str, str]]
) -> None:
    """The type follows from form and place; the file's reader takes it, and the message gives the same commands."""
    made = lesson(phrase, plan_of(argv))
    assert {place.slot.name: place.slot.type for place in made.slots} == {
        name: kind for name, (kind, _) in slots.items()
    }
    for _, template in slots.values():
        assert template in made.steps[0]
    assert again(made, phrase).steps == plan_of(argv).steps


def test_other_values_go_into_the_same_places() -> None:
    """What was learned is not that one message."""
    made = lesson("last 50 lines of /var/log/app on web-1", plan_of(("tail", "-n", "50", "/var/log/app")))
    plan = again(made, "last 9 lines of /var/log/other on web-2 and db-1")
    assert plan.steps == plan_of(("tail", "-n", "9", "/var/log/other"), targets=("db-1", "web-2")).steps


def test_chinese_words_become_an_example_of_theirs() -> None:
    """Places stand between Han characters as the message had them."""
    made = lesson("弹一下 web-1 的 nginx", plan_of(("systemctl", "restart", "nginx")), language="zh", changes=True)
    assert made.example == "弹一下 {machine} 的 {unit}"
    assert again(made, "弹一下web-2的redis").steps[0].argv == ("systemctl", "restart", "redis")


def test_sub_commands_are_never_places() -> None:
    """Neither the first word behind the program, nor what policy knows as one, nor what the file says is no value."""
    plan = plan_of(("git", "-C", "/srv/app", "fetch", "origin"))
    made = lesson("fetch origin of /srv/app on web-1", plan, subcommands={"fetch"}, never_values=["origin"])
    assert [place.slot.name for place in made.slots] == ["path"]
    made = lesson("status of cron on web-1", plan_of(("service", "status", "cron")))
    assert made.steps == (("service", "status", "{unit}"),)


def test_a_word_that_is_there_twice_stays_as_it_is() -> None:
    """Which of them is the value is not known."""
    made = lesson("redis is redis on web-1", plan_of(("systemctl", "restart", "redis")))
    assert made.slots == ()
    assert made.steps == (("systemctl", "restart", "redis"),)


def test_a_value_in_several_steps_is_one_place() -> None:
    """Both steps get what the message says."""
    plan = plan_of(("systemctl", "stop", "app"), ("systemctl", "start", "app"))
    made = lesson("bounce app on web-1", plan)
    assert (
        again(made, "bounce api on web-1").steps
        == plan_of(("systemctl", "stop", "api"), ("systemctl", "start", "api")).steps
    )


@each_of(
    ("phrase", "targets", "example"),
    [
        ("frob web-1 and db-1", ("db-1", "web-1"), "frob {machine}"),
        ("frob @role=web now", ("web-1", "web-2"), "frob {machine} now"),
        ("frob web-*, please", ("web-1", "web-2"), "frob {machine}, please"),
        ("frob all machines", ("db-1", "web-1", "web-2"), "frob {machine}"),
        ("web-1's frob", ("web-1",), "{machine}'s frob"),
        ("frob 一下所有机器", ("db-1", "web-1", "web-2"), "frob 一下 {machine}"),
    ],
)
def test_the_machines_become_one_place(phrase: str, targets: tuple[str, ...], example: str) -> None:
    """However they are named, as long as it means exactly the plan's."""
    made = lesson(phrase, plan_of(("frob", "-a"), targets=targets))
    assert made.example == example


@each_of(
    ("phrase", "plan", "key"),
    [
        ("frob it", plan_of(("frob",)), "draft_needs_machine"),
        ("frob web-2", plan_of(("frob",)), "draft_needs_machine"),
        ("frob web-*", plan_of(("frob",)), "draft_needs_machine"),
        ("@web-1 frob", plan_of(("frob",)), "draft_needs_phrase"),
        ("she said “frob web-1”", plan_of(("frob",)), "draft_needs_phrase"),
        (f"frob web-1 {'x' * 900}", plan_of(("frob",)), "draft_needs_phrase"),
        ("frob web-1\x1b[0m", plan_of(("frob",)), "draft_needs_phrase"),
        ("frob web-1", Plan((Step(("a",), ("web-1",)), Step(("b",), ("db-1",)))), "draft_uneven"),
        ("frob web-1", Plan((Step(("a",), ("web-1",)), Step(("b",), ("web-1",), cwd="/srv"))), "draft_uneven"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_said(phrase: str, plan: Plan, key: str) -> None:
    """Each with its reason and the cure, in both languages."""
    found = learned(phrase, plan)
    assert isinstance(found, Sentence)
    assert found.key == key
    assert found.render("en")
    assert found.render("zh")


def test_folder_and_time_limit_go_along() -> None:
    """The longest of the limits: policy makes each step's its own again."""
    plan = Plan(
        (Step(("a", "x"), ("web-1",), cwd="/srv", time_limit=5), Step(("b",), ("web-1",), cwd="/srv", time_limit=9))
    )
    made = lesson("frob web-1", plan, changes=True)
    step = again(made, "frob web-1").steps[0]
    assert (step.cwd, step.time_limit) == ("/srv", 9)
    assert "changes = true" in to_toml(made)


argument = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Cn", "Co")), min_size=1, max_size=20
)


@given(st.lists(argument, min_size=1, max_size=5))
def test_any_argument_is_written_and_read_back(arguments: list[str]) -> None:
    """Braces, quotes, backslashes: the template gives the very same vector."""
    plan = plan_of(("/opt/x", *arguments))
    assert again(lesson("zorbify web-1", plan), "zorbify web-1").steps == plan.steps


@given(st.text(max_size=60), st.lists(argument, max_size=4))
def test_no_message_breaks_the_file(text: str, arguments: list[str]) -> None:
    """Whatever was said, what is written parses as one table with the program that was approved."""
    found = learned(f"{text} web-1", plan_of(("/opt/x", *arguments)))
    if isinstance(found, InducedRunbook):
        body = tomllib.loads(to_toml(found))
        assert body.keys() == {"runbooks"}
        assert body["runbooks"].keys() == {"made"}
        assert body["runbooks"]["made"]["steps"][0][0] == "/opt/x"
