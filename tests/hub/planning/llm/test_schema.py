"""The schema: what may be named, and bounds on everything else; accepted by llama.cpp's own converter."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from hub.core.inventory import Inventory, Machine
from hub.planning.llm.permissions import Permissions, permissions_for
from hub.planning.llm.schema import MAX_STEPS, answer_schema
from tests.hub.planning.defaults import default_chain, default_policy
from tests.models.real import converter

RUNBOOKS = default_chain().runbooks.runbooks
POLICY = default_policy()


def fleet(count: int) -> Inventory:
    return Inventory({f"web-{n}": Machine(f"web-{n}", {"role": "web"}) for n in range(count)})


def made(count: int = 2) -> dict[str, Any]:
    return answer_schema(fleet(count), RUNBOOKS, permissions_for(POLICY, ["operator"], fleet(count)))


def kinds(schema: dict[str, Any]) -> list[str]:
    return [one["properties"]["kind"]["enum"][0] for one in schema["properties"]["answer"]["anyOf"]]


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    if isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


@pytest.mark.parametrize("count", [2, 10_000])
def test_everything_is_bounded_and_closed(count: int) -> None:
    """Every text, list and object; every property is required, as OpenAI's strict mode wants it."""
    for node in nodes(made(count)):
        match node.get("type"):
            case "string":
                assert node.get("maxLength", 0) or node["pattern"].endswith("{1,64}$"), node
            case "array":
                assert node["maxItems"] <= 16
            case "object":
                assert node["additionalProperties"] is False
                assert node["required"] == list(node["properties"])


def test_what_may_be_named_is_listed() -> None:
    """Machines with labels, programs of the rights, runbooks with exactly their places."""
    schema = made()
    assert schema["$defs"]["machine"]["enum"] == ["web-0", "web-1", "role=web", "*"]
    assert "df" in schema["$defs"]["step"]["properties"]["program"]["enum"]
    assert "rm" not in schema["$defs"]["step"]["properties"]["program"]["enum"]
    assert schema["properties"]["answer"]["anyOf"][-4]["properties"]["steps"]["maxItems"] == MAX_STEPS
    for one in schema["properties"]["answer"]["anyOf"]:
        for name in one["properties"].get("runbook", {}).get("enum", ()):
            (runbook,) = [known for known in RUNBOOKS if known.name == name]
            assert set(one["properties"]["values"]["properties"]) == set(runbook.slots)


def test_too_many_machines_are_a_bounded_word() -> None:
    """Of the characters that an expression has."""
    assert made(10_000)["$defs"]["machine"] == {"type": "string", "pattern": "^[A-Za-z0-9._*?=-]{1,64}$"}


def test_without_machines_or_rights_there_are_only_words() -> None:
    """Nothing that could be planned is offered."""
    rights = permissions_for(POLICY, ["operator"], fleet(1))
    assert kinds(answer_schema(Inventory(), RUNBOOKS, rights)) == ["say", "ask", "unknown"]
    assert kinds(answer_schema(fleet(1), [], Permissions((), ()))) == ["say", "ask", "unknown"]
    assert kinds(answer_schema(fleet(1), [], Permissions((), (), any_path=True)))[0] == "commands"


@pytest.mark.skipif(converter() is None, reason="llama.cpp's converter is not here: `make models` builds it")
@pytest.mark.parametrize("count", [0, 1, 100, 10_000])
def test_llama_cpp_makes_a_grammar_of_it(count: int) -> None:
    """The converter of llama.cpp itself, which Ollama has too, for every shape that a schema takes here."""
    found = converter()
    assert found is not None
    for rights in (
        permissions_for(POLICY, ["admin"], fleet(count)),
        Permissions((), (), any_path=True),
        Permissions((), ()),
    ):
        text = json.dumps(answer_schema(fleet(count), RUNBOOKS, rights))
        result = subprocess.run([str(found)], input=text, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert "root ::=" in result.stdout
