"""answerback whoami: who you are to the hub, and a code by which a chat gets to know you."""

from __future__ import annotations

import json
import sys
from typing import Final

import click

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.codec import encode
from common.errors import UserError
from common.identity.signing import SigningKey
from common.text import clean
from tui.cli.context import CliContext, json_option, pass_context, print_result
from tui.client.approval_key import ApprovalSigner, KeyLocked, approval_key, key_path
from tui.client.client import Client
from tui.client.profile import Profile, read_profile

MAX_PASSPHRASE: Final = 1_024


@click.command("whoami", short_help="Who you are to the hub; --link: and in a chat.")
@click.option("--link", is_flag=True, help="print what to say in a chat, once, so that it knows you")
@click.option(
    "--approval-key", "approval", is_flag=True, help="print your name and the key that signs what is critical"
)
@click.option(
    "--passphrase", is_flag=True, help="with --approval-key: ask for a passphrase, which a new key is put under"
)
@json_option
@pass_context
def whoami_command(context: CliContext, link: bool, approval: bool, passphrase: bool, as_json: bool) -> None:
    """Who you are to the hub, and what you may. With --link: words to say in a chat within ten minutes, from which on
    the chat user who says them is you. They are good once; give them to nobody.

    \b
    answerback whoami
    answerback whoami --link
    answerback whoami --approval-key      for `answerback-agent approvers add`, on each machine with critical rules
    """
    if approval:
        profile = read_profile(context.profile)
        key = _key(profile, new=passphrase).public.hex()
        click.echo(json.dumps({"name": profile.name, "key": key}) if as_json else f"{profile.name} {key}")
        return

    if passphrase:
        raise UserError("--passphrase is for --approval-key", "give both, or neither")

    async def call(client: Client) -> int | None:
        if link:
            made = await client.call(verbs.LINK_CODE, NoArgs())
            return print_result(made, as_json)
        told = await client.call(verbs.WHOAMI, NoArgs())
        roles = ", ".join(told.roles) or "nothing"
        click.echo(json.dumps(encode(told)) if as_json else clean(f"{told.person}: {roles}, at {told.hub}"))
        return None

    context.run(call)


def _key(profile: Profile, *, new: bool) -> SigningKey:
    """The key, made where there is none: then under a passphrase where that is wanted, which is asked for twice."""
    there = key_path(profile).exists()
    try:
        if not new:
            return approval_key(profile)
    except KeyLocked:
        pass
    if new and there and not ApprovalSigner(profile).is_locked:
        raise UserError(f"{key_path(profile)} is there, without a passphrase", "remove it for a new one")
    if not sys.stdin.isatty():
        given = sys.stdin.readline(MAX_PASSPHRASE).rstrip("\n")
    else:
        given = click.prompt("passphrase of the key", hide_input=True, err=True, confirmation_prompt=not there)
    if not given:
        raise UserError("a passphrase of no characters", "type one, or leave --passphrase out")
    return approval_key(profile, given)
