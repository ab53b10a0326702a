"""A plan as text to edit, and back: one block a step, a key a line. What was not touched comes back the same. Pure.

    on: web-1, web-2
    in: /srv/app
    env: LANG=C.UTF-8
    timeout: 60
    run: systemctl reload nginx

`run` is a line of the grammar that chat uses, or, where a word cannot be written so, a JSON array of words. Blocks
are set apart by an empty line; lines that begin with # are notes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from common.catalogue import Sentence
from common.grammar import BadLine, tokenize
from common.plan import DEFAULT_TIME_LIMIT, BadPlan, Step
from common.text import escape_argv

Steps = list[dict[str, Any]]
KEYS = ("on", "in", "env", "timeout", "run")


class BadText(ValueError):
    """A text that is no plan; `line` counts from 1."""

    def __init__(self, line: int, sentence: Sentence) -> None:
        super().__init__(line, sentence)
        self.line = line
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.line}: {self.sentence}"


def to_text(steps: Sequence[Mapping[str, Any]], note: str = "") -> str:
    """The steps of a plan's JSON as text."""
    blocks = [f"# {note}"] if note else []
    for step in steps:
        lines = ["on: " + ", ".join(step["targets"])]
        if step.get("cwd"):
            lines.append(f"in: {_exact_line(step['cwd'])}")
        lines += [f"env: {_exact_line(f'{key}={value}')}" for key, value in sorted(dict(step.get("env") or {}).items())]
        lines.append(f"timeout: {step.get('time_limit', DEFAULT_TIME_LIMIT)}")
        lines.append("run: " + command_line(step["argv"]))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def command_line(argv: Sequence[str]) -> str:
    """A line that `tokenize` reads as exactly `argv`; the JSON array where there is none."""
    line = shlex.join(argv)
    try:
        if tokenize(line) == tuple(argv) and not line.startswith("["):
            return line
    except BadLine:
        pass
    return escape_argv(argv)


def _exact_line(text: str) -> str:
    return text if text.isprintable() and text == text.strip() and not text.startswith('"') else json.dumps(text)


def from_text(text: str, base: Sequence[Mapping[str, Any]]) -> Steps:
    """The steps that `text` says; what a text cannot say (the output cap) is the base's. Raises BadText."""
    steps: Steps = []
    block: dict[str, Any] = {}
    start = 1
    lines = text.split("\n")
    for number, raw in enumerate([*lines, ""], 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        if not line:
            if block:
                steps.append(_step(block, start, base[len(steps)] if len(steps) < len(base) else {}))
                block = {}
            continue
        start = start if block else number
        key, colon, value = line.partition(":")
        key = key.strip()
        if not colon or key not in KEYS:
            raise BadText(number, Sentence("console_plan_key", {"keys": ", ".join(KEYS)}))
        if key == "env":
            block.setdefault("env", {}).update(_variable(value.strip(), number))
        elif key in block:
            raise BadText(number, Sentence("console_plan_twice", {"key": key}))
        else:
            block[key] = _value(key, value.strip(), number)
    if not steps:
        raise BadText(1, Sentence("console_plan_empty"))
    return steps


def _value(key: str, value: str, number: int) -> Any:
    if key == "timeout":
        if not (value.isascii() and value.isdigit() and len(value) < 8):
            raise BadText(number, Sentence("console_plan_timeout"))
        return int(value)
    if key == "on":
        return [name.strip() for name in value.split(",") if name.strip()]
    if key == "in":
        return _quoted(value, number)
    if value.startswith("["):
        words = _json(value, number)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise BadText(number, Sentence("console_plan_json"))
        return words
    try:
        return list(tokenize(value))
    except BadLine as error:
        raise BadText(number, error.sentence) from None


def _variable(value: str, number: int) -> dict[str, str]:
    name, equals, said = _quoted(value, number).partition("=")
    if not equals:
        raise BadText(number, Sentence("console_plan_env"))
    return {name: said}


def _quoted(value: str, number: int) -> str:
    if not value.startswith('"'):
        return value
    said = _json(value, number)
    if not isinstance(said, str):
        raise BadText(number, Sentence("console_plan_json"))
    return said


def _json(value: str, number: int) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise BadText(number, Sentence("console_plan_json")) from None


def _step(block: Mapping[str, Any], start: int, base: Mapping[str, Any]) -> dict[str, Any]:
    for needed in ("on", "run"):
        if not block.get(needed):
            raise BadText(start, Sentence("console_plan_lacks", {"key": needed}))
    step: dict[str, Any] = {
        "argv": block["run"],
        "targets": sorted(set(block["on"])),
        "cwd": block.get("in", ""),
        "env": block.get("env", {}),
        "time_limit": block.get("timeout", DEFAULT_TIME_LIMIT),
    }
    if "output_cap" in base:
        step["output_cap"] = base["output_cap"]
    try:
        Step(
            tuple(step["argv"]),
            tuple(step["targets"]),
            step["cwd"],
            tuple(sorted(step["env"].items())),
            step["time_limit"],
        )
    except BadPlan as error:
        raise BadText(start, Sentence("console_plan_bad", {"why": str(error)})) from None
    return step
