"""answerback approve, reject, cancel, settle, pause, resume: stepping in."""

from __future__ import annotations

import sys
from typing import Any

import click

from tui.cli_base import Context, is_number, json_option, number_of, pass_context, to_json
from tui.client import Client


def act_on_request(context: Context, verb: str, request: str, as_json: bool, **args: Any) -> None:
    async def act(client: Client) -> int:
        done = await client.call(verb, number=number_of(request), **args)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@click.command("approve", short_help="Say yes to exactly the plan of a request.")
@click.argument("request", metavar="R")
@click.option(
    "--code", default="", help="your second factor, where the policy asks for it; - reads it from standard input"
)
@click.option("--plan", "plan_hash", default="", metavar="HASH", help="approve only if this is still the plan's hash")
@click.option("--reason", default="", help="kept in the audit")
@json_option
@pass_context
def approve_command(context: Context, request: str, code: str, plan_hash: str, reason: str, as_json: bool) -> None:
    """Say yes to exactly the plan of request R. Who asked is not who approves; see it first: answerback request R

    \b
    answerback approve r42
    answerback approve r42 --code 123456                   where a second factor is asked for
    answerback approve r42 --plan 8f3a…                    refused if it has become another plan since
    """
    secret = sys.stdin.readline().strip() if code == "-" else code
    act_on_request(context, "approve", request, as_json, code=secret, plan_hash=plan_hash, reason=reason)


@click.command("reject", short_help="Say no to a request.")
@click.argument("request", metavar="R")
@click.argument("why", nargs=-1)
@json_option
@pass_context
def reject_command(context: Context, request: str, why: tuple[str, ...], as_json: bool) -> None:
    """Say no to request R; WHY goes back to whoever asked.

    \b
    answerback reject r42 not before the backup has ended
    """
    act_on_request(context, "reject", request, as_json, why=" ".join(why))


@click.command("cancel", short_help="Cancel a request or a job.")
@click.argument("what", metavar="R|JOB")
@click.option("--kill", is_flag=True, help="KILL at once, without TERM and grace")
@json_option
@pass_context
def cancel_command(context: Context, what: str, kill: bool, as_json: bool) -> None:
    """Cancel a request, or one job of it. Says that it is asked for; `request` and `job` tell when it has happened.

    \b
    answerback cancel r42
    answerback cancel K3V9TQ0Z4M --kill
    """

    async def act(client: Client) -> int:
        args: dict[str, Any] = {"number": number_of(what)} if is_number(what) else {"job": what.upper()}
        done = await client.call("cancel", kill=kill, **args)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@click.command("settle", short_help="Your word on a job whose outcome is unknown.")
@click.argument("job_id", metavar="JOB")
@click.argument("word", type=click.Choice(["done", "failed"]))
@json_option
@pass_context
def settle_command(context: Context, job_id: str, word: str, as_json: bool) -> None:
    """Your word on a job whose outcome nobody can know: you looked, and it was done, or not. Nothing is run.

    \b
    answerback settle K3V9TQ0Z4M done
    """

    async def act(client: Client) -> int:
        done = await client.call("settle", job=job_id.upper(), done=word == "done")
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@click.command("pause", short_help="Hand out nothing new, to one machine or all.")
@click.argument("agent", required=False, default="")
@click.option("--reason", default="", help="shown beside the machine")
@json_option
@pass_context
def pause_command(context: Context, agent: str, reason: str, as_json: bool) -> None:
    """Hand out nothing new to AGENT, or to any machine where none is named. What runs goes on.

    \b
    answerback pause web-1 --reason "disk is being replaced"
    answerback pause                                       the whole queue
    """

    async def act(client: Client) -> int:
        done = await client.call("pause", agent=agent, reason=reason)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@click.command("resume", short_help="Hand out jobs again.")
@click.argument("agent", required=False, default="")
@json_option
@pass_context
def resume_command(context: Context, agent: str, as_json: bool) -> None:
    """Hand out jobs again, to AGENT, or to all where the whole queue was paused.

    \b
    answerback resume web-1
    """

    async def act(client: Client) -> int:
        done = await client.call("resume", agent=agent)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)
