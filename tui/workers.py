"""Workers and handlers whose failure does not end the app, as Textual's does: it is told, and everything else goes
on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.events import Compose, Mount
from textual.message import Message
from textual.worker import Worker


class Tended:
    """Mixed into what runs workers and handles messages, before Textual's own class."""

    def has_failed(self, error: Exception) -> None:
        """Tells the operator what failed."""
        raise NotImplementedError

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
        kept = _Kept(work, self.has_failed)
        return run(kept, name, group, description, exit_on_error, start, exclusive, thread)

    async def _dispatch_message(self, message: Message) -> None:
        dispatch: Callable[[Message], Awaitable[None]] = super()._dispatch_message  # type: ignore[misc]
        if isinstance(message, Compose | Mount):
            await dispatch(message)  # what could not be made cannot go on
            return
        try:
            await dispatch(message)
        except Exception as error:
            self.has_failed(error)


class _Kept:
    """Awaits a coroutine, or what a function gives; tells of an error instead of raising it."""

    def __init__(
        self, work: Awaitable[Any] | Callable[[], Awaitable[Any]], failed: Callable[[Exception], None]
    ) -> None:
        self._work = work
        self._failed = failed

    def __await__(self) -> Any:
        return self._run().__await__()

    async def _run(self) -> Any:
        try:
            return await (self._work() if callable(self._work) else self._work)
        except Exception as error:
            self._failed(error)
            return None
