"""What a console follows over its link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class Subscription(ABC):
    """What a console follows. `id` is that of the call that began it.

    There are at least `min_interval` seconds between two polls, but where a poll calls `poll_now`: its push did not
    hold all there was.
    """

    def __init__(self, id: int, min_interval: float = 0.0) -> None:  # noqa: A002 - it is one
        self.id = id
        self.min_interval = min_interval
        self.dirty = True  # there may be something to push
        self.ended = False  # the last push has been made
        self.next_poll_at = 0.0  # by the loop's clock

    @abstractmethod
    async def poll(self) -> Any | None:
        """What has changed since the last poll, as the push's data; None where nothing has."""

    @abstractmethod
    def close(self) -> None:
        """Called when it is over, for whatever reason."""

    def poll_now(self) -> None:
        self.dirty, self.next_poll_at = True, 0.0
