"""answerback priority, take-back, drain, undrain, edit, broadcast: the console's other acts, from the command line."""

from __future__ import annotations

import asyncio
import difflib
import sys
from typing import Any, Final

import click

from common.config import parse_duration
from common.errors import EXIT_OK, EXIT_REFUSED, UserError
from common.text import clean
from tui.cli_base import Context, json_option, number_of, pass_context, tell_done, to_json
from tui.cli_run import RunCommand, see_through
from tui.client import Client
from tui.plan_text import BadText, from_text, to_text

HOLD: Final = 5.0
MAX_PLAN: Final = 512 * 1024


def seconds_of(option: str, text: str | None) -> float | None:
    """A duration as it is written for an option; raises UserError."""
    if text is None:
        return None
    try:
        return float(parse_duration(text))
    except ValueError:
        raise UserError(f"{option} {clean(text, limit=40)}: that is no duration", "write 30s, 10m or 2h") from None


def act_on(context: Context, verb: str, as_json: bool, **args: Any) -> None:
    async def act(client: Client) -> int:
        return tell_done(await client.call(verb, **args), as_json)

    context.run(act)


@click.command("priority", short_help="Another place in the line for jobs that wait.")
@click.argument("jobs", metavar="JOB…", nargs=-1, required=True)
@click.argument("priority", metavar="N", type=click.IntRange(0, 9))
@click.option("--dry-run", is_flag=True, help="show the new order, and change nothing")
@json_option
@pass_context
def priority_command(context: Context, jobs: tuple[str, ...], priority: int, dry_run: bool, as_json: bool) -> None:
    """Give jobs that wait the priority N, 0 to 9; 9 goes first, 5 is what they begin with.

    \b
    answerback priority K3V9TQ0Z4M 9
    answerback priority K3V9TQ0Z4M 8AX2M1TQZZ 1 --dry-run
    """

    async def act(client: Client) -> int:
        names = [job.upper() for job in jobs]
        done = await client.call("priority", jobs=names, priority=priority, dry_run=dry_run)
        status = tell_done(done, as_json)
        if not as_json:
            for place in done.get("order", ()):
                line = f"{place['job'][-10:]}  {clean(place['agent'])}: place {place['was']} -> {place['now']}"
                click.echo(f"{line} of {place['of']}")
        return status

    context.run(act)


@click.command("take-back", short_help="Undo a request while it is held.")
@click.argument("request", metavar="R")
@json_option
@pass_context
def take_back_command(context: Context, request: str, as_json: bool) -> None:
    """Take request R back, as long as its jobs are held (`run --hold`) or it waits for approval. Nothing has run then;
    once a job has been handed out it is too late, and `cancel` is what is left.

    \b
    answerback take-back r42
    """
    act_on(context, "take_back", as_json, number=number_of(request))


@click.command("drain", short_help="Let a machine run empty.")
@click.argument("agent")
@click.option("--cancel-after", metavar="TIME", help="then what it still has is cancelled: 30s, 10m; left out: never")
@json_option
@pass_context
def drain_command(context: Context, agent: str, cancel_after: str | None, as_json: bool) -> None:
    """Hand nothing new to AGENT, and let it finish what it has. `agents` shows how far it is; `undrain` ends it.

    \b
    answerback drain web-1
    answerback drain web-1 --cancel-after 10m
    """
    seconds = seconds_of("--cancel-after", cancel_after)
    act_on(context, "drain", as_json, agent=agent, **({} if seconds is None else {"cancel_after": seconds}))


@click.command("undrain", short_help="Hand jobs to a drained machine again.")
@click.argument("agent")
@json_option
@pass_context
def undrain_command(context: Context, agent: str, as_json: bool) -> None:
    """Hand jobs to AGENT again.

    \b
    answerback undrain web-1
    """
    act_on(context, "undrain", as_json, agent=agent)


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
    context: Context,
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

    async def act(client: Client) -> int:
        number = number_of(request)
        found = await client.call("request", number=number)
        if not found["plan"]:
            raise UserError(f"r{number} has no plan to change", "only what waits for approval can be edited")
        old = to_text(found["plan"]["steps"])
        if only_print:
            click.echo(old, nl=False)
            return EXIT_OK
        base = found["plan"]["steps"]
        steps = read_steps(text, base) if text is not None else await asyncio.to_thread(steps_from_editor, old, base)
        if steps is None or to_text(steps) == old:
            click.echo("nothing is changed", err=True)
            return EXIT_OK
        args: dict[str, Any] = {"number": number, "base_hash": found["plan_hash"], "steps": steps, "why": why}
        tried = await client.call("edit", dry_run=True, **args)
        if tried.get("code", "ok") != "ok" or dry_run:
            return tell_tried(tried, as_json)
        if not as_json or tried["verdict"] == "deny":
            status = tell_tried(tried, as_json)
            if status != EXIT_OK:
                return status
        if not yes and not await asyncio.to_thread(click.confirm, "send the new plan?", err=True):
            return EXIT_OK
        return tell_done(await client.call("edit", **args), as_json)

    context.run(act)


