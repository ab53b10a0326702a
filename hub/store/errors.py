"""What the store can say no with."""

from __future__ import annotations

from common.errors import WorkFailed


class Conflict(Exception):
    """The row has moved on since it was read, or is there already: nothing was changed. Read again and decide again."""


class StoreBusy(WorkFailed):
    """Back-pressure: too much is waiting, or another process holds the write lock. Nothing was changed."""


class StoreFull(WorkFailed):
    """There is no room to write. Nothing of the batch was kept; writing goes on by itself once there is room."""


class StoreLost(WorkFailed):
    """The database cannot be reached or its file fails. On PostgreSQL a commit in flight may have been kept."""
