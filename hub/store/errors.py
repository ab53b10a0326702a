"""The errors of the store."""

from __future__ import annotations

from common.errors import UserError, WorkFailed


class Conflict(Exception):
    """The row has changed since it was read, or exists already; nothing was written. Read again and decide again."""


class StoreBusy(WorkFailed):
    """Back-pressure: too many units wait, or another process holds the write lock. Nothing was written."""


class StoreFull(WorkFailed):
    """No disk space. Nothing of the batch was written; writing works again once there is space."""


class StoreLost(WorkFailed):
    """The database cannot be reached or its file fails. On PostgreSQL a commit in flight may have succeeded."""


class StoreFenced(WorkFailed):
    """Another hub serves the store: this process may write nothing any more. Nothing was written."""


class SealBroken(UserError):
    """A sealed value does not open: its key is missing, it was changed, or it was put in the place of another."""
