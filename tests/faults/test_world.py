"""tests.faults.world: it comes up wherever it is put."""

from __future__ import annotations

from pathlib import Path

from tests.faults.world import running_world


async def test_a_folder_with_a_long_path_will_do(tmp_path: Path) -> None:
    """A runner's socket has a path of 107 bytes at most, and the folders of tests that run beside others are long."""
    async with running_world(tmp_path / ("x" * 100), relayed=False) as world:
        assert world.is_linked()
