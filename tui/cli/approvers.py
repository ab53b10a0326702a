"""answerback approvers: whose own signatures machines count where a rule is critical, and changes of that from afar."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final, cast

import click

from common.api import verbs
from common.api.key_changes import (
    ApproverKeysArgs,
    KeyChangesArgs,
    KeyChangeView,
    MachineKeysView,
    ProposeKeyArgs,
    SignKeyArgs,
    WithdrawKeyArgs,
)
from common.errors import EXIT_OK, EXIT_REFUSED, UserError
from common.key_change import Action, KeyChange, SignedKeyChange
from common.text import clean
from common.times import format_moment, local_zone
from common.values import parse_duration_option
from tui.cli.context import CliContext, act_on, json_option, pass_context, print_json, print_result
from tui.client.approval_key import approval_key
from tui.client.client import Client
from tui.client.key_changes import change_lines, make_change, offered_change, sign_change
from tui.client.profile import read_profile

_SHOWN_KEY: Final = 24


@click.group("approvers", short_help="Whose own signatures machines count, and changing that.")
def approvers_group() -> None:
    """Where a rule is critical each machine counts only what people signed with keys that it knows. Those are given to
    it on the machine (`answerback-agent approvers add`, or with its join); once it knows two people, they can change
    that from here. Both sign the change; the hub carries it and can make none; each machine checks it and answers.

    \b
    answerback approvers list
    answerback approvers propose add dan 5f0c… --on 'web-*'     dan's `whoami --approval-key` printed the line
    answerback approvers sign 0a1b2c3d4e5f6071                  the other person, who compares the key with dan
    answerback approvers show 0a1b2c3d4e5f6071                  what became of it, by machine
    answerback approvers propose remove bob 77aa…               a key that is lost; your own you remove alone
    """


@approvers_group.command("list", short_help="Which machine knows which keys.")
@json_option
@pass_context
def list_command(context: CliContext, as_json: bool) -> None:
    """Whose keys each machine knows, as it told last. One that is not listed was never here, or is too old to tell."""

    async def show(client: Client) -> int:
        found: list[MachineKeysView] = []
        while page := await client.call(verbs.APPROVER_KEYS, ApproverKeysArgs(after=found[-1].agent if found else "")):
            found += page
        if as_json:
            print_json(tuple(found))
            return EXIT_OK
        for one in found:
            told = format_moment(one.at, time.time(), local_zone, seconds=False)
            click.echo(f"{clean(one.agent)}  (told {told}; a change wants {one.needed} people)")
            for known in one.keys:
                click.echo(f"  {clean(known.person)}  {clean(known.key)}")
            if not one.keys:
                click.echo("  nobody: on the machine, answerback-agent approvers add NAME KEY")
        if not found:
            click.echo("no machine has told yet", err=True)
        return EXIT_OK

    context.run(show)


@approvers_group.command("changes", short_help="Changes from afar, the newest first.")
@json_option
@pass_context
def changes_command(context: CliContext, as_json: bool) -> None:
    """Changes that were proposed: by whom they are signed, and how many machines have carried them out."""

    async def show(client: Client) -> int:
        found = await client.call(verbs.KEY_CHANGES, KeyChangesArgs())
        if as_json:
            print_json(found)
            return EXIT_OK
        for one in found:
            click.echo(_line(one))
        if not found:
            click.echo("none was proposed", err=True)
        return EXIT_OK

    context.run(show)


@approvers_group.command("show", short_help="One of them, machine by machine.")
@click.argument("change_id", metavar="ID")
@json_option
@pass_context
def show_command(context: CliContext, change_id: str, as_json: bool) -> None:
    """What became of change ID, machine by machine; those that have not carried it out first."""

    async def show(client: Client) -> int:
        found = await _find(client, change_id)
        if as_json:
            print_json(found)
            return EXIT_OK
        signed = offered_change(found.change, found.id, read_profile(context.profile).hub)
        for line in [*change_lines(signed.change, local_zone), _line(found)]:
            click.echo(clean(line))
        for answer in found.answers:
            why = f": {answer.reason}" if answer.reason else ""
            click.echo(clean(f"  {answer.agent}  {answer.state}{why}"))
        return EXIT_OK

    context.run(show)


@approvers_group.command("propose", short_help="A change, with your signature as the first.")
@click.argument("action", type=click.Choice(["add", "remove"]))
@click.argument("name", metavar="NAME")
@click.argument("key", metavar="KEY")
@click.option("--on", "machines", metavar="PATTERN", multiple=True, help="machines by name or pattern; default: all")
@click.option("--for", "lifetime", metavar="TIME", default="7d", help="how long machines may come for it; default 7d")
@click.option("--yes", is_flag=True, help="sign without asking, for scripts")
@json_option
@pass_context
def propose_command(
    context: CliContext,
    action: str,
    name: str,
    key: str,
    machines: tuple[str, ...],
    lifetime: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Propose that machines count KEY as NAME's, or no longer, and sign that. Get KEY from NAME and not from the hub:
    it is the line of their `answerback whoami --approval-key`.

    \b
    answerback approvers propose add dan 5f0c… --on 'web-*' --on db-1
    answerback approvers propose remove bob 77aa…
    """
    profile, now = read_profile(context.profile), time.time()
    seconds = int(parse_duration_option("--for", lifetime, "write 12h or 7d"))
    change = make_change(profile.hub, cast(Action, action), name, key, machines, lifetime=seconds, now=now)

    async def act(client: Client) -> int:
        if not await _wants_to_sign(change, yes):
            return EXIT_REFUSED
        signed = SignedKeyChange(change, (sign_change(approval_key(profile), profile.name, change),))
        result = await client.call(verbs.PROPOSE_KEY, ProposeKeyArgs(change=signed.to_bytes().decode()))
        return print_result(result, as_json)

    context.run(act)


