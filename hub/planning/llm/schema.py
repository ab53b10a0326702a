"""The JSON schema of an answer: one alternative a kind, names as enums, everything else bounded. Pure.

Only what Ollama, llama.cpp, vLLM and OpenAI's strict mode have in common: `anyOf` below the root, every property
required, no additional ones. Runbooks with equal slots share an alternative, so that a model can only fill slots that a
runbook has. Where there are too many machines for an enum, a bounded string of the allowed characters replaces it, and
`answer` looks them up.

Bounds are small: a grammar that repeats a character a thousand times costs the server time with every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hub.core.inventory import Inventory
from hub.planning.llm.inventory_facts import machine_expressions
from hub.planning.llm.permissions import Permissions
from hub.planning.runbooks.runbook import Runbook

MAX_STEPS: Final = 8
MAX_MACHINES: Final = 8  # expressions of one step; labels and `*` stand for many
MAX_ARGUMENTS: Final = 16
MAX_ARGUMENT: Final = 200
MAX_REASON: Final = 120
MAX_RISK_REASON: Final = 80
MAX_SAY: Final = 500
MAX_RUNBOOKS: Final = 300
RISKS: Final = ("low", "medium", "high")
KINDS: Final = ("runbook", "commands", "say", "ask", "unknown")


def answer_schema(inventory: Inventory, runbooks: Sequence[Runbook], permissions: Permissions) -> dict[str, Any]:
    """The schema of answers. Without machines nothing can be planned, so only text answers are allowed."""
    alternatives: list[dict[str, Any]] = []
    if inventory.machines:
        alternatives += _runbook_schemas(runbooks[:MAX_RUNBOOKS])
        if permissions.programs or permissions.any_path:
            steps = {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": MAX_STEPS}
            alternatives.append(_answer_kind("commands", steps=steps))
    alternatives.append(_answer_kind("say", text=_text_schema(MAX_SAY)))
    alternatives.append(_answer_kind("ask", text=_text_schema(MAX_SAY)))
    alternatives.append(_answer_kind("unknown", text=_text_schema(MAX_REASON)))
    return {
        "type": "object",
        "properties": {"answer": {"anyOf": alternatives}},
        "required": ["answer"],
        "additionalProperties": False,
        "$defs": _definitions(inventory, permissions) if inventory.machines else {},
    }


def _definitions(inventory: Inventory, permissions: Permissions) -> dict[str, Any]:
    listed = machine_expressions(inventory)
    machine: dict[str, Any] = (
        {"enum": list(listed)} if listed else _text_schema(64, pattern="^[A-Za-z0-9._*?=-]{1,64}$")
    )
    program: dict[str, Any] = {"enum": list(permissions.programs)}
    if permissions.any_path:
        program = _text_schema(MAX_ARGUMENT)
    step = _strict_object(
        {
            "program": program,
            "arguments": {"type": "array", "items": _text_schema(MAX_ARGUMENT), "maxItems": MAX_ARGUMENTS},
            **_step_fields(),
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


def _step_fields() -> dict[str, Any]:
    """The fields of every step: machines, purpose, risk."""
    return {
        "machines": {"$ref": "#/$defs/machines"},
        "why": _text_schema(MAX_REASON),
        "risk": {"enum": list(RISKS)},
        "risk_why": _text_schema(MAX_RISK_REASON),
    }


def _runbook_schemas(runbooks: Sequence[Runbook]) -> list[dict[str, Any]]:
    alike: dict[tuple[tuple[str, tuple[str, ...], bool], ...], list[str]] = {}
    for runbook in runbooks:
        places = tuple((name, slot.values, slot.default is not None) for name, slot in sorted(runbook.slots.items()))
        alike.setdefault(places, []).append(runbook.name)
    found = []
    for places, names in alike.items():
        values = {name: _slot_schema(listed, optional) for name, listed, optional in places}
        found.append(_answer_kind("runbook", runbook={"enum": names}, values=_strict_object(values), **_step_fields()))
    return found


def _slot_schema(listed: tuple[str, ...], optional: bool) -> dict[str, Any]:
    """The value of one slot; an optional one may be empty, which means its default."""
    if listed:
        return {"enum": [*listed, ""] if optional else list(listed)}
    return _text_schema(MAX_ARGUMENT, least=0 if optional else 1)


def _answer_kind(kind: str, **properties: Any) -> dict[str, Any]:
    return _strict_object({"kind": {"enum": [kind]}, **properties})


def _strict_object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text_schema(most: int, *, least: int = 0, pattern: str = "") -> dict[str, Any]:
    bounded: dict[str, Any] = {"type": "string"}
    if pattern:
        return {**bounded, "pattern": pattern}
    return {**bounded, **({"minLength": least} if least else {}), "maxLength": most}
