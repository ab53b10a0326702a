"""agent.boot"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent import boot as module
from agent.boot import boot_id, boot_id_or_random, since_boot


def test_the_kernels_id() -> None:
    """The same in every process until the machine starts again."""
    assert boot_id() == boot_id_or_random() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize("content", [None, "", "\u00ff\u00fe"])
def test_without_one_each_process_counts_as_a_boot(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file, an empty one, nonsense: the runner starts, and takes what ran before it for unknown."""
    file = tmp_path / "boot_id"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    monkeypatch.setattr(module, "_BOOT_ID", file)
    with pytest.raises((OSError, ValueError)):
        boot_id()
    first, second = boot_id_or_random(), boot_id_or_random()
    assert first != second
    assert len(first) < 64


def test_the_clock_from_boot_is_not_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the wall clock does not move it."""
    before = since_boot()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= since_boot() - before < 5