@approvers_group.command("sign", short_help="Sign a change that another person proposed.")
@click.argument("change_id", metavar="ID")
@click.option("--yes", is_flag=True, help="sign without asking, for scripts")
@json_option
@pass_context
def sign_command(context: CliContext, change_id: str, yes: bool, as_json: bool) -> None:
    """Sign change ID after it is shown. Compare its key with the person whose it is, not with the hub.

    \b
    answerback approvers sign 0a1b2c3d4e5f6071
    """
    profile = read_profile(context.profile)

    async def act(client: Client) -> int:
        found = await _find(client, change_id)
        change = offered_change(found.change, found.id, profile.hub, time.time()).change
        if not await _wants_to_sign(change, yes):
            return EXIT_REFUSED
        made = sign_change(approval_key(profile), profile.name, change)
        args = SignKeyArgs(id=change.id, key=made.key, signature=made.signature.hex())
        result = await client.call(verbs.SIGN_KEY, args)
        return print_result(result, as_json)

    context.run(act)


@approvers_group.command("withdraw", short_help="Hand a change to no further machine.")
@click.argument("change_id", metavar="ID")
@json_option
@pass_context
def withdraw_command(context: CliContext, change_id: str, as_json: bool) -> None:
    """Hand change ID to no further machine. Those that have carried it out keep it: propose the opposite.

    \b
    answerback approvers withdraw 0a1b2c3d4e5f6071
    """
    act_on(context, verbs.WITHDRAW_KEY, WithdrawKeyArgs(id=change_id), as_json)


async def _find(client: Client, change_id: str) -> KeyChangeView:
    found = await client.call(verbs.KEY_CHANGES, KeyChangesArgs(id=change_id[:16])) if change_id else ()
    if not found or found[0].id != change_id:
        raise UserError(f"there is no change {clean(change_id, limit=40)!r}", "see answerback approvers changes")
    return found[0]


async def _wants_to_sign(change: KeyChange, yes: bool) -> bool:
    """Shows all that is signed, and asks."""
    for line in change_lines(change, local_zone):
        click.echo(clean(line), err=True)
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        click.echo("answerback: nothing is signed without a terminal to ask at, or --yes", err=True)
        return False
    return await asyncio.to_thread(click.confirm, "Sign it?", err=True)


def _line(one: KeyChangeView) -> str:
    progress = f"{one.done} done, {one.refused} refused, {one.waiting} waiting"
    key = one.key if len(one.key) <= _SHOWN_KEY else f"{one.key[:_SHOWN_KEY]}…"
    return clean(
        f"{one.id}  {one.state}  {one.action} {one.person} {key} on {', '.join(one.machines[:3])}; "
        f"signed by {', '.join(one.signed_by)}; {progress}"
    )
