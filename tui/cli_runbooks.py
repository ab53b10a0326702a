"""answerback runbook propose, drafts, show, accept, reject: runbooks made of plans that were done well."""

from __future__ import annotations

from typing import Any

import click

from common.errors import EXIT_OK, UserError
from common.text import clean, clean_output
from tui.cli_acts import act_on
from tui.cli_base import Context, json_option, number_of, pass_context, tell_done, to_json
from tui.client import Client


@click.group("runbook", short_help="Make a runbook of a plan; review drafts.")
def runbook_group() -> None:
    """Make a runbook of a plan that was done well, so that plain words lead to it; an admin reviews the draft.

    \b
    answerback runbook propose r42 restart-cache           as the message of r42 said it
    answerback runbook propose r42 restart-cache --say "restart the cache on web-1"
    answerback runbook drafts                              those that wait for an admin
    answerback runbook show d3                             the TOML as it would go into runbooks.toml
    answerback runbook accept d3
    answerback runbook reject d3 too narrow
    """


@runbook_group.command("propose", short_help="Propose a runbook made of what a request did.")
@click.argument("request", metavar="R")
@click.argument("name", metavar="NAME")
@click.option("--say", default="", metavar="PHRASE", help="how people ask for it, with the machines of R in it")
@json_option
@pass_context
def propose_command(context: Context, request: str, name: str, say: str, as_json: bool) -> None:
    """Propose the runbook NAME made of what request R did, which must have ended well on every machine.

    \b
    answerback runbook propose r42 restart-cache --say "restart the cache on web-1"

    What PHRASE (else the message of R) and the commands have in common becomes a typed place: machines, paths, ports,
    units. PHRASE is needed where R was an explicit command. Where the plan of R was edited, the edited one is meant.
    """

    async def act(client: Client) -> int:
        done = await client.call("propose", number=number_of(request), name=name, say=say)
        return _tell_with_body(done, as_json)

    context.run(act)


@runbook_group.command("drafts", short_help="List the drafts that wait.")
@json_option
@pass_context
def drafts_command(context: Context, as_json: bool) -> None:
    """List the drafts that wait for an admin, the oldest first."""

    async def look(client: Client) -> int:
        found = await client.call("drafts")
        if as_json:
            click.echo(to_json(found))
            return EXIT_OK
        for draft in found:
            click.echo(f"d{draft['number']:<5} {clean(draft['name']):<30} proposed by {clean(draft['by'])}")
        if not found:
            click.echo("no draft waits", err=True)
        return EXIT_OK

    context.run(look)


@runbook_group.command("show", short_help="Show a draft: the TOML that it would be.")
@click.argument("draft", metavar="D")
@json_option
@pass_context
def show_command(context: Context, draft: str, as_json: bool) -> None:
    """Show draft D as it would go into runbooks.toml, and who proposed it.

    \b
    answerback runbook show d3
    """

    async def look(client: Client) -> int:
        return _tell_with_body(await client.call("draft", number=draft_of(draft)), as_json)

    context.run(look)


@runbook_group.command("accept", short_help="Accept a draft: it goes into runbooks.toml.")
@click.argument("draft", metavar="D")
@json_option
@pass_context
def accept_command(context: Context, draft: str, as_json: bool) -> None:
    """Accept draft D: it goes to the end of runbooks.toml and works within a few seconds. For admins; see it first.

    \b
    answerback runbook accept d3

    Where there is another admin, nobody accepts what they proposed themselves.
    """
    act_on(context, "accept_draft", as_json, number=draft_of(draft))


@runbook_group.command("reject", short_help="Reject a draft.")
@click.argument("draft", metavar="D")
@click.argument("why", nargs=-1)
@json_option
@pass_context
def reject_command(context: Context, draft: str, why: tuple[str, ...], as_json: bool) -> None:
    """Reject draft D; WHY stays with it. For admins, and for whoever proposed it.

    \b
    answerback runbook reject d3 too narrow
    """
    act_on(context, "reject_draft", as_json, number=draft_of(draft), why=" ".join(why))


def draft_of(text: str) -> int:
    """d3, #3 or 3."""
    digits = text.lower().removeprefix("d").removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12 or int(digits) < 1:
        raise UserError(f"{clean(text, limit=40)} is no draft", "write d3, as `answerback runbook drafts` shows it")
    return int(digits)


def _tell_with_body(done: dict[str, Any], as_json: bool) -> int:
    status = tell_done(done, as_json)
    if not as_json and status == EXIT_OK and (body := done.get("body")):
        click.echo(f"\n{clean_output(body)}", nl=False)
    return status
