"""answerback inlets: whether messages come from each chat, whether replies go there, and why not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import click

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.inlets import InletView
from common.text import clean
from common.values import format_age
from tui.cli.context import CliContext, json_option, pass_context, print_json
from tui.client.client import Client
from tui.text import tables

HEAD: Final = ("NAME", "PLATFORM", "STATE", "LAST DELIVERY", "REFUSED", "REPLIES WAIT")


@click.command("inlets", short_help="Chats: do messages come, do replies go, and why not.")
@json_option
@pass_context
def inlets_command(context: CliContext, as_json: bool) -> None:
    """The chats that the hub takes messages from. Counts and deliveries are since the hub started.

    \b
    answerback inlets
    answerback inlets --json | jq '.[] | select(.problem != "") | .name'
    """

    async def show(client: Client) -> int:
        found = await client.call(verbs.INLETS, NoArgs())
        if as_json:
            print_json(found)
        else:
            click.echo("\n".join(inlet_table(found, time.time() + client.clock_offset)))
        return 0

    context.run(show)


def inlet_table(inlets: Sequence[InletView], now: float) -> list[str]:
    """A row each, and below them why those that are not well are not."""
    if not inlets:
        return ["no chat is set up; on the hub: answerback-hub inlet add PLATFORM NAME"]
    lines = [tables.render_table(HEAD, [inlet_cells(one, now) for one in inlets])]
    return lines + [line for one in inlets for line in inlet_troubles(one, now)]


def inlet_cells(inlet: InletView, now: float) -> list[str]:
    refused = f"{inlet.refused}, last {clean(inlet.refused_code)}" if inlet.refused else "-"
    return [
        inlet.name,
        inlet.platform,
        describe_inlet(inlet, now),
        "-" if inlet.delivered_at is None else f"{tables.age(max(0.0, now - inlet.delivered_at))} ago",
        refused,
        str(inlet.replies_waiting or "-"),
    ]


def describe_inlet(inlet: InletView, now: float) -> str:
    """Whether messages come, and how."""
    if inlet.problem:
        state = "NOT CONNECTED"
    elif inlet.is_outbound:
        at = inlet.connected_at
        state = "connecting" if at is None else f"connected for {tables.age(max(0.0, now - at))}"
    else:
        state = "webhook"
    state += ", QUIET" if inlet.quiet else ""
    return f"{state}, recording {inlet.recording}" if inlet.recording else state


def inlet_troubles(inlet: InletView, now: float) -> list[str]:
    """`ops: not connected for 4m12s: the platform refuses the token; next try in 2m`."""
    lines = []
    if inlet.problem:
        since = "" if inlet.failed_at is None else f" for {tables.age(max(0.0, now - inlet.failed_at))}"
        again = "" if inlet.retry_at is None else f"; next try in {tables.age(max(0.0, inlet.retry_at - now))}"
        lines.append(f"not connected{since}: {clean(inlet.problem)}{again}")
    if inlet.reply_problem:
        lost = f"; given up: {inlet.replies_given_up}" if inlet.replies_given_up else ""
        lines.append(f"replies do not arrive: {clean(inlet.reply_problem)}{lost}")
    if inlet.quiet:
        lines.append(f"nothing was delivered for longer than {format_age(inlet.quiet_after or 0.0)}")
    return [f"{inlet.name}: {line}" for line in lines]
