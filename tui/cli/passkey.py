"""answerback passkey add, list, remove: what you sign with on the hub's own pages, where a rule is critical."""

from __future__ import annotations

import re
import time

import click

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.passkeys import MAX_LABEL, PasskeyLinkArgs, PasskeyRemoveArgs
from common.errors import EXIT_OK, UserError
from common.text import clean
from common.times import format_moment, local_zone
from tui.cli.context import CliContext, act_on, json_option, pass_context, print_json
from tui.client.client import Client

_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


@click.group("passkey", short_help="Passkeys with which you sign on the hub's pages.")
def passkey_group() -> None:
    """Passkeys with which you sign, on the confirm page of the hub, what a rule calls critical.

    \b
    answerback passkey add --name phone       prints a link for the browser that is to have it; ten minutes, once
    answerback passkey list                   their lines, for the machines:
      answerback-agent approvers add bob passkey:es256:Aq_v…:https://hub.example.org
    answerback passkey remove 3f2a9c1b0a1b2c3d

    A machine counts a passkey only where it was added so. What it signs is shown by the hub, so whoever holds the hub
    could show you one plan and have another signed; `answerback approve` signs what your own console shows.
    """


@passkey_group.command("add", short_help="Make one: prints the link to the page.")
@click.option("--name", default="", metavar="NAME", help="yours for it, such as phone")
@json_option
@pass_context
def add_command(context: CliContext, name: str, as_json: bool) -> None:
    """Print a link to the page that makes a passkey of yours. Open it in the browser that is to have it.

    \b
    answerback passkey add --name phone
    """
    if len(name) > MAX_LABEL:
        raise UserError(f"--name: {len(name)} characters", f"give it at most {MAX_LABEL}")
    act_on(context, verbs.PASSKEY_LINK, PasskeyLinkArgs(label=name), as_json)


@passkey_group.command("list", short_help="Yours, with the lines for machines.")
@json_option
@pass_context
def list_command(context: CliContext, as_json: bool) -> None:
    """List your passkeys: id, when it was made, its name, and the line by which a machine is given it."""

    async def show(client: Client) -> int:
        found = await client.call(verbs.PASSKEYS, NoArgs())
        if as_json:
            print_json(found)
            return EXIT_OK
        for one in found:
            made = format_moment(one.created_at, time.time(), local_zone, seconds=False)
            click.echo(clean(f"{one.id}  {made}  {one.label or '-'}"))
            click.echo(f"  {clean(one.line, limit=400)}")
        if not found:
            click.echo("you have no passkey; make one with answerback passkey add", err=True)
        return EXIT_OK

    context.run(show)


@passkey_group.command("remove", short_help="The hub's pages ask for it no more.")
@click.argument("key", metavar="ID")
@json_option
@pass_context
def remove_command(context: CliContext, key: str, as_json: bool) -> None:
    """Remove the passkey ID, as `answerback passkey list` shows it. Machines that were given it have to be told too.

    \b
    answerback passkey remove 3f2a9c1b0a1b2c3d
    """
    if not _ID.fullmatch(key):
        raise UserError(f"{clean(key, limit=40)} is no id", "see answerback passkey list")
    act_on(context, verbs.PASSKEY_REMOVE, PasskeyRemoveArgs(id=key), as_json)
