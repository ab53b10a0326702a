"""The crash points there are, read from the source: what may be asked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAMS: Final = ("hub", "agent")


@cache
def points_in(folder: str) -> frozenset[str]:
    """Every `crashpoint("NAME")` below it."""
    return frozenset(_calls(folder, "crashpoint", 0))


@cache
def stages_in(folder: str) -> frozenset[str]:
    """Every stage of `crashpoints_of(THINGS, "STAGE")` below it."""
    return frozenset(_calls(folder, "crashpoints_of", 1))


def is_point(name: str) -> bool:
    """Whether a process can reach a place of that name: a misspelt one would be waited for in vain."""
    return any(
        name in points_in(folder) or ("." in name and name.rpartition(".")[2] in stages_in(folder))
        for folder in PROGRAMS
    )


def _calls(folder: str, function: str, argument: int) -> Iterator[str]:
    for file in sorted((ROOT / folder).rglob("*.py")):
        text = file.read_text()
        if function not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
                value = node.args[argument]
                assert isinstance(value, ast.Constant), f"{file.name}: a place has a name that is written out"
                yield value.value
