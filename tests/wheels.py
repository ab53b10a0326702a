"""Builds our wheel, and fills environments with it and what its metadata asks for, without a network.

What the metadata asks for is copied from the environment that runs the tests; `pip` then installs the wheel with no
index, and so refuses an environment in which a requirement is missing or of a wrong version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("common", "hub", "agent", "tui", "systemd", "pyproject.toml", "README.md", "LICENSE")


def run(*command: str | Path, **more: str) -> str:
    """A command's standard output; an error carries all that it said."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


def build(folder: Path) -> Path:
    """The wheel of a copy of the sources, so that nothing of an earlier build is in it and nothing is left beside."""
    copy = folder / "source"
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


def required(wheel: Path, extras: Iterable[str] = ()) -> list[Requirement]:
    """What the wheel's metadata asks for, with these extras."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        message = Parser().parsestr(file.read(name).decode())
    return wanted(message.get_all("Requires-Dist") or [], extras)


def wanted(lines: Iterable[str], extras: Iterable[str]) -> list[Requirement]:
    asked = [Requirement(line) for line in lines]
    return [
        one
        for one in asked
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def closure(requirements: Iterable[Requirement]) -> dict[str, metadata.Distribution]:
    """All distributions that these come to, by name, as they are installed here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        distribution = found.setdefault(name, metadata.distribution(name))
        mark = f"{name}[{','.join(sorted(requirement.extras))}]"
        if mark not in found:
            found[mark] = distribution
            waiting += wanted(distribution.requires or [], requirement.extras)
    return {name: distribution for name, distribution in found.items() if "[" not in name}


def fill(environment: Path, wheel: Path, extras: Iterable[str] = ()) -> set[str]:
    """Copies what the wheel asks for into a virtual environment; the names of it."""
    (site,) = environment.glob("lib/python3*/site-packages")
    distributions = closure(required(wheel, extras))
    for distribution in distributions.values():
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    return set(distributions)


def installed(environment: Path) -> set[str]:
    """The distributions of a virtual environment, by name."""
    (site,) = environment.glob("lib/python3*/site-packages")
    return {canonicalize_name(one.metadata["Name"]) for one in metadata.distributions(path=[str(site)])}


if __name__ == "__main__":  # ENVIRONMENT WHEEL EXTRA…: for scripts
    fill(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
