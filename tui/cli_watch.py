"""answerback watch: everything as it happens; with --plain the console's news as lines."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from typing import Any, cast

import click

from common.catalogue import LANGUAGES, Language
from common.errors import UserError
from common.text import clean
from tui import show
from tui.cli_base import Context, json_option, pass_context, to_json
from tui.cli_console import language_of
from tui.client import Client


@click.command("watch", short_help="Everything as it happens.")
@click.option("--after", type=int, help="begin after this audit row instead of now")
@click.option("--plain", is_flag=True, help="the console as lines: what needs you, lanes, the link, what happens")
@click.option("--language", type=click.Choice(LANGUAGES), help="of --plain  [default: as the locale]")
@json_option
@pass_context
def watch_command(context: Context, after: int | None, plain: bool, language: Language | None, as_json: bool) -> None:
    """Everything as it happens, one event a line; Ctrl-C ends it. With --plain, what a screen would show is told in
    words too, once when it becomes so, and a lost link is made again.

    \b
    answerback watch
    answerback watch --plain                               the console for screen readers and bare terminals
    answerback watch --after 0 --json                      the whole audit, then what follows
    """
    if plain:
        if as_json or after is not None:
            raise UserError("--plain goes with neither --json nor --after", "leave it out, or leave them out")
        run_plain(context, language or language_of(dict(os.environ)))
        return

    async def act(client: Client) -> int:
        args = {} if after is None else {"after": after}
        async for events in client.subscribe("watch", **args):
            for event in events:
                click.echo(to_json(event) if as_json else event_line(event))
        return 0

    context.run(act)


def event_line(event: dict[str, Any]) -> str:
    from tui.rows import event_words  # half of what draws the screen

    where = f"{event['kind']} {event['subject'][-10:]} {event['actor']}"
    return clean(f"{show.moment(event['at'])} {where}  {event_words(event)}".rstrip(), limit=500)


# ---- --plain


def run_plain(context: Context, language: Language) -> None:
    """Until Ctrl-C, or whoever reads it has gone."""
    from tui.profile import read_profile
    from tui.source_hub import HubSource

    source = HubSource(read_profile(context.profile))
    source.language = language
    try:
        asyncio.run(follow_plain(source, language))
    except* BrokenPipeError:
        raise BrokenPipeError from None


async def follow_plain(source: Any, language: Language) -> None:
    """Says what is new of the link, the overview and the audit; `source` is a `tui.source.Source`."""
    from tui.plain import Plain

    plain, live = Plain(language), asyncio.Event()

    def changed() -> None:
        for line in [*plain.link(source.link, source.who, source.now()), *told()]:
            click.echo(line)
        if source.link.live:
            live.set()
        else:
            live.clear()

    def told() -> list[str]:
        return plain.overview(source.overview, source.now()) if source.link.live and source.overview else []

    async def events() -> None:
        while True:
            await live.wait()
            try:
                async with aclosing(cast(Any, source.subscribe("watch", "watch"))) as pushes:
                    async for push in pushes:
                        for event in push:
                            click.echo(plain.event(event))
            except UserError:
                live.clear()  # set again when the link is back

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(source.keep(changed))
        tasks.create_task(events())
