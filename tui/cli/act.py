"""answerback approve, reject, cancel, settle, pause, resume: the actions on what runs or waits."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
import time
from dataclasses import replace
from typing import Final

import click

from common.api import verbs
from common.api.actions import ApproveArgs, CancelArgs, PauseArgs, RejectArgs, ResumeArgs, SettleArgs
from common.api.arguments import RequestArgs
from common.api.requests import RequestDetails
from common.approval_proof import askers
from common.errors import EXIT_REFUSED, UserError
from common.policy.protections import told_variables
from common.text import clean
from common.values import parse_duration_option
from tui.cli.context import (
    CliContext,
    act_on,
    is_request_number,
    json_option,
    parse_request_number,
    pass_context,
    print_result,
)
from tui.client.approval_key import ApprovalSigner, approval_key, sign_shown
from tui.client.client import Client
from tui.client.profile import Profile, read_profile

HASH: Final = re.compile(r"[0-9a-f]{64}")
MAX_CODE: Final = 64


@click.command("approve", short_help="Say yes to exactly the plan of a request.")
@click.argument("request", metavar="R")
@click.option(
    "--code", default="", help="your second factor, where the policy asks for it; - reads it from standard input"
)
@click.option("--plan", "plan_hash", default="", metavar="HASH", help="approve only if this is still the plan's hash")
@click.option("--reason", default="", help="kept in the audit")
@click.option("--allow-for", metavar="TIME", help="the same again, by the same person, needs no other yes of yours: 1h")
@json_option
@pass_context
def approve_command(
    context: CliContext,
    request: str,
    code: str,
    plan_hash: str,
    reason: str,
    allow_for: str | None,
    as_json: bool,
) -> None:
    """Say yes to exactly the plan of request R. Who asked is not who approves; see it first: answerback request R

    \b
    answerback approve r42
    answerback approve r42 --code 123456                   where a second factor is needed; at a terminal it is asked
    answerback approve r42 --plan 8f3a…                    refused if it has become another plan since
    answerback approve r42 --allow-for 1h                  where the hub lets it; see answerback allowed
    """
    number = parse_request_number(request)
    if plan_hash and not HASH.fullmatch(plan_hash):
        raise UserError(
            f"--plan {clean(plan_hash, limit=80)}: a plan's hash has 64 characters, and all of them count",
            f"copy it from answerback request r{number}",
        )
    secret = sys.stdin.readline(MAX_CODE).strip() if code == "-" else code

    seconds = parse_duration_option("--allow-for", allow_for, "write 30m or 1h") if allow_for else None
    args = ApproveArgs(number=number, plan_hash=plan_hash, reason=reason, code=secret, allow_for=seconds)

    profile = read_profile(context.profile)

    async def act(client: Client) -> int:
        return await approve(client, args, as_json, profile)

    context.run(act)


async def approve(client: Client, args: ApproveArgs, as_json: bool, profile: Profile) -> int:
    """Approves; where the rule is critical the plan is shown and signed, and where a second factor is needed and there
    is a terminal it asks for the code; then it tries again.
    """
    result = await client.call(verbs.APPROVE, args)
    request: RequestDetails | None = None
    passphrase = ""
    if result.code == "signature_needed":
        request = await client.call(verbs.REQUEST, RequestArgs(number=args.number))
        if not await _wants_to_sign(request, args.plan_hash):
            return EXIT_REFUSED
        passphrase = await _passphrase(profile)
        args = _signed(args, request, profile, passphrase)
        result = await client.call(verbs.APPROVE, args)
    if result.code != "code_needed" or args.code or as_json:
        return print_result(result, as_json)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        again = f"answerback approve r{args.number} --code 123456"
        click.echo(f"answerback: r{args.number} needs your code too, from your second factor: {again}", err=True)
        return EXIT_REFUSED
    typed = await asyncio.to_thread(click.prompt, f"r{args.number} needs your second factor; code", err=True)
    args = replace(args, code=typed.strip())
    result = await client.call(verbs.APPROVE, args if request is None else _signed(args, request, profile, passphrase))
    return print_result(result, as_json)


async def _passphrase(profile: Profile) -> str:
    """That of the key, asked for at a terminal; "" where it has none."""
    if not ApprovalSigner(profile).is_locked:
        return ""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError("the key that signs is under a passphrase", "approve at a terminal, where it is asked for")
    return str(await asyncio.to_thread(click.prompt, "passphrase of your key", hide_input=True, err=True))


def _signed(args: ApproveArgs, request: RequestDetails, profile: Profile, passphrase: str) -> ApproveArgs:
    """With the signature of the plan that was shown."""
    key, factor = approval_key(profile, passphrase), bool(args.code)
    signed, digest = sign_shown(key, profile.name, request, second_factor=factor, now=time.time())
    return replace(args, plan_hash=digest, signed=signed)


async def _wants_to_sign(request: RequestDetails, known: str) -> bool:
    """Shows the plan that is to be signed and asks. Whoever gave its hash has seen it; a script has to."""
    lines = [
        f"r{request.number} is critical: your signature is what its machines run it by.",
        f"  asked by {' and '.join(name or 'nobody known' for name in askers(request.person, request.behalf))}",
    ]
    for step in request.plan.steps if request.plan is not None else ():
        words = shlex.join(step.argv)
        lines.append(f"  {words}" + (f"   in {step.cwd}" if step.cwd else ""))
        lines += [f"    with {name}={shlex.quote(value)}" for name, value in told_variables(step.env.items())]
        lines.append(f"    on {', '.join(step.targets)}")
    for line in lines:
        click.echo(clean(line), err=True)
    if known:
        return known == request.plan_hash
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        click.echo(f"answerback: sign it with its hash: --plan {request.plan_hash}", err=True)
        return False
    return await asyncio.to_thread(click.confirm, "Sign it?", err=True)


@click.command("reject", short_help="Say no to a request.")
@click.argument("request", metavar="R")
@click.argument("why", nargs=-1)
@json_option
@pass_context
def reject_command(context: CliContext, request: str, why: tuple[str, ...], as_json: bool) -> None:
    """Say no to request R; WHY goes back to whoever asked.

    \b
    answerback reject r42 not before the backup has ended
    """
    args = RejectArgs(number=parse_request_number(request), why=" ".join(why))
    act_on(context, verbs.REJECT, args, as_json)


@click.command("cancel", short_help="Cancel a request or a job.")
@click.argument("what", metavar="R|JOB")
@click.option("--kill", is_flag=True, help="KILL at once, without TERM and grace")
@json_option
@pass_context
def cancel_command(context: CliContext, what: str, kill: bool, as_json: bool) -> None:
    """Cancel a request, or one job of it. Says that it is asked for; `request` and `job` tell when it has happened.

    \b
    answerback cancel r42
    answerback cancel K3V9TQ0Z4M --kill
    """
    if is_request_number(what):
        args = CancelArgs(number=parse_request_number(what), kill=kill)
    else:
        args = CancelArgs(job=what.upper(), kill=kill)
    act_on(context, verbs.CANCEL, args, as_json)


@click.command("settle", short_help="Your word on a job whose outcome is unknown.")
@click.argument("job_id", metavar="JOB")
@click.argument("word", type=click.Choice(["done", "failed"]))
@json_option
@pass_context
def settle_command(context: CliContext, job_id: str, word: str, as_json: bool) -> None:
    """Your word on a job whose outcome nobody can know: you looked, and it was done, or not. Nothing is run.

    \b
    answerback settle K3V9TQ0Z4M done
    """
    act_on(context, verbs.SETTLE, SettleArgs(job=job_id.upper(), done=word == "done"), as_json)


@click.command("pause", short_help="Hand out nothing new, to some machines or to all.")
@click.argument("target", required=False, default="")
@click.option("--for", "duration", metavar="TIME", help="after which it goes on by itself: 30m, 2h")
@click.option("--reason", default="", help="shown beside the machine")
@json_option
@pass_context
def pause_command(context: CliContext, target: str, duration: str | None, reason: str, as_json: bool) -> None:
    """Hand out nothing new to TARGET (a machine, web-*, role=web), or to any where none is named. What runs goes on.

    \b
    answerback pause web-1 --reason "disk is being replaced"
    answerback pause role=web --for 2h
    answerback pause                                       the whole queue
    """
    seconds = parse_duration_option("--for", duration, "write 30m or 2h") if duration else None

    async def act(client: Client) -> int:
        until = None if seconds is None else time.time() + client.clock_offset + seconds
        result = await client.call(verbs.PAUSE, PauseArgs(selector=target, reason=reason, until=until))
        return print_result(result, as_json)

    context.run(act)


@click.command("resume", short_help="Hand out jobs again.")
@click.argument("target", required=False, default="")
@json_option
@pass_context
def resume_command(context: CliContext, target: str, as_json: bool) -> None:
    """Hand out jobs again, to TARGET, or to all where the whole queue was paused.

    \b
    answerback resume web-1
    """
    act_on(context, verbs.RESUME, ResumeArgs(selector=target), as_json)
