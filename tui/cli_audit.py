"""answerback audit: who did what, and when; what an edit changed."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from common.text import clean
from tui import show
from tui.cli_base import Context, json_option, pass_context, saved_view, to_json, view_option
from tui.cli_look import filter_argument, filtered
from tui.client import Client

SHOWN: Final = 160
"""Cells of what an event tells in a list; one alone is told in full."""


@click.command("audit", short_help="Who did what, and when; newest first.")
@filter_argument
@view_option
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 5_000))
@json_option
@pass_context
def audit_command(context: Context, filter: tuple[str, ...], view: str, limit: int, as_json: bool) -> None:  # noqa: A002
    """Who did what, and when, newest first; with FILTER only what fits it. One event alone is told in full. It is
    for approvers; what it all hangs together as is checked on the hub: answerback-hub audit verify

    \b
    answerback audit kind:request.edited age<1d            which plans were changed, by whom
    answerback audit seq:4711                              one event in full; of an edit, what it changed
    answerback audit actor:bob 'kind:act.*' --json
    Fields: kind subject actor seq age
    """

    saved, sort = saved_view(context, view, "audit")

    async def act(client: Client) -> int:
        found = await filtered(client, "audit", [*saved, *filter], limit, sort)
        if as_json:
            click.echo(to_json(found))
        elif len(found) == 1:
            click.echo("\n".join(event_facts(found[0])))
        else:
            rows = [event_cells(event) for event in found]
            click.echo(show.table(["SEQ", "TIME", "EVENT", "ACTOR", "SUBJECT", "TOLD"], rows) or "no event fits")
        return 0

    context.run(act)


def event_cells(event: dict[str, Any]) -> list[str]:
    from tui.rows import event_words  # half of what draws the screen

    return [
        str(event["seq"]),
        show.moment(event["at"]),
        str(event["kind"]),
        str(event["actor"]) or "-",
        subject_of(event),
        show.cut(event_words(event), SHOWN),
    ]


def subject_of(event: dict[str, Any]) -> str:
    """The request's number where it is about one, the end of an id, or a name."""
    subject = str(event["subject"]) or "-"
    if event.get("number"):
        return f"r{event['number']}"
    return subject[-10:] if len(subject) == len("01ARZ3NDEKTSV4RRFFQ69G5FAV") else subject


def event_facts(event: dict[str, Any]) -> list[str]:
    """One event in full, a fact a line."""
    from tui.detail_text import event_lines  # what a console's detail shows
    from tui.format import Look

    lines = [line.text for line in event_lines(event, Look("en", False, time.time()))]
    return [clean(line, limit=5_000) for line in lines]
