"""answerback allowed, disallow: approvals that hold for a while. They are given with approve --allow-for."""

from __future__ import annotations

import re
import time

import click

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.standing import DisallowArgs
from common.errors import EXIT_OK, UserError
from common.text import clean
from common.times import format_moment, local_zone
from tui.cli.context import CliContext, act_on, json_option, pass_context, print_json
from tui.client.client import Client

_NUMBER = re.compile(r"a?#?([0-9]{1,9})", re.IGNORECASE)


@click.command("allowed", short_help="List the approvals that hold for a while.")
@json_option
@pass_context
def allowed_command(context: CliContext, as_json: bool) -> None:
    """List what may be done again without another yes: by whom, what, on which machines, until when.

    \b
    answerback approve r42 --allow-for 1h     gives one with an approval, where the hub's [approvals] lets it
    answerback allowed
    answerback disallow a3                    takes one back
    """

    async def show(client: Client) -> int:
        found = await client.call(verbs.ALLOWED, NoArgs())
        if as_json:
            print_json(found)
            return EXIT_OK
        for one in found:
            until = format_moment(one.expires_at, time.time(), local_zone, seconds=False)
            more = f" and {one.target_count - 1} more" if one.target_count > 1 else ""
            click.echo(
                f"a{one.number:<5} {clean(one.granted_by)} lets {clean(one.person)} run "
                f"{clean(one.command) or one.plan_hash[:8]} on {clean(one.targets[0] if one.targets else '')}{more}"
                f" until {until}, {one.uses} of {one.max_uses} times used"
            )
        if not found:
            click.echo("nothing is allowed for a while", err=True)
        return EXIT_OK

    context.run(show)


@click.command("disallow", short_help="Take back an approval that holds for a while.")
@click.argument("number", metavar="A")
@json_option
@pass_context
def disallow_command(context: CliContext, number: str, as_json: bool) -> None:
    """Take back approval A, as `answerback allowed` shows it. What waits for its machine by it is not handed out.

    \b
    answerback disallow a3
    """
    found = _NUMBER.fullmatch(number)
    if found is None or not int(found[1]):
        raise UserError(f"{clean(number, limit=40)} is none", "write a3, as `answerback allowed` shows it")
    act_on(context, verbs.DISALLOW, DisallowArgs(number=int(found[1])), as_json)
