"""The wheel, as users install it: the base is the agent alone and stays small."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git would ship, so that nothing lying about gets in."""
    source = tmp_path_factory.mktemp("source")
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    for name in files:
        if name.startswith(("common/", "hub/", "agent/", "tui/")) or name in ("pyproject.toml", "README.md", "LICENSE"):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, source)
    (made,) = out.glob("answerback-*.whl")
    return made


def test_data_files_are_in_the_wheel(wheel: Path) -> None:
    """What the programs read beside their code."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "common/py.typed",
        "common/sentences/reply.toml",
        "common/defaults/agent-policy.toml",
        "hub/defaults/policy.toml",
        "hub/defaults/runbooks.toml",
        "hub/store/migrations/versions/0001_first.py",
        "tui/tui.tcss",
    ):
        assert wanted in names
    assert not any(name.startswith("tests/") for name in names)


@pytest.mark.timeout(300)
def test_the_base_install_is_the_agent_alone(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment: the agent's help works, and the hub's and the console's libraries are not there."""
    venv.create(tmp_path / "v", with_pip=True)
    python = tmp_path / "v" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    installed = {
        line.split("==")[0].lower()
        for line in run(python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check").splitlines()
    }
    expected = {"answerback", "websockets", "msgpack", "psutil", "cryptography", "cffi", "pycparser"}
    assert installed - {"pip", "setuptools", "typing_extensions", "typing-extensions"} == expected
    assert "answerback-agent join" in run(tmp_path / "v" / "bin" / "answerback-agent", "--help")
    for module in ("textual", "ollama", "starlette"):
        missing = subprocess.run([str(python), "-c", f"import {module}"], capture_output=True, check=False)
        assert missing.returncode != 0
