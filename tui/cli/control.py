"""answerback priority, take-back, drain, undrain, edit, broadcast: the console's other actions, from the command
line."""

from __future__ import annotations

import asyncio
import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import click

from common.api import verbs
from common.api.actions import DrainArgs, EditArgs, EditResult, PriorityArgs, StepEdit, TakeBackResult, UndrainArgs
from common.api.arguments import RequestArgs
from common.api.plans import AnyStep
from common.api.queries import TargetsArgs
from common.api.requests import RequestDetails
from common.api.work import RunArgs, RunResult
from common.errors import EXIT_OK, EXIT_REFUSED, UserError
from common.text import clean
from common.values import parse_duration_option
from tui.cli.context import (
    CliContext,
    SecondsRange,
    act_on,
    json_option,
    parse_request_number,
    pass_context,
    print_json,
    print_result,
)
from tui.cli.run import RunCommand, follow_request
from tui.client.client import Client
from tui.model.plan_text import InvalidPlanText, parse_plan, render_plan

HOLD_SECONDS: Final = 5.0
MAX_PLAN: Final = 512 * 1024


def option_seconds(option: str, text: str | None) -> float | None:
    """Seconds of an option that is a duration, None where it was not given; raises UserError."""
    return None if text is None else float(parse_duration_option(option, text))


@click.command("priority", short_help="Another place in the line for jobs that wait.")
@click.argument("jobs", metavar="JOB…", nargs=-1, required=True)
@click.argument("priority", metavar="N", type=click.IntRange(0, 9))
@click.option("--dry-run", is_flag=True, help="show the new order, and change nothing")
@json_option
@pass_context
def priority_command(context: CliContext, jobs: tuple[str, ...], priority: int, dry_run: bool, as_json: bool) -> None:
    """Give jobs that wait the priority N, 0 to 9; 9 goes first, 5 is what they begin with.

    \b
    answerback priority K3V9TQ0Z4M 9
    answerback priority K3V9TQ0Z4M 8AX2M1TQZZ 1 --dry-run
    """

    async def act(client: Client) -> int:
        names = tuple(job.upper() for job in jobs)
        result = await client.call(verbs.PRIORITY, PriorityArgs(jobs=names, priority=priority, dry_run=dry_run))
        status = print_result(result, as_json)
        if not as_json:
            for place in result.order or ():
                line = f"{place.job[-10:]}  {clean(place.agent)}: place {place.was} -> {place.now}"
                click.echo(f"{line} of {place.of}")
        return status

    context.run(act)


@click.command("take-back", short_help="Undo a request while it is held.")
@click.argument("request", metavar="R")
@json_option
@pass_context
def take_back_command(context: CliContext, request: str, as_json: bool) -> None:
    """Take request R back, as long as its jobs are held (`run --hold`) or it waits for approval. Nothing has run then;
    once a job has been handed out it is too late, and `cancel` is what is left.

    \b
    answerback take-back r42
    """
    act_on(context, verbs.TAKE_BACK, RequestArgs(number=parse_request_number(request)), as_json)


@click.command("drain", short_help="Let a machine run empty.")
@click.argument("agent")
@click.option("--cancel-after", metavar="TIME", help="then what it still has is cancelled: 30s, 10m; left out: never")
@json_option
@pass_context
def drain_command(context: CliContext, agent: str, cancel_after: str | None, as_json: bool) -> None:
    """Hand nothing new to AGENT, and let it finish what it has. `agents` shows how far it is; `undrain` ends it.

    \b
    answerback drain web-1
    answerback drain web-1 --cancel-after 10m
    """
    seconds = option_seconds("--cancel-after", cancel_after)
    act_on(context, verbs.DRAIN, DrainArgs(agent=agent, cancel_after=seconds), as_json)


@click.command("undrain", short_help="Hand jobs to a drained machine again.")
@click.argument("agent")
@json_option
@pass_context
def undrain_command(context: CliContext, agent: str, as_json: bool) -> None:
    """Hand jobs to AGENT again.

    \b
    answerback undrain web-1
    """
    act_on(context, verbs.UNDRAIN, UndrainArgs(agent=agent), as_json)


