"""What the commands of the operator's command line share: whom to connect as, JSON, how requests are named."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import click

from common.errors import EXIT_OK, EXIT_REFUSED, EXIT_USAGE, UserError
from common.text import clean
from tui.client import Client, connect
from tui.profile import default_path, read_profile

NOT_THERE: Final = frozenset({"unknown", "no_plan", "not_ended"})
"""Codes of acts that were asked of what is not there, or not there yet: wrong usage. Others are refusals."""


class Context:
    """What the group's options say to every command."""

    def __init__(self, profile: Path | None) -> None:
        self.profile = profile

    def run(self, act: Callable[[Client], Awaitable[int | None]]) -> None:
        """Connects, acts, and exits with the act's status."""

        async def whole() -> int:
            async with connect(read_profile(self.profile)) as client:
                if client.warning:
                    click.echo(f"answerback: {client.warning}", err=True)
                return await act(client) or 0

        sys.exit(asyncio.run(whole()))


pass_context = click.make_pass_decorator(Context)
view_option = click.option(
    "--view", "view", metavar="NAME", default="", help="a view saved in the console with `:w NAME`"
)
json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document on standard output")


def saved_view(context: Context, name: str, of: str) -> tuple[list[str], str]:
    """The filter, as words, and the order of a saved view of the list `of`; nothing where none is named."""
    if not name:
        return [], ""
    from tui.saved import Saved  # loads the filter language, which most commands leave to the hub

    view = Saved((context.profile or default_path()).absolute()).get(name)
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


def tell_done(done: dict[str, Any], as_json: bool) -> int:
    """Shows what an act came to, and gives the exit status: a no is on standard error too, with its own words."""
    code = done.get("code", "ok")
    if as_json:
        click.echo(to_json(done))
    elif code == "ok":
        click.echo(clean(done["text"]))
    if code == "ok":
        return EXIT_OK
    click.echo(f"answerback: {clean(done['text'])}", err=True)
    return EXIT_USAGE if code in NOT_THERE else EXIT_REFUSED


def number_of(text: str) -> int:
    """r42, #42 or 42."""
    digits = text.lower().removeprefix("r").removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise UserError(
            f"{clean(text, limit=40)} is no request", "write r42, as chat and `answerback requests` show it"
        )
    return int(digits)


def is_number(text: str) -> bool:
    digits = text.lower().removeprefix("r").removeprefix("#")
    return digits.isascii() and digits.isdigit() and len(digits) <= 9
