"""Where plans and steps are made: in few places. Everywhere else they are copied, and keep where they came from.

A plan rebuilt field by field loses what its copier did not think of: that a model proposed it, that text of nobody's
contributed to it, its filters.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = {
    "common/plan.py": {"Plan": 1, "Step": 1},  # read from JSON
    "hub/api/run.py": {"Plan": 1, "Step": 1},  # an operator's own command
    "hub/planning/explicit.py": {"Plan": 1, "Step": 1},  # `@web-1 df -h`
    "hub/planning/bare_command.py": {"Plan": 2, "Step": 3},  # the same without the `@`; the others are only judged
    "hub/planning/runbooks/runbook.py": {"Plan": 1, "Step": 1},
    "hub/planning/llm/answer.py": {"Plan": 1, "Step": 1},  # a model's, `proposed`
    "hub/core/outcome.py": {"Step": 1},  # only judged
    "hub/engine/example_phrases.py": {"Plan": 1, "Step": 1},  # only judged
    "tui/client/approval_key.py": {"Plan": 1, "Step": 1},  # only hashed: what a person signs is what they were shown
    "tui/model/plan_text.py": {"Step": 1},  # only checked: the hub makes the edit
}
"""Constructions by file; `tui/demo` is a world of its own, in which nothing runs."""


def constructions(source: str) -> Counter[str]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = (node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "") for node in calls)
    return Counter(name for name in names if name in ("Plan", "Step"))


def test_plans_are_copied_and_not_rebuilt() -> None:
    """Trust: a plan's origin (model, tainted, whose words) survives retry, edit, "again" and follow-ups because they
    copy it (`dataclasses.replace`); a new place that makes one is a decision, and is written down here.
    """
    assert constructions("Plan((Step(a, b),)); plan.Step(); replace(Plan)") == {"Plan": 1, "Step": 2}
    found = {}
    for package in ("common", "hub", "agent", "tui"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("tui/demo/") and (made := constructions(path.read_text(encoding="utf-8"))):
                found[name] = dict(made)
    assert found == MADE