def read_steps(text: str, base: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        return from_text(text, base)
    except BadText as error:
        raise UserError(f"line {error.line}: {error.sentence}", "nothing was sent") from None


def steps_from_editor(old: str, base: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """What comes back from $EDITOR; None where nothing was saved. A text that is no plan may be mended: it is not lost
    by one wrong line."""
    text: str | None = old
    while (text := click.edit(text, extension=".plan")) is not None:
        try:
            return from_text(text, base)
        except BadText as error:
            click.echo(f"answerback: line {error.line}: {error.sentence}", err=True)
            click.confirm("edit it again?", default=True, abort=True, err=True)
    return None


def tell_tried(tried: dict[str, Any], as_json: bool) -> int:
    """What an edit would change, and what policy says to it."""
    if tried.get("code", "ok") != "ok":
        return tell_done(tried, as_json)
    if as_json:
        click.echo(to_json(tried))
        return EXIT_REFUSED if tried["verdict"] == "deny" else EXIT_OK
    old, new = (to_text(tried[side]["steps"]).splitlines() for side in ("old", "new"))
    for line in difflib.unified_diff(old, new, "now", "edited", lineterm=""):
        click.echo(clean(line))
    click.echo(clean(tried["text"]), err=True)
    if tried["verdict"] != "deny":
        who = ", ".join(map(clean, tried["who"])) or "nobody who is left may"
        click.echo(f"answerback: who may approve it: {who}", err=True)
    return EXIT_REFUSED if tried["verdict"] == "deny" else EXIT_OK


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
@click.option("--timeout", type=click.IntRange(1, 86_400), help="seconds the command may run  [default: 60]")
@click.option("--in", "cwd", metavar="DIR", default="", help="the folder to run in, on the machines")
@click.option("--no-wait", is_flag=True, help="print the request and leave; `take-back` is then the way back")
@json_option
@click.argument("selector")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_context
def broadcast_command(
    context: Context,
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
    seconds = HOLD if hold is None else seconds_of("--hold", hold)
    if expect is None and not sys.stdin.isatty():
        raise UserError("there is no terminal to type the number on", "give it with --expect")

    async def act(client: Client) -> int:
        count = expect
        if count is None:
            found = await client.call("targets", selector=selector)
            told = f"{found['count']} machines, {found['online']} online, {found['offline']} offline (these wait)"
            click.echo(f"{told}: {', '.join(map(clean, found['sample']))} …", err=True)
            count = await asyncio.to_thread(click.prompt, "type the number of machines to go on", type=int, err=True)
            if count != found["count"]:
                raise UserError(f"{count} is not {found['count']}", "nothing was asked for")
        args: dict[str, Any] = {"target": selector, "argv": list(command), "cwd": cwd, "expect": count, "hold": seconds}
        if timeout is not None:
            args["timeout"] = timeout
        request = await client.call("run", **args)
        if request.get("code", "ok") == "ok" and request["state"] == "working" and seconds and not no_wait:
            taken = await hold_back(client, request, seconds)
            if taken is not None:
                return tell_done(taken, as_json)
        return await see_through(client, request, as_json=as_json, wait=not no_wait)

    context.run(act)


async def hold_back(client: Client, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """Waits as long as the jobs are held; what the hub says where Ctrl-C took them back meanwhile, else None."""
    click.echo(f"answerback: {clean(request['text'])}; Ctrl-C takes it back", err=True)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine
        task.uncancel()
        taken: dict[str, Any] = await client.call("take_back", number=request["number"])
        return taken
    return None
