"""A running hub for the tests that look at the whole."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.end_to_end.system import SystemHarness


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[SystemHarness]:
    """A hub's folder, made and not yet served; the test starts what it needs, the fixture ends it."""
    async with SystemHarness(tmp_path) as made:
        await made.init()
        yield made
        made.check_at_most_once()
