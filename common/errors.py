"""Errors that a person caused and can cure, and the exit codes of the three commands."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1  # the work failed
EXIT_USAGE = 2  # wrong usage or configuration
EXIT_REFUSED = 3  # refused by policy
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells count it


class UserError(Exception):
    """A mistake in what a person did or set up; `str()` is "problem: cure" and is shown without a traceback."""

    exit_code = EXIT_USAGE

    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem, cure)
        self.problem = problem
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.problem}: {self.cure}" if self.cure else self.problem


class WorkFailed(UserError):
    """The command was right and the work behind it failed."""

    exit_code = EXIT_FAILED


class Denied(UserError):
    """Refused by policy or for lack of rights."""

    exit_code = EXIT_REFUSED
