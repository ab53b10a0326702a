"""What a call to the hub may end in besides its answer."""

from __future__ import annotations

from typing import Final

from common.errors import Denied, UserError, WorkFailed


class LinkLost(WorkFailed):
    """The hub went away, or was never there."""


class LoginEnded(LinkLost):
    """The hub has closed the link of a login that counts no more, and has begun nothing of what was asked on it."""


class CallFailed(WorkFailed):
    """The hub answered a call with an error; `code` is its one word for programs."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class CallRefused(Denied):
    """Rights, policy or state said no; `code` as above."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class InvalidCall(UserError):
    """The call itself was off: a request that is not there, an argument that is none."""


USAGE_CODES: Final = frozenset({"usage"})


FAILED_CODES: Final = frozenset({"hub", "busy"})
