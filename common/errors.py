"""Errors that a person caused and can cure, and the exit codes of the three commands."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1  # the work failed
EXIT_USAGE = 2  # wrong usage or configuration
EXIT_REFUSED = 3  # refused by policy


class UserError(Exception):
    """Something a person did or set up; `str()` names the thing and the cure and is shown without a traceback."""

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


class Refused(UserError):
    """Policy or rights said no."""

    exit_code = EXIT_REFUSED
