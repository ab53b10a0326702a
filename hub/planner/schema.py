"""The JSON schema of an answer: one alternative for each kind, what may be named as enums, all else bounded. Pure.

Kept to what Ollama, llama.cpp, vLLM and OpenAI's strict mode have in common: `anyOf` below the root, every property
required, no property beyond them. Runbooks whose places are the same share an alternative, so that a model can only
name the places that a runbook has. Where there are too many machines to list, a bounded text of the right characters
stands for them, and `answer` looks them up.

Bounds are small: a grammar that repeats a character a thousand times costs the server time at every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hub.machines import Inventory
from hub.plan.runbook import Runbook
from hub.planner.rights import Rights
from hub.planner.told import expressions

MAX_STEPS: Final = 8
MAX_MACHINES: Final = 8  # expressions of one step; labels and `*` stand for many
MAX_ARGUMENTS: Final = 16
MAX_ARGUMENT: Final = 200
MAX_WHY: Final = 120
MAX_RISK_WHY: Final = 80
MAX_SAY: Final = 500
MAX_RUNBOOKS: Final = 300
RISKS: Final = ("low", "medium", "high")
KINDS: Final = ("runbook", "commands", "say", "ask", "unknown")


def schema_of(inventory: Inventory, runbooks: Sequence[Runbook], rights: Rights) -> dict[str, Any]:
    """What an answer has to follow. Without machines nothing can be planned, and only words are left."""
    alternatives: list[dict[str, Any]] = []
    if inventory.machines:
        alternatives += _runbooks(runbooks[:MAX_RUNBOOKS])
        if rights.programs or rights.any_path:
            steps = {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": MAX_STEPS}
            alternatives.append(_object("commands", steps=steps))
    alternatives.append(_object("say", text=_text(MAX_SAY)))
    alternatives.append(_object("ask", text=_text(MAX_SAY)))
    alternatives.append(_object("unknown", text=_text(MAX_WHY)))
    return {
        "type": "object",
        "properties": {"answer": {"anyOf": alternatives}},
        "required": ["answer"],
        "additionalProperties": False,
        "$defs": _definitions(inventory, rights) if inventory.machines else {},
    }


def _definitions(inventory: Inventory, rights: Rights) -> dict[str, Any]:
    listed = expressions(inventory)
    machine: dict[str, Any] = {"enum": list(listed)} if listed else _text(64, pattern="^[A-Za-z0-9._*?=-]{1,64}$")
    program: dict[str, Any] = {"enum": list(rights.programs)}
    if rights.any_path:
        program = _text(MAX_ARGUMENT)
    step = _closed(
        {
            "program": program,
            "arguments": {"type": "array", "items": _text(MAX_ARGUMENT), "maxItems": MAX_ARGUMENTS},
            **_judged(),
        }
    )
    return {
        "machine": machine,
        "machines": {
            "type": "array",
            "items": {"$ref": "#/$defs/machine"},
            "minItems": 1,
            "maxItems": MAX_MACHINES,
        },
        "step": step,
    }


def _judged() -> dict[str, Any]:
    """What every step says: where, what for, and how dangerous it is."""
    return {
        "machines": {"$ref": "#/$defs/machines"},
        "why": _text(MAX_WHY),
        "risk": {"enum": list(RISKS)},
        "risk_why": _text(MAX_RISK_WHY),
    }


def _runbooks(runbooks: Sequence[Runbook]) -> list[dict[str, Any]]:
    alike: dict[tuple[tuple[str, tuple[str, ...], bool], ...], list[str]] = {}
    for runbook in runbooks:
        places = tuple((name, slot.values, slot.default is not None) for name, slot in sorted(runbook.slots.items()))
        alike.setdefault(places, []).append(runbook.name)
    found = []
    for places, names in alike.items():
        values = {name: _value(listed, optional) for name, listed, optional in places}
        found.append(_object("runbook", runbook={"enum": names}, values=_closed(values), **_judged()))
    return found


def _value(listed: tuple[str, ...], optional: bool) -> dict[str, Any]:
    """The text of one place; an optional one may be empty, for its default."""
    if listed:
        return {"enum": [*listed, ""] if optional else list(listed)}
    return _text(MAX_ARGUMENT, least=0 if optional else 1)


def _object(kind: str, **properties: Any) -> dict[str, Any]:
    return _closed({"kind": {"enum": [kind]}, **properties})


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(most: int, *, least: int = 0, pattern: str = "") -> dict[str, Any]:
    bounded: dict[str, Any] = {"type": "string"}
    if pattern:
        return {**bounded, "pattern": pattern}
    return {**bounded, **({"minLength": least} if least else {}), "maxLength": most}
