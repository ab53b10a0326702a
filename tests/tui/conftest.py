"""One running hub for all tests of the command line; those that would disturb the others make one of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tui.live import Live, clean_environment, live


@pytest.fixture(scope="session")
def answerback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`answerback("agents")` is the command as the admin, on a hub with the machines web-1 and web-2."""
    clean_environment()
    with live(tmp_path_factory.mktemp("live")) as running:
        yield running
