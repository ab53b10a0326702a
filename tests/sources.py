"""The product's sources, parsed once a process; the tests that read all of them are one group, and so one process."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("common", "hub", "agent", "tui")
GROUP: Final = "sources"
"""For `pytest.mark.xdist_group`."""


@functools.cache
def parsed() -> dict[Path, ast.Module]:
    """Every module of ours, package by package and sorted. The trees are for reading."""
    return parse(ROOT)


def parse(root: Path) -> dict[Path, ast.Module]:
    """The same of another folder with such packages, as it is now."""
    return {
        path: ast.parse(path.read_text(encoding="utf-8"), str(path))
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }
