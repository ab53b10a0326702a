"""`kit` is the module uplink.py beside this file; `home` a fresh state folder, whose programs end with the test."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agent.runner.evidence import Evidence
from agent.runner.process import is_alive

_NAME = "runner_uplink"


def _load() -> ModuleType:
    if _NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(_NAME, Path(__file__).with_name("uplink.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[_NAME] = module
        spec.loader.exec_module(module)
    return sys.modules[_NAME]


@pytest.fixture
def kit() -> ModuleType:
    return _load()


@pytest.fixture
def home(kit: ModuleType, tmp_path: Path) -> Iterator[Any]:
    made = kit.Home(tmp_path)
    yield made
    for process in made.processes:
        process.close()
    _end_programs(made.runner / "jobs")


def _end_programs(folder: Path) -> None:
    """Ends what a job of this test may have left running."""
    if not folder.exists():
        return
    descriptor = os.open(folder, os.O_RDONLY)
    evidence = Evidence(descriptor)
    for job in evidence.jobs():
        marker = evidence.read_marker(job)
        if marker is not None and is_alive(marker.pid, marker.since_boot):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(marker.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(marker.pid, 0)
    os.close(descriptor)
