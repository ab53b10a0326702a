"""A hub's inside for the tests of its shells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.values import Address
from hub.cli.init import InitSummary, init
from tests import read_once
from tests.hub.hub_harness import FakeClock, HubHarness, hub_harness

read_once.install()

HUB_MADE_AT = 1_800_000_000.0


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
async def harness(tmp_path: Path, fake_clock: FakeClock) -> AsyncIterator[HubHarness]:
    """A hub without its doors, with the machine web-1 on it; checked after the test."""
    with hub_harness(tmp_path, fake_clock) as made:
        await made.add_machine("web-1")
        await made.people.refresh()
        yield made


@pytest.fixture
def new_hub(tmp_path: Path) -> InitSummary:
    """The folder that `answerback-hub init` makes, with alice as its admin."""
    return init(tmp_path / "hub", now=HUB_MADE_AT, admin="alice", links=Address("127.0.0.1", 9001))
