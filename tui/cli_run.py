"""answerback run and retry: asks for work and sees it through to its end."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import click

from common.text import clean
from tui import show
from tui.cli_base import Context, is_number, json_option, number_of, pass_context, tell_done, to_json
from tui.client import Client
from tui.streams import Streams

ENDED_WELL: Final = frozenset({"succeeded"})
TELL_AFTER: Final = 2.0
"""Seconds without news after which a person is told what is waited for."""


class RunCommand(click.Command):
    """Takes its options on either side of TARGET. From `--`, or the command's first word, on, all words are the
    command's, whatever they look like.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = [entry for entry in self.params if isinstance(entry, click.Option) and not entry.is_flag]
        valued = {name for entry in given for name in entry.opts}
        options: list[str] = []
        target: list[str] = []
        rest = list(args)
        while rest and rest[0] != "--" and (rest[0].startswith("-") or not target):
            word = rest.pop(0)
            (options if word.startswith("-") else target).append(word)
            if word in valued and rest:
                options.append(rest.pop(0))
        return super().parse_args(ctx, [*options, *target, *(rest[1:] if rest[:1] == ["--"] else rest)])


@click.command(
    "run",
    cls=RunCommand,
    short_help="Run a command and see it through.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--timeout", type=click.IntRange(1, 86_400), help="seconds the command may run  [default: 60]")
@click.option("--in", "cwd", metavar="DIR", default="", help="the folder to run in, on the machine")
@click.option("--expect", type=click.IntRange(1, 10_000), metavar="N", help="refuse where TARGET is not N machines")
@click.option("--hold", type=click.IntRange(0, 60), metavar="S", help="seconds in which `take-back` undoes it")
@click.option("--no-wait", is_flag=True, help="print the request and leave")
@json_option
@click.argument("target")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_context
def run_command(
    context: Context,
    timeout: int | None,
    cwd: str,
    expect: int | None,
    hold: int | None,
    no_wait: bool,
    as_json: bool,
    target: str,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND on TARGET (a machine, web-*, role=web) and wait for its end.

    \b
    answerback run web-1 -- df -h
    answerback run 'web-*' -- uptime                      every machine so named, at once
    answerback run role=web --timeout 300 --in /srv/app -- git pull
    answerback run web-1 --json -- uptime | jq .jobs[0].output
    \b
    There is no shell on the other side: words are passed as they are, and | > $ * mean nothing there.
    Output goes to standard output as it comes; with several machines each line begins with a machine's name.
    Where the policy asks for approval this waits for it, and says so. Ctrl-C leaves, and the work goes on.
    Exit status: 0 all succeeded, 1 something failed or is unknown, 2 no such machine, 3 refused or rejected.
    """

    async def act(client: Client) -> int:
        args: dict[str, Any] = {"target": target, "argv": list(command), "cwd": cwd}
        given = {"timeout": timeout, "expect": expect, "hold": hold}
        args.update((name, value) for name, value in given.items() if value is not None)
        request = await client.call("run", **args)
        return await see_through(client, request, as_json=as_json, wait=not no_wait)

    context.run(act)


async def see_through(client: Client, request: dict[str, Any], *, as_json: bool, wait: bool) -> int:
    """Follows a request to its end: output as it comes, what it waits for on standard error."""
    if "state" not in request:
        return tell_done(request, as_json)
    number = request["number"]
    if request["state"] == "refused":
        if as_json:
            click.echo(to_json(request))
        click.echo(f"answerback: refused: {clean(request['reason'])}", err=True)
        return 3
    if not wait:
        click.echo(to_json(request) if as_json else f"r{number} {request['state']}")
        return 0
    told: set[str] = set()
    outputs: dict[str, list[bytes]] = {}
    targets = {target for step in (request["plan"] or {}).get("steps", []) for target in step["targets"]}
    streams = Streams(named=len(targets) > 1)
    jobs: dict[str, Any] = {}
    try:
        async for push in client.subscribe("follow", idle=TELL_AFTER, id=request["id"]):
            if push is not None:
                request = push["request"]
                jobs.update((job["id"], job) for job in request["jobs"])  # of many, a push has those that changed
                request["jobs"] = list(jobs.values())
                for chunk in push["output"]:
                    if as_json:
                        outputs.setdefault(chunk["job"], []).append(chunk["data"])
                    else:
                        streams.write(chunk)
            tell_waiting(request, told, time.time() + client.clock_offset)
            if push is not None and push["ended"]:
                break
    except asyncio.CancelledError:
        click.echo(f"\nanswerback: r{number} goes on without you; to stop it: answerback cancel r{number}", err=True)
        raise
    streams.end()
    if as_json:
        for job in request["jobs"]:
            job["output"] = b"".join(outputs.get(job["id"], [])).decode("utf-8", "replace")
        click.echo(to_json(request))
    return tell_end(request)


def tell_waiting(request: dict[str, Any], told: set[str], now: float) -> None:
    """Says once what a request waits for; `now` is the hub's clock."""
    number = request["number"]
    if request["state"] == "asking" and "asking" not in told:
        told.add("asking")
        code = " with a second factor" if request["second_factor"] else ""
        click.echo(
            f"answerback: r{number} waits for {request['approvers']} approval(s){code} until "
            f"{show.moment(request['decide_by'])}; somebody else may: answerback approve r{number} "
            f"--plan {request['plan_hash']}",
            err=True,
        )
    for job in request.get("jobs", ()):
        if job["state"] == "queued" and job["id"] not in told and now - job["queued_at"] >= TELL_AFTER:
            told.add(job["id"])
            until = show.moment(job["not_after"])
            click.echo(
                f"answerback: {clean(job['agent'])} is away, paused or busy; the job waits for it until {until}",
                err=True,
            )


def tell_end(request: dict[str, Any]) -> int:
    """The exit status of a request that has ended, and on standard error why it is not 0."""
    if request["state"] in ("refused", "rejected", "expired", "cancelled"):
        click.echo(f"answerback: r{request['number']} {request['state']}: {clean(request['reason'])}", err=True)
        return 3 if request["state"] in ("refused", "rejected") else 1
    bad = [job for job in request["jobs"] if job["state"] not in ENDED_WELL]
    for job in bad:
        click.echo(f"answerback: {clean(job['agent'])}: {show.end_of(job)}", err=True)
    return 1 if bad else 0


@click.command("retry", short_help="Ask for the same again.")
@click.argument("what", metavar="R|JOB")
@click.option("--no-wait", is_flag=True, help="print the new request and leave")
@json_option
@pass_context
def retry_command(context: Context, what: str, no_wait: bool, as_json: bool) -> None:
    """Ask for the same again, as a new request whose parent is the old one. Policy decides anew.

    \b
    answerback retry r42             all of request 42, on all its machines
    answerback retry K3V9TQ0Z4M      one job of it, on its machine (`answerback jobs` shows ids)
    """

    async def act(client: Client) -> int:
        args: dict[str, Any] = {"number": number_of(what)} if is_number(what) else {"job": what.upper()}
        request = await client.call("retry", **args)
        return await see_through(client, request, as_json=as_json, wait=not no_wait)

    context.run(act)