# ---- edit


@click.command("edit", short_help="Change a plan that waits for approval.")
@click.argument("request", metavar="R")
@click.option("--why", default="", help="told to whoever asked")
@click.option("--file", "source", type=click.File("r"), help="the new plan as text; - reads it from standard input")
@click.option("--print", "only_print", is_flag=True, help="print the plan as text, to be changed and given with --file")
@click.option("--dry-run", is_flag=True, help="show what would change and what the policy says, and change nothing")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@pass_context
def edit_command(
    context: CliContext,
    request: str,
    why: str,
    source: Any,
    only_print: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Change the plan of request R in $EDITOR. R is rejected as edited, and a new request in your name, on behalf of
    whoever asked, waits for approval anew: neither they nor you can give it.

    \b
    answerback edit r42 --why "keep the newest"
    answerback edit r42 --print > plan.txt                 where there is no terminal: the text to change
    answerback edit r42 --file plan.txt --dry-run
    """
    text = source.read(MAX_PLAN) if source is not None else None
    if text is None and not only_print and not sys.stdin.isatty():
        raise UserError("there is no terminal to edit on", "print the plan with --print, give the new one with --file")

    options = EditOptions(text, why, only_print=only_print, dry_run=dry_run, yes=yes, as_json=as_json)

    async def act(client: Client) -> int:
        return await edit(client, parse_request_number(request), options)

    context.run(act)


@dataclass(frozen=True, slots=True)
class EditOptions:
    text: str | None  # the new plan; None asks for it in $EDITOR
    why: str
    only_print: bool
    dry_run: bool
    yes: bool
    as_json: bool


async def edit(client: Client, number: int, options: EditOptions) -> int:
    """Fetches the plan, has it changed, tries the new one and sends it where the person says so; the exit status."""
    found = await client.call(verbs.REQUEST, RequestArgs(number=number))
    if found.plan is None:
        raise UserError(f"r{number} has no plan to change", "only what waits for approval can be edited")
    base = found.plan.steps
    old = render_plan(base)
    if options.only_print:
        click.echo(old, nl=False)
        return EXIT_OK
    if options.text is not None:
        steps: Sequence[StepEdit] | None = parse_steps(options.text, base)
    else:
        steps = await asyncio.to_thread(steps_from_editor, old, base)
    if steps is None or render_plan(steps) == old:
        click.echo("nothing is changed", err=True)
        return EXIT_OK
    args = EditArgs(number=number, base_hash=found.plan_hash, steps=tuple(steps), why=options.why)
    return await send_edit(client, args, options)


async def send_edit(client: Client, args: EditArgs, options: EditOptions) -> int:
    """Tries the edit, shows what policy says to it, asks, and sends it; the exit status."""
    tried = await client.call(verbs.EDIT, replace(args, dry_run=True))
    if not tried.is_ok or options.dry_run:
        return print_dry_run(tried, options.as_json)
    if not options.as_json or tried.verdict == "deny":
        status = print_dry_run(tried, options.as_json)
        if status != EXIT_OK:
            return status
    if not options.yes and not await asyncio.to_thread(click.confirm, "send the new plan?", err=True):
        return EXIT_OK
    result = await client.call(verbs.EDIT, args)
    return print_result(result, options.as_json)


def parse_steps(text: str, base: Sequence[AnyStep]) -> tuple[StepEdit, ...]:
    try:
        return parse_plan(text, base)
    except InvalidPlanText as error:
        raise UserError(f"line {error.line}: {error.sentence}", "nothing was sent") from None


def steps_from_editor(old: str, base: Sequence[AnyStep]) -> tuple[StepEdit, ...] | None:
    """The steps that come back from $EDITOR; None where nothing was saved. A text that is no plan can be mended there,
    so that one wrong line does not lose it.
    """
    text: str | None = old
    while (text := click.edit(text, extension=".plan")) is not None:
        try:
            return parse_plan(text, base)
        except InvalidPlanText as error:
            click.echo(f"answerback: line {error.line}: {error.sentence}", err=True)
            click.confirm("edit it again?", default=True, abort=True, err=True)
    return None


def print_dry_run(tried: EditResult, as_json: bool) -> int:
    """Prints what an edit would change, and what policy says to it; the exit status."""
    if not tried.is_ok:
        return print_result(tried, as_json)
    status = EXIT_REFUSED if tried.verdict == "deny" else EXIT_OK
    if as_json:
        print_json(tried)
        return status
    old, new = (render_plan(plan.steps if plan is not None else ()).splitlines() for plan in (tried.old, tried.new))
    for line in difflib.unified_diff(old, new, "now", "edited", lineterm=""):
        click.echo(clean(line))
    click.echo(clean(tried.text), err=True)
    if status == EXIT_OK:
        who = ", ".join(map(clean, tried.who or ())) or "nobody who is left may"
        click.echo(f"answerback: who may approve it: {who}", err=True)
    return status


# ---- broadcast


@click.command(
    "broadcast",
    cls=RunCommand,
    short_help="Run a command on many machines, with care.",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "--expect", type=click.IntRange(1, 10_000), metavar="N", help="the number of machines, instead of typing it"
)
@click.option("--hold", metavar="TIME", help="in which it can be taken back with Ctrl-C  [default: 5s]")
@click.option("--timeout", type=SecondsRange(1, 86_400), help="seconds the command may run  [default: 60]")
@click.option("--in", "cwd", metavar="DIR", default="", help="the folder to run in, on the machines")
@click.option("--no-wait", is_flag=True, help="print the request and leave; `take-back` is then the way back")
@json_option
@click.argument("selector")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_context
def broadcast_command(
    context: CliContext,
    expect: int | None,
    hold: str | None,
    timeout: int | None,
    cwd: str,
    no_wait: bool,
    as_json: bool,
    selector: str,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND on all machines that SELECTOR means, up to ten thousand: shows how many that are, asks for the
    number, and waits a few seconds in which Ctrl-C takes it back. Where the selection has changed meanwhile, nothing
    runs.

    \b
    answerback broadcast role=web -- systemctl reload nginx
    answerback broadcast 'web-eu-*' --expect 702 --hold 10s -- uptime
    """
    seconds = HOLD_SECONDS if hold is None else option_seconds("--hold", hold)
    if expect is None and not sys.stdin.isatty():
        raise UserError("there is no terminal to type the number on", "give it with --expect")

    async def act(client: Client) -> int:
        count = await confirm_count(client, selector) if expect is None else expect
        args = RunArgs(target=selector, argv=command, cwd=cwd, timeout=timeout, expect=count, hold=seconds)
        result = await client.call(verbs.RUN, args)
        request = result.request
        if result.is_ok and request is not None and request.is_working and seconds and not no_wait:
            taken = await wait_held(client, result, request, seconds)
            if taken is not None:
                return print_result(taken, as_json)
        return await follow_request(context, client, result, as_json=as_json, wait=not no_wait)

    context.run(act)


async def confirm_count(client: Client, selector: str) -> int:
    """Shows which machines a selection means and asks for their number; raises UserError where another is typed."""
    found = await client.call(verbs.TARGETS, TargetsArgs(selector=selector))
    reach = f"{found.count} machines, {found.online} online, {found.offline} offline (these wait)"
    click.echo(f"{reach}: {', '.join(map(clean, found.sample))} …", err=True)
    count = await asyncio.to_thread(click.prompt, "type the number of machines to go on", type=int, err=True)
    if count != found.count:
        raise UserError(f"{count} is not {found.count}", "nothing was asked for")
    return int(count)


async def wait_held(
    client: Client, result: RunResult, request: RequestDetails, seconds: float
) -> TakeBackResult | None:
    """Waits as long as the jobs are held; what the hub answers where Ctrl-C took them back meanwhile, else None."""
    click.echo(f"answerback: {clean(result.text)}; Ctrl-C takes it back", err=True)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine
        task.uncancel()
        return await client.call(verbs.TAKE_BACK, RequestArgs(number=request.number))
    return None
