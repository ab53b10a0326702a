"""agent.runner.out_of_memory"""

from __future__ import annotations

from pathlib import Path

from agent.runner.out_of_memory import OutOfMemory


def test_only_what_was_not_there_before_counts(tmp_path: Path) -> None:
    """An end from last year explains nothing; a counter that is hidden or odd explains nothing either."""
    file = tmp_path / "vmstat"
    file.write_text("pgfault 12\noom_kill 3\n")
    memory = OutOfMemory(file)
    assert not memory.has_killed()
    file.write_text("pgfault 13\noom_kill 4\n")
    assert memory.has_killed()
    assert not memory.has_killed()
    file.write_text("oom_kill many\n")
    assert not memory.has_killed()
    file.unlink()
    assert not memory.has_killed()
