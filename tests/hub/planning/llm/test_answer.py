"""A model's answer is read to the letter: what is of the form becomes an outcome, everything else is InvalidAnswer by
name.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.plan import Plan
from hub.core.inventory import Inventory, Machine
from hub.core.outcome import PlainAnswer, Planned
from hub.planning.llm.answer import MAX_ANSWER, AnswerScope, InvalidAnswer, ParsedAnswer, parse_answer, plan_source
from hub.planning.llm.permissions import Permissions, permissions_for
from tests.hub.planning.defaults import default_chain, default_policy
from tests.hub.planning.llm.rig import commands, runbook, words

FLEET = Inventory(
    {name: Machine(name, {"role": name[:-2]}) for name in ("web-1", "web-2", "db-1")}
    | {f"many-{n}": Machine(f"many-{n}") for n in range(1_200)}
)
RUNBOOKS = {one.name: one for one in default_chain().runbooks.runbooks}
WORLD = AnswerScope(FLEET, RUNBOOKS, permissions_for(default_policy(), ["operator"], FLEET))


def read(text: str, *, tainted: bool = False, world: AnswerScope = WORLD, language: Any = "en") -> ParsedAnswer:
    return parse_answer(text, world, language, "model:a/b", tainted=tainted)


def plan_of(text: str, **more: Any) -> Plan:
    found = read(text, **more).outcome
    assert isinstance(found, Planned)
    return found.plan


def answer(**fields: Any) -> str:
    return json.dumps({"answer": fields})


STEP = {"program": "df", "arguments": [], "machines": ["web-1"], "why": "w", "risk": "low", "risk_why": "r"}
BOOK = {
    "kind": "runbook",
    "runbook": "disk-of-path",
    "values": {"path": "/var"},
    "machines": ["web-1"],
    "why": "w",
    "risk": "low",
    "risk_why": "r",
}


def test_commands_become_steps() -> None:
    """In order, each with its machines; labels and patterns are looked up."""
    plan = plan_of(commands((["df", "-h"], ["role=web"]), (["uptime"], ["db-1", "web-*"])))
    assert [step.argv for step in plan.steps] == [("df", "-h"), ("uptime",)]
    assert [step.targets for step in plan.steps] == [("web-1", "web-2"), ("db-1", "web-1", "web-2")]
    assert plan.source == "model:a/b"
    assert plan.explanation.splitlines() == ["1. It looks. Risk low: because", "2. It looks. Risk low: because"]


def test_a_runbook_gets_its_values() -> None:
    """Checked and brought into form by its slots; an empty optional one is its default."""
    assert plan_of(runbook("disk-of-path", ["web-1"], path="/var/log/")).steps[0].argv == ("df", "-h", "/var/log")
    logs = plan_of(runbook("service-logs", ["web-1"], unit="nginx", lines=""))
    assert logs == plan_of(runbook("service-logs", ["web-1"], unit="nginx"))
    assert "runbook service-logs" in logs.explanation
    assert (
        "操作手册 service-logs" in plan_of(runbook("service-logs", ["web-1"], unit="nginx"), language="zh").explanation
    )


def test_words_are_the_models_and_marked_so() -> None:
    """One line, without code marks or signs that cannot be seen; in the person's language."""
    said = read(words("say", "`x`\n\u202ehello")).outcome
    assert said == PlainAnswer("The model says: 'x'\\n\\u202ehello")
    asked = read(words("ask", "哪台？"), language="zh")
    assert asked.outcome == PlainAnswer("模型反问：哪台？", asks=True)
    assert asked.text == "哪台？"
    assert read(words("unknown")).outcome is None


