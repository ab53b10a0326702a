"""A hub's inside for the tests of its shells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hub.house import Clock, House, house


@pytest.fixture
def still() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
async def inside(tmp_path: Path, still: Clock) -> AsyncIterator[House]:
    """A hub without its doors, with the machine web-1 on it; checked after the test."""
    with house(tmp_path, still) as made:
        await made.machine("web-1")
        await made.people.refresh()
        yield made
