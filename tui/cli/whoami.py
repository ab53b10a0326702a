"""answerback whoami: who you are to the hub, and a code by which a chat gets to know you."""

from __future__ import annotations

import json

import click

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.codec import encode
from common.text import clean
from tui.cli.context import CliContext, json_option, pass_context, print_result
from tui.client.client import Client


@click.command("whoami", short_help="Who you are to the hub; --link: and in a chat.")
@click.option("--link", is_flag=True, help="print what to say in a chat, once, so that it knows you")
@json_option
@pass_context
def whoami_command(context: CliContext, link: bool, as_json: bool) -> None:
    """Who you are to the hub, and what you may. With --link: words to say in a chat within ten minutes, from which on
    the chat user who says them is you. They are good once; give them to nobody.

    \b
    answerback whoami
    answerback whoami --link
    """

    async def call(client: Client) -> int | None:
        if link:
            made = await client.call(verbs.LINK_CODE, NoArgs())
            return print_result(made, as_json)
        told = await client.call(verbs.WHOAMI, NoArgs())
        roles = ", ".join(told.roles) or "nothing"
        click.echo(json.dumps(encode(told)) if as_json else clean(f"{told.person}: {roles}, at {told.hub}"))
        return None

    context.run(call)
