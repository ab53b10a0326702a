"""answerback whoami: who you are to the hub, and a code by which a chat gets to know you."""

from __future__ import annotations

import json

import click

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.codec import encode
from common.text import clean
from tui.cli.context import CliContext, json_option, pass_context, print_result
from tui.client.approval_key import approval_key
from tui.client.client import Client
from tui.client.profile import read_profile


@click.command("whoami", short_help="Who you are to the hub; --link: and in a chat.")
@click.option("--link", is_flag=True, help="print what to say in a chat, once, so that it knows you")
@click.option(
    "--approval-key", "approval", is_flag=True, help="print your name and the key that signs what is critical"
)
@json_option
@pass_context
def whoami_command(context: CliContext, link: bool, approval: bool, as_json: bool) -> None:
    """Who you are to the hub, and what you may. With --link: words to say in a chat within ten minutes, from which on
    the chat user who says them is you. They are good once; give them to nobody.

    \b
    answerback whoami
    answerback whoami --link
    answerback whoami --approval-key      for `answerback-agent approvers add`, on each machine with critical rules
    """
    if approval:
        profile = read_profile(context.profile)
        key = approval_key(profile).public.hex()
        click.echo(json.dumps({"name": profile.name, "key": key}) if as_json else f"{profile.name} {key}")
        return

    async def call(client: Client) -> int | None:
        if link:
            made = await client.call(verbs.LINK_CODE, NoArgs())
            return print_result(made, as_json)
        told = await client.call(verbs.WHOAMI, NoArgs())
        roles = ", ".join(told.roles) or "nothing"
        click.echo(json.dumps(encode(told)) if as_json else clean(f"{told.person}: {roles}, at {told.hub}"))
        return None

    context.run(call)
