"""Workers whose failure ends nothing."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App
from textual.worker import WorkerCancelled

from tui.widgets.workers import FaultBarrier


class Small(FaultBarrier, App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.failed: list[Exception] = []

    def handle_fault(self, error: Exception) -> None:
        self.failed.append(error)


async def test_a_failure_is_told_and_the_app_goes_on() -> None:
    """Given as a coroutine or as a function; what succeeds gives its result and tells nothing."""

    async def fails() -> None:
        raise RuntimeError("boom")

    async def succeeds() -> int:
        return 7

    app = Small()
    async with app.run_test():
        assert await app.run_worker(succeeds()).wait() == 7
        assert app.failed == []
        for work in (fails(), fails):
            await app.run_worker(work, exclusive=True, group="g", name="n").wait()
        assert [str(error) for error in app.failed] == ["boom", "boom"]
        assert app.is_running
    assert not app.return_code


async def test_one_that_is_cancelled_has_not_failed() -> None:
    """An exclusive one ends the one before it in its group, and nothing is told."""
    begun = asyncio.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.Event().wait()

    app = Small()
    async with app.run_test():
        first = app.run_worker(waits(), exclusive=True, group="g")
        await begun.wait()
        app.run_worker(asyncio.sleep(0), exclusive=True, group="g")
        with pytest.raises(WorkerCancelled):
            await first.wait()
        assert app.failed == []
