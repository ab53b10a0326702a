"""The same for the programs whose command line is click's: what click's own errors mean, and commands that are loaded
when they are asked for. Of `common` this alone knows
click, and only the hub and the console load it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module

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


class LazyCommands(MutableMapping[str, click.Command]):
    """The commands of a group, as click keeps them, each loaded by the first look at it: one command does not wait for
    what the others need, and a program that serves does not keep it. The group's help loads all of them.

    `places` says for each command "MODULE:NAME", with MODULE below `package`.
    """

    def __init__(self, package: str, places: Mapping[str, str]) -> None:
        self._package = package
        self._places = places
        self._loaded: dict[str, click.Command | None] = dict.fromkeys(places)

    def __getitem__(self, name: str) -> click.Command:
        command = self._loaded[name]
        if command is None:
            module, _, attribute = self._places[name].partition(":")
            command = self._loaded[name] = getattr(import_module(f"{self._package}.{module}"), attribute)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)
