"""What the commands of the operator's command line share: whom to connect as, calling a verb and printing what it
answers, JSON, how requests are named."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from common.api.codec import encode
from common.api.outcome import Outcome
from common.api.verb import A, Verb
from common.errors import EXIT_OK, EXIT_REFUSED, EXIT_USAGE, UserError
from common.text import clean
from common.values import parse_whole_seconds
from tui.client.client import Client, connect
from tui.client.errors import LoginEnded
from tui.client.profile import default_path, read_profile

NOT_FOUND_CODES: Final = frozenset({"unknown", "no_plan", "not_ended"})
"""Codes of actions that were asked of what is not there, or not there yet: wrong usage. Others are refusals."""

O = TypeVar("O", bound=Outcome)  # noqa: E741 - as A and R


class CliContext:
    """What the group's options say to every command."""

    def __init__(self, profile: Path | None) -> None:
        self.profile = profile

    def connect(self) -> AbstractAsyncContextManager[Client]:
        """A welcomed connection as the profile's operator; raises UserError that says why not."""
        return connect(read_profile(self.profile))

    def run(self, call: Callable[[Client], Awaitable[int | None]]) -> None:
        """Connects, calls, and exits with the status that `call` gives. Where the login ended before anything was begun
        it is done once more: with the new one, if it was replaced, else to be told how it ended.
        """
        sys.exit(asyncio.run(self._call_again(call)))

    async def _call_again(self, call: Callable[[Client], Awaitable[int | None]]) -> int:
        try:
            return await self._connect_and_call(call)
        except LoginEnded:
            return await self._connect_and_call(call)

    async def _connect_and_call(self, call: Callable[[Client], Awaitable[int | None]]) -> int:
        async with self.connect() as client:
            if client.warning:
                click.echo(f"answerback: {client.warning}", err=True)
            return await call(client) or 0


pass_context = click.make_pass_decorator(CliContext)
view_option = click.option(
    "--view", "view", metavar="NAME", default="", help="a view saved in the console with `:w NAME`"
)
json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document on standard output")


class SecondsRange(click.IntRange):
    """Whole seconds within bounds, as a number or as a duration: 90, 90s, 1m30s."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = parse_whole_seconds(value) if isinstance(value, str) else None
        return super().convert(value if seconds is None else seconds, param, ctx)


def load_saved_view(context: CliContext, name: str, of: str) -> tuple[list[str], str]:
    """The filter, as words, and the order of a saved view of the list `of`; nothing where none is named."""
    if not name:
        return [], ""
    from tui.model.saved_views import SavedViews  # loads the filter language, which most commands leave to the hub

    view = SavedViews((context.profile or default_path()).absolute()).get(name)
    if view.list != of:
        raise UserError(f"{name} is a view of {view.list}", f"answerback {view.list} --view {name}")
    return [view.filter] if view.filter else [], view.sort


def to_json(data: Any) -> str:
    """JSON for scripts; bytes, which only output has, as text where they are UTF-8 and as base64 where not."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                return {"base64": base64.b64encode(value).decode()}
        raise TypeError(f"{type(value).__name__} is not JSON")

    return json.dumps(data, default=plain, ensure_ascii=True)


def print_json(value: Any) -> None:
    """A result of the operators' API, or several, as one JSON document (docs/api.md)."""
    click.echo(to_json(encode(value)))


def print_result(result: Outcome, as_json: bool) -> int:
    """Prints what an action came to; the exit status. A refusal is on standard error too, with its own words."""
    if as_json:
        print_json(result)
    elif result.is_ok:
        click.echo(clean(result.text))
    if result.is_ok:
        return EXIT_OK
    click.echo(f"answerback: {clean(result.text)}", err=True)
    return EXIT_USAGE if result.code in NOT_FOUND_CODES else EXIT_REFUSED


def act_on(context: CliContext, verb: Verb[A, O], args: A, as_json: bool) -> None:
    """Calls an action, prints its result and exits."""

    async def act(client: Client) -> int:
        result = await client.call(verb, args)
        return print_result(result, as_json)

    context.run(act)


def parse_request_number(text: str) -> int:
    """r42, #42 or 42."""
    digits = text.lower().removeprefix("r").removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise UserError(
            f"{clean(text, limit=40)} is no request", "write r42, as chat and `answerback requests` show it"
        )
    return int(digits)


def is_request_number(text: str) -> bool:
    digits = text.lower().removeprefix("r").removeprefix("#")
    return digits.isascii() and digits.isdigit() and len(digits) <= 9
