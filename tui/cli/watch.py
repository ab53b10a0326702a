"""answerback watch: everything as it happens; with --plain what a console would show, as lines."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing
from typing import Any, cast

import click

from common.api import verbs
from common.api.events import EventView
from common.api.subscriptions import WatchArgs
from common.api.versions import Push
from common.catalogue import LANGUAGES, Language
from common.errors import EXIT_INTERRUPTED, UserError
from common.text import clean
from common.times import local_zone
from tui.cli.console import detect_language
from tui.cli.context import CliContext, json_option, pass_context, print_json
from tui.client.client import Client
from tui.client.source import Source
from tui.text import tables


@click.command("watch", short_help="Everything as it happens.")
@click.option("--after", type=int, help="begin after this audit row instead of now")
@click.option("--plain", is_flag=True, help="the console as lines: what needs you, lanes, the link, what happens")
@click.option("--language", type=click.Choice(LANGUAGES), help="of --plain  [default: as the locale]")
@json_option
@pass_context
def watch_command(
    context: CliContext, after: int | None, plain: bool, language: Language | None, as_json: bool
) -> None:
    """Everything as it happens, one event a line; Ctrl-C ends it. With --plain, what a screen would show is told in
    words too, once when it becomes so, and a lost link is made again.

    \b
    answerback watch
    answerback watch --plain                               the console for screen readers and bare terminals
    answerback watch --after 0 --json                      the whole audit, then what follows
    """
    if plain and (as_json or after is not None):
        raise UserError("--plain goes with neither --json nor --after", "leave it out, or leave them out")

    async def act(client: Client) -> int:
        async for push in client.subscribe(verbs.WATCH, WatchArgs(after=after)):
            for event in events_of(push):
                if as_json:
                    print_json(event)
                else:
                    click.echo(event_line(event))
        return 0

    try:
        if plain:
            run_plain(context, language or detect_language(dict(os.environ)))
        else:
            context.run(act)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)  # the way it is meant to end: nothing to say


def events_of(push: Push) -> tuple[EventView, ...]:
    return push if isinstance(push, tuple) else ()


def event_line(event: EventView) -> str:
    from tui.text.format import RenderContext
    from tui.view.events import event_subject, event_words  # half of what draws the screen

    words = event_words(event, RenderContext("en", now=event.at, zone=local_zone))
    return clean(f"{tables.format_local_time(event.at)} {event.kind} {event_subject(event)}  {words}", limit=500)


# ---- --plain


def run_plain(context: CliContext, language: Language) -> None:
    """Until Ctrl-C, or until nobody reads standard output any more."""
    from tui.client.hub_source import HubSource
    from tui.client.profile import read_profile

    source = HubSource(read_profile(context.profile))
    source.language = language
    try:
        asyncio.run(follow_plain(source, language))
    except* BrokenPipeError:
        raise BrokenPipeError from None


async def follow_plain(source: Source, language: Language) -> None:
    """Prints what has changed of the link, the overview and the audit."""
    from tui.cli.plain import PlainReporter

    plain, live = PlainReporter(language, local_zone), asyncio.Event()

    def changed() -> None:
        lines = plain.link_changes(source.link, source.who, source.now())
        if source.link.live and source.overview is not None:
            lines += plain.overview_changes(source.overview, source.now())
        for line in lines:
            click.echo(line)
        if source.link.live:
            live.set()
        else:
            live.clear()

    async def events() -> None:
        while True:
            await live.wait()
            try:
                async with aclosing(cast(Any, source.subscribe(verbs.WATCH, "watch", WatchArgs()))) as pushes:
                    async for push in pushes:
                        for event in events_of(push):
                            click.echo(plain.format_event(event))
            except UserError:
                live.clear()  # set again when the link is back

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(source.maintain_link(changed))
        tasks.create_task(events())
