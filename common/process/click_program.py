"""The same for the programs whose command line is click's: what click's own errors mean. Of `common` this alone knows
click, and only the hub and the console load it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import click

from common.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from common.process.program import Ending, run_command


def run_click(program: str, command: click.Command) -> int:
    """Runs the command line of this process; returns its exit status."""

    def call() -> object:
        result = command(standalone_mode=False)
        return result if isinstance(result, int) else EXIT_OK  # an Exit's code is returned, not raised

    return run_command(program, call, explain_click)


def explain_click(error: BaseException) -> Ending | None:
    match error:
        case click.exceptions.Exit():
            return Ending("", status=error.exit_code)
        case click.Abort():  # Ctrl-C, or the end of the input at a prompt
            return Ending("interrupted", status=EXIT_INTERRUPTED)
        case click.FileError():
            return Ending(error.format_message(), "name another, or see its owner and mode", EXIT_USAGE)
        case click.ClickException():
            return Ending(error.format_message(), _help_of(error), EXIT_USAGE, _shown(error.show))
    return None


def _help_of(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if isinstance(context, click.Context) else ""


def _shown(show: Callable[[io.StringIO], None]) -> str:
    text = io.StringIO()
    show(text)
    return text.getvalue()
