"""A plan as text to edit, and back: one block a step, a key a line. What was not touched comes back the same. Pure.

    on: web-1, web-2
    in: /srv/app
    env: LANG=C.UTF-8
    timeout: 60
    run: systemctl reload nginx

`run` is a line of the grammar that chat uses, filters behind `|` included, or, where a word cannot be written so, a
JSON array of words. Blocks
are set apart by an empty line; lines that begin with # are notes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from common.api.actions import StepEdit
from common.api.plans import AnyStep, StepRow, StepView
from common.catalogue import Sentence
from common.command.grammar import BadLine
from common.command.line import parse_command, quote_command
from common.command.output_filters import BadFilter
from common.plan import DEFAULT_TIME_LIMIT, BadPlan, Step
from common.policy.protections import told_variables

STEP_KEYS = ("on", "in", "env", "timeout", "run")


class InvalidPlanText(ValueError):
    """A text that is no plan; `line` counts from 1."""

    def __init__(self, line: int, sentence: Sentence) -> None:
        super().__init__(line, sentence)
        self.line = line
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.line}: {self.sentence}"


def render_plan(steps: Sequence[AnyStep | StepEdit], note: str = "") -> str:
    """The steps of a plan as text."""
    blocks = [f"# {note}"] if note else []
    for step in steps:
        targets = (step.targets,) if isinstance(step.targets, str) else step.targets or ()
        env = {} if isinstance(step, StepRow) else step.env or {}
        lines = ["on: " + ", ".join(targets)]
        if step.cwd:
            lines.append(f"in: {_exact_line(step.cwd)}")
        lines += [f"env: {_exact_line(f'{key}={value}')}" for key, value in told_variables(sorted(env.items()))]
        lines.append(f"timeout: {DEFAULT_TIME_LIMIT if step.time_limit is None else step.time_limit}")
        lines.append("run: " + quote_command(step.argv or (), step.filters or ()))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _exact_line(text: str) -> str:
    return text if text.isprintable() and text == text.strip() and not text.startswith('"') else json.dumps(text)


def parse_plan(text: str, base: Sequence[AnyStep]) -> tuple[StepEdit, ...]:
    """The steps that `text` says; what a text cannot say (the output cap) is the base's. Raises InvalidPlanText."""
    steps: list[StepEdit] = []
    block: dict[str, Any] = {}
    start = 1
    lines = text.split("\n")
    for number, raw in enumerate([*lines, ""], 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        if not line:
            if block:
                steps.append(_step(block, start, base[len(steps)] if len(steps) < len(base) else None))
                block = {}
            continue
        start = start if block else number
        key, colon, value = line.partition(":")
        key = key.strip()
        if not colon or key not in STEP_KEYS:
            raise InvalidPlanText(number, Sentence("console_plan_key", {"keys": ", ".join(STEP_KEYS)}))
        if key == "env":
            block.setdefault("env", {}).update(_variable(value.strip(), number))
        elif key in block:
            raise InvalidPlanText(number, Sentence("console_plan_twice", {"key": key}))
        else:
            block[key] = _value(key, value.strip(), number)
    if not steps:
        raise InvalidPlanText(1, Sentence("console_plan_empty"))
    return tuple(steps)


def _value(key: str, value: str, number: int) -> Any:
    if key == "timeout":
        if not (value.isascii() and value.isdigit() and len(value) < 8):
            raise InvalidPlanText(number, Sentence("console_plan_timeout"))
        return int(value)
    if key == "on":
        return [name.strip() for name in value.split(",") if name.strip()]
    if key == "in":
        return _quoted(value, number)
    try:
        return parse_command(value)
    except (BadLine, BadFilter) as error:
        raise InvalidPlanText(number, error.sentence) from None


def _variable(value: str, number: int) -> dict[str, str]:
    name, equals, said = _quoted(value, number).partition("=")
    if not equals:
        raise InvalidPlanText(number, Sentence("console_plan_env"))
    return {name: said}


def _quoted(value: str, number: int) -> str:
    if not value.startswith('"'):
        return value
    said = _json(value, number)
    if not isinstance(said, str):
        raise InvalidPlanText(number, Sentence("console_plan_json"))
    return said


def _json(value: str, number: int) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidPlanText(number, Sentence("console_plan_json")) from None


def _step(block: Mapping[str, Any], start: int, base: AnyStep | None) -> StepEdit:
    for needed in ("on", "run"):
        if not block.get(needed):
            raise InvalidPlanText(start, Sentence("console_plan_lacks", {"key": needed}))
    (argv, filters), targets = block["run"], tuple(sorted(set(block["on"])))
    cwd, env, limit = block.get("in", ""), block.get("env", {}), block.get("timeout", DEFAULT_TIME_LIMIT)
    try:
        Step(argv, targets, cwd, tuple(sorted(env.items())), limit, filters=filters)
    except BadPlan as error:
        raise InvalidPlanText(start, Sentence("console_plan_bad", {"why": str(error)})) from None
    cap = base.output_cap if isinstance(base, StepView) else None
    edit = StepEdit(argv=argv, targets=targets, cwd=cwd, env=env, time_limit=limit, output_cap=cap)
    # Told only where they change: a hub of version 0.1.0 knows no filters.
    return edit if filters == (base.filters if base is not None else ()) else replace(edit, filters=filters)