def test_nothing_but_reading_goes_untainted() -> None:
    """What the message was tainted by, what the model doubts, what a runbook changes: a person has to look."""
    assert not plan_of(commands((["df"], ["web-1"]))).tainted
    assert plan_of(commands((["df"], ["web-1"]))).proposed
    assert not plan_of(runbook("disk", ["web-1"])).proposed
    assert plan_of(commands((["df"], ["web-1"])), tainted=True).tainted
    assert plan_of(commands((["df"], ["web-1"]), risk="medium")).tainted
    assert plan_of(runbook("restart-service", ["web-1"], unit="nginx")).tainted
    assert read(runbook("restart-service", ["web-1"], unit="nginx")).risk == "medium"
    two = json.dumps({"answer": {"kind": "commands", "steps": [STEP, {**STEP, "risk": "high"}]}})
    assert (read(two).risk, plan_of(two).tainted) == ("high", True)


def deep(levels: int) -> str:
    return '{"answer":' + "[" * levels + "]" * levels + "}"


HOSTILE = {
    "nothing": "",
    "no JSON": "df -h",
    "a list": "[]",
    "null": "null",
    "NaN": '{"answer": NaN}',
    "infinity": '{"answer": {"kind": "say", "text": -Infinity}}',
    "a huge number": '{"answer": ' + "9" * 5_000 + "}",
    "a key twice": '{"answer": {"kind": "say", "kind": "ask", "text": "x"}}',
    "two answers": '{"answer": {"kind": "unknown", "text": ""}} {}',
    "a field more above": '{"answer": {"kind": "unknown", "text": ""}, "tools": []}',
    "half a pair": '{"answer": {"kind": "say", "text": "\\ud800"}}',
    "deep": deep(40),
    "very deep": deep(100_000)[: MAX_ANSWER - 2],
    "huge": json.dumps({"answer": {"kind": "say", "text": "x" * MAX_ANSWER}}),
    "no kind": answer(text="x"),
    "another kind": answer(kind="shell", text="x"),
    "a kind that is no text": answer(kind=["say"], text="x"),
    "an empty say": answer(kind="say", text="  "),
    "a long say": answer(kind="say", text="x" * 501),
    "a say that is no text": answer(kind="say", text={"x": 1}),
    "a say with a command": answer(kind="say", text="x", steps=[STEP]),
    "no steps": answer(kind="commands", steps=[]),
    "a hundred steps": answer(kind="commands", steps=[STEP] * 100),
    "ten thousand steps": answer(kind="commands", steps=[{}] * 10_000),
    "ten thousand machines": answer(kind="commands", steps=[{**STEP, "machines": ["*"] * 10_000}]),
    "steps of another type": answer(kind="commands", steps={"0": STEP}),
    "a step that is a line": answer(kind="commands", steps=["df -h"]),
    "a step with a folder": answer(kind="commands", steps=[{**STEP, "cwd": "/"}]),
    "a step with variables": answer(kind="commands", steps=[{**STEP, "env": {"LD_PRELOAD": "x"}}]),
    "a step without machines": answer(kind="commands", steps=[{**STEP, "machines": []}]),
    "machines in one word": answer(kind="commands", steps=[{**STEP, "machines": ["web-1,web-2"]}]),
    "machines as a text": answer(kind="commands", steps=[{**STEP, "machines": "web-1"}]),
    "no such machine": answer(kind="commands", steps=[{**STEP, "machines": ["web-9"]}]),
    "no such label": answer(kind="commands", steps=[{**STEP, "machines": ["role=mail"]}]),
    "every machine as a word": answer(kind="commands", steps=[{**STEP, "machines": ["all"]}]),
    "more machines than one plan takes": answer(kind="commands", steps=[{**STEP, "machines": ["*"]}]),
    "a machine that is a number": answer(kind="commands", steps=[{**STEP, "machines": [1]}]),
    "many machines": answer(kind="commands", steps=[{**STEP, "machines": ["web-1"] * 9}]),
    "another program": answer(kind="commands", steps=[{**STEP, "program": "rm"}]),
    "a path for a program": answer(kind="commands", steps=[{**STEP, "program": "/usr/bin/df"}]),
    "a line for a program": answer(kind="commands", steps=[{**STEP, "program": "df -h"}]),
    "an empty program": answer(kind="commands", steps=[{**STEP, "program": ""}]),
    "arguments in one text": answer(kind="commands", steps=[{**STEP, "arguments": "-h"}]),
    "an argument that is a number": answer(kind="commands", steps=[{**STEP, "arguments": [1]}]),
    "an argument with NUL": answer(kind="commands", steps=[{**STEP, "arguments": ["a\0b"]}]),
    "an argument with a newline": answer(kind="commands", steps=[{**STEP, "arguments": ["a\nb"]}]),
    "an argument that cannot be seen": answer(kind="commands", steps=[{**STEP, "arguments": ["a\u200bb"]}]),
    "many arguments": answer(kind="commands", steps=[{**STEP, "arguments": ["a"] * 65}]),
    "a huge argument": answer(kind="commands", steps=[{**STEP, "arguments": ["a" * 9_000]}]),
    "a secret's mark": answer(kind="commands", steps=[{**STEP, "arguments": ["[secret]"]}]),
    "another risk": answer(kind="commands", steps=[{**STEP, "risk": "none"}]),
    "a risk that is a number": answer(kind="commands", steps=[{**STEP, "risk": 0}]),
    "a long why": answer(kind="commands", steps=[{**STEP, "why": "w" * 121}]),
    "no such runbook": answer(**{**BOOK, "runbook": "no-such"}),
    "a place that it has not": answer(**{**BOOK, "values": {"path": "/var", "unit": "nginx"}}),
    "a place left empty": answer(**{**BOOK, "values": {}}),
    "a value that is a list": answer(**{**BOOK, "values": {"path": ["/var"]}}),
    "values that are a list": answer(**{**BOOK, "values": ["/var"]}),
    "a value that does not fit": answer(**{**BOOK, "values": {"path": "var; rm -rf /"}}),
    "a value that climbs": answer(**{**BOOK, "values": {"path": "/var/../etc"}}),
    "a value that is an option": answer(**{**BOOK, "values": {"path": "--help"}}),
    "a field more": answer(**{**BOOK, "approved": True}),
    "a field less": answer(**{key: value for key, value in BOOK.items() if key != "risk"}),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_of_the_form_is_unfit(text: str) -> None:
    """And the reason is one bounded line without any control character, which quotes little of it."""
    with pytest.raises(InvalidAnswer) as caught:
        read(text)
    assert 0 < len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(
    st.sampled_from(["kind", "steps", "text", "runbook", "values", "machines", "why", "risk", "risk_why", "x"]),
    JSON | st.sampled_from(["say", "commands", "runbook", "disk-of-path", "low", ["web-1"], [STEP], {"path": "/var"}]),
    max_size=9,
)


@given(FIELDS)
def test_any_answer_is_read_or_unfit(fields: dict[str, Any]) -> None:
    """Nothing else is raised, and what is read names only machines, programs and runbooks that there are."""
    try:
        found = read(json.dumps({"answer": fields}))
    except InvalidAnswer:
        return
    if isinstance(found.outcome, Planned):
        for step in found.outcome.plan.steps:
            assert set(step.targets) <= FLEET.machines.keys()
            assert step.argv[0] in WORLD.permissions.programs


def test_a_policy_that_allows_by_default_takes_absolute_programs() -> None:
    """And no names that PATH would decide."""
    world = AnswerScope(FLEET, {}, Permissions((), (), any_path=True))
    assert plan_of(commands((["/opt/x"], ["web-1"])), world=world).steps[0].argv == ("/opt/x",)
    with pytest.raises(InvalidAnswer):
        read(commands((["x"], ["web-1"])), world=world)


def test_the_source_names_node_and_model() -> None:
    """Bounded, and one line."""
    assert plan_source("gpu-1", "qwen3:8b") == "model:gpu-1/qwen3:8b"
    assert len(plan_source("a", "b\n" * 500)) <= 120
