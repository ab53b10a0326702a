"""Workers and handlers whose failure does not end the app, as Textual's does: it is told, and everything else goes
on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.worker import Worker

from tui.terminal.textual_private import MessageGuard


class FaultBarrier(MessageGuard):
    """Mixed into what runs workers and handles messages, before Textual's own class."""

    def run_worker(
        self,
        work: Any,
        name: str | None = "",
        group: str = "default",
        description: str = "",
        exit_on_error: bool = True,
        start: bool = True,
        exclusive: bool = False,
        thread: bool = False,
    ) -> Worker[Any]:
        """As Textual's, whose `exit_on_error` has nothing left to do."""
        run: Callable[..., Worker[Any]] = super().run_worker  # type: ignore[misc]
        kept = _GuardedWork(work, self.handle_fault)
        return run(kept, name, group, description, exit_on_error, start, exclusive, thread)


class _GuardedWork:
    """Awaits a coroutine, or what a function gives; tells of an error instead of raising it."""

    def __init__(
        self, work: Awaitable[Any] | Callable[[], Awaitable[Any]], on_error: Callable[[Exception], None]
    ) -> None:
        self._work = work
        self._on_error = on_error

    def __await__(self) -> Any:
        return self._run().__await__()

    async def _run(self) -> Any:
        try:
            return await (self._work() if callable(self._work) else self._work)
        except Exception as error:
            self._on_error(error)
            return None
