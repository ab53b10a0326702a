"""The docstring of each package is its map: it names every module that stands there, and none that does not."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("common", "hub", "agent", "tui")
NOT_MAPPED = frozenset({"__init__", "__main__"})
WITHOUT_MAP = frozenset({"hub.store.migrations"})
"""Packages whose modules are numbered steps."""

ENTRY = re.compile(r"\s*((?:[a-z][a-z0-9_]*/?)(?:, [a-z][a-z0-9_]*/?)*)(?:\s{2,}\S.*)?")
"""A line of a map: one or more names, then two blanks and what they are, or nothing."""


def packages() -> list[Path]:
    """Every package of more than one module, from the outermost in."""
    found = [path.parent for package in PACKAGES for path in sorted((ROOT / package).rglob("__init__.py"))]
    return [folder for folder in found if dotted(folder) not in WITHOUT_MAP and len(contents(folder)) > 1]


def dotted(folder: Path) -> str:
    return ".".join(folder.relative_to(ROOT).parts)


def contents(folder: Path) -> set[str]:
    """The modules and packages that stand in `folder`."""
    modules = {path.stem for path in folder.glob("*.py")} - NOT_MAPPED
    return modules | {path.parent.name for path in folder.glob("*/__init__.py")}


def docstring(folder: Path) -> str:
    return ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""


def unnamed(names: set[str], text: str) -> set[str]:
    """Which of `names` the text does not have as a word."""
    return {name for name in names if not re.search(rf"(?<![\w.]){name}\b", text)}


def listed(text: str) -> set[str]:
    """The names that stand at the beginning of the lines of a map."""
    found: set[str] = set()
    for line in text.split("Glossary")[0].splitlines():
        entry = ENTRY.fullmatch(line)
        if entry is not None:
            found.update(name.rstrip("/") for name in entry[1].split(", "))
    return found


@pytest.mark.parametrize("folder", packages(), ids=dotted)
def test_a_map_names_every_module(folder: Path) -> None:
    """Whoever adds, moves or renames a module says in the package's docstring what it is for."""
    missing = unnamed(contents(folder), docstring(folder))
    assert not missing, f"{dotted(folder)}/__init__.py says nothing of {', '.join(sorted(missing))}"


@pytest.mark.parametrize("folder", packages(), ids=dotted)
def test_a_map_names_nothing_that_is_gone(folder: Path) -> None:
    """A line of a map that begins with a name is about a module or package that stands there."""
    gone = listed(docstring(folder)) - contents(folder)
    assert not gone, f"{dotted(folder)}/__init__.py tells of {', '.join(sorted(gone))}, which is not there"


@pytest.mark.parametrize("package", ["hub", "tui"])
def test_the_readme_draws_the_layers_of_the_contracts(package: str) -> None:
    """The line of rooms in the README is the layers contract of pyproject.toml, in the same order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (one["layers"] for one in contracts if one["type"] == "layers" and one["containers"] == [package])
    drawn = f"    {package:<8} {' > '.join(layers)}\n"
    assert drawn in (ROOT / "README.md").read_text(encoding="utf-8"), f"the README should have:\n{drawn}"


def test_the_two_rules_can_fail() -> None:
    """A module left out and a line about a module that is gone are both found; prose is not taken for a map."""
    text = "One room.\n\nverbs, rows   what is called\nold_name      what was here\n\nFacts in, intentions out."
    assert unnamed({"verbs", "rows", "extra"}, text) == {"extra"}
    assert listed(text) == {"verbs", "rows", "old_name"}


def test_the_steps_of_the_schema_are_one_line() -> None:
    """Two that were written side by side have the same number; whichever came second takes the next one."""
    steps = sorted(path.name for path in (ROOT / "hub" / "store" / "migrations" / "versions").glob("[0-9]*.py"))
    numbers = [name[:4] for name in steps]
    assert len(set(numbers)) == len(numbers), f"renumber one of these, and its HEAD in hub/store/migrate.py: {steps}"
