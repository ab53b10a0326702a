"""A runbook as a value: templates, plans, examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.planning.runbooks.runbook import BadTemplate, Runbook, Template
from hub.planning.runbooks.slots import RunbookSlot
from tests.each import each_of

LOGS = Runbook(
    name="logs",
    title={"en": "logs of a service", "zh": ""},
    steps=(
        tuple(map(Template.parse, ("journalctl", "-u", "{unit}", "--lines={lines}"))),
        tuple(map(Template.parse, ("echo", "{{{unit}}}"))),
    ),
    examples={"en": ("logs of {unit} on {machine}",), "zh": ()},
    slots={"unit": RunbookSlot("unit", "unit", sample="nginx"), "lines": RunbookSlot("lines", "int", default="50")},
    time_limit=30,
    cwd="/srv",
)


def test_a_plan_has_values_and_defaults_in_whole_arguments() -> None:
    """Every step for every target; braces that were doubled are braces."""
    plan = LOGS.plan({"unit": "cron"}, ["web-2", "web-1", "web-2"], "zh")
    assert [step.argv for step in plan.steps] == [("journalctl", "-u", "cron", "--lines=50"), ("echo", "{cron}")]
    assert {step.targets for step in plan.steps} == {("web-1", "web-2")}
    assert {(step.time_limit, step.cwd) for step in plan.steps} == {(30, "/srv")}
    assert plan.source == "runbook:logs"
    assert plan.explanation == "logs of a service"


@given(st.text(max_size=20))
def test_a_value_stays_within_its_argument(value: str) -> None:
    """Blanks, quotes and braces in a value make neither a second argument nor a second slot."""
    template = Template.parse("--unit={unit}")
    assert template.render({"unit": value}) == "--unit=" + value


@given(st.text("ab", max_size=5))
def test_text_without_braces_is_itself(text: str) -> None:
    """A template that has no slot is a constant."""
    assert Template.parse(text).render({}) == text


@each_of("argument", ["{", "}", "a{b", "{A}", "{a b}", "{0}", "{a.b}", "{a!r}", "{}"])
def test_a_stray_brace_is_refused(argument: str) -> None:
    """Nothing of str.format but plain names."""
    with pytest.raises(BadTemplate):
        Template.parse(argument)


def test_an_example_is_filled_with_samples() -> None:
    """In the person's language where there is one, else in another."""
    assert LOGS.sample_phrase("zh", "web-1") == "logs of nginx on web-1"
    assert LOGS.fill_example("{lines} lines of {unit} on {machine}", {"machine": "db-1", "unit": "cron"}) == (
        "50 lines of cron on db-1"
    )
