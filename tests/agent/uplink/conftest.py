"""A scripted hub and runner for the uplink's tests, and an uplink between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from agent.state import StateFolder
from agent.uplink.app import Uplink
from agent.uplink.renewal import CertificateRenewal
from tests.agent.fake_peers import AgentFakeHub, FakeRunner

Running = Callable[[StateFolder], AbstractAsyncContextManager[Uplink]]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[AgentFakeHub]:
    """A hub that serves."""
    async with AgentFakeHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[FakeRunner]:
    """A runner that serves."""
    async with FakeRunner(tmp_path / "runner.sock").serving() as runner:
        yield runner


@pytest.fixture
def state(hub: AgentFakeHub, tmp_path: Path) -> StateFolder:
    """The folder of the machine web-1, joined to `hub`."""
    return hub.create_joined_state(tmp_path / "state")


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """`async with running(state)`: an uplink at work that never waits before it dials again."""

    @asynccontextmanager
    async def run(state: StateFolder) -> AsyncIterator[Uplink]:
        renewal = CertificateRenewal(state, state.credential.validity(), uniform=lambda: 0.0)
        uplink = Uplink(state, state.settings(), tmp_path / "runner.sock", renewal, uniform=lambda: 0.0)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(uplink.serve())
            try:
                yield uplink
            finally:
                task.cancel()

    return run
