from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UserError
from hub.config import HubConfig, ModelTable, PlanningTable
from hub.planning.llm_servers.build import build_clients, node_spec, pool_limits
from hub.planning.llm_servers.ollama_api import OllamaClient
from hub.planning.llm_servers.openai_api import OpenAIClient


async def test_each_table_is_a_node_of_its_kind(tmp_path: Path) -> None:
    """OllamaClient where nothing is said; what the table says is the node's."""
    made = build_clients(
        {
            "local": ModelTable("http://127.0.0.1:11434", "qwen"),
            "cloud": ModelTable("https://m.example.org/v1", "big", "openai", parallel=8, priority=2),
        }
    )
    assert [type(wire) for _, wire in made] == [OllamaClient, OpenAIClient]
    assert [(spec.name, spec.model, spec.parallel, spec.priority) for spec, _ in made] == [
        ("local", "qwen", 2, 1),
        ("cloud", "big", 8, 2),
    ]
    assert node_spec("x", ModelTable("http://h", "m")).timeout == 60.0
    for _, wire in made:
        await wire.close()
    with pytest.raises(UserError, match="no such file"):
        build_clients({"x": ModelTable("http://h", "m", key_file=tmp_path / "none")})


def test_bounds_are_those_of_planning() -> None:
    """Every one of them."""
    bounds = pool_limits(HubConfig(planning=PlanningTable(queue=3, max_tokens=4, person_day=5, hedge=False, merge=6)))
    assert (bounds.queue, bounds.max_tokens, bounds.person_day, bounds.hedge, bounds.merge) == (3, 4, 5, False, 6)
    assert bounds.person_minute == PlanningTable().person_minute


def test_the_protocols_libraries_are_loaded_only_where_they_are_spoken() -> None:
    """A hub without models has neither the ollama client nor pydantic in memory."""
    program = "import sys, hub.planning.llm_servers.build; assert not {'ollama', 'pydantic'} & set(sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
