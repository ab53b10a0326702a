"""A log on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.archive.log import Log
from tests.hub.store.conftest import postgres, postgres_template, url

__all__ = ["postgres", "postgres_template", "url"]


@pytest.fixture
def log(url: str, tmp_path: Path) -> Iterator[Log]:
    made = Log(url, tmp_path)
    yield made
    made.close()
