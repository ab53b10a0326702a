"""answerback runbook propose, drafts, show, accept, reject: runbooks made of plans that were done well."""

from __future__ import annotations

import click

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.drafts import DraftArgs, DraftResult, ProposeArgs, RejectDraftArgs
from common.errors import EXIT_OK, UserError
from common.text import clean, clean_output
from tui.cli.context import (
    CliContext,
    act_on,
    json_option,
    parse_request_number,
    pass_context,
    print_json,
    print_result,
)
from tui.client.client import Client


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
def propose_command(context: CliContext, request: str, name: str, say: str, as_json: bool) -> None:
    """Propose the runbook NAME made of what request R did, which must have ended well on every machine.

    \b
    answerback runbook propose r42 restart-cache --say "restart the cache on web-1"

    What PHRASE (else the message of R) and the commands have in common becomes a typed place: machines, paths, ports,
    units. PHRASE is needed where R was an explicit command. Where the plan of R was edited, the edited one is meant.
    """

    async def act(client: Client) -> int:
        args = ProposeArgs(number=parse_request_number(request), name=name, say=say)
        return _print_with_body(await client.call(verbs.PROPOSE, args), as_json)

    context.run(act)


@runbook_group.command("drafts", short_help="List the drafts that wait.")
@json_option
@pass_context
def drafts_command(context: CliContext, as_json: bool) -> None:
    """List the drafts that wait for an admin, the oldest first."""

    async def show(client: Client) -> int:
        found = await client.call(verbs.DRAFTS, NoArgs())
        if as_json:
            print_json(found)
            return EXIT_OK
        for draft in found:
            click.echo(f"d{draft.number:<5} {clean(draft.name):<30} proposed by {clean(draft.by)}")
        if not found:
            click.echo("no draft waits", err=True)
        return EXIT_OK

    context.run(show)


@runbook_group.command("show", short_help="Show a draft: the TOML that it would be.")
@click.argument("draft", metavar="D")
@json_option
@pass_context
def show_command(context: CliContext, draft: str, as_json: bool) -> None:
    """Show draft D as it would go into runbooks.toml, and who proposed it.

    \b
    answerback runbook show d3
    """

    async def show(client: Client) -> int:
        args = DraftArgs(number=parse_draft_number(draft))
        return _print_with_body(await client.call(verbs.DRAFT, args), as_json)

    context.run(show)


@runbook_group.command("accept", short_help="Accept a draft: it goes into runbooks.toml.")
@click.argument("draft", metavar="D")
@json_option
@pass_context
def accept_command(context: CliContext, draft: str, as_json: bool) -> None:
    """Accept draft D: it goes to the end of runbooks.toml and works within a few seconds. For admins; see it first.

    \b
    answerback runbook accept d3

    Where there is another admin, nobody accepts what they proposed themselves.
    """
    act_on(context, verbs.ACCEPT_DRAFT, DraftArgs(number=parse_draft_number(draft)), as_json)


@runbook_group.command("reject", short_help="Reject a draft.")
@click.argument("draft", metavar="D")
@click.argument("why", nargs=-1)
@json_option
@pass_context
def reject_command(context: CliContext, draft: str, why: tuple[str, ...], as_json: bool) -> None:
    """Reject draft D; WHY stays with it. For admins, and for whoever proposed it.

    \b
    answerback runbook reject d3 too narrow
    """
    args = RejectDraftArgs(number=parse_draft_number(draft), why=" ".join(why))
    act_on(context, verbs.REJECT_DRAFT, args, as_json)


def parse_draft_number(text: str) -> int:
    """d3, #3 or 3."""
    digits = text.lower().removeprefix("d").removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12 or int(digits) < 1:
        raise UserError(f"{clean(text, limit=40)} is no draft", "write d3, as `answerback runbook drafts` shows it")
    return int(digits)


def _print_with_body(result: DraftResult, as_json: bool) -> int:
    status = print_result(result, as_json)
    if not as_json and result.is_ok and result.body:
        click.echo(f"\n{clean_output(result.body)}", nl=False)
    return status
