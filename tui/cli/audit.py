"""answerback audit: who did what, and when; what an edit changed."""

from __future__ import annotations

import time
from typing import Final

import click

from common.api import verbs
from common.api.events import EventView
from common.api.queries import AuditArgs
from common.text import clean
from common.times import local_zone
from tui.cli.context import CliContext, json_option, load_saved_view, pass_context, print_json, view_option
from tui.cli.lists import fetch_filtered, filter_argument
from tui.client.client import Client
from tui.text import tables

ULID_LENGTH: Final = 26
MAX_DATA_CELLS: Final = 160
"""Cells of an event's data in a list; one event alone is shown in full."""


@click.command("audit", short_help="Who did what, and when; newest first.")
@filter_argument
@view_option
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 5_000))
@json_option
@pass_context
def audit_command(context: CliContext, filter: tuple[str, ...], view: str, limit: int, as_json: bool) -> None:  # noqa: A002
    """Who did what, and when, newest first; with FILTER only what fits it. One event alone is told in full. It is
    for approvers; what it all hangs together as is checked on the hub: answerback-hub audit verify

    \b
    answerback audit kind:request.edited age<1d            which plans were changed, by whom
    answerback audit seq:4711                              one event in full; of an edit, what it changed
    answerback audit actor:bob 'kind:act.*' --json
    Fields: kind subject actor seq age
    """

    saved, sort = load_saved_view(context, view, "audit")

    async def show(client: Client) -> int:
        args = AuditArgs(filter=" ".join([*saved, *filter]), sort=sort)
        found = await fetch_filtered(client, verbs.AUDIT, args, limit)
        if as_json:
            print_json(found)
        elif len(found) == 1:
            click.echo("\n".join(event_text_lines(found[0])))
        else:
            rows = [event_cells(event) for event in found]
            click.echo(
                tables.render_table(["SEQ", "TIME", "EVENT", "ACTOR", "SUBJECT", "TOLD"], rows) or "no event fits"
            )
        return 0

    context.run(show)


def event_cells(event: EventView) -> list[str]:
    from tui.text.format import RenderContext
    from tui.view.events import event_words  # half of what draws the screen

    words = event_words(event, RenderContext("en", now=event.at, zone=local_zone))
    return [
        str(event.seq),
        tables.format_local_time(event.at),
        event.kind,
        event.actor or "-",
        subject_of(event),
        tables.truncate_cells(words, MAX_DATA_CELLS),
    ]


def subject_of(event: EventView) -> str:
    """The request's number where it is about one, the end of an id, or a name."""
    if event.number:
        return f"r{event.number}"
    subject = event.subject or "-"
    return subject[-10:] if len(subject) == ULID_LENGTH else subject


def event_text_lines(event: EventView) -> list[str]:
    """One event in full, a fact a line."""
    from tui.text.format import RenderContext
    from tui.view.detail import event_lines  # what a console's detail shows

    lines = [line.text for line in event_lines(event, RenderContext("en", False, time.time(), local_zone))]
    return [clean(line, limit=5_000) for line in lines]
