"""Who imports whom: each package stands alone, there are no cycles of either kind, and no module is too long to read.

A cycle counts wherever its imports stand: at the head, under TYPE_CHECKING, inside a function. Hidden, it is still one.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import itertools
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sources import GROUP, PACKAGES, ROOT, parse, parsed

pytestmark = pytest.mark.xdist_group(GROUP)

MAX_LINES = 500

NOT_IMPORTED = ("__main__", "hub.store.migrations.")
"""Modules that run rather than load: programs, and what only Alembic calls."""

Graph = dict[str, set[str]]


def name_of(path: Path, root: Path) -> str:
    """The dotted name of a module file; a package's is that of its folder."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(root: Path) -> dict[str, tuple[Path, ast.Module]]:
    """Every module of the packages under `root`, parsed."""
    return {name_of(path, root): (path, tree) for path, tree in (parsed() if root == ROOT else parse(root)).items()}


def imports(name: str, path: Path, tree: ast.Module, known: Mapping[str, object]) -> set[str]:
    """The modules of ours that a module imports anywhere in its text."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in known else base)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module" and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                found.add(target.value)
    return {target for target in found if target in known and target != name}


@functools.cache
def graph(root: Path) -> Graph:
    found = read(root)
    return {name: imports(name, path, tree, found) for name, (path, tree) in found.items()}


def cycle(edges: Graph) -> list[str] | None:
    """One cycle as the names on it, first and last the same; None where there is none."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])[::-1]
    return None


def test_there_are_no_import_cycles() -> None:
    """Over all four packages, module by module, hidden imports included."""
    edges = graph(ROOT)
    found = cycle(edges)
    assert found is None, "an import cycle: " + " -> ".join(found or [])
    assert len(edges) > 20
    assert "common.link.messages" in edges["common.link.codec"]


@pytest.mark.parametrize(
    "hidden",
    [
        "from hub import a\n",
        "import hub.a\n",
        "from hub.a import thing\n",
        "from . import a\n",
        "from .a import thing\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hub.a import thing\n",
        "def later():\n    import hub.a as other\n    return other\n",
        "import importlib\nother = importlib.import_module('hub.a')\n",
    ],
)
def test_a_cycle_is_found_wherever_it_hides(tmp_path: Path, hidden: str) -> None:
    """At the head, relative, for types only, inside a function, by name: each is seen and named."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "__init__.py").write_text("")
    (tmp_path / "hub" / "a.py").write_text("from hub.b import other\n")
    (tmp_path / "hub" / "b.py").write_text("from hub import c\n")
    (tmp_path / "hub" / "c.py").write_text(hidden)
    edges = graph(tmp_path)
    found = cycle(edges)
    assert found is not None
    assert found[0] == found[-1]
    assert set(found) == {"hub.a", "hub.b", "hub.c"}
    assert all(imported in edges[importer] for importer, imported in itertools.pairwise(found))


def test_a_package_and_its_own_module_can_be_a_cycle(tmp_path: Path) -> None:
    """A package that imports its module, which imports a name from the package."""
    folder = tmp_path / "hub" / "store"
    folder.mkdir(parents=True)
    (tmp_path / "hub" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("from hub.store.verbs import Txn\nLIMIT = 1\n")
    (folder / "verbs.py").write_text("from hub.store import LIMIT\n")
    assert set(cycle(graph(tmp_path)) or []) == {"hub.store", "hub.store.verbs"}
    (folder / "verbs.py").write_text("from hub.store import rows\n")
    (folder / "rows.py").write_text("")
    assert cycle(graph.__wrapped__(tmp_path)) is None


def rooms(edges: Graph, package: str) -> Graph:
    """Who imports whom among what stands directly in `package`: its modules and its folders, each as one."""

    def room(name: str) -> str:
        return ".".join(name.split(".")[: package.count(".") + 2])

    inside = {name: targets for name, targets in edges.items() if name.startswith(f"{package}.")}
    found: Graph = {room(name): set() for name in inside}
    for name, targets in inside.items():
        found[room(name)] |= {room(other) for other in targets if other.startswith(f"{package}.")} - {room(name)}
    return found


def packages(edges: Graph) -> list[str]:
    """Every package that holds something, from the outermost in."""
    return sorted({name.rpartition(".")[0] for name in edges if "." in name})


def test_there_are_no_cycles_between_rooms() -> None:
    """A folder counts as one: two folders that import each other are two halves of one room."""
    edges = graph(ROOT)
    found = {package: cycle(rooms(edges, package)) for package in packages(edges)}
    wrong = [f"in {package}: {' -> '.join(names)}" for package, names in found.items() if names]
    assert not wrong, "cycles between rooms:\n" + "\n".join(wrong)
    assert len(found) > 20


def test_a_cycle_between_rooms_is_found_where_no_module_is_on_one() -> None:
    """a.x imports b.y, and b.z imports a.w: no module cycle, and yet neither folder stands below the other."""
    edges: Graph = {"hub.a.x": {"hub.b.y"}, "hub.b.y": set(), "hub.b.z": {"hub.a.w"}, "hub.a.w": set()}
    assert cycle(edges) is None
    assert set(cycle(rooms(edges, "hub")) or []) == {"hub.a", "hub.b"}
    assert cycle(rooms(edges, "hub.a")) is None
    assert packages(edges) == ["hub.a", "hub.b"]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_can_be_imported_alone(package: str) -> None:
    """All its modules in a fresh interpreter, with none of the other programs coming along (common may)."""
    names = [
        name for name in graph(ROOT) if name.split(".")[0] == package and not any(skip in name for skip in NOT_IMPORTED)
    ]
    others = [other for other in PACKAGES if other not in (package, "common")]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"came = sorted(name for name in sys.modules if name.split('.')[0] in {others!r})\n"
        "assert not came, came\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert package in names


def test_no_module_is_too_long_to_read() -> None:
    """Five hundred lines at the most."""
    long = []
    for name, (path, _) in read(ROOT).items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES:
            long.append(f"{name}: {lines} lines")
    assert not long, "\n".join(long)
